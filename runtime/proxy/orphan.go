//go:build linux

package proxy

import (
	"net/http"
	"time"

	"slbctl/runtime/netloop"
)

// orphanBytes is what is read of an answer that nobody hears, so that its server's
// connection can be used again.
const orphanBytes = 1 << 20

// orphan is a request whose client has gone while the server had all of it and was at
// work. It runs on there for the time of a request, as the product lets it: what a client
// has asked for is not half undone because it has no patience. A stream of HTTP/2 that is
// reset is another matter: its client has said that the request is to end.
type orphan struct {
	next, prev *orphan // all of the worker, the oldest first
	server     *serverConn
	assignment
	timer netloop.Timer
	due   int64 // when patience ends
	left  int   // bytes of the answer that may still come
	head  bool  // the request's method is HEAD
	keeps bool  // the server's connection is used again
}

// orphans is the sentinel of a list of them.
type orphans struct {
	orphan
	size, limit int
}

// abandon makes the request under way an orphan, unless it ends with its client: when the
// server does not have all of it, or as many run on as may.
func (c *httpConn) abandon() {
	s, w := c.server, c.worker
	if c.stage != asking && c.stage != answering || !c.sent || c.upgrade || c.stream != nil ||
		s.out != nil || s.early || s.ends || w.orphans.size >= w.orphans.limit {
		return
	}
	o := &orphan{server: s, assignment: c.assignment, left: orphanBytes, head: c.head, keeps: c.handler.listener.UpstreamKeepalive}
	o.timer.Init(o)
	c.conclude()
	c.server, c.assignment = nil, assignment{}
	s.client, s.orphan = nil, o
	o.prev, o.next = w.orphans.prev, &w.orphans.orphan
	o.prev.next, o.next.prev = o, o
	w.orphans.size++
	o.due = w.loop.Now() + int64(c.handler.listener.RequestTimeout)
	if c.going != nil {
		o.drainUntil(c.going, c.goes)
	}
	o.arm()
	switch {
	case s.answered && s.body.Done():
		o.finish()
	case s.readable:
		s.again()
	}
}

func (o *orphan) arm() {
	until, now := o.due, o.server.worker.loop.Now()
	if o.drain != nil {
		until = min(until, o.deadline)
	}
	o.server.worker.loop.Arm(&o.timer, time.Duration(until-now))
}

// Expired ends the patience with the server.
func (o *orphan) Expired() {
	if o.drained(o.server.worker.loop.Now()) {
		o.lane.cut.Add(1)
	} else {
		o.lane.timedOut.Add(1)
	}
	o.end(false)
}

// receive reads the answer and throws it away.
func (o *orphan) receive() {
	s := o.server
	for turn := 0; s.readable; turn++ {
		if turn == readsPerTurn {
			s.again()
			return
		}
		scratch := s.worker.loop.Scratch()
		have := copy(scratch, s.in)
		n, errno := s.recv(scratch[have:])
		switch {
		case errno == again:
			return
		case errno != 0 || n == 0:
			o.fail()
			return
		}
		if !o.take(scratch[:have+n]) {
			return
		}
	}
}

// take looks for the end of the answer in what has come. It reports whether there is more
// to come.
func (o *orphan) take(b []byte) bool {
	s, r := o.server, &o.server.worker.http.response
	s.in = nil
	for !s.answered {
		n, err := r.Parse(b, o.head)
		switch {
		case err != nil || r.Status == http.StatusSwitchingProtocols && n > 0:
			o.fail()
			return false
		case n == 0:
			s.in = append(s.in, b...)
			return true
		case r.Status >= 200:
			s.answered, s.ends, s.status = true, r.Close, uint16(r.Status)
			s.body.OfResponse(r)
		}
		b = b[n:]
	}
	used, done, err := s.body.Feed(b)
	o.left -= used
	switch {
	case err != nil:
		o.fail()
	case done:
		s.ends = s.ends || used < len(b)
		o.finish()
	case s.ends || s.body.Open() || o.left < 0:
		o.end(false) // the request has run, and the connection would be of no use
	default:
		return true
	}
	return false
}

// finish lets the server's connection have another request, if it may.
func (o *orphan) finish() { o.end(o.keeps && o.drain == nil && o.server.reusable()) }

// fail counts a broken answer.
func (o *orphan) fail() {
	o.lane.errors.Add(1)
	o.end(false)
}

// end takes the request off its server, whose connection is used again or closed.
func (o *orphan) end(keeps bool) {
	s := o.server
	w := s.worker
	w.loop.Stop(&o.timer)
	o.prev.next, o.next.prev = o.next, o.prev
	w.orphans.size--
	s.conclude(o.lane)
	o.give()
	s.orphan = nil
	if keeps {
		s.home.push(s)
	} else {
		s.close()
	}
}
