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

// Options of Run. The zero value is what the configuration says.
type Options struct {
	// Seed replaces the simulation's.
	Seed *uint64
	// Drained lists servers that were drained by hand, as balance.Drained takes them.
	Drained []string
	// Before is the configuration that is recorded, which a change takes the place of; nil = none is.
	Before *spec.Config
	// Context ends the reading of logs; nil = nothing does.
	Context context.Context
	// Record is a trace to make of what was sent and of which server took it.
	Record string
	// Timeline has the result tell how things went step by step.
	Timeline bool
	// Observe sees every connection, or request, once it is served or given up.
	Observe func(Pick)

	live bool // what is counted was seen, and not foretold
	// patience is how long clients wait for an answer; 0 = for as long as the listener does.
	patience time.Duration
}

// Pick is what became of one connection, or of one request.
type Pick struct {
	At      time.Duration // when it came
	Took    time.Duration // until its server was done; 0 where servers take no time
	Client  balance.Client
	Outcome Outcome
	Backend string // empty if no server took it
	Route   string // resource address of the rule or listener that decided; empty = none
	Stream  int    // index of the traffic that it belongs to
	Visitor uint64 // the client's number in its stream

	// Of HTTP.
	Host, Path string
	First      bool // the client begins a session: it has no cookie

	conn  *connection // while it is told, for who goes on with it in this package
	index int         // of the server in its pool
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
	last     *generation // that of the files
	serving  *generation // at the moment
	live     bool
	listener *balance.Listener
	quotas   map[string]*balance.Quota
	quota    *balance.Quota
	share    *balance.ListenerQuota // the listener's part of it
	limited  bool                   // somebody may not get in
	counts   bool                   // it matters how many are in
	epoch    int                    // how often the tables were swapped
	always   []string               // drained by hand before
	hands    []string               // instances that are drained by hand now
	patience time.Duration          // of clients; 0 = that of the listener
	service  *spec.Service          // what servers do; nil = they take no time
	pools    []pool                 // of each generation in the order of its listener's
	servers  []server               // of all pools
	cookies  cookies

	now      int64
	events   events
	warms    int64 // when the next step of a slow start is due
	episodes []*episode
	faults   []*fault
	drains   []*drain
	deploys  []*deployment
	acts     []int64  // when an operator has done something
	taking   *episode // the change
	leaving  []int32  // lines of servers that the change leaves behind
	arrivals []*arrivals
	clients  []*clients        // by stream; nil where nothing asks who a connection comes from
	visits   []*visits         // by stream; of HTTP
	replays  []*replay         // of the streams that have one
	waiting  queue[connection] // that hang, by when they are given up
	woken    bool              // somebody may hang no more
	spare    []balance.Tried   // of connections that have waited
	hangups  queue[hangup]
	coming   connection // the one that is looked at, unless it has waited; all have one destination
	block    *block     // nil where each connection is looked at alone
	fine     bool       // all servers in the table are, or only refuse,
	refuse   bool       // as some do,
	looked   bool       // as far as that was looked at since something last happened to them

	// Of a service block.
	demands    []*demands // by stream
	times      *measured  // nil where times are drawn
	stations   []*station
	departures departures
	jobs       *jobs // nil where the end of work is known when it comes

	moves     *movements // nil where nobody asks
	gauges    [][]*gauge // by expectation; nil where the count is exact
	warm      bool       // the warm-up is over
	moved     bool       // a window may have opened or closed
	warned    []string
	broken    error // what should not have been possible
	requests  int64
	step      int64 // of a timeline, ns; 0 without one
	stretches []*stretch
	stretch   *stretch // that counts who comes now; nil at the end
}

func newRun(c *spec.Config, sim *spec.Simulation, opt Options) (*run, error) {
	r := &run{sim: sim, seed: sim.Seed, observe: opt.Observe, live: opt.live, always: opt.Drained, patience: opt.patience, service: sim.Service}
	if opt.Seed != nil {
		r.seed = *opt.Seed
	}
	var err error
	if r.last, err = newGeneration(c, sim, opt.Drained, nil); err != nil {
		return nil, err
	}
	first, err := r.earlier(opt.Before, opt.Drained)
	if err != nil {
		return nil, err
	}
	r.addPools(r.last)
	if first == nil {
		first = r.last
	} else {
		r.addPools(first)
	}
	r.begin(first)
	r.addStations()
	r.addEvents()
	r.addGauges()
	r.addMoves()
	if opt.Timeline {
		r.addSteps()
	}
	if l := first.listener; spec.L7(l.Protocol) {
		r.cookies = newCookies(r.pools)
	}
	ctx := cmp.Or(opt.Context, context.Background())
	if r.times, err = readMeasured(ctx, sim.Service); err != nil {
		return nil, err
	}
	for k := range sim.Traffic {
		log, err := openReplay(ctx, &sim.Traffic[k])
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.addTraffic(&sim.Traffic[k], log)
	}
	r.addBlock()
	return r, nil
}

// addEvents prepares all that is to happen beside the traffic.
func (r *run) addEvents() {
	for i := range r.current() {
		if r.current()[i].probed {
			r.events.push(event{0, probeStarts, r.serving.first + i})
		}
	}
	for k := range r.sim.Faults {
		f := newFault(&r.sim.Faults[k], r.servers)
		f.episode = r.addEpisode(f.Name, func() bool { return f.gone(r) })
		r.faults = append(r.faults, f)
		r.events.push(event{int64(f.At), faultStarts, k})
		if f.For > 0 {
			r.events.push(event{int64(f.At + f.For), faultEnds, k})
		}
	}
	for k := range r.sim.Changes {
		r.addChange(k)
	}
	for k := range r.sim.Drains {
		r.addDrain(k)
	}
	for k := range r.sim.Deploys {
		r.addDeploy(k)
	}
	r.events.push(event{int64(r.sim.Warmup), warmupEnds, 0})
}

// addTraffic prepares a stream; log is what it replays, nil for one that is drawn.
func (r *run) addTraffic(t *spec.Traffic, log *replay) {
	first, last := r.serving, r.last
	if r.service != nil {
		d := newDemands(r.service, t.Name, r.seed)
		if d.times = r.times; log != nil && t.Log == r.service.Log {
			d.own = log
		}
		r.demands = append(r.demands, d)
	}
	if log != nil {
		r.replays = append(r.replays, log)
		r.arrivals = append(r.arrivals, log.arrivals())
	} else {
		r.arrivals = append(r.arrivals, newArrivals(t, r.seed))
	}
	if spec.L7(last.listener.Protocol) {
		v := newVisits(first, last, t, log, r.seed)
		if r.visits = append(r.visits, v); r.moves != nil {
			r.moves.addStream(v.count)
		}
		return
	}
	var who *clients
	if r.limited || asksWho(first.listener) || asksWho(last.listener) || r.observe != nil || r.moves != nil {
		who = newClients(t, log, r.seed)
	}
	if r.clients = append(r.clients, who); r.moves != nil {
		r.moves.addStream(who.count)
	}
}

// asksWho reports whether a listener of L4 chooses by who comes.
func asksWho(l *balance.Listener) bool {
	switch l.Scheduler {
	case spec.SchedulerSCH, spec.SchedulerTCH, spec.SchedulerQCH:
		return true
	}
	return l.PersistenceTimeout > 0
}

// limits reports whether a listener may refuse who comes.
func limits(l *balance.Listener) bool { return l.ACL != nil || l.CPS > 0 || l.MaxConnections > 0 }

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
	errs := []error{r.broken}
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
		if r.inTurn() {
			r.arriveInTurn(end)
			continue
		}
		r.now = a.next
		r.depart(r.now)
		r.requests++
		if r.visits != nil {
			r.ask(k, a.index)
		} else {
			r.arrive(k, a.index)
		}
		a.step()
	}
	r.depart(int64(r.sim.Duration))
	r.closeStretch(int64(r.sim.Duration))
	for !r.waiting.empty() { // connections to servers that hang
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
func (r *run) due(t int64) bool { return r.next() <= t }

// next is when something is to happen beside the traffic.
func (r *run) next() int64 {
	at := int64(math.MaxInt64)
	if len(r.events) > 0 {
		at = r.events[0].at
	}
	if !r.waiting.empty() {
		at = min(at, r.waiting.head().due)
	}
	return at
}

// advance lets everything happen up to and including the given time: at each instant
// the events first, then the retries, who see what the events changed.
func (r *run) advance(until int64) {
	for r.due(until) {
		r.now = r.next()
		r.depart(r.now)
		if r.onlyStep() {
			r.happen(r.events.pop())
			continue
		}
		rebuild := false
		for len(r.events) > 0 && r.events[0].at == r.now {
			rebuild = r.happen(r.events.pop()) || rebuild
		}
		if r.woken {
			rebuild = r.wakeProbes() || rebuild
		}
		if rebuild {
			r.rebuild()
		}
		if r.woken {
			r.wake()
		}
		r.goOn()
		r.settle()
		for !r.waiting.empty() && r.waiting.head().due == r.now {
			r.timeout()
		}
	}
}

func (r *run) result() *Result {
	res := &Result{
		Name: r.sim.Name, Seed: r.seed, Requests: r.requests, VirtualSeconds: r.sim.Duration.Seconds(),
		Warnings: r.warnings(), Windows: r.windows(), listener: r.last.listener, traffic: r.sim.Traffic, service: r.sim.Service, sim: r.sim,
	}
	for k := range r.sim.Expects {
		if r.sim.Expects[k].Metric == spec.MetricClientsMoved {
			res.Expectations = append(res.Expectations, r.judgeMoves(k, res.Windows))
			continue
		}
		res.Expectations = append(res.Expectations, judge(&r.sim.Expects[k], r.gauges[k], res.Windows, what(r.last.listener)))
	}
	if r.step > 0 {
		res.Timeline = r.timeline()
	}
	return res
}
