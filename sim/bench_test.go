package sim

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/spec"
)

// cpu is the processor time that the process used so far: wall time on a shared
// machine measures its neighbours.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRun tells CPU ns per connection of 16 servers with probes and a fault.
func BenchmarkRun(b *testing.B) {
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerSCH, spec.SchedulerTCH} {
		for _, arrivals := range []string{spec.ArrivalsConstant, spec.ArrivalsPoisson} {
			b.Run(scheduler+"/"+arrivals, func(b *testing.B) {
				weights := make([]int, 16)
				for i := range weights {
					weights[i] = 50 + i
				}
				c := shop(scheduler, weights...)
				day(c).Traffic[0].Arrivals = arrivals
				day(c).Traffic[0].Rate = 10000
				day(c).Duration = 100 * time.Second
				day(c).Faults = []spec.Fault{{Name: "dead", At: 50 * time.Second, For: 10 * time.Second, Targets: []string{"instance.s3"}, Mode: spec.FaultRefuse}}
				b.ReportAllocs()
				var connections int64
				began := cpu()
				for b.Loop() {
					r, err := Run(c, "day", Options{})
					if err != nil {
						b.Fatal(err)
					}
					connections += r.Requests
				}
				b.ReportMetric(float64(cpu()-began)/float64(connections), "cpu-ns/connection")
			})
		}
	}
}

// A run allocates for its tables and windows, never for a connection.
func TestConnectionsAllocateNothing(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWLC, spec.SchedulerTCH} {
		allocations := func(rate float64) float64 {
			c := shop(scheduler, 100, 100, 50)
			day(c).Traffic[0].Rate = rate
			day(c).Faults = []spec.Fault{{Name: "dead", At: time.Minute, For: time.Minute, Zone: "b", Mode: spec.FaultRefuse}}
			return testing.AllocsPerRun(2, func() {
				if _, err := Run(c, "day", Options{}); err != nil {
					t.Fatal(err)
				}
			})
		}
		if few, many := allocations(10), allocations(200); many > few+20 {
			t.Errorf("%s: %v allocations for 3,000 connections, %v for 60,000", scheduler, few, many)
		}
	}
}
