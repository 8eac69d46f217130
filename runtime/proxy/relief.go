//go:build linux

package proxy

import (
	"time"

	"slbctl/runtime/netloop"
)

const (
	reliefBatch = 64                     // connections that are given up at once, at most
	reliefLook  = 16 << 10               // clients that are looked at for the slowest of them
	reliefAge   = 100 * time.Millisecond // a client that waits no longer may be about to ask
)

// relieve frees descriptors, so that new clients can come in: connections to servers
// that wait for a request, then requests whose clients have gone, and where there are none,
// the clients that have kept the balancer waiting longest. It reports whether any came free.
func (w *worker) relieve() bool {
	return w.closeUpstreams() > 0 || w.endOrphans() > 0 || w.shed() > 0
}

// relieveOthers makes the other loops do so, when this one has nothing to give.
func (w *worker) relieveOthers() {
	for _, other := range w.server.workers {
		if other != w {
			other.loop.Post(func() { other.relieve() })
		}
	}
}

// nextTry is when a client that has waited so long, in nanoseconds, for a descriptor to connect
// to a server with tries again: ever more seldom, since where many wait each try costs a look at all of them.
func nextTry(waited int64) time.Duration {
	return min(max(time.Duration(waited), minBackoff), maxBackoff)
}

// closeUpstreams closes connections to servers that wait, those of each that have waited
// longest.
func (w *worker) closeUpstreams() (closed int) {
	for _, l := range w.idleLists {
		for l.oldest != nil && closed < reliefBatch {
			l.oldest.close()
			closed++
		}
	}
	w.spared.Add(int64(closed))
	return closed
}

// endOrphans gives up on requests whose clients have gone, the oldest first.
func (w *worker) endOrphans() (ended int) {
	for ; w.orphans.size > 0 && ended < reliefBatch; ended++ {
		o := w.orphans.next
		o.lane.cut.Add(1)
		o.end(false)
	}
	return ended
}

// waiter is a client that lets the balancer wait.
type waiter struct {
	*httpConn         // nil = it speaks HTTP/2
	h2        *h2Conn // and asks nothing
	since     int64
}

// shed lets go of clients of HTTP that neither ask nor are answered, those first that
// have been so longest: a sixteenth of the clients that were looked at. Requests keep no
// order for this; shed, which is called seldom, goes through the clients instead, through
// others each time where a loop has very many.
func (w *worker) shed() (shed int) {
	var slowest [reliefBatch]waiter
	n, looked := 0, 0
	latest := w.loop.Now() - int64(reliefAge)
	note := func(c waiter) {
		if c.since > latest || n == len(slowest) && c.since >= slowest[n-1].since {
			return
		}
		n = min(n+1, len(slowest))
		at := n - 1
		for ; at > 0 && slowest[at-1].since > c.since; at-- {
			slowest[at] = slowest[at-1]
		}
		slowest[at] = c
	}
	c := w.https.next
	for ; c != &w.https && looked < reliefLook; c = c.next {
		looked++
		if since, waits := c.waitingSince(); waits {
			note(waiter{c, nil, since})
		}
	}
	w.https.moveBefore(c)
	for h := w.h2s.next; h != &w.h2s && looked < 2*reliefLook; h = h.next {
		looked++
		if since, waits := h.waitingSince(); waits {
			note(waiter{nil, h, since})
		}
	}
	for _, c := range slowest[:min(n, 1+looked/16)] {
		if c.letGo() {
			shed++
		}
	}
	return shed
}

// letGo ends the client's connection, unless its request has come just now.
func (c waiter) letGo() bool {
	switch {
	case c.h2 != nil && netloop.Quiet(c.h2.fd):
		c.h2.front.shed.Add(1)
		if !c.h2.lingers {
			c.h2.bye()
			c.h2.move()
		}
		if c.h2.fd >= 0 { // it would linger
			c.h2.broken()
		}
	case c.h2 == nil && netloop.Quiet(c.fd):
		c.front.shed.Add(1)
		c.sayGoodbye()
		c.close()
	default:
		return false
	}
	return true
}

// waitingSince tells since when the client lets the balancer wait for its handshake, a
// request, the rest of its head, or the end of the connection.
func (c *httpConn) waitingSince() (since int64, waits bool) {
	switch {
	case c.readable || c.early || c.stream != nil:
		return 0, false // there is more to look at, or nothing that would come free
	case c.stage == shaking:
		return c.due - int64(handshakeTime), c.tls != nil
	case c.stage == idle:
		return c.due - int64(c.handler.listener.IdleTimeout), true
	case c.stage == reading:
		return c.began, true
	case c.stage == lingering:
		return c.due - int64(lingerTime), true
	}
	return 0, false
}

// waitingSince tells since when the client asks nothing, or has been told that it may not
// any more.
func (h *h2Conn) waitingSince() (since int64, waits bool) {
	if h.lingers {
		return h.due - int64(lingerTime), true
	}
	return h.due - int64(h2IdleTime), !h.readable && h.out == nil && h.conn.Streams() == 0
}

// moveBefore makes a sentinel stand before another place of its list, which then begins
// there.
func (c *httpConn) moveBefore(next *httpConn) {
	if c == next {
		return
	}
	c.prev.next, c.next.prev = c.next, c.prev
	c.prev, c.next = next.prev, next
	c.prev.next, c.next.prev = c, c
}
