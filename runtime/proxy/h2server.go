//go:build linux

package proxy

import (
	"slices"
	"time"

	"slbctl/runtime/http2"
	"slbctl/runtime/netloop"
)

// h2Server is a connection to a server that speaks HTTP/2 in the clear (h2c, with prior
// knowledge: RFC 9113, 3.3), as servers of gRPC do. The requests of a loop to that server
// share it; each of its streams is a serverConn.
type h2Server struct {
	h2Link
	home    *idleList
	waiting []*serverConn // until it is connected
	stands  bool          // it is
	retired bool          // no more requests: it ends with those that it has
	since   int64         // when it was last used
	timer   netloop.Timer
}

// shared returns a connection of the list with room for another request, nil if there
// is none.
func (l *idleList) shared() *h2Server {
	for _, h := range l.servers {
		if !h.retired && h.conn.CanOpen() {
			return h
		}
	}
	return nil
}

// share makes a connection under way one that requests share. It has a time to get
// established.
func (l *idleList) share(fd int, patience time.Duration) (*h2Server, error) {
	w := l.worker
	h := &h2Server{home: l, since: w.loop.Now()}
	h.h2Link = h2Link{owner: h, worker: w, fd: fd, conn: http2.NewClient(w.h2, w.loop.Now())}
	h.timer.Init(h)
	l.servers = append(l.servers, h)
	w.loop.Arm(&h.timer, patience)
	return h, w.loop.AddAhead(fd, h)
}

// open gives a client a stream.
func (h *h2Server) open(c *httpConn) *serverConn {
	s := &serverConn{worker: h.worker, home: h.home, client: c, fd: -1, connected: h.stands, reused: h.stands, h2: h, since: h.worker.loop.Now()}
	s.stream = h.conn.Open()
	s.stream.User = s
	if !h.stands {
		h.waiting = append(h.waiting, s)
	}
	return s
}

// Ready moves what the event allows to move.
func (h *h2Server) Ready(ev netloop.Events) {
	h.note(ev)
	switch {
	case h.fd < 0:
	case h.stands:
		h.move()
	case ev&(netloop.Err|netloop.Hup) != 0:
		h.broken()
	case ev&netloop.Out != 0:
		h.connected()
	}
}

// connected lets those ask who have waited for it.
func (h *h2Server) connected() {
	h.stands = true
	h.worker.loop.Arm(&h.timer, keepalive)
	waiting := h.waiting
	h.waiting = nil
	h.serving = true
	for _, s := range waiting {
		if s.client == nil {
			continue // it has been given up meanwhile
		}
		if netloop.SelfConnected(h.fd, &s.client.pool.servers[s.client.index].addr) {
			h.waiting = waiting
			h.broken()
			return
		}
		s.connected = true
		s.client.sendRequest(s.client.kept)
	}
	h.move()
}

func (h *h2Server) serve(s *http2.Stream) { s.User.(*serverConn).Ready(netloop.In | netloop.Out) }

func (h *h2Server) moved() { h.since = h.worker.loop.Now() }

// spoken ends the connection if it is done.
func (h *h2Server) spoken() {
	if h.failed || h.retired && h.conn.Streams() == 0 {
		h.broken()
	}
}

// Expired retires a connection that nobody has used for a while, or ends one that does
// not get established.
func (h *h2Server) Expired() {
	now := h.worker.loop.Now()
	if !h.stands {
		h.broken()
		return
	}
	if h.conn.Streams() == 0 && now-h.since >= int64(keepalive) {
		h.retire()
		return
	}
	left := max(int64(keepalive)-(now-h.since), int64(time.Second))
	h.worker.loop.Arm(&h.timer, time.Duration(left))
}

// retire gives the connection no more requests, and ends it after those that it has.
func (h *h2Server) retire() {
	h.retired = true
	h.conn.GoAway(false)
	h.again()
}

// broken closes the connection. Requests that it has not answered go elsewhere, if they
// may.
func (h *h2Server) broken() {
	h.home.servers = slices.DeleteFunc(h.home.servers, func(other *h2Server) bool { return other == h })
	h.worker.loop.Stop(&h.timer)
	waiting := h.waiting
	h.waiting = nil
	h.serving = true
	for _, s := range waiting {
		if c := s.client; c != nil {
			c.connectFailed()
		}
	}
	h.shut()
}
