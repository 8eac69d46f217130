//go:build linux

package proxy

import (
	"bytes"
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
	for turn := 0; (s.readable || s.early) && s.client == c && c.out == nil && c.held == 0; turn++ {
		if turn == readsPerTurn {
			s.again()
			return
		}
		scratch := s.worker.loop.Scratch()
		have := copy(scratch[headroom:], s.in)
		end := headroom + have
		if s.early {
			s.in, s.early = nil, false
			c.answerHead(scratch[:end], headroom)
			continue
		}
		n, errno := s.recv(scratch[end:])
		switch {
		case errno == again:
			return
		case errno != 0 || n == 0:
			s.over(errno == 0)
			return
		}
		s.touched = true
		end += n
		switch {
		case s.answered:
			c.answerBody(scratch[headroom:end])
		case http1.Grown(scratch[headroom:end], have):
			s.in = nil
			c.answerHead(scratch[:end], headroom)
		default:
			s.in = append(s.in, scratch[end-n:end]...)
		}
	}
}

// again asks for another turn.
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
		if c.packer == nil || c.send(c.packer.end()) {
			c.finish()
		}
	case s.answered:
		// The client must not take what it has for a whole answer.
		c.lane.errors.Add(1)
		c.abort()
	default:
		c.serverLost()
	}
}

// answerHead passes on the heads in buf, from at on: interim ones, then the answer's
// with what has come of its body.
func (c *httpConn) answerHead(buf []byte, at int) {
	s, r := c.server, &c.worker.http.response
	for {
		n, err := r.Parse(buf[at:], c.head)
		switch {
		case err != nil:
			c.badAnswer()
			return
		case n == 0:
			s.in = append([]byte(nil), buf[at:]...)
			return
		case r.Status == http.StatusSwitchingProtocols:
			c.switchProtocols(buf[at:], n)
			return
		case r.Status >= 200:
			c.answer(buf, at, n)
			return
		case !c.interim():
			return
		}
		if at += n; at == len(buf) {
			return
		}
		if c.out != nil { // the rest comes when the client has taken this
			s.in, s.early = append([]byte(nil), buf[at:]...), true
			return
		}
	}
}

// interim passes a 1xx on to a client that can understand it. It reports whether the
// exchange goes on.
func (c *httpConn) interim() bool {
	if c.minor == 0 {
		return true
	}
	w := c.worker
	w.http.head = w.http.response.AppendHead(w.http.head[:0], &http1.Back{})
	c.stage = settling // without the client nobody goes on with what was read behind this
	if !c.send(w.http.head) {
		return false
	}
	c.stage = asking
	return true
}

// badAnswer tells the client that its server's answer cannot be understood.
func (c *httpConn) badAnswer() {
	c.lane.errors.Add(1)
	c.refuse(http.StatusBadGateway)
}

// answer passes on the head of the answer, which is the n bytes of buf from at on,
// and what has come of its body.
func (c *httpConn) answer(buf []byte, at, n int) {
	s, w, r := c.server, c.worker, &c.worker.http.response
	if s.status = uint16(r.Status); r.Status >= 500 {
		c.lane.failures.Add(1)
	}
	if r.Status >= 500 && c.handler.listener.Retry.Status5x && c.tryAnother() {
		return
	}
	c.drop()
	c.status = s.status
	if c.log != nil {
		c.log.upstreamStatus, c.log.answered = r.Status, w.loop.Now()
	}
	s.body.OfResponse(r)
	s.ends = s.ends || r.Close
	back := http1.Back{Minor: int(c.minor)}
	c.cookie(&back, r.Status)
	packs := c.compressible(r)
	c.ends = c.ends || s.body.Open() && !packs || !c.sent || c.leaves()
	back.Close = c.ends
	if packs {
		c.answerPacked(&back, buf[at+n:])
		return
	}
	body := at + n
	used, done, err := s.body.Feed(buf[body:])
	if err != nil {
		c.badAnswer()
		return
	}
	s.ends = s.ends || body+used < len(buf)
	w.http.head = r.AppendHead(w.http.head[:0], &back)
	out := w.joined(buf, body, body+used)
	c.passAnswer(out, done)
}

// passAnswer sends the head of the answer with what has come of the body.
func (c *httpConn) passAnswer(out []byte, done bool) {
	c.server.answered, c.stage = true, answering
	c.progress()
	c.passedOut(len(out))
	if c.sendAnswer(out, done) && done {
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
	c.passedOut(used)
	if c.sendAnswer(b[:used], done) && done {
		c.finish()
	}
}

// finish ends an exchange whose answer is complete: the server's connection waits
// for another request, the client's for its next.
func (c *httpConn) finish() {
	s := c.server
	s.conclude(c.lane)
	c.conclude()
	keeps := s.reusable() && c.sent && c.drain == nil && c.going == nil && c.handler.listener.UpstreamKeepalive
	c.give()
	c.server = nil
	c.worker.returnCompressor(c.packer)
	c.packer = nil
	if keeps {
		s.client = nil
		s.home.push(s)
	} else {
		s.close()
	}
	c.nextRequest()
}

// reusable reports whether the server's connection may have another request: nothing
// of the last exchange is on its way in either direction.
func (s *serverConn) reusable() bool {
	if s.stream != nil || s.ends || s.partial || s.out != nil || s.readable && !netloop.Quiet(s.fd) {
		return false
	}
	s.readable = false
	return true
}

// nextRequest goes on after an answer. What has come meanwhile is looked at in a turn
// of its own, so that no client keeps the loop, or its stack, to itself.
func (c *httpConn) nextRequest() {
	switch {
	case c.ends || !c.sent:
		c.leave()
	case c.out != nil:
		c.stage = settling
		c.wait(c.handler.listener.RequestTimeout)
	default:
		c.stage = idle
		c.wait(c.handler.listener.IdleTimeout)
		if c.early || c.readable {
			c.again()
		}
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
	case sticky.Inserts(c.known, status):
		b := append(w.http.lines[:0], "Set-Cookie: "...)
		b = append(append(append(b, sticky.Cookie...), '='), c.pool.spec.CookieValue(c.index)...)
		b = append(b, "; Path=/; Max-Age="...)
		b = strconv.AppendInt(b, sticky.Seconds(), 10)
		w.http.lines = append(b, "\r\n"...)
		back.Lines = w.http.lines
	}
}

// refuse answers with an error of the balancer's own.
func (c *httpConn) refuse(status int) {
	w := c.worker
	if c.stage == answering { // the client has a part of another answer
		c.abort()
		return
	}
	c.hangUp()
	switch {
	case status == http.StatusServiceUnavailable:
		c.front.dropped.Add(1)
		c.front.OverQPS++
	case status > 500:
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

var endOfHead = []byte("\r\n\r\n")

// finishOwn sends an answer that the balancer has made itself.
func (c *httpConn) finishOwn() {
	answer := c.worker.http.head
	c.stage = settling
	c.front.out.Add(int64(len(answer)))
	if c.log != nil {
		c.log.body = int64(len(answer) - bytes.Index(answer, endOfHead) - len(endOfHead))
	}
	c.conclude()
	if c.sendAnswer(answer, true) {
		c.nextRequest()
	}
}

// noServer tells the client that nobody can serve it.
func (c *httpConn) noServer() { c.refuse(http.StatusBadGateway) }
