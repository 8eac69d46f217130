package sim

import (
	"encoding/binary"
	"net/netip"

	"slbctl/spec"
)

// clients says who the connections, or requests, of a stream come from.
type clients struct {
	count      uint64
	popularity *popularity // nil = all alike
	base       netip.Addr  // of client 0
	hosts      uint64      // addresses in the network
	who, ports source
	replay     *replay // says it all; nil = clients are drawn
	fresh      uint64  // where the ports of a live run begin that must be nobody's so far; 0 = they are drawn
	place, of  uint64  // among so many streams that share these
}

func newClients(t *spec.Traffic, log *replay, seed uint64) *clients {
	c := &clients{
		count:  uint64(max(t.Clients.Count, 1)),
		who:    newSource(seed, "clients "+t.Name),
		ports:  newSource(seed, "ports "+t.Name),
		replay: log,
	}
	if log != nil {
		c.count = uint64(len(log.Clients))
		return c
	}
	c.base, c.hosts = hostsOf(t.Clients.Network)
	if t.Clients.Popularity > 0 {
		c.popularity = newPopularity(int(c.count), t.Clients.Popularity)
	}
	return c
}

// hostsOf returns the first host address of a network and how many there are: an
// IPv4 network's own address and its broadcast address are no hosts.
func hostsOf(network netip.Prefix) (first netip.Addr, n uint64) {
	bits := network.Addr().BitLen() - network.Bits()
	first = network.Masked().Addr()
	switch {
	case bits > 62:
		return first, 1 << 62
	case first.Is4() && bits > 1:
		return first.Next(), 1<<bits - 2
	}
	return first, 1 << bits
}

// client returns who makes connection number index.
func (c *clients) client(index uint64) uint64 {
	if c.replay != nil {
		return c.replay.client()
	}
	if random := c.who.draw(index); c.popularity != nil {
		return c.popularity.client(random)
	} else {
		return below(random, c.count)
	}
}

// port returns the port that connection number index comes from; one that a log does not
// tell is drawn. Fresh ones come again only after all others: the factor has no divisor in
// common with their number.
func (c *clients) port(index uint64) uint16 {
	if c.fresh != 0 {
		return 1024 + uint16((c.fresh%(65536-1024)+(index*c.of+c.place)*40505)%(65536-1024))
	}
	if c.replay != nil && c.replay.next.Port != 0 {
		return c.replay.next.Port
	}
	return c.drawPort(index)
}

func (c *clients) drawPort(index uint64) uint16 {
	return 1024 + uint16(below(c.ports.draw(index), 65536-1024))
}

// sources tells where the connections that were passed last come from, of which the first has that number. No port
// is a fresh one.
func (c *clients) sources(first uint64, to []netip.AddrPort) {
	if c.replay != nil {
		for k, q := range c.replay.passed[:len(to)] {
			if q.Port == 0 {
				q.Port = c.drawPort(first + uint64(k))
			}
			to[k] = netip.AddrPortFrom(c.replay.address(uint64(q.Client)), q.Port)
		}
		return
	}
	for k := range to {
		index := first + uint64(k)
		to[k] = netip.AddrPortFrom(c.address(c.client(index)), c.drawPort(index))
	}
}

// address returns the address of a client; clients beyond the size of the network
// share theirs with others.
func (c *clients) address(client uint64) netip.Addr {
	if c.replay != nil {
		return c.replay.address(client)
	}
	offset := client % c.hosts
	if c.base.Is4() {
		b := c.base.As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(offset))
		return netip.AddrFrom4(b)
	}
	b := c.base.As16()
	binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])+offset)
	return netip.AddrFrom16(b)
}
