//go:build linux

package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// assignment ties a flow (a connection on L4, a request on L7) to the server that
// was picked for it and to what counts it there.
type assignment struct {
	pool     *pool
	backend  *tally // nil = none picked
	lane     *lane  // of backend
	index    int    // of the server in pool
	drain    *drain
	deadline int64 // when the drain ends, in the loop's nanoseconds
}

// take counts the flow on server i of the pool, which Pick has counted in flight.
func (a *assignment) take(p *pool, i, loop int) {
	a.pool, a.index, a.backend = p, i, p.servers[i].tally
	a.lane = a.backend.lane(loop)
	a.lane.open.Add(1)
}

// give takes the flow off its server's counts.
func (a *assignment) give() {
	if a.backend == nil {
		return
	}
	a.lane.open.Add(-1)
	a.pool.state.Done(a.index)
	a.backend, a.lane = nil, nil
	if a.drain != nil {
		a.drain.leave()
		a.drain = nil
	}
}

func (a *assignment) endpoint() netip.AddrPort { return a.pool.spec.Backends[a.index].Endpoint }

// drainUntil lets the flow live until a time of the loop's clock.
func (a *assignment) drainUntil(d *drain, deadline int64) {
	d.enter(1)
	if a.drain != nil {
		a.drain.leave()
	}
	a.drain, a.deadline = d, deadline
}

// undrain lets the flow live as long as it likes again.
func (a *assignment) undrain() {
	a.drain.leave()
	a.drain = nil
}

// drained reports whether the time of a drain is up.
func (a *assignment) drained(now int64) bool { return a.drain != nil && now >= a.deadline }

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

// Drain gives the flows that a pool's backend has at an endpoint, also a backend
// of an earlier generation, until the deadline to end; the rest are then cut off
// and counted so. The channel is closed when none of them is left. Call it after
// the Table or Handler that keeps new ones away is in place: those that are picked
// later are not touched, nor are those of the same backend at another endpoint, as
// when one server has replaced another.
func (h *Handler) Drain(owner, backend string, endpoint netip.AddrPort, deadline time.Time) <-chan struct{} {
	k := backendKey{owner, backend}
	if server := h.server.Load(); server != nil {
		server.closeIdle(endpoint)
	}
	return h.drain(func(a *assignment) bool { return a.backend.backendKey == k && a.endpoint() == endpoint }, false, deadline)
}

// DrainAll drains all backends at once, for a listener that is removed. Clients of an
// HTTP listener, also those that ask nothing now, may make one more request until the
// deadline; its answer tells them that the connection ends.
func (h *Handler) DrainAll(deadline time.Time) <-chan struct{} {
	if server := h.server.Load(); server != nil && h.http != nil {
		h.http.closing.Store(true)
		for _, p := range h.pools {
			for _, b := range p.spec.Backends {
				server.closeIdle(b.Endpoint)
			}
		}
	}
	return h.drain(func(*assignment) bool { return true }, true, deadline)
}

// drain marks the flows on each loop, and the clients of HTTP if they go as well. The drain counts the loops that have not
// done so yet as well, so it cannot end early.
func (h *Handler) drain(leaves func(*assignment) bool, clients bool, deadline time.Time) <-chan struct{} {
	d := &drain{done: make(chan struct{})}
	server := h.server.Load()
	if server == nil {
		close(d.done)
		return d.done
	}
	ours := make(map[*tally]bool)
	for _, t := range h.tallies() {
		ours[t] = true
	}
	d.enter(len(server.workers))
	for _, w := range server.workers {
		mark := func() {
			until := w.loop.Now() + int64(time.Until(deadline))
			w.eachAssigned(func(a *assignment, timed func()) {
				if ours[a.backend] && leaves(a) {
					a.drainUntil(d, until)
					timed()
				}
			})
			if clients {
				w.eachClient(h, func(c drainable) { c.goBy(d, until) })
			}
			d.leave()
		}
		if !w.loop.Post(mark) {
			d.leave()
		}
	}
	return d.done
}

// Return ends the drain of those flows of an earlier Handler, or of h itself, whose
// server is one of h's again, by its endpoint: they live on as if nothing had been.
// When it returns that is done.
func (h *Handler) Return(from *Handler) {
	served := make(map[netip.AddrPort]bool)
	for _, p := range h.pools {
		for _, b := range p.spec.Backends {
			served[b.Endpoint] = true
		}
	}
	from.undrain(func(a *assignment) bool { return served[a.endpoint()] }, true).Wait()
}

// Keep takes back the Drain of one backend: the server has got well again.
func (h *Handler) Keep(owner, backend string, endpoint netip.AddrPort) {
	k := backendKey{owner, backend}
	h.undrain(func(a *assignment) bool { return a.backend.backendKey == k && a.endpoint() == endpoint }, false)
}

// undrain ends the drain of those flows that stay; the group is done when it is.
func (h *Handler) undrain(stays func(*assignment) bool, clients bool) *sync.WaitGroup {
	var marked sync.WaitGroup
	server := h.server.Load()
	if server == nil {
		return &marked
	}
	ours := make(map[*tally]bool)
	for _, t := range h.tallies() {
		ours[t] = true
	}
	for _, w := range server.workers {
		marked.Add(1)
		mark := func() {
			defer marked.Done()
			w.eachAssigned(func(a *assignment, timed func()) {
				if a.drain != nil && ours[a.backend] && stays(a) {
					a.undrain()
					timed()
				}
			})
			if clients {
				w.eachClient(h, drainable.stay)
			}
		}
		if !w.loop.Post(mark) {
			marked.Done()
		}
	}
	return &marked
}

// Active is the number of flows that a pool's backend still has.
func (h *Handler) Active(owner, backend string) int64 {
	k := backendKey{owner, backend}
	for _, t := range h.tallies() {
		if t.backendKey == k {
			return t.sum().Connections
		}
	}
	return 0
}
