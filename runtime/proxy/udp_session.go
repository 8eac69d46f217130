//go:build linux

package proxy

import (
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/runtime/netloop"
	"slbctl/runtime/proxyproto"
)

// session is what one client has with one server. Its record is used again after
// its end; everything therefore goes by fd.
type session struct {
	next, prev *session // all of the receiver
	older      *session // of the same client
	receiver   *receiver
	client     client
	handler    *Handler // whose pick it is
	admitted   *Handler // whose quota it is counted in
	front      *lane
	assignment
	// tried are the servers that were not there; a session without a server
	// remembers them until one answers, so that they are not asked again and again.
	tried balance.Tried
	id    uint64 // QUIC connection id that was routed last; see connectionIDs

	fd       int  // connected to the server; -1 = none
	announce bool // the PROXY protocol's header has still to be sent
	timer    netloop.Timer
	activity int64 // when a datagram last moved; times are the loop's nanoseconds
}

// forward sends a datagram of the client to the server, or to another one while
// that is not there. The first datagram that a server gets carries the header of the
// PROXY protocol in front of its payload.
func (s *session) forward(p []byte) {
	r := s.receiver
	s.activity = r.loop.Now()
	if !s.affords(false, len(p)) {
		return
	}
	for s.fd >= 0 || s.connect(p) {
		errno := unix.EMSGSIZE
		if out, ok := s.announced(p); ok {
			_, errno = netloop.Send(s.fd, out)
		}
		switch errno {
		case 0:
			s.announce = false
			s.lane.in.Add(int64(len(p)))
			s.lane.PacketsIn++
			return
		case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
			r.dropped.overflow.Add(1)
			return
		case unix.EMSGSIZE:
			r.dropped.tooLong.Add(1)
			return
		}
		s.failed()
	}
	if len(s.tried) == 0 {
		s.close()
	}
}

// announced returns the datagram as the server is to get it; not ok if that is
// longer than any datagram.
func (s *session) announced(p []byte) (out []byte, ok bool) {
	if !s.announce {
		return p, true
	}
	scratch := s.receiver.loop.Scratch()
	c := s.receiver.ends(s.client, nil)
	out = proxyproto.AppendDatagram(scratch[:0], c.Source, c.Destination)
	if len(out)+len(p) > len(scratch) {
		return nil, false
	}
	return append(out, p...), true
}

// Ready passes on what the server has sent.
func (s *session) Ready(ev netloop.Events) {
	for range batchesPerTurn {
		if s.fd < 0 {
			return
		}
		r := s.receiver
		n, errno := r.batch.Recv(s.fd)
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 {
			s.failed() // ICMP says that nobody is there
			return
		}
		s.answer(n)
		if n < netloop.BatchSize && ev&netloop.Err == 0 {
			return
		}
	}
	s.receiver.loop.Again(s)
}

// answer sends the n datagrams received last to the client.
func (s *session) answer(n int) {
	r := s.receiver
	s.activity, s.tried = r.loop.Now(), s.tried[:0]
	bytes := 0
	for i := range n {
		bytes += len(r.batch.Datagram(i))
	}
	s.lane.out.Add(int64(bytes))
	s.lane.PacketsOut += int64(n)
	s.learn(n)
	for i := 0; i < n; i++ {
		to := i
		for to < n && s.affords(true, len(r.batch.Datagram(to))) {
			to++
		}
		s.send(i, to)
		i = to
	}
}

// send sends the datagrams at some places of the batch to the client.
func (s *session) send(i, to int) {
	r := s.receiver
	for i < to {
		sent, errno := r.batch.Send(r.fd, i, to, &s.client.peer, s.client.local)
		i += sent
		switch errno {
		case 0:
		case unix.EMSGSIZE:
			r.dropped.tooLong.Add(1)
			i++
		default:
			r.dropped.overflow.Add(int64(to - i))
			return
		}
	}
}

// armIdle arms the timer for what comes first: idleness or the end of the drain.
// Datagrams only note the time; the timer is moved when it fires.
func (s *session) armIdle() {
	now := s.receiver.loop.Now()
	left := s.patience() - s.idleFor(now)
	if s.drain != nil {
		left = min(left, time.Duration(s.deadline-now))
	}
	s.receiver.loop.Arm(&s.timer, left)
}

// leftPatience is how long a session is idle at most whose client sends to another process:
// nothing can come but answers to what it sent before.
const leftPatience = 30 * time.Second

// patience is how long the session may be idle.
func (s *session) patience() time.Duration {
	if s.receiver.left {
		return min(s.handler.listener.EstablishedTimeout, leftPatience)
	}
	return s.handler.listener.EstablishedTimeout
}

func (s *session) idleFor(now int64) time.Duration { return time.Duration(now - s.activity) }

// Expired handles the one timer of the session.
func (s *session) Expired() {
	now := s.receiver.loop.Now()
	switch {
	case s.drained(now):
		s.lane.cut.Add(1)
		s.close()
	case s.idleFor(now) >= s.patience():
		if s.lane != nil {
			s.lane.timedOut.Add(1)
		}
		s.close()
	default:
		s.armIdle()
	}
}

// close ends the session and gives the record back.
func (s *session) close() {
	r := s.receiver
	r.loop.Stop(&s.timer)
	s.hangUp()
	s.admitted.dismiss()
	s.front.open.Add(-1)
	s.prev.next, s.next.prev = s.next, s.prev
	r.open--
	r.forget(s)
	*s = session{fd: -1, tried: s.tried[:0], timer: s.timer}
	if r.kept < keptSessions {
		s.next, r.free = r.free, s
		r.kept++
	}
}

// forget takes a session from those of its client.
func (r *receiver) forget(s *session) {
	newest := r.clients[s.client]
	switch {
	case newest != s:
		for newest.older != s {
			newest = newest.older
		}
		newest.older = s.older
	case s.older != nil:
		r.clients[s.client] = s.older
	default:
		delete(r.clients, s.client)
	}
}
