package balance

import (
	"testing"

	"slbctl/spec"
)

// BenchmarkPick is one connection: pick and end.
func BenchmarkPick(b *testing.B) {
	weights := func(n int) []int {
		w := make([]int, n)
		for i := range w {
			w[i] = 50 + i%50
		}
		return w
	}
	for _, c := range []struct {
		name, scheduler string
		servers         int
	}{
		{"rr", spec.SchedulerRR, 16},
		{"wrr", spec.SchedulerWRR, 16},
		{"wlc16", spec.SchedulerWLC, 16},
		{"wlc256", spec.SchedulerWLC, 256},
		{"sch", spec.SchedulerSCH, 16},
		{"tch", spec.SchedulerTCH, 16},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := group(c.scheduler, weights(c.servers)...)
			table, s := l.Table(well), NewState(&l.Pool, nil)
			clients := make([]Client, 1024)
			for i := range clients {
				clients[i] = clientAt(i)
			}
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				i, _ := table.Pick(s, clients[k%len(clients)], nil)
				s.Done(i)
			}
		})
	}
}

func BenchmarkTable(b *testing.B) {
	for _, c := range []struct {
		name, scheduler string
		servers         int
	}{
		{"wrr200", spec.SchedulerWRR, 200},
		{"sch16", spec.SchedulerSCH, 16},
		{"sch200", spec.SchedulerSCH, 200},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := repeat(c.servers, 100)
			w[0] = 99
			l := group(c.scheduler, w...)
			b.ReportAllocs()
			for b.Loop() {
				l.Table(well)
			}
		})
	}
}
