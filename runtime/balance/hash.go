package balance

import (
	"math/bits"
	"net/netip"
)

// The hash of clients is XXH64 (seed 0) of whole words, the first of which is its key: this is that function for the
// two numbers of words that there are. A general one asks at each step how much is left, takes its input by way of
// memory, and begins anew with what many clients have in common.

// The primes of XXH64.
const (
	prime1 = 0x9e3779b185ebca87
	prime2 = 0xc2b2ae3d27d4eb4f
	prime3 = 0x165667b19e3779f9
	prime4 = 0x85ebca77c2b2ae63
	prime5 = 0x27d4eb2f165667c5
)

// sourceHash is the hash of a seed and the words of an address, as far as it goes without the address, and without
// its low word where the high one is 0, as those of IPv4 are.
type sourceHash struct{ seed, noHigh uint64 }

func newSourceHash(seed uint64) sourceHash {
	h := absorb(prime5+3*8, round(0, seed))
	return sourceHash{seed: h, noHigh: absorb(h, 0)}
}

func (h *sourceHash) of(hi, lo uint64) uint64 {
	x := h.noHigh
	if hi != 0 {
		x = absorb(h.seed, round(0, hi))
	}
	return avalanche(absorb(x, round(0, lo)))
}

// tupleHash is the hash of a seed, the words of two addresses, and their ports, as far as it goes without the source.
// Of six words the first four are taken in side by side, in lanes that do not wait for one another.
type tupleHash struct {
	lanes           uint64 // those of the seed and of the destination's high word, joined
	seed, high, low uint64 // the two lanes and the third word, as merge and absorb take them
	port            uint64
}

// noHigh is the lane of a source's high word that is 0, as those of IPv4 are.
const noHigh = (prime2<<31&(1<<64-1) | prime2>>33) * prime1 & (1<<64 - 1)

func newTupleHash(seed uint64, destination netip.AddrPort) tupleHash {
	const first, last = (prime1 + prime2) & (1<<64 - 1), 1<<64 - prime1 // what the two lanes begin with
	high, low := words(destination.Addr())
	seed, high = round(first, seed), round(last, high)
	return tupleHash{
		lanes: bits.RotateLeft64(seed, 1) + bits.RotateLeft64(high, 18),
		seed:  round(0, seed), high: round(0, high), low: round(0, low),
		port: uint64(destination.Port()),
	}
}

func (h *tupleHash) of(source netip.AddrPort) uint64 {
	hi, lo := words(source.Addr())
	if hi != 0 {
		hi = round(prime2, hi)
	} else {
		hi = noHigh
	}
	lo = round(0, lo)
	x := h.lanes + bits.RotateLeft64(hi, 7) + bits.RotateLeft64(lo, 12)
	x = merge(x, h.seed)
	x = merge(x, round(0, hi))
	x = merge(x, round(0, lo))
	x = merge(x, h.high)
	x = absorb(x+6*8, h.low)
	x = absorb(x, round(0, uint64(source.Port())<<16|h.port))
	return avalanche(x)
}

func round(lane, word uint64) uint64 { return bits.RotateLeft64(lane+word*prime2, 31) * prime1 }

// merge adds a lane to the hash, and absorb one more word, each after a round of its own.
func merge(h, rounded uint64) uint64  { return (h^rounded)*prime1 + prime4 }
func absorb(h, rounded uint64) uint64 { return bits.RotateLeft64(h^rounded, 27)*prime1 + prime4 }

func avalanche(h uint64) uint64 {
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}
