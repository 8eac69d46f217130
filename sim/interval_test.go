package sim

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"slbctl/spec"
)

// Both are inverted by functions of the standard library, or tables of Student's t.
func TestNormalAndExp(t *testing.T) {
	logs, powers := logTable(), powerTable()
	for _, p := range []float64{1e-9, 1e-6, 0.001, 0.05, 0.3, 0.5, 0.7, 0.95, 0.999, 0.9995} {
		got := normal(logs, uint64(p*(1<<63))<<1)
		if want := math.Sqrt2 * math.Erfinv(2*p-1); math.Abs(got-want) > 2e-6 {
			t.Errorf("quantile %v is %v, want %v", p, got, want)
		}
	}
	for x := -40.0; x < 40; x += 0.37 {
		if got := exp(powers, x); math.Abs(got/math.Exp(x)-1) > 2e-8 {
			t.Errorf("exp(%v) is %v, want %v", x, got, math.Exp(x))
		}
	}
	for _, c := range []struct{ p, freedom, want float64 }{{0.999, 15, 4.0728}, {0.999, 39, 3.5581}, {0.99, 60, 2.6603}, {0.95, 30, 2.0423}} {
		if got := student(c.p, int(c.freedom)); math.Abs(got-c.want) > 0.01 {
			t.Errorf("t of %v with %v degrees is %v, want %v", c.p, c.freedom, got, c.want)
		}
	}
}

// Of 500 intervals of 95 % some 25 miss the truth; of hits that come in bunches, too, which
// intervals that take each hit for itself miss half of the time.
func TestIntervalsHoldTheTruth(t *testing.T) {
	for _, bunch := range []int{1, 50} {
		rnd := rand.New(rand.NewPCG(1, 2))
		missed := 0
		for range 500 {
			var b batches
			for range 20000 / bunch {
				hit := rnd.Float64() < 0.2
				for range bunch {
					b.record(hit)
				}
			}
			if low, high, ok := b.interval(0.95); !ok || low > 0.2 || high < 0.2 {
				missed++
			}
		}
		if missed < 8 || missed > 50 {
			t.Errorf("bunches of %d: %d of 500 intervals miss the truth, want about 25", bunch, missed)
		}
	}
}

// A histogram's quantiles are right to 1/256.
func TestHistogram(t *testing.T) {
	for _, scale := range []float64{10, 1e3, 1e6, 1e12, 4e18} {
		var h histogram
		for k := range 10000 {
			h.record(int64(scale * float64(k+1) / 10000))
		}
		for _, permille := range []int64{1, 500, 900, 990, 999, 1000} {
			want := math.Floor(scale * float64(permille) / 1000)
			if got := float64(h.quantile(permille)); math.Abs(got-want) > want/256 {
				t.Errorf("to %g: quantile %d is %v, want %v", scale, permille, got, want)
			}
		}
	}
}

// verdictOn says what becomes of an expectation of M/M/1, whose p99 is 9.21 service times at half load.
func verdictOn(t *testing.T, e spec.Expect, d time.Duration) Verdict {
	t.Helper()
	c := queueing(spec.SchedulerRR, 1, 1, 0.5, spec.ServiceExponential)
	day(c).Duration = d
	e.Name, e.During, e.Confidence = "e", spec.DuringAll, 0.999
	day(c).Expects = []spec.Expect{e}
	return run1(t, c, Options{}).Expectations[0].Verdict
}

func TestVerdictsOnSamples(t *testing.T) {
	p99 := func(low, high *float64) spec.Expect { return spec.Expect{Metric: spec.MetricP99, Min: low, Max: high} }
	rate := func(high float64) spec.Expect { return spec.Expect{Metric: spec.MetricErrorRate, Max: &high} }
	for _, c := range []struct {
		name   string
		expect spec.Expect
		during time.Duration
		want   Verdict
	}{
		{"well below", p99(nil, limit(0.015)), 5 * time.Minute, Pass},
		{"well above", p99(nil, limit(0.006)), 5 * time.Minute, Fail},
		{"too near", p99(nil, limit(0.0093)), 5 * time.Minute, Inconclusive},
		{"too few", p99(nil, limit(0.015)), time.Second, Inconclusive},
		{"nothing", p99(nil, limit(0.015)), time.Nanosecond, Inconclusive},
		{"between", p99(limit(0.006), limit(0.015)), 5 * time.Minute, Pass},
		{"not between", p99(limit(0.014), limit(0.015)), 5 * time.Minute, Fail},
		{"no errors", rate(0), time.Second, Pass},
		{"no errors to speak of", rate(0.001), 5 * time.Minute, Pass},
		{"p50", spec.Expect{Metric: spec.MetricP50, Max: limit(0.0016)}, time.Minute, Pass},
		{"p999", spec.Expect{Metric: spec.MetricP999, Max: limit(0.1)}, time.Second, Inconclusive},
		{"busy", spec.Expect{Metric: spec.MetricUtilisation, Min: limit(0.49), Max: limit(0.51)}, 5 * time.Minute, Pass},
		{"idle", spec.Expect{Metric: spec.MetricUtilisation, Max: limit(0.4)}, 5 * time.Minute, Fail},
	} {
		if got := verdictOn(t, c.expect, c.during); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
