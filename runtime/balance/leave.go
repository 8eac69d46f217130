package balance

import "net/netip"

// Leaver is a server that a change takes from one of a listener's pools.
type Leaver struct {
	Owner string // the pool's
	Backend
}

// Leaving says which open connections of a listener a change ends, at the latest when
// their drain is over: all of them, or those to some of its servers. A listener that
// is gone, serves no more or listens elsewhere loses all; otherwise it is the servers
// whose endpoint it has no more, in any of its pools. No change ends others: a server
// of weight 0 keeps what it has, and one that falls ill too, for as long as a drain.
// Either may be nil.
func Leaving(before, after *Listener) (all bool, servers []Leaver) {
	if before == nil || !before.Serving {
		return false, nil
	}
	if after == nil || !after.Serving || after.Endpoint != before.Endpoint {
		return true, nil
	}
	stays := make(map[netip.AddrPort]bool, len(after.Backends))
	for _, p := range after.Pools() {
		for _, b := range p.Backends {
			stays[b.Endpoint] = true
		}
	}
	for _, p := range before.Pools() {
		for _, b := range p.Backends {
			if !stays[b.Endpoint] {
				servers = append(servers, Leaver{p.Owner, b})
			}
		}
	}
	return false, servers
}
