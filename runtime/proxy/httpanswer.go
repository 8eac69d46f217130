//go:build linux

package proxy

import (
	"net/http"
	"strconv"

	"slbctl/runtime/balance"
	"slbctl/runtime/http1"
	"slbctl/runtime/netloop"
)

// receive reads the server's answer and passes it on, until the client is full or
// the turn over.
func (s *serverConn) receive() {
	c := s.client
	for turn := 0; s.readable && s.client == c && c.out == nil; turn++ {
		if turn == readsPerTurn {
			s.again()
			return
		}
		scratch := s.worker.loop.Scratch()[headroom:]
		have := copy(scratch, s.in)
		n, errno := netloop.Recv(s.fd, scratch[have:])
		switch {
		case errno == again:
			s.readable = false
			return
		case errno != 0 || n == 0:
			s.over(errno == 0)
			return
		case n < len(scratch)-have && !s.partial:
			s.readable = false
		}
		s.touched = true
		s.in = nil
		if s.answered {
			c.answerBody(scratch[:n])
		} else {
			c.answerHead(scratch[:have+n])
		}
	}
}

// Ready's turn that was asked for.
func (s *serverConn) again() {
	if !s.queued {
		s.queued = true
		s.worker.loop.Again(s)
	}
}

// over handles the end of the server's stream; clean is false for a reset.
func (s *serverConn) over(clean bool) {
	c := s.client
	s.ends = true
	switch {
	case s.answered && clean && s.body.Open():
		s.body.None()
		if c.packer == nil || c.send(c.packer.end()) {
			c.finish()
		}
	case s.answered:
		// The client must not take what it has for a whole answer.
		c.lane.errors.Add(1)
		c.logged()
		c.abort()
	default:
		c.serverLost()
	}
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
	c.lane.errors.Add(1)
	c.refuse(http.StatusBadGateway)
}

// answerHead passes on the heads in b: interim ones, then the answer's with what has
// come of its body.
func (c *httpConn) answerHead(b []byte) {
	s, w := c.server, c.worker
	for {
		r := &w.http.response
		n, err := r.Parse(b, c.head)
		switch {
		case err != nil:
			s.ends = true
			c.lane.errors.Add(1)
			c.refuse(http.StatusBadGateway)
			return
		case n == 0:
			s.in = append([]byte(nil), b...)
			return
		case r.Status == http.StatusSwitchingProtocols:
			c.switchProtocols(b, n)
			return
		case r.Status >= 200:
			c.answer(b, n)
			return
		}
		if b = c.interim(b, n); b == nil {
			return
		}
	}
}

// interim passes a 1xx on to a client that can understand it, and returns what
// follows; nil if there is nothing to do with it now.
func (c *httpConn) interim(b []byte, n int) []byte {
	w := c.worker
	if c.minor > 0 {
		w.http.head = w.http.response.AppendHead(w.http.head[:0], &http1.Back{})
		if !c.send(w.http.head) {
			return nil
		}
	}
	rest := b[n:]
	if len(rest) == 0 {
		return nil
	}
	if c.out != nil {
		c.server.in = append([]byte(nil), rest...)
		c.server.readable = true
		return nil
	}
	return rest
}

// answer passes on the head of the answer, which is the first n bytes of b, and
// what has come of its body.
func (c *httpConn) answer(b []byte, n int) {
	s, w, r := c.server, c.worker, &c.worker.http.response
	if r.Status >= 500 && c.handler.listener.Retry.Status5x && c.tryAnother() {
		return
	}
	c.drop()
	c.status = uint16(r.Status)
	if c.log != nil {
		c.log.upstreamStatus = r.Status
	}
	s.body.OfResponse(r)
	s.ends = s.ends || r.Close
	back := http1.Back{Minor: int(c.minor)}
	c.cookie(&back, r.Status)
	packs := c.compressible(r)
	c.ends = c.ends || s.body.Open() && !packs || !c.sent || c.handler.http.closing.Load()
	back.Close = c.ends
	if packs {
		c.answerPacked(&back, b, n)
		return
	}
	used, done, err := s.body.Feed(b[n:])
	if err != nil {
		s.ends = true
		c.lane.errors.Add(1)
		c.refuse(http.StatusBadGateway)
		return
	}
	s.ends = s.ends || n+used < len(b)
	w.http.head = r.AppendHead(w.http.head[:0], &back)
	s.answered, c.stage = true, answering
	c.progress()
	out := w.http.head
	if from := headroom + n - len(w.http.head); from >= 0 {
		scratch := w.loop.Scratch()
		copy(scratch[from:], w.http.head)
		out = scratch[from : headroom+n+used]
	} else {
		out = append(out, b[n:n+used]...)
		w.http.head = out
	}
	c.lane.out.Add(int64(len(out)))
	if c.send(out) && done {
		c.finish()
	}
}

// answerBody passes on what has come of the body.
func (c *httpConn) answerBody(b []byte) {
	s := c.server
	if c.packer != nil {
		c.bodyPacked(b)
		return
	}
	used, done, err := s.body.Feed(b)
	if err != nil {
		s.over(false)
		return
	}
	s.ends = s.ends || used < len(b)
	c.progress()
	c.lane.out.Add(int64(used))
	if c.send(b[:used]) && done {
		c.finish()
	}
}

// finish ends an exchange whose answer is complete: the server's connection waits
// for another request, the client's for its next.
func (c *httpConn) finish() {
	s := c.server
	if c.log != nil {
		c.log.body += s.body.Bytes
	}
	c.logged()
	c.give()
	c.server = nil
	c.worker.returnCompressor(c.packer)
	c.packer = nil
	if s.ends || s.partial || !c.sent || s.out != nil || !c.handler.listener.UpstreamKeepalive {
		s.close()
	} else {
		s.client = nil
		s.home.push(s)
	}
	c.nextRequest()
}

// nextRequest goes on after an answer.
func (c *httpConn) nextRequest() {
	if c.ends || !c.sent {
		c.leave()
		return
	}
	c.stage = idle
	c.wait(c.handler.listener.IdleTimeout)
	if c.early || c.readable {
		c.receive()
	}
}

// cookie makes the answer name its server, to a client that does not know it. The
// product gives no cookie with an error.
func (c *httpConn) cookie(back *http1.Back, status int) {
	w, sticky := c.worker, &c.pool.spec.Sticky
	switch {
	case sticky.Mode == balance.StickyServer:
		back.Cookie = sticky.Cookie
		w.http.lines = append(append(w.http.lines[:0], c.pool.spec.CookieValue(c.index)...), '|')
		back.CookiePrefix = w.http.lines
	case c.setCookie && status < 400:
		b := append(w.http.lines[:0], "Set-Cookie: "...)
		b = append(append(append(b, sticky.Cookie...), '='), c.pool.spec.CookieValue(c.index)...)
		b = append(b, "; Path=/; Max-Age="...)
		b = strconv.AppendInt(b, int64(sticky.MaxAge.Seconds()), 10)
		w.http.lines = append(b, "\r\n"...)
		back.Lines = w.http.lines
	}
}

// refuse answers with an error of the balancer's own.
func (c *httpConn) refuse(status int) {
	w := c.worker
	if c.stage == answering { // the client has a part of another answer
		c.logged()
		c.abort()
		return
	}
	if c.server != nil {
		c.server.close()
		c.server = nil
	}
	c.give()
	if status >= 500 {
		c.front.errors.Add(1)
	}
	c.status = uint16(status)
	c.drop()
	c.worker.returnCompressor(c.packer)
	c.packer = nil
	c.ends = c.ends || !c.sent
	appendError := http1.AppendError
	if c.head {
		appendError = http1.AppendErrorHead
	}
	w.http.head = appendError(w.http.head[:0], status, int(c.minor), c.ends)
	c.finishOwn()
}

// redirect sends the client elsewhere.
func (c *httpConn) redirect(r *http1.Request, to *balance.Redirect) {
	c.status = uint16(to.Code)
	c.ends = c.ends || !c.sent
	head := &c.worker.http.head
	*head = http1.AppendRedirect((*head)[:0], r, to.Code, to.Scheme, to.Port, c.ends)
	c.finishOwn()
}

// finishOwn sends an answer that the balancer has made itself.
func (c *httpConn) finishOwn() {
	c.stage = answering
	c.front.out.Add(int64(len(c.worker.http.head)))
	c.logged()
	if !c.send(c.worker.http.head) {
		return
	}
	c.nextRequest()
}

// noServer tells the client that nobody can serve it.
func (c *httpConn) noServer() { c.refuse(http.StatusBadGateway) }

// answerLate tells the client that the server takes too long.
func (c *httpConn) answerLate() { c.refuse(http.StatusGatewayTimeout) }

// tryAnother gives the request to another server, if that is allowed and there is one.
func (c *httpConn) tryAnother() bool {
	if len(c.kept) == 0 {
		return false
	}
	table := c.pool.table.Load()
	if table == nil || len(c.tried)+1 >= c.attempts(table) {
		return false
	}
	c.lane.errors.Add(1)
	c.tried.Add(c.index)
	c.hangUp()
	c.assign(c.kept)
	return true
}
