//go:build linux

package proxy

import (
	"errors"
	"net/http"
	"slices"

	"slbctl/runtime/balance"
	"slbctl/runtime/http1"
)

// receive reads requests until one is under way, nothing is left to read, or the
// turn is over.
func (c *httpConn) receive() {
	for turn := 0; c.stage == idle || c.stage == reading; turn++ {
		if turn == requestsPerTurn {
			c.again()
			return
		}
		buf, at, old := c.fill()
		if buf == nil {
			return
		}
		var n int
		var err error
		if http1.Grown(buf[at:], old) {
			n, err = c.worker.http.request.Parse(buf[at:])
		}
		switch {
		case err != nil:
			c.refuseUnread(statusOf(err))
		case n > 0:
			c.start(buf, at, n)
		default:
			c.unfinished(buf[at:])
		}
	}
}

// unfinished sets aside a head that is not all here. The client has the time of a
// request for the rest, counted from the first byte, however it dribbles.
func (c *httpConn) unfinished(b []byte) {
	c.keep(b)
	if c.stage == idle {
		c.stage, c.began = reading, c.worker.loop.Now()
		c.wait(c.handler.listener.RequestTimeout)
	}
}

// fill returns a buffer that has the next requests from at on, of which the first
// old bytes have been looked at; nil if nothing new has come. What is before at
// may be overwritten. The buffer is the scratch buffer, or in itself when that
// came behind an earlier request.
func (c *httpConn) fill() (buf []byte, at, old int) {
	if c.early {
		buf, c.in, c.early = c.in, nil, false
		return buf, 0, 0
	}
	if !c.readable {
		return nil, 0, 0
	}
	scratch := c.worker.loop.Scratch()
	old = copy(scratch[headroom:], c.in)
	end := headroom + old
	n, errno := c.recv(scratch[end:])
	switch {
	case errno == again:
		return nil, 0, 0
	case errno != 0 || n == 0: // the client has gone, or will ask nothing more
		c.close()
		return nil, 0, 0
	}
	return scratch[:end+n], headroom, old
}

// keep sets b aside for the next read.
func (c *httpConn) keep(b []byte) { c.in = append(c.in[:0], b...) }

// start takes the request whose head is the n bytes of buf from at on.
func (c *httpConn) start(buf []byte, at, n int) {
	w := c.worker
	r := &w.http.request
	now := w.loop.Now()
	if c.stage == idle {
		c.began = now
	}
	c.stage, c.status = connecting, 0
	c.adopt()
	h := c.handler
	c.begin()
	c.minor, c.head, c.upgrade, c.last = uint8(r.Minor), r.Head, r.Upgrade != nil, r.Close
	c.ends = c.ends || r.Close || c.leaves()
	c.idempotent, c.lost = isIdempotent(r.Method), false
	c.body.OfRequest(r)
	used, done, err := c.body.Feed(buf[at+n:])
	body, end := at+n, at+n+used
	c.sent = done
	if c.gzips = h.listener.Gzip && r.Minor > 0 && !r.Head; c.gzips {
		accept, _ := r.Header("accept-encoding")
		c.gzips = acceptsGzip(accept)
	}
	if h.http.log != nil {
		if c.log = c.newLogEntry(r, n+used); done {
			c.log.read = now
		}
	}
	c.in = nil
	if err != nil {
		c.refuseBad(err)
		return
	}
	if end < len(buf) {
		c.early = true
		if at == 0 {
			c.in = buf[end:]
		} else {
			c.keep(buf[end:])
		}
	}
	if !h.quota.MayAsk(h.share, now) {
		c.refuse(http.StatusServiceUnavailable)
		return
	}
	if c.route(r) {
		c.forward(buf, body, end)
	}
}

// begin counts a request.
func (c *httpConn) begin() {
	c.front.requests.Add(1)
	c.counts = true
	if c.h2 == nil {
		c.front.Busy++
	}
}

// adopt takes the Handler of now for the request that begins. The socket may have
// been given to another listener: one of the same protocol goes on with the client;
// another cannot, so the connection ends with what it has.
func (c *httpConn) adopt() {
	h := c.socket.handler.Load()
	if h == nil || h.http == nil || (h.http.tls != nil) != (c.session() != nil) {
		c.ends = true
		return
	}
	c.handler = h
	if front := h.front.lane(c.worker.loop.Index()); front != c.front && c.stream == nil {
		c.front.open.Add(-1)
		front.open.Add(1)
		c.front = front
		c.stay()
	}
}

// leaves reports whether the listener goes, so that its answers end connections.
func (c *httpConn) leaves() bool { return c.going != nil || c.handler.http.closing.Load() }

// isIdempotent reports whether a request may be sent twice (RFC 9110, 9.2.2).
func isIdempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}

// route finds the pool for a request. It reports false when it has answered it.
func (c *httpConn) route(r *http1.Request) bool {
	w, l := c.worker, c.handler.listener
	w.http.path = slices.Grow(w.http.path[:0], len(r.Target)) // never longer than the target
	route, ok := l.RouteRequest(w.http.path, r.Host, r.Target)
	switch {
	case !ok:
		c.refuse(http.StatusBadRequest)
		return false
	case route.Redirect != nil:
		c.redirect(r, route.Redirect)
		return false
	case route.NotFound:
		c.refuse(http.StatusNotFound)
		return false
	}
	c.pool = c.handler.pools[route.Pool]
	c.sticky = balance.NoBackend
	if sticky := &c.pool.spec.Sticky; sticky.Mode != balance.StickyOff {
		if value, ok := r.Cookie(sticky.Cookie); ok {
			c.sticky = int32(c.pool.spec.StickyBackend(value))
		}
	}
	return true
}

// receiveBody passes the rest of the request on, until the server is full.
func (c *httpConn) receiveBody() {
	for turn := 0; c.readable && !c.sent && c.server != nil && c.server.out == nil && c.held == 0; turn++ {
		if turn == readsPerTurn {
			c.again()
			return
		}
		scratch := c.worker.loop.Scratch()
		n, errno := c.recv(scratch)
		switch {
		case errno == again:
			return
		case errno != 0 || n == 0:
			c.gone() // in the middle of a request
			return
		}
		c.passBody(scratch[:n])
	}
}

// passBody sends what of b belongs to the request and keeps the rest for the next.
func (c *httpConn) passBody(b []byte) {
	used, done, err := c.body.Feed(b)
	if err != nil {
		// The server must not take what has come for a whole request.
		c.refuseBad(err)
		return
	}
	if used < len(b) {
		c.keep(b[used:])
		c.early = true
	}
	c.sent = done
	c.progress()
	c.passedIn(used)
	if c.log != nil {
		if c.log.length += int64(used); done {
			c.log.read = c.worker.loop.Now()
		}
	}
	if s := c.server; !s.deaf && !s.send(b[:used]) {
		s.deaf, s.ends = true, true // it may have answered before it stopped reading
	}
}

// refuseUnread answers a request whose head cannot be understood, or is not all here
// in time.
func (c *httpConn) refuseUnread(status int) {
	w := c.worker
	if c.stage == idle {
		c.began = w.loop.Now()
	}
	c.stage = connecting
	c.adopt()
	c.begin()
	if c.handler.http.log != nil {
		c.log = c.newLogEntry(&w.http.unread, len(c.in))
	}
	c.in, c.early = nil, false
	c.minor, c.head = 1, false
	c.ends, c.sent = true, false
	c.refuse(status)
}

// refuseBad answers a request whose body is malformed.
func (c *httpConn) refuseBad(err error) {
	c.ends, c.sent = true, false
	c.refuse(statusOf(err))
}

// statusOf is what a client is told of an error that it has made.
func statusOf(err error) int {
	if bad := (*http1.Error)(nil); errors.As(err, &bad) {
		return bad.Status
	}
	return http.StatusBadRequest
}
