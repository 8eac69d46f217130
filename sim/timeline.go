package sim

import (
	"fmt"
	"slices"
	"time"

	"slbctl/spec"
)

// steps is how many parts the time of a simulation is told in, at most: so a longer one
// needs no more memory.
const steps = 120

// Timeline is what a simulation came to step by step, for those who draw it. It begins at 0:
// the warm-up is in it. Times are in seconds.
type Timeline struct {
	Step    float64 // how long each is, but for the last, which may be shorter
	Steps   []Window
	Warmup  float64
	Marks   []Mark
	Spectra [][]Quantile // by window of the result; empty where no latency is told
}

// Mark is something that happens: a fault, a change, a drain or a deployment. What was during it is in the window of its name.
type Mark struct {
	Name  string
	What  string  // "refuse: instance.ECS02"
	From  float64 // when it happens
	Over  float64 // when it is over
	Until float64 // when nothing is left of it
	// Before and After are the steady time before and after it; without any request where
	// there is none.
	Before, After Window
}

// Quantile says that a part of the requests, the tail, took at least so long.
type Quantile struct {
	Tail    float64 // from 1 down
	Latency float64 // seconds
}

// addSteps has the windows counted step by step.
func (r *run) addSteps() {
	r.step = (int64(r.sim.Duration) + steps - 1) / steps
	r.events.push(event{r.step, stepEnds, 0})
}

// onlyStep reports whether nothing happens now but that a step ends, of which nothing in the simulation
// may take notice: windows close only when something else happens.
func (r *run) onlyStep() bool {
	return len(r.events) > 0 && r.events[0].at == r.now && r.events[0].kind == stepEnds &&
		(r.waiting.empty() || r.waiting.head().due > r.now)
}

// stepped begins to count the next step.
func (r *run) stepped() {
	if r.stretch != nil {
		r.openStretch()
	}
	if next := r.now + r.step; next < int64(r.sim.Duration) {
		r.events.push(event{next, stepEnds, 0})
	}
}

// timeline tells what the stretches have counted, each of which lies within one step, and
// within or outside of each window.
func (r *run) timeline() *Timeline {
	t := &Timeline{Step: float64(r.step) / 1e9, Warmup: r.sim.Warmup.Seconds()}
	for from := int64(0); from < int64(r.sim.Duration); from += r.step {
		t.Steps = append(t.Steps, r.during(func(s *stretch) bool { return s.since >= from && s.since < from+r.step }))
	}
	for k, h := range happenings(r.sim) {
		t.Marks = append(t.Marks, r.mark(h, firstEpisode+k))
	}
	for _, total := range r.totals() {
		t.Spectra = append(t.Spectra, spectrum(total.latency))
	}
	return t
}

// during is what was counted in some of the stretches.
func (r *run) during(chosen func(*stretch) bool) Window {
	total := r.newStretch(nil)
	for _, s := range r.stretches {
		if chosen(s) {
			total.add(s)
		}
	}
	return r.window("", total)
}

// happening is what an episode is about.
type happening struct {
	name, what  string
	at, lasting time.Duration // 0 = until its window ends
}

// happenings are those of a simulation's episodes, in their order: faults first.
func happenings(s *spec.Simulation) (list []happening) {
	for _, f := range s.Faults {
		length := f.For
		if length == 0 {
			length = s.Duration - f.At
		}
		list = append(list, happening{f.Name, f.Mode + ": " + hit(f.Targets, f.Zone), f.At, length})
	}
	for _, c := range s.Changes {
		list = append(list, happening{c.Name, "the configuration of the files takes over", c.At, 0})
	}
	for _, d := range s.Drains {
		text := hit(d.Targets, d.Zone) + " drained"
		if d.For > 0 {
			text += " for " + d.For.String()
		}
		list = append(list, happening{d.Name, text, d.At, d.For})
	}
	for _, d := range s.Deploys {
		text := fmt.Sprintf("%s started anew, %d at a time, drained for %s, away for %s", hit(d.Targets, d.Zone), d.Batch, d.Drain, d.Startup)
		list = append(list, happening{d.Name, text, d.At, 0})
	}
	return list
}

// mark tells of what has the window of the given index.
func (r *run) mark(h happening, window int) Mark {
	at, over := int64(h.at), int64(h.at+h.lasting)
	until := over
	for _, s := range r.stretches {
		if slices.Contains(s.windows, window) {
			until = max(until, s.since+s.span)
		}
	}
	if h.lasting == 0 {
		over = until
	}
	steady := func(s *stretch) bool { return slices.Contains(s.windows, steadyWindow) }
	return Mark{
		Name: h.name, What: h.what,
		From: h.at.Seconds(), Over: float64(over) / 1e9, Until: float64(until) / 1e9,
		Before: r.during(func(s *stretch) bool { return steady(s) && s.since < at }),
		After:  r.during(func(s *stretch) bool { return steady(s) && s.since >= until }),
	}
}

// tails are the parts of a hundred at which a spectrum is told, in each decade: equally far
// from one another on a logarithmic scale.
var tails = []int64{100, 80, 63, 50, 40, 32, 25, 20, 16, 13}

// spectrum tells the latencies from the shortest one up, each of at least one request.
func spectrum(h *histogram) (out []Quantile) {
	if h == nil || h.n == 0 {
		return nil
	}
	for whole := int64(100); whole <= 1e11; whole *= 10 {
		for _, tail := range tails {
			beyond := int64(float64(h.n) * (float64(tail) / float64(whole)))
			if beyond < 1 {
				return append(out, Quantile{1 / float64(h.n), float64(h.max) / 1e9})
			}
			out = append(out, Quantile{float64(tail) / float64(whole), float64(h.ranked(h.n-beyond+1)) / 1e9})
		}
	}
	return out
}
