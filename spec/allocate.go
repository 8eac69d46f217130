package spec

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// allocate gives every instance and load balancer its address: the one written
// in the file, else the recorded one, else the next free one of the network in
// the order of resource addresses. So adding a resource moves no other.
func (l *loader) allocate(definitions []*definition) {
	var objects []*object
	for _, def := range definitions {
		if def.kind.ip != nil {
			objects = append(objects, def.objects...)
		}
	}
	slices.SortFunc(objects, func(a, b *object) int { return CompareAddresses(a.address, b.address) })

	pool := newPool(l.runtime.Network)
	for _, o := range objects {
		if l.pin(o) && o.pinned {
			pool.taken[o.ip] = true
		}
	}
	var fresh []*object
	for _, o := range objects {
		recorded := l.opt.Recorded.Addresses[o.address]
		switch {
		case o.pinned || o.state == failed:
		case pool.offers(recorded):
			o.ip = recorded
			pool.taken[recorded] = true
		default:
			fresh = append(fresh, o)
		}
	}
	for _, recorded := range l.opt.Recorded.Addresses {
		pool.taken[recorded] = true
	}
	for _, o := range fresh {
		ip, ok := pool.next()
		if !ok {
			o.state = failed
			l.reports.error(o.def.block.DefRange, "Network exhausted",
				fmt.Sprintf("%s has no free address left for %s.", l.runtime.Network, o.address), "Write a larger network in the runtime block.")
			return
		}
		o.ip = ip
	}
}

// pin evaluates the address argument of a resource, if it has one.
func (l *loader) pin(o *object) bool {
	a := argument(o.def.block.Body, "address")
	if a == nil || o.def.broken {
		return true
	}
	target := o.def.kind.make()
	d := &decoder{l: l, scope: o.scope(), ok: true}
	d.attribute(o.def.kind.block, o.def.kind.attribute("address"), a, target, nil)
	ip, _ := o.def.kind.ip(target)
	switch {
	case !d.ok:
		o.state = failed
		return false
	case !ip.IsValid():
		return true // null
	case !ip.IsLoopback() && !l.runtime.Expose:
		o.state = failed
		l.reports.error(a.Expr.Range(), "Address outside of loopback", fmt.Sprintf("%s is neither inside 127.0.0.0/8 nor ::1.", ip),
			"Write expose = true in the runtime block if others may reach it.")
		return false
	}
	o.ip, o.pinned = *ip, true
	return true
}

// argument reads one argument of a body without reading the rest.
func argument(body hcl.Body, name string) *hcl.Attribute {
	if native, ok := body.(*hclsyntax.Body); ok {
		if a := native.Attributes[name]; a != nil {
			return a.AsHCLAttribute()
		}
		return nil
	}
	content, _, _ := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: name}}})
	return content.Attributes[name]
}

// pool hands out the host addresses of a network. The first is the DNS server's.
type pool struct {
	network netip.Prefix
	first   netip.Addr
	last    netip.Addr // the broadcast address, which no host has
	cursor  netip.Addr
	taken   map[netip.Addr]bool
}

func newPool(network netip.Prefix) *pool {
	base := network.Masked().Addr()
	b := base.As4()
	for i := network.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	first := base.Next()
	return &pool{network: network, first: first, last: netip.AddrFrom4(b), cursor: first, taken: map[netip.Addr]bool{}}
}

func (p *pool) offers(a netip.Addr) bool {
	return a.IsValid() && p.network.Contains(a) && p.first.Less(a) && a.Less(p.last) && !p.taken[a]
}

func (p *pool) next() (netip.Addr, bool) {
	for p.cursor = p.cursor.Next(); p.cursor.Less(p.last); p.cursor = p.cursor.Next() {
		if p.offers(p.cursor) {
			return p.cursor, true
		}
	}
	return netip.Addr{}, false
}
