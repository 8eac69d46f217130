package health

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"slbctl/runtime/balance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	endpoint    = netip.MustParseAddrPort("127.0.0.1:80")
	udpDefaults = balance.Check{Enabled: true, Interval: 5 * time.Second, Timeout: 10 * time.Second, Healthy: 3, Unhealthy: 3}
	defaults    = balance.Check{Enabled: true, Interval: 2 * time.Second, Timeout: 5 * time.Second, Healthy: 3, Unhealthy: 3}
)

func target(backend string) Target {
	return Target{Listener: "lb", Backend: backend, Endpoint: endpoint, Check: defaults}
}

// script is a backend whose behaviour a test sets: "pass", "slow", "refuse", "hang" or "local".
type script struct {
	mode   atomic.Value
	mu     sync.Mutex
	starts []time.Time
	open   atomic.Int64
	most   atomic.Int64
}

func newScript(mode string) *script {
	s := &script{}
	s.mode.Store(mode)
	return s
}

func (s *script) probe(ctx context.Context, _ netip.AddrPort, c balance.Check) result {
	s.mu.Lock()
	s.starts = append(s.starts, time.Now())
	s.mu.Unlock()
	s.most.Store(max(s.most.Load(), s.open.Add(1)))
	defer s.open.Add(-1)
	switch s.mode.Load() {
	case "pass":
		return result{outcome: passed}
	case "refuse":
		return result{failed, "connection refused"}
	case "local":
		return result{outcome: unknown}
	case "slow": // passes after a second
		time.Sleep(time.Second)
		return result{outcome: passed}
	}
	select {
	case <-ctx.Done():
	case <-time.After(c.Timeout):
	}
	return result{failed, fmt.Sprintf("no answer within %v", c.Timeout)}
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.starts)
}

// recorder collects reports and the virtual time since its making at which they came.
type recorder struct {
	mu     sync.Mutex
	start  time.Time
	events []Event
	at     []time.Duration
}

func newRecorder() *recorder { return &recorder{start: time.Now()} }

func (r *recorder) report(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events, r.at = append(r.events, e), append(r.at, time.Since(r.start))
}

func (r *recorder) take(t *testing.T, want int) ([]Event, []time.Duration) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) != want {
		t.Fatalf("%d reports, want %d: %+v", len(r.events), want, r.events)
	}
	events, at := r.events, r.at
	r.events, r.at = nil, nil
	return events, at
}

// The product's formulas for the time to each verdict.
func TestTimeToVerdict(t *testing.T) {
	tests := []struct {
		mode   string
		check  balance.Check
		after  time.Duration
		health balance.Health
		reason string
	}{
		{"hang", defaults, 19 * time.Second, balance.Abnormal, "no answer within 5s"},
		{"refuse", defaults, 4 * time.Second, balance.Abnormal, "connection refused"},
		{"hang", udpDefaults, 40 * time.Second, balance.Abnormal, "no answer within 10s"},
		{"refuse", udpDefaults, 10 * time.Second, balance.Abnormal, "connection refused"},
		{"pass", defaults, 0, balance.Normal, "first check passed"},
		{"refuse", balance.Check{Enabled: true, Interval: 50 * time.Second, Timeout: 50 * time.Second, Healthy: 2, Unhealthy: 10}, 450 * time.Second, balance.Abnormal, "connection refused"},
		{"hang", balance.Check{Enabled: true, Interval: 10 * time.Millisecond, Timeout: 20 * time.Millisecond, Healthy: 1, Unhealthy: 1}, 20 * time.Millisecond, balance.Abnormal, "no answer within 20ms"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.mode, test.after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s := newRecorder(), newScript(test.mode)
				p := newProber(r.report, s.probe)
				defer p.Close()
				one := target("a")
				one.Check = test.check
				p.Set([]Target{one})
				time.Sleep(test.after + time.Hour)
				events, at := r.take(t, 1)
				want := Event{Listener: "lb", Backend: "a", Endpoint: endpoint, Health: test.health, Reason: test.reason, Since: r.start.Add(test.after)}
				if events[0] != want || at[0] != test.after {
					t.Errorf("after %v: %+v, want %+v after %v", at[0], events[0], want, test.after)
				}
				if snapshot := p.Snapshot(); len(snapshot) != 1 || snapshot[0] != want {
					t.Errorf("snapshot %+v", snapshot)
				}
			})
		})
	}
}

func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRecorder(), newScript("pass")
		p := newProber(r.report, s.probe)
		defer p.Close()
		p.Set([]Target{target("a")})
		time.Sleep(time.Minute)
		r.take(t, 1)

		s.mode.Store("local") // no descriptors left here: says nothing about the backend
		time.Sleep(time.Hour)
		r.take(t, 0)

		s.mode.Store("refuse")
		broken := time.Since(r.start)
		time.Sleep(time.Minute)
		_, at := r.take(t, 1)
		if took := at[0] - broken; took <= 4*time.Second || took > 6*time.Second {
			t.Errorf("abnormal after %v, want interval*(U-1) after the next probe", took)
		}

		s.mode.Store("pass")
		mended := time.Since(r.start)
		time.Sleep(time.Minute)
		events, at := r.take(t, 1)
		if took := at[0] - mended; took <= 4*time.Second || took > 6*time.Second {
			t.Errorf("normal after %v, want interval*(H-1) after the next probe", took)
		}
		if events[0].Health != balance.Normal || events[0].Reason != "3 of 3 checks passed" {
			t.Errorf("got %+v", events[0])
		}
	})
}

// While a backend stays sick, the reason is the latest one and since stays.
func TestReasonFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRecorder(), newScript("hang")
		p := newProber(r.report, s.probe)
		defer p.Close()
		p.Set([]Target{target("a")})
		if got := p.Snapshot()[0]; got.Reason != "not checked yet" || got.Health != balance.Unavailable {
			t.Errorf("before the first probe: %+v", got)
		}
		time.Sleep(6 * time.Second)
		if got := p.Snapshot()[0]; got.Reason != "no answer within 5s" || got.Health != balance.Unavailable {
			t.Errorf("after one failure: %+v", got)
		}
		time.Sleep(time.Minute)
		events, _ := r.take(t, 1)
		s.mode.Store("refuse")
		time.Sleep(time.Minute)
		got := p.Snapshot()[0]
		if got.Reason != "connection refused" || got.Since != events[0].Since || got.Health != balance.Abnormal {
			t.Errorf("got %+v after %+v", got, events[0])
		}
		r.take(t, 0)
	})
}

func TestSetKeepsWhatStays(t *testing.T) {
	changed := func(f func(*Target)) Target { x := target("a"); f(&x); return x }
	tests := []struct {
		name         string
		next         Target
		health       balance.Health // right after Set, before any probe
		probedAtOnce bool
	}{
		{"equal", target("a"), balance.Normal, false},
		{"other interval", changed(func(x *Target) { x.Check.Interval = time.Second }), balance.Normal, true},
		{"other endpoint", changed(func(x *Target) { x.Endpoint = netip.MustParseAddrPort("127.0.0.2:80") }), balance.Unavailable, true},
		{"other backend", changed(func(x *Target) { x.Backend = "b" }), balance.Unavailable, true},
		{"other listener", changed(func(x *Target) { x.Listener = "lb2" }), balance.Unavailable, true},
		{"check off", changed(func(x *Target) { x.Check.Enabled = false }), balance.Unavailable, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s := newRecorder(), newScript("pass")
				p := newProber(r.report, s.probe)
				defer p.Close()
				p.Set([]Target{target("a")})
				time.Sleep(10*time.Second + time.Millisecond) // between two probes
				first, _ := r.take(t, 1)
				probes := s.count()

				s.mode.Store("hang")
				p.Set([]Target{test.next})
				got := p.Snapshot()
				if len(got) != 1 || got[0].Health != test.health {
					t.Fatalf("snapshot %+v, want %v", got, test.health)
				}
				if kept := got[0].Since == first[0].Since; kept != (test.health == balance.Normal) {
					t.Errorf("since %v, was %v", got[0].Since, first[0].Since)
				}
				synctest.Wait()
				if s.count() > probes != test.probedAtOnce {
					t.Errorf("%d probes at once, want some: %v", s.count()-probes, test.probedAtOnce)
				}
				time.Sleep(time.Minute)
				if probed := s.count() > probes; probed != test.next.Check.Enabled {
					t.Errorf("probed later: %v", probed)
				}
			})
		})
	}
}

// A probe in flight when its target is removed reports nothing, and neither does
// a verdict that waits for an earlier report to end.
func TestRemovedNeverReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRecorder(), newScript("hang")
		p := newProber(r.report, s.probe)
		defer p.Close()
		quick := target("a")
		quick.Check.Unhealthy = 1
		p.Set([]Target{quick})
		time.Sleep(4 * time.Second)
		p.Set(nil)
		synctest.Wait()
		if s.open.Load() != 0 {
			t.Error("the probe of a removed target goes on")
		}
		time.Sleep(time.Minute)
		r.take(t, 0)
		if got := p.Snapshot(); len(got) != 0 {
			t.Errorf("snapshot %+v", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		held := make(chan struct{})
		var got []string
		p := newProber(func(e Event) { got = append(got, e.Backend); <-held }, newScript("pass").probe)
		p.Set([]Target{target("a"), target("b")})
		synctest.Wait() // one report is under way, the other verdict waits
		p.Set(nil)
		close(held)
		p.Close()
		if len(got) != 1 {
			t.Errorf("reports %v, want only the one that had begun", got)
		}
	})
}

// A report may wait for a lock that the caller of Set holds.
func TestSetDoesNotWaitForReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unlocked := make(chan struct{})
		p := newProber(func(Event) { <-unlocked }, newScript("pass").probe)
		p.Set([]Target{target("a")})
		synctest.Wait()
		p.Set([]Target{target("b")})
		close(unlocked)
		p.Close()
	})
}

func TestNoBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		s := newScript("pass")
		p := newProber(func(Event) {}, s.probe)
		defer p.Close()
		targets := make([]Target, n)
		for i := range targets {
			targets[i] = target(fmt.Sprintf("instance.web[%d]", i))
		}
		start := time.Now()
		p.Set(targets)
		time.Sleep(20 * time.Second)
		s.mu.Lock()
		defer s.mu.Unlock()
		slices.SortFunc(s.starts, time.Time.Compare)
		if at := s.starts[n-1].Sub(start); at != 0 {
			t.Errorf("the last first probe came after %v, want at once", at)
		}
		// 500 probes a second from then on; no tenth of a second has twice its part.
		tenths := make(map[time.Duration]int)
		for _, at := range s.starts[n:] {
			tenths[at.Sub(start)/(100*time.Millisecond)]++
		}
		for tenth, count := range tenths {
			if count > 100 {
				t.Errorf("%d probes in the tenth of a second number %d", count, tenth)
			}
		}
		if total := len(s.starts); total < 10*n || total > 12*n {
			t.Errorf("%d probes in 20 s of %d targets", total, n)
		}
	})
}

func TestProbesInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript("hang")
		p := newProber(func(Event) {}, s.probe)
		targets := make([]Target, maxProbes+500)
		for i := range targets {
			targets[i] = target(fmt.Sprint(i))
		}
		p.Set(targets)
		time.Sleep(time.Minute)
		p.Close()
		if most := s.most.Load(); most > maxProbes {
			t.Errorf("%d probes in flight, limit %d", most, maxProbes)
		}
	})
}

// The old and the new server of one backend have a verdict each.
func TestReplacementSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := target("a")
		next.Endpoint = netip.MustParseAddrPort("127.0.0.2:80")
		p := newProber(func(Event) {}, func(_ context.Context, at netip.AddrPort, _ balance.Check) result {
			if at == next.Endpoint {
				return result{failed, "connection refused"}
			}
			return result{outcome: passed}
		})
		defer p.Close()
		p.Set([]Target{next, target("a"), target("a")})
		time.Sleep(time.Minute)
		got := p.Snapshot()
		if len(got) != 2 || got[0].Endpoint != endpoint || got[0].Health != balance.Normal ||
			got[1].Endpoint != next.Endpoint || got[1].Health != balance.Abnormal {
			t.Errorf("snapshot %+v", got)
		}
	})
}

func TestCloseTwiceAndSetAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript("pass")
		p := newProber(func(Event) {}, s.probe)
		p.Set([]Target{target("a")})
		synctest.Wait()
		p.Close()
		p.Close()
		p.Set([]Target{target("b")})
		time.Sleep(time.Minute)
		if s.count() != 1 || len(p.Snapshot()) != 0 {
			t.Errorf("%d probes, %v after Close", s.count(), p.Snapshot())
		}
	})
}
