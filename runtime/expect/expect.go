// Package expect holds what was counted against the expect blocks of a configuration.
//
//	r := expect.Judge(&e, 0.5, "50% of load_balancer.SLB1.listener[\"tcp:80\"]")
//	if r.Verdict != expect.Pass {
//		return r.Verdict
//	}
//
// Plans, simulations and applies have their verdicts from here, so that one bound means
// one thing. What was counted exactly is held to the bounds as it is; a sample is held
// to them with the interval that it leaves open.
package expect

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"slbctl/spec"
)

// Verdict is how an expectation went.
type Verdict string

// The verdicts. An expectation that saw no data is inconclusive, never a pass.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
)

// Worse returns the worse of two verdicts: one failure fails, and without one a single
// inconclusive expectation leaves the whole inconclusive.
func (v Verdict) Worse(w Verdict) Verdict {
	switch {
	case v == Fail || w == Fail:
		return Fail
	case v == Inconclusive || w == Inconclusive:
		return Inconclusive
	}
	return Pass
}

// Result is an expect block and what became of it. JSON keys are in alphabetical order.
type Result struct {
	Detail   string   `json:"detail"`
	Name     string   `json:"name"`
	Observed *float64 `json:"observed"` // null: there was no data
	Verdict  Verdict  `json:"verdict"`
	Wanted   string   `json:"wanted"`
}

// Nothing is the result where there is nothing to judge by; detail says why.
func Nothing(e *spec.Expect, detail string) Result {
	return Result{Name: e.Name, Wanted: Wanted(e), Verdict: Inconclusive, Detail: detail}
}

// Judge holds a value that is exact to an expectation's bounds.
func Judge(e *spec.Expect, observed float64, detail string) Result {
	r := Result{Name: e.Name, Wanted: Wanted(e), Observed: &observed, Detail: detail, Verdict: Pass}
	if e.Min != nil && observed < *e.Min || e.Max != nil && observed > *e.Max {
		r.Verdict = Fail
	}
	return r
}

// Sample holds a part of a sample to an expectation's bounds: it fails when, with the
// expectation's confidence, the whole truth is outside of them, and passes when it is
// inside. In between it is inconclusive, and the detail says how large a sample would tell. A
// bound that leaves nothing open (at most 0, at least 1) is held to the sample itself.
func Sample(e *spec.Expect, part, whole int64, detail string) Result {
	observed := float64(part) / float64(whole)
	r := Judge(e, observed, detail)
	low, high := Interval(observed, float64(whole), quantile(e.Confidence))
	above := e.Min == nil || *e.Min <= 0 || low >= *e.Min || *e.Min >= 1 && part == whole
	below := e.Max == nil || *e.Max >= 1 || high <= *e.Max || *e.Max <= 0 && part == 0
	outside := e.Min != nil && (high < *e.Min || *e.Min >= 1 && part < whole) || e.Max != nil && (low > *e.Max || *e.Max <= 0 && part > 0)
	switch {
	case outside:
		r.Verdict = Fail
	case !above || !below:
		r.Verdict = Inconclusive
		r.Detail += fmt.Sprintf("; that may mean %s to %s, too wide to say", percent(low), percent(high))
		if n := Needed(e, observed); n > 0 {
			r.Detail += fmt.Sprintf(": it takes about %d", n)
		}
	default:
		r.Verdict = Pass
	}
	return r
}

// Needed is how large a sample tells whether a part that is expected keeps an
// expectation; 0 where none does, because the bound is the part itself.
func Needed(e *spec.Expect, expected float64) int {
	z := quantile(e.Confidence)
	n := 1.0
	for _, bound := range []*float64{e.Min, e.Max} {
		if bound == nil || *bound <= 0 || *bound >= 1 {
			continue
		}
		// Where the bound of Wilson's interval meets the expectation's.
		d := expected - *bound
		if d == 0 {
			return 0
		}
		n = max(n, z*z**bound*(1-*bound)/(d*d))
	}
	return int(math.Ceil(n))
}

// Interval is Wilson's for a part of n hits that have nothing to do with one another, z
// standard deviations wide to both sides (E. B. Wilson, 1927). It ends at 0 where there
// are none and at 1 where all are, which arithmetic misses by its last digit.
func Interval(part, n, z float64) (low, high float64) {
	square := z * z / n
	centre := (part + square/2) / (1 + square)
	half := z * math.Sqrt(part*(1-part)/n+square/(4*n)) / (1 + square)
	low, high = max(0, centre-half), min(1, centre+half)
	switch part {
	case 0:
		low = 0
	case 1:
		high = 1
	}
	return low, high
}

// quantile is how many standard deviations a confidence is to both sides.
func quantile(confidence float64) float64 { return math.Sqrt2 * math.Erfinv(confidence) }

// Counts reports whether a metric is a number; the others are parts of a whole.
func Counts(metric string) bool {
	return metric == spec.MetricErrors || metric == spec.MetricUnrouted
}

// Wanted says the bounds of an expectation.
func Wanted(e *spec.Expect) string {
	bound := percent
	switch e.Metric {
	case spec.MetricErrors, spec.MetricUnrouted:
		bound = number
	case spec.MetricP50, spec.MetricP99, spec.MetricP999:
		bound = func(v float64) string { return time.Duration(math.Round(v * 1e9)).String() }
	}
	switch {
	case e.Min != nil && e.Max != nil && *e.Min == *e.Max:
		return bound(*e.Min)
	case e.Min != nil && e.Max != nil:
		return bound(*e.Min) + " to " + bound(*e.Max)
	case e.Max != nil:
		return "at most " + bound(*e.Max)
	case e.Min != nil:
		return "at least " + bound(*e.Min)
	}
	return "anything"
}

// Told says a value of a metric, and what it was counted from: "50%, 100 of 200 requests".
func Told(metric string, part, whole int64, what string) string {
	if whole != 1 {
		what += "s"
	}
	counted := fmt.Sprintf("%d of %d %s", part, whole, what)
	if Counts(metric) || whole == 0 {
		return counted
	}
	return percent(float64(part)/float64(whole)) + ", " + counted
}

// number writes a float as people do: no exponent, no trailing zeros.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// percent writes a fraction with as many decimals as it has, up to four.
func percent(share float64) string { return number(math.Round(share*1e6)/1e4) + "%" }
