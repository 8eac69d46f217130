package balance

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"slbctl/spec"
)

// PickInTurn picks as the loop that defines it, and leaves the same behind: whoever is in flight, whoever is full,
// and whatever was picked in between.
func TestPickInTurnIsPickByPick(t *testing.T) {
	schedulers := []string{
		spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerSCH, spec.SchedulerTCH, spec.SchedulerQCH,
		spec.SchedulerP2C, spec.SchedulerLeast,
	}
	rapid.Check(t, func(t *rapid.T) {
		l := group(rapid.SampledFrom(schedulers).Draw(t, "scheduler"), drawWeights(t)...)
		if rapid.Bool().Draw(t, "limited") {
			for i := range l.Backends {
				l.Backends[i].MaxConnections = rapid.IntRange(0, 3).Draw(t, "limit")
			}
		}
		table, destination := l.Table(well), clientAt(0).Destination
		one, all := NewState(&l.Pool, nil), NewState(&l.Pool, nil)
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			sources := make([]netip.AddrPort, rapid.IntRange(0, 30).Draw(t, "clients"))
			for k := range sources {
				sources[k] = clientAt(rapid.IntRange(0, 1<<20).Draw(t, "client")).Source
			}
			want, got := make([]uint16, len(sources)), make([]uint16, len(sources))
			n, m := table.oneByOne(one, destination, sources, want), table.PickInTurn(all, destination, sources, got)
			if n != m || !slices.Equal(got[:m], want[:n]) {
				t.Fatalf("%s: picked %v, one by one %v", l.Scheduler, got[:m], want[:n])
			}
			for range rapid.IntRange(0, 3).Draw(t, "stay") { // these are in flight from now on
				i, ok := table.Pick(one, clientAt(0), nil)
				j, too := table.Pick(all, clientAt(0), nil)
				if i != j || ok != too {
					t.Fatalf("%s: then picked %d (%v), one by one %d (%v)", l.Scheduler, j, too, i, ok)
				}
			}
			for i := range l.Backends {
				if one.Active(i) != all.Active(i) {
					t.Fatalf("%s: %d in flight to server %d, one by one %d", l.Scheduler, all.Active(i), i, one.Active(i))
				}
			}
		}
	})
}

func TestPickInTurnAllocatesNothing(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerTCH, spec.SchedulerP2C} {
		l := group(scheduler, 100, 50, 100)
		table, s, sources, picked := l.Table(well), NewState(&l.Pool, nil), make([]netip.AddrPort, 64), make([]uint16, 64)
		if n := testing.AllocsPerRun(10, func() { table.PickInTurn(s, netip.AddrPort{}, sources, picked) }); n > 0 {
			t.Errorf("%s: %v allocations", scheduler, n)
		}
	}
}

// BenchmarkPickInTurn is one connection of 128 that are picked in turn.
func BenchmarkPickInTurn(b *testing.B) {
	for _, c := range []struct {
		name, scheduler string
		servers         int
	}{
		{"rr", spec.SchedulerRR, 16}, {"wrr", spec.SchedulerWRR, 16}, {"wlc256", spec.SchedulerWLC, 256},
		{"sch", spec.SchedulerSCH, 16}, {"tch", spec.SchedulerTCH, 16}, {"p2c256", spec.SchedulerP2C, 256},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := repeat(c.servers, 100)
			w[0] = 99
			l := group(c.scheduler, w...)
			table, s, picked := l.Table(well), NewState(&l.Pool, nil), make([]uint16, 128)
			sources, destination := make([]netip.AddrPort, len(picked)), clientAt(0).Destination
			for i := range sources {
				sources[i] = clientAt(i).Source
			}
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= len(picked) {
				table.PickInTurn(s, destination, sources, picked)
			}
		})
	}
}
