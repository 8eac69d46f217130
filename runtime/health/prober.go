package health

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"slbctl/runtime/balance"
)

// maxProbes is how many probes are in flight at most. It is high because a probe
// that hangs keeps its place for a whole timeout: a thousand servers that died
// together must not delay the news about the others.
const maxProbes = 1024

// Prober probes a set of targets until it is closed.
type Prober struct {
	probe  probeFunc
	places chan struct{} // one token for each probe in flight

	mu      sync.Mutex
	targets map[key]*server
	known   map[key]Event // what Restore said of targets that are not set yet
	closed  bool
	running sync.WaitGroup

	// reporting has one place: reports come one at a time and in the order of the
	// verdicts. Set never takes it, because whoever calls Set may hold locks that
	// report waits for.
	reporting chan struct{}
	report    func(Event)
}

// key tells targets apart. The endpoint belongs to it so that the old and the new
// server of a replacement, which share a name, are probed side by side.
type key struct {
	listener, backend string
	endpoint          netip.AddrPort
}

func (t Target) key() key { return key{t.Listener, t.Backend, t.Endpoint} }

func (k key) compare(other key) int {
	return cmp.Or(cmp.Compare(k.listener, other.listener), cmp.Compare(k.backend, other.backend), k.endpoint.Compare(other.endpoint))
}

// probing tells apart what is probed: targets that have it in common share a server.
type probing struct {
	group    string
	alone    key // of a target that shares with none
	endpoint netip.AddrPort
	check    balance.Check
}

func (t Target) probing() probing {
	p := probing{group: t.Group, endpoint: t.Endpoint, check: t.Check}
	if t.Group == "" {
		p.alone = t.key()
	}
	return p
}

// server is what is probed and what is known about it, guarded by Prober.mu.
type server struct {
	probing
	asked   []key // the targets that want to know
	verdict balance.Verdict
	reason  string
	since   time.Time
	stop    context.CancelFunc
	ctx     context.Context
}

// New returns a Prober without targets. Every change of a target's health is
// reported, one at a time, from a goroutine of the Prober's.
func New(report func(Event)) *Prober { return newProber(report, probe) }

func newProber(report func(Event), probe probeFunc) *Prober {
	return &Prober{
		probe:   probe,
		places:  make(chan struct{}, maxProbes),
		targets: make(map[key]*server),

		reporting: make(chan struct{}, 1),
		report:    report,
	}
}

// Restore tells what was known of targets before, by a Prober that ended. Targets that
// are set from now on go on from there, and it is reported of them at once.
func (p *Prober) Restore(known []Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = make(map[key]Event, len(known))
	for _, e := range known {
		p.known[key{e.Listener, e.Backend, e.Endpoint}] = e
	}
}

// Set makes targets the whole set that is probed. A target is known by listener,
// backend and endpoint. One that stays keeps its verdict and its schedule; one
// whose check changes keeps its verdict, so that nothing is cut off by a change
// of thresholds, and is probed by the new check at once, as a new one is. A new target
// that shares its server with others is told what they know. Of a target that is no
// longer in the set no report begins after Set has returned.
func (p *Prober) Set(targets []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	before := make(map[probing]*server, len(p.targets))
	for _, s := range p.targets {
		before[s.probing], s.asked = s, nil
	}
	next, servers := make(map[key]*server, len(targets)), make(map[probing]*server, len(targets))
	for _, target := range targets {
		k, what := target.key(), target.probing()
		if next[k] != nil {
			continue // named twice; the first counts
		}
		s := servers[what]
		if s == nil {
			if s = before[what]; s == nil {
				s = p.start(what, p.targets[k], k)
			}
			servers[what] = s
			delete(before, what)
		}
		next[k] = s
		s.asked = append(s.asked, k)
		if p.targets[k] == nil && s.verdict.Health() != balance.Unavailable {
			p.running.Go(func() { p.tell(s, k, s.event(k)) })
		}
	}
	for _, s := range before {
		s.stop()
	}
	p.targets = next
}

// start begins to probe a server for target k. old is what was known of k, or nil.
func (p *Prober) start(what probing, old *server, k key) *server {
	s := &server{probing: what, reason: "not checked yet", since: time.Now()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if !what.check.Enabled {
		s.reason = "health check is off"
		return s
	}
	if known, ok := p.known[k]; ok {
		s.remember(known)
		delete(p.known, k)
	}
	if old != nil && old.check.Enabled {
		s.verdict, s.reason, s.since = old.verdict, old.reason, old.since
	}
	p.running.Go(func() { p.run(s) })
	return s
}

// remember takes over a verdict, as if the checks that led to it had been seen.
func (s *server) remember(e Event) {
	switch e.Health {
	case balance.Unavailable:
		return
	case balance.Normal:
		s.verdict.Observe(true, s.check)
	case balance.Abnormal:
		for range s.check.Unhealthy {
			s.verdict.Observe(false, s.check)
		}
	}
	s.reason, s.since = e.Reason, e.Since
}

// Snapshot tells what is known of every target, ordered by listener, backend and endpoint.
func (p *Prober) Snapshot() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Event, 0, len(p.targets))
	for _, k := range slices.SortedFunc(maps.Keys(p.targets), key.compare) {
		all = append(all, p.targets[k].event(k))
	}
	return all
}

// Close ends all probing and waits for it, and for a report under way: the
// caller must hold no lock that report takes.
func (p *Prober) Close() {
	p.mu.Lock()
	p.closed = true
	for _, t := range p.targets {
		t.stop()
	}
	clear(p.targets)
	p.mu.Unlock()
	p.running.Wait()
}

// run probes a server until its context ends: at once, and then an interval after the
// end of each probe.
func (p *Prober) run(s *server) {
	for first := true; ; first = false {
		select {
		case <-s.ctx.Done():
			return
		case p.places <- struct{}{}:
		}
		r := p.probe(s.ctx, s.endpoint, s.check)
		<-p.places
		p.observe(s, r)

		pause := s.check.Interval
		if first && r.outcome == passed {
			pause = s.phase()
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// phase is the first pause of a server that is well, between 0 and its interval:
// servers that were added together do not stay in step. One that is not well
// keeps to the interval, so that the time to its verdict is the documented one.
func (s *server) phase() time.Duration {
	h := fnv.New32a()
	fmt.Fprint(h, s.group, "\x00", s.alone.listener, "\x00", s.alone.backend, "\x00", s.endpoint)
	return time.Duration(float64(s.check.Interval) * float64(h.Sum32()) / (1 << 32))
}

// observe takes a result into the verdict and reports a change to all who ask.
func (p *Prober) observe(s *server, r result) {
	if r.outcome == unknown || s.ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	before := s.verdict.Health()
	changed := s.verdict.Observe(r.outcome == passed, s.check)
	switch {
	case changed:
		s.since = time.Now()
		s.reason = reasonOf(before, s.check, r)
	case r.outcome == failed && before != balance.Normal:
		s.reason = r.cause // why it is still not well
	}
	var events []Event
	if changed {
		for _, k := range s.asked {
			events = append(events, s.event(k))
		}
	}
	p.mu.Unlock()
	for _, e := range events {
		p.tell(s, key{e.Listener, e.Backend, e.Endpoint}, e)
	}
}

// tell reports of a target, unless it is not asked about any more.
func (p *Prober) tell(s *server, k key, e Event) {
	select {
	case <-s.ctx.Done():
		return
	case p.reporting <- struct{}{}:
	}
	defer func() { <-p.reporting }()
	p.mu.Lock()
	wanted := p.targets[k] == s && s.ctx.Err() == nil
	p.mu.Unlock()
	if wanted {
		p.report(e)
	}
}

func (s *server) event(k key) Event {
	return Event{
		Listener: k.listener, Backend: k.backend, Endpoint: k.endpoint,
		Health: s.verdict.Health(), Reason: s.reason, Since: s.since,
	}
}

// reasonOf explains a change of health that result r brought about.
func reasonOf(before balance.Health, c balance.Check, r result) string {
	switch {
	case r.outcome == failed:
		return r.cause
	case before == balance.Unavailable:
		return "first check passed"
	default:
		return fmt.Sprintf("%d of %d checks passed", c.Healthy, c.Healthy)
	}
}
