package sim

import (
	"fmt"
	"math"

	"slbctl/runtime/expect"
	"slbctl/spec"
)

// Replication is what a simulation came to under several seeds: how much of a result is a
// matter of chance. JSON keys are in alphabetical order. Rules have no rows of their own in it.
type Replication struct {
	Confidence     float64              `json:"confidence"` // of the windows' intervals
	Expectations   []ReplicaExpectation `json:"expectations"`
	Name           string               `json:"name"`
	Replicas       int                  `json:"replicas"`
	Seed           uint64               `json:"seed"` // of the first; the others have those after it
	VirtualSeconds float64              `json:"virtual_seconds"`
	WallSeconds    float64              `json:"wall_seconds"` // of all, as if they had run one after the other
	Windows        []ReplicaWindow      `json:"windows"`

	first *Result
}

// Estimate is a mean over replicas of what is never negative, with the interval that its truth lies in by
// Student's t. Of less than two there is none: then it is the mean itself.
type Estimate struct {
	High     float64 `json:"high"`
	Low      float64 `json:"low"`
	Max      float64 `json:"max"` // of what was observed
	Mean     float64 `json:"mean"`
	Min      float64 `json:"min"`
	Replicas int     `json:"replicas"` // that had something to observe
}

// ReplicaWindow is a window over all replicas.
type ReplicaWindow struct {
	Backends   []ReplicaBackend `json:"backends"`
	Denied     Estimate         `json:"denied"`
	Dropped    Estimate         `json:"dropped"`
	Errors     Estimate         `json:"errors"`
	Latency    *ReplicaLatency  `json:"latency"` // null where no replica tells any
	Name       string           `json:"name"`
	Redirected Estimate         `json:"redirected"`
	Requests   Estimate         `json:"requests"`
	Unrouted   Estimate         `json:"unrouted"`
}

// ReplicaBackend is a server over all replicas.
type ReplicaBackend struct {
	Address     string    `json:"address"`
	Requests    Estimate  `json:"requests"`
	Share       *Estimate `json:"share"`       // null where nothing was served
	Utilisation *Estimate `json:"utilisation"` // null without a service block
}

// ReplicaLatency is the latency of a window over all replicas.
type ReplicaLatency struct {
	Max  Estimate `json:"max"`
	P50  Estimate `json:"p50"`
	P90  Estimate `json:"p90"`
	P99  Estimate `json:"p99"`
	P999 Estimate `json:"p999"`
}

// ReplicaExpectation is an expect block over all replicas. Numbers of errors must keep it in
// each of them; of all else the mean must, with the block's confidence.
type ReplicaExpectation struct {
	Detail       string    `json:"detail"`
	Failed       int       `json:"failed"` // replicas
	Inconclusive int       `json:"inconclusive"`
	Name         string    `json:"name"`
	Observed     *Estimate `json:"observed"` // null: no replica had data
	Passed       int       `json:"passed"`
	Verdict      Verdict   `json:"verdict"`
	Wanted       string    `json:"wanted"`
}

// windowConfidence is that of the intervals that nobody has chosen.
const windowConfidence = 0.95

// Replicated brings together the results of one simulation, which differ in their seeds alone. The first
// one has the least.
func Replicated(results []*Result) *Replication {
	first := results[0]
	out := &Replication{
		Confidence: windowConfidence, Name: first.Name, Replicas: len(results), Seed: first.Seed, VirtualSeconds: first.VirtualSeconds,
		Expectations: []ReplicaExpectation{}, first: first,
	}
	for _, r := range results {
		out.WallSeconds += r.WallSeconds
	}
	for k := range first.Windows {
		windows := make([]*Window, len(results))
		for i, r := range results {
			windows[i] = &r.Windows[k]
		}
		out.Windows = append(out.Windows, replicaWindow(windows))
	}
	for k := range first.sim.Expects {
		verdicts := make([]*Expectation, len(results))
		for i, r := range results {
			verdicts[i] = &r.Expectations[k]
		}
		out.Expectations = append(out.Expectations, replicaExpectation(&first.sim.Expects[k], verdicts))
	}
	return out
}

// Verdict is the worst of the expectations'.
func (r *Replication) Verdict() Verdict {
	worst := Pass
	for _, e := range r.Expectations {
		worst = worst.Worse(e.Verdict)
	}
	return worst
}

func replicaWindow(windows []*Window) ReplicaWindow {
	counted := func(of func(*Window) int64) Estimate {
		return *estimated(windows, windowConfidence, func(w *Window) (float64, bool) { return float64(of(w)), true })
	}
	out := ReplicaWindow{
		Name:       windows[0].Name,
		Denied:     counted(func(w *Window) int64 { return w.Denied }),
		Dropped:    counted(func(w *Window) int64 { return w.Dropped }),
		Errors:     counted(func(w *Window) int64 { return w.Errors }),
		Redirected: counted(func(w *Window) int64 { return w.Redirected }),
		Requests:   counted(func(w *Window) int64 { return w.Requests }),
		Unrouted:   counted(func(w *Window) int64 { return w.Unrouted }),
		Latency:    replicaLatency(windows),
	}
	for k := range windows[0].Backends {
		b := ReplicaBackend{
			Address:  windows[0].Backends[k].Address,
			Requests: counted(func(w *Window) int64 { return w.Backends[k].Requests }),
			Share:    estimated(windows, windowConfidence, func(w *Window) (float64, bool) { return w.Backends[k].Share, w.served() > 0 }),
			Utilisation: estimated(windows, windowConfidence, func(w *Window) (float64, bool) {
				u := w.Backends[k].Utilisation
				if u == nil {
					return 0, false
				}
				return *u, true
			}),
		}
		out.Backends = append(out.Backends, b)
	}
	return out
}

func replicaLatency(windows []*Window) *ReplicaLatency {
	quantile := func(of func(*Latency) float64) *Estimate {
		return estimated(windows, windowConfidence, func(w *Window) (float64, bool) {
			if w.Latency == nil {
				return 0, false
			}
			return of(w.Latency), true
		})
	}
	longest := quantile(func(l *Latency) float64 { return l.Max })
	if longest == nil {
		return nil
	}
	return &ReplicaLatency{
		Max:  *longest,
		P50:  *quantile(func(l *Latency) float64 { return l.P50 }),
		P90:  *quantile(func(l *Latency) float64 { return l.P90 }),
		P99:  *quantile(func(l *Latency) float64 { return l.P99 }),
		P999: *quantile(func(l *Latency) float64 { return l.P999 }),
	}
}

// estimated is what replicas say of a value, those that have it; nil where none has.
func estimated[T any](replicas []T, confidence float64, of func(T) (float64, bool)) *Estimate {
	var values []float64
	for _, r := range replicas {
		if v, ok := of(r); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return nil
	}
	e := estimate(values, confidence)
	return &e
}

// estimate is the mean of values, give or take Student's t times its standard error. Products are
// converted, lest a machine that multiplies and adds at once rounds otherwise.
func estimate(values []float64, confidence float64) Estimate {
	e := Estimate{Min: values[0], Max: values[0], Replicas: len(values)}
	sum := 0.0
	for _, v := range values {
		sum += v
		e.Min, e.Max = min(e.Min, v), max(e.Max, v)
	}
	n := float64(len(values))
	e.Mean = min(max(sum/n, e.Min), e.Max) // all alike are their own mean
	squares := 0.0
	for _, v := range values {
		squares += float64((v - e.Mean) * (v - e.Mean))
	}
	half := 0.0
	if len(values) > 1 {
		half = float64(wide(confidence, len(values)) * math.Sqrt(squares/(n-1)))
	}
	e.Low, e.High = max(0, e.Mean-half), e.Mean+half
	return e
}

// studentExact is how many standard errors about a mean hold the part p of Student's t of some degrees of
// freedom: of two replicas there is one. It sums the distribution's series (Abramowitz and Stegun, 26.7.3 and
// 26.7.4), and rounds to what machines agree about.
func studentExact(p float64, freedom int) float64 {
	inside := func(angle float64) float64 {
		sin, cos := math.Sincos(angle)
		term, sum, k := 1.0, 0.0, 2
		if freedom%2 == 1 {
			term, k = cos, 3
		}
		for ; k <= freedom; k += 2 {
			sum += term
			term *= cos * cos * float64(k-1) / float64(k)
		}
		if freedom%2 == 0 {
			return sin * sum
		}
		return 2 / math.Pi * (angle + sin*sum)
	}
	low, high := 0.0, math.Pi/2
	for range 60 {
		if middle := (low + high) / 2; inside(middle) < p {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Round(math.Sqrt(float64(freedom))*math.Tan(low)*1e9) / 1e9
}

func replicaExpectation(e *spec.Expect, results []*Expectation) ReplicaExpectation {
	out := ReplicaExpectation{Name: e.Name, Wanted: expect.Wanted(e)}
	for _, r := range results {
		switch r.Verdict {
		case Pass:
			out.Passed++
		case Fail:
			out.Failed++
		default:
			out.Inconclusive++
		}
	}
	out.Observed = estimated(results, e.Confidence, func(r *Expectation) (float64, bool) {
		if r.Observed == nil {
			return 0, false
		}
		return *r.Observed, true
	})
	switch {
	case out.Observed == nil:
		out.Verdict, out.Detail = Inconclusive, results[0].Detail
	case expect.Counts(e.Metric):
		out.count(e)
	default:
		out.judge(e)
	}
	if out.Observed != nil && out.Observed.Replicas < len(results) {
		out.Verdict = out.Verdict.Worse(Inconclusive)
		out.Detail += fmt.Sprintf("; %d had nothing to judge by", len(results)-out.Observed.Replicas)
	}
	return out
}

// count is the verdict about a number: each replica must keep it.
func (x *ReplicaExpectation) count(e *spec.Expect) {
	x.Verdict = Pass
	if x.Failed > 0 {
		x.Verdict = Fail
	}
	x.Detail = number(x.Observed.Min)
	if x.Observed.Max > x.Observed.Min {
		x.Detail += " to " + number(x.Observed.Max)
	}
	x.Detail += ", kept in " + x.kept()
}

// judge is the verdict about a mean.
func (x *ReplicaExpectation) judge(e *spec.Expect) {
	text := percent
	if permilles[e.Metric] > 0 {
		text = Brief
	}
	o := x.Observed
	above, below := e.Min == nil || o.Low >= *e.Min, e.Max == nil || o.High <= *e.Max
	outside := e.Min != nil && o.High < *e.Min || e.Max != nil && o.Low > *e.Max
	x.Detail = fmt.Sprintf("%s on average, %s to %s with confidence %s; kept in %s", text(o.Mean), text(o.Low), text(o.High), number(e.Confidence), x.kept())
	switch {
	case outside:
		x.Verdict = Fail
	case above && below:
		x.Verdict = Pass
	default:
		x.Verdict = Inconclusive
		x.Detail += x.needed(e)
	}
}

func (x *ReplicaExpectation) kept() string {
	return fmt.Sprintf("%d of %d", x.Passed, x.Passed+x.Failed+x.Inconclusive)
}

// needed says how many replicas it takes to tell, where a bound lies within the interval.
func (x *ReplicaExpectation) needed(e *spec.Expect) string {
	distance := math.Inf(1)
	for _, bound := range []*float64{e.Min, e.Max} {
		if bound != nil && *bound >= x.Observed.Low && *bound <= x.Observed.High {
			distance = min(distance, math.Abs(x.Observed.Mean-*bound))
		}
	}
	have := x.Observed.Replicas
	deviation := (x.Observed.High - x.Observed.Mean) / wide(e.Confidence, have)
	for n := have + 1; n < 1e6; n += 1 + n/20 {
		if deviation*wide(e.Confidence, n) < distance {
			return "; it takes about " + count(int(round2(float64(n))), "replica")
		}
	}
	return "; no number of them tells so little apart"
}

// wide is how many standard deviations of what is observed half an interval of n replicas is. Of very
// many, Student's t is the normal distribution.
func wide(confidence float64, n int) float64 {
	t := deviate(confidence)
	if n <= 1000 {
		t = studentExact(confidence, max(n-1, 1))
	}
	return t / math.Sqrt(float64(n))
}
