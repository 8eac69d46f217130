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
		{"qch", spec.SchedulerQCH, 16},
		{"p2c16", spec.SchedulerP2C, 16},
		{"p2c256", spec.SchedulerP2C, 256},
		{"least16", spec.SchedulerLeast, 16},
		{"least256", spec.SchedulerLeast, 256},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := group(c.scheduler, weights(c.servers)...)
			table, s := l.Table(well), NewState(&l.Pool, nil)
			clients := make([]*Client, 1024)
			for i := range clients {
				clients[i] = clientAt(i)
				clients[i].QUIC = []byte{byte(i >> 8), byte(i), 3, 4, 5, 6, 7, 8}
			}
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				i, _ := table.Pick(s, clients[k%len(clients)], nil)
				s.Done(i)
			}
		})
	}
}

// BenchmarkPickClient is one connection of 1,024 clients that are remembered.
func BenchmarkPickClient(b *testing.B) {
	l := persistent(spec.SchedulerWRR, repeat(16, 100)...)
	table, s := l.Table(well), NewState(&l.Pool, nil)
	clients := make([]*Client, 1024)
	for i := range clients {
		clients[i] = clientAt(i)
	}
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		i, _ := table.PickClient(s, clients[k%1024], nil, int64(k))
		s.Done(i)
	}
}

// BenchmarkPickLoaded is one connection beside 100 a server: least_request's draws
// are seldom kept.
func BenchmarkPickLoaded(b *testing.B) {
	for _, scheduler := range []string{spec.SchedulerP2C, spec.SchedulerLeast} {
		b.Run(scheduler, func(b *testing.B) {
			w := repeat(16, 100)
			w[0] = 50
			l := group(scheduler, w...)
			table, s := l.Table(well), NewState(&l.Pool, nil)
			for i := range w {
				s.flights[i].active.Store(100)
			}
			b.ReportAllocs()
			for b.Loop() {
				i, _ := table.Pick(s, &Client{}, nil)
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
