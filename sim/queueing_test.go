package sim

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// sample is a mean with the standard error that the means of 40 batches have: what
// follows one another in a queue is too much alike to count each time as a sample.
type sample struct{ mean, err float64 }

func batchMeans(values []float64) sample {
	const batches = 40
	size := len(values) / batches
	var sum, squares float64
	for b := range batches {
		mean := 0.0
		for _, v := range values[b*size : (b+1)*size] {
			mean += v / float64(size)
		}
		sum += mean
		squares += mean * mean
	}
	mean := sum / batches
	return sample{mean, math.Sqrt((squares/batches - mean*mean) / (batches - 1))}
}

// agrees holds a sample to the truth: 3.6 standard errors of 39 degrees of freedom leave
// out one of 1,100, and the seed is fixed. They must be small enough to tell wrong from right.
func (s sample) agrees(t *testing.T, what string, truth, precision float64) {
	t.Helper()
	if math.Abs(s.mean-truth) > 3.6*s.err {
		t.Errorf("%s is %.5f±%.5f, want %.5f", what, s.mean, s.err, truth)
	}
	if s.err > precision*truth {
		t.Errorf("%s is %.5f±%.5f: too few to tell", what, s.mean, s.err)
	}
}

// queueing is n servers with some workers each, that take a millisecond on average and are
// used to the part rho, in front of which a scheduler stands.
func queueing(scheduler string, n, workers int, rho float64, distribution string) *spec.Config {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 100
	}
	c := shop(scheduler, weights...)
	c.LoadBalancers[0].Listeners[0].HealthCheck.Enabled = false
	s := day(c)
	s.Service = &spec.Service{Time: time.Millisecond, Distribution: distribution, Sigma: 1, Workers: workers, Queue: 1 << 16}
	s.Traffic[0].Arrivals = spec.ArrivalsPoisson
	s.Traffic[0].Rate = 1000 * rho * float64(n*workers)
	return c
}

// times are those that n connections took, in milliseconds, after a tenth more to warm up.
func times(t *testing.T, c *spec.Config, n int) (took []float64) {
	t.Helper()
	day(c).Duration = time.Duration(1.1 * float64(n) / day(c).Traffic[0].Rate * 1e9)
	k := 0
	run1(t, c, Options{Observe: func(p Pick) {
		if k++; k > n/10 && p.Outcome == Served {
			took = append(took, float64(p.Took)/1e6)
		}
	}})
	return took
}

func TestResponseTimesAreThoseOfTheory(t *testing.T) {
	const exponential, constant, lognormal = spec.ServiceExponential, spec.ServiceConstant, spec.ServiceLognormal
	cases := []struct {
		name         string
		n, workers   int
		rho          float64
		distribution string
		want         float64 // mean response, in service times
	}{
		{"M/M/1", 1, 1, 0.5, exponential, 2},
		{"M/M/1", 1, 1, 0.8, exponential, 5},
		{"M/M/2", 1, 2, 0.8, exponential, 2.777778},
		{"M/M/4", 1, 4, 0.8, exponential, 1.745541},
		{"M/M/16", 1, 16, 0.9, exponential, 1.369590},
		{"M/M/100", 1, 100, 0.9, exponential, 1.021694},
		{"M/D/1", 1, 1, 0.8, constant, 1 + 2},
		{"M/LN/1", 1, 1, 0.8, lognormal, 1 + 5.4366},
		{"E2/M/1", 2, 1, 0.8, exponential, 3.84398},
		{"E4/M/1", 4, 1, 0.8, exponential, 3.26738},
		{"E10/M/1", 10, 1, 0.9, exponential, 5.66028},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.name, " ", c.rho), func(t *testing.T) {
			took := times(t, queueing(spec.SchedulerRR, c.n, c.workers, c.rho, c.distribution), 400_000)
			batchMeans(took).agrees(t, "the mean response", c.want, 0.05)
		})
	}
}

// The time in M/M/1 is exponential itself, so all its quantiles are known.
func TestQuantilesOfMM1(t *testing.T) {
	c := queueing(spec.SchedulerRR, 1, 1, 0.8, spec.ServiceExponential)
	took := times(t, c, 1_000_000)
	l := run1(t, c, Options{}).Windows[0].Latency
	for name, q := range map[string]struct{ p, got float64 }{
		"p50": {0.5, l.P50}, "p90": {0.9, l.P90}, "p99": {0.99, l.P99}, "p99.9": {0.999, l.P999},
	} {
		// How many are below what theory names the quantile tells how right it is.
		truth := 5 * -math.Log(1-q.p)
		above := make([]float64, len(took))
		for i, v := range took {
			if v > truth {
				above[i] = 1
			}
		}
		batchMeans(above).agrees(t, "the part above "+name, 1-q.p, 0.3)
		if got := q.got * 1000; math.Abs(got/truth-1) > 0.15 {
			t.Errorf("%s is %.3f, want %.3f", name, got, truth)
		}
	}
}

// Erlang's loss formula holds whatever the distribution of the times.
func TestErlangB(t *testing.T) {
	for _, distribution := range []string{spec.ServiceExponential, spec.ServiceConstant, spec.ServiceLognormal} {
		for _, c := range []struct {
			workers int
			load    float64
			want    float64
		}{{10, 9, 0.167963}, {100, 90, 0.026957}} {
			config := queueing(spec.SchedulerRR, 1, c.workers, c.load/float64(c.workers), distribution)
			day(config).Service.Queue = 0
			day(config).Duration = time.Duration(4e5 / day(config).Traffic[0].Rate * 1e9)
			var lost []float64
			run1(t, config, Options{Observe: func(p Pick) {
				lost = append(lost, map[Outcome]float64{Failed: 1}[p.Outcome])
			}})
			batchMeans(lost).agrees(t, fmt.Sprintf("%s, %d workers: the part lost", distribution, c.workers), c.want, 0.05)
		}
	}
}

// M/M/1/5: one is served, four wait, and who comes then is lost.
func TestAFullQueueRefuses(t *testing.T) {
	c := queueing(spec.SchedulerRR, 1, 1, 0.8, spec.ServiceExponential)
	day(c).Service.Queue = 4
	day(c).Duration = 500 * time.Second
	var lost []float64
	run1(t, c, Options{Observe: func(p Pick) {
		lost = append(lost, map[Outcome]float64{Failed: 1}[p.Outcome])
	}})
	batchMeans(lost).agrees(t, "the part lost", 0.2*math.Pow(0.8, 5)/(1-math.Pow(0.8, 6)), 0.02)
}

// Power of two choices and the shortest queue, beside a simulation of another make
// (n, rho and its mean with the half of its 95 % interval).
func TestSchedulersThatCount(t *testing.T) {
	for _, c := range []struct {
		scheduler string
		n         int
		rho       float64
		want, off float64
	}{
		{spec.SchedulerP2C, 10, 0.8, 2.075, 0.018},
		{spec.SchedulerP2C, 10, 0.9, 2.987, 0.051},
		{spec.SchedulerP2C, 100, 0.8, 1.958, 0.014},
		{spec.SchedulerWLC, 10, 0.8, 1.354, 0.015},
		{spec.SchedulerWLC, 10, 0.9, 1.891, 0.029},
		{spec.SchedulerWLC, 100, 0.9, 1.064, 0.008},
	} {
		took := times(t, queueing(c.scheduler, c.n, 1, c.rho, spec.ServiceExponential), 400_000)
		s := batchMeans(took)
		s.err = math.Hypot(s.err, c.off/1.96)
		s.agrees(t, fmt.Sprint(c.scheduler, c.n, c.rho), c.want, 0.05)
	}
}

// What came was served, refused or is there still; and how many were there on average is
// what comes in a time times how long each stays (Little), to the nanosecond.
func TestNobodyIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		scheduler := rapid.SampledFrom([]string{spec.SchedulerRR, spec.SchedulerWLC, spec.SchedulerP2C, spec.SchedulerSCH}).Draw(rt, "scheduler")
		distribution := rapid.SampledFrom([]string{spec.ServiceExponential, spec.ServiceConstant, spec.ServiceLognormal}).Draw(rt, "distribution")
		c := queueing(scheduler, rapid.IntRange(1, 5).Draw(rt, "n"), rapid.IntRange(1, 4).Draw(rt, "workers"), rapid.Float64Range(0.1, 1.5).Draw(rt, "rho"), distribution)
		s := day(c)
		s.Service.Queue = rapid.IntRange(0, 20).Draw(rt, "queue")
		s.Duration = 2 * time.Second
		s.Faults = []spec.Fault{{
			Name: "f", At: 500 * time.Millisecond, For: time.Second, Targets: []string{"instance.s0"}, Factor: 3, Period: 200 * time.Millisecond,
			Mode: rapid.SampledFrom([]string{spec.FaultRefuse, spec.FaultSlow, spec.FaultFlap, spec.FaultHang}).Draw(rt, "mode"),
		}}
		var picks []Pick
		r, err := newRun(c, s, Options{Observe: func(p Pick) { picks = append(picks, p) }})
		if err != nil {
			rt.Fatal(err)
		}
		r.play()
		end, there, stays := s.Duration, 0, time.Duration(0)
		active := int64(0)
		for _, p := range picks {
			if p.Outcome == Served && p.At+p.Took > end {
				there++
			}
			if p.Outcome == Served {
				stays += min(p.Took, end-p.At)
			}
		}
		for i := range r.pools[0].Backends {
			active += r.pools[0].state.Active(i)
		}
		if int64(len(picks)) != r.requests {
			rt.Errorf("%d have come, of %d is known what became of them", r.requests, len(picks))
		}
		if r.pools[0].counts && s.Faults[0].Mode != spec.FaultHang && active != int64(there) {
			rt.Errorf("the core counts %d in flight, %d are there", active, there)
		}
		// Work is in service or waits: what the stations were busy for is no more than that.
		busy := int64(0)
		for _, s := range r.stations {
			busy += s.busy(int64(end))
		}
		if s.Faults[0].Mode != spec.FaultHang && busy > int64(stays) {
			rt.Errorf("busy for %v, though all stayed %v", time.Duration(busy), stays)
		}
	})
}

// Time in other units is the same time: all that lasts k times as long takes k times as long.
func TestTimeScales(t *testing.T) {
	at := func(k time.Duration) (took []time.Duration) {
		c := queueing(spec.SchedulerRR, 3, 2, 0.9, spec.ServiceExponential)
		s := day(c)
		s.Traffic[0].Arrivals = spec.ArrivalsConstant
		s.Service.Time *= k
		s.Traffic[0].Rate /= float64(k)
		s.Duration = k * time.Second
		run1(t, c, Options{Observe: func(p Pick) { took = append(took, p.Took) }})
		return took
	}
	one, ten := at(1), at(10)
	if len(one) != len(ten) {
		t.Fatalf("%d and %d connections", len(one), len(ten))
	}
	for k := range one {
		if off := ten[k] - 10*one[k]; off < -2000 || off > 2000 { // a rounding for each one before
			t.Fatalf("connection %d took %v, and %v of ten times", k, one[k], ten[k])
		}
	}
}

// A server that is slow takes so much longer; one that flaps is away for half of the time.
func TestSlowAndFlappingServers(t *testing.T) {
	c := queueing(spec.SchedulerRR, 2, 1, 0.01, spec.ServiceConstant)
	day(c).Duration = 100 * time.Second
	day(c).Faults = []spec.Fault{
		{Name: "slow", At: 10 * time.Second, For: 10 * time.Second, Targets: []string{"instance.s0"}, Mode: spec.FaultSlow, Factor: 8},
		{Name: "flap", At: 40 * time.Second, For: 40 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultFlap, Period: 10 * time.Second},
	}
	slow, away := 0, 0
	run1(t, c, Options{Observe: func(p Pick) {
		during := p.At >= 10*time.Second && p.At < 20*time.Second && p.Backend == "instance.s0"
		if during != (p.Took >= 8*time.Millisecond) {
			t.Errorf("at %v on %s a connection took %v", p.At, p.Backend, p.Took)
		}
		if during {
			slow++
		}
		if p.At >= 40*time.Second && p.At < 80*time.Second && (p.At-40*time.Second)%(10*time.Second) < 5*time.Second {
			away++
			if p.Backend == "instance.s1" {
				t.Errorf("at %v s1 is away", p.At)
			}
		} else if p.At >= 80*time.Second && p.Backend == "instance.s1" {
			away++
		}
	}})
	if slow < 50 || away < 300 {
		t.Errorf("%d connections saw s0 slow, %d s1 away or back", slow, away)
	}
}

// Ten times as many take no more memory.
func TestMemoryIsBounded(t *testing.T) {
	allocated := func(scheduler string, n float64) uint64 {
		c := queueing(scheduler, 4, 2, 0.95, spec.ServiceExponential)
		day(c).Service.Queue = 64 // full at times in either
		day(c).Expects = []spec.Expect{{Name: "e", Metric: spec.MetricP99, Max: limit(1), Confidence: 0.99, During: spec.DuringAll}}
		day(c).Faults = []spec.Fault{{Name: "f", At: 0, Targets: []string{"instance.s0"}, Mode: spec.FaultFlap, Period: time.Duration(n / 50 / day(c).Traffic[0].Rate * 1e9)}}
		day(c).Duration = time.Duration(n / day(c).Traffic[0].Rate * 1e9)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run1(t, c, Options{})
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWLC, spec.SchedulerSCH} {
		few, many := allocated(scheduler, 2e4), allocated(scheduler, 2e6)
		if many > few+few/4+1<<20 {
			t.Errorf("%s: %d bytes for 20,000 connections, %d for 2,000,000", scheduler, few, many)
		}
	}
}

// Faults of one server that multiply to more than a number can be leave it slow: its probes get no answer in time.
func TestSlowBeyondMeasure(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	webListener(c).HealthCheck.Type = spec.CheckHTTP
	day(c).Service = &spec.Service{Time: time.Hour, Distribution: spec.ServiceConstant, Workers: 1 << 20}
	for _, name := range []string{"a", "b", "c"} {
		day(c).Faults = append(day(c).Faults, spec.Fault{Name: name, Targets: []string{"instance.s0"}, Mode: spec.FaultSlow, Factor: 1000})
	}
	r, err := perform(c, day(c), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := &r.servers[0]; s.slack <= 0 || s.verdict.Health() != balance.Abnormal {
		t.Errorf("a probe takes %v longer, and the server is %v", time.Duration(s.slack), s.verdict.Health())
	}
}
