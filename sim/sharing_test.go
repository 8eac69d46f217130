package sim

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/spec"
)

// shared is queueing at servers that work on all they have at once.
func shared(scheduler string, n, workers int, rho float64, distribution string) *spec.Config {
	c := queueing(scheduler, n, workers, rho, distribution)
	day(c).Service.Discipline = spec.DisciplinePS
	return c
}

// Under processor sharing the mean response does not depend on how the times are distributed: it is that
// of exponential ones served first come first served, also where there are several workers.
func TestSharingDoesNotDependOnTheDistribution(t *testing.T) {
	for _, c := range []struct {
		workers int
		rho     float64
		want    float64
	}{{1, 0.5, 2}, {1, 0.8, 5}, {2, 0.8, 2.777778}, {4, 0.8, 1.745541}, {16, 0.9, 1.369590}} {
		for _, distribution := range []string{spec.ServiceExponential, spec.ServiceConstant, spec.ServiceLognormal} {
			t.Run(fmt.Sprint(c.workers, " ", c.rho, " ", distribution), func(t *testing.T) {
				took := times(t, shared(spec.SchedulerRR, 1, c.workers, c.rho, distribution), 400_000)
				batchMeans(took).agrees(t, "the mean response", c.want, 0.05)
			})
		}
	}
}

// Who needs x stays x/(1-rho) on average, however much others need: that is what makes sharing fair.
func TestSharingIsFair(t *testing.T) {
	c := shared(spec.SchedulerRR, 1, 1, 0.5, spec.ServiceLognormal)
	day(c).Duration = 800 * time.Second
	demands := newDemands(day(c).Service, "browse", day(c).Seed)
	arrivals, index := newArrivals(&day(c).Traffic[0], day(c).Seed), map[time.Duration]uint64{}
	for arrivals.next < int64(day(c).Duration) {
		index[time.Duration(arrivals.next)] = arrivals.index
		arrivals.step()
	}
	var slowdown [2][]float64
	run1(t, c, Options{Observe: func(p Pick) {
		need := float64(demands.draw(index[p.At]))
		kind := 0
		if need > float64(time.Millisecond) {
			kind = 1
		}
		slowdown[kind] = append(slowdown[kind], float64(p.Took)/need)
	}})
	batchMeans(slowdown[0]).agrees(t, "the slowdown of those who need little", 2, 0.05)
	batchMeans(slowdown[1]).agrees(t, "the slowdown of those who need much", 2, 0.05)
}

// M/G/1/K under sharing loses what M/M/1/K loses.
func TestAFullStationThatSharesRefuses(t *testing.T) {
	for _, distribution := range []string{spec.ServiceExponential, spec.ServiceConstant} {
		c := shared(spec.SchedulerRR, 1, 1, 0.8, distribution)
		day(c).Service.Queue = 4
		day(c).Duration = 500 * time.Second
		var lost []float64
		run1(t, c, Options{Observe: func(p Pick) {
			lost = append(lost, map[Outcome]float64{Failed: 1}[p.Outcome])
		}})
		batchMeans(lost).agrees(t, distribution+": the part lost", 0.2*math.Pow(0.8, 5)/(1-math.Pow(0.8, 6)), 0.03)
	}
}

// A station agrees with the definition: each of n jobs gets as much as every other, all together what the
// workers give, computed here step by step.
func TestSharingByDefinition(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		workers := rapid.IntRange(1, 4).Draw(rt, "workers")
		s := newStation(&spec.Service{Workers: workers, Queue: 1000, Discipline: spec.DisciplinePS})
		at, ends := []int64{}, map[int32]int64{}
		works := rapid.SliceOfN(rapid.Int64Range(1, 5000), 1, 40).Draw(rt, "works")
		now := int64(0)
		for range works {
			now += rapid.Int64Range(0, 3000).Draw(rt, "gap")
			at = append(at, now)
		}
		for k := 0; k < len(works) || len(s.parts) > 0; {
			if len(s.parts) > 0 && (k == len(works) || s.next <= at[k]) {
				end := s.next
				for job := s.done(end); job != none; job = s.done(end) {
					ends[job] = end
				}
				continue
			}
			s.share(at[k], works[k], int32(k))
			k++
		}
		// The same in floats.
		left := make([]float64, len(works))
		time, k, there := 0.0, 0, []int{}
		for k < len(works) || len(there) > 0 {
			rate := math.Min(1, float64(workers)/math.Max(1, float64(len(there))))
			step, first := math.Inf(1), -1
			for _, job := range there {
				if left[job]/rate < step {
					step, first = left[job]/rate, job
				}
			}
			if k < len(works) && float64(at[k])-time <= step {
				step, first = float64(at[k])-time, -1
			}
			for _, job := range there {
				left[job] -= step * rate
			}
			time += step
			if first < 0 {
				left[k] = float64(works[k])
				there = append(there, k)
				k++
				continue
			}
			for i, job := range there {
				if job == first {
					there = append(there[:i], there[i+1:]...)
					break
				}
			}
			if off := float64(ends[int32(first)]) - time; math.Abs(off) > 2*float64(len(works)) {
				rt.Fatalf("job %d ends at %d, by definition at %.1f", first, ends[int32(first)], time)
			}
		}
	})
}

// Jobs that nobody waits for any more are worked on to the end, and their clients have got 504 in time.
func TestRequestsTimeOutAtServersThatShare(t *testing.T) {
	c := web(spec.SchedulerRR, 100)
	webListener(c).HealthCheck.Enabled, webListener(c).RequestTimeout = false, 100*time.Millisecond
	day(c).Service = &spec.Service{Time: 3 * time.Millisecond, Distribution: spec.ServiceConstant, Workers: 1, Queue: 1 << 16, Discipline: spec.DisciplinePS}
	day(c).Traffic[0].Rate, day(c).Duration = 400, 10*time.Second // more than there is time for
	outcomes := map[Outcome]int{}
	picks, _ := picksOf(t, c)
	for _, p := range picks {
		outcomes[p.Outcome]++
		if p.Outcome == Served && p.Took > 100*time.Millisecond {
			t.Fatalf("served after %v", p.Took)
		}
	}
	if len(picks) != 4000 || outcomes[TimedOut] < 3000 || outcomes[Served]+outcomes[TimedOut] != 4000 {
		t.Errorf("%d picks: %v", len(picks), outcomes)
	}
}

// Processor sharing at servers that are chosen by their load: jobs leave the count when they are done.
func TestSharingIsCounted(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerWLC, spec.SchedulerP2C} {
		c := shared(scheduler, 4, 1, 0.9, spec.ServiceExponential)
		day(c).Duration = 20 * time.Second
		r, err := newRun(c, day(c), Options{})
		if err != nil {
			t.Fatal(err)
		}
		r.play()
		for i := range r.pools[0].Backends {
			if n := r.pools[0].state.Active(i); n != 0 {
				t.Errorf("%s: %d in flight to server %d when all is over", scheduler, n, i)
			}
		}
		if len(r.jobs.free) != len(r.jobs.list) || len(r.jobs.list) > 2000 {
			t.Errorf("%s: %d of %d places are free", scheduler, len(r.jobs.free), len(r.jobs.list))
		}
		used := r.result().Windows[0].Backends[0].Utilisation
		if used == nil || math.Abs(*used-0.9) > 0.05 {
			t.Errorf("%s: utilisation %v", scheduler, *used)
		}
	}
}

// Ten times as many take no more memory.
func TestSharingAllocatesNothing(t *testing.T) {
	allocated := func(n float64) uint64 {
		c := shared(spec.SchedulerWLC, 4, 2, 0.9, spec.ServiceExponential)
		day(c).Service.Queue = 64
		day(c).Duration = time.Duration(n / day(c).Traffic[0].Rate * 1e9)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run1(t, c, Options{})
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	if few, many := allocated(2e4), allocated(1e6); many > few+few/4+200 {
		t.Errorf("%d allocations for 20,000 connections, %d for 1,000,000", few, many)
	}
}

// Who gets no answer in time has another server asked, where the listener retries that, and is served later.
func TestTimeoutsAreRetried(t *testing.T) {
	for _, discipline := range []string{spec.DisciplineFCFS, spec.DisciplinePS} {
		for _, retries := range []bool{false, true} {
			c := web(spec.SchedulerRR, 100, 100)
			l := webListener(c)
			l.RequestTimeout, l.Retry.Timeout, l.StickySession = 100*time.Millisecond, retries, insertCookie(time.Hour)
			day(c).Service = &spec.Service{Time: time.Millisecond, Distribution: spec.ServiceConstant, Workers: 1000, Discipline: discipline}
			day(c).Traffic[0].Rate, day(c).Traffic[0].Clients.Count = 100, 1<<20
			day(c).Faults = []spec.Fault{{Name: "slow", At: 0, Targets: []string{"instance.s1"}, Mode: spec.FaultSlow, Factor: 200}}
			late := 0
			r, err := newRun(c, day(c), Options{Observe: func(p Pick) {
				switch {
				case p.Outcome == Served && p.Took == 101*time.Millisecond && p.Backend == "instance.s0":
					late++
				case p.Outcome == Served && p.Took == time.Millisecond && p.Backend == "instance.s0":
				case p.Outcome != TimedOut || retries:
					t.Fatalf("%s: %v of %s after %v", discipline, p.Outcome, p.Backend, p.Took)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			r.play()
			errors := windowOf("all", r.windows()).Errors
			if retries && (errors != 0 || late < 9900) || !retries && (errors < 14000 || late != 0) {
				t.Errorf("%s, retries %v: %d errors, %d late", discipline, retries, errors, late)
			}
			for i := range r.servers {
				if n := r.pools[0].state.Active(i); r.jobs != nil && n != 0 {
					t.Errorf("%s: %d in flight when all is over", discipline, n)
				}
			}
		}
	}
}
