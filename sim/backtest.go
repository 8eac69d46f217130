package sim

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// Backtest holds the core's choices for the requests of a log against the servers that the
// log names. JSON keys are in alphabetical order.
type Backtest struct {
	Agreed         int64            `json:"agreed"`    // of the compared ones, those that go to the server that the log names
	Agreement      *float64         `json:"agreement"` // agreed of compared; null: nothing could be compared
	Backends       []BacktestServer `json:"backends"`
	Compared       int64            `json:"compared"` // requests whose server in the log is one of the listener's
	FormatVersion  string           `json:"format_version"`
	Listener       string           `json:"listener"` // resource address
	Requests       int64            `json:"requests"`
	Scheduler      string           `json:"scheduler"`
	Turns          []Turn           `json:"turns"`
	Unknown        []UnknownServer  `json:"unknown"` // servers of the log that the listener has not
	Unnamed        int64            `json:"unnamed"` // requests for which the log names no server
	Unread         int64            `json:"unread"`  // entries of the log
	VirtualSeconds float64          `json:"virtual_seconds"`
}

// BacktestServer is a server's part of the compared requests.
type BacktestServer struct {
	Address        string  `json:"address"`
	Logged         int64   `json:"logged"`
	LoggedShare    float64 `json:"logged_share"`
	Predicted      int64   `json:"predicted"`
	PredictedShare float64 `json:"predicted_share"`
}

// Turn is where in its period the scheduler of a listener or rule stood when the log began:
// the turn with which most of the first requests agree.
type Turn struct {
	Address string `json:"address"`
	Of      int    `json:"of"`
	Turn    int    `json:"turn"`
}

// UnknownServer is one that only the log knows.
type UnknownServer struct {
	Requests int64  `json:"requests"`
	Server   string `json:"server"`
}

// aligned is how many requests of each pool say at which turn it stood.
const aligned = 1024

// RunBacktest sends the requests of a log to a listener of the configuration, whose servers
// all count as well. A log does not say at which turn rr and wrr stood when it began, so
// that is found out first, where no stickiness spares clients a turn.
func RunBacktest(c *spec.Config, listener, log string, opt Options) (*Backtest, error) {
	b := &backtest{config: c, opt: opt}
	for _, lb := range c.LoadBalancers {
		for _, l := range lb.Listeners {
			if l.Address == listener {
				b.sim = &spec.Simulation{Name: "backtest", Target: lb.Address, Listener: l.Name, Duration: 1<<63 - 1,
					Traffic: []spec.Traffic{{Name: "log", Log: log}}}
			}
		}
	}
	if b.sim == nil {
		return nil, fmt.Errorf("listener %s does not exist", listener)
	}
	result, err := b.play(nil)
	if err != nil {
		return nil, err
	}
	if turns := b.turns(); slices.ContainsFunc(turns, func(t Turn) bool { return t.Turn > 0 }) {
		if result, err = b.play(turns); err != nil {
			return nil, err
		}
		result.Turns = turns
	}
	return result, nil
}

// backtest is one under way.
type backtest struct {
	config *spec.Config
	sim    *spec.Simulation
	opt    Options
	run    *run
	logged [][]int // by pool: the servers that the log names for its first requests, -1 = none of its
}

// play runs the log through the configuration, from turns on.
func (b *backtest) play(turns []Turn) (*Backtest, error) {
	var x tallies
	opt := b.opt
	opt.Observe = func(p Pick) { x.add(b, p) }
	r, err := newRun(b.config, b.sim, opt)
	if err != nil {
		return nil, err
	}
	b.run, b.logged = r, make([][]int, len(r.pools))
	for i := range r.servers {
		r.servers[i].stopped = false
	}
	for _, t := range turns {
		for k := range r.pools {
			if p := &r.pools[k]; p.Owner == t.Address {
				p.turn(t.Turn)
			}
		}
	}
	footer := r.replays[0].Footer
	x.prepare(r)
	r.play()
	if err := r.finished(); err != nil {
		return nil, err
	}
	result := x.result(r)
	result.Unread, result.VirtualSeconds = footer.Unread, footer.Duration.Round(time.Microsecond).Seconds()
	return result, nil
}

// turn takes so many tickets while all servers are well.
func (p *pool) turn(n int) {
	table := p.Table(func(int) balance.Health { return balance.Normal })
	for range n {
		if i, ok := table.Pick(p.state, &balance.Client{}, nil); ok {
			p.state.Done(i)
		}
	}
}

// turns finds out at which turn each pool stood when the log began.
func (b *backtest) turns() (turns []Turn) {
	for k := range b.run.pools {
		p := &b.run.pools[k]
		if p.Scheduler != spec.SchedulerRR && p.Scheduler != spec.SchedulerWRR || len(b.logged[k]) == 0 {
			continue
		}
		if p.Sticky.Mode != balance.StickyOff || p.PersistenceTimeout > 0 {
			continue // the log does not say which requests have taken a turn
		}
		fresh := pool{Pool: p.Pool, state: balance.NewState(p.Pool, nil)}
		table := p.Table(func(int) balance.Health { return balance.Normal })
		t := Turn{Address: p.Owner, Of: table.Aim(fresh.state, &balance.Client{}).Slots}
		period := make([]int, t.Of)
		for n := range period {
			period[n], _ = table.Pick(fresh.state, &balance.Client{}, nil)
			fresh.state.Done(period[n])
		}
		best := -1
		for turn := range period {
			agreed := 0
			for n, server := range b.logged[k] {
				if period[(turn+n)%t.Of] == server {
					agreed++
				}
			}
			if agreed > best {
				best, t.Turn = agreed, turn
			}
		}
		turns = append(turns, t)
	}
	return turns
}

// tallies count while a log is run.
type tallies struct {
	names   []*balance.Backend
	known   []int // by server of the log: index in names; -1 = the listener has no such
	servers []BacktestServer
	unknown []int64 // by server of the log
	out     Backtest
}

func (x *tallies) prepare(r *run) {
	x.names, _ = r.names()
	for _, b := range x.names {
		x.servers = append(x.servers, BacktestServer{Address: b.Name})
	}
	for _, name := range r.replays[0].Servers {
		x.known = append(x.known, serverOf(name, x.names))
	}
	x.unknown = make([]int64, len(x.known))
}

// serverOf finds the server that a log means: by where it is, by its name, or by the last
// part of its name, as HAProxy's configuration may have it; else by its address alone,
// where that tells.
func serverOf(name string, servers []*balance.Backend) int {
	means := []func(*balance.Backend) bool{
		func(b *balance.Backend) bool { return b.Endpoint.String() == name },
		func(b *balance.Backend) bool { return b.Name == name },
		func(b *balance.Backend) bool {
			return b.Instance != "" && strings.TrimPrefix(b.Name, "instance.") == name
		},
		func(b *balance.Backend) bool { return b.Endpoint.Addr().String() == name },
	}
	for _, m := range means {
		if i := slices.IndexFunc(servers, m); i >= 0 && !slices.ContainsFunc(servers[i+1:], m) {
			return i
		}
	}
	return -1
}

func (x *tallies) add(b *backtest, p Pick) {
	logged := b.run.replays[0].next.Server
	x.out.Requests++
	b.keep(x, p, logged)
	switch {
	case logged == 0:
		x.out.Unnamed++
		return
	case x.known[logged] < 0:
		x.unknown[logged]++
		return
	}
	x.out.Compared++
	s := &x.servers[x.known[logged]]
	s.Logged++
	for i := range x.servers {
		if x.servers[i].Address == p.Backend {
			x.servers[i].Predicted++
		}
	}
	if s.Address == p.Backend {
		x.out.Agreed++
	}
}

// keep writes down whom the log names for one of a pool's first requests.
func (b *backtest) keep(x *tallies, p Pick, logged uint32) {
	if p.Outcome != Served {
		return
	}
	k := slices.IndexFunc(b.run.pools, func(q pool) bool { return q.Owner == p.Route })
	if k < 0 || len(b.logged[k]) == aligned {
		return
	}
	server := -1
	if i := x.known[logged]; i >= 0 && logged > 0 {
		server = slices.IndexFunc(b.run.pools[k].Backends, func(s balance.Backend) bool { return s.Name == x.names[i].Name })
	}
	b.logged[k] = append(b.logged[k], server)
}

func (x *tallies) result(r *run) *Backtest {
	out := x.out
	out.FormatVersion, out.Listener, out.Scheduler, out.Backends, out.Turns, out.Unknown = "1.0", r.listener.Address, r.listener.Scheduler, x.servers, []Turn{}, []UnknownServer{}
	if out.Compared > 0 {
		agreement := float64(out.Agreed) / float64(out.Compared)
		out.Agreement = &agreement
	}
	for i := range out.Backends {
		if s := &out.Backends[i]; out.Compared > 0 {
			s.LoggedShare = float64(s.Logged) / float64(out.Compared)
			s.PredictedShare = float64(s.Predicted) / float64(out.Compared)
		}
	}
	for k, n := range x.unknown {
		if n > 0 {
			out.Unknown = append(out.Unknown, UnknownServer{n, r.replays[0].Servers[k]})
		}
	}
	slices.SortStableFunc(out.Unknown, func(a, b UnknownServer) int { return cmp.Compare(b.Requests, a.Requests) })
	return &out
}

// WriteText writes a report for people.
func (b *Backtest) WriteText(w io.Writer) error {
	var t strings.Builder
	fmt.Fprintf(&t, "backtest of %s in %s\n  to %s, %s\n", count(int(b.Requests), "request"), seconds(b.VirtualSeconds), b.Listener, b.Scheduler)
	for _, x := range b.Turns {
		fmt.Fprintf(&t, "  the log begins at turn %d of %d of %s\n", x.Turn, x.Of, x.Address)
	}
	t.WriteString("\n")
	rows := [][]string{{"server", "logged", "share", "predicted", "share"}}
	share := func(v float64) string { return strconv.FormatFloat(100*v, 'f', 2, 64) + "%" }
	for _, s := range b.Backends {
		rows = append(rows, []string{s.Address, strconv.FormatInt(s.Logged, 10), share(s.LoggedShare), strconv.FormatInt(s.Predicted, 10), share(s.PredictedShare)})
	}
	writeTable(&t, rows)
	t.WriteString("\n")
	if b.Agreement == nil {
		t.WriteString("  the log names no server of this listener: nothing can be compared\n")
	} else {
		fmt.Fprintf(&t, "  %s agree: %d of %s go to the server that the log names\n", percent(*b.Agreement), b.Agreed, count(int(b.Compared), "request"))
	}
	if b.Unnamed > 0 {
		fmt.Fprintf(&t, "  %s without a server in the log\n", count(int(b.Unnamed), "request"))
	}
	const shown = 10
	for k, u := range b.Unknown {
		if k == shown {
			fmt.Fprintf(&t, "  and %s more\n", count(len(b.Unknown)-shown, "such server"))
			break
		}
		fmt.Fprintf(&t, "  %s by %q, which the listener has not\n", count(int(u.Requests), "request"), u.Server)
	}
	_, err := io.WriteString(w, t.String())
	return err
}
