//go:build linux

package proxy

import (
	"errors"
	"net/netip"
	"time"

	"slbctl/runtime/http2"
	"slbctl/runtime/netloop"
)

// h2IdleTime is how long a connection of HTTP/2 stays without a request (product).
const h2IdleTime = 180 * time.Second

// h2Conn is a client's connection to an HTTPS listener that speaks HTTP/2. Each of its
// streams is an httpConn.
type h2Conn struct {
	h2Link
	next, prev *h2Conn // all of the worker
	socket     *Socket
	admitted   *Handler // whose quota it is counted in
	front      *lane
	source     netip.AddrPort

	going *drain // of a listener that goes; nil = it stays
	goes  int64  // when going ends
	due   int64  // when patience ends with a client that asks nothing or does not read
	half  int64  // when the frame or header block began of which a part is here; 0 = there is none
	timer netloop.Timer
	armed int64 // when the timer fires; it is moved only when that is too late
	told  int   // of the refused streams are counted
	ends  bool  // when everything is said
	asked int   // streams that are open

	lingers  bool // our side has ended; what the client still sends is thrown away
	lingered int  // bytes of that
}

// speakHTTP2 hands a connection whose handshake has agreed on HTTP/2 over to an h2Conn.
func (c *httpConn) speakHTTP2() {
	w := c.worker
	h := &h2Conn{socket: c.socket, admitted: c.admitted, front: c.front, source: c.source}
	h.h2Link = h2Link{owner: h, worker: w, fd: c.fd, tls: c.tls, out: c.out, readable: true}
	h.conn = http2.NewServer(w.h2, w.loop.Now())
	h.timer.Init(h)
	h.prev, h.next = w.h2s.prev, &w.h2s
	h.prev.next, h.next.prev = h, h
	w.loop.Hand(c.fd, h)
	if c.going != nil {
		h.goBy(c.going, c.goes)
		c.stay()
	}
	c.tls, c.out, c.admitted = nil, nil, nil
	c.release()
	h.moved()
	h.move()
}

// Ready moves what the event allows to move.
func (h *h2Conn) Ready(ev netloop.Events) {
	h.note(ev)
	if h.fd >= 0 && ev&(netloop.Hup|netloop.Err) != 0 {
		h.broken()
		return
	}
	if h.lingers {
		h.linger()
		return
	}
	h.move()
}

// serve gives a stream its turn. One that is new becomes a client of HTTP/1.1 that asks
// once.
func (h *h2Conn) serve(s *http2.Stream) {
	c, known := s.User.(*httpConn)
	if !known {
		c = h.open(s)
	}
	c.Ready(netloop.In | netloop.Out)
}

func (h *h2Conn) open(s *http2.Stream) *httpConn {
	w := h.worker
	c := w.httpRecord()
	c.socket, c.handler, c.source, c.stage = h.socket, h.admitted, h.source, idle
	c.front, c.h2, c.stream, c.ends = h.front, h, s, true
	c.prev, c.next = w.https.prev, &w.https
	c.prev.next, c.next.prev = c, c
	s.User = c
	if h.asked++; h.asked == 1 {
		h.front.Busy++
	}
	c.wait(c.handler.listener.RequestTimeout)
	return c
}

// answered notes that a stream has ended.
func (h *h2Conn) answered() {
	if h.asked--; h.asked == 0 {
		h.front.Busy--
	}
}

// moved sets when patience ends. A later time costs nothing: the timer looks at due when
// it fires.
func (h *h2Conn) moved() {
	if n := h.conn.Refused() - h.told; n > 0 {
		h.told += n
		h.front.refusedStreams.Add(int64(n))
	}
	now, asking := h.worker.loop.Now(), int64(h.admitted.listener.RequestTimeout)
	if len(h.in) == 0 && !h.conn.MidBlock() {
		h.half = 0
	} else if h.half == 0 {
		h.half = now
	}
	switch {
	case h.out != nil:
		h.due = now + asking
	case h.half != 0 && h.conn.Streams() == 0: // those have a patience of their own
		h.due = h.half + asking
	default:
		h.due = now + int64(h2IdleTime)
	}
	h.arm()
}

func (h *h2Conn) arm() {
	until, now := h.due, h.worker.loop.Now()
	if h.going != nil {
		until = min(until, h.goes)
	}
	if !h.timer.Armed() || until < h.armed {
		h.armed = until
		h.worker.loop.Arm(&h.timer, time.Duration(until-now))
	}
}

// Expired handles the one timer of the connection.
func (h *h2Conn) Expired() {
	now := h.worker.loop.Now()
	switch {
	case h.lingers && (now >= h.due || h.going != nil && now >= h.goes):
		h.broken()
	case h.going != nil && now >= h.goes:
		h.front.cut.Add(1)
		h.broken()
	case now < h.due:
		h.arm()
	case h.out != nil:
		h.front.timedOut.Add(1)
		netloop.Abort(h.fd)
		h.broken()
	case h.conn.Streams() > 0: // they have a patience of their own
		h.moved()
	default:
		h.bye()
		h.move()
	}
}

// bye lets the connection end when everything that was asked is answered and said.
func (h *h2Conn) bye() {
	h.conn.GoAway(false)
	h.ends = true
}

// goBy lets the client finish what it has asked, until a time of the loop's clock.
func (h *h2Conn) goBy(d *drain, deadline int64) {
	d.enter(1)
	h.stay()
	h.going, h.goes = d, deadline
	h.bye()
	h.arm()
	h.again()
}

// stay takes the deadline back. The connection ends all the same when it is idle, for
// its client has been told; that comes back on another.
func (h *h2Conn) stay() {
	if h.going != nil {
		h.going.leave()
		h.going = nil
	}
}

// spoken ends the connection from our side if it is done.
func (h *h2Conn) spoken() {
	if !h.failed && (!h.ends || h.conn.Streams() > 0) {
		return
	}
	if h.failed {
		h.front.errors.Add(1)
		var err *http2.ConnError
		if errors.As(h.conn.Err(), &err) && err.Flood() {
			h.front.floods.Add(1)
		}
	}
	_, _ = netloop.Send(h.fd, h.tls.goodbye()) // a courtesy: if it does not fit, the end itself says it
	netloop.ShutdownWrite(h.fd)
	h.lingers = true
	h.due = h.worker.loop.Now() + int64(lingerTime)
	h.arm()
	h.linger()
}

// linger throws away what the client sends after the end. Closing at once would reset
// the connection, and what says why, or the last answer, could be lost.
func (h *h2Conn) linger() {
	for turn := 0; h.fd >= 0 && turn < readsPerTurn; turn++ {
		n, errno := netloop.Recv(h.fd, h.worker.loop.Scratch())
		if errno == again {
			return
		}
		h.lingered += n
		if errno != 0 || n == 0 || h.lingered > lingerBytes {
			h.broken()
			return
		}
	}
	if h.fd >= 0 {
		h.again()
	}
}

// broken closes the connection.
func (h *h2Conn) broken() {
	h.shut()
	h.worker.loop.Stop(&h.timer)
	h.stay()
	h.front.open.Add(-1)
	h.admitted.dismiss()
	h.prev.next, h.next.prev = h.next, h.prev
}
