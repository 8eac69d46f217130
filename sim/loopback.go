package sim

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

	"slbctl/spec"
)

// loopback is what clients of this machine may have as an address, and the part of it that
// live clients get.
var loopback, ofClients = netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("127.128.0.0/9")

// loopback6 is the one address of IPv6 that they may have.
var loopback6 = netip.MustParsePrefix("::1/128")

// loopbackAddresses gives clients addresses that can be sent from: those of 127.0.0.0/8 have
// one, others get one of 127.128.0.0/9. Who has one address with others keeps it with them.
type loopbackAddresses struct {
	one   bool   // all have loopback6
	next  uint64 // that is free, counted from the first of ofClients
	given map[netip.Addr]netip.Addr
}

// take returns the first of so many addresses, a power of 2, at a multiple of that.
func (l *loopbackAddresses) take(size uint64) (first netip.Addr, ok bool) {
	at := (l.next + size - 1) / size * size
	l.next = at + size
	a := ofClients.Addr().As4()
	a[1] |= byte(at >> 16)
	a[2], a[3] = byte(at>>8), byte(at)
	return netip.AddrFrom4(a), l.next <= 1<<(32-ofClients.Bits())
}

// networks is a simulation whose clients have networks that can be sent from.
func (l *loopbackAddresses) networks(sim *spec.Simulation) (*spec.Simulation, error) {
	out := *sim
	out.Traffic = slices.Clone(sim.Traffic)
	needs := map[netip.Prefix]uint64{} // addresses of each network
	for _, t := range sim.Traffic {
		// Beside the clients there are the network's own address and its broadcast address. Who
		// has to share an address there shares it here: the network is no larger.
		n, whole := t.Clients.Network, uint64(1)<<(t.Clients.Network.Addr().BitLen()-t.Clients.Network.Bits())
		needs[n] = max(needs[n], min(whole, 1<<bits.Len64(uint64(max(t.Clients.Count, 1))+1)))
	}
	given := map[netip.Prefix]netip.Prefix{}
	for k := range out.Traffic {
		t := &out.Traffic[k]
		n := t.Clients.Network
		if l.one {
			t.Clients.Network = loopback6
		}
		if l.one || t.Log != "" || loopback.Overlaps(n) && n.Bits() >= loopback.Bits() {
			continue
		}
		if _, done := given[n]; !done {
			first, ok := l.take(needs[n])
			if !ok {
				return nil, errNoAddresses(t.Name)
			}
			given[n] = netip.PrefixFrom(first, 33-bits.Len64(needs[n]))
		}
		t.Clients.Network = given[n]
	}
	return &out, nil
}

// clients gives the clients of a log their addresses.
func (l *loopbackAddresses) clients(log *replay) error {
	if l.given == nil {
		l.given = map[netip.Addr]netip.Addr{}
	}
	for k, was := range log.Clients {
		if l.one {
			log.Clients[k] = loopback6.Addr()
			continue
		}
		if loopback.Contains(was.Unmap()) {
			continue
		}
		if _, done := l.given[was]; !done {
			is, ok := l.take(1)
			if !ok {
				return errNoAddresses(log.traffic)
			}
			l.given[was] = is
		}
		log.Clients[k] = l.given[was]
	}
	return nil
}

func errNoAddresses(traffic string) error {
	return fmt.Errorf("traffic %q has more clients than there are addresses in %s", traffic, ofClients)
}
