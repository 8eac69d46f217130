package htmlreport

import (
	"fmt"
	"strconv"

	"slbctl/sim"
)

// table holds numbers, columns of which are times, or runs.
type table struct {
	ID      string
	Caption string
	Note    string
	Head    []string // the first one is of the rows
	Rows    []row
}

type row struct {
	Head  string
	Group bool // a heading of the rows after it
	Cells []cell
}

type cell struct {
	Text  string
	Class string
	Bar   *place // percent of the cell's width
}

// mostServers is how many a table lists one by one.
const mostServers = 32

// beside holds columns against one another; with two of them it says how they differ. Servers have the
// colours of the series.
func beside(caption, note string, columns []column, what string, all []series) table {
	t := table{Caption: caption, Note: note, Head: []string{""}}
	for _, c := range columns {
		t.Head = append(t.Head, c.Label)
	}
	if len(columns) == 2 {
		t.Head = append(t.Head, "difference")
	}
	b := &builder{table: &t, columns: columns, series: all}
	b.counts(what)
	b.latencies()
	b.servers("share", func(x *sim.Backend, w *sim.Window) (float64, bool) { return x.Share, servedBy(w) > 0 })
	b.servers("utilisation", func(x *sim.Backend, _ *sim.Window) (float64, bool) {
		if x.Utilisation == nil {
			return 0, false
		}
		return *x.Utilisation, true
	})
	return t
}

type builder struct {
	*table
	columns []column
	series  []series
	full    float64 // value of a bar as wide as can be
}

// add adds a row, of which the values that there are have the given form.
func (b *builder) add(head string, text, difference func(float64) string, bar string, of func(*sim.Window) (float64, bool)) {
	r := row{Head: head}
	var values []float64
	for _, c := range b.columns {
		v, ok := 0.0, false
		if c.Window != nil {
			v, ok = of(c.Window)
		}
		if !ok {
			r.Cells = append(r.Cells, cell{Text: "–", Class: "none"})
			continue
		}
		x := cell{Text: text(v)}
		if bar != "" {
			width := place(100 * min(v/b.full, 1))
			x.Bar, x.Class = &width, "part "+bar
		}
		values = append(values, v)
		r.Cells = append(r.Cells, x)
	}
	if len(b.columns) == 2 {
		x := cell{Class: "difference"}
		if len(values) == 2 && text(values[0]) != text(values[1]) {
			x.Text = difference(values[1] - values[0])
		}
		r.Cells = append(r.Cells, x)
	}
	b.Rows = append(b.Rows, r)
}

// counts are the rows of what became of the requests: of the errors always, of the rest where there
// is something to count.
func (b *builder) counts(what string) {
	for _, c := range counts(what) {
		if !c.always && !some(b.columns, c.of) {
			continue
		}
		b.add(c.name, counted, signed, "", func(w *sim.Window) (float64, bool) { return float64(c.of(w)), true })
	}
}

// count is something that windows count.
type count struct {
	name   string
	always bool
	of     func(*sim.Window) int64
}

func counts(what string) []count {
	return []count{
		{what + "s", true, func(w *sim.Window) int64 { return w.Requests }},
		{"errors", true, func(w *sim.Window) int64 { return w.Errors }},
		{"dropped", false, func(w *sim.Window) int64 { return w.Dropped }},
		{"denied", false, func(w *sim.Window) int64 { return w.Denied }},
		{"unrouted", false, func(w *sim.Window) int64 { return w.Unrouted }},
		{"redirected", false, func(w *sim.Window) int64 { return w.Redirected }},
	}
}

func some(columns []column, of func(*sim.Window) int64) bool {
	for _, c := range columns {
		if c.Window != nil && of(c.Window) > 0 {
			return true
		}
	}
	return false
}

// quantiles are what a table tells of latency.
var quantiles = []struct {
	name string
	of   func(*sim.Latency) float64
}{
	{"p50", func(l *sim.Latency) float64 { return l.P50 }},
	{"p90", func(l *sim.Latency) float64 { return l.P90 }},
	{"p99", func(l *sim.Latency) float64 { return l.P99 }},
	{"p99.9", func(l *sim.Latency) float64 { return l.P999 }},
	{"longest", func(l *sim.Latency) float64 { return l.Max }},
}

func (b *builder) latencies() {
	if !timed(b.columns) {
		return
	}
	b.Rows = append(b.Rows, row{Head: "latency", Group: true})
	for _, q := range quantiles {
		b.add(q.name, sim.Brief, later, "", func(w *sim.Window) (float64, bool) {
			if w.Latency == nil {
				return 0, false
			}
			return q.of(w.Latency), true
		})
	}
}

// timed reports whether latencies are told.
func timed(columns []column) bool {
	for _, c := range columns {
		if c.Window != nil && c.Window.Latency != nil {
			return true
		}
	}
	return false
}

// servers are the rows of a value of each server.
func (b *builder) servers(name string, of func(*sim.Backend, *sim.Window) (float64, bool)) {
	var windows []*sim.Window
	most := 0.0
	any := false
	for _, c := range b.columns {
		if c.Window == nil {
			continue
		}
		windows = append(windows, c.Window)
		for i := range c.Window.Backends {
			v, ok := of(&c.Window.Backends[i], c.Window)
			any, most = any || ok, max(most, v)
		}
	}
	if !any {
		return
	}
	b.full = 1
	if most > 0 {
		b.full = min(1, roundUp(most))
	}
	b.Rows = append(b.Rows, row{Head: name, Group: true})
	listed, first := telling(windows, mostServers), windows[0].Backends
	for i := range first {
		address := first[i].Address
		if !listed[address] {
			continue
		}
		b.add(address, percent, points, b.colour(address), func(w *sim.Window) (float64, bool) {
			for k := range w.Backends {
				if w.Backends[k].Address == address {
					return of(&w.Backends[k], w)
				}
			}
			return 0, false
		})
	}
	if n := len(first) - len(listed); n > 0 {
		b.Rows = append(b.Rows, row{Head: fmt.Sprintf("and %s that changed less", plural(n, "server"))})
	}
}

// colour is the class of a server.
func (b *builder) colour(address string) string {
	for i := range b.series {
		if b.series[i].members[address] {
			return b.series[i].Class
		}
	}
	return "others"
}

// steps are the numbers that a chart is drawn of.
func (c *course) steps() table {
	t := table{Caption: "What is drawn, in numbers", Head: []string{"from", c.What() + "s", "errors"}}
	latency := c.Windows[0].Latency != nil
	if latency {
		t.Head = append(t.Head, "p50", "p99")
	}
	for i := range c.series {
		t.Head = append(t.Head, c.series[i].Name)
	}
	for k := range c.Timeline.Steps {
		w := &c.Timeline.Steps[k]
		from, _ := c.span(k)
		r := row{Head: clock(from), Cells: []cell{{Text: number(w.Requests)}, {Text: number(w.Errors)}}}
		if latency && w.Latency != nil {
			r.Cells = append(r.Cells, cell{Text: sim.Brief(w.Latency.P50)}, cell{Text: sim.Brief(w.Latency.P99)})
		} else if latency {
			r.Cells = append(r.Cells, cell{Text: "–"}, cell{Text: "–"})
		}
		for i := range c.series {
			text := "–"
			if all := servedBy(w); all > 0 {
				text = percent(float64(c.series[i].served(w)) / float64(all))
			}
			r.Cells = append(r.Cells, cell{Text: text})
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

func counted(v float64) string { return number(int64(v)) }

func signed(v float64) string {
	if v > 0 {
		return "+" + number(int64(v))
	}
	return number(int64(v))
}

func later(v float64) string {
	if v > 0 {
		return "+" + sim.Brief(v)
	}
	return "-" + sim.Brief(-v)
}

// points are percentages' difference.
func points(v float64) string {
	text := strconv.FormatFloat(100*v, 'f', 1, 64) + " points"
	if v > 0 {
		return "+" + text
	}
	return text
}
