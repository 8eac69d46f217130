//go:build linux

package proxy

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/http1"
	"slbctl/runtime/http2"
	"slbctl/runtime/netloop"
)

const (
	keepalive = 60 * time.Second // that a connection to a server waits for its next request

	// keptUpstreams is how many a loop lets wait at one endpoint. That is as many requests
	// as it may have sent there at once without having to connect again for the next ones.
	keptUpstreams = 1024
)

// upstreamLimit is how many may wait on a loop in all: a quarter of the descriptors,
// shared evenly by the loops, since they may be of no use to anybody any more.
func upstreamLimit(loop *netloop.Loop, loops int) int { return max(1, loop.Descriptors()/4/loops) }

// upstream is the connections to one endpoint that wait for a request. Each loop
// has its own, so that taking one needs no lock.
type upstream struct{ lists []idleList }

// idleList is what one loop has of an upstream, newest first: the one that was
// used last is the least likely to have been given up by the server.
type idleList struct {
	worker         *worker
	newest, oldest *serverConn
	size           int           // from newest to oldest
	servers        []*h2Server   // connections that requests share, of a server that speaks h2c
	timer          netloop.Timer // armed while the list is not empty

	_ [128 - 7*8 - 40]byte // loops stay out of each other's cache lines
}

// upstreamOf finds or makes the upstream of an endpoint. The caller holds s.mu.
func (s *Server) upstreamOf(ep netip.AddrPort) *upstream {
	u := s.upstreams[ep]
	if u == nil {
		u = &upstream{lists: make([]idleList, len(s.workers))}
		for i := range u.lists {
			l := &u.lists[i]
			l.worker = s.workers[i]
			l.timer.Init(l)
			l.worker.loop.Post(func() { l.worker.idleLists = append(l.worker.idleLists, l) })
		}
		s.upstreams[ep] = u
	}
	return u
}

// closeIdle closes the connections that wait at an endpoint: whoever is there goes. A
// listener that still has it connects anew.
func (s *Server) closeIdle(ep netip.AddrPort) {
	s.mu.Lock()
	u := s.upstreams[ep]
	s.mu.Unlock()
	if u == nil {
		return
	}
	for i := range u.lists {
		l := &u.lists[i]
		l.worker.loop.Post(func() {
			l.closeBefore(l.worker.loop.Now())
			for _, h := range l.servers {
				h.retire()
			}
		})
	}
}

// push lets a connection wait. When as many wait as may, the one that has waited longest
// goes, and where none waits at this endpoint the new one.
func (l *idleList) push(s *serverConn) {
	w := l.worker
	if l.size >= keptUpstreams || w.idleUpstreams >= w.upstreamLimit {
		w.spared.Add(1)
		if l.oldest == nil {
			s.close()
			return
		}
		l.oldest.close()
	}
	l.size++
	w.idleUpstreams++
	s.idle, s.since = true, l.worker.loop.Now()
	s.next = l.newest
	if s.next != nil {
		s.next.prev = s
	} else {
		l.oldest = s
		l.worker.loop.Arm(&l.timer, keepalive)
	}
	l.newest = s
}

func (l *idleList) pop() *serverConn {
	s := l.newest
	if s != nil {
		l.remove(s)
	}
	return s
}

func (l *idleList) remove(s *serverConn) {
	l.size--
	l.worker.idleUpstreams--
	s.idle = false
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.newest = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.oldest = s.prev
	}
	s.next, s.prev = nil, nil
}

// Expired closes what has waited too long.
func (l *idleList) Expired() {
	now := l.worker.loop.Now()
	l.closeBefore(now - int64(keepalive))
	if l.oldest != nil {
		l.worker.loop.Arm(&l.timer, time.Duration(l.oldest.since+int64(keepalive)-now))
	}
}

func (l *idleList) closeBefore(t int64) {
	for l.oldest != nil && l.oldest.since <= t {
		l.oldest.close()
	}
}

// serverConn is a connection to a server: a client's for one request, then idle.
type serverConn struct {
	next, prev *serverConn // in the idle list
	worker     *worker
	home       *idleList
	client     *httpConn // nil = idle, or
	orphan     *orphan   // the request under way has no client any more
	fd         int
	h2         *h2Server // whose stream it is; nil = it has a socket of its own
	stream     *http2.Stream
	since      int64           // when it became idle, or was picked for the request under way
	in         []byte          // the unfinished head of an answer
	out        *netloop.Buffer // what the server did not take
	body       http1.Body      // of the answer

	status    uint16 // of the answer to the request under way; 0 = none as yet
	counts    bool   // the request under way is counted, but not how it ends
	idle      bool   // in the list
	connected bool
	reused    bool // has answered a request before
	answered  bool // the answer's head has been passed on
	touched   bool // something of the answer has come
	ends      bool // not to be used again
	deaf      bool // it reads no more of the request
	early     bool // in has more than an unfinished head
	readable  bool
	partial   bool // a short read does not mean that nothing is left
	queued    bool // a turn was asked for
}

// Ready moves what the event allows to move.
func (s *serverConn) Ready(ev netloop.Events) {
	if ev == 0 {
		s.queued = false
	}
	if ev&(netloop.In|netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		s.readable = true
	}
	if ev&(netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		s.partial = true
	}
	switch {
	case s.fd < 0 && s.stream == nil:
	case s.idle:
		if s.readable {
			s.close() // it has ended, or says something that nobody asked for
		}
	case s.orphan != nil:
		s.orphan.receive()
	case !s.connected:
		s.dialed(ev)
	default:
		if ev&netloop.Out != 0 && s.out != nil && !s.flush() {
			return
		}
		s.receive()
	}
}

// dialed handles an event while the connection is being made.
func (s *serverConn) dialed(ev netloop.Events) {
	c := s.client
	switch {
	case ev&(netloop.Err|netloop.Hup) != 0:
		c.connectFailed()
	case ev&netloop.Out == 0:
	case netloop.SelfConnected(s.fd, &c.pool.servers[c.index].addr):
		c.connectFailed()
	default:
		s.connected = true
		c.sendRequest(c.kept)
	}
}

// recv reads what the server has sent, and notes when nothing of it is left.
func (s *serverConn) recv(b []byte) (n int, errno unix.Errno) {
	if s.stream != nil {
		n, s.readable, errno = readStream(s.stream, &s.h2.h2Link, b)
		return n, errno
	}
	if n, errno = netloop.Recv(s.fd, b); errno == again || n > 0 && n < len(b) && !s.partial {
		s.readable = false
	}
	return n, errno
}

// push is [netloop.Send] to the server.
func (s *serverConn) push(b []byte) (int, unix.Errno) {
	if s.stream != nil {
		return writeStream(s.stream, &s.h2.h2Link, b)
	}
	return netloop.Send(s.fd, b)
}

// send writes to the server and keeps what it does not take. It reports false when
// the connection has broken.
func (s *serverConn) send(b []byte) bool {
	n, errno := s.push(b)
	if errno == again {
		n = 0
	} else if errno != 0 {
		return false
	}
	if n < len(b) {
		s.out = s.worker.loop.Keep(b[n:])
	}
	return true
}

// flush writes what waits for the server, and then goes on reading for it. It
// reports whether the exchange still stands.
func (s *serverConn) flush() bool {
	c := s.client
	for s.out != nil {
		n, errno := s.push(s.out.Bytes())
		if errno == again {
			return true
		} else if errno != 0 {
			// The server may have answered before it stopped reading.
			s.deaf, s.ends = true, true
			s.worker.loop.Release(s.out)
			s.out = nil
			break
		}
		if s.out.Advance(n); len(s.out.Bytes()) == 0 {
			s.worker.loop.Release(s.out)
			s.out = nil
		}
		c.progress()
	}
	c.receiveBody()
	return s.client == c && c.server == s
}

// conclude counts the request under way, which has ended or is given up.
func (s *serverConn) conclude(l *lane) {
	if s.counts {
		s.counts = false
		l.count(s.status, s.worker.loop.Now()-s.since)
	}
}

// close ends the connection. Whose it was has to see to itself.
func (s *serverConn) close() {
	if s.idle {
		s.home.remove(s)
	}
	s.client = nil
	if s.out != nil {
		s.worker.loop.Release(s.out)
		s.out = nil
	}
	if s.stream != nil {
		closeStream(s.stream, &s.h2.h2Link)
		s.stream = nil
		return
	}
	s.worker.loop.Close(s.fd)
	s.fd = -1
}
