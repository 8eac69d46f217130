package balance

import (
	"encoding/binary"
	"net/netip"

	"github.com/cespare/xxhash/v2"
)

// hashSlots is the size of the tables of sch, tch and qch: the prime of the Maglev
// paper, which keeps shares within 1 % up to some 650 servers.
const hashSlots = 65537

// preference is the order in which a server asks for slots: offset, offset+skip,
// offset+2*skip … modulo the (prime) number of slots, so each slot once.
type preference struct {
	offset, skip uint32
}

// preferenceOf derives a server's order from its name, so that it depends neither
// on the other servers nor on their order. Two hashes under distinct seeds are
// independent enough.
func preferenceOf(name string, seed uint64) preference {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.WriteString(name) // never fails
	offset := d.Sum64() % hashSlots
	d.ResetWithSeed(^seed)
	_, _ = d.WriteString(name)
	return preference{offset: uint32(offset), skip: uint32(d.Sum64()%(hashSlots-1)) + 1}
}

// maglev fills a table of size slots (a prime) with indices into prefs. Servers
// take rounds in order and claim their most preferred free slot; one of half the
// greatest weight sits out every second round, so slots are proportional to
// weights. Weights are > 0.
func maglev(prefs []preference, weights []int, size uint32) []uint16 {
	const free = ^uint16(0)
	table := make([]uint16, size)
	for i := range table {
		table[i] = free
	}
	heaviest := 0
	for _, w := range weights {
		heaviest = max(heaviest, w)
	}
	next := make([]uint32, len(prefs)) // the slot that a server asks for next
	for i, p := range prefs {
		next[i] = p.offset
	}
	due := make([]int, len(prefs)) // round*weight that the next claim waits for
	for round, left := 1, size; ; round++ {
		for i, p := range prefs {
			if round*weights[i] < due[i] {
				continue
			}
			due[i] += heaviest
			slot := next[i]
			for table[slot] != free {
				slot = advance(slot, p.skip, size)
			}
			table[slot] = uint16(i)
			next[i] = advance(slot, p.skip, size)
			if left--; left == 0 {
				return table
			}
		}
	}
}

func advance(slot, skip, size uint32) uint32 {
	if slot += skip; slot >= size {
		slot -= size
	}
	return slot
}

// sourceSlot is the slot of a client under sch: its address alone decides.
func sourceSlot(seed uint64, c *Client) int {
	h := newSourceHash(seed)
	return h.slot(c.Source.Addr())
}

func (h *sourceHash) slot(source netip.Addr) int { return int(h.of(words(source)) % hashSlots) }

// addressHash hashes the words of an address.
func addressHash(seed, hi, lo uint64) uint64 {
	h := newSourceHash(seed)
	return h.of(hi, lo)
}

// tupleSlot is the slot of a connection under tch: both addresses and both ports.
func tupleSlot(seed uint64, c *Client) int {
	h := newTupleHash(seed, c.Destination)
	return h.slot(c.Source)
}

func (h *tupleHash) slot(source netip.AddrPort) int { return int(h.of(source) % hashSlots) }

// words are the 16 bytes of an address; an IPv4 address and its IPv6-mapped form are
// one client.
func words(a netip.Addr) (hi, lo uint64) {
	if a.Is4() { // ::ffff:a.b.c.d, without a way through memory
		b := a.As4()
		return 0, 0xffff_0000 | uint64(binary.LittleEndian.Uint32(b[:]))<<32
	}
	b := a.As16()
	return binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])
}
