//go:build linux

package proxy

import (
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/runtime/http1"
	"slbctl/runtime/http2"
	"slbctl/runtime/netloop"
)

const (
	again = unix.EAGAIN

	// headroom is kept free in front of what is read into the scratch buffer, so
	// that a head which grew on its way still leaves in one piece with its body.
	headroom = 4 << 10

	requestsPerTurn = 16 // pipelined requests before the others of the loop have a turn

	// A client that was told that the connection ends may still be sending; closing
	// at once would reset the connection and could destroy the answer on its way.
	lingerTime  = 2 * time.Second
	lingerBytes = 1 << 20

	statusClientGone = 499 // in the access log only, as nginx and the product have it
)

// stage is where the client's side of an exchange stands.
type stage uint8

const (
	ended      stage = iota // the record may be used again
	shaking                 // hands, for TLS
	idle                    // before the first byte of a request
	reading                 // an unfinished head has come
	connecting              // a server is being connected, or a descriptor is waited for
	asking                  // the server has the request, or gets its body; its answer is awaited
	answering               // the answer's head has gone to the client
	settling                // the answer is complete, but not all of it written
	leaving                 // what is left is written, then the connection ends
	lingering               // our side has ended; what the client still sends is thrown away
)

// httpConn is a client's connection to an HTTP listener. Between two requests it
// holds nothing but itself.
type httpConn struct {
	next, prev *httpConn // all of the worker
	worker     *worker
	socket     *Socket
	handler    *Handler // of the request under way, or of the last one
	admitted   *Handler // whose quota it is counted in
	front      *lane
	assignment
	server *serverConn
	tried  balance.Tried
	source netip.AddrPort

	fd     int
	tls    *tlsSession     // nil = none
	h2     *h2Conn         // whose stream the client is; nil = it has a socket of its own
	stream *http2.Stream   // of h2
	in     []byte          // an unfinished head, or requests that came early
	out    *netloop.Buffer // what the client did not take
	body   http1.Body      // of the request
	kept   []byte          // the request as the server gets it, while it may have to be sent once more
	log    *logEntry       // nil = not logged

	packer *compressor // of the answer's body, nil = it goes on as it is

	going *drain // of a listener that goes; nil = it stays

	timer netloop.Timer
	armed int64 // when the timer fires; it is moved only when that is too late
	due   int64 // when patience with this stage ends
	goes  int64 // when going ends
	held  int64 // when more may be moved, for the bandwidth; 0 = now
	began int64 // when the request's first byte came, in the loop's nanoseconds

	lingered int   // bytes thrown away
	sticky   int32 // the server that the client's cookie names, balance.NoBackend = none
	status   uint16
	stage    stage
	minor    uint8 // of the client's HTTP/1.x

	readable   bool // there may be something to read
	partial    bool // a short read does not mean that nothing is left
	early      bool // in was never looked at
	queued     bool // a turn was asked for
	ends       bool // the connection ends with this exchange
	parting    bool // what is sent now is the last of the connection
	last       bool // as the client has asked for, so that it sends nothing more
	sent       bool // the whole request has been taken from the client
	head       bool // the request's method is HEAD
	idempotent bool
	lost       bool // a server has gone away with this request
	upgrade    bool
	known      bool // the client has the cookie of this server already
	gzips      bool // the answer may be compressed
	streams    bool // its pieces are not held back while it is
	counts     bool // the request under way is counted, but not how it ends
}

// openHTTP takes over a connection that was accepted for an HTTP listener.
func (w *worker) openHTTP(k *Socket, h *Handler, fd int, source netip.AddrPort) {
	c := w.httpRecord()
	c.socket, c.handler, c.admitted, c.source, c.fd, c.stage = k, h, h, source, fd, idle
	c.front = h.front.lane(w.loop.Index())
	c.front.open.Add(1)
	c.front.Accepted++
	c.prev, c.next = w.https.prev, &w.https
	c.prev.next, c.next.prev = c, c
	if w.loop.Add(fd, c) != nil {
		c.front.errors.Add(1)
		c.abort()
		return
	}
	if h.http.tls != nil {
		c.secure()
		return
	}
	c.wait(h.listener.IdleTimeout)
}

// httpRecord returns a cleared record.
func (w *worker) httpRecord() *httpConn {
	c := w.freeHTTP
	if c != nil {
		w.freeHTTP, c.next = c.next, nil
		w.keptHTTP--
		return c
	}
	c = &httpConn{worker: w, fd: -1, sticky: balance.NoBackend}
	c.timer.Init(c)
	return c
}

// Ready moves what the event allows to move.
func (c *httpConn) Ready(ev netloop.Events) {
	if ev == 0 {
		c.queued = false
	}
	if ev&(netloop.In|netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		c.readable = true
	}
	if ev&(netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		c.partial = true
	}
	if c.tls != nil {
		c.tls.ready(ev)
	}
	if c.stage != ended && (ev&(netloop.Hup|netloop.Err) != 0 || c.stream != nil && c.stream.Err() != nil) {
		c.gone() // both directions have ended: nobody is there to get an answer
		return
	}
	if ev&netloop.Out != 0 && c.out != nil && !c.flush() {
		return
	}
	switch c.stage {
	case shaking:
		c.shake()
	case idle, reading:
		c.receive()
	case asking, answering:
		c.receiveBody()
	case lingering:
		c.linger()
	}
}

// wait sets when patience ends. A later time costs nothing: the timer looks at due
// when it fires.
func (c *httpConn) wait(d time.Duration) {
	now := c.worker.loop.Now()
	c.due = now + int64(d)
	c.arm(now)
}

// arm makes the timer fire no later than patience or a drain ends.
func (c *httpConn) arm(now int64) {
	until := c.due
	if c.drain != nil {
		until = min(until, c.deadline)
	}
	if c.going != nil {
		until = min(until, c.goes)
	}
	if c.held != 0 {
		until = min(until, c.held)
	}
	if !c.timer.Armed() || until < c.armed {
		c.armed = until
		c.worker.loop.Arm(&c.timer, time.Duration(until-now))
	}
}

// progress notes that bytes of the exchange have moved.
func (c *httpConn) progress() { c.due = c.worker.loop.Now() + int64(c.handler.listener.RequestTimeout) }

// Expired handles the one timer of the connection.
func (c *httpConn) Expired() {
	now := c.worker.loop.Now()
	switch {
	case c.stage == ended:
	case c.drained(now), c.going != nil && now >= c.goes:
		c.cutOff()
	case c.held != 0 && now >= c.held:
		c.held = 0
		c.arm(now)
		c.goOn()
	case now < c.due:
		c.arm(now)
	default:
		c.timedOut()
	}
}

// goBy lets the client stay until a time of the loop's clock, or its next answer.
func (c *httpConn) goBy(d *drain, deadline int64) {
	d.enter(1)
	c.stay()
	c.going, c.goes = d, deadline
	c.arm(c.worker.loop.Now())
}

// stay takes that back.
func (c *httpConn) stay() {
	if c.going != nil {
		c.going.leave()
		c.going = nil
	}
}

// cutOff ends the connection because the time of a drain is up.
func (c *httpConn) cutOff() {
	switch {
	case c.backend != nil:
		c.lane.cut.Add(1)
		c.abort()
	case c.out != nil:
		c.front.cut.Add(1)
		c.abort()
	default:
		c.close()
	}
}

// timedOut ends patience with the stage that the exchange is in.
func (c *httpConn) timedOut() {
	switch c.stage {
	case shaking:
		c.startOrGiveUp()
	case idle:
		c.idleForLong()
	case lingering:
		c.close()
	case reading:
		c.refuseUnread(http.StatusRequestTimeout)
	case connecting:
		if c.server == nil {
			c.assign(c.kept) // a descriptor may have come free
			return
		}
		c.connectFailed()
	case asking:
		c.noAnswer()
	case answering:
		if c.out == nil {
			c.lane.timedOut.Add(1) // the server has stopped in the middle
		} else {
			c.front.timedOut.Add(1)
		}
		c.abort()
	default:
		c.front.timedOut.Add(1)
		c.abort()
	}
}

// idleForLong ends patience with a client that asks nothing, unless a request has come that
// nobody has told of yet.
func (c *httpConn) idleForLong() {
	if c.stream == nil && !netloop.Quiet(c.fd) {
		c.Ready(netloop.In)
	}
	if c.stage == idle && c.worker.loop.Now() >= c.due {
		c.sayGoodbye()
		c.close()
	}
}

// noAnswer ends patience with an answer, or with what the client owes of its request.
func (c *httpConn) noAnswer() {
	if !c.sent && c.server.out == nil {
		c.refuse(http.StatusRequestTimeout)
		return
	}
	c.lane.timedOut.Add(1)
	if !c.handler.listener.Retry.Timeout || !c.tryAnother() {
		c.refuse(http.StatusGatewayTimeout)
	}
}

// again asks for another turn.
func (c *httpConn) again() {
	if !c.queued {
		c.queued = true
		c.worker.loop.Again(c)
	}
}
