package sim

import (
	"fmt"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// connectTimeout is how long a connection waits for a server that is silent, as the
// live balancer does.
const connectTimeout = 5 * time.Second

// Options of Run. The zero value is what the configuration says.
type Options struct {
	// Seed replaces the simulation's.
	Seed *uint64
	// Observe sees every connection once it is served or given up.
	Observe func(Pick)
}

// Pick is what became of one connection.
type Pick struct {
	At      time.Duration // when it came
	Client  balance.Client
	Backend string // empty if no server took it
	OK      bool
}

// Run replays the simulation of the given name.
func Run(c *spec.Config, name string, opt Options) (*Result, error) {
	began := time.Now()
	k := slices.IndexFunc(c.Simulations, func(s *spec.Simulation) bool { return s.Name == name })
	if k < 0 {
		return nil, fmt.Errorf("simulation %q does not exist", name)
	}
	r, err := newRun(c, c.Simulations[k], opt)
	if err != nil {
		return nil, fmt.Errorf("simulation %q: %w", name, err)
	}
	r.play()
	result := r.result()
	result.WallSeconds = time.Since(began).Seconds()
	return result, nil
}

// run is one simulation under way.
type run struct {
	sim      *spec.Simulation
	seed     uint64
	observe  func(Pick)
	listener *balance.Listener
	state    *balance.State
	table    *balance.Table

	now      int64
	events   events
	servers  []server // by backend
	faults   []*fault
	arrivals []*arrivals
	clients  []*clients // nil where nothing asks who a connection comes from
	waiting  queue
	scratch  balance.Tried // of the connection that just came

	warm      bool // the warm-up is over
	moved     bool // a window may have opened or closed
	requests  int64
	stretches []stretch
}

func newRun(c *spec.Config, sim *spec.Simulation, opt Options) (*run, error) {
	l, err := target(c, sim)
	if err != nil {
		return nil, err
	}
	r := &run{
		sim: sim, seed: sim.Seed, observe: opt.Observe,
		listener: l, state: balance.NewState(&l.Pool, nil), servers: make([]server, len(l.Backends)),
	}
	if opt.Seed != nil {
		r.seed = *opt.Seed
	}
	for i, b := range l.Backends {
		if b.Instance != "" {
			r.servers[i].stopped = c.Instance(b.Instance).Status == spec.StatusStopped
		}
		if l.Check.Enabled {
			r.events.push(event{0, probeStarts, i})
		}
	}
	for k := range sim.Faults {
		f := newFault(&sim.Faults[k], c, l)
		r.faults = append(r.faults, f)
		r.events.push(event{int64(f.At), faultStarts, k})
		if f.For > 0 {
			r.events.push(event{int64(f.At + f.For), faultEnds, k})
		}
	}
	r.events.push(event{int64(sim.Warmup), warmupEnds, 0})
	hashes := l.Scheduler == spec.SchedulerSCH || l.Scheduler == spec.SchedulerTCH
	for k := range sim.Traffic {
		r.arrivals = append(r.arrivals, newArrivals(&sim.Traffic[k], r.seed))
		if hashes || r.observe != nil {
			r.clients = append(r.clients, newClients(&sim.Traffic[k], r.seed))
		}
	}
	return r, nil
}

// target finds the listener that a simulation sends its traffic to.
func target(c *spec.Config, sim *spec.Simulation) (*balance.Listener, error) {
	lb := c.LoadBalancer(sim.Target)
	if lb == nil {
		return nil, fmt.Errorf("target %s does not exist", sim.Target)
	}
	listeners, err := balance.Compile(c)
	if err != nil {
		return nil, err
	}
	for _, sl := range lb.Listeners {
		if sl.Name != sim.Listener && (sim.Listener != "" || len(lb.Listeners) > 1) {
			continue
		}
		for _, l := range listeners {
			if l.Address == sl.Address {
				return l, nil
			}
		}
	}
	return nil, fmt.Errorf("%s has no listener %q", sim.Target, sim.Listener)
}

// play runs through virtual time.
func (r *run) play() {
	r.rebuild()
	r.openStretch()
	for end := int64(r.sim.Duration); ; {
		k := r.earliest()
		if k < 0 || r.arrivals[k].next >= end {
			break
		}
		a := r.arrivals[k]
		if r.due(a.next) {
			r.advance(a.next)
		}
		r.now = a.next
		r.arrive(k, a)
		a.step(a)
	}
	for !r.waiting.empty() { // connections that still wait for a silent server
		r.advance(r.waiting.head().due)
	}
}

// earliest returns the stream whose connection comes next, the first of equals.
func (r *run) earliest() int {
	best := -1
	for k, a := range r.arrivals {
		if best < 0 || a.next < r.arrivals[best].next {
			best = k
		}
	}
	return best
}

// due reports whether something is to happen before a connection at the given time.
func (r *run) due(t int64) bool {
	return len(r.events) > 0 && r.events[0].at <= t || !r.waiting.empty() && r.waiting.head().due <= t
}

// advance lets everything happen up to and including the given time: at each instant
// the events first, then the retries, who see what the events changed.
func (r *run) advance(until int64) {
	for r.due(until) {
		r.now = until
		if len(r.events) > 0 {
			r.now = min(r.now, r.events[0].at)
		}
		if !r.waiting.empty() {
			r.now = min(r.now, r.waiting.head().due)
		}
		verdict := false
		for len(r.events) > 0 && r.events[0].at == r.now {
			verdict = r.happen(r.events.pop()) || verdict
		}
		if verdict {
			r.rebuild()
		}
		r.settle()
		for !r.waiting.empty() && r.waiting.head().due == r.now {
			r.timeout()
		}
	}
}

func (r *run) rebuild() {
	r.table = r.listener.Table(func(i int) balance.Health { return r.servers[i].verdict.Health() })
}

// settle closes the windows of faults that nothing is left of.
func (r *run) settle() {
	for _, f := range r.faults {
		if f.open && f.settled(r.servers) {
			f.open = false
			r.moved = true
		}
	}
	if r.moved {
		r.moved = false
		r.openStretch()
	}
}

func (r *run) result() *Result {
	res := &Result{
		Name: r.sim.Name, Seed: r.seed, Requests: r.requests, VirtualSeconds: r.sim.Duration.Seconds(),
		Windows: r.windows(), listener: r.listener, traffic: r.sim.Traffic,
	}
	for k := range r.sim.Expects {
		res.Expectations = append(res.Expectations, judge(&r.sim.Expects[k], res.Windows))
	}
	return res
}
