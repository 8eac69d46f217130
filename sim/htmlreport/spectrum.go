package htmlreport

import (
	"fmt"
	"math"
	"strings"

	"slbctl/sim"
)

// column is a time, or a run, that is held against others.
type column struct {
	Label    string
	Window   *sim.Window
	Spectrum []sim.Quantile
}

// spectrum draws the latency of each part of the requests from the median to the longest one,
// which is where users are lost: each decade of the tail is as wide as the others.
func spectrum(id string, columns []column) *panel {
	p := &panel{ID: id, Title: "Latency spectrum", Height: 240}
	least, most, rarest := math.Inf(1), 0.0, .5
	for _, c := range columns {
		for _, q := range slow(c.Spectrum) {
			least, most, rarest = min(least, q.Latency), max(most, q.Latency), min(rarest, q.Tail)
		}
	}
	if most == 0 {
		return nil
	}
	y := logarithmic(least, most)
	rarest = min(rarest, .01)
	x := func(tail float64) place { return place(math.Log(tail/.5) / math.Log(rarest/.5)) }
	for k, c := range columns {
		quantiles := slow(c.Spectrum)
		if len(quantiles) == 0 {
			continue
		}
		var d strings.Builder
		for i, q := range quantiles {
			command := "L"
			if i == 0 {
				command = "M"
			}
			fmt.Fprintf(&d, "%s%s %s", command, drawingWidth*x(q.Tail), y.y(q.Latency))
		}
		class := fmt.Sprint("v", k%variants)
		p.Shapes = append(p.Shapes, shape{"line " + class, d.String()})
		p.Legend = append(p.Legend, key{class, c.Label})
	}
	p.Axis = y.ticks(sim.Brief)
	p.Ticks = []tick{{0, "50%"}}
	for tail, text := .1, "90%"; tail >= rarest*.9999; tail /= 10 {
		p.Ticks = append(p.Ticks, tick{100 * x(tail), text})
		text = map[string]string{"90%": "99%", "99%": "99.9%"}[text]
		if text == "" {
			text = "99." + strings.Repeat("9", len(p.Ticks)-2) + "%"
		}
	}
	p.Description = tellSpectrum(columns)
	return p
}

// variants is how many lines of a spectrum differ in colour and dashes.
const variants = 6

// slow are the quantiles from the median up.
func slow(all []sim.Quantile) []sim.Quantile {
	for k := range all {
		if all[k].Tail <= .5 {
			return all[k:]
		}
	}
	return nil
}

func tellSpectrum(columns []column) string {
	var parts []string
	for _, c := range columns {
		if l := c.Window.Latency; l != nil {
			parts = append(parts, fmt.Sprintf("%s: half took %s at most, 99%% %s, the longest %s", c.Label, sim.Brief(l.P50), sim.Brief(l.P99), sim.Brief(l.Max)))
		}
	}
	return strings.Join(parts, "; ") + "."
}
