package sim

import (
	"slbctl/runtime/balance"
	"slbctl/runtime/expect"
	"slbctl/spec"
)

// Result is what a simulation came to. JSON keys are in alphabetical order.
type Result struct {
	Expectations   []Expectation `json:"expectations"`
	Live           *Live         `json:"live,omitempty"` // of real traffic, which all the rest is about then
	Name           string        `json:"name"`
	Requests       int64         `json:"requests"` // warm-up included
	Seed           uint64        `json:"seed"`
	VirtualSeconds float64       `json:"virtual_seconds"`
	WallSeconds    float64       `json:"wall_seconds"` // the only value that differs from run to run
	// Warnings say what the clients or servers of the scenario cannot give, whatever is decided.
	Warnings []string `json:"warnings"`
	Windows  []Window `json:"windows"`

	// Timeline is there if the options ask for it.
	Timeline *Timeline `json:"-"`

	listener *balance.Listener
	traffic  []spec.Traffic
	service  *spec.Service
	sim      *spec.Simulation
}

// Window counts the requests, on L4 connections, that came in a part of the time after
// warm-up: all of it, one fault with what it leaves behind, or the steady rest.
type Window struct {
	Backends []Backend `json:"backends"` // of all pools, each server once
	Denied   int64     `json:"denied"`   // by the access list
	Dropped  int64     `json:"dropped"`  // of the errors, those beyond a limit
	Errors   int64     `json:"errors"`   // nobody has served them, though somebody should
	// Latency is of what was served. It is null without an assumed service time, for
	// then there is none to tell.
	Latency *Latency `json:"latency"`
	Name    string   `json:"name"`
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
	// Utilisation is how much of the window's time its workers worked; null in routes,
	// and without a service block.
	Utilisation *float64 `json:"utilisation"`

	instance string
}

// Latency is how long the requests of a window took, in seconds from when they came to when
// their server was done. All but the maximum are right to 1/256 of themselves.
type Latency struct {
	Max  float64 `json:"max"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
}

// newLatency tells of what was served; of nothing there is nothing to tell.
func newLatency(h *histogram) *Latency {
	if h.n == 0 {
		return nil
	}
	at := func(permille int64) float64 { return float64(h.quantile(permille)) / 1e9 }
	return &Latency{Max: float64(h.max) / 1e9, P50: at(500), P90: at(900), P99: at(990), P999: at(999)}
}

// use says that the backend's workers have worked so long of the time they had.
func (b *Backend) use(worked, time int64) {
	if time > 0 {
		used := float64(worked) / float64(time)
		b.Utilisation = &used
	}
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

// What clients send to the listener: "request", or "connection" on L4.
func (r *Result) What() string { return what(r.listener) }

// Listener is the address of the listener that the traffic goes to.
func (r *Result) Listener() string { return r.listener.Address }

// Scheduler is that of the listener.
func (r *Result) Scheduler() string { return r.listener.Scheduler }

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
	if r.Live != nil {
		worst = worst.Worse(r.Live.Verdict)
	}
	return worst
}
