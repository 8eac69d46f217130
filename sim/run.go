package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// connectTimeout is how long a connection waits for a server that is silent, as the
// live balancer does. Listeners of HTTP have their own.
const connectTimeout = 5 * time.Second

// Options of Run. The zero value is what the configuration says.
type Options struct {
	// Seed replaces the simulation's.
	Seed *uint64
	// Drained lists servers that were drained by hand, as balance.Drained takes them.
	Drained []string
	// Context ends the reading of logs; nil = nothing does.
	Context context.Context
	// Record is a trace to make of what was sent and of which server took it.
	Record string
	// Timeline has the result tell how things went step by step.
	Timeline bool
	// Observe sees every connection, or request, once it is served or given up.
	Observe func(Pick)
}

// Pick is what became of one connection, or of one request.
type Pick struct {
	At      time.Duration // when it came
	Took    time.Duration // until its server was done; 0 where servers take no time
	Client  balance.Client
	Outcome Outcome
	Backend string // empty if no server took it
	Route   string // resource address of the rule or listener that decided; empty = none

	// Of HTTP.
	Host, Path string
	Stream     int    // index of the traffic that it belongs to
	Visitor    uint64 // the client's number in its stream
	First      bool   // the client begins a session: it has no cookie
}

// Run replays the simulation of the given name.
func Run(c *spec.Config, name string, opt Options) (*Result, error) {
	began := time.Now()
	k := slices.IndexFunc(c.Simulations, func(s *spec.Simulation) bool { return s.Name == name })
	if k < 0 {
		return nil, fmt.Errorf("simulation %q does not exist", name)
	}
	run := perform
	if opt.Record != "" {
		run = recorded
	}
	r, err := run(c, c.Simulations[k], opt)
	if err != nil {
		return nil, fmt.Errorf("simulation %q: %w", name, err)
	}
	result := r.result()
	result.WallSeconds = time.Since(began).Seconds()
	return result, nil
}

// perform prepares a simulation and plays it.
func perform(c *spec.Config, sim *spec.Simulation, opt Options) (*run, error) {
	r, err := newRun(c, sim, opt)
	if err != nil {
		return nil, err
	}
	r.play()
	return r, r.finished()
}

// run is one simulation under way.
type run struct {
	sim      *spec.Simulation
	seed     uint64
	observe  func(Pick)
	listener *balance.Listener
	quota    *balance.Quota
	share    *balance.ListenerQuota // the listener's part of it
	limited  bool                   // somebody may not get in
	patience int64                  // with a silent server, ns
	pools    []pool                 // in the order of listener.Pools
	servers  []server               // of all pools
	cookies  cookies

	now      int64
	events   events
	warms    int64 // when the next step of a slow start is due
	faults   []*fault
	arrivals []*arrivals
	clients  []*clients        // by stream; nil where nothing asks who a connection comes from
	visits   []*visits         // by stream; of HTTP
	replays  []*replay         // of the streams that have one
	waiting  queue[connection] // all wait equally long
	hangups  queue[hangup]
	coming   connection // the one that is looked at, unless it has waited; all have one destination

	// Of a service block.
	demands    []*demands // by stream
	stations   []*station
	departures departures
	jobs       *jobs // nil where the end of work is known when it comes

	gauges    [][]*gauge // by expectation; nil where the count is exact
	warm      bool       // the warm-up is over
	moved     bool       // a window may have opened or closed
	requests  int64
	step      int64 // of a timeline, ns; 0 without one
	stretches []*stretch
	stretch   *stretch // that counts who comes now; nil at the end
}

func newRun(c *spec.Config, sim *spec.Simulation, opt Options) (*run, error) {
	listeners, err := balance.Compile(c)
	if err != nil {
		return nil, err
	}
	balance.Drained(listeners, opt.Drained)
	l, err := target(c, sim, listeners)
	if err != nil {
		return nil, err
	}
	r := &run{
		sim: sim, seed: sim.Seed, observe: opt.Observe, listener: l, patience: int64(connectTimeout),
		quota:   balance.NewQuotas(listeners, nil)[l.LoadBalancer],
		limited: l.ACL != nil || l.CPS > 0 || l.MaxConnections > 0,
	}
	r.share = r.quota.Listeners[l.Address]
	r.coming.client.Destination = l.Endpoint
	if opt.Seed != nil {
		r.seed = *opt.Seed
	}
	r.addPools(c)
	r.addStations()
	for k := range sim.Faults {
		f := newFault(&sim.Faults[k], r.servers)
		r.faults = append(r.faults, f)
		r.events.push(event{int64(f.At), faultStarts, k})
		if f.For > 0 {
			r.events.push(event{int64(f.At + f.For), faultEnds, k})
		}
	}
	r.addGauges()
	r.events.push(event{int64(sim.Warmup), warmupEnds, 0})
	if opt.Timeline {
		r.addSteps()
	}
	if spec.L7(l.Protocol) {
		r.patience, r.cookies = int64(l.ConnectTimeout), newCookies(r.pools)
	}
	for k := range sim.Traffic {
		log, err := openReplay(cmp.Or(opt.Context, context.Background()), &sim.Traffic[k])
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.addTraffic(&sim.Traffic[k], log)
	}
	return r, nil
}

// addTraffic prepares a stream; log is what it replays, nil for one that is drawn.
func (r *run) addTraffic(t *spec.Traffic, log *replay) {
	l := r.listener
	if r.sim.Service != nil {
		r.demands = append(r.demands, newDemands(r.sim.Service, t.Name, r.seed))
	}
	if log != nil {
		r.replays = append(r.replays, log)
		r.arrivals = append(r.arrivals, log.arrivals())
	} else {
		r.arrivals = append(r.arrivals, newArrivals(t, r.seed))
	}
	if spec.L7(l.Protocol) {
		r.visits = append(r.visits, newVisits(l, t, log, r.seed))
		return
	}
	hashes := l.Scheduler == spec.SchedulerSCH || l.Scheduler == spec.SchedulerTCH || l.Scheduler == spec.SchedulerQCH
	var who *clients
	if hashes || r.limited || l.PersistenceTimeout > 0 || r.observe != nil {
		who = newClients(t, log, r.seed)
	}
	r.clients = append(r.clients, who)
}

// target finds the listener that a simulation sends its traffic to.
func target(c *spec.Config, sim *spec.Simulation, listeners []*balance.Listener) (*balance.Listener, error) {
	lb := c.LoadBalancer(sim.Target)
	if lb == nil {
		return nil, fmt.Errorf("target %s does not exist", sim.Target)
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

// finished closes the logs and tells what was wrong with them.
func (r *run) finished() error {
	var errs []error
	for _, p := range r.replays {
		errs = append(errs, p.Err())
	}
	return errors.Join(append(errs, r.close())...)
}

func (r *run) close() error {
	var errs []error
	for _, p := range r.replays {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
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
		r.depart(r.now)
		r.requests++
		if r.visits != nil {
			r.ask(k, a.index)
		} else {
			r.arrive(k, a.index)
		}
		a.step(a)
	}
	r.depart(int64(r.sim.Duration))
	r.closeStretch(int64(r.sim.Duration))
	for !r.waiting.empty() { // connections that still wait for a silent server
		r.advance(r.waiting.head().due)
	}
	if r.jobs != nil {
		r.depart(math.MaxInt64) // what servers still have to do, whatever else happens then
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
		r.depart(r.now)
		if r.onlyStep() {
			r.happen(r.events.pop())
			continue
		}
		rebuild := false
		for len(r.events) > 0 && r.events[0].at == r.now {
			rebuild = r.happen(r.events.pop()) || rebuild
		}
		if rebuild {
			r.rebuild()
		}
		r.settle()
		for !r.waiting.empty() && r.waiting.head().due == r.now {
			r.timeout()
		}
	}
}

// settle closes the windows of faults that nothing is left of.
func (r *run) settle() {
	for _, f := range r.faults {
		if f.open && f.settled(r.servers) {
			f.open = false
			r.moved = true
		}
	}
	if r.moved && r.stretch != nil {
		r.moved = false
		r.openStretch()
	}
}

func (r *run) result() *Result {
	res := &Result{
		Name: r.sim.Name, Seed: r.seed, Requests: r.requests, VirtualSeconds: r.sim.Duration.Seconds(),
		Windows: r.windows(), listener: r.listener, traffic: r.sim.Traffic, service: r.sim.Service, expects: r.sim.Expects,
	}
	for k := range r.sim.Expects {
		res.Expectations = append(res.Expectations, judge(&r.sim.Expects[k], r.gauges[k], res.Windows, what(r.listener)))
	}
	if r.step > 0 {
		res.Timeline = r.timeline()
	}
	return res
}
