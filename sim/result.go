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

// Window counts the requests, on L4 connections, that came in a part of the time after
// warm-up: all of it, one fault with what it leaves behind, or the steady rest.
type Window struct {
	Backends []Backend `json:"backends"` // of all pools, each server once
	Denied   int64     `json:"denied"`   // by the access list
	Dropped  int64     `json:"dropped"`  // of the errors, those beyond a limit
	Errors   int64     `json:"errors"`   // nobody has served them, though somebody should
	// Latency is null: without an assumed service time there is none to tell.
	Latency *struct{} `json:"latency"`
	Name    string    `json:"name"`
	// Redirected requests were sent elsewhere, unrouted ones answered with 404 or 400.
	Redirected int64   `json:"redirected"`
	Requests   int64   `json:"requests"` // served ones, errors, and the three kinds of others
	Routes     []Route `json:"routes"`   // of listeners of HTTP
	Unrouted   int64   `json:"unrouted"`
}

// served is how many a server has taken.
func (w *Window) served() int64 {
	return w.Requests - w.Errors - w.Denied - w.Redirected - w.Unrouted
}

// Route is a rule's part of a window, or the listener's own: what no rule takes. It has
// no request that was denied or dropped, for that comes first. Unlike those of a window
// its shares are of what the rule's servers have served.
type Route struct {
	Address  string    `json:"address"` // resource address
	Backends []Backend `json:"backends"`
	Errors   int64     `json:"errors"`
	Requests int64     `json:"requests"`
}

// Backend is a server's part of a window or route.
type Backend struct {
	Address  string  `json:"address"`
	Requests int64   `json:"requests"`
	Share    float64 `json:"share"` // of what was served

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

// what the simulation sends to its listener.
func (r *Result) what() string {
	if spec.L7(r.listener.Protocol) {
		return "request"
	}
	return "connection"
}

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
func judge(e *spec.Expect, windows []Window, what string) Expectation {
	out := Expectation{Name: e.Name, Wanted: wanted(e)}
	w := windowOf(e.During, windows)
	part, whole := w.Errors, w.Requests
	switch e.Metric {
	case spec.MetricUnrouted:
		part = w.Unrouted
	case spec.MetricShare:
		part, whole = 0, w.served()
		for _, b := range w.Backends {
			if b.instance == e.Of {
				part += b.Requests
			}
		}
	}
	if whole == 0 {
		out.Verdict = Inconclusive
		out.Detail = fmt.Sprintf("no %s in %s to judge by", what, w.Name)
		if w.Requests > 0 {
			out.Detail = fmt.Sprintf("none of the %s in %s was served", count(int(w.Requests), what), w.Name)
		}
		return out
	}
	observed := float64(part) / float64(whole)
	if counts(e.Metric) {
		observed = float64(part)
	}
	out.Observed = &observed
	out.Detail = fmt.Sprintf("%d of %s in %s", part, count(int(whole), what), w.Name)
	if !counts(e.Metric) {
		out.Detail = percent(observed) + ", " + out.Detail
	}
	out.Verdict = Pass
	if e.Min != nil && observed < *e.Min || e.Max != nil && observed > *e.Max {
		out.Verdict = Fail
	}
	return out
}

// counts reports whether a metric is a number; the others are parts of a whole.
func counts(metric string) bool {
	return metric == spec.MetricErrors || metric == spec.MetricUnrouted
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
		if counts(e.Metric) {
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
