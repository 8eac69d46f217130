package health

import (
	"context"
	"maps"
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
	targets map[key]*asker
	known   map[key]Event // what Restore said; the next Set uses it up
	closed  bool
	running sync.WaitGroup

	// reporting has one place: reports come one at a time and in the order of the
	// verdicts. Set never takes it, because whoever calls Set may hold locks that
	// report waits for.
	reporting chan struct{}
	report    func(Event)
}

// New returns a Prober without targets. Every change of a target's health is
// reported, one at a time, from a goroutine of the Prober's.
func New(report func(Event)) *Prober { return newProber(report, probe) }

func newProber(report func(Event), probe probeFunc) *Prober {
	return &Prober{
		probe:   probe,
		places:  make(chan struct{}, maxProbes),
		targets: make(map[key]*asker),

		reporting: make(chan struct{}, 1),
		report:    report,
	}
}

// Restore tells what was known before, by a Prober that ended. The targets of the next
// Set go on from there, and it is reported of them at once; what that Set does not name
// is forgotten, since it would be old news later.
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
// of thresholds, and is probed by the new check at once, as a new one is. A target
// that comes to share its server with others is told what they know, where that is
// news. Of a target that is no longer in the set nothing is reported any more, but for
// a report that had begun when Set was called.
func (p *Prober) Set(targets []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	before := make(map[probing]*server, len(p.targets))
	for _, a := range p.targets {
		before[a.server.probing], a.server.asked = a.server, nil
	}
	next, servers := make(map[key]*asker, len(targets)), make(map[probing]*server, len(targets))
	for _, target := range targets {
		k, what := target.key(), target.probing()
		if next[k] != nil {
			continue // named twice; the first counts
		}
		s := servers[what]
		if s == nil {
			if s = before[what]; s == nil {
				s = newServer(what)
				p.running.Go(func() { p.run(s) })
			}
			servers[what] = s
			delete(before, what)
		}
		next[k] = p.ask(s, k)
	}
	for _, s := range before {
		s.stop()
	}
	p.targets, p.known = next, nil
	for k, a := range next {
		if a.due() {
			ctx := a.server.ctx
			p.running.Go(func() { p.tell(ctx, k) })
		}
	}
}

// ask has target k ask server s, which learns what is known of the target if it has no
// verdict of its own. The caller holds mu.
func (p *Prober) ask(s *server, k key) *asker {
	a := p.targets[k]
	if a == nil {
		a = &asker{}
		if e, ok := p.known[k]; ok {
			s.remember(e)
		}
	} else if a.server != s {
		s.takeOver(a.server)
	}
	a.server = s
	s.asked = append(s.asked, k)
	if !s.check.Enabled {
		a.told = balance.Unavailable
	}
	return a
}

// Snapshot tells what is known of every target, ordered by listener, backend and endpoint.
func (p *Prober) Snapshot() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Event, 0, len(p.targets))
	for _, k := range slices.SortedFunc(maps.Keys(p.targets), key.compare) {
		all = append(all, p.targets[k].server.event(k))
	}
	return all
}

// Due tells how long it is until a target, known by listener, backend and endpoint, is
// probed next: 0 while that is under way, and for one that is not probed.
func (p *Prober) Due(t Target) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.targets[t.key()]
	if a == nil {
		return 0
	}
	return max(0, time.Until(a.server.next))
}

// Close ends all probing and waits for it, and for a report under way: the
// caller must hold no lock that report takes.
func (p *Prober) Close() {
	p.mu.Lock()
	p.closed = true
	for _, a := range p.targets {
		a.server.stop()
	}
	clear(p.targets)
	p.mu.Unlock()
	p.running.Wait()
}

// run probes a server until its context ends: at once, and then an interval after the
// end of each probe.
func (p *Prober) run(s *server) {
	if !s.check.Enabled {
		return
	}
	for first := true; ; first = false {
		select {
		case <-s.ctx.Done():
			return
		case p.places <- struct{}{}:
		}
		r := p.probe(s.ctx, s.endpoint, s.check)
		<-p.places
		health := p.observe(s, r)

		pause := s.check.Interval
		if first && r.outcome == passed && health == balance.Normal {
			pause = s.phase()
		}
		p.mu.Lock()
		s.next = time.Now().Add(pause)
		p.mu.Unlock()
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// observe takes a result into the verdict, reports a change to all who ask, and returns
// the health that came of it.
func (p *Prober) observe(s *server, r result) balance.Health {
	p.mu.Lock()
	var news []key
	if s.observe(r) {
		news = slices.Clone(s.asked)
	}
	health := s.verdict.Health()
	p.mu.Unlock()
	for _, k := range news {
		p.tell(s.ctx, k)
	}
	return health
}

// tell reports of target k what is known of it by the time its turn comes, unless that
// is no news. What is reported last is thus never older than what was reported before.
func (p *Prober) tell(ctx context.Context, k key) {
	select {
	case <-ctx.Done():
		return // whoever took the server's place tells
	case p.reporting <- struct{}{}:
	}
	defer func() { <-p.reporting }()
	p.mu.Lock()
	a := p.targets[k]
	if a == nil || !a.due() {
		p.mu.Unlock()
		return
	}
	e := a.server.event(k)
	a.told = e.Health
	p.mu.Unlock()
	p.report(e)
}
