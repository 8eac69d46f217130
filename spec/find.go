package spec

import (
	"net/netip"
	"slices"
)

// BoundPort is the port that slbctl really binds for a declared one: ports below
// 1024 are shifted by the offset, so that a user without privileges can run a
// configuration that says 80. Ports of foreign servers are never shifted.
func (r Runtime) BoundPort(declared uint16) uint16 {
	if declared == 0 || declared >= 1024 {
		return declared
	}
	return uint16(int(declared) + r.PortOffset)
}

// DNSEndpoint is the address and port on which the DNS server really listens.
func (r Runtime) DNSEndpoint() netip.AddrPort {
	if r.DNSAddress.IsValid() {
		return netip.AddrPortFrom(r.DNSAddress.Addr(), r.BoundPort(r.DNSAddress.Port()))
	}
	return netip.AddrPortFrom(r.Network.Masked().Addr().Next(), r.BoundPort(53))
}

// MetricsEndpoint is the address and port on which /metrics is really served; zero =
// nowhere.
func (r Runtime) MetricsEndpoint() netip.AddrPort {
	if !r.MetricsAddress.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(r.MetricsAddress.Addr(), r.BoundPort(r.MetricsAddress.Port()))
}

// Instance returns the instance with the given resource address, or nil.
func (c *Config) Instance(address string) *Instance {
	return find(c.Instances, address, func(i *Instance) string { return i.Address })
}

// ServerGroup returns the server group with the given resource address, or nil.
func (c *Config) ServerGroup(address string) *ServerGroup {
	return find(c.ServerGroups, address, func(g *ServerGroup) string { return g.Address })
}

// ACL returns the access control list with the given resource address, or nil.
func (c *Config) ACL(address string) *ACL {
	return find(c.ACLs, address, func(a *ACL) string { return a.Address })
}

// Certificate returns the certificate with the given resource address, or nil.
func (c *Config) Certificate(address string) *Certificate {
	return find(c.Certificates, address, func(x *Certificate) string { return x.Address })
}

// CACertificate returns the CA certificate with the given resource address, or nil.
func (c *Config) CACertificate(address string) *CACertificate {
	return find(c.CACertificates, address, func(x *CACertificate) string { return x.Address })
}

// LoadBalancer returns the load balancer with the given resource address, or nil.
func (c *Config) LoadBalancer(address string) *LoadBalancer {
	return find(c.LoadBalancers, address, func(lb *LoadBalancer) string { return lb.Address })
}

func find[T any](list []*T, address string, of func(*T) string) *T {
	i, ok := slices.BinarySearchFunc(list, address, func(t *T, address string) int {
		return CompareAddresses(of(t), address)
	})
	if !ok {
		return nil
	}
	return list[i]
}
