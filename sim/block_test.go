package sim

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/spec"
)

// What is looked at in blocks comes to the same as when each connection is looked at alone, which it is if somebody
// observes it: whatever streams mix, whoever is down, stopped, full or new, and at whatever step it is counted.
func TestBlocksAreOneByOne(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log.trace")
	c := shop(spec.SchedulerRR, 1)
	day(c).Traffic[0].Rate, day(c).Traffic[0].Clients.Count, day(c).Duration = 200, 100, 3*time.Second
	run1(t, c, Options{Record: log})
	rapid.Check(t, func(t *rapid.T) {
		c := drawTCP(t)
		before := drawBefore(t, c)
		if l := webListener(c); l.PersistenceTimeout > 0 {
			l.PersistenceTimeout, l.WhenAllUnhealthy = 0, spec.WhenUnhealthyForward
		}
		if before != nil && len(before.LoadBalancers[0].Listeners) > 0 {
			before.LoadBalancers[0].Listeners[0].PersistenceTimeout = 0
		}
		if check := &webListener(c).HealthCheck; rapid.Bool().Draw(t, "quick") { // who has errors is in and out again
			check.Type, check.HTTPCodes, check.HealthyThreshold, check.UnhealthyThreshold = spec.CheckHTTP, []string{"http_2xx"}, 1, 1
		}
		s := day(c)
		s.Faults[0].Mode = rapid.SampledFrom([]string{spec.FaultRefuse, spec.FaultErrors, spec.FaultFlap, spec.FaultHang}).Draw(t, "accident")
		s.Faults[0].ErrorRate, s.Faults[0].Period, s.Faults[0].For = 0.5, 400*time.Millisecond, 3*time.Second
		s.Traffic[0].Rate = rapid.SampledFrom([]float64{100, 2000}).Draw(t, "rate") // a block is there in a moment, or never full
		s.Traffic[0].Clients.Popularity = rapid.SampledFrom([]float64{0, 1.1}).Draw(t, "popularity")
		even := spec.Traffic{Rate: 1000, Arrivals: spec.ArrivalsConstant, Clients: s.Traffic[0].Clients}
		for n, more := range rapid.SliceOfN(rapid.SampledFrom([]spec.Traffic{even, even, {Log: log}}), 0, 3).Draw(t, "more") {
			more.Name = fmt.Sprint("more", n)
			s.Traffic = append(s.Traffic, more)
		}
		s.Expects = []spec.Expect{{Name: "share", Metric: spec.MetricShare, Of: "instance.s0", Max: limit(0.5), During: spec.DuringAll, Confidence: 0.99}}
		if rapid.Bool().Draw(t, "stopped") {
			c.Instances[0].Status = spec.StatusStopped
		}
		if rapid.Bool().Draw(t, "full") {
			c.LoadBalancers[0].Backends[1].MaxConnections = 1
		}
		timeline := rapid.Bool().Draw(t, "timeline")
		told := func(observe func(Pick)) string {
			r, err := perform(c, s, Options{Before: before, Timeline: timeline, Observe: observe})
			if err != nil {
				t.Fatal(err)
			}
			if (r.block == nil) != (observe != nil) {
				t.Fatalf("in blocks: %v", r.block != nil)
			}
			var b bytes.Buffer
			res := r.result()
			if err := WriteJSON(&b, []*Result{res}); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%s%+v", b.String(), res.Timeline)
		}
		if together, alone := told(nil), told(func(Pick) {}); together != alone {
			t.Fatalf("together\n%s\none by one\n%s", together, alone)
		}
	})
}
