package sim

import (
	"fmt"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// Result is what a simulation came to. JSON keys are in alphabetical order.
type Result struct {
	Expectations   []Expectation `json:"expectations"`
	Name           string        `json:"name"`
	Requests       int64         `json:"requests"` // warm-up included
	Seed           uint64        `json:"seed"`
	VirtualSeconds float64       `json:"virtual_seconds"`
	WallSeconds    float64       `json:"wall_seconds"` // the only value that differs from run to run
	Windows        []Window      `json:"windows"`

	listener *balance.Listener
	traffic  []spec.Traffic
}

// Window counts the connections that came in a part of the time after warm-up: all
// of it, one fault with what it leaves behind, or the steady rest.
type Window struct {
	Backends []Backend `json:"backends"`
	Errors   int64     `json:"errors"`
	// Latency is null: without an assumed service time there is none to tell.
	Latency  *struct{} `json:"latency"`
	Name     string    `json:"name"`
	Requests int64     `json:"requests"` // served ones and errors
}

// Backend is a server's part of a window.
type Backend struct {
	Address  string  `json:"address"`
	Requests int64   `json:"requests"`
	Share    float64 `json:"share"` // of the connections that were served

	instance string
}

// Expectation is an expect block and what became of it.
type Expectation struct {
	Detail   string   `json:"detail"`
	Name     string   `json:"name"`
	Observed *float64 `json:"observed"` // null: the window saw no data
	Verdict  Verdict  `json:"verdict"`
	Wanted   string   `json:"wanted"`
}

// Verdict is how an expectation, or a whole simulation, went.
type Verdict string

// The verdicts. An expectation that saw no data is inconclusive, never a pass.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
)

// Verdict is the worst of the expectations': one failure fails, and without one a
// single inconclusive expectation leaves the whole inconclusive.
func (r *Result) Verdict() Verdict {
	worst := Pass
	for _, e := range r.Expectations {
		switch e.Verdict {
		case Fail:
			return Fail
		case Inconclusive:
			worst = Inconclusive
		}
	}
	return worst
}

// judge holds the counts of a window against an expectation. Counts of virtual
// traffic are exact, so bounds are too.
func judge(e *spec.Expect, windows []Window) Expectation {
	out := Expectation{Name: e.Name, Wanted: wanted(e)}
	w := windowOf(e.During, windows)
	part, whole := w.Errors, w.Requests
	if e.Metric == spec.MetricShare {
		part, whole = 0, w.Requests-w.Errors
		for _, b := range w.Backends {
			if b.instance == e.Of {
				part += b.Requests
			}
		}
	}
	if whole == 0 {
		out.Verdict = Inconclusive
		out.Detail = fmt.Sprintf("no connection in %s to judge by", w.Name)
		if w.Requests > 0 {
			out.Detail = fmt.Sprintf("none of the %d connections in %s was served", w.Requests, w.Name)
		}
		return out
	}
	observed := float64(part) / float64(whole)
	if e.Metric == spec.MetricErrors {
		observed = float64(part)
	}
	out.Observed = &observed
	out.Detail = fmt.Sprintf("%d of %d connections in %s", part, whole, w.Name)
	if e.Metric != spec.MetricErrors {
		out.Detail = percent(observed) + ", " + out.Detail
	}
	out.Verdict = Pass
	if e.Min != nil && observed < *e.Min || e.Max != nil && observed > *e.Max {
		out.Verdict = Fail
	}
	return out
}

func windowOf(name string, windows []Window) *Window {
	for i := range windows {
		if windows[i].Name == name {
			return &windows[i]
		}
	}
	return &windows[0] // during is "all" unless it is written
}

// wanted says the bounds of an expectation.
func wanted(e *spec.Expect) string {
	bound := func(v float64) string {
		if e.Metric == spec.MetricErrors {
			return number(v)
		}
		return percent(v)
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
