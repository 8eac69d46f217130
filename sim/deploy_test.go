package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

func rolling(c *spec.Config, targets ...string) *spec.Deploy {
	day(c).Deploys = []spec.Deploy{{Name: "v2", At: 60 * time.Second, Batch: 1, Drain: 10 * time.Second, Startup: 9 * time.Second, Targets: targets}}
	return &day(c).Deploys[0]
}

// Each batch is drained, away for the start-up, and back when the checks say so; then comes the next.
func TestADeployment(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100, 100)
	rolling(c, "instance.s0", "instance.s1")
	picks, r := picksOf(t, c)
	// s0 gets nothing from 60 s on and is away from 70 to 79; of the probes at 70 to 78 the third makes it abnormal, and
	// those at 80, 82 and 84 normal. At 84 s1 is drained, and back at 84+10+9, found at 94 to 102, 104, 106 and 108.
	gone := map[string][2]time.Duration{"instance.s0": {60 * time.Second, 84 * time.Second}, "instance.s1": {84 * time.Second, 108 * time.Second}}
	for _, p := range picks {
		if away, ok := gone[p.Backend]; ok && p.At >= away[0] && p.At < away[1] || p.Outcome != Served {
			t.Fatalf("at %v: %v by %s", p.At, p.Outcome, p.Backend)
		}
	}
	if got, want := window(t, r, "v2"), "24000/0 6000,6000,12000"; got != want {
		t.Errorf("v2 %s, want %s", got, want)
	}
	if got, want := window(t, r, "steady"), "126000/0 42000,42000,42000"; got != want {
		t.Errorf("steady %s, want %s", got, want)
	}
}

// A whole batch at once leaves fewer to serve, and all of them nobody.
func TestADeploymentInBatches(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100, 100, 100)
	d := rolling(c)
	d.Targets, d.Zone, d.Batch = nil, "a", 2
	if got, want := window(t, run1(t, c, Options{}), "v2"), "12000/0 0,6000,0,6000"; got != want {
		t.Errorf("a zone at once: %s, want %s", got, want)
	}
	d.Targets, d.Zone, d.Batch = []string{"instance.s0", "instance.s1", "instance.s2", "instance.s3"}, "", 9
	if got, want := window(t, run1(t, c, Options{}), "v2"), "12000/12000 0,0,0,0"; got != want {
		t.Errorf("all at once: %s, want %s", got, want)
	}
}

// What a server still has when it stops is cut off. Time enough to finish loses nothing.
func TestADeploymentCutsOffWhatIsNotDone(t *testing.T) {
	for _, discipline := range []string{spec.DisciplineFCFS, spec.DisciplinePS} {
		for _, drain := range []time.Duration{2 * time.Second, 4 * time.Second} {
			c := shop(spec.SchedulerRR, 100, 100)
			c.LoadBalancers[0].Listeners[0].Drain = time.Minute
			day(c).Service = &spec.Service{Time: 3 * time.Second, Distribution: spec.ServiceConstant, Workers: 5000, Discipline: discipline}
			rolling(c, "instance.s0").Drain = drain
			r := run1(t, c, Options{})
			want := int64(0)
			if drain < 3*time.Second {
				want = 250 // of the last second before the drain
			}
			if n := windowOf("all", r.Windows).Errors; n < want-1 || n > want {
				t.Errorf("%s, drained for %v: %d errors, want %d", discipline, drain, n, want)
			}
			for _, w := range r.Windows {
				for _, b := range w.Backends {
					if b.Utilisation != nil && *b.Utilisation > 0.5 {
						t.Errorf("%s: %s is used to %v in %s", discipline, b.Address, *b.Utilisation, w.Name)
					}
				}
			}
		}
	}
}

// A server that is not well when its start-up is over holds the rest up.
func TestADeploymentWaitsForItsServers(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	rolling(c, "instance.s0", "instance.s1")
	day(c).Faults = []spec.Fault{{Name: "broken", At: 65 * time.Second, Targets: []string{"instance.s0"}, Mode: spec.FaultRefuse}}
	picks, _ := picksOf(t, c)
	for _, p := range picks {
		if p.At >= 60*time.Second && p.Backend != "instance.s1" {
			t.Fatalf("at %v: %v by %q", p.At, p.Outcome, p.Backend)
		}
	}
}

// A drain by hand takes nothing new, lets sessions go on until the listener's drain is over, and ends.
func TestADrainByHand(t *testing.T) {
	c := web(spec.SchedulerRR, 100, 100)
	webListener(c).StickySession, webListener(c).Drain = insertCookie(time.Hour), 20*time.Second
	day(c).Traffic[0].Clients.Count = 100
	day(c).Drains = []spec.SimulatedDrain{{Name: "maintenance", At: 100 * time.Second, For: time.Minute, Targets: []string{"instance.s1"}}}
	picks, r := picksOf(t, c)
	for _, k := range []struct {
		from, until time.Duration
		s1          bool
	}{{0, 100, true}, {100, 120, true}, {120, 300, false}} { // all clients have moved by then
		if n := servedIn(picks, k.from*time.Second, k.until*time.Second)["s1"]; (n > 0) != k.s1 {
			t.Errorf("from %d to %d s s1 serves %d", k.from, k.until, n)
		}
	}
	if got := window(t, r, "maintenance"); !strings.HasPrefix(got, "30000/0 ") {
		t.Errorf("%s", got)
	}
	webListener(c).StickySession = nil
	if got, want := window(t, run1(t, c, Options{}), "maintenance"), "30000/0 30000,0"; got != want {
		t.Errorf("without cookies: %s, want %s", got, want)
	}
}

// A drain that ends before the listener's does cuts nobody off.
func TestADrainThatEndsEarly(t *testing.T) {
	for lasts, want := range map[time.Duration]bool{4 * time.Second: false, 6 * time.Second: true, 0: true} {
		c := shop(spec.SchedulerRR, 100, 100)
		c.LoadBalancers[0].Listeners[0].Drain = 5 * time.Second
		day(c).Service = &spec.Service{Time: 10 * time.Second, Distribution: spec.ServiceConstant, Workers: 5000}
		day(c).Drains = []spec.SimulatedDrain{{Name: "d", At: 100 * time.Second, For: lasts, Targets: []string{"instance.s0"}}}
		r := run1(t, c, Options{})
		if n := windowOf("all", r.Windows).Errors; (n > 0) != want || want && (n < 1248 || n > 1250) {
			t.Errorf("drained for %v: %d errors", lasts, n)
		}
	}
}

// Two who drain one server: it comes back with the last.
func TestDrainsAddUp(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	day(c).Drains = []spec.SimulatedDrain{
		{Name: "a", At: 100 * time.Second, For: time.Minute, Targets: []string{"instance.s1"}},
		{Name: "b", At: 110 * time.Second, For: time.Minute, Zone: "b"},
	}
	picks, _ := picksOf(t, c)
	if got := fmt.Sprint(servedIn(picks, 100*time.Second, 170*time.Second), servedIn(picks, 170*time.Second, 180*time.Second)); got != "map[s0:35000] map[s0:2500 s1:2500]" {
		t.Error(got)
	}
}

// A drain goes on through a change.
func TestADrainThroughAChange(t *testing.T) {
	c := shop(spec.SchedulerWRR, 100, 100)
	before := recordedShop(c, 100, 200)
	day(c).Drains = []spec.SimulatedDrain{{Name: "d", At: 90 * time.Second, For: time.Minute, Targets: []string{"instance.s1"}}}
	picks, _ := picksFrom(t, c, before)
	if got := fmt.Sprint(servedIn(picks, 90*time.Second, 150*time.Second)); got != "map[s0:30000]" {
		t.Error(got)
	}
	if got := fmt.Sprint(servedIn(picks, 150*time.Second, 200*time.Second)); got != "map[s0:12500 s1:12500]" {
		t.Error(got)
	}
}

// A server that stops forgets its queue: when it is back it begins with whoever comes.
func TestAStoppedServerForgets(t *testing.T) {
	for _, discipline := range []string{spec.DisciplineFCFS, spec.DisciplinePS} {
		s := newStation(&spec.Service{Workers: 1, Queue: 10, Discipline: discipline})
		take := func(now, work int64) (done int64) {
			if s.shares {
				s.share(now, work, 0)
				return s.next
			}
			return s.serve(now, work)
		}
		for range 3 {
			take(0, 100)
		}
		if gone := s.clear(50); s.shares != (len(gone) == 3) {
			t.Errorf("%s: %d jobs are gone", discipline, len(gone))
		}
		if s.busy(60) != 50 || s.full(60) {
			t.Errorf("%s: it has worked for %d, full: %v", discipline, s.busy(60), s.full(60))
		}
		if done := take(60, 10); done != 70 || s.busy(65) != 55 {
			t.Errorf("%s: done at %d, busy for %d", discipline, done, s.busy(65))
		}
	}
}
