package sim

import (
	"net/netip"
	"time"

	"slbctl/runtime/balance"
)

// AccessChange says which clients a listener lets in after a change, and did not before, or
// the other way round, in prefixes; an IPv4 address and its IPv6 form are one client. Those
// who are connected stay so: access is asked of new connections. JSON keys are in
// alphabetical order.
type AccessChange struct {
	Allowed     []netip.Prefix `json:"allowed"`
	AllowedIPv4 uint64         `json:"allowed_ipv4"` // addresses in those of IPv4
	Refused     []netip.Prefix `json:"refused"`
	RefusedIPv4 uint64         `json:"refused_ipv4"`
}

// CheckChange says how long it takes, at most, to notice that a server is dead, and that
// it is back, before and after a change; null is where no check is made, and a dead server
// has its share until somebody acts. JSON keys are in alphabetical order.
type CheckChange struct {
	After  *Noticing `json:"after"`
	Before *Noticing `json:"before"`
}

// Noticing is balance.Detection in seconds. Null is never: silence passes such a check.
type Noticing struct {
	BackSeconds       float64  `json:"back_seconds"` // after it refused connections
	BackSilentSeconds *float64 `json:"back_silent_seconds"`
	DeadSeconds       float64  `json:"dead_seconds"` // when it refuses connections
	SilentSeconds     *float64 `json:"silent_seconds"`
}

// accessChanges compares the access lists of listeners that serve on both sides, by address.
func accessChanges(before, after foresight) map[string]*AccessChange {
	out := map[string]*AccessChange{}
	for address, l := range after.listeners {
		old := before.listeners[address]
		if old == nil || !old.Serving || !l.Serving || old.ACL.Same(l.ACL) {
			continue
		}
		c := balance.CompareAccess(old.ACL, l.ACL)
		allowed, refused := clientsOf(l, c.Allowed), clientsOf(l, c.Refused)
		if len(allowed)+len(refused) > 0 {
			out[address] = &AccessChange{
				Allowed: allowed, AllowedIPv4: addressesIPv4(allowed),
				Refused: refused, RefusedIPv4: addressesIPv4(refused),
			}
		}
	}
	return out
}

// clientsOf leaves out the networks that a listener has no clients of: at an address of
// IPv4 none comes from IPv6, unless the PROXY protocol says so.
func clientsOf(l *balance.Listener, networks []netip.Prefix) []netip.Prefix {
	out := []netip.Prefix{}
	for _, n := range networks {
		if n.Addr().Is4() || !l.Endpoint.Addr().Is4() || l.AcceptProxyProtocol {
			out = append(out, n)
		}
	}
	return out
}

func addressesIPv4(prefixes []netip.Prefix) (n uint64) {
	for _, p := range prefixes {
		if p.Addr().Is4() {
			n += 1 << (32 - p.Bits())
		}
	}
	return n
}

// checkChange compares the checks of a pool that serves on both sides; nil where it is the
// same one, at the same ports.
func checkChange(before, after forecast) *CheckChange {
	if before.Pool == nil || after.Pool == nil || !before.Check.Enabled && !after.Check.Enabled || before.Check == after.Check && !movedChecks(before, after) {
		return nil
	}
	return &CheckChange{Before: noticing(before.Check), After: noticing(after.Check)}
}

// movedChecks reports whether servers that stay where they are are probed elsewhere.
func movedChecks(before, after forecast) bool {
	for i := range min(len(before.Backends), len(after.Backends)) {
		if b, a := &before.Backends[i], &after.Backends[i]; b.Endpoint == a.Endpoint && b.CheckEndpoint != a.CheckEndpoint {
			return true
		}
	}
	return false
}

func noticing(c balance.Check) *Noticing {
	if !c.Enabled {
		return nil
	}
	d := c.Detection()
	return &Noticing{
		BackSeconds: d.Back.Seconds(), BackSilentSeconds: secondsOf(d.BackSilent),
		DeadSeconds: d.Dead.Seconds(), SilentSeconds: secondsOf(d.Silent),
	}
}

func secondsOf(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}
