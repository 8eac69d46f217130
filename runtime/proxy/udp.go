//go:build linux

package proxy

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"

	"slbctl/runtime/netloop"
)

// UDPSocket is an endpoint for UDP that the Server has bound: one socket for each
// loop. Who sends to it has a session: a server, chosen once, and a socket connected
// to it, whose answers go back from the listener's own address. A session ends when
// nothing has moved for the listener's EstablishedTimeout.
//
// A session stays on the loop where it began, since the kernel gives the datagrams
// of one client to one of the sockets, and with the Handler whose pick it is. While a
// Handler drains, its socket must stay open, with Serve(nil) if nobody else serves:
// answers leave through it.
type UDPSocket struct {
	server    *Server
	endpoint  netip.AddrPort
	handler   atomic.Pointer[Handler]
	receivers []*receiver
	ids       connectionIDs
	start     sync.Once
	closing   sync.Once
}

// Dropped counts the datagrams that went nowhere, by the reason. Those of clients who
// may not come in are in [Counts], as Denied and Dropped: a client that keeps sending
// is counted each time.
type Dropped struct {
	NoServer  int64 // from new clients while no server could be had
	Sessions  int64 // from new clients while the loop had all the sessions it may have
	Bandwidth int64 // beyond what the listener may use, which are so many
	BytesIn   int64 // bytes from clients and
	BytesOut  int64 // to clients
	TooLong   int64 // for the way to the server or the client
	Overflow  int64 // because a socket's buffer was full, or the way to the client shut
}

// udpLoop is what the receivers of one loop have in common.
type udpLoop struct {
	loop      *netloop.Loop
	batch     *netloop.Batch // datagrams in passing; nil before the first socket
	receivers map[*receiver]struct{}
	free      *session // records to use again, linked by next
	kept      int      // length of free
	open      int      // sessions
	limit     int      // of them
}

// sessionLimit lets sessions have half of the descriptors, shared evenly by the
// loops: a flood of datagrams with made-up sources leaves TCP its part.
func sessionLimit(loop *netloop.Loop, loops int) int {
	return max(1, loop.Descriptors()/2/loops)
}

// BindUDP takes an endpoint for UDP, but receives nothing before the first Serve.
// Port 0 takes a free port. The error says who has the port.
func (s *Server) BindUDP(ep netip.AddrPort) (*UDPSocket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("bind " + ep.String() + ": the server is closed")
	}
	fds, ep, err := netloop.ListenUDP(ep, len(s.workers))
	if err != nil {
		return nil, err
	}
	k := newUDPSocket(s, ep)
	k.extend(fds)
	s.udpSockets[k] = struct{}{}
	return k, nil
}

func newUDPSocket(s *Server, ep netip.AddrPort) *UDPSocket {
	return &UDPSocket{server: s, endpoint: ep, ids: connectionIDs{seed: maphash.MakeSeed()}}
}

// extend spreads sockets over the loops.
func (k *UDPSocket) extend(fds []int) {
	for _, fd := range fds {
		loop := len(k.receivers) % len(k.server.workers)
		r := &receiver{udpLoop: &k.server.workers[loop].udp, index: loop, socket: k, fd: fd, clients: make(map[client]*session)}
		r.list.next, r.list.prev = &r.list, &r.list
		r.retry.Init(r)
		k.receivers = append(k.receivers, r)
	}
}

// Endpoint is what the socket is bound to.
func (k *UDPSocket) Endpoint() netip.AddrPort { return k.endpoint }

// Serve says who gets new clients from now on; with nil their datagrams are
// dropped. Sessions that there are go on. The first call starts receiving.
func (k *UDPSocket) Serve(h *Handler) {
	if h != nil {
		h.attach(k.server)
	}
	k.handler.Store(h)
	k.start.Do(func() {
		for _, r := range k.receivers {
			r.loop.Post(r.listen)
		}
	})
}

// Dropped adds up what the loops have dropped.
func (k *UDPSocket) Dropped() Dropped {
	var sum Dropped
	for _, r := range k.receivers {
		sum.NoServer += r.dropped.noServer.Load()
		sum.Sessions += r.dropped.sessions.Load()
		sum.Bandwidth += r.dropped.bandwidth.Load()
		sum.BytesIn += r.dropped.bytesIn.Load()
		sum.BytesOut += r.dropped.bytesOut.Load()
		sum.TooLong += r.dropped.tooLong.Load()
		sum.Overflow += r.dropped.overflow.Load()
	}
	return sum
}

// Close ends all sessions and gives the endpoint back. Drain before it to cut
// nobody off.
func (k *UDPSocket) Close() error {
	k.closing.Do(func() {
		k.each((*receiver).close)
		k.server.mu.Lock()
		delete(k.server.udpSockets, k)
		k.server.mu.Unlock()
	})
	return nil
}

// each calls f for every receiver on its loop, and returns when all have been.
func (k *UDPSocket) each(f func(*receiver)) {
	onLoops(k.receivers, func(r *receiver) *netloop.Loop { return r.loop }, f)
}
