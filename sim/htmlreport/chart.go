package htmlreport

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"slbctl/sim"
)

// A drawing is as wide as the page lets it be: its coordinates are stretched, its texts are
// HTML around it, and lines stay as thin as they are.
const (
	drawingWidth  = 1000
	drawingHeight = 100
)

// chart is what a run came to over time: some panels, one below the other, of one axis.
type chart struct {
	ID     string
	Label  string // of the run, where there are several
	Legend []key
	Lanes  [][]period
	Panels []panel
	Ticks  []tick
	Note   string
}

// key explains a colour.
type key struct{ Class, Text string }

// panel is a drawing with its axis.
type panel struct {
	ID          string
	Title       string
	Legend      []key  // of its own
	Description string // for those who do not see it
	Height      int    // pixels
	Axis        []tick
	Shapes      []shape
	Bands       []period
	Hits        []hit
	Ticks       []tick // of its own axis below
}

// shape is a path.
type shape struct{ Class, D string }

// hit is a part of a drawing that says more where somebody points at it.
type hit struct {
	X, Width place
	Text     string
}

// series is a server, or several, over time.
type series struct {
	Class, Name string
	members     map[string]bool
}

// colours is how many servers have one of their own; in larger farms all are one but those whose
// shares change the most.
const colours = 7

// seriesOf chooses what is drawn of the servers that the windows are of.
func seriesOf(windows []*sim.Window) (all []series) {
	drawn := telling(windows, colours)
	others := series{Class: "others", members: map[string]bool{}}
	for i := range windows[0].Backends {
		name := windows[0].Backends[i].Address
		if !drawn[name] {
			others.members[name] = true
			continue
		}
		all = append(all, series{fmt.Sprint("c", len(all)), name, map[string]bool{name: true}})
	}
	if n := len(others.members); n > 0 {
		others.Name = plural(n, "other server")
		all = append(all, others)
	}
	return all
}

// telling are the servers whose shares differ the most from window to window, the first ones of equals:
// all, if there are no more than so many; else one less, to leave a place for the others.
func telling(windows []*sim.Window, most int) map[string]bool {
	type server struct {
		name      string
		low, high float64
	}
	servers := make([]server, len(windows[0].Backends))
	for i := range servers {
		servers[i] = server{windows[0].Backends[i].Address, 1, 0}
		for _, w := range windows {
			if servedBy(w) > 0 {
				share := w.Backends[i].Share
				servers[i].low, servers[i].high = min(servers[i].low, share), max(servers[i].high, share)
			}
		}
	}
	if len(servers) > most {
		slices.SortStableFunc(servers, func(a, b server) int { return cmp.Compare(b.high-b.low, a.high-a.low) })
		servers = servers[:most-1]
	}
	chosen := map[string]bool{}
	for _, s := range servers {
		chosen[s.name] = true
	}
	return chosen
}

// served is how much of what a window's servers have served those of the series have.
func (s *series) served(w *sim.Window) (n int64) {
	for i := range w.Backends {
		if s.members[w.Backends[i].Address] {
			n += w.Backends[i].Requests
		}
	}
	return n
}

// used is how much of their time its servers have worked, on average.
func (s *series) used(w *sim.Window) (part float64, ok bool) {
	n := 0
	for i := range w.Backends {
		if b := &w.Backends[i]; s.members[b.Address] && b.Utilisation != nil {
			part += *b.Utilisation
			n++
		}
	}
	return part / float64(max(n, 1)), n > 0
}

func servedBy(w *sim.Window) (n int64) {
	for i := range w.Backends {
		n += w.Backends[i].Requests
	}
	return n
}

// course is a result with what its drawings have in common.
type course struct {
	*sim.Result
	series []series
	id     string
}

// x is where a time is, in the drawing's own unit.
func (c *course) x(seconds float64) place {
	return place(drawingWidth * min(seconds/c.VirtualSeconds, 1))
}

// span is the time of a step.
func (c *course) span(k int) (from, to float64) {
	step := c.Timeline.Step
	return float64(k) * step, min(float64(k+1)*step, c.VirtualSeconds)
}

// chart draws a result over time. The scales are those of all results that stand beside it.
func (c *course) chart(label string, s scales) chart {
	out := chart{ID: c.id, Label: label, Lanes: c.lanes(), Ticks: timeTicks(c.VirtualSeconds)}
	for _, one := range c.series {
		out.Legend = append(out.Legend, key{one.Class, one.Name})
	}
	out.Panels = append(out.Panels, c.shares())
	if s.errors.high > 0 {
		out.Panels = append(out.Panels, c.errors(s.errors))
	} else {
		out.Note = "There was no error."
	}
	if s.latency.high > 0 {
		out.Panels = append(out.Panels, c.latencies(s.latency), c.utilisation())
	}
	for i := range out.Panels {
		out.Panels[i].ID = fmt.Sprint(c.id, "-", i)
		out.Panels[i].Bands = c.bands()
	}
	return out
}

// shares draws the part of each server, one above the other.
func (c *course) shares() panel {
	p := panel{Title: "Share of each server", Height: 180, Axis: scale{0, 1, false}.ticks(wholePercent), Description: c.tellShares()}
	steps := c.Timeline.Steps
	below := make([]float64, len(steps)) // what is drawn already, from the bottom up
	for i := range c.series {
		s := &c.series[i]
		var d strings.Builder
		above := make([]float64, len(steps))
		for k := range steps {
			above[k] = below[k]
			if all := servedBy(&steps[k]); all > 0 {
				above[k] += float64(s.served(&steps[k])) / float64(all)
			}
		}
		for k := 0; k < len(steps); k++ {
			from := k
			for k < len(steps) && above[k] > below[k] {
				k++
			}
			c.area(&d, above, below, from, k)
		}
		below = above
		p.Shapes = append(p.Shapes, shape{"area " + s.Class, d.String()})
	}
	p.Hits = c.hits(func(w *sim.Window) string {
		all := servedBy(w)
		if all == 0 {
			return "nothing served"
		}
		var parts []string
		for i := range c.series {
			parts = append(parts, c.series[i].Name+" "+percent(float64(c.series[i].served(w))/float64(all)))
		}
		return strings.Join(parts, ", ")
	})
	return p
}

// area adds what is between two courses during some steps, to the right along the upper one and back
// along the lower one.
func (c *course) area(d *strings.Builder, above, below []float64, from, to int) {
	if from == to {
		return
	}
	start, _ := c.span(from)
	_, end := c.span(to - 1)
	y := func(part float64) place { return place(drawingHeight * (1 - part)) }
	fmt.Fprintf(d, "M%s %s", c.x(start), y(above[from]))
	for k := from + 1; k < to; k++ {
		if y(above[k]).String() != y(above[k-1]).String() {
			at, _ := c.span(k)
			fmt.Fprintf(d, "H%sV%s", c.x(at), y(above[k]))
		}
	}
	fmt.Fprintf(d, "H%sV%s", c.x(end), y(below[to-1]))
	for k := to - 1; k > from; k-- {
		if y(below[k]).String() != y(below[k-1]).String() {
			at, _ := c.span(k)
			fmt.Fprintf(d, "H%sV%s", c.x(at), y(below[k-1]))
		}
	}
	fmt.Fprintf(d, "H%sZ", c.x(start))
}

// box adds a rectangle to a path.
func box(d *strings.Builder, left, right, top, bottom place) {
	fmt.Fprintf(d, "M%s %sH%sV%sH%sZ", left, top, right, bottom, left)
}

// errors draws how many errors there were a second.
func (c *course) errors(s scale) panel {
	p := panel{Title: "Errors a second", Height: 70, Axis: s.ticks(plain)}
	var d strings.Builder
	for k := range c.Timeline.Steps {
		if v := c.errorRate(k); v > 0 {
			from, to := c.span(k)
			box(&d, c.x(from), c.x(to), s.y(v), drawingHeight)
		}
	}
	p.Shapes = []shape{{"errors", d.String()}}
	p.Description = fmt.Sprintf("%s of %s were errors.", number(c.Windows[0].Errors), plural(int(c.Windows[0].Requests), c.What()))
	p.Hits = c.hits(func(w *sim.Window) string {
		return fmt.Sprintf("%s of %s", plural(int(w.Errors), "error"), plural(int(w.Requests), c.What()))
	})
	return p
}

func (c *course) errorRate(k int) float64 {
	from, to := c.span(k)
	return float64(c.Timeline.Steps[k].Errors) / (to - from)
}

// latencies draws the median and the 99th percentile.
func (c *course) latencies(s scale) panel {
	p := panel{
		Title: "Latency", Height: 120, Axis: s.ticks(sim.Brief),
		Legend: []key{{"p50", "median"}, {"p99", "99th percentile"}},
	}
	for _, line := range []struct {
		class string
		of    func(*sim.Latency) float64
	}{{"p50", func(l *sim.Latency) float64 { return l.P50 }}, {"p99", func(l *sim.Latency) float64 { return l.P99 }}} {
		p.Shapes = append(p.Shapes, shape{"line " + line.class, c.line(s, func(w *sim.Window) (float64, bool) {
			if w.Latency == nil {
				return 0, false
			}
			return line.of(w.Latency), true
		})})
	}
	if l := c.Windows[0].Latency; l != nil {
		p.Description = fmt.Sprintf("Half of all took %s at most, 99%% took %s at most.", sim.Brief(l.P50), sim.Brief(l.P99))
	}
	p.Hits = c.hits(func(w *sim.Window) string {
		if w.Latency == nil {
			return "nothing served"
		}
		return fmt.Sprintf("median %s, 99th percentile %s, longest %s", sim.Brief(w.Latency.P50), sim.Brief(w.Latency.P99), sim.Brief(w.Latency.Max))
	})
	return p
}

// utilisation draws how busy the workers of each server were.
func (c *course) utilisation() panel {
	s := scale{0, 1, false}
	p := panel{Title: "Utilisation of each server", Height: 120, Axis: s.ticks(wholePercent)}
	var told []string
	for i := range c.series {
		one := &c.series[i]
		p.Shapes = append(p.Shapes, shape{"line " + one.Class, c.line(s, one.used)})
		if used, ok := one.used(&c.Windows[0]); ok {
			told = append(told, one.Name+" "+percent(used))
		}
	}
	p.Description = "On average: " + strings.Join(told, ", ") + "."
	p.Hits = c.hits(func(w *sim.Window) string {
		var parts []string
		for i := range c.series {
			if used, ok := c.series[i].used(w); ok {
				parts = append(parts, c.series[i].Name+" "+percent(used))
			}
		}
		return strings.Join(parts, ", ")
	})
	return p
}

// line goes from the middle of one step to that of the next, with a gap where there is nothing.
func (c *course) line(s scale, of func(*sim.Window) (float64, bool)) string {
	var d strings.Builder
	command := "M"
	for k := range c.Timeline.Steps {
		v, ok := of(&c.Timeline.Steps[k])
		if !ok {
			command = "M"
			continue
		}
		from, to := c.span(k)
		fmt.Fprintf(&d, "%s%s %s", command, c.x((from+to)/2), s.y(v))
		if command == "M" {
			d.WriteString("h.01") // or a single step would not be seen
		}
		command = "L"
	}
	return d.String()
}

// hits are the steps, each with what there is to say of it.
func (c *course) hits(tell func(*sim.Window) string) (out []hit) {
	for k := range c.Timeline.Steps {
		from, to := c.span(k)
		out = append(out, hit{c.x(from), c.x(to) - c.x(from), clock(from) + ": " + tell(&c.Timeline.Steps[k])})
	}
	return out
}

// tellShares says the shares of all the time after warm-up.
func (c *course) tellShares() string {
	w := &c.Windows[0]
	var parts []string
	for i := range c.series {
		if all := servedBy(w); all > 0 {
			parts = append(parts, c.series[i].Name+" "+percent(float64(c.series[i].served(w))/float64(all)))
		}
	}
	if parts == nil {
		return "Nothing was served."
	}
	return "Over all: " + strings.Join(parts, ", ") + "."
}
