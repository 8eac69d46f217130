package sim

import (
	"encoding/json"
	"math"
	"testing"

	"slbctl/spec"
)

func same(address string) string { return address }

// The keys and order of a row are a contract.
func TestForeseeCanaryJSON(t *testing.T) {
	rows, err := ForeseeCanary(shop(spec.SchedulerRR, 100, 100), shop(spec.SchedulerWRR, 100, 0), same, []int{10, 50})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"backends":[{"address":"instance.s0","shares":[0.5,0.55,0.75,1]},{"address":"instance.s1","shares":[0.5,0.45,0.25,0]}],` +
		`"listener":"load_balancer.lb.listener[\"tcp:80\"]"}]`
	if string(got) != want {
		t.Errorf("row\n%s\nwant\n%s", got, want)
	}
}

// TestForeseeCanaryEndsAsForesee: whatever the scheduler, the steps begin and end with the
// shares that the plan tells of, and lie between them.
func TestForeseeCanaryEndsAsForesee(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerSCH, spec.SchedulerTCH, spec.SchedulerP2C, spec.SchedulerLeast} {
		before, after := shop(scheduler, 100, 100, 100, 0), shop(scheduler, 100, 50, 0, 25)
		rows, err := ForeseeCanary(before, after, same, []int{25, 50, 75})
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s: %d rows, %v", scheduler, len(rows), err)
		}
		plan := only(t, foreseen(t, before, after))
		for i, b := range rows[0].Backends {
			f := plan.Backends[i]
			for k, got := range b.Shares {
				part := float64(k) / 4
				// A hash divides its table as fairly as it can, and not finer.
				if want := f.ShareBefore + part*(f.ShareAfter-f.ShareBefore); f.Address != b.Address || math.Abs(got-want) > 1e-3 {
					t.Errorf("%s: %s has %v in step %d, want %v", scheduler, b.Address, got, k, want)
				}
			}
		}
	}
}

// TestForeseeCanaryLeavesOut who is stopped or drained.
func TestForeseeCanaryLeavesOut(t *testing.T) {
	before, after := shop(spec.SchedulerWRR, 100, 0, 100), shop(spec.SchedulerWRR, 0, 100, 100)
	after.Instances[2].Status = spec.StatusStopped
	for name, drained := range map[string][]string{"stopped": nil, "drained": {after.Instances[2].Address}} {
		rows, err := ForeseeCanary(before, after, same, []int{10}, drained...)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s: %d rows, %v", name, len(rows), err)
		}
		if got := rows[0].Backends[2].Shares; got[0]+got[1]+got[2] != 0 {
			t.Errorf("%s: its shares are %v", name, got)
		}
		if got := rows[0].Backends[1].Shares[1]; math.Abs(got-0.1) > 1e-9 {
			t.Errorf("%s: the first step gives %v", name, got)
		}
	}
}
