//go:build linux

package proxy

import (
	"errors"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"slbctl/runtime/http2"
	"slbctl/runtime/netloop"
)

// connectTimeout is how long a server may take to accept before another is tried.
const connectTimeout = 5 * time.Second

// Options configures a Server; the zero value is right for most.
type Options struct {
	Loops int // event loops; 0 = one per core
}

// Server runs the event loops. It has nothing to do until a socket is bound and served.
type Server struct {
	set            *netloop.Set
	workers        []*worker
	connectTimeout time.Duration

	mu         sync.Mutex
	sockets    map[*Socket]struct{}
	udpSockets map[*UDPSocket]struct{}
	// upstreams are the idle connections of all listeners, by endpoint.
	upstreams map[netip.AddrPort]*upstream
	closed    bool
}

// worker is one loop's share of the data plane.
type worker struct {
	server *Server
	loop   *netloop.Loop
	conns  conn  // sentinel of the list of all connections of this loop
	free   *conn // records to use again, linked by next
	kept   int   // length of free

	https    httpConn  // sentinel of the list of all clients of HTTP listeners
	freeHTTP *httpConn // records to use again
	keptHTTP int
	http     httpScratch

	orphans orphans

	h2s h2Conn      // sentinel of the list of all clients that speak HTTP/2
	h2  *http2.Pool // what their connections share

	sealed  []byte    // what a TLS session has to say; nothing in it outlives a call of Ready
	shakers []*shaker // free
	slack   []byte    // of a loop with TLS; never touched, so that it takes addresses and no memory
	shook   int       // steps of handshakes in the turn of shookAt
	shookAt int64

	idleLists     []*idleList // of all endpoints
	idleUpstreams int         // connections in them
	upstreamLimit int         // of those

	udp udpLoop

	pauses atomic.Int64
	spared atomic.Int64
}

// New starts the loops, and with them sets GOMAXPROCS; see [netloop.Start].
func New(opt Options) (*Server, error) {
	set, err := netloop.Start(opt.Loops)
	if err != nil {
		return nil, err
	}
	s := &Server{set: set, connectTimeout: connectTimeout, sockets: make(map[*Socket]struct{}), udpSockets: make(map[*UDPSocket]struct{}), upstreams: make(map[netip.AddrPort]*upstream)}
	for _, loop := range set.Loops() {
		w := &worker{server: s, loop: loop, h2: http2.NewPool(), upstreamLimit: upstreamLimit(loop, len(set.Loops()))}
		w.conns.next, w.conns.prev = &w.conns, &w.conns
		w.https.next, w.https.prev = &w.https, &w.https
		w.orphans.next, w.orphans.prev = &w.orphans.orphan, &w.orphans.orphan
		w.orphans.limit = w.upstreamLimit
		w.h2s.next, w.h2s.prev = &w.h2s, &w.h2s
		w.udp = udpLoop{loop: loop, receivers: make(map[*receiver]struct{}), limit: sessionLimit(loop, len(set.Loops()))}
		s.workers = append(s.workers, w)
	}
	return s, nil
}

// Loops is the number of event loops.
func (s *Server) Loops() int { return len(s.workers) }

// Now is the time that decisions are made at: the loops' clock, in nanoseconds.
func (s *Server) Now() int64 { return s.set.Now() }

// AcceptPauses counts how often a loop stopped accepting for a while because
// the process was short of descriptors or memory.
func (s *Server) AcceptPauses() int64 {
	var n int64
	for _, w := range s.workers {
		n += w.pauses.Load()
	}
	return n
}

// Spared counts the connections to servers that might have had another request but were
// closed, because too many waited or the process was short of descriptors.
func (s *Server) Spared() int64 {
	var n int64
	for _, w := range s.workers {
		n += w.spared.Load()
	}
	return n
}

// Bind takes an endpoint: it listens on it for every loop, but accepts nothing
// before the first Serve. Port 0 takes a free port. The error says who has the port.
func (s *Server) Bind(ep netip.AddrPort) (*Socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("bind " + ep.String() + ": the server is closed")
	}
	fds, ep, err := netloop.Listen(ep, len(s.workers))
	if err != nil {
		return nil, err
	}
	k := &Socket{server: s, endpoint: ep}
	k.extend(fds)
	s.sockets[k] = struct{}{}
	return k, nil
}

// Close closes all sockets, resets the connections that are left and ends the
// loops. Drain before it to cut nobody off.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	var sockets []*Socket
	for k := range s.sockets {
		sockets = append(sockets, k)
	}
	udpSockets, upstreams := maps.Clone(s.udpSockets), maps.Clone(s.upstreams)
	s.mu.Unlock()
	for _, k := range sockets {
		_ = k.Close() // always nil
	}
	for k := range udpSockets {
		_ = k.Close() // always nil
	}
	for ep := range upstreams {
		s.closeIdle(ep)
	}
	for _, w := range s.workers {
		w.loop.Post(w.resetAll)
	}
	s.set.Close()
	return nil
}

func (w *worker) resetAll() {
	for w.conns.next != &w.conns {
		w.conns.next.reset()
	}
	for w.h2s.next != &w.h2s {
		w.h2s.next.broken()
	}
	for w.https.next != &w.https {
		w.https.next.abort()
	}
	for _, s := range w.shakers {
		s.stop()
	}
	w.shakers = nil
	for w.orphans.size > 0 {
		w.orphans.next.end(false)
	}
	for _, l := range w.idleLists {
		for len(l.servers) > 0 {
			l.servers[0].broken()
		}
	}
}

// eachAssigned calls f for every flow of the worker that has a server; timed makes its
// timer respect a new deadline.
func (w *worker) eachAssigned(f func(a *assignment, timed func())) {
	for c := w.conns.next; c != &w.conns; c = c.next {
		if c.backend != nil {
			f(&c.assignment, c.rearm)
		}
	}
	for c := w.https.next; c != &w.https; c = c.next {
		if c.backend != nil {
			f(&c.assignment, func() { c.arm(w.loop.Now()) })
		}
	}
	for o := w.orphans.next; o != &w.orphans.orphan; o = o.next {
		f(&o.assignment, o.arm)
	}
	for r := range w.udp.receivers {
		for s := r.list.next; s != &r.list; s = s.next {
			if s.backend != nil {
				f(&s.assignment, s.armIdle)
			}
		}
	}
}

// drainable is a client of HTTP that a drain sees off: it may stay until a time of the
// loop's clock, or, if that is taken back, as long as it likes.
type drainable interface {
	goBy(d *drain, deadline int64)
	stay()
}

// eachClient calls f for every client of a Handler's listener, whatever generation its
// last request was of; HTTP only.
func (w *worker) eachClient(h *Handler, f func(drainable)) {
	if h.http == nil {
		return
	}
	front := h.front.lane(w.loop.Index())
	for c := w.https.next; c != &w.https; c = c.next {
		if c.front == front {
			f(c)
		}
	}
	for c := w.h2s.next; c != &w.h2s; c = c.next {
		if c.front == front {
			f(c)
		}
	}
}
