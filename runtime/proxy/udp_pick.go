//go:build linux

package proxy

import (
	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

// Everything that a session asks of a Handler, once admitted, is in this file.

// affords reports whether n bytes from or to the client keep to the listener's
// bandwidth; it counts a datagram that does not.
func (s *session) affords(out bool, n int) bool {
	q := s.handler.share
	if q == nil {
		return true
	}
	dropped := &s.receiver.dropped
	rate, bytes := q.In, &dropped.bytesIn
	if out {
		rate, bytes = q.Out, &dropped.bytesOut
	}
	if rate.Allow(s.receiver.loop.Now(), int64(n)) {
		return true
	}
	dropped.bandwidth.Add(1)
	bytes.Add(int64(n))
	return false
}

// connect gets the session a server and a socket connected to it. p is the datagram
// that asks for it. Those that were tried in vain are asked again when no other is
// left, but not twice for one datagram.
func (s *session) connect(p []byte) bool {
	r := s.receiver
	for failures := 0; ; failures++ {
		h := r.socket.handler.Load()
		if h == nil {
			return s.refuse()
		}
		s.follow(h)
		table := h.pools[0].table.Load()
		if table == nil {
			return s.refuse()
		}
		ends := r.ends(s.client, quicID(h, p))
		i, ok := table.PickClient(h.pools[0].state, &ends, s.tried, r.loop.Now())
		if !ok && len(s.tried) > 0 && failures == 0 {
			s.tried = s.tried[:0]
			i, ok = table.PickClient(h.pools[0].state, &ends, s.tried, r.loop.Now())
		}
		if !ok {
			return s.refuse()
		}
		s.take(h.pools[0], i, r.index)
		if done, ok := s.dial(); done {
			return ok
		}
	}
}

// follow makes a session without a server one of this generation.
func (s *session) follow(h *Handler) {
	if h != s.handler {
		s.handler, s.tried = h, s.tried[:0]
	}
}

// dial connects to the server that is picked. It is done unless another server
// could do what this one could not.
func (s *session) dial() (done, ok bool) {
	loop := s.receiver.loop
	fd, errno := netloop.DialUDP(&s.pool.servers[s.index].addr)
	switch errno {
	case 0:
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EAGAIN:
		return true, s.overLimit() // not the server's fault
	default:
		s.failed()
		return false, false
	}
	s.fd = fd
	if loop.Scarce(fd) || loop.AddInput(fd, s) != nil {
		return true, s.overLimit()
	}
	if netloop.SelfConnected(fd, &s.pool.servers[s.index].addr) {
		s.failed()
		return false, false
	}
	s.announce = s.handler.listener.ProxyProtocol != 0
	s.lane.requests.Add(1)
	if s.id != 0 {
		s.receiver.socket.ids.learn(s.id, s.backend)
	}
	return true, true
}

// failed counts a server that is not there against it and gives it up.
func (s *session) failed() {
	s.lane.errors.Add(1)
	s.tried.Add(s.index)
	s.hangUp()
}

// hangUp gives up the server.
func (s *session) hangUp() {
	s.give()
	if s.fd >= 0 {
		s.receiver.loop.Close(s.fd)
		s.fd = -1
	}
}

// refuse drops a datagram for want of a server.
func (s *session) refuse() bool {
	s.tried = s.tried[:0]
	s.front.errors.Add(1)
	s.receiver.dropped.noServer.Add(1)
	return false
}

// overLimit drops a datagram for want of a descriptor or a port.
func (s *session) overLimit() bool {
	s.hangUp()
	s.receiver.dropped.sessions.Add(1)
	return false
}
