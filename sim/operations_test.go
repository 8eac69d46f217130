package sim

import (
	"fmt"
	"math/rand/v2"
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
