//go:build linux

package proxy

import (
	"net/netip"
	"sync/atomic"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/netloop"
)

// Handler is the live side of one listener, as of one generation: who its
// servers are, which of them may be picked, and what has been counted.
type Handler struct {
	listener *balance.Listener
	state    *balance.State
	table    atomic.Pointer[balance.Table]
	addrs    []netloop.Sockaddr // by index of listener.Backends
	backends []*tally           // likewise
	front    *tally             // what concerns no backend
	// leaving are the backends of earlier generations that may still have
	// connections; gone is what those counted that have none any more.
	leaving []*tally
	gone    Counts
	server  atomic.Pointer[Server] // once served
}

// NewHandler makes the Handler of a listener. Counters go on from prev, if that
// is not nil, for backends of the same name. It picks nothing before SetTable.
func NewHandler(l *balance.Listener, s *balance.State, prev *Handler) *Handler {
	h := &Handler{listener: l, state: s, front: &tally{}}
	known := make(map[string]*tally)
	if prev != nil {
		h.front, h.gone = prev.front, prev.gone
		for _, t := range prev.leaving {
			known[t.name] = t
		}
		for _, t := range prev.backends {
			known[t.name] = t
		}
	}
	for _, b := range l.Backends {
		t := known[b.Name]
		if t == nil {
			t = &tally{name: b.Name}
		}
		delete(known, b.Name)
		h.backends = append(h.backends, t)
		h.addrs = append(h.addrs, netloop.NewSockaddr(b.Endpoint))
	}
	if prev != nil {
		h.inheritLeaving(prev, known)
	}
	return h
}

// inheritLeaving keeps the backends that this generation does not have. Those
// that were leaving before get no new connections, so once they have none their
// counts are final.
func (h *Handler) inheritLeaving(prev *Handler, known map[string]*tally) {
	for _, t := range prev.leaving {
		if known[t.name] == nil {
			continue
		}
		if counts := t.sum(); counts.Connections == 0 {
			h.gone.add(counts)
		} else {
			h.leaving = append(h.leaving, t)
		}
	}
	for _, t := range prev.backends {
		if known[t.name] != nil {
			h.leaving = append(h.leaving, t)
		}
	}
}

// attach makes room for the counters of each of the server's loops.
func (h *Handler) attach(s *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.front.attach(len(s.workers))
	for _, t := range h.backends {
		t.attach(len(s.workers))
	}
	h.server.Store(s)
}

// SetTable says which backends are picked from now on, and how.
func (h *Handler) SetTable(t *balance.Table) { h.table.Store(t) }

// Drain gives the connections that a backend has at an endpoint, also a backend
// of an earlier generation, until the deadline to end; the rest are then reset and
// counted as cut. The channel is closed when none of them is left. Call it after
// the Table or Handler that keeps new connections away is in place: connections
// that are picked later are not touched, nor are those of the same backend at
// another endpoint, as when one server has replaced another.
func (h *Handler) Drain(backendName string, endpoint netip.AddrPort, deadline time.Time) <-chan struct{} {
	return h.drain(func(c *conn) bool {
		return c.backend.name == backendName && c.handler.listener.Backends[c.index].Endpoint == endpoint
	}, deadline)
}

// DrainAll drains all backends at once, for a listener that is removed.
func (h *Handler) DrainAll(deadline time.Time) <-chan struct{} {
	return h.drain(func(*conn) bool { return true }, deadline)
}

// drain marks the connections on each loop. The drain counts the loops that have
// not done so yet as well, so it cannot end early.
func (h *Handler) drain(leaves func(*conn) bool, deadline time.Time) <-chan struct{} {
	d := &drain{done: make(chan struct{})}
	server := h.server.Load()
	if server == nil {
		close(d.done)
		return d.done
	}
	ours := make(map[*tally]bool)
	for _, list := range [][]*tally{h.backends, h.leaving} {
		for _, t := range list {
			ours[t] = true
		}
	}
	d.enter(len(server.workers))
	for _, w := range server.workers {
		mark := func() {
			until := w.loop.Now() + int64(time.Until(deadline))
			for c := w.conns.next; c != &w.conns; c = c.next {
				if ours[c.backend] && leaves(c) {
					c.drainUntil(d, until)
				}
			}
			d.leave()
		}
		if !w.loop.Post(mark) {
			d.leave()
		}
	}
	return d.done
}

// drain is one call of Drain under way.
type drain struct {
	pending atomic.Int64
	done    chan struct{}
}

func (d *drain) enter(n int) { d.pending.Add(int64(n)) }

func (d *drain) leave() {
	if d.pending.Add(-1) == 0 {
		close(d.done)
	}
}

// Active is the number of connections that a backend still has.
func (h *Handler) Active(backendName string) int64 {
	return h.Counters().Backends[backendName].Connections
}
