package balance

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func prefixes(s ...string) (out []netip.Prefix) {
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestAccessList(t *testing.T) {
	office := prefixes("10.0.0.0/8", "192.168.1.0/24", "192.168.1.77/32", "203.0.113.9/32", "2001:db8::/33", "::ffff:100.64.0.0/106")
	cases := []struct {
		entries []netip.Prefix
		addr    string
		listed  bool
	}{
		{office, "10.255.255.255", true},
		{office, "11.0.0.0", false},
		{office, "9.255.255.255", false},
		{office, "192.168.1.5", true},
		{office, "192.168.2.5", false},
		{office, "203.0.113.9", true},
		{office, "203.0.113.8", false},
		{office, "100.64.1.1", true},
		{office, "100.128.0.0", false},
		{office, "::ffff:10.1.2.3", true},
		{office, "2001:db8:7fff::1", true},
		{office, "2001:db8:8000::1", false},
		{office, "::a00:1", false},
		{prefixes("0.0.0.0/0"), "1.2.3.4", true},
		{prefixes("0.0.0.0/0"), "::1", false},
		{prefixes("::/0"), "::1", true},
		{prefixes("::/0"), "1.2.3.4", false},
		{prefixes("::1/128"), "::1", true},
		{prefixes("::1/128"), "::2", false},
		{nil, "1.2.3.4", false},
		{nil, "::1", false},
	}
	for _, c := range cases {
		if got := NewAccessList(c.entries, true).Allows(addr(c.addr)); got != c.listed {
			t.Errorf("white list %v lets in %s: %v", c.entries, c.addr, got)
		}
		if got := NewAccessList(c.entries, false).Allows(addr(c.addr)); got == c.listed {
			t.Errorf("black list %v lets in %s: %v", c.entries, c.addr, got)
		}
	}
	if !(*AccessList)(nil).Allows(addr("1.2.3.4")) {
		t.Error("no list keeps somebody out")
	}
	if NewAccessList(nil, true).Allows(netip.Addr{}) {
		t.Error("a white list lets in an address that is none")
	}
}

// The tree says what a search through all entries says, for addresses in and
// around them, whatever the order and however they overlap.
func TestAccessListAgreesWithALinearSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		six := rapid.Bool().Draw(t, "ipv6")
		entry := rapid.Custom(func(t *rapid.T) netip.Prefix {
			b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 127, 128, 255}), 16, 16).Draw(t, "bytes")
			if six {
				return netip.PrefixFrom(netip.AddrFrom16([16]byte(b)), rapid.IntRange(0, 128).Draw(t, "bits"))
			}
			return netip.PrefixFrom(netip.AddrFrom4([4]byte(b)), rapid.IntRange(0, 32).Draw(t, "bits"))
		})
		entries := rapid.SliceOfN(entry, 0, 12).Draw(t, "entries")
		list := NewAccessList(entries, true)
		ask := func(a netip.Addr) {
			want := false
			for _, e := range entries {
				want = want || e.Masked().Contains(a)
			}
			if got := list.Allows(a); got != want && !a.Is4In6() {
				t.Fatalf("%s in %v: %v, want %v", a, entries, got, want)
			}
		}
		for _, e := range entries {
			first := e.Masked().Addr()
			last := lastOf(e)
			ask(first)
			ask(last)
			for _, near := range []netip.Addr{first.Prev(), last.Next(), entry.Draw(t, "other").Addr()} {
				if near.IsValid() {
					ask(near)
				}
			}
		}
	})
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// manyPrefixes are n of the lengths that lists have, of one family.
func manyPrefixes(n int, six bool) []netip.Prefix {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	out := make([]netip.Prefix, n)
	for i := range out {
		if six {
			var b [16]byte
			for k := range 8 {
				b[k] = byte(random.Uint32())
			}
			b[0], b[1] = 0x20, 0x01
			out[i] = netip.PrefixFrom(netip.AddrFrom16(b), 32+random.IntN(33)).Masked()
			continue
		}
		v := random.Uint32()
		out[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), 16+random.IntN(17)).Masked()
	}
	return out
}

func TestAccessListAllocatesNothing(t *testing.T) {
	list := NewAccessList(manyPrefixes(1000, false), false)
	a := addr("198.51.100.7")
	if n := testing.AllocsPerRun(100, func() { list.Allows(a) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAccessList(b *testing.B) {
	for _, six := range []bool{false, true} {
		for _, n := range []int{300, 100_000} {
			b.Run(fmt.Sprintf("ipv6=%v/%d", six, n), func(b *testing.B) {
				entries, others := manyPrefixes(n, six), manyPrefixes(1024, six)
				list := NewAccessList(entries, false)
				ask := make([]netip.Addr, 1024)
				for i := range ask { // half of them listed
					ask[i] = entries[i*7%n].Addr()
					if i%2 == 0 {
						ask[i] = others[i].Addr()
					}
				}
				b.ReportAllocs()
				for k := 0; b.Loop(); k++ {
					list.Allows(ask[k%len(ask)])
				}
			})
		}
	}
}

func BenchmarkNewAccessList(b *testing.B) {
	entries := manyPrefixes(100_000, false)
	for b.Loop() {
		NewAccessList(entries, false)
	}
}
