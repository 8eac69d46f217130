package spec

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// check looks for mistakes that no resource shows alone.
func (l *loader) check(c *Config) {
	l.checkEndpoints(c)
	seen := map[string]*object{}
	for _, z := range c.DNSZones {
		o := l.objects[z.Address]
		if earlier := seen[z.Name]; earlier != nil {
			l.duplicate("dns_zone", z.Name, o.def.block.DefRange, earlier.def.block.DefRange)
		}
		seen[z.Name] = o
	}
	for _, g := range c.ServerGroups {
		l.checkWeights(g.Backends, l.objects[g.Address].def.block.DefRange, g.Address)
	}
	for _, lb := range c.LoadBalancers {
		l.checkWeights(lb.Backends, l.objects[lb.Address].def.block.DefRange, lb.Address)
		for _, listener := range lb.Listeners {
			l.checkListener(c, lb, listener)
		}
	}
}

// checkEndpoints looks for two things that would listen on one address and port.
func (l *loader) checkEndpoints(c *Config) {
	holders := make(map[netip.AddrPort]string, len(c.Instances)+len(c.LoadBalancers)+1)
	holders[c.Runtime.DNSEndpoint()] = "the DNS server"
	claim := func(ip netip.Addr, declared uint16, who string, rng hcl.Range) {
		endpoint := netip.AddrPortFrom(ip, c.Runtime.BoundPort(declared))
		if holder := holders[endpoint]; holder != "" {
			l.reports.error(rng, "Port taken twice", fmt.Sprintf("%s and %s would both listen on %s (tcp).", holder, who, endpoint),
				"Give one of them another port or address.")
			return
		}
		holders[endpoint] = who
	}
	for _, i := range c.Instances {
		for _, p := range i.Ports {
			claim(i.IP, p, i.Address, l.objects[i.Address].site.at("ports"))
		}
	}
	for _, lb := range c.LoadBalancers {
		for _, listener := range lb.Listeners {
			claim(lb.IP, listener.Port, listener.Address, l.inner[listener.Address].rng)
		}
	}
}

func (l *loader) checkWeights(backends []Backend, rng hcl.Range, address string) {
	sum := 0
	for _, b := range backends {
		sum += b.Weight
	}
	if len(backends) > 0 && sum == 0 {
		l.reports.warn(rng, "Nobody gets traffic", fmt.Sprintf("All weights of %s are 0.", address), "")
	}
}

// checkListener looks at the servers behind a listener as it would reach them.
func (l *loader) checkListener(c *Config, lb *LoadBalancer, listener *Listener) {
	backends := c.backendsOf(lb, listener)
	rng := l.inner[listener.Address].rng
	seen := make(map[netip.AddrPort]bool, len(backends))
	zones := map[string]bool{}
	for _, b := range backends {
		endpoint := netip.AddrPortFrom(b.Address, b.Port)
		if i := c.Instance(b.Instance); i != nil {
			port := i.portBehind(b, listener)
			endpoint = netip.AddrPortFrom(i.IP, port)
			zones[i.Zone] = true
			if !slices.Contains(i.Ports, port) {
				l.reports.warn(rng, "Nobody listens there", fmt.Sprintf("%s sends to port %d of %s, which has other ports.",
					listener.Address, port, i.Address), fmt.Sprintf("Write ports = [%d] there, or another backend_port here.", port))
			}
		} else {
			zones[""] = true // nobody knows
		}
		if seen[endpoint] {
			l.reports.error(rng, "Server listed twice", fmt.Sprintf("%s would reach %s by two backends of its group.", listener.Address, endpoint),
				"Give them different ports.")
		}
		seen[endpoint] = true
	}
	if len(backends) > 1 && len(zones) == 1 && !zones[""] {
		l.reports.warn(rng, "All servers in one zone", fmt.Sprintf("%s loses every server when zone %s is lost.",
			listener.Address, sortedKeys(zones)[0]), "Put an instance into another zone.")
	}
}

// portBehind is the declared port at which a listener reaches an instance.
func (i *Instance) portBehind(b Backend, l *Listener) uint16 {
	switch {
	case b.Port != 0:
		return b.Port
	case l.BackendPort != 0:
		return l.BackendPort
	}
	return i.Ports[0]
}
