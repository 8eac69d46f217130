package sim

import (
	"reflect"
	"testing"

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
