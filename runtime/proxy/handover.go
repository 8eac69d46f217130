//go:build linux

package proxy

import (
	"errors"
	"math"
	"net/netip"
	"time"

	"slbctl/runtime/netloop"
)

// Another process takes over in three steps: it adopts the descriptors of every socket,
// this one pauses them, and once the other one serves this one leaves them. Until then
// Resume goes on as if nothing had been. What waits in their queues waits for whoever
// takes it: no connection is lost.

// Adopt is [Server.Bind] for an endpoint that another process has bound: fds are all of
// its listening sockets. They are the Server's from then on, unless there is an error.
func (s *Server) Adopt(ep netip.AddrPort, fds []int) (*Socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("adopt " + ep.String() + ": the server is closed")
	}
	if err := netloop.Adopt("tcp", ep, fds); err != nil {
		return nil, err
	}
	k := &Socket{server: s, endpoint: ep}
	k.extend(fds)
	s.sockets[k] = struct{}{}
	return k, nil
}

// AdoptUDP is [Server.BindUDP] for an endpoint that another process has bound. Sessions
// stay there: a client's next datagram begins another one here.
func (s *Server) AdoptUDP(ep netip.AddrPort, fds []int) (*UDPSocket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("adopt " + ep.String() + ": the server is closed")
	}
	if err := netloop.Adopt("udp", ep, fds); err != nil {
		return nil, err
	}
	k := newUDPSocket(s, ep)
	k.extend(fds)
	s.udpSockets[k] = struct{}{}
	return k, nil
}

// Spread gives each loop a listening socket of its own where the process that bound the
// others had fewer loops. That is for when it has left: were this one to fail before, what
// waits in the new queues would be lost. Call it after Serve, and not beside it.
func (k *Socket) Spread() error {
	had := len(k.acceptors)
	if had >= len(k.server.workers) {
		return nil
	}
	fds, err := netloop.Siblings(k.endpoint, k.acceptors[0].fd, len(k.server.workers)-had)
	if err != nil {
		return err
	}
	k.extend(fds)
	k.Resume()
	return nil
}

// Spread is [Socket.Spread] for UDP.
func (k *UDPSocket) Spread() error {
	had := len(k.receivers)
	if had >= len(k.server.workers) {
		return nil
	}
	fds, err := netloop.SiblingsUDP(k.endpoint, k.receivers[0].fd, len(k.server.workers)-had)
	if err != nil {
		return err
	}
	k.extend(fds)
	for _, r := range k.receivers[had:] {
		r.loop.Post(r.listen)
	}
	return nil
}

// Descriptors are the listening sockets, for another process.
func (k *Socket) Descriptors() []int {
	fds := make([]int, len(k.acceptors))
	for i, a := range k.acceptors {
		fds[i] = a.fd
	}
	return fds
}

// Descriptors are the bound sockets, for another process.
func (k *UDPSocket) Descriptors() []int {
	fds := make([]int, len(k.receivers))
	for i, r := range k.receivers {
		fds[i] = r.fd
	}
	return fds
}

// Pause stops accepting: when it returns, whoever comes waits in the queue.
func (k *Socket) Pause() { k.each((*acceptor).rest) }

// Resume accepts again, what has come meanwhile first.
func (k *Socket) Resume() { k.each((*acceptor).serve) }

// Leave closes a paused socket and leaves what waits in its queue to the other process
// that has it.
func (k *Socket) Leave() { k.end((*acceptor).abandon) }

// Pause stops receiving. The sessions that there are still get their answers.
func (k *UDPSocket) Pause() { k.each((*receiver).rest) }

// Resume receives again.
func (k *UDPSocket) Resume() { k.each((*receiver).wake) }

// Leave has the sessions of a paused socket end when no answer has come for half a minute.
// Answers leave through the socket, so it stays open until the Server is closed.
func (k *UDPSocket) Leave() { k.each((*receiver).leave) }

// SeeOff tells the clients of an HTTP listener that another process serves from now on:
// each may make one more request, whose answer says that the connection ends, and comes
// back as a new one. There is no hurry, so whoever asks nothing is cut off by nothing but
// the listener's own patience. What L4 listeners and tunnels carry goes on until it ends.
func (h *Handler) SeeOff() {
	server := h.server.Load()
	if server == nil || h.http == nil {
		return
	}
	h.http.closing.Store(true)
	for _, p := range h.pools {
		for _, b := range p.spec.Backends {
			server.closeIdle(b.Endpoint)
		}
	}
	const never = time.Duration(math.MaxInt64 / 2)
	h.drain(func(*assignment) bool { return false }, true, time.Now().Add(never))
}

// Flows counts what the Server still carries: clients, sessions of UDP, and requests that
// run on without their client.
func (s *Server) Flows() (n int) {
	counts := make(chan int, len(s.workers))
	for _, w := range s.workers {
		if !w.loop.Post(func() { counts <- w.flows() }) {
			counts <- 0
		}
	}
	for range s.workers {
		n += <-counts
	}
	return n
}

func (w *worker) flows() int {
	n := w.orphans.size + w.udp.open
	for c := w.conns.next; c != &w.conns; c = c.next {
		n++
	}
	for c := w.https.next; c != &w.https; c = c.next {
		n++
	}
	for c := w.h2s.next; c != &w.h2s; c = c.next {
		n++
	}
	return n
}

// Record is what a Handler has counted, for the one of another process that goes on with
// it. What is open stays where it is, so that is not in it.
type Record struct {
	Front        Counts          `json:"front"`
	FrontTraffic Traffic         `json:"front_traffic"`
	Secure       SecureCounts    `json:"secure"`
	Gone         Counts          `json:"gone"`
	GoneTraffic  Traffic         `json:"gone_traffic"`
	Backends     []BackendRecord `json:"backends"`
}

// BackendRecord is what was counted of one backend of a pool.
type BackendRecord struct {
	Pool    string  `json:"pool"` // its owner
	Name    string  `json:"name"`
	Counts  Counts  `json:"counts"`
	Traffic Traffic `json:"traffic"`
}

// Record tells what was counted so far. It waits for a turn of every loop.
func (h *Handler) Record() Record {
	totals := h.Totals()
	r := Record{Front: h.front.sum(), FrontTraffic: totals.Front, Secure: h.front.secure(), Gone: h.gone, GoneTraffic: h.goneTraffic}
	r.Front.Connections, r.Gone.Connections, r.FrontTraffic.Busy = 0, 0, 0
	for _, t := range h.tallies() {
		counts := t.sum()
		counts.Connections = 0
		r.Backends = append(r.Backends, BackendRecord{t.pool, t.name, counts, totals.Server(t.pool, t.name)})
	}
	return r
}

// Recall goes on from a Record. Call it before the first Serve.
func (h *Handler) Recall(r Record) {
	h.front.before, h.front.beforeSecure, h.gone = r.Front, r.Secure, r.Gone
	h.front.beforeTraffic, h.goneTraffic = r.FrontTraffic, r.GoneTraffic
	known := make(map[backendKey]*tally)
	for _, t := range h.tallies() {
		known[t.backendKey] = t
	}
	for _, b := range r.Backends {
		if t := known[backendKey{b.Pool, b.Name}]; t != nil {
			t.before, t.beforeTraffic = b.Counts, b.Traffic
		} else {
			h.gone.add(b.Counts)
			h.goneTraffic.add(&b.Traffic)
		}
	}
}

// Since is what was counted after an earlier Record of the same Handler.
func (r Record) Since(before Record) Record {
	known := make(map[backendKey]BackendRecord, len(before.Backends))
	for _, b := range before.Backends {
		known[backendKey{b.Pool, b.Name}] = b
	}
	s := Record{Front: r.Front.minus(before.Front), Gone: r.Gone.minus(before.Gone), Secure: SecureCounts{
		HandshakesFailed:   r.Secure.HandshakesFailed - before.Secure.HandshakesFailed,
		HandshakesTimedOut: r.Secure.HandshakesTimedOut - before.Secure.HandshakesTimedOut,
		HandshakesDropped:  r.Secure.HandshakesDropped - before.Secure.HandshakesDropped,
		FloodsCut:          r.Secure.FloodsCut - before.Secure.FloodsCut,
		StreamsRefused:     r.Secure.StreamsRefused - before.Secure.StreamsRefused,
	}, FrontTraffic: r.FrontTraffic.minus(&before.FrontTraffic), GoneTraffic: r.GoneTraffic.minus(&before.GoneTraffic)}
	for _, b := range r.Backends {
		was := known[backendKey{b.Pool, b.Name}]
		s.Backends = append(s.Backends, BackendRecord{b.Pool, b.Name, b.Counts.minus(was.Counts), b.Traffic.minus(&was.Traffic)})
	}
	return s
}

// Credit adds what another process has counted meanwhile; of servers that the Handler does
// not know any more it is left out.
func (h *Handler) Credit(r Record) {
	server := h.server.Load()
	if server == nil {
		return
	}
	known := make(map[backendKey]*tally)
	for _, t := range h.tallies() {
		known[t.backendKey] = t
	}
	server.workers[0].loop.Post(func() { // whose lane it is
		front := h.front.lane(0)
		front.credit(r.Front)
		front.Traffic.add(&r.FrontTraffic)
		front.unshaken.Add(r.Secure.HandshakesFailed)
		front.slowShakes.Add(r.Secure.HandshakesTimedOut)
		front.tooManyShakes.Add(r.Secure.HandshakesDropped)
		front.floods.Add(r.Secure.FloodsCut)
		front.refusedStreams.Add(r.Secure.StreamsRefused)
		for _, b := range r.Backends {
			if t := known[backendKey{b.Pool, b.Name}]; t != nil && t.lanes.Load() != nil {
				t.lane(0).credit(b.Counts)
				t.lane(0).Traffic.add(&b.Traffic)
			}
		}
	})
}

// credit adds everything but what is open.
func (n *lane) credit(c Counts) {
	n.requests.Add(c.Requests)
	n.errors.Add(c.Errors)
	n.failures.Add(c.Failures)
	n.timedOut.Add(c.TimedOut)
	n.cut.Add(c.Cut)
	n.denied.Add(c.Denied)
	n.dropped.Add(c.Dropped)
	n.shed.Add(c.Shed)
	n.in.Add(c.BytesIn)
	n.out.Add(c.BytesOut)
}
