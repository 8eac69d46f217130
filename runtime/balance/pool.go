package balance

import (
	"net/netip"
	"strings"
	"time"
)

// Backend is one server as a pool sees it.
type Backend struct {
	// Name is how JSON and messages call it: instance.ECS01, or 127.0.0.1:8080
	// for a foreign server; ":PORT" is added to an instance that the group lists
	// more than once. Names are unique within a pool.
	Name     string
	Instance string // resource address; empty for a foreign server
	ID       string // of the instance, which it keeps under another address
	Zone     string // empty for a foreign server
	Port     uint16 // as declared
	Weight   int    // 0-100; in a step of a canary as Blend has it
	Drained  bool   // by hand, which makes the weight 0
	// MaxConnections bounds what is in flight at once; 0 = unlimited. A full
	// server is passed over.
	MaxConnections int
	// H2C says that the server is asked in HTTP/2 without TLS; L7 only.
	H2C bool
	// Standby marks the server of an active/standby group that waits.
	Standby bool
	// Endpoint and CheckEndpoint are where connections and probes really go.
	Endpoint      netip.AddrPort
	CheckEndpoint netip.AddrPort
	// Origin is set in a step of a canary, where the server is not one of the pool's own.
	Origin *Origin
}

// key is what hashes, cookies and the order of tables go by: a server that gets another
// name keeps its clients.
func (b *Backend) key() string {
	if b.ID == "" {
		return b.Name
	}
	return b.ID + strings.TrimPrefix(b.Name, b.Instance)
}

// Pool is a set of servers and how one is chosen: the servers of a listener, or of
// one of its rules.
type Pool struct {
	// Owner is the resource address of the listener or rule whose pool it is.
	Owner string
	// Group is the resource address of what the servers are members of: a server
	// group, or the load balancer for its own backends. Empty without servers.
	Group     string
	Scheduler string
	Backends  []Backend // in the order of the file
	Check     Check
	// ForwardWhenAllUnhealthy uses every server when none is well.
	ForwardWhenAllUnhealthy bool
	// ActiveStandby is the product's primary/secondary group: one server serves
	// alone, the other only while that one is not well.
	ActiveStandby bool
	// SlowStart is how long a server that became well takes to get its whole
	// weight; 0 = it has it at once.
	SlowStart time.Duration
	// PersistenceTimeout keeps a client's address on its server for as long after
	// its last connection; 0 = off. Listeners of TCP and UDP only.
	PersistenceTimeout time.Duration
	Sticky             Sticky // listeners of HTTP only

	seed    uint64 // keys hashes and random draws
	cookies cookies
}

// Usable returns the backends that a Table for these healths picks from, in the
// order of the file: those of a weight above 0 that are well. Of an active/standby
// pool that is the active server while it is well, and else the standby, of whose
// health nothing is known.
func (p *Pool) Usable(health func(i int) Health) []int {
	var well, all, standby []int
	for i, b := range p.Backends {
		switch {
		case b.Weight <= 0:
		case p.ActiveStandby && b.Standby:
			standby = append(standby, i)
		default:
			all = append(all, i)
			if p.well(i, health) {
				well = append(well, i)
			}
		}
	}
	switch {
	case len(well) > 0:
		return well
	case len(standby) > 0:
		return standby
	case p.ForwardWhenAllUnhealthy:
		return all
	}
	return nil
}

// well reports whether a server may get connections: it is Normal, or nobody asks.
func (p *Pool) well(i int, health func(i int) Health) bool {
	return !p.Probed(i) || health(i) == Normal
}

// Probed reports whether backend i is health-checked: the standby of an
// active/standby group is not, as in the product.
func (p *Pool) Probed(i int) bool {
	if o := p.Backends[i].Origin; o != nil {
		return o.Probed
	}
	return p.Check.Enabled && !(p.ActiveStandby && p.Backends[i].Standby)
}
