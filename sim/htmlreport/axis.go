package htmlreport

import (
	"math"
	"strconv"
	"time"
)

// place is where something is in a drawing, in percent of its width or height.
type place float64

// String has two decimals: what is finer nobody sees.
func (p place) String() string {
	text := strconv.FormatFloat(math.Round(float64(p)*100)/100, 'f', -1, 64)
	if text == "-0" {
		return "0"
	}
	return text
}

// tick is a label at an axis.
type tick struct {
	At   place
	Text string
}

// timeSteps are the distances that the ticks of an axis of time may have, below a day.
var timeSteps = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
	15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

// timeTicks are those of an axis from 0 on, few enough to be read on a telephone.
func timeTicks(seconds float64) (ticks []tick) {
	const most = 6
	step := 24 * 3600.0
	for _, s := range timeSteps {
		if seconds/s.Seconds() <= most {
			step = s.Seconds()
			break
		}
	}
	for seconds/step > most {
		step *= 2
	}
	for k := 0; float64(k)*step <= seconds*1.0001; k++ {
		at := float64(k) * step
		ticks = append(ticks, tick{place(100 * at / seconds), clock(at)})
	}
	return ticks
}

// roundUp is the least of 1, 2, 5, 10, 20, 50 … that is not less; roundDown the greatest that
// is not greater.
func roundUp(v float64) float64 {
	for unit := decade(v); ; unit *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if m*unit >= v*(1-1e-9) {
				return m * unit
			}
		}
	}
}

func roundDown(v float64) float64 {
	unit, best := decade(v), 0.0
	for _, m := range []float64{1, 2, 5, 10} {
		if m*unit <= v*(1+1e-9) {
			best = m * unit
		}
	}
	return best
}

// decade is the power of ten at or below a number.
func decade(v float64) float64 { return math.Pow(10, math.Floor(math.Log10(v)+1e-9)) }

// scale is the vertical axis of a drawing.
type scale struct {
	low, high float64
	log       bool
}

// y is where a value is, from the top.
func (s scale) y(v float64) place {
	if s.log {
		v = max(v, s.low)
		return place(100 * (1 - math.Log(v/s.low)/math.Log(s.high/s.low)))
	}
	return place(100 * (1 - (v-s.low)/(s.high-s.low)))
}

// fromZero is a scale of what is counted.
func fromZero(most float64) scale { return scale{0, roundUp(most), false} }

// logarithmic is a scale of times from a shortest to a longest one.
func logarithmic(least, most float64) scale {
	s := scale{roundDown(max(least, 1e-9)), roundUp(max(most, 1e-9)), true}
	if s.low == s.high {
		s.high *= 10
	}
	return s
}

// ticks are the powers of ten of a logarithmic scale; where it has less than three of them, what
// is between them, too.
func (s scale) ticks(text func(float64) string) (out []tick) {
	if !s.log {
		return []tick{{100, text(s.low)}, {50, text((s.low + s.high) / 2)}, {0, text(s.high)}}
	}
	between := []float64{1, 2, 5}
	if s.high/s.low >= 99 {
		between = between[:1]
	}
	for unit := decade(s.low); unit <= s.high*1.0001; unit *= 10 {
		for _, m := range between {
			if v := m * unit; v >= s.low*0.9999 && v <= s.high*1.0001 {
				out = append(out, tick{s.y(v), text(v)})
			}
		}
	}
	return out
}
