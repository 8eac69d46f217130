package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"slbctl/spec"
)

// liveText tells of real traffic beside what was foretold of it.
func (r *Result) liveText(b *strings.Builder, color bool) {
	t := liveTable{Live: r.Live, rows: [][]string{{"window", "predicted", "share", "observed", "share", ""}}}
	t.whole(r)
	for k := range r.Windows {
		t.window(r, &r.Live.Predicted.Windows[k], &r.Windows[k])
	}
	writeTable(b, t.rows)
	b.WriteString("\n")
	r.liveLatencies(b)
	r.Live.Generator.text(b, what(r.listener))
	for _, note := range r.Live.Notes {
		b.WriteString("  " + note + "\n")
	}
	b.WriteString("\n")
	r.liveExpectations(b, color)
	said := map[Verdict]string{Pass: "what was observed is what was predicted", Fail: "what was observed is not what was predicted"}[r.Live.Verdict]
	if said == "" {
		said = "whether what was observed is what was predicted cannot be said"
	}
	fmt.Fprintf(b, "  %s  %s\n", marked(r.Live.Verdict, color), said)
}

// liveTable is a table in the making.
type liveTable struct {
	*Live
	rows [][]string
}

// whole has the numbers of the whole run, which must be equal.
func (t *liveTable) whole(r *Result) {
	for _, a := range t.Agreement {
		if a.Window != WindowRun {
			continue
		}
		if len(t.rows) == 1 {
			t.rows = append(t.rows, []string{WindowRun})
		}
		name := strings.TrimSpace(shortOf(a.Route, r.listener.Address) + " " + a.Of)
		if a.Metric != metricRequests {
			name = strings.TrimSpace(shortOf(a.Route, r.listener.Address) + " " + a.Metric)
		}
		t.add("  "+name, a.Predicted, a.Observed, &a)
	}
}

// window has what a window counts, under rules where there are several.
func (t *liveTable) window(r *Result, predicted, observed *Window) {
	t.add(observed.Name, predicted.Requests, observed.Requests, nil)
	t.add("  "+spec.MetricErrors, predicted.Errors, observed.Errors, t.find(observed.Name, "", "", spec.MetricErrors))
	if len(observed.Routes) < 2 {
		t.servers("  ", observed.Name, r.listener.Address, predicted.Backends, observed.Backends)
		return
	}
	for k := range observed.Routes {
		k = (k + 1) % len(observed.Routes) // what no rule takes comes last
		if p, o := &predicted.Routes[k], &observed.Routes[k]; p.Requests+o.Requests > 0 {
			name := shortOf(o.Address, r.listener.Address)
			if name == "" {
				name = "no rule"
			}
			t.add("  "+name, p.Requests, o.Requests, nil)
			t.servers("    ", observed.Name, o.Address, p.Backends, o.Backends)
		}
	}
}

func (t *liveTable) servers(indent, window, route string, predicted, observed []Backend) {
	for i, o := range observed {
		p := predicted[i]
		t.add(indent+o.Address, p.Requests, o.Requests, t.find(window, route, o.Address, metricRequests))
		row := t.rows[len(t.rows)-1]
		row[2], row[4] = shareCell(&p), shareCell(&o)
	}
}

func shareCell(s *Backend) string { return strconv.FormatFloat(100*s.Share, 'f', 2, 64) + "%" }

func (t *liveTable) add(name string, predicted, observed int64, a *Agreement) {
	mark := ""
	if a != nil {
		mark = a.mark()
	}
	t.rows = append(t.rows, []string{name, strconv.FormatInt(predicted, 10), "", strconv.FormatInt(observed, 10), "", mark})
}

func (t *liveTable) find(window, route, of, metric string) *Agreement {
	k := slices.IndexFunc(t.Agreement, func(a Agreement) bool {
		return a.Window == window && a.Route == route && a.Of == of && a.Metric == metric
	})
	if k < 0 {
		return nil
	}
	return &t.Agreement[k]
}

// mark says how the two numbers are to one another.
func (a *Agreement) mark() string {
	switch {
	case a.Verdict == Inconclusive:
		return "?"
	case a.Verdict == Fail && a.Exact:
		return "NOT EQUAL"
	case a.Verdict == Fail:
		return fmt.Sprintf("NOT within %d to %d", a.Low, a.High)
	case a.Exact:
		return "equal"
	}
	return fmt.Sprintf("within %d to %d", a.Low, a.High)
}

// Broken lists in words what was observed and is not what was predicted.
func (v *Live) Broken() (list []string) {
	for _, a := range v.Agreement {
		if a.Verdict == Fail {
			name := strings.Join(strings.Fields(a.Window+" "+a.Route+" "+a.Of+" "+a.Metric), " ")
			list = append(list, fmt.Sprintf("%s: predicted %d, observed %d: %s", name, a.Predicted, a.Observed, a.mark()))
		}
	}
	return list
}

// shortOf is a rule's address within its listener's; empty for the listener itself.
func shortOf(address, listener string) string {
	return strings.TrimPrefix(strings.TrimPrefix(address, listener), ".")
}

// liveLatencies lists what was observed, and beside it what the service block gives.
func (r *Result) liveLatencies(b *strings.Builder) {
	rows := [][]string{{"latency", "p50", "p90", "p99", "p99.9", "max"}}
	add := func(name string, l *Latency) {
		if l != nil {
			rows = append(rows, []string{name, Brief(l.P50), Brief(l.P90), Brief(l.P99), Brief(l.P999), Brief(l.Max)})
		}
	}
	for k := range r.Windows {
		add(r.Windows[k].Name+", predicted", r.Live.Predicted.Windows[k].Latency)
		add(r.Windows[k].Name+", observed", r.Windows[k].Latency)
	}
	if len(rows) > 1 {
		writeTable(b, rows)
		b.WriteString("\n")
	}
}

func (g *Generator) text(b *strings.Builder, what string) {
	fmt.Fprintf(b, "  the generator had up to %s under way at once, with %s, and was late by %s (p50), %s (p99), %s (max)\n",
		count(g.AtOnce, what), count(g.Workers, "worker"), Brief(g.Lag.P50), Brief(g.Lag.P99), Brief(g.Lag.Max))
}

// liveExpectations lists verdicts on what was observed, and under each what was predicted.
func (r *Result) liveExpectations(b *strings.Builder, color bool) {
	name := 0
	for _, e := range r.Expectations {
		name = max(name, utf8.RuneCountInString(e.Name))
	}
	for k, e := range r.Expectations {
		p := r.Live.Predicted.Expectations[k]
		fmt.Fprintf(b, "  %s  %-*s  wanted %s\n", marked(e.Verdict, color), name, e.Name, e.Wanted)
		fmt.Fprintf(b, "        %-*s  predicted %s (%s)\n", name, "", p.Detail, p.Verdict)
		fmt.Fprintf(b, "        %-*s  observed %s\n", name, "", e.Detail)
	}
}

// marked is a verdict as reports have it.
func marked(v Verdict, color bool) string {
	mark, code := "ok  ", "\x1b[32m"
	switch v {
	case Fail:
		mark, code = "FAIL", "\x1b[31m"
	case Inconclusive:
		mark, code = "?   ", "\x1b[33m"
	}
	if color {
		return code + mark + "\x1b[0m"
	}
	return mark
}
