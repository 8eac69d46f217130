package balance

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestCompareAccess(t *testing.T) {
	white := func(entries ...string) *AccessList { return NewAccessList(prefixes(entries...), true) }
	black := func(entries ...string) *AccessList { return NewAccessList(prefixes(entries...), false) }
	for name, c := range map[string]struct {
		before, after    *AccessList
		allowed, refused []netip.Prefix
	}{
		"none":                 {nil, nil, nil, nil},
		"an empty white list":  {nil, white(), nil, prefixes("0.0.0.0/0", "::/0")},
		"an empty black list":  {nil, black(), nil, nil},
		"an entry more":        {black("10.0.0.0/8"), black("10.0.0.0/8", "192.0.2.7/32"), nil, prefixes("192.0.2.7/32")},
		"inside of another":    {black("10.0.0.0/8"), black("10.0.0.0/8", "10.1.0.0/16"), nil, nil},
		"a narrower one":       {white("10.0.0.0/8"), white("10.0.0.0/9"), nil, prefixes("10.128.0.0/9")},
		"two halves":           {white("10.0.0.0/8"), white("10.0.0.0/9", "10.128.0.0/9"), nil, nil},
		"in parts":             {white("10.0.0.0/30"), white("10.0.0.1/32", "10.0.0.4/31"), prefixes("10.0.0.4/31"), prefixes("10.0.0.0/32", "10.0.0.2/31")},
		"the last address":     {black(), black("255.255.255.255/32"), nil, prefixes("255.255.255.255/32")},
		"IPv6":                 {black("2001:db8::/32"), black("2001:db8::/33"), prefixes("2001:db8:8000::/33"), nil},
		"mapped is IPv4":       {black("::ffff:10.0.0.0/104"), black("10.0.0.0/8"), nil, nil},
		"over the mapped ones": {black("::/64"), black("::/64", "::ffff:0:0/96"), nil, prefixes("0.0.0.0/0")},
	} {
		got := CompareAccess(c.before, c.after)
		if !slices.Equal(got.Allowed, c.allowed) || !slices.Equal(got.Refused, c.refused) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestCompareAccessAgrees asks both lists about addresses at and around the ends of all
// entries: each is in just the part of the answer in which the lists say it belongs.
func TestCompareAccessAgrees(t *testing.T) {
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		low := byte(rapid.IntRange(0, 3).Draw(t, "low"))
		return rapid.SampledFrom([]netip.Addr{
			netip.AddrFrom4([4]byte{10, 0, 0, low}), netip.AddrFrom4([4]byte{255, 255, 255, 252 + low}), netip.AddrFrom4([4]byte{0, 0, 0, low}),
			netip.AddrFrom16([16]byte{0x20, 1, 15: low}), netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 10, 15: low}),
			netip.AddrFrom16([16]byte{10: 0xff, 11: 0xfe, 12: 255, 13: 255, 14: 255, 15: 252 + low}), netip.AddrFrom16([16]byte{9: 1, 15: low}),
		}).Draw(t, "address")
	})
	list := rapid.Custom(func(t *rapid.T) *AccessList {
		if rapid.IntRange(0, 5).Draw(t, "none") == 0 {
			return nil
		}
		var entries []netip.Prefix
		for range rapid.IntRange(0, 5).Draw(t, "entries") {
			a := address.Draw(t, "entry")
			entries = append(entries, netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")))
		}
		return NewAccessList(entries, rapid.Bool().Draw(t, "white"))
	})
	in := func(list []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	rapid.Check(t, func(t *rapid.T) {
		before, after := list.Draw(t, "before"), list.Draw(t, "after")
		c := CompareAccess(before, after)
		asked := []netip.Addr{netip.IPv6Unspecified(), address.Draw(t, "asked")}
		for _, l := range []*AccessList{before, after} {
			if l != nil {
				for _, e := range l.entries {
					asked = append(asked, e.Masked().Addr(), lastAddr(e), e.Masked().Addr().Prev(), lastAddr(e).Next())
				}
			}
		}
		for _, a := range asked {
			if a = a.Unmap(); !a.IsValid() {
				continue
			}
			was, is := before.Allows(a), after.Allows(a)
			if in(c.Allowed, a) != (!was && is) || in(c.Refused, a) != (was && !is) {
				t.Fatalf("%v is let in before: %v, after: %v; in allowed: %v, in refused: %v", a, was, is, in(c.Allowed, a), in(c.Refused, a))
			}
		}
		all := slices.Concat(c.Allowed, c.Refused)
		for i, p := range all {
			if p != p.Masked() || slices.ContainsFunc(all[:i], p.Overlaps) {
				t.Fatalf("%v in %v", p, all)
			}
		}
	})
}
