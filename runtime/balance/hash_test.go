package balance

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// The hash of an address, and of two with their ports, is that of their bytes: servers keep their clients whichever
// makes it.
func TestHashIsXXH64(t *testing.T) {
	end := rapid.Custom(func(t *rapid.T) netip.AddrPort {
		b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address"))
		a := netip.AddrFrom16(b)
		if rapid.Bool().Draw(t, "IPv4") {
			a = netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrPortFrom(a, rapid.Uint16().Draw(t, "port"))
	})
	rapid.Check(t, func(t *rapid.T) {
		seed, source, destination := rapid.Uint64().Draw(t, "seed"), end.Draw(t, "source"), end.Draw(t, "destination")
		key := binary.LittleEndian.AppendUint64(nil, seed)
		b := source.Addr().As16()
		key = append(key, b[:]...)
		hi, lo := words(source.Addr())
		if got, want := addressHash(seed, hi, lo), xxhash.Sum64(key); got != want {
			t.Fatalf("of an address: %#x, want %#x", got, want)
		}
		b = destination.Addr().As16()
		key = append(key, b[:]...)
		key = binary.LittleEndian.AppendUint64(key, uint64(source.Port())<<16|uint64(destination.Port()))
		h := newTupleHash(seed, destination)
		if got, want := h.of(source), xxhash.Sum64(key); got != want {
			t.Fatalf("of two: %#x, want %#x", got, want)
		}
	})
}
