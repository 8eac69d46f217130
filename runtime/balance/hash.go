package balance

import "math/bits"

// The hash of clients is XXH64 (seed 0) of whole words, which are its key: this is that function for the two
// numbers of words that there are. A general one asks at each step how much is left, and takes
// its input by way of memory.

// The primes of XXH64.
const (
	prime1 = 0x9e3779b185ebca87
	prime2 = 0xc2b2ae3d27d4eb4f
	prime3 = 0x165667b19e3779f9
	prime4 = 0x85ebca77c2b2ae63
	prime5 = 0x27d4eb2f165667c5
)

// hash3 hashes three words.
func hash3(a, b, c uint64) uint64 {
	h := uint64(prime5 + 3*8)
	h = absorb(h, a)
	h = absorb(h, b)
	h = absorb(h, c)
	return avalanche(h)
}

// hash6 hashes six words: the first four side by side, in lanes that do not wait for one another.
func hash6(a, b, c, d, e, f uint64) uint64 {
	const start1, start4 = (prime1 + prime2) & (1<<64 - 1), 1<<64 - prime1
	a, b, c, d = round(start1, a), round(prime2, b), round(0, c), round(start4, d)
	h := bits.RotateLeft64(a, 1) + bits.RotateLeft64(b, 7) + bits.RotateLeft64(c, 12) + bits.RotateLeft64(d, 18)
	h = (h^round(0, a))*prime1 + prime4
	h = (h^round(0, b))*prime1 + prime4
	h = (h^round(0, c))*prime1 + prime4
	h = (h^round(0, d))*prime1 + prime4
	h += 6 * 8
	h = absorb(h, e)
	h = absorb(h, f)
	return avalanche(h)
}

func round(lane, word uint64) uint64 { return bits.RotateLeft64(lane+word*prime2, 31) * prime1 }

// absorb takes one more word in.
func absorb(h, word uint64) uint64 {
	return bits.RotateLeft64(h^round(0, word), 27)*prime1 + prime4
}

func avalanche(h uint64) uint64 {
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}
