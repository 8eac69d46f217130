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
	l.checkCircles(c)
	seen := map[string]*object{}
	for _, z := range c.DNSZones {
		o := l.objects[z.Address]
		if earlier := seen[z.Name]; earlier != nil {
			l.reports.error(o.def.block.DefRange, "Duplicate name", fmt.Sprintf("%s and %s are one zone.", earlier.address, o.address), "Declare it once.")
		}
		seen[z.Name] = o
	}
	for _, g := range c.ServerGroups {
		l.checkWeights(g.Backends, l.objects[g.Address].def.block.DefRange, g.Address)
	}
	for _, lb := range c.LoadBalancers {
		l.checkWeights(lb.Backends, l.objects[lb.Address].def.block.DefRange, lb.Address)
		l.checkExpects(c, lb, l.inner[lb.Address])
		for _, listener := range lb.Listeners {
			place := l.inner[listener.Address]
			l.checkACL(c, lb, listener, place)
			l.checkCertificates(c, listener, place)
			if listener.Redirect == nil {
				l.checkServers(c, listener, listener.Address, place, c.group(lb, listener.ServerGroup))
			}
			for _, r := range listener.Rules {
				if r.Redirect == nil {
					l.checkServers(c, listener, r.Address, l.inner[r.Address], c.group(lb, r.ServerGroup))
				}
			}
		}
	}
}

// endpoint is what only one socket can listen on. TCP and UDP have ports of their own.
type endpoint struct {
	netip.AddrPort
	network string // tcp or udp
}

// checkEndpoints looks for two things that would listen on one address and port.
func (l *loader) checkEndpoints(c *Config) {
	holders := make(map[endpoint]string, len(c.Instances)+len(c.LoadBalancers)+3)
	for _, network := range []string{ProtocolTCP, ProtocolUDP} {
		holders[endpoint{c.Runtime.DNSEndpoint(), network}] = "the DNS server"
	}
	claim := func(ip netip.Addr, declared uint16, udp bool, who string, rng hcl.Range) {
		at := endpoint{netip.AddrPortFrom(ip, c.Runtime.BoundPort(declared)), ProtocolTCP}
		if udp {
			at.network = ProtocolUDP
		}
		if holder := holders[at]; holder != "" {
			l.reports.error(rng, "Port taken twice", fmt.Sprintf("%s and %s would both listen on %s (%s).", holder, who, at.AddrPort, at.network),
				"Give one of them another port or address.")
			return
		}
		holders[at] = who
	}
	if at := c.Runtime.MetricsAddress; at.IsValid() {
		claim(at.Addr(), at.Port(), false, "the metrics page", l.runtimeAt.at("metrics_address"))
	}
	for _, i := range c.Instances {
		for _, p := range i.Ports {
			claim(i.IP, p, i.Protocol == ProtocolUDPEcho, i.Address, l.objects[i.Address].def.portsAt())
		}
	}
	for _, lb := range c.LoadBalancers {
		for _, listener := range lb.Listeners {
			claim(lb.IP, listener.Port, listener.Protocol == ProtocolUDP, listener.Address, l.inner[listener.Address].rng)
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

// checkACL holds a listener's list against the addresses that it can see.
func (l *loader) checkACL(c *Config, lb *LoadBalancer, listener *Listener, place *site) {
	list := c.ACL(listener.ACL)
	if list == nil {
		return
	}
	if lb.IP.Is4() != (list.IPVersion == ipVersion4) {
		l.reports.error(place.at("acl"), "Wrong IP version", fmt.Sprintf("%s listens on %s, where no client is %s as the entries of %s are.",
			listener.Address, lb.IP, list.IPVersion, list.Address), "")
	}
	if len(list.Entries) == 0 && listener.ACLType == ACLWhite {
		l.reports.warn(place.at("acl"), "Nobody gets in", fmt.Sprintf("%s is a white list without entries: %s refuses everybody.",
			list.Address, listener.Address), "Add entries to it.")
	}
}

// checkServers looks at the servers behind a listener, or behind a rule of it, as
// they would be reached.
func (l *loader) checkServers(c *Config, listener *Listener, owner string, place *site, group *ServerGroup) {
	if group.Type == GroupActiveStandby && l7.has(listener) {
		l.reports.error(place.at("server_group"), "Not for this listener", fmt.Sprintf("%s is an active_standby group, which is for %s.", group.Address, l4),
			"Write a server_group of type vserver.")
		return
	}
	if group.Type == GroupActiveStandby && !listener.HealthCheck.Enabled {
		l.reports.error(place.child("health_check", 0).at("enabled"), "Standby in vain",
			fmt.Sprintf("Only a health check can tell when the standby of %s has to take over.", group.Address), "Remove it.")
	}
	seen := make(map[netip.AddrPort]bool, len(group.Backends))
	zones := map[string]bool{}
	for _, b := range group.Backends {
		endpoint := netip.AddrPortFrom(b.Address, b.Port)
		if i := c.Instance(b.Instance); i != nil {
			port := i.portBehind(b, listener)
			endpoint = netip.AddrPortFrom(i.IP, port)
			zones[i.Zone] = true
			l.checkInstance(i, port, listener, owner, place)
		} else {
			zones[""] = true // nobody knows
		}
		if seen[endpoint] {
			l.reports.error(place.rng, "Server listed twice", fmt.Sprintf("%s would reach %s by two backends of its group.", owner, endpoint),
				"Give them different ports.")
		}
		seen[endpoint] = true
	}
	if len(group.Backends) > 1 && len(zones) == 1 && !zones[""] {
		l.reports.warn(place.rng, "All servers in one zone", fmt.Sprintf("%s loses every server when zone %s is lost.",
			owner, sortedKeys(zones)[0]), "Put an instance into another zone.")
	}
}

// speaks lists what an instance must speak to understand a listener.
var speaks = map[string][]string{
	ProtocolTCP:   {ProtocolHTTP, ProtocolTCPEcho},
	ProtocolUDP:   {ProtocolUDPEcho},
	ProtocolHTTP:  {ProtocolHTTP},
	ProtocolHTTPS: {ProtocolHTTP},
}

// checkInstance looks whether an instance answers on a port what a listener asks.
func (l *loader) checkInstance(i *Instance, port uint16, listener *Listener, owner string, place *site) {
	if !slices.Contains(i.Ports, port) {
		l.reports.warn(place.rng, "Nobody listens there", fmt.Sprintf("%s sends to port %d of %s, which has other ports.",
			owner, port, i.Address), fmt.Sprintf("Write ports = [%d] there, or another backend_port here.", port))
	}
	if len(i.Command) == 0 && !slices.Contains(speaks[listener.Protocol], i.Protocol) {
		l.reports.warn(place.rng, "Another protocol there", fmt.Sprintf("%s sends %s to %s, which speaks %s.",
			owner, listener.Protocol, i.Address, i.Protocol), fmt.Sprintf("Write protocol = %q there.", speaks[listener.Protocol][0]))
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
