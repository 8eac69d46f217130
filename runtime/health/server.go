package health

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	"slbctl/runtime/balance"
)

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

// asker is a target of the set, guarded by Prober.mu.
type asker struct {
	server *server
	told   balance.Health // what was reported last
}

// due reports whether there is something to tell: that nothing is known is no news.
func (a *asker) due() bool {
	h := a.server.verdict.Health()
	return h != balance.Unavailable && h != a.told
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
	asked   []key // the targets that want to know; none once it is dropped
	verdict balance.Verdict
	reason  string
	since   time.Time
	next    time.Time // when the next probe begins; in the past while one is under way
	stop    context.CancelFunc
	ctx     context.Context
}

func newServer(what probing) *server {
	s := &server{probing: what, reason: "not checked yet", since: time.Now()}
	if !what.check.Enabled {
		s.reason = "health check is off"
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// ignorant reports whether a server that is checked has no verdict.
func (s *server) ignorant() bool {
	return s.check.Enabled && s.verdict.Health() == balance.Unavailable
}

// remember lets a server without a verdict start from that of an earlier Prober, as if
// it had seen the checks that led to it.
func (s *server) remember(e Event) {
	if e.Health == balance.Unavailable || !s.ignorant() {
		return
	}
	s.verdict = balance.Verdict{}
	for range s.check.Unhealthy {
		s.verdict.Observe(e.Health == balance.Normal, s.check)
	}
	s.reason, s.since = e.Reason, e.Since
}

// takeOver lets a server without a verdict start from that of another, which probed the
// same endpoint by another check.
func (s *server) takeOver(old *server) {
	if s.ignorant() && old.verdict.Health() != balance.Unavailable {
		s.verdict, s.reason, s.since = old.verdict, old.reason, old.since
	}
}

// observe takes a result into the verdict and reports whether it changed the health.
func (s *server) observe(r result) (changed bool) {
	if r.outcome == unknown {
		return false
	}
	before := s.verdict.Health()
	changed = s.verdict.Observe(r.outcome == passed, s.check)
	switch {
	case changed:
		s.since = time.Now()
		s.reason = reasonOf(before, s.check, r)
	case r.outcome == failed && before != balance.Normal:
		s.reason = r.cause // why it is still not well
	}
	return changed
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

// phase is the first pause of a server that is well, between 0 and its interval:
// servers that were added together do not stay in step. One that is not well
// keeps to the interval, so that the time to its verdict is the documented one.
func (s *server) phase() time.Duration {
	h := fnv.New32a()
	fmt.Fprint(h, s.group, "\x00", s.alone.listener, "\x00", s.alone.backend, "\x00", s.endpoint)
	return time.Duration(float64(s.check.Interval) * float64(h.Sum32()) / (1 << 32))
}

func (s *server) event(k key) Event {
	return Event{
		Listener: k.listener, Backend: k.backend, Endpoint: k.endpoint,
		Health: s.verdict.Health(), Reason: s.reason, Since: s.since,
	}
}
