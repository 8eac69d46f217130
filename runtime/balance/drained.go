package balance

import (
	"fmt"
	"slices"

	"slbctl/spec"
)

// Drained takes servers out of compiled listeners that were drained by hand: they get
// weight 0, and with that nothing new. Each is the address of an instance, which means
// all backends that it is, or of one backend in its group, with or without the port. It
// returns those that are nothing here.
func Drained(listeners []*Listener, addresses []string) (unknown []string) {
	for _, a := range addresses {
		known := false
		for _, l := range listeners {
			for _, p := range l.Pools() {
				for i := range p.Backends {
					if b := &p.Backends[i]; b.Named(p.Group, a) {
						b.Weight, b.Drained, known = 0, true, true
					}
				}
			}
		}
		if !known {
			unknown = append(unknown, a)
		}
	}
	return unknown
}

// Named says whether an address for drain means this member of a group.
func (b *Backend) Named(group, address string) bool {
	if b.Instance != "" && b.Instance == address {
		return true
	}
	return address == b.Address(group) || b.Instance != "" && address == spec.BackendAddress(group, b.Instance)
}

// Address names a member of a group for drain.
func (b *Backend) Address(group string) string {
	if b.Instance == "" {
		return spec.BackendAddress(group, b.Name)
	}
	return spec.BackendAddress(group, fmt.Sprintf("%s:%d", b.Instance, b.Port))
}

// Unserved lists the listeners and rules that have servers and of which each has weight 0.
func Unserved(listeners []*Listener) (owners []string) {
	for _, l := range listeners {
		for _, p := range l.Pools() {
			if len(p.Backends) > 0 && !slices.ContainsFunc(p.Backends, func(b Backend) bool { return b.Weight > 0 }) {
				owners = append(owners, p.Owner)
			}
		}
	}
	return owners
}
