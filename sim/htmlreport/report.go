// Package htmlreport draws what simulations came to, for people to look at: one file of HTML with
// inline SVG that asks nothing of anybody, works without a network and without scripts,
// and can be printed.
//
//	result, err := sim.Run(config, "checkout-peak", sim.Options{Timeline: true})
//	if err != nil {
//		return err
//	}
//	return htmlreport.Write(w, []htmlreport.Section{{{Result: result}}})
//
// It is a function of the results, without the time that they took. All that it draws it
// tells in tables, too.
package htmlreport

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"slbctl/sim"
)

// Section is one simulation: alone, or in several runs that are to be compared, of the same
// servers and the same time.
type Section []Run

// Run is one result, which must have a timeline.
type Run struct {
	Label  string // what is different in it; of one that is alone, nothing
	Result *sim.Result
}

var (
	//go:embed page.html
	text string
	//go:embed page.css
	style string

	whole = template.Must(template.New("page").Parse(text))
)

// Write writes the page.
func Write(w io.Writer, sections []Section) error {
	d := document{Style: template.CSS(style)}
	for k, s := range sections {
		for _, r := range s {
			if r.Result.Timeline == nil {
				return fmt.Errorf("simulation %q: its result has no timeline to draw", r.Result.Name)
			}
		}
		if len(s) > 0 {
			d.Simulations = append(d.Simulations, s.simulation(fmt.Sprint("s", k+1)))
		}
	}
	d.Title = plural(len(d.Simulations), "simulation")
	if len(d.Simulations) == 1 {
		d.Title = d.Simulations[0].Name
	}
	return whole.Execute(w, d)
}

type document struct {
	Title       string
	Style       template.CSS
	Simulations []simulation
}

// simulation is what the page says of one.
type simulation struct {
	ID, Name, Time, Listener string
	Setting                  []string
	Facts                    []fact
	Labels                   []string // of runs that are compared
	Expectations             []expectation
	Charts                   []chart
	Spectrum                 *panel
	Tables                   []table
	Details                  []table
}

// fact is a number that people ask for first.
type fact struct{ Value, Name string }

// expectation is an expect block with what became of it in each run.
type expectation struct {
	Name, Wanted string
	Verdicts     []verdict
}

type verdict struct{ Class, Mark, Word, Detail string }

// scales are those that the charts of a section have in common; without a height where there is nothing
// to draw.
type scales struct{ errors, latency scale }

func (s Section) simulation(id string) simulation {
	r := s[0].Result
	out := simulation{
		ID: id, Name: r.Name, Time: fmt.Sprintf("%s of virtual time, seed %d", clock(r.VirtualSeconds), r.Seed),
		Listener: r.Listener(), Setting: r.Setting(), Expectations: s.expectations(),
	}
	series, shared := seriesOf(s.windows()), s.scales()
	for k, run := range s {
		c := &course{Result: run.Result, series: series, id: fmt.Sprintf("%s-%d", id, k+1)}
		out.Charts = append(out.Charts, c.chart(run.Label, shared))
		steps := c.steps()
		if len(s) > 1 {
			out.Labels = append(out.Labels, run.Label)
			steps.Caption += ": " + run.Label
		}
		out.Details = append(out.Details, steps)
	}
	if len(s) > 1 {
		s.compared(&out, series)
	} else {
		out.Listener += ", " + r.Scheduler()
		out.Facts = facts(r)
		alone(&out, r, series)
	}
	for k := range out.Tables {
		out.Tables[k].ID = fmt.Sprintf("%s-t%d", id, k+1)
	}
	for k := range out.Details {
		out.Details[k].ID = fmt.Sprintf("%s-d%d", id, k+1)
	}
	return out
}

// windows are those of all runs.
func (s Section) windows() (all []*sim.Window) {
	for _, r := range s {
		for k := range r.Result.Windows {
			all = append(all, &r.Result.Windows[k])
		}
	}
	return all
}

// alone adds what was before, during and after each mark of a run.
func alone(out *simulation, r *sim.Result, all []series) {
	var windows []column
	for k := range r.Windows {
		windows = append(windows, column{r.Windows[k].Name, &r.Windows[k], r.Timeline.Spectra[k]})
	}
	drawn := windows
	if len(r.Timeline.Marks) > 0 {
		drawn = windows[1:] // what is steady, and the rest; all of it is both
	} else {
		windows, drawn = windows[:1], windows[:1]
	}
	out.Spectrum = spectrum(out.ID+"-spectrum", drawn)
	for _, m := range r.Timeline.Marks {
		note := fmt.Sprintf("%s, %s to %s", m.What, clock(m.From), clock(m.Over))
		if m.Until > m.Over {
			note += ", noticed until " + clock(m.Until)
		}
		out.Tables = append(out.Tables, beside("Before and after "+m.Name, note+". Before and after: the steady time alone.", []column{
			{Label: "before", Window: present(&m.Before)}, {Label: "during", Window: windowOf(r, m.Name)}, {Label: "after", Window: present(&m.After)},
		}, r.What(), all))
	}
	note := "Whatever happens has a window of its own, until nothing is left of it; the rest is steady. The warm-up does not count."
	out.Tables = append(out.Tables, beside("All windows", note, windows, r.What(), all))
}

// present is nil instead of a time that is not there.
func present(w *sim.Window) *sim.Window {
	if w.Requests == 0 {
		return nil
	}
	return w
}

func windowOf(r *sim.Result, name string) *sim.Window {
	for k := range r.Windows {
		if r.Windows[k].Name == name {
			return &r.Windows[k]
		}
	}
	return nil
}

// compared holds the runs against one another, window by window.
func (s Section) compared(out *simulation, all []series) {
	for k, w := range s[0].Result.Windows {
		var runs []column
		for _, r := range s {
			runs = append(runs, column{r.Label, &r.Result.Windows[k], r.Result.Timeline.Spectra[k]})
		}
		if k == 0 {
			out.Spectrum = spectrum(out.ID+"-spectrum", runs)
		}
		if k == 1 && len(s[0].Result.Timeline.Marks) == 0 {
			break // all of it is steady
		}
		caption := "Window " + w.Name
		if k == 0 {
			caption = "Side by side"
		}
		out.Tables = append(out.Tables, beside(caption, "", runs, s[0].Result.What(), all))
	}
}

// facts are those of all the time after warm-up.
func facts(r *sim.Result) []fact {
	w := &r.Windows[0]
	out := []fact{{number(w.Requests), r.What() + "s"}, {number(w.Errors), "errors"}}
	if l := w.Latency; l != nil {
		out = append(out, fact{sim.Brief(l.P50), "median"}, fact{sim.Brief(l.P99), "99th percentile"})
	}
	best := -1.0
	name := ""
	for i := range w.Backends {
		if b := &w.Backends[i]; b.Utilisation != nil && *b.Utilisation > best {
			best, name = *b.Utilisation, b.Address
		}
	}
	if best >= 0 {
		out = append(out, fact{percent(best), "busiest: " + name})
	}
	return out
}

// expectations are those of all runs, by name.
func (s Section) expectations() (out []expectation) {
	for k, e := range s[0].Result.Expectations {
		x := expectation{Name: e.Name, Wanted: e.Wanted}
		for _, r := range s {
			x.Verdicts = append(x.Verdicts, told(&r.Result.Expectations[k]))
		}
		out = append(out, x)
	}
	return out
}

// told says a verdict by a mark, a word and a colour.
func told(e *sim.Expectation) verdict {
	switch e.Verdict {
	case sim.Pass:
		return verdict{"pass", "✓", "kept", e.Detail}
	case sim.Fail:
		return verdict{"fail", "✗", "not kept", e.Detail}
	}
	return verdict{"unclear", "?", "cannot be said", e.Detail}
}

// scales finds those that hold all runs.
func (s Section) scales() scales {
	least, most, errors := 0.0, 0.0, 0.0
	for _, r := range s {
		c := &course{Result: r.Result}
		for k := range r.Result.Timeline.Steps {
			errors = max(errors, c.errorRate(k))
			if l := r.Result.Timeline.Steps[k].Latency; l != nil {
				most = max(most, l.P99)
				if least == 0 || l.P50 < least {
					least = l.P50
				}
			}
		}
	}
	var out scales
	if errors > 0 {
		out.errors = fromZero(errors)
	}
	if most > 0 {
		out.latency = logarithmic(least, most)
	}
	return out
}
