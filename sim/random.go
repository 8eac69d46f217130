package sim

import (
	"math"
	"math/big"
	"math/bits"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// A source is a counter-based stream of random numbers: draw i is a function of the
// source and i alone, so a connection draws the same whatever happened before it.
type source uint64

// newSource derives a stream from the seed of a simulation and a name.
func newSource(seed uint64, name string) source {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.WriteString(name) // never fails
	return source(d.Sum64())
}

// draw returns 64 random bits: splitmix64 at position i.
func (s source) draw(i uint64) uint64 {
	z := uint64(s) + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below scales 64 random bits to 0 … n-1.
func below(random, n uint64) uint64 {
	hi, _ := bits.Mul64(random, n)
	return hi
}

// Logarithms are fixed-point numbers of 57 fraction bits, made by integer
// arithmetic alone: math.Log and math.Pow differ in their last bits between
// architectures, and a last bit can reorder two arrivals.
const (
	one     = 1 << 57
	ln2     = 0xb17217f7d1cf79ab // of 64 fraction bits
	logBits = 12                 // table of 2^logBits steps; between them a straight line, off by 1.1e-8 at most
)

// logTable holds log2(1 + k/2^logBits).
var logTable = sync.OnceValue(func() *[1<<logBits + 1]uint64 {
	var t [1<<logBits + 1]uint64
	for k := range t[:1<<logBits] {
		x := uint64(1<<logBits+k) << (63 - logBits) // in [1, 2), 63 fraction bits
		for range 57 {
			// Squaring a number doubles its logarithm: the next bit is whether it reaches 2.
			hi, lo := bits.Mul64(x, x)
			t[k] <<= 1
			if hi>>63 == 1 {
				t[k] |= 1
				x = hi
			} else {
				x = hi<<1 | lo>>63
			}
		}
	}
	t[1<<logBits] = one
	return &t
})

// log2 returns the binary logarithm of x > 0.
func log2(t *[1<<logBits + 1]uint64, x uint64) uint64 {
	zeros := bits.LeadingZeros64(x)
	fraction := x << zeros << 1
	k := fraction >> (64 - logBits)
	rise, _ := bits.Mul64(t[k+1]-t[k], fraction<<logBits)
	return uint64(63-zeros)<<57 + t[k] + rise
}

// exponential turns 64 random bits into -ln(u), u uniform in (0, 1]: the time to the
// next arrival of a Poisson stream, in mean gaps.
func exponential(t *[1<<logBits + 1]uint64, random uint64) (e uint64) {
	e, _ = bits.Mul64(64*one-log2(t, random|1), ln2)
	return
}

// roots holds 2^(-1/2), 2^(-1/4), 2^(-1/8) … of 64 fraction bits.
var roots = sync.OnceValue(func() *[32]uint64 {
	var r [32]uint64
	x := new(big.Int).Lsh(big.NewInt(1), 63)
	for i := range r {
		x.Sqrt(x.Lsh(x, 64))
		r[i] = x.Uint64()
	}
	return &r
})

// zipfWeight is rank^-exponent (rank >= 1) of 63 fraction bits; the exponent has 32.
func zipfWeight(rank, exponent uint64) uint64 {
	hi, lo := bits.Mul64(log2(logTable(), rank), exponent) // 89 fraction bits
	whole, fraction := hi>>25, uint32(hi<<7|lo>>57)
	w := uint64(1) << 63
	for i, root := range roots() {
		if fraction>>(31-i)&1 == 1 {
			w, _ = bits.Mul64(w, root)
		}
	}
	return w >> min(whole, 63)
}

// popularity draws clients whose shares follow Zipf's law, by Walker's alias method:
// a slot for each client, filled up with one more popular.
type popularity struct {
	keep  []uint64 // of 2^64: how often the slot means its own client
	alias []uint32 // whom it means otherwise
}

func newPopularity(count int, exponent float64) *popularity {
	n := uint64(count)
	e := uint64(math.Round(exponent * (1 << 32))) // exact: a product with a power of two
	spare := bits.Len64(n)                        // keeps weight*n and the sum of weights in 64 bits
	left := make([]uint64, n)
	var total uint64
	for i := range left {
		left[i] = max(1, zipfWeight(uint64(i)+1, e)>>spare)
		total += left[i]
	}
	p := &popularity{keep: make([]uint64, n), alias: make([]uint32, n)}
	var small, large []uint32
	for i := range left {
		left[i] *= n
		if left[i] < total {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		p.keep[s], _ = bits.Div64(left[s], 0, total)
		p.alias[s] = l
		if left[l] -= total - left[s]; left[l] < total {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) { // full slots
		p.keep[i], p.alias[i] = math.MaxUint64, i
	}
	return p
}

// client returns the client that 64 random bits mean.
func (p *popularity) client(random uint64) uint64 {
	slot, rest := bits.Mul64(random, uint64(len(p.keep)))
	if rest < p.keep[slot] {
		return slot
	}
	return uint64(p.alias[slot])
}
