package sim

import (
	"fmt"

	"slbctl/runtime/balance"
	"slbctl/runtime/expect"
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
type Expectation = expect.Result

// Verdict is how an expectation, or a whole simulation, went.
type Verdict = expect.Verdict

// The verdicts. An expectation that saw no data is inconclusive, never a pass.
const (
	Pass         = expect.Pass
	Fail         = expect.Fail
	Inconclusive = expect.Inconclusive
)

// what clients send to a listener.
func what(l *balance.Listener) string {
	if spec.L7(l.Protocol) {
		return "request"
	}
	return "connection"
}

// Verdict is the worst of the expectations'.
func (r *Result) Verdict() Verdict {
	worst := Pass
	for _, e := range r.Expectations {
		worst = worst.Worse(e.Verdict)
	}
	return worst
}

// judge holds the counts of a window against an expectation. Counts of virtual
// traffic are exact, so bounds are too.
func judge(e *spec.Expect, windows []Window, what string) Expectation {
	w := windowOf(e.During, windows)
	part, whole := w.counted(e)
	if whole == 0 {
		detail := fmt.Sprintf("no %s in %s to judge by", what, w.Name)
		if w.Requests > 0 {
			detail = fmt.Sprintf("none of the %s in %s was served", count(int(w.Requests), what), w.Name)
		}
		return expect.Nothing(e, detail)
	}
	observed := float64(part) / float64(whole)
	if expect.Counts(e.Metric) {
		observed = float64(part)
	}
	return expect.Judge(e, observed, expect.Told(e.Metric, part, whole, what)+" in "+w.Name)
}

// counted is what an expectation is about: a part, and what it is a part of.
func (w *Window) counted(e *spec.Expect) (part, whole int64) {
	switch e.Metric {
	case spec.MetricUnrouted:
		return w.Unrouted, w.Requests
	case spec.MetricShare:
		for _, b := range w.Backends {
			if b.instance == e.Of {
				part += b.Requests
			}
		}
		return part, w.served()
	}
	return w.Errors, w.Requests
}

func windowOf(name string, windows []Window) *Window {
	for i := range windows {
		if windows[i].Name == name {
			return &windows[i]
		}
	}
	return &windows[0] // during is "all" unless it is written
}
