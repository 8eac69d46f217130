//go:build linux

package proxy

import (
	"net/http"

	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/runtime/http1"
	"slbctl/runtime/netloop"
)

// forward sends the request to a server: the head as the server gets it in front of
// what has come of the body, which is buf[body:end].
func (c *httpConn) forward(buf []byte, body, end int) {
	w, h := c.worker, c.handler
	w.http.client = c.source.Addr().AppendTo(w.http.client[:0])
	w.http.lines = h.http.appendLines(w.http.lines[:0], c.source.Port())
	out := http1.Forward{
		Client: w.http.client, Lines: w.http.lines,
		Close: !h.listener.UpstreamKeepalive && !c.upgrade,
	}
	if sticky := &c.pool.spec.Sticky; sticky.Mode == balance.StickyServer {
		if value, ok := w.http.request.Cookie(sticky.Cookie); ok {
			out.Cookie = sticky.Cookie
			_, out.CookieValue = balance.SplitServerCookie(value)
		}
	}
	w.http.head = w.http.request.AppendHead(w.http.head[:0], &out)
	c.tried = c.tried[:0]
	c.assign(w.joined(buf, body, end))
}

// joined returns the head on its way and buf[from:to] in one piece: in buf, if there
// is room before from.
func (w *worker) joined(buf []byte, from, to int) []byte {
	head := w.http.head
	if at := from - len(head); at >= 0 {
		copy(buf[at:], head)
		return buf[at:to]
	}
	w.http.head = append(head, buf[from:to]...)
	return w.http.head
}

// assign picks a server and gives it the request; when there is none, the client is
// told.
func (c *httpConn) assign(request []byte) {
	for {
		if !c.pick() {
			c.noServer()
			return
		}
		if c.log != nil {
			c.log.upstream, c.log.asked = c.endpoint(), c.worker.loop.Now()
		}
		up := &c.pool.servers[c.index].idle.lists[c.worker.loop.Index()]
		if c.speaksH2C() && c.join(up.shared(), request) {
			return
		}
		for s := up.pop(); s != nil; s = up.pop() {
			if !c.mayRepeat() && !netloop.Quiet(s.fd) {
				s.close() // it has ended unnoticed, and this request cannot be sent twice
				continue
			}
			s.client, c.server, s.reused = c, s, true
			s.touched, s.answered, s.since = false, false, c.worker.loop.Now()
			if c.mayRepeat() {
				c.retain(request)
			}
			c.sendRequest(request)
			return
		}
		c.retain(request)
		if c.dial() {
			return
		}
	}
}

// speaksH2C reports whether the server that was picked is asked in HTTP/2.
func (c *httpConn) speaksH2C() bool { return c.pool.spec.Backends[c.index].H2C }

// join gives the request to a connection that others use as well. It reports false if
// there is none.
func (c *httpConn) join(h *h2Server, request []byte) bool {
	if h == nil {
		return false
	}
	c.server = h.open(c)
	if !h.stands {
		c.retain(request)
		c.stage = connecting
		c.wait(c.handler.listener.ConnectTimeout)
		return true
	}
	if c.mayRepeat() {
		c.retain(request)
	}
	c.sendRequest(request)
	return true
}

// pick chooses a server; it reports false when none is left.
func (c *httpConn) pick() bool {
	c.follow()
	table := c.pool.table.Load()
	if table == nil || len(c.tried) >= c.handler.listener.Tries(table) {
		return false
	}
	client := balance.Client{Source: c.source, Destination: c.socket.endpoint}
	i, kept, ok := table.PickRequest(c.pool.state, &client, int(c.sticky), c.tried)
	if !ok {
		return false
	}
	c.known = kept
	c.take(c.pool, i, c.worker.loop.Index())
	return true
}

// follow takes the pool of now for another attempt: its table knows who is well.
func (c *httpConn) follow() {
	h := c.socket.handler.Load()
	if len(c.tried) == 0 || h == c.handler || h == nil || h.http == nil {
		return
	}
	for _, p := range h.pools {
		if p.spec.Owner == c.pool.spec.Owner {
			c.handler, c.pool, c.tried, c.sticky = h, p, c.tried[:0], balance.NoBackend
			return
		}
	}
}

// retain keeps a copy of the request, for a server that is not connected yet or
// that may turn out to have closed the connection.
func (c *httpConn) retain(request []byte) {
	if len(c.kept) == 0 {
		c.kept = c.worker.copyOf(request)
	}
}

// mayRepeat reports whether the request could be sent again as a whole.
func (c *httpConn) mayRepeat() bool { return c.idempotent && c.sent }

// dial begins to connect to the server that was picked. It reports false when that
// failed at once, and another is to be tried.
func (c *httpConn) dial() bool {
	loop := c.worker.loop
	fd, errno := loop.Dial(&c.pool.servers[c.index].addr)
	switch errno {
	case 0:
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
		// Not the server's fault: try again when descriptors have come free.
		c.give()
		c.stage = connecting
		if loop.Now()-c.began >= int64(c.handler.listener.ConnectTimeout) {
			c.noServer()
			return true
		}
		c.worker.relieve()
		c.wait(nextTry(loop.Now() - c.began))
		return true
	default:
		c.lane.errors.Add(1)
		c.tried.Add(c.index)
		c.give()
		if !c.handler.listener.Retry.Connect {
			c.noServer()
			return true
		}
		return false
	}
	home := &c.pool.servers[c.index].idle.lists[loop.Index()]
	if c.speaksH2C() {
		h, err := home.share(fd, c.handler.listener.ConnectTimeout)
		c.join(h, c.kept)
		if err != nil {
			c.noServer()
			h.broken()
		}
		return true
	}
	s := &serverConn{worker: c.worker, client: c, fd: fd, home: home, since: loop.Now()}
	c.server, c.stage = s, connecting
	c.wait(c.handler.listener.ConnectTimeout)
	if loop.AddAhead(fd, s) != nil {
		c.noServer()
	}
	return true
}

// connectFailed counts a failed attempt against the server and tries another, unless
// the listener wants none.
func (c *httpConn) connectFailed() {
	c.lane.errors.Add(1)
	c.tried.Add(c.index)
	c.hangUp()
	if !c.handler.listener.Retry.Connect {
		c.noServer()
		return
	}
	c.assign(c.kept)
}

// hangUp gives up the server of the attempt under way, if there is one.
func (c *httpConn) hangUp() {
	if c.server != nil {
		c.server.conclude(c.lane)
		c.server.close()
		c.server = nil
	}
	c.give()
}

// sendRequest gives the connected server the request, as far as it has come.
func (c *httpConn) sendRequest(request []byte) {
	s := c.server
	c.stage = asking
	c.lane.requests.Add(1)
	s.counts, s.status = true, 0
	c.passedIn(len(request))
	c.wait(c.handler.listener.RequestTimeout)
	if !s.send(request) {
		c.serverLost()
		return
	}
	if !c.mayRepeat() {
		c.drop()
	}
	c.receiveBody()
}

// retries reports whether the listener wants requests that have been sent to be sent to
// another server, for an answer or its absence.
func retries(l *balance.Listener) bool { return l.Retry.Timeout || l.Retry.Status5x }

// drop gives the copy of the request back: it will not be sent again.
func (c *httpConn) drop() {
	c.worker.release(c.kept)
	c.kept = nil
}

// serverLost handles a server that went away before it answered.
func (c *httpConn) serverLost() {
	s := c.server
	if s.reused && !s.touched && len(c.kept) > 0 {
		// It had closed the connection while that was idle, and is not to blame: the
		// same server gets the request on a fresh one.
		s.close()
		c.server = nil
		c.lane.requests.Add(-1)
		if !c.dial() {
			c.assign(c.kept)
		}
		return
	}
	if (retries(c.handler.listener) || c.lostOnce()) && c.tryAnother() {
		return
	}
	c.lane.errors.Add(1)
	c.refuse(http.StatusBadGateway)
}

// lostOnce reports whether a server that went away without a word counts as one that
// could not be connected: its request, if idempotent, goes to another (RFC 9110 section
// 9.2.2). That is done once for a request, since it may be what the server dies of.
func (c *httpConn) lostOnce() bool {
	if c.server.touched || c.lost || !c.handler.listener.Retry.Connect {
		return false
	}
	c.lost = true
	return true
}

// tryAnother gives the request to another server, if that is allowed and there is one.
func (c *httpConn) tryAnother() bool {
	if len(c.kept) == 0 {
		return false
	}
	table := c.pool.table.Load()
	if table == nil || len(c.tried)+1 >= c.handler.listener.Tries(table) {
		return false
	}
	c.lane.errors.Add(1)
	c.tried.Add(c.index)
	c.hangUp()
	c.assign(c.kept)
	return true
}
