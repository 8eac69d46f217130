package sim

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// A table that is known is the one that would be made, whoever was how well and how warm before.
func TestKnownTables(t *testing.T) {
	r, err := newRun(shop(spec.SchedulerSCH, 100, 50, 0), day(shop(spec.SchedulerSCH, 100, 50, 0)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &r.pools[0]
	rapid.Check(t, func(t *rapid.T) {
		healths := rapid.SliceOfN(rapid.SampledFrom([]balance.Health{balance.Normal, balance.Abnormal}), 3, 3).Draw(t, "healths")
		warmths := rapid.SliceOfN(rapid.IntRange(0, 2), 3, 3).Draw(t, "warmths")
		health, warmth := func(i int) balance.Health { return healths[i] }, func(i int) int { return balance.Warm * warmths[i] / 2 }
		if !reflect.DeepEqual(p.tableWarm(health, warmth), p.TableWarm(health, warmth)) {
			t.Fatalf("not the table of %v, %v", healths, warmths)
		}
		if len(p.known) > mostTables {
			t.Fatalf("%d tables are kept", len(p.known))
		}
	})
}

// Who is drained gets nothing new under a hash either, though he is as well and as warm as before.
func TestKnownTablesAreOfWhatServes(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerSCH, spec.SchedulerTCH} {
		c := shop(scheduler, 100, 100)
		webListener(c).Drain = 30 * time.Second
		day(c).Drains = []spec.SimulatedDrain{{Name: "d", At: 20 * time.Second, For: 20 * time.Second, Targets: []string{"instance.s1"}}}
		picks, _ := picksOf(t, c)
		during, others := 0, 0
		for _, p := range picks {
			if p.Backend == "instance.s1" {
				if others++; p.At > 20*time.Second && p.At < 40*time.Second {
					during++
				}
			}
		}
		if during > 0 || others == 0 {
			t.Errorf("%s: %d connections went to a server while it was drained, %d at other times", scheduler, during, others-during)
		}
	}
}
