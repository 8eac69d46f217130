package htmlreport

import (
	"fmt"
	"unicode/utf8"
)

// period is a time in which something happens.
type period struct {
	At, Width place
	Aftermath place // how much of its width is what it leaves behind, percent
	Text      string
	Title     string
	Late      bool // its text begins at its end and goes to the left
	Quiet     bool // nothing is wrong in it
}

// lanes are the times in which something happens, those above one another whose names
// would be in one another's way.
func (c *course) lanes() (lanes [][]period) {
	var ends []float64
	for _, f := range c.periods() {
		name := 2 + 2.2*float64(utf8.RuneCountInString(f.Text)) // how wide it is on a telephone
		from, to := float64(f.At), max(float64(f.At+f.Width), float64(f.At)+name)
		if f.Late {
			from, to = min(float64(f.At), float64(f.At+f.Width)-name), float64(f.At+f.Width)
		}
		k := 0
		for k < len(ends) && ends[k] > from {
			k++
		}
		if k == len(ends) {
			ends, lanes = append(ends, 0), append(lanes, nil)
		}
		ends[k] = to
		lanes[k] = append(lanes[k], f)
	}
	return lanes
}

// periods are the warm-up and the marks, in percent of the time.
func (c *course) periods() (out []period) {
	part := func(seconds float64) place { return place(100 * min(seconds/c.VirtualSeconds, 1)) }
	if w := c.Timeline.Warmup; w > 0 {
		out = append(out, period{Width: part(w), Text: "warm-up", Title: "warm-up: 0 to " + clock(w), Quiet: true})
	}
	for _, m := range c.Timeline.Marks {
		f := period{At: part(m.From), Width: part(m.Until) - part(m.From), Text: m.Name}
		if m.Until > m.From {
			f.Aftermath = place(100 * (m.Until - m.Over) / (m.Until - m.From))
		}
		f.Title = fmt.Sprintf("%s: %s, %s to %s", m.Name, m.What, clock(m.From), clock(m.Over))
		if m.Until > m.Over {
			f.Title += ", noticed until " + clock(m.Until)
		}
		f.Late = f.At > 65
		out = append(out, f)
	}
	return out
}

// bands are the marks behind, and before, what is drawn.
func (c *course) bands() (out []period) {
	for _, f := range c.periods() {
		f.At *= drawingWidth / 100
		f.Width *= drawingWidth / 100
		out = append(out, f)
	}
	return out
}
