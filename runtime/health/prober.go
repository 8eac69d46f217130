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
	targets map[key]*tracked
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

// tracked is a target and what is known about it, guarded by Prober.mu.
type tracked struct {
	target  Target
	verdict balance.Verdict
	reason  string
	since   time.Time
	stop    context.CancelFunc
}

// New returns a Prober without targets. Every change of a target's health is
// reported, one at a time, from a goroutine of the Prober's.
func New(report func(Event)) *Prober { return newProber(report, connect) }

func newProber(report func(Event), probe probeFunc) *Prober {
	return &Prober{
		probe:   probe,
		places:  make(chan struct{}, maxProbes),
		targets: make(map[key]*tracked),

		reporting: make(chan struct{}, 1),
		report:    report,
	}
}

// Set makes targets the whole set that is probed. A target is known by listener,
// backend and endpoint. One that stays keeps its verdict and its schedule; one
// whose check changes keeps its verdict, so that nothing is cut off by a change
// of thresholds, and is probed by the new check at once, as a new one is. Of a
// target that is no longer in the set no report begins after Set has returned.
func (p *Prober) Set(targets []Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	next := make(map[key]*tracked, len(targets))
	for _, target := range targets {
		k := target.key()
		old := p.targets[k]
		if next[k] != nil {
			continue // named twice; the first counts
		}
		if old != nil && old.target == target {
			next[k] = old
			delete(p.targets, k)
			continue
		}
		next[k] = p.start(target, old)
	}
	for _, t := range p.targets {
		t.stop()
	}
	p.targets = next
}

// start begins to probe a target. old is what was known of it, or nil.
func (p *Prober) start(target Target, old *tracked) *tracked {
	t := &tracked{target: target, reason: "not checked yet", since: time.Now(), stop: func() {}}
	if !target.Check.Enabled {
		t.reason = "health check is off"
		return t
	}
	if old != nil && old.target.Check.Enabled {
		t.verdict, t.reason, t.since = old.verdict, old.reason, old.since
	}
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	p.running.Go(func() { p.run(ctx, t) })
	return t
}

// Snapshot tells what is known of every target, ordered by listener, backend and endpoint.
func (p *Prober) Snapshot() []Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Event, 0, len(p.targets))
	for _, k := range slices.SortedFunc(maps.Keys(p.targets), key.compare) {
		all = append(all, p.targets[k].event())
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

// run probes one target until ctx ends: at once, and then an interval after the
// end of each probe.
func (p *Prober) run(ctx context.Context, t *tracked) {
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case p.places <- struct{}{}:
		}
		r := p.probe(ctx, t.target.Endpoint, t.target.Check.Timeout)
		<-p.places
		p.observe(ctx, t, r)

		pause := t.target.Check.Interval
		if first && r.outcome == passed {
			pause = phase(t.target)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// phase is the first pause of a target that is well, between 0 and its interval:
// targets that were added together do not stay in step. One that is not well
// keeps to the interval, so that the time to its verdict is the documented one.
func phase(t Target) time.Duration {
	h := fnv.New32a()
	fmt.Fprint(h, t.Listener, "\x00", t.Backend, "\x00", t.Endpoint)
	return time.Duration(float64(t.Check.Interval) * float64(h.Sum32()) / (1 << 32))
}

// observe takes a result into the verdict and reports a change.
func (p *Prober) observe(ctx context.Context, t *tracked, r result) {
	if r.outcome == unknown || ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	before := t.verdict.Health()
	changed := t.verdict.Observe(r.outcome == passed, t.target.Check)
	switch {
	case changed:
		t.since = time.Now()
		t.reason = reasonOf(before, t.target.Check, r)
	case r.outcome == failed && before != balance.Normal:
		t.reason = r.cause // why it is still not well
	}
	event := t.event()
	p.mu.Unlock()
	if !changed {
		return
	}
	select {
	case <-ctx.Done():
		return
	case p.reporting <- struct{}{}:
	}
	if ctx.Err() == nil { // both may have been ready
		p.report(event)
	}
	<-p.reporting
}

func (t *tracked) event() Event {
	return Event{
		Listener: t.target.Listener,
		Backend:  t.target.Backend,
		Endpoint: t.target.Endpoint,
		Health:   t.verdict.Health(),
		Reason:   t.reason,
		Since:    t.since,
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
