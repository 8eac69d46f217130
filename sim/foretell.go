package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// MostCalls is how many requests a live run may have.
const MostCalls = 1_000_000

// LiveOptions are how the runtime stands that a live run goes to.
type LiveOptions struct {
	Seed    *uint64            // replaces the simulation's; nil = does not
	After   *spec.Config       // what a change makes of the configuration; nil where there is none
	Drained []string           // by hand, as balance.Drained takes them
	Pools   []balance.Standing // of the listener, in the order of balance.Listener.Pools
	Lead    time.Duration      // from that moment to the start of the traffic
	// Patience is how long clients wait for an answer; 0 = for as long as the listener does.
	Patience time.Duration
	Context  context.Context // ends the reading of logs; nil = nothing does
	// Salt is to differ from run to run: a client of UDP that comes from the port that it had
	// minutes ago goes on with its session, and takes no turn.
	Salt uint64
}

// Call is a request that is to be sent, or on L4 a connection.
type Call struct {
	At      time.Duration
	Source  netip.AddrPort // port 0 = any
	Host    string
	Path    string
	Visitor uint64 // who keeps cookies and a connection from one request to the next
	Cookies bool
	First   bool // the visitor begins a session
	Last    bool // the visitor's connection ends with it
}

// Forecast is what a simulation would send to a listener that runs, and what will become of
// each request if the listener goes on from where it stands.
type Forecast struct {
	Calls    []Call
	Listener *balance.Listener
	Strikes  []Strike
	Drains   []Drain
	Deploys  []Deployment
	Change   time.Duration // when the other configuration takes over, if there is a change
	Echo     bool          // the servers send back what they get; else they are asked for pages

	config   *spec.Config // at the end
	before   *spec.Config // the one that a change replaces; nil = there is no change
	sim      *spec.Simulation
	opt      LiveOptions
	run      *run
	foretold []foretold // by call
	mute     []bool     // by pool: not all of its servers say in their answers who they are
}

// foretold is what will become of a call.
type foretold struct {
	at      time.Duration
	stretch *stretch
	pool    int // that it is for by its request alone; -1 = none
	server  int // in the pool
	outcome Outcome
	reached bool // a server has got it, whatever it did then
	first   bool
	stream  int
	visitor uint64
}

// Foretell plays the simulation of the given name from where a runtime stands. The
// configuration is the one that runs, and the simulation's. Clients get addresses that can
// be sent from: 127.128.0.0/9 instead of networks outside of 127.0.0.0/8, and where a balancer has an
// address of IPv6, all of them ::1. What cannot be sent, done or observed there is an error.
func Foretell(c *spec.Config, name string, opt LiveOptions) (*Forecast, error) {
	k := slices.IndexFunc(c.Simulations, func(s *spec.Simulation) bool { return s.Name == name })
	if k < 0 {
		return nil, fmt.Errorf("simulation %q does not exist", name)
	}
	f, err := foretell(c, c.Simulations[k], opt)
	if err != nil {
		return nil, fmt.Errorf("simulation %q: %w", name, err)
	}
	return f, nil
}

func foretell(c *spec.Config, sim *spec.Simulation, opt LiveOptions) (*Forecast, error) {
	f := &Forecast{config: c, opt: opt}
	if len(sim.Changes) > 0 {
		if f.before, f.config = c, opt.After; opt.After == nil {
			return nil, fmt.Errorf("what the change %q makes of the configuration is not known", sim.Changes[0].Name)
		}
	}
	var addresses loopbackAddresses
	if lb := c.LoadBalancer(sim.Target); lb != nil {
		addresses.one = lb.IP.Is6()
	}
	var err error
	if f.sim, err = addresses.networks(sim); err != nil {
		return nil, err
	}
	if f.run, err = newRun(f.config, f.sim, Options{
		Seed: opt.Seed, Before: f.before, Drained: opt.Drained, Context: opt.Context, Observe: f.add, patience: opt.Patience,
	}); err != nil {
		return nil, err
	}
	if err := f.prepare(&addresses); err != nil {
		return nil, errors.Join(err, f.run.close())
	}
	f.run.play()
	f.inOrder()
	f.foretellOperations()
	return f, f.run.finished()
}

// prepare has the run begin where the runtime stands, and says what of it cannot be done.
func (f *Forecast) prepare(addresses *loopbackAddresses) (err error) {
	n := 0.0
	for _, t := range f.sim.Traffic {
		n += t.Rate * f.sim.Duration.Seconds()
	}
	for k, who := range f.run.clients { // nil at a listener of HTTP
		if addresses.one || f.run.listener.Protocol == spec.ProtocolUDP {
			who.fresh, who.place, who.of = max(f.opt.Salt, 1), uint64(k), uint64(len(f.run.clients))
		}
	}
	for _, log := range f.run.replays {
		n += float64(log.Requests)
		if err := addresses.clients(log); err != nil {
			return err
		}
	}
	if n > MostCalls {
		return fmt.Errorf("%.0f requests are too many to send: %d at most; shorten it, or lower its rate", n, MostCalls)
	}
	f.run.endFaults()
	f.Listener = f.run.listener
	if err := f.askable(); err != nil {
		return err
	}
	if f.Strikes, err = f.strikes(); err != nil {
		return err
	}
	if err := f.operations(); err != nil {
		return err
	}
	return f.run.stand(f.opt)
}

// askable says why the listener, or one of its servers, cannot be asked.
func (f *Forecast) askable() error {
	l, later := f.Listener, f.run.last.listener
	switch own := l.Endpoint.Addr(); {
	case l.Protocol != later.Protocol || l.Endpoint != later.Endpoint || l.AcceptProxyProtocol != later.AcceptProxyProtocol:
		return fmt.Errorf("the change has %s listen elsewhere, or otherwise: live clients do not follow", l.Address)
	case !l.Serving:
		return fmt.Errorf("%s does not serve", l.Address)
	case !own.IsLoopback():
		return fmt.Errorf("%s is at %s: live clients have addresses of 127.0.0.0/8, or ::1, so it must listen there", l.Address, own)
	}
	echoes, servers := 0, 0
	for k := range f.run.pools {
		mute := false
		for _, b := range f.run.pools[k].Backends {
			i := f.instance(b.Instance)
			switch {
			case i == nil && !spec.L7(l.Protocol):
				return fmt.Errorf("%s is no instance of slbctl: what to say to it on a connection, nobody knows", b.Name)
			case i != nil && (i.Protocol == spec.ProtocolTCPEcho || i.Protocol == spec.ProtocolUDPEcho):
				echoes++
			}
			servers++
			mute = mute || i == nil || i.Protocol != spec.ProtocolHTTP || len(i.Command) > 0
		}
		if mute && f.before != nil {
			return fmt.Errorf("a server of %s does not say in its answers who it is: what it gets before and after a change, nobody knows", l.Address)
		}
		f.mute = append(f.mute, mute)
	}
	if f.Echo = echoes > 0; f.Echo && echoes < servers {
		return fmt.Errorf("some servers of %s send back what they get and others do not: what to say to them, nobody knows", l.Address)
	}
	return nil
}

// instance finds an instance that is there at the end, or before.
func (f *Forecast) instance(address string) *spec.Instance {
	i := f.config.Instance(address)
	if i == nil && f.before != nil {
		i = f.before.Instance(address)
	}
	return i
}

// add takes note of a request that the simulation has decided.
func (f *Forecast) add(p Pick) {
	c := p.conn
	call := Call{At: p.At, Source: netip.AddrPortFrom(p.Client.Source.Addr(), 0), Host: p.Host, Path: p.Path}
	told := foretold{at: p.At, stretch: c.stretch, pool: c.pool, server: p.index, outcome: p.Outcome, reached: p.Outcome == Served || c.reached, first: p.First, stream: p.Stream, visitor: p.Visitor}
	if c.way == nil {
		call.Host, call.Path = f.Listener.Endpoint.String(), "/"
		if f.Listener.Scheduler == spec.SchedulerTCH || f.Listener.Protocol == spec.ProtocolUDP {
			call.Source = p.Client.Source
		}
	} else {
		call.Visitor = uint64(p.Stream)<<32 | p.Visitor
		call.Cookies, call.First, call.Last = c.visits.session.Cookies, p.First, c.last
		told.pool = c.way.route
	}
	f.Calls, f.foretold = append(f.Calls, call), append(f.foretold, told)
}

// endFaults has faults that go on longer end with the traffic, as those of what runs do.
func (r *run) endFaults() {
	for k, f := range r.faults {
		if end := f.At + f.For; f.For == 0 || end > r.sim.Duration {
			r.events.push(event{int64(r.sim.Duration), faultEnds, k})
		}
	}
}

// inOrder sorts by time: what hung was told late.
func (f *Forecast) inOrder() {
	slices.SortStableFunc(f.Calls, func(a, b Call) int { return cmp.Compare(a.At, b.At) })
	slices.SortStableFunc(f.foretold, func(a, b foretold) int { return cmp.Compare(a.at, b.at) })
}

// stand has a run begin where the runtime will stand then.
func (r *run) stand(opt LiveOptions) error {
	if len(opt.Pools) != r.serving.pools {
		return fmt.Errorf("%s has %d pools, and %d run", r.listener.Address, r.serving.pools, len(opt.Pools))
	}
	r.events = slices.DeleteFunc(r.events, func(e event) bool { return e.kind == probeStarts })
	slices.SortFunc(r.events, func(a, b event) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	for k := range opt.Pools {
		p, at := &r.pools[r.serving.base+k], &opt.Pools[k]
		if len(at.Servers) != len(p.Backends) {
			return fmt.Errorf("%s has %d servers, and %d run", p.Owner, len(p.Backends), len(at.Servers))
		}
		p.state.Resume(at)
		for i, known := range at.Servers {
			s := &r.servers[p.first+i]
			s.since = -int64(known.Age + opt.Lead)
			if !p.Probed(i) {
				continue
			}
			if known.Health != balance.Normal && s.answer() == accepts {
				r.fell(s.Endpoint)
			}
			s.stand(known.Health)
			due := known.Probe - opt.Lead
			for due < 0 {
				due += max(p.Check.Interval, 1)
			}
			r.events.push(event{int64(due), probeStarts, p.first + i})
		}
	}
	return nil
}

// fell has whoever is at an endpoint be not well, whichever generation he is of: no configuration says why.
func (r *run) fell(endpoint netip.AddrPort) {
	for i := range r.servers {
		if s := &r.servers[i]; s.Endpoint == endpoint {
			s.stopped = true
			s.look()
		}
	}
}

// stand has a server be as it is known to be. One that is not well stays so.
func (s *server) stand(known balance.Health) {
	s.stopped = known != balance.Normal
	s.look()
	if known == balance.Unavailable {
		return
	}
	for range s.check.Unhealthy {
		s.verdict.Observe(known == balance.Normal, s.check)
	}
}
