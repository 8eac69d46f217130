package sim

import (
	"math"
	"math/bits"

	"slbctl/spec"
)

// arrivals says when the connections of a stream come.
type arrivals struct {
	next  int64  // when connection number index comes, in ns
	index uint64 // connections before it

	// pass moves on past the connections that come before a time, at most so many, and returns how many they are.
	pass func(a *arrivals, until int64, most int) int

	// Constant: the gap is the fraction whole + rest/rate ns, kept exact by carrying
	// the remainder, so that connection n comes at floor(n*10^9/rate).
	whole, rest, rate, carry uint64

	// Poisson: the mean gap and the fraction of next, in 2^-scale ns.
	mean, fraction uint64
	scale          int
	gaps           source
	logs           *[1<<logBits + 1]uint64
}

// newArrivals starts a stream. Constant ones begin at 0, Poisson ones a gap later.
func newArrivals(t *spec.Traffic, seed uint64) *arrivals {
	rate := uint64(math.Round(t.Rate * 1e6)) // connections in 10^6 seconds
	rate = max(rate, 1)
	const span = 1e15 // 10^6 seconds in ns
	a := &arrivals{whole: span / rate, rest: span % rate, rate: rate, pass: (*arrivals).passConstant}
	if t.Arrivals == spec.ArrivalsConstant {
		return a
	}
	a.pass = (*arrivals).passPoisson
	// A gap is at most 44 means, so 6 bits above the mean's keep it in 63.
	a.scale = 63 - 6 - bits.Len64(a.whole+1)
	hi, lo := bits.Mul64(span, 1<<a.scale)
	a.mean, _ = bits.Div64(hi, lo, rate)
	a.gaps = newSource(seed, "arrivals "+t.Name)
	a.logs = logTable()
	a.index-- // the first one comes a gap after 0
	a.step()
	return a
}

// step moves on to the following connection.
func (a *arrivals) step() { a.pass(a, math.MaxInt64, 1) }

func (a *arrivals) passConstant(until int64, most int) (n int) {
	for ; n < most && a.next < until; n++ {
		a.next += int64(a.whole)
		if a.carry += a.rest; a.carry >= a.rate {
			a.carry -= a.rate
			a.next++
		}
	}
	a.index += uint64(n)
	return n
}

// passPoisson adds the gap before each connection, which its number draws.
func (a *arrivals) passPoisson(until int64, most int) (n int) {
	next, fraction, index, scale := a.next, a.fraction, a.index, a.scale&63
	for ; n < most && next < until; n++ {
		index++
		hi, lo := bits.Mul64(exponential(a.logs, a.gaps.draw(index)), a.mean)
		fraction += hi<<(64-57) | lo>>57
		next += int64(fraction >> scale)
		fraction &= 1<<scale - 1
	}
	a.next, a.fraction, a.index = next, fraction, index
	return n
}
