package balance

import (
	"net/netip"
	"slices"
)

// AccessChange is what becomes of client addresses when one list takes another's place, in
// as few prefixes as it takes, in order.
type AccessChange struct {
	Allowed []netip.Prefix // that were refused
	Refused []netip.Prefix // that were let in
}

// CompareAccess says which addresses two lists treat differently; a nil list lets in all.
// Between the ends of the entries of either nothing changes, so it asks Allows of one
// address for each stretch: there is no second reading of the lists. The IPv6 forms of
// IPv4 addresses are those clients, whatever IPv6 prefix they lie in.
func CompareAccess(before, after *AccessList) (c AccessChange) {
	edges := accessEdges(before, after)
	for i := 0; i < len(edges); {
		first := edges[i]
		was, is := before.Allows(first), after.Allows(first)
		last := lastAddr(netip.PrefixFrom(first, 0))
		for i++; i < len(edges) && edges[i].BitLen() == first.BitLen(); i++ {
			if before.Allows(edges[i]) != was || after.Allows(edges[i]) != is {
				last = edges[i].Prev()
				break
			}
		}
		switch {
		case was == is:
		case is:
			c.Allowed = appendPrefixes(c.Allowed, first, last)
		default:
			c.Refused = appendPrefixes(c.Refused, first, last)
		}
	}
	return c
}

// accessEdges are the addresses, in order, at which what either list says may change.
func accessEdges(lists ...*AccessList) []netip.Addr {
	edges := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	behindMapped := netip.AddrFrom16([16]byte{9: 1})
	add := func(a netip.Addr) {
		switch {
		case a.Is4In6():
			edges = append(edges, behindMapped)
		case a.IsValid(): // behind the last address there is none
			edges = append(edges, a)
		}
	}
	for _, list := range lists {
		if list == nil {
			continue
		}
		for _, e := range list.entries {
			if e.Addr().Is4In6() && e.Bits() >= 96 {
				e = netip.PrefixFrom(e.Addr().Unmap(), e.Bits()-96)
			}
			add(e.Masked().Addr())
			add(lastAddr(e).Next())
		}
	}
	slices.SortFunc(edges, netip.Addr.Compare)
	return slices.Compact(edges)
}

// lastAddr is the last address of a prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// appendPrefixes covers the addresses from first to last.
func appendPrefixes(list []netip.Prefix, first, last netip.Addr) []netip.Prefix {
	for first.IsValid() && !last.Less(first) {
		p := netip.PrefixFrom(first, first.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(first, p.Bits()-1)
			if wider.Masked().Addr() != first || last.Less(lastAddr(wider)) {
				break
			}
			p = wider
		}
		list = append(list, p)
		first = lastAddr(p).Next()
	}
	return list
}
