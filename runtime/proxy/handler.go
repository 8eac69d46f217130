//go:build linux

package proxy

import (
	"slices"
	"sync/atomic"

	"slbctl/runtime/balance"
	"slbctl/runtime/netloop"
	"slbctl/spec"
)

// Handler is the live side of one listener, as of one generation: who its
// servers are, which of them may be picked, and what has been counted.
type Handler struct {
	listener *balance.Listener
	pools    []*pool // by index of listener.Pools()
	front    *tally  // what concerns no backend
	// leaving are the backends of earlier generations that may still have
	// connections; gone is what those counted that have none any more.
	leaving     []*tally
	gone        Counts
	goneTraffic Traffic
	server      atomic.Pointer[Server] // once served
	quota       *balance.Quota         // of the balancer; nil = unlimited
	share       *balance.ListenerQuota // of the listener; nil = unlimited
	http        *httpFront             // nil on L4
}

// pool is the live side of one balance.Pool.
type pool struct {
	spec    *balance.Pool
	state   *balance.State
	table   atomic.Pointer[balance.Table]
	servers []server // by index of spec.Backends
}

// server is one backend of a pool.
type server struct {
	addr  netloop.Sockaddr
	tally *tally
	// idle are the connections to its endpoint that wait for a request; L7 only.
	idle *upstream
}

// NewHandler makes the Handler of a listener. states are what its pools, in the
// order of listener.Pools, remember; quota, if not nil, is what its balancer may
// use. Counters go on from prev, if that is not nil, for backends of the same name
// and pool. It picks nothing before SetTable.
func NewHandler(l *balance.Listener, states []*balance.State, quota *balance.Quota, prev *Handler) *Handler {
	h := &Handler{listener: l, front: &tally{}, quota: quota}
	if quota != nil {
		h.share = quota.Listeners[l.Address]
	}
	known := make(map[backendKey]*tally)
	if prev != nil {
		h.front, h.gone, h.goneTraffic = prev.front, prev.gone, prev.goneTraffic
		for _, t := range prev.tallies() {
			known[t.backendKey] = t
		}
	}
	for i, p := range l.Pools() {
		live := &pool{spec: p, state: states[i]}
		for _, b := range p.Backends {
			k := backendKey{p.Owner, b.Name}
			t := known[k]
			if t == nil {
				t = &tally{backendKey: k}
			}
			delete(known, k)
			live.servers = append(live.servers, server{addr: netloop.NewSockaddr(b.Endpoint), tally: t})
		}
		h.pools = append(h.pools, live)
	}
	if prev != nil {
		h.inheritLeaving(prev, known)
	}
	if spec.L7(l.Protocol) {
		h.http = newHTTPFront(l)
		if prev != nil && prev.http != nil {
			h.http.shakes = prev.http.shakes
		}
	}
	return h
}

// inheritLeaving keeps the backends that this generation does not have. Those
// that were leaving before get no new connections, so once they have none their
// counts are final.
func (h *Handler) inheritLeaving(prev *Handler, known map[backendKey]*tally) {
	for _, t := range prev.leaving {
		if known[t.backendKey] == nil {
			continue
		}
		if counts := t.sum(); counts.Connections == 0 {
			h.gone.add(counts)
			traffic := t.traffic()
			h.goneTraffic.add(&traffic)
		} else {
			h.leaving = append(h.leaving, t)
		}
		delete(known, t.backendKey)
	}
	for _, t := range prev.tallies() {
		if known[t.backendKey] != nil {
			h.leaving = append(h.leaving, t)
		}
	}
}

// tallies are the counters of all backends, those that leave first.
func (h *Handler) tallies() []*tally {
	all := slices.Clone(h.leaving)
	for _, p := range h.pools {
		for i := range p.servers {
			all = append(all, p.servers[i].tally)
		}
	}
	return all
}

// attach makes room for the counters of each of the server's loops, and finds the
// connections that wait at the endpoints.
func (h *Handler) attach(s *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.server.Load() != nil {
		return
	}
	h.front.attach(len(s.workers))
	if h.http != nil && h.http.shakes == nil {
		rate := handshakeRate * len(s.workers)
		h.http.shakes = balance.NewRate(rate, rate/10)
	}
	for _, p := range h.pools {
		for i := range p.servers {
			p.servers[i].tally.attach(len(s.workers))
			if h.http != nil {
				p.servers[i].idle = s.upstreamOf(p.spec.Backends[i].Endpoint)
			}
		}
	}
	h.server.Store(s)
}

// SetTable says which backends of a pool, by its index in listener.Pools, are picked
// from now on, and how.
func (h *Handler) SetTable(pool int, t *balance.Table) { h.pools[pool].table.Store(t) }
