package expect

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"slbctl/spec"
)

func bound(v float64) *float64 { return &v }

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		min, max *float64
		observed float64
		wanted   string
		verdict  Verdict
	}{
		{bound(0.49), bound(0.51), 0.5, "49% to 51%", Pass},
		{bound(0.5), bound(0.5), 0.5, "50%", Pass},
		{bound(0.5), nil, 0.499999, "at least 50%", Fail},
		{nil, bound(0), 0.000001, "at most 0%", Fail},
		{nil, bound(0), 0, "at most 0%", Pass},
	} {
		e := spec.Expect{Name: "e", Metric: spec.MetricShare, Min: tt.min, Max: tt.max}
		r := Judge(&e, tt.observed, "detail")
		if r.Verdict != tt.verdict || r.Wanted != tt.wanted || *r.Observed != tt.observed || r.Name != "e" || r.Detail != "detail" {
			t.Errorf("%v of %s: %+v", tt.observed, tt.wanted, r)
		}
	}
	if n := Nothing(&spec.Expect{Metric: spec.MetricErrors, Max: bound(3)}, "no data"); n.Verdict != Inconclusive || n.Observed != nil || n.Wanted != "at most 3" {
		t.Errorf("without data: %+v", n)
	}
}

// TestSample: what the sample leaves open is neither a pass nor a failure.
func TestSample(t *testing.T) {
	for _, tt := range []struct {
		min, max    *float64
		part, whole int64
		want        Verdict
	}{
		{bound(0.4), bound(0.6), 500, 1000, Pass},
		{bound(0.4), bound(0.6), 50, 100, Inconclusive},
		{bound(0.4), bound(0.6), 900, 1000, Fail},
		{bound(0.4), bound(0.6), 600, 1000, Inconclusive},
		{nil, bound(0.01), 0, 2000, Pass},
		{nil, bound(0.01), 0, 100, Inconclusive},
		{nil, bound(0.01), 100, 1000, Fail},
		{nil, bound(0), 0, 1, Pass},     // nothing is open: none of those that were asked
		{nil, bound(0), 1, 10000, Fail}, // and one is one too many
		{bound(1), nil, 10, 10, Pass},
		{bound(1), nil, 9, 10, Fail},
		{bound(0), bound(1), 3, 10, Pass},
	} {
		e := spec.Expect{Metric: spec.MetricShare, Min: tt.min, Max: tt.max, Confidence: spec.DefaultConfidence}
		r := Sample(&e, tt.part, tt.whole, "")
		if r.Verdict != tt.want {
			t.Errorf("%d of %d for %s: %+v", tt.part, tt.whole, r.Wanted, r)
		}
		if open := strings.Contains(r.Detail, "too wide to say"); open != (r.Verdict == Inconclusive) {
			t.Errorf("%d of %d for %s: %s", tt.part, tt.whole, r.Wanted, r.Detail)
		}
	}
}

// TestIntervalCovers counts over the whole distribution how often the truth is outside of
// the interval: Wilson's is close to the confidence, wherever the truth is.
func TestIntervalCovers(t *testing.T) {
	const n = 1000
	for _, p := range []float64{0.1, 0.3, 0.4} {
		missed, weight := 0.0, 1.0
		for range n {
			weight *= 1 - p
		}
		for k := 0; k <= n; k++ {
			low, high := Interval(float64(k)/n, n, quantile(0.99))
			if p < low || p > high {
				missed += weight
			}
			weight *= p / (1 - p) * float64(n-k) / float64(k+1)
		}
		if missed < 0.005 || missed > 0.02 {
			t.Errorf("%v is missed with %v, want about 0.01", p, missed)
		}
	}
}

// TestNeeded: a sample as large as it says tells, and one of half its size does not.
func TestNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := spec.Expect{Metric: spec.MetricShare, Confidence: spec.DefaultConfidence}
		expected := float64(rapid.IntRange(0, 100).Draw(t, "expected")) / 100
		limit := float64(rapid.IntRange(1, 99).Draw(t, "bound")) / 100
		e.Max = &limit
		n := int64(Needed(&e, expected))
		if expected == limit {
			if n != 0 {
				t.Fatalf("a sample of %d is to tell %v from itself", n, limit)
			}
			return
		}
		n = (n + 99) / 100 * 100 // so that the part is whole
		want := Pass
		if expected > limit {
			want = Fail
		}
		if r := Sample(&e, int64(float64(n)*expected+0.5), n, ""); r.Verdict != want {
			t.Fatalf("%v of %d for %v: %+v", expected, n, limit, r)
		}
		if half := n / 200 * 100; half > 0 && n > 1000 {
			if r := Sample(&e, int64(float64(half)*expected+0.5), half, ""); r.Verdict != Inconclusive {
				t.Fatalf("%v of %d for %v tells already: %+v", expected, half, limit, r)
			}
		}
	})
}

func TestTold(t *testing.T) {
	got := fmt.Sprint(
		Told(spec.MetricShare, 1, 3, "request"), "; ", Told(spec.MetricErrors, 0, 1, "connection"), "; ", Told(spec.MetricErrorRate, 0, 0, "request"))
	if want := "33.3333%, 1 of 3 requests; 0 of 1 connection; 0 of 0 requests"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if w := Pass.Worse(Inconclusive).Worse(Pass); w != Inconclusive || w.Worse(Fail) != Fail {
		t.Errorf("the worst is %s", w)
	}
}

// TestSampleAtTheEnds holds samples of every size without a single hit, or miss, to bounds
// that allow none: they keep them, whatever the last digit of an interval says.
func TestSampleAtTheEnds(t *testing.T) {
	none, all := 0.0, 1.0
	for n := int64(1); n <= 5000; n++ {
		for _, confidence := range []float64{0.9, 0.99, 0.999} {
			most := Sample(&spec.Expect{Metric: spec.MetricErrorRate, Max: &none, Confidence: confidence}, 0, n, "")
			least := Sample(&spec.Expect{Metric: spec.MetricShare, Min: &all, Confidence: confidence}, n, n, "")
			if most.Verdict != Pass || least.Verdict != Pass {
				t.Fatalf("0 of %d: %s, %d of %d: %s, want both to pass", n, most.Verdict, n, n, least.Verdict)
			}
		}
	}
}
