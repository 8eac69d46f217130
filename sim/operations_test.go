package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// TestOperations: what an operator is to do to what runs, and when that is predicted.
func TestOperations(t *testing.T) {
	c := liveShop(shop(spec.SchedulerRR, 1, 1, 1))
	c.LoadBalancers[0].Listeners[0].HealthCheck.UnhealthyThreshold = 1
	c.LoadBalancers[0].Listeners[0].HealthCheck.HealthyThreshold = 1
	day(c).Drains = []spec.SimulatedDrain{
		{Name: "d", At: time.Second, For: 3 * time.Second, Targets: []string{"instance.s1"}},
		{Name: "e", At: 9 * time.Second, For: 3 * time.Second, Zone: "b"},
	}
	day(c).Deploys = []spec.Deploy{{Name: "v2", At: 500 * time.Millisecond, Zone: "a", Batch: 1, Drain: time.Second, Startup: 2 * time.Second}}
	f := foretold1(t, c, 0) // probed at 0, 2, 4 …
	if got, want := fmt.Sprint(f.Drains), "[{1s 4s [instance.s1]} {9s 10s [instance.s1]}]"; got != want {
		t.Errorf("drains %s, want %s", got, want)
	}
	// Each is down from 1 s after its drain for 2 s, which a probe sees, and well again with the next one.
	want := "[{500ms [[instance.s0] [instance.s2]] 1s 2s [500ms 1.5s 3.5s 4s 5s 7s]}]"
	if got := fmt.Sprint(f.Deploys); got != want {
		t.Errorf("deployments %s, want %s", got, want)
	}
	pools := standingOf(c, 0)
	for health, want := range map[balance.Health]bool{balance.Normal: true, balance.Abnormal: false, balance.Unavailable: false} {
		pools[0].Servers[2].Health = health
		if f.Well(pools, []string{"instance.s0", "instance.s2"}) != want || !f.Well(pools, []string{"instance.s0"}) {
			t.Errorf("where s2 is %v, well is not %v", health, want)
		}
	}
	replies, after := replied(c, f, rand.New(rand.NewPCG(1, 2)))
	if r := compared(t, f, replies, after); r.Live.Verdict != Fail {
		t.Errorf("nobody drained anything, and yet it is %s: %+v", r.Live.Verdict, r.Live.Agreement)
	}
}

// changing is a live shop whose second server is another one from 5 s on, and the configuration before.
func changing() (after, before *spec.Config) {
	after = liveShop(shop(spec.SchedulerWRR, 1, 1, 3))
	before = recordedShop(after, 1, 1)
	day(after).Changes[0].At = 5 * time.Second
	before.Simulations = after.Simulations
	after.LoadBalancers[0].Backends = slices.Delete(after.LoadBalancers[0].Backends, 1, 2)
	return after, before
}

// TestForetellAChange: the listener as it stands serves until the change, and that of the files from then on. Who is
// ill stays so.
func TestForetellAChange(t *testing.T) {
	after, before := changing()
	foretell := func(pools []balance.Standing) *Forecast {
		t.Helper()
		f, err := Foretell(before, "day", LiveOptions{Pools: pools, After: after, Lead: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := foretell(standingOf(before, 1))
	if f.Change != 5*time.Second {
		t.Errorf("it is to be made at %v", f.Change)
	}
	early := newListenerOf(before, f.opt.Pools)
	var late *listenerOf
	replies := make([]Reply, len(f.Calls))
	for k := range f.Calls {
		l := early
		if f.Calls[k].At >= 5*time.Second {
			if late == nil {
				late = newListenerOf(after, standingOf(after, 1+1500))
			}
			l = late
		}
		replies[k] = l.answer(&f.Calls[k])
	}
	r := compared(t, f, replies, Aftermath{Generator: Generator{Lag: Lag{Limit: .01}}, Pools: standingOf(before, 1)})
	if got := window(t, r, "all"); r.Live.Verdict != Pass || got != "3000/0 1125,1125,750" { // s0, s2, s1
		t.Errorf("%s: %s %+v", r.Live.Verdict, got, r.Live.Agreement)
	}
	for k := range replies { // nothing was changed
		replies[k] = early.answer(&f.Calls[k])
	}
	if r := compared(t, f, replies, Aftermath{Generator: Generator{Lag: Lag{Limit: .01}}, Pools: standingOf(before, 1)}); r.Live.Verdict != Fail {
		t.Errorf("without the change: %s", r.Live.Verdict)
	}

	ill := standingOf(before, 1)
	ill[0].Servers[0].Health = balance.Abnormal
	if got := window(t, foretell(ill).run.result(), "all"); got != "3000/0 0,1500,1500" {
		t.Errorf("where s0 is ill: %s", got)
	}
}

// TestCannotBeChanged: what a live run cannot do beside a change is an error that says what.
func TestCannotBeChanged(t *testing.T) {
	for want, spoil := range map[string]func(after, before *spec.Config){
		"listen elsewhere":            func(after, _ *spec.Config) { after.LoadBalancers[0].IP = after.LoadBalancers[0].IP.Next().Next() },
		"does not say in its answers": func(after, _ *spec.Config) { after.Instances[2].Command = []string{"x"} },
		"is there only before, or only": func(after, before *spec.Config) {
			before.Instances = before.Instances[:2]
			day(after).Faults = []spec.Fault{{Name: "f", Targets: []string{"instance.s2"}, Mode: spec.FaultHang}}
		},
	} {
		after, before := changing()
		lb := *after.LoadBalancers[0]
		after.LoadBalancers = []*spec.LoadBalancer{&lb}
		spoil(after, before)
		if _, err := Foretell(before, "day", LiveOptions{Pools: standingOf(before, 1), After: after}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
