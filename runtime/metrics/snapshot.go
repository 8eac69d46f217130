// Package metrics tells Prometheus what a balancer counts:
//
//	page := metrics.New(func() *metrics.Snapshot { … }, log)
//	err := page.Listen(netip.MustParseAddrPort("127.0.0.1:9100"))
//	err = page.Resume() // GET /metrics is answered from here on
//
// It is a translation and counts nothing itself: each scrape takes one Snapshot and makes
// series of it, so a listener's series end with the listener. What they mean is what the
// product's monitoring means by them (CloudMonitor, namespace acs_slb_dashboard); README
// has the table.
package metrics

import (
	"slbctl/runtime/balance"
	"slbctl/runtime/proxy"
	"slbctl/spec"
)

// Snapshot is what is counted at one moment. Limits are 0 where there is none.
type Snapshot struct {
	Generation    uint64
	LoadBalancers []LoadBalancer
}

// LoadBalancer is one balancer that has listeners.
type LoadBalancer struct {
	Address     string // resource address
	Connections int64  // open to all its listeners
	Peak        int64  // the most that were
	// What its spec and its bandwidth allow.
	MaxConnections, CPS, QPS int
	Bandwidth                int // Mbit/s in each direction
	Listeners                []Listener
}

// Listener is one port of a balancer.
type Listener struct {
	LoadBalancer string // resource address
	Protocol     string
	Port         uint16 // as declared
	Counters     proxy.Counters
	Totals       proxy.Totals
	Dropped      proxy.Dropped // datagrams of UDP
	MaxQPS       int
	Bandwidth    int // Mbit/s in each direction
	Pools        []Pool
}

// Pool is the servers of a listener, or of one of its rules.
type Pool struct {
	Rule    string // its name, empty = the listener's own
	Group   string // resource address of the server group, or of the balancer for its own servers
	Servers []Server
}

// Server is one backend of a pool.
type Server struct {
	Name    string // as status has it
	Health  balance.Health
	Counts  proxy.Counts
	Traffic proxy.Traffic
}

func (l *Listener) l7() bool  { return spec.L7(l.Protocol) }
func (l *Listener) udp() bool { return l.Protocol == spec.ProtocolUDP }

// active are the connections that have something under way: on L4 a server, on L7 a
// request or a tunnel. All others wait: for a server, a handshake or the next request.
func (l *Listener) active() int64 {
	n := l.Totals.Front.Busy
	if !l.l7() {
		n = 0
		for _, of := range l.servers() {
			for _, c := range of {
				n += c.Connections
			}
		}
	}
	return max(0, min(n, l.Counters.Connections)) // the two were not read in one moment
}

// servers are the counts of all servers by name, those that leave among them.
func (l *Listener) servers() []map[string]proxy.Counts {
	all := []map[string]proxy.Counts{l.Counters.Backends}
	for _, of := range l.Counters.Rules {
		all = append(all, of)
	}
	return all
}
