package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// TestSimSaysWhatTheCoreSays draws listeners with rules, weights, stickiness, lists,
// limits, stopped servers and a fault, and asks the core itself about each request that
// the simulator makes, in the order in which the live balancer asks it: with cookies as
// texts and clients as maps, and nothing computed ahead.
func TestSimSaysWhatTheCoreSays(t *testing.T) {
	outcomesSeen := map[Outcome]int{}
	rapid.Check(t, func(rt *rapid.T) {
		c := drawWeb(rt)
		before := drawBefore(rt, c)
		ref := newReference(rt, c)
		r, err := newRun(c, day(c), Options{Before: before, Observe: func(p Pick) {
			want := ref.ask(p)
			if got := fmt.Sprint(p.Outcome, " ", p.Backend, " ", p.Route); got != want {
				rt.Fatalf("request %d, of client %d at %v for %s%s: %s, the core says %s", ref.n, p.Visitor, p.At, p.Host, p.Path, got, want)
			}
			outcomesSeen[p.Outcome]++
		}})
		if err != nil {
			rt.Skip(err) // two rules for the same requests
		}
		ref.run = r
		r.play()
	})
	for o := range Outcome(outcomes) {
		if outcomesSeen[o] == 0 && o != TimedOut && o != Cut { // which take a service
			t.Errorf("no request was %v: the draws are too tame", o)
		}
	}
}

func drawWeb(t *rapid.T) *spec.Config {
	schedulers := rapid.SampledFrom([]string{spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerP2C, spec.SchedulerLeast})
	weights := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 4).Draw(t, "weights")
	c := web(schedulers.Draw(t, "scheduler"), weights...)
	l := webListener(c)
	for _, i := range c.Instances {
		if rapid.IntRange(0, 5).Draw(t, "stopped") == 0 {
			i.Status = spec.StatusStopped
		}
	}
	l.HealthCheck.Enabled = rapid.Bool().Draw(t, "check")
	l.HealthCheck.Interval = 300 * time.Millisecond
	l.StickySession = drawSticky(t)
	l.Retry = spec.Retry{
		Attempts: rapid.IntRange(0, 2).Draw(t, "attempts"),
		Connect:  rapid.IntRange(0, 3).Draw(t, "connect") > 0, Status5x: rapid.Bool().Draw(t, "5xx"),
		Timeout: rapid.IntRange(0, 2).Draw(t, "timeout") == 0,
	}
	l.HealthCheck.Type, l.HealthCheck.HTTPCodes = rapid.SampledFrom([]string{spec.CheckHTTP, spec.CheckTCP}).Draw(t, "type"), []string{"http_2xx"}
	l.MaxQPS = rapid.SampledFrom([]int{0, 0, 50}).Draw(t, "QPS")
	l.WhenAllUnhealthy = rapid.SampledFrom([]string{spec.WhenUnhealthyReject, spec.WhenUnhealthyForward}).Draw(t, "when")
	l.SlowStart = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "slow")
	if kind := rapid.SampledFrom([]string{"", spec.ACLWhite, spec.ACLBlack}).Draw(t, "acl"); kind != "" {
		c.ACLs = []*spec.ACL{{Meta: spec.Meta{Address: "acl.a"}, Entries: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/29")}}}
		l.ACL, l.ACLType = "acl.a", kind
	}
	targets := []string{"a.test/x", "a.test/x/y", "*.test/x", "*.test", "a.test", "b.test/%61", "/x", "/x/y", "a.b.test/x"}
	for n := range rapid.IntRange(0, 4).Draw(t, "rules") {
		servers := rapid.SliceOfNDistinct(rapid.IntRange(0, len(weights)-1), 0, len(weights), rapid.ID[int]).Draw(t, "group")
		r := addRule(c, fmt.Sprint("r", n), rapid.SampledFrom(targets).Draw(t, "target"), servers...)
		if len(servers) > 0 {
			r.Scheduler = schedulers.Draw(t, "of rule")
			r.StickySession = drawSticky(t)
		}
	}
	sim := day(c)
	sim.Duration = 4 * time.Second
	sim.Faults = []spec.Fault{{
		Name: "dead", At: time.Second, For: time.Second, ErrorRate: 1,
		Mode:    rapid.SampledFrom([]string{spec.FaultRefuse, spec.FaultErrors}).Draw(t, "mode"),
		Targets: []string{fmt.Sprintf("instance.s%d", rapid.IntRange(0, len(weights)-1).Draw(t, "fault"))},
	}}
	traffic := &sim.Traffic[0]
	traffic.Rate, traffic.Arrivals = 100, spec.ArrivalsPoisson
	traffic.Clients.Count = rapid.IntRange(1, 20).Draw(t, "clients")
	traffic.Session.Requests = rapid.IntRange(0, 5).Draw(t, "requests")
	traffic.Session.Cookies = rapid.IntRange(0, 3).Draw(t, "cookies") > 0
	mix := rapid.SampledFrom([]string{"a.test/x", "a.test//x/y?q", "a.test/z", "c.test/x", "b.test/a", "b.test/%61", "a.b.test/x", "x.y/x", "x.y/", "a.test/x/../z"})
	for _, url := range rapid.SliceOfN(mix, 1, 5).Draw(t, "mix") {
		traffic.Mix = append(traffic.Mix, mixOf(fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "weight"), " ", url))...)
	}
	sim.Seed = rapid.Uint64Range(0, 99).Draw(t, "seed")
	return c
}

// drawBefore draws what an operator does, and for a change what is recorded: other weights, fewer servers and
// rules, another scheduler, or no such listener.
func drawBefore(t *rapid.T, c *spec.Config) *spec.Config {
	sim := day(c)
	servers := []string{"instance.s0"}
	if rapid.IntRange(0, 2).Draw(t, "drain") == 0 {
		sim.Drains = []spec.SimulatedDrain{{Name: "drain", At: 700 * time.Millisecond, For: time.Second, Targets: servers}}
	}
	if rapid.IntRange(0, 2).Draw(t, "deploy") == 0 {
		sim.Deploys = []spec.Deploy{{Name: "deploy", At: 2 * time.Second, Zone: "b", Batch: 1, Drain: 200 * time.Millisecond, Startup: 300 * time.Millisecond}}
		if len(c.Instances) < 2 {
			sim.Deploys[0].Zone = "a"
		}
	}
	webListener(c).Drain = rapid.SampledFrom([]time.Duration{0, 400 * time.Millisecond, time.Minute}).Draw(t, "of listener")
	if rapid.IntRange(0, 2).Draw(t, "change") > 0 {
		return nil
	}
	sim.Changes = []spec.SimulatedChange{{Name: "change", At: rapid.SampledFrom([]time.Duration{0, 900 * time.Millisecond, 1500 * time.Millisecond}).Draw(t, "at")}}
	before := *c
	lb := *c.LoadBalancers[0]
	before.LoadBalancers = []*spec.LoadBalancer{&lb}
	if rapid.IntRange(0, 7).Draw(t, "new") == 0 {
		lb.Listeners = nil
		return &before
	}
	l := *lb.Listeners[0]
	lb.Listeners, lb.Backends = []*spec.Listener{&l}, nil
	for k, b := range c.LoadBalancers[0].Backends {
		if b.Weight = rapid.IntRange(0, 3).Draw(t, "weight before"); k == 0 || rapid.Bool().Draw(t, "was there") {
			lb.Backends = append(lb.Backends, b)
		}
	}
	l.Scheduler = rapid.SampledFrom([]string{l.Scheduler, spec.SchedulerRR}).Draw(t, "scheduler before")
	l.StickySession = rapid.SampledFrom([]*spec.StickySession{l.StickySession, nil}).Draw(t, "sticky before")
	l.Rules = l.Rules[:rapid.IntRange(0, len(l.Rules)).Draw(t, "rules before")]
	l.MaxQPS = rapid.SampledFrom([]int{l.MaxQPS, 0, 30}).Draw(t, "QPS before")
	return &before
}

func drawSticky(t *rapid.T) *spec.StickySession {
	switch rapid.IntRange(0, 3).Draw(t, "sticky") {
	case 0:
		return &spec.StickySession{Type: spec.StickyServer, Cookie: rapid.SampledFrom([]string{"SERVERID", "SID"}).Draw(t, "cookie")}
	case 1, 2:
		return insertCookie(rapid.SampledFrom([]time.Duration{time.Second, 1500 * time.Millisecond, time.Hour}).Draw(t, "age"))
	}
	return nil
}

// reference asks the core. What is true of the servers it reads off the run: that no
// request has a part in.
type reference struct {
	t        *rapid.T
	run      *run
	epoch    int // of the run
	listener *balance.Listener
	quotas   map[string]*balance.Quota
	states   map[string]*balance.State
	tables   []*balance.Table
	healths  string // that the tables are for
	session  spec.Session
	jars     map[uint64]map[string]kept
	n        int
}

type kept struct {
	value   string
	expires time.Duration
}

func newReference(t *rapid.T, c *spec.Config) *reference {
	return &reference{t: t, epoch: -1, session: day(c).Traffic[0].Session, jars: map[uint64]map[string]kept{}}
}

// swap follows the run into another generation, or other weights.
func (ref *reference) swap() {
	ref.epoch, ref.healths = ref.run.epoch, ""
	listeners, err := balance.Compile(ref.run.serving.config)
	if err != nil {
		ref.t.Fatal(err)
	}
	balance.Drained(listeners, ref.run.drained())
	ref.listener = nil
	ref.quotas = balance.NewQuotas(listeners, ref.quotas)
	if len(listeners) == 0 {
		return
	}
	ref.listener = listeners[0]
	states := map[string]*balance.State{}
	for _, p := range ref.listener.Pools() {
		states[p.Owner] = balance.NewState(p, ref.states[p.Owner])
	}
	ref.states = states
}

// rebuild makes new tables when a verdict, or the warmth of a server, has changed.
func (ref *reference) rebuild(now time.Duration) {
	if ref.epoch != ref.run.epoch {
		ref.swap()
	}
	if ref.listener == nil {
		return
	}
	var seen strings.Builder
	var tables []*balance.Table
	for k, p := range ref.listener.Pools() {
		servers := ref.run.servers[ref.run.pools[ref.run.serving.base+k].first:]
		tables = append(tables, p.TableWarm(
			func(i int) balance.Health { return servers[i].verdict.Health() },
			func(i int) int {
				step, _ := p.Warmth(now - time.Duration(servers[i].since))
				if p.Backends[i].Weight == 0 {
					if step = 0; time.Duration(servers[i].sessions) > now {
						step = balance.Warm
					}
				}
				fmt.Fprint(&seen, i, step, " ")
				return step
			}))
		for i := range p.Backends {
			fmt.Fprint(&seen, servers[i].verdict.Health(), servers[i].since, " ")
		}
	}
	if seen.String() != ref.healths {
		ref.healths, ref.tables = seen.String(), tables
	}
}

// ask says what becomes of a request.
func (ref *reference) ask(p Pick) string {
	ref.n++
	ref.rebuild(p.At)
	l, jar := ref.listener, ref.jars[p.Visitor]
	if l == nil {
		return ref.say(Failed, nil, "")
	}
	if jar == nil || p.First || !ref.session.Cookies {
		jar = map[string]kept{}
		ref.jars[p.Visitor] = jar
	}
	if !l.ACL.Allows(p.Client.Source.Addr()) {
		return ref.say(Denied, nil, "")
	}
	path, ok := balance.NormalPath(nil, []byte(p.Path))
	route := l.Route([]byte(p.Host), path)
	pools := l.Pools()
	var pool *balance.Pool // or the place of a redirect
	if ok && !route.NotFound {
		pool = pools[1+slices.Index(l.Rules, route.Rule)]
	}
	quota := ref.quotas[l.LoadBalancer]
	if !quota.QPS.Allow(int64(p.At), 1) || !quota.Listeners[l.Address].QPS.Allow(int64(p.At), 1) {
		return ref.say(Dropped, nil, "")
	}
	switch {
	case !ok:
		return ref.say(Refused, nil, "")
	case route.NotFound:
		return ref.say(NotFound, nil, "")
	case route.Redirect != nil:
		return ref.say(Redirected, pool, "")
	}
	return ref.serve(p, route.Pool, pool, jar)
}

// serve finds a server, and has the client keep its cookie.
func (ref *reference) serve(p Pick, at int, pool *balance.Pool, jar map[string]kept) string {
	table, state := ref.tables[at], ref.states[pool.Owner]
	name := p.Host + " " + pool.Sticky.Cookie
	cookie := jar[name]
	if cookie.expires <= p.At {
		cookie.value = ""
	}
	value := []byte(cookie.value)
	if pool.Sticky.Mode == balance.StickyServer {
		value, _ = balance.SplitServerCookie(value)
	}
	tries := len(pool.Backends)
	if n := ref.listener.Retry.Attempts; n > 0 {
		tries = min(tries, 1+n)
	}
	var tried balance.Tried
	for len(tried) < tries {
		i, known := pool.CookieBackend(value)
		known = known && pool.Sticky.Mode != balance.StickyOff && len(tried) == 0 && table.PickSticky(state, i)
		if !known {
			var ok bool
			if i, ok = table.Pick(state, &p.Client, tried); !ok {
				break
			}
		}
		state.Done(i)
		switch server := &ref.run.servers[ref.run.pools[ref.run.serving.base+at].first+i]; {
		case server.answer() == refuses && !ref.listener.Retry.Connect:
			return ref.say(Failed, pool, "")
		case len(server.erring) > 0 && server.answer() == accepts && !(ref.listener.Retry.Status5x && len(tried)+1 < tries):
			return ref.say(Errored, pool, "")
		case server.answer() == refuses, len(server.erring) > 0:
			tried.Add(i)
			continue
		}
		switch {
		case pool.Sticky.Mode == balance.StickyServer:
			jar[name] = kept{pool.CookieValue(i) + "|own", 1 << 62}
		case pool.Sticky.Mode == balance.StickyInsert && !known:
			jar[name] = kept{pool.CookieValue(i), p.At + pool.Sticky.MaxAge.Truncate(time.Second)}
		}
		return ref.say(Served, pool, pool.Backends[i].Name)
	}
	return ref.say(Failed, pool, "")
}

func (ref *reference) say(o Outcome, pool *balance.Pool, backend string) string {
	if pool == nil {
		return fmt.Sprint(o, " ", backend, " ")
	}
	return fmt.Sprint(o, " ", backend, " ", pool.Owner)
}
