package sim

import (
	"fmt"

	"slbctl/runtime/expect"
	"slbctl/spec"
)

// judge holds a window against an expectation. What is decided turn by turn, or adds up
// in virtual time, is exact, and so are its bounds; of what is a matter of chance the gauges
// tell how far that reaches.
func judge(e *spec.Expect, gauges []*gauge, windows []Window, what string) Expectation {
	w := windowOf(e.During, windows)
	if permilles[e.Metric] > 0 || e.Metric == spec.MetricUtilisation {
		return judgeTime(e, gauges, w, what)
	}
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
	out := expect.Judge(e, observed, expect.Told(e.Metric, part, whole, what)+" in "+w.Name)
	if none := part == 0 && e.Min == nil && e.Max != nil && *e.Max == 0; gauges != nil && !none {
		weigh(&out, e, gauges)
	}
	return out
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

// weigh makes the verdict about a sample: it passes where each bound does.
func weigh(x *Expectation, e *spec.Expect, gauges []*gauge) {
	x.Verdict = Pass
	told := ""
	for _, g := range gauges {
		verdict, detail := g.verdict(e.Confidence)
		if x.Verdict != Fail && verdict != Pass || told == "" {
			x.Verdict, told = verdict, detail
		}
	}
	x.Detail += ": " + told
}

// judgeTime holds what a window says of time against an expectation.
func judgeTime(e *spec.Expect, gauges []*gauge, w *Window, what string) Expectation {
	if e.Metric == spec.MetricUtilisation {
		used := w.utilisation(e.Of)
		if used == nil {
			return expect.Nothing(e, w.Name+" lasted no time")
		}
		return expect.Judge(e, *used, percent(*used)+" of the time of "+w.Name)
	}
	if w.Latency == nil {
		return expect.Nothing(e, fmt.Sprintf("no %s in %s was served", what, w.Name))
	}
	observed := map[string]float64{spec.MetricP50: w.Latency.P50, spec.MetricP99: w.Latency.P99, spec.MetricP999: w.Latency.P999}[e.Metric]
	out := expect.Judge(e, observed, fmt.Sprintf("%s, of %s in %s", Brief(observed), count(int(w.served()), what), w.Name))
	weigh(&out, e, gauges)
	return out
}

// utilisation is that of an instance, or of all servers; nil where no time has passed.
func (w *Window) utilisation(of string) *float64 {
	sum, n := 0.0, 0
	for _, b := range w.Backends {
		if b.Utilisation != nil && (of == "" || b.instance == of) {
			sum += *b.Utilisation
			n++
		}
	}
	if n == 0 {
		return nil
	}
	sum /= float64(n)
	return &sum
}

func windowOf(name string, windows []Window) *Window {
	for i := range windows {
		if windows[i].Name == name {
			return &windows[i]
		}
	}
	return &windows[0] // during is "all" unless it is written
}
