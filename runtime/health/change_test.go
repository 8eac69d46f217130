package health

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"slbctl/runtime/balance"
)

// member is target a of group g, as a listener or rule asks for it.
func member(owner string, interval time.Duration) Target {
	t := target("a")
	t.Listener, t.Group, t.Check.Interval = owner, "g", interval
	return t
}

// byInterval is a backend on which each check has a result of its own.
func byInterval(results map[time.Duration]result) probeFunc {
	return func(_ context.Context, _ netip.AddrPort, c balance.Check) result { return results[c.Interval] }
}

var refused = result{failed, "connection refused"}

// healths is the last health that was reported to each owner.
func healths(events []Event) map[string]balance.Health {
	last := make(map[string]balance.Health)
	for _, e := range events {
		last[e.Listener] = e.Health
	}
	return last
}

// A target whose check becomes that of others hears their verdict where it differs
// from its own.
func TestJoinsAnotherVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		p := newProber(r.report, byInterval(map[time.Duration]result{time.Second: {outcome: passed}, 2 * time.Second: refused}))
		defer p.Close()
		p.Set([]Target{member("one", time.Second), member("two", 2*time.Second)})
		time.Sleep(time.Minute)
		r.take(t, 2)
		for _, change := range []struct {
			interval time.Duration // of both
			who      string
			told     balance.Health
		}{
			{2 * time.Second, "one", balance.Abnormal},
			{time.Second, "one", balance.Normal}, // its own verdict stays until the new check says otherwise
		} {
			p.Set([]Target{member("one", change.interval), member("two", 2*time.Second)})
			time.Sleep(time.Minute)
			events, _ := r.take(t, 1)
			if events[0].Listener != change.who || events[0].Health != change.told {
				t.Errorf("told %+v, want %s %v", events[0], change.who, change.told)
			}
		}
	})
}

// A verdict outlives a change of its check, whoever else asks for the new one, and
// in whatever order.
func TestVerdictOutlivesChange(t *testing.T) {
	orders := map[string][]Target{
		"first": {member("old", time.Second), member("new", time.Second)},
		"last":  {member("new", time.Second), member("old", time.Second)},
	}
	for name, next := range orders {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s := newRecorder(), newScript("pass")
				p := newProber(r.report, s.probe)
				defer p.Close()
				p.Set([]Target{member("old", 2*time.Second)})
				time.Sleep(time.Minute)
				r.take(t, 1)
				s.mode.Store("hang")
				p.Set(next)
				synctest.Wait()
				events, _ := r.take(t, 1)
				if events[0].Listener != "new" || events[0].Health != balance.Normal {
					t.Errorf("told %+v", events[0])
				}
				for _, e := range p.Snapshot() {
					if e.Health != balance.Normal || e.Reason != "first check passed" {
						t.Errorf("%+v, want the verdict that was known", e)
					}
				}
			})
		})
	}
	t.Run("joins one without a verdict", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, s := newRecorder(), newScript("pass")
			p := newProber(r.report, s.probe)
			defer p.Close()
			p.Set([]Target{member("old", 2*time.Second)})
			time.Sleep(time.Minute)
			r.take(t, 1)
			s.mode.Store("hang")
			p.Set([]Target{member("old", 2*time.Second), member("new", time.Second)})
			synctest.Wait()
			r.take(t, 0)
			p.Set([]Target{member("old", time.Second), member("new", time.Second)})
			synctest.Wait()
			r.take(t, 1)
			time.Sleep(time.Minute)
			events, _ := r.take(t, 2)
			if last := healths(events); last["old"] != balance.Abnormal || last["new"] != balance.Abnormal {
				t.Errorf("told %+v", events)
			}
		})
	})
}

// What waits to be reported is told as it is by then, so that nobody hears old news
// last.
func TestReportsAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, s := make(chan struct{}), newScript("pass")
		r := newRecorder()
		p := newProber(func(e Event) {
			if e.Listener == "slow" {
				<-hold
			}
			r.report(e)
		}, s.probe)
		defer p.Close()
		p.Set([]Target{member("one", 2*time.Second)})
		time.Sleep(time.Minute)
		r.take(t, 1)

		slow := target("b")
		slow.Listener = "slow"
		p.Set([]Target{member("one", 2*time.Second), slow})
		synctest.Wait() // its report is under way and holds up all others
		late := make([]Target, 20)
		for i := range late {
			late[i] = member(string(rune('A'+i)), 2*time.Second)
		}
		all := append(late, member("one", 2*time.Second), slow)
		p.Set(all) // they wait to be told: normal
		p.Set(all) // and are told once, however often it is asked
		s.mode.Store("refuse")
		time.Sleep(20 * time.Second) // by now it is abnormal
		close(hold)
		synctest.Wait()
		r.mu.Lock()
		events := slices.Clone(r.events)
		r.mu.Unlock()
		last, told := healths(events), make(map[Event]bool)
		for _, e := range events {
			if told[e] {
				t.Errorf("told twice: %+v", e)
			}
			told[e] = true
		}
		for _, one := range all[:len(all)-1] {
			if last[one.Listener] != balance.Abnormal {
				t.Errorf("%s heard %v last", one.Listener, last[one.Listener])
			}
		}
	})
}

// A restored verdict serves the set that follows and no later one.
func TestRestoreServesOneSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := time.Now().Add(-time.Hour)
		known := []Event{}
		for _, owner := range []string{"new", "off", "one", "two", "gone"} {
			known = append(known, Event{Listener: owner, Backend: "a", Endpoint: endpoint, Health: balance.Normal, Reason: "first check passed", Since: since})
		}
		r, s := newRecorder(), newScript("hang")
		p := newProber(r.report, s.probe)
		defer p.Close()
		p.Restore(known[1:]) // nothing of "new"
		off := member("off", time.Second)
		off.Check.Enabled = false
		p.Set([]Target{member("new", 2*time.Second), member("one", 2*time.Second), member("two", 2*time.Second), off})
		synctest.Wait()
		events, _ := r.take(t, 3)
		for _, e := range events {
			if e.Health != balance.Normal || !e.Since.Equal(since) {
				t.Errorf("%+v, want what was known", e)
			}
		}
		p.Set(nil)
		time.Sleep(time.Hour)
		off.Check.Enabled = true
		p.Set([]Target{member("one", 2*time.Second), member("two", 2*time.Second), member("gone", 2*time.Second), off})
		synctest.Wait()
		r.take(t, 0)
		for _, e := range p.Snapshot() {
			if e.Health != balance.Unavailable {
				t.Errorf("%+v, want nothing known any more", e)
			}
		}
	})
}

// A server that is known to be sick gets well after rt*H + interval*(H-1), also when
// the check that says so first is the first of all.
func TestTimeToRecover(t *testing.T) {
	for mode, after := range map[string]time.Duration{"pass": 4 * time.Second, "slow": 7 * time.Second} {
		for _, backend := range []string{"a", "b", "c"} { // each has a phase of its own
			synctest.Test(t, func(t *testing.T) {
				r, s := newRecorder(), newScript(mode)
				p := newProber(r.report, s.probe)
				defer p.Close()
				one := target(backend)
				p.Restore([]Event{{Listener: one.Listener, Backend: backend, Endpoint: endpoint, Health: balance.Abnormal, Reason: "connection refused", Since: time.Now()}})
				p.Set([]Target{one})
				time.Sleep(time.Minute)
				events, at := r.take(t, 2)
				if events[0].Health != balance.Abnormal || at[0] != 0 || events[1].Health != balance.Normal || at[1] != after {
					t.Errorf("%s: %+v after %v, want abnormal at once and normal after %v", mode, events, at, after)
				}
			})
		}
	}
}

// A check that was off starts anew, and what it finds is news.
func TestCheckOffAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		p := newProber(r.report, newScript("pass").probe)
		defer p.Close()
		off := target("a")
		off.Check.Enabled = false
		p.Set([]Target{target("a")})
		time.Sleep(time.Minute)
		p.Set([]Target{off})
		time.Sleep(time.Minute)
		r.take(t, 1)
		p.Set([]Target{target("a")})
		time.Sleep(time.Minute)
		r.take(t, 1)
	})
}

// TestEventAsJSON holds the daemon's file of verdicts to its form.
func TestEventAsJSON(t *testing.T) {
	e := Event{Listener: "lb", Backend: "a", Endpoint: netip.MustParseAddrPort("[::1]:80"), Health: balance.Abnormal, Reason: "why", Since: time.Unix(0, 0).UTC()}
	const want = `{"listener":"lb","backend":"a","endpoint":"[::1]:80","health":"abnormal","reason":"why","since":"1970-01-01T00:00:00Z"}`
	data, err := json.Marshal(e)
	if err != nil || string(data) != want {
		t.Errorf("%s, %v", data, err)
	}
	var back Event
	if err := json.Unmarshal(data, &back); err != nil || back != e {
		t.Errorf("read back %+v, %v", back, err)
	}
}

// The time to the next probe is told, but not of a target that is none.
func TestDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProber(newRecorder().report, byInterval(map[time.Duration]result{4 * time.Second: refused}))
		defer p.Close()
		p.Set([]Target{member("one", 4*time.Second)})
		synctest.Wait()
		m := member("one", 0)
		for _, want := range []time.Duration{4 * time.Second, 3 * time.Second, 2 * time.Second, time.Second} {
			if due := p.Due(Target{Listener: m.Listener, Backend: m.Backend, Endpoint: m.Endpoint}); due != want {
				t.Errorf("due in %v, want %v", due, want)
			}
			time.Sleep(time.Second)
		}
		if due := p.Due(Target{Listener: "two"}); due != 0 {
			t.Errorf("who is not probed is due in %v", due)
		}
	})
}
