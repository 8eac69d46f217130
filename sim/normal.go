package sim

import (
	"math"
	"sync"
)

// Where fixed-point numbers will not do, floating-point ones are only added, multiplied, divided and
// rooted, which is the same on every machine as long as no product is fused with a sum: hence the conversions.

// normal turns 64 random bits into a standard normal variable: Wichura's PPND7
// (Applied Statistics 37, 1988, algorithm AS 241), right to about 7 digits.
func normal(t *[1<<logBits + 1]uint64, random uint64) float64 {
	random |= 1
	q := float64(int64(random-1<<63)) / (1 << 64)
	if q >= -0.425 && q <= 0.425 {
		r := 0.180625 - float64(q*q)
		return q * polynomial(r, 3.3871327179, 50.434271938, 159.29113202, 59.109374720) /
			polynomial(r, 1, 17.895169469, 78.757757664, 67.187563600)
	}
	tail := random
	if q > 0 {
		tail = -random
	}
	r := math.Sqrt(float64(exponential(t, tail)) / one)
	var z float64
	if r <= 5 {
		r -= 1.6
		z = polynomial(r, 1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103) / polynomial(r, 1, 0.73700164250, 0.12021132975, 0)
	} else {
		r -= 5
		z = polynomial(r, 6.6579051150, 3.0812263860, 0.42868294337, 0.017337203997) / polynomial(r, 1, 0.24197894225, 0.012258202635, 0)
	}
	if q < 0 {
		return -z
	}
	return z
}

// polynomial is a + bx + cx² + dx³.
func polynomial(x, a, b, c, d float64) float64 {
	v := float64(d*x) + c
	v = float64(v*x) + b
	return float64(v*x) + a
}

// powerTable holds 2^(k/2^logBits).
var powerTable = sync.OnceValue(func() *[1<<logBits + 1]float64 {
	var t [1<<logBits + 1]float64
	for k := range t {
		v, root := 1.0, 2.0
		for bit := logBits; bit >= 0; bit-- {
			if k>>bit&1 == 1 {
				v *= root
			}
			root = math.Sqrt(root)
		}
		t[k] = v
	}
	return &t
})

// exp is e^x for |x| < 500, right to 1e-8.
func exp(t *[1<<logBits + 1]float64, x float64) float64 {
	y := float64(x * math.Log2E)
	whole := math.Floor(y)
	place := float64((y - whole) * (1 << logBits))
	k := min(int(place), 1<<logBits-1)
	v := t[k] + float64((t[k+1]-t[k])*(place-float64(k)))
	return math.Ldexp(v, int(whole))
}
