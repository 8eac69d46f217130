package health

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"slbctl/runtime/balance"
)

// TestAlikeInAGroupIsOneProbe asks for one server of one group in the name of two
// pools, and of a third whose check is another.
func TestAlikeInAGroupIsOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRecorder(), newScript("pass")
		p := newProber(r.report, s.probe)
		defer p.Close()
		one, two, three := target("a"), target("a"), target("a")
		one.Group, two.Group, three.Group = "g", "g", "g"
		two.Listener, three.Listener = "rule", "other"
		three.Check.Interval = 7 * time.Second
		p.Set([]Target{one, two, three})
		synctest.Wait()
		if n := s.count(); n != 2 {
			t.Errorf("%d probes, want one for two that are alike and one more", n)
		}
		events, _ := r.take(t, 3)
		for _, e := range events {
			if e.Health != balance.Normal {
				t.Errorf("%+v", e)
			}
		}
		// Whoever comes later is told what is known, without a probe.
		four := one
		four.Listener = "late"
		p.Set([]Target{one, four})
		synctest.Wait()
		if events, _ := r.take(t, 1); events[0].Listener != "late" || events[0].Health != balance.Normal {
			t.Errorf("%+v", events)
		}
		if n := s.count(); n != 2 {
			t.Errorf("%d probes: a target that joins cost one", n)
		}
		// What falls ill does so for all.
		s.mode.Store("refuse")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if events, _ := r.take(t, 2); events[0].Health != balance.Abnormal || events[1].Health != balance.Abnormal {
			t.Errorf("%+v", events)
		}
	})
}

// TestRestoreGoesOn starts from what an earlier prober knew.
func TestRestoreGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := newProber(func(Event) {}, newScript("pass").probe)
		before.Set([]Target{target("well")})
		ill := newProber(func(Event) {}, newScript("refuse").probe)
		ill.Set([]Target{target("ill")})
		time.Sleep(time.Minute)
		synctest.Wait()
		data, err := json.Marshal(append(before.Snapshot(), ill.Snapshot()...))
		if err != nil {
			t.Fatal(err)
		}
		before.Close()
		ill.Close()

		var known []Event
		if err := json.Unmarshal(data, &known); err != nil {
			t.Fatal(err)
		}
		r, s := newRecorder(), newScript("refuse")
		p := newProber(r.report, s.probe)
		defer p.Close()
		p.Restore(known)
		p.Set([]Target{target("ill"), target("well"), target("new")})
		synctest.Wait()
		events, _ := r.take(t, 2)
		for _, e := range events {
			want, reason := balance.Normal, "first check passed"
			if e.Backend == "ill" {
				want, reason = balance.Abnormal, "connection refused"
			}
			if e.Health != want || e.Reason != reason || time.Since(e.Since) < 30*time.Second {
				t.Errorf("%+v, want %v since long", e, want)
			}
		}
		// It takes a whole row of failures to make the one ill, and of successes to
		// make the other well.
		time.Sleep(3 * time.Second)
		synctest.Wait()
		r.take(t, 0)
		s.mode.Store("pass")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		events, _ = r.take(t, 2)
		for _, e := range events {
			if e.Health != balance.Normal || e.Backend == "well" {
				t.Errorf("%+v", e)
			}
		}
	})
}
