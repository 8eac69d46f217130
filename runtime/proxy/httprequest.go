//go:build linux

package proxy

import (
	"errors"
	"net/http"

	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/runtime/http1"
	"slbctl/runtime/netloop"
)

// receive reads requests until one is under way, nothing is left to read, or the
// turn is over.
func (c *httpConn) receive() {
	for turn := 0; c.stage == idle || c.stage == reading; turn++ {
		if turn == requestsPerTurn {
			c.again()
			return
		}
		old := len(c.in)
		if c.early {
			old = 0 // nobody has looked at it
		}
		b := c.fill()
		if b == nil {
			return
		}
		var n int
		var err error
		if http1.Grown(b, old) {
			n, err = c.worker.http.request.Parse(b)
		}
		switch {
		case err != nil:
			c.keep(nil)
			c.refuseBad(err)
			return
		case n > 0:
			c.start(b, n)
		default:
			c.unfinished(b)
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

// fill returns what there is of the next requests, in the scratch buffer behind the
// headroom; nil if nothing new has come.
func (c *httpConn) fill() []byte {
	scratch := c.worker.loop.Scratch()[headroom:]
	have := copy(scratch, c.in)
	if c.early {
		c.early = false
		return scratch[:have]
	}
	if !c.readable {
		return nil
	}
	n, errno := netloop.Recv(c.fd, scratch[have:])
	switch {
	case errno == again:
		c.readable = false
		return nil
	case errno != 0 || n == 0: // the client has gone, or will ask nothing more
		c.close()
		return nil
	case n < len(scratch)-have && !c.partial:
		c.readable = false
	}
	return scratch[:have+n]
}

// keep sets b aside for the next read.
func (c *httpConn) keep(b []byte) {
	if len(b) == 0 {
		c.in = nil
		return
	}
	c.in = append(c.in[:0], b...)
}

// start takes the request whose head is the first n bytes of b.
func (c *httpConn) start(b []byte, n int) {
	w := c.worker
	r := &w.http.request
	now := w.loop.Now()
	if c.stage == idle {
		c.began = now
	}
	c.in, c.stage = nil, connecting
	c.adopt()
	h := c.handler
	c.front.requests.Add(1)
	c.minor, c.head, c.upgrade = uint8(r.Minor), r.Head, r.Upgrade != nil
	c.ends = c.ends || r.Close || h.http.closing.Load()
	c.idempotent = isIdempotent(r.Method)
	c.body.OfRequest(r)
	used, done, err := c.body.Feed(b[n:])
	c.sent = done
	if c.gzips = h.listener.Gzip && r.Minor > 0 && !r.Head; c.gzips {
		accept, _ := r.Header("accept-encoding")
		c.gzips = acceptsGzip(accept)
	}
	if h.http.log != nil {
		c.log = c.newLogEntry(r, n+used)
	}
	if rest := b[n+used:]; err == nil && done && len(rest) > 0 {
		c.keep(rest)
		c.early = true
	}
	if err != nil {
		c.refuseBad(err)
		return
	}
	if !h.mayAsk(now) {
		c.refuse(http.StatusServiceUnavailable)
		return
	}
	if c.route(r); c.stage != connecting {
		return
	}
	c.forward(b, n, used)
}

// mayAsk counts a request against what the listener and its balancer may take on in
// a second.
func (h *Handler) mayAsk(now int64) bool {
	return h.quota == nil || h.quota.QPS.Allow(now, 1) && h.share.QPS.Allow(now, 1)
}

// adopt takes the Handler of now for the request that begins. A socket may have
// been given to a listener of another protocol: the connection then ends with what
// it has.
func (c *httpConn) adopt() {
	h := c.socket.handler.Load()
	if h == nil || h.http == nil {
		c.ends = true
		return
	}
	c.handler = h
}

// isIdempotent reports whether a request may be sent twice (RFC 9110, 9.2.2).
func isIdempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}

// route finds the pool for a request, or answers it.
func (c *httpConn) route(r *http1.Request) {
	w, l := c.worker, c.handler.listener
	path, ok := balance.NormalPath(w.http.path[:0], r.Target)
	if !ok {
		c.refuse(http.StatusBadRequest)
		return
	}
	route := l.Route(r.Host, path)
	switch {
	case route.Redirect != nil:
		c.redirect(r, route.Redirect)
		return
	case route.NotFound:
		c.refuse(http.StatusNotFound)
		return
	}
	c.pool = c.handler.pools[route.Pool]
	c.sticky = -1
	if sticky := &c.pool.spec.Sticky; sticky.Mode != balance.StickyOff {
		if value, ok := r.Cookie(sticky.Cookie); ok {
			c.sticky = c.pool.named(value, sticky.Mode)
		}
	}
}

// named returns the server that a cookie's value names, -1 if it names none.
func (p *pool) named(value []byte, mode uint8) int32 {
	if mode == balance.StickyServer {
		value, _ = balance.SplitServerCookie(value)
	}
	if i, ok := p.spec.CookieBackend(value); ok {
		return int32(i)
	}
	return -1
}

// forward sends the request to a server: the head as the server gets it in front of
// what has come of the body, which is b[n:n+used].
func (c *httpConn) forward(b []byte, n, used int) {
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
	scratch := w.loop.Scratch()
	var request []byte
	if from := headroom + n - len(w.http.head); from >= 0 {
		copy(scratch[from:], w.http.head)
		request = scratch[from : headroom+n+used]
	} else {
		w.http.head = append(w.http.head, b[n:n+used]...)
		request = w.http.head
	}
	c.tried = c.tried[:0]
	c.assign(request)
}

// assign picks a server and gives it the request; when there is none, the client is
// told.
func (c *httpConn) assign(request []byte) {
	for {
		if !c.pick() {
			c.noServer()
			return
		}
		up := &c.pool.servers[c.index].idle.lists[c.worker.loop.Index()]
		for s := up.pop(); s != nil; s = up.pop() {
			if !c.idempotent && !netloop.Quiet(s.fd) {
				s.close() // it has ended unnoticed, and this request must not be sent twice
				continue
			}
			s.client, c.server, s.reused = c, s, true
			s.touched, s.answered = false, false
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
		if c.stage == ended {
			return
		}
	}
}

// pick chooses a server; it reports false when none is left.
func (c *httpConn) pick() bool {
	c.follow()
	table := c.pool.table.Load()
	if table == nil || len(c.tried) >= c.attempts(table) {
		return false
	}
	if i := int(c.sticky); i >= 0 && len(c.tried) == 0 && table.PickSticky(c.pool.state, i) {
		c.setCookie = false
		c.take(c.pool, i, c.worker.loop.Index())
		return true
	}
	i, ok := table.Pick(c.pool.state, balance.Client{Source: c.source, Destination: c.socket.endpoint}, c.tried)
	if !ok {
		return false
	}
	c.setCookie = c.pool.spec.Sticky.Mode != balance.StickyOff
	c.take(c.pool, i, c.worker.loop.Index())
	return true
}

// attempts is how many servers a request may be tried on.
func (c *httpConn) attempts(t *balance.Table) int {
	if n := c.handler.listener.Retry.Attempts; n > 0 {
		return min(n+1, t.MaxTries())
	}
	return t.MaxTries()
}

// follow takes the pool of now for another attempt: its table knows who is well.
func (c *httpConn) follow() {
	h := c.socket.handler.Load()
	if len(c.tried) == 0 || h == c.handler || h == nil || h.http == nil {
		return
	}
	for _, p := range h.pools {
		if p.spec.Owner == c.pool.spec.Owner {
			c.handler, c.pool, c.tried, c.sticky = h, p, c.tried[:0], -1
			return
		}
	}
}

// retain keeps a copy of the request, for a server that is not connected yet or
// that may turn out to have closed the connection.
func (c *httpConn) retain(request []byte) {
	if len(c.kept) == 0 {
		c.kept = append(c.worker.small(), request...)
	}
}

// mayRepeat reports whether the request could be sent again as a whole.
func (c *httpConn) mayRepeat() bool { return c.idempotent && c.sent }

// dial begins to connect to the server that was picked. It reports false when that
// failed at once, and another may be tried.
func (c *httpConn) dial() bool {
	loop := c.worker.loop
	fd, errno := netloop.Dial(&c.pool.servers[c.index].addr)
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
		c.wait(minBackoff)
		return true
	default:
		c.lane.errors.Add(1)
		c.tried.Add(c.index)
		c.give()
		return false
	}
	s := &serverConn{worker: c.worker, client: c, fd: fd}
	s.home = &c.pool.servers[c.index].idle.lists[loop.Index()]
	c.server, c.stage = s, connecting
	c.wait(c.handler.listener.ConnectTimeout)
	if loop.Add(fd, s) != nil {
		c.noServer()
	}
	return true
}

// connect tries once more after a pause for want of descriptors.
func (c *httpConn) connect() { c.assign(c.kept) }

// connectFailed counts a failed attempt against the server and tries another.
func (c *httpConn) connectFailed() {
	c.lane.errors.Add(1)
	c.tried.Add(c.index)
	c.hangUp()
	c.assign(c.kept)
}

// hangUp gives up the server of the attempt under way.
func (c *httpConn) hangUp() {
	c.server.close()
	c.server = nil
	c.give()
}

// sendRequest gives the connected server the request, as far as it has come.
func (c *httpConn) sendRequest(request []byte) {
	s := c.server
	c.stage = asking
	c.lane.requests.Add(1)
	c.lane.in.Add(int64(len(request)))
	c.wait(c.handler.listener.RequestTimeout)
	if c.log != nil {
		c.log.upstream, c.log.asked = c.endpoint(), c.worker.loop.Now()
	}
	if !s.send(request) {
		c.serverLost()
		return
	}
	if !c.mayRepeat() || !s.reused && !retries(c.handler.listener) {
		c.drop()
	}
	if !c.sent {
		c.receiveBody()
	}
}

// retries reports whether an answer, or its absence, may send a request to another server.
func retries(l *balance.Listener) bool { return l.Retry.Timeout || l.Retry.Status5x }

// drop gives the copy of the request back: it will not be sent again.
func (c *httpConn) drop() {
	c.worker.releaseSmall(c.kept)
	c.kept = nil
}

// receiveBody passes the rest of the request on, until the server is full.
func (c *httpConn) receiveBody() {
	for turn := 0; c.readable && !c.sent && c.server != nil && c.server.connected && c.server.out == nil; turn++ {
		if turn == readsPerTurn {
			c.again()
			return
		}
		scratch := c.worker.loop.Scratch()
		n, errno := netloop.Recv(c.fd, scratch)
		switch {
		case errno == again:
			c.readable = false
			return
		case errno != 0 || n == 0:
			c.gone() // in the middle of a request
			return
		case n < len(scratch) && !c.partial:
			c.readable = false
		}
		if !c.passBody(scratch[:n]) {
			return
		}
	}
}

// passBody sends what of b belongs to the request and keeps the rest for the next. It
// reports whether the exchange goes on.
func (c *httpConn) passBody(b []byte) bool {
	used, done, err := c.body.Feed(b)
	if err != nil {
		// The server must not take what has come for a whole request.
		c.refuseBad(err)
		return false
	}
	if done && used < len(b) {
		c.keep(b[used:])
		c.early = true
	}
	c.sent = done
	c.progress()
	c.drop()
	c.lane.in.Add(int64(used))
	if c.log != nil {
		c.log.length += int64(used)
	}
	s := c.server
	if !s.ends && !s.send(b[:used]) {
		s.ends = true // it may have answered before it stopped reading
	}
	return true
}

// refuseBad answers a request that cannot be understood, or not safely.
func (c *httpConn) refuseBad(err error) {
	status := http.StatusBadRequest
	var bad *http1.Error
	if errors.As(err, &bad) {
		status = bad.Status
	}
	if c.stage == idle || c.stage == reading {
		c.front.requests.Add(1)
	}
	c.ends = true
	c.sent = false
	c.refuse(status)
}
