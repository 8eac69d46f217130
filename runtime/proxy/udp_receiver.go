//go:build linux

package proxy

import (
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/runtime/netloop"
	"slbctl/spec"
)

const (
	batchesPerTurn = 4    // full batches before the others of the loop have a turn
	keptSessions   = 4096 // free records a loop keeps, about 1 MiB
	listenRetry    = 100 * time.Millisecond
)

// client is what a session belongs to: who sends, and to which of the machine's
// addresses where the listener has several.
type client struct {
	peer  netloop.Sockaddr
	local netloop.Local
}

// receiver is one loop's socket of a UDP listener.
type receiver struct {
	*udpLoop
	index   int // of the loop
	socket  *UDPSocket
	fd      int                 // -1 = closed
	clients map[client]*session // the newest; what else a client has hangs on it as older
	list    session             // sentinel of the list of all sessions
	retry   netloop.Timer
	resting bool // nobody is received from
	left    bool // for good: another process receives
	dropped struct {
		noServer, sessions, bandwidth, bytesIn, bytesOut, tooLong, overflow atomic.Int64
	}
}

func (r *receiver) listen() {
	if r.fd < 0 || r.resting {
		return
	}
	if r.batch == nil {
		r.batch = netloop.NewBatch()
	}
	r.receivers[r] = struct{}{}
	if r.loop.AddInput(r.fd, r) != nil {
		// Out of kernel memory: try again.
		r.loop.Arm(&r.retry, listenRetry)
	}
}

// Expired tries again to listen.
func (r *receiver) Expired() { r.listen() }

// Ready passes on what clients have sent.
func (r *receiver) Ready(netloop.Events) {
	for range batchesPerTurn {
		if r.fd < 0 || r.resting {
			return
		}
		n, errno := r.batch.RecvFrom(r.fd)
		if errno == unix.EAGAIN {
			return
		}
		for i := range n {
			r.datagram(client{*r.batch.Source(i), r.batch.Local(i)}, r.batch.Datagram(i))
		}
		if errno == 0 && n < netloop.BatchSize {
			return // the socket is empty: what comes next makes a new edge
		}
	}
	r.loop.Again(r)
}

// datagram passes one on, in its client's session or a new one.
func (r *receiver) datagram(from client, p []byte) {
	h, s := r.socket.handler.Load(), r.clients[from]
	if h != nil && h.listener.Scheduler == spec.SchedulerQCH {
		s = r.routeQUIC(h, s, from, p)
	} else if s == nil {
		s = r.begin(h, from)
	}
	if s != nil {
		s.forward(p)
	}
}

// begin makes a session, without a server as yet, or drops the datagram.
func (r *receiver) begin(h *Handler, from client) *session {
	switch {
	case h == nil:
		r.dropped.noServer.Add(1)
		return nil
	case r.open >= r.limit:
		r.dropped.sessions.Add(1)
		return nil
	case !h.admit(r.loop, from.peer.AddrPort().Addr()):
		return nil
	}
	s := r.record()
	s.receiver, s.handler, s.admitted, s.client = r, h, h, from
	s.front = h.front.lane(r.index)
	s.front.requests.Add(1)
	s.front.open.Add(1)
	s.prev, s.next = r.list.prev, &r.list
	s.prev.next, s.next.prev = s, s
	s.older = r.clients[from]
	r.clients[from] = s
	r.open++
	s.activity = r.loop.Now()
	s.armIdle()
	return s
}

// ends are the two ends of a client's session as the client sees them.
func (r *receiver) ends(c client, quicID []byte) balance.Client {
	ends := balance.Client{Source: c.peer.AddrPort(), Destination: r.socket.endpoint, QUIC: quicID}
	if local := c.local.Addr(); local.IsValid() {
		ends.Destination = netip.AddrPortFrom(local, ends.Destination.Port())
	}
	return ends
}

// record returns a cleared record.
func (u *udpLoop) record() *session {
	s := u.free
	if s != nil {
		u.free, s.next = s.next, nil
		u.kept--
		return s
	}
	s = &session{fd: -1}
	s.timer.Init(s)
	return s
}

// rest stops receiving; answers still leave.
func (r *receiver) rest() {
	if r.resting = true; r.retry.Armed() {
		r.loop.Stop(&r.retry)
		return
	}
	r.loop.Remove(r.fd)
}

// leave has the sessions end soon.
func (r *receiver) leave() {
	r.left = true
	for s := r.list.next; s != &r.list; s = s.next {
		s.armIdle()
	}
}

func (r *receiver) wake() {
	r.resting = false
	r.listen()
}

func (r *receiver) close() {
	for r.list.next != &r.list {
		r.list.next.close()
	}
	delete(r.receivers, r)
	r.loop.Stop(&r.retry)
	r.loop.Close(r.fd)
	r.fd = -1
}
