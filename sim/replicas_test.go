package sim

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

// The values are those of printed tables of Student's t, both sides.
func TestStudentExact(t *testing.T) {
	for _, tt := range []struct {
		p       float64
		freedom int
		want    float64
	}{
		{.95, 1, 12.7062}, {.95, 2, 4.30265}, {.95, 3, 3.18245}, {.95, 4, 2.77645}, {.95, 19, 2.09302}, {.95, 100, 1.98397},
		{.999, 1, 636.619}, {.999, 2, 31.5991}, {.999, 9, 4.78091}, {.999, 20, 3.84952}, {.999, 999, 3.30030}, {.5, 5, 0.72669},
	} {
		if got := studentExact(tt.p, tt.freedom); math.Abs(got/tt.want-1) > 1e-5 {
			t.Errorf("%v of %d degrees of freedom: %v, want %v", tt.p, tt.freedom, got, tt.want)
		}
	}
}

// Of 4,000 samples of a normal distribution the intervals of 95 % miss the mean in 200, give or
// take four standard deviations of that.
func TestEstimateCovers(t *testing.T) {
	draws, index := newSource(1, "estimate"), uint64(0)
	for _, n := range []int{2, 3, 10} {
		missed := 0
		for range 4000 {
			values := make([]float64, n)
			for k := range values {
				values[k] = 5 + normal(logTable(), draws.draw(index))
				index++
			}
			if e := estimate(values, .95); e.Low > 5 || e.High < 5 {
				missed++
			}
		}
		if missed < 200-55 || missed > 200+55 {
			t.Errorf("%d intervals of %d values miss the mean, want about 200", missed, n)
		}
	}
	if e := estimate([]float64{.1, .1, .1}, .95); e != (Estimate{.1, .1, .1, .1, .1, 3}) {
		t.Errorf("values that are all alike: %+v", e)
	}
	if e := estimate([]float64{3}, .95); e.Low != 3 || e.High != 3 || e.Replicas != 1 {
		t.Errorf("a single value: %+v", e)
	}
}

func replicated(t *testing.T, c *spec.Config, n int) *Replication {
	t.Helper()
	var results []*Result
	for k := range n {
		seed := 100 + uint64(k)
		results = append(results, run1(t, c, Options{Seed: &seed}))
	}
	return Replicated(results)
}

// What a client of M/M/1 waits and is served is exponential of mean 1/(1-rho) service times.
func TestReplicatedMM1(t *testing.T) {
	c := queueing(spec.SchedulerRR, 1, 1, .5, spec.ServiceExponential)
	day(c).Warmup = 10 * time.Second
	r := replicated(t, c, 8)
	l, u := r.Windows[0].Latency, r.Windows[0].Backends[0].Utilisation
	for _, tt := range []struct {
		name        string
		got         Estimate
		want, error float64
	}{
		{"p50", l.P50, .002 * math.Ln2, .002 / 256}, {"p99", l.P99, .002 * math.Log(100), .01 / 256}, {"utilisation", *u, .5, 0},
		{"requests", r.Windows[0].Requests, 500 * 290, 0}, {"share", *r.Windows[0].Backends[0].Share, 1, 0},
	} {
		if tt.got.Low-tt.error > tt.want || tt.got.High+tt.error < tt.want {
			t.Errorf("%s is %v to %v, want %v", tt.name, tt.got.Low, tt.got.High, tt.want)
		}
		if half := tt.got.High - tt.got.Mean; half > .02*tt.want {
			t.Errorf("%s is %v±%v: that says little", tt.name, tt.got.Mean, half)
		}
	}
	if r.Seed != 100 || r.Replicas != 8 || l.P50.Replicas != 8 || l.P50.Min == l.P50.Max {
		t.Errorf("%+v", r)
	}
}

// A number must be kept in each replica, everything else by the mean.
func TestReplicatedVerdicts(t *testing.T) {
	values := func(v ...float64) []float64 { return v }
	for name, tt := range map[string]struct {
		e        spec.Expect
		observed []float64 // negative: there was nothing to observe
		want     Verdict
		detail   string
	}{
		"inside":  {spec.Expect{Metric: spec.MetricShare, Min: limit(.4), Max: limit(.6)}, values(.49, .5, .51), Pass, "50% on average, "},
		"outside": {spec.Expect{Metric: spec.MetricShare, Max: limit(.4)}, values(.49, .5, .51), Fail, "kept in 0 of 3"},
		"too near": {spec.Expect{Metric: spec.MetricShare, Max: limit(.505)}, values(.49, .5, .51), Inconclusive,
			"; it takes about 18 replicas"},
		"the bound itself": {spec.Expect{Metric: spec.MetricShare, Max: limit(.5)}, values(.5, .5, .5), Pass, "50% to 50%"},
		"errors":           {spec.Expect{Metric: spec.MetricErrors, Max: limit(2)}, values(0, 1, 2), Pass, "0 to 2, kept in 3 of 3"},
		"errors in one":    {spec.Expect{Metric: spec.MetricErrors, Max: limit(0)}, values(0, 0, 1), Fail, "0 to 1, kept in 2 of 3"},
		"latency":          {spec.Expect{Metric: spec.MetricP99, Max: limit(.01)}, values(.004, .005, .006), Pass, "5ms on average, "},
		"some had nothing": {spec.Expect{Metric: spec.MetricP99, Max: limit(.01)}, values(.005, -1, .005), Inconclusive, "; 1 had nothing to judge by"},
		"none had any":     {spec.Expect{Metric: spec.MetricShare, Max: limit(1)}, values(-1, -1), Inconclusive, "nothing"},
	} {
		tt.e.Name, tt.e.Confidence = name, .95
		var results []*Result
		for k, v := range tt.observed {
			x := Expectation{Name: name, Detail: "nothing", Verdict: Inconclusive}
			if v >= 0 {
				x.Observed, x.Verdict = &tt.observed[k], Pass
				if tt.e.Min != nil && v < *tt.e.Min || tt.e.Max != nil && v > *tt.e.Max {
					x.Verdict = Fail
				}
			}
			results = append(results, &Result{sim: &spec.Simulation{Expects: []spec.Expect{tt.e}}, Expectations: []Expectation{x}})
		}
		r := Replicated(results)
		if got := r.Expectations[0]; got.Verdict != tt.want || r.Verdict() != tt.want || !strings.Contains(got.Detail, tt.detail) {
			t.Errorf("%s: %+v, want %s with %q", name, got, tt.want, tt.detail)
		}
		if got := r.Expectations[0]; got.Passed+got.Failed+got.Inconclusive != len(tt.observed) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWriteReplications(t *testing.T) {
	c := queueing(spec.SchedulerWLC, 2, 2, .5, spec.ServiceExponential)
	day(c).Expects = []spec.Expect{{Name: "quick", Metric: spec.MetricP99, Max: limit(.1), Confidence: .99, During: "all"}}
	r := replicated(t, c, 3)
	r.WallSeconds = 0
	var b bytes.Buffer
	if err := WriteReplicationsJSON(&b, []*Replication{r}); err != nil {
		t.Fatal(err)
	}
	checkSorted(t, json.NewDecoder(&b), "")
	b.Reset()
	if err := WriteReplications(&b, []*Replication{r}, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 replicas, seeds 100 to 102\n", "  to " + listenerAddress + ", wlc\n", " ±", "busiest server", "± the 95% interval", "\x1b[32mok  \x1b[0m  quick  wanted at most 100ms: "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, b.String())
		}
	}
}
