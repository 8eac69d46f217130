//go:build linux

package proxy

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/runtime/netloop"
)

const keptRecords = 4096 // free records a loop keeps, about 1.2 MiB

type phase uint8

const (
	free    phase = iota // in the worker's list of free records
	waiting              // for a descriptor to connect with
	dialing              // a server is being connected
	open
)

// conn is one connection: the client's socket and, once a server is picked, the
// server's. It is used again after its end, so a turn that was asked for with
// Again may meet its successor; every step therefore goes by the flags alone.
type conn struct {
	next, prev *conn // all connections of the worker
	worker     *worker
	socket     *Socket
	handler    *Handler // whose pick it is
	front      *lane    // where it was accepted
	backend    *tally   // nil = none picked
	lane       *lane    // of backend
	index      int      // of backend in handler
	tried      balance.Tried
	source     netip.AddrPort

	client, server end

	timer    netloop.Timer
	began    int64 // when the client was accepted; times are the loop's nanoseconds
	activity int64 // when a byte last moved
	deadline int64 // when the drain ends
	drain    *drain
	phase    phase
}

// open takes over a connection that was accepted on a socket.
func (w *worker) open(k *Socket, fd int, source netip.AddrPort) {
	h := k.handler.Load()
	if h == nil {
		netloop.Abort(fd)
		w.loop.Close(fd)
		return
	}
	c := w.record()
	c.socket, c.handler, c.source, c.phase, c.began = k, h, source, waiting, w.loop.Now()
	c.front = h.front.lane(w.loop.Index())
	c.front.requests.Add(1)
	c.front.open.Add(1)
	c.prev, c.next = w.conns.prev, &w.conns
	c.prev.next, c.next.prev = c, c
	c.client.fd = fd
	if w.loop.Add(fd, &c.client) != nil {
		c.refuse()
		return
	}
	c.dial()
}

// record returns a cleared record.
func (w *worker) record() *conn {
	c := w.free
	if c != nil {
		w.free, c.next = c.next, nil
		w.kept--
		return c
	}
	c = &conn{worker: w}
	c.client = end{conn: c, fd: -1}
	c.server = end{conn: c, fd: -1}
	c.timer.Init(c)
	return c
}

// dial begins to connect to a server, the next one if some have failed.
func (c *conn) dial() {
	loop := c.worker.loop
	for {
		// The Handler of now, not the one that accepted: its Table knows who is well.
		h := c.socket.handler.Load()
		if h == nil {
			c.refuse()
			return
		}
		if h != c.handler {
			c.handler, c.tried = h, c.tried[:0]
		}
		table := h.table.Load()
		if table == nil || len(c.tried) >= table.MaxTries() {
			c.refuse()
			return
		}
		i, ok := table.Pick(h.state, balance.Client{Source: c.source, Destination: c.socket.endpoint}, c.tried)
		if !ok {
			c.refuse()
			return
		}
		c.pick(i)
		fd, errno := netloop.Dial(&h.addrs[i])
		switch errno {
		case 0:
			c.phase = dialing
			c.server.fd = fd
			loop.Arm(&c.timer, c.socket.server.connectTimeout)
			if loop.Add(fd, &c.server) != nil {
				c.refuse()
			}
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			// Not the server's fault: try again when descriptors have come free.
			c.unpick()
			c.phase = waiting
			if loop.Now()-c.began >= int64(c.socket.server.connectTimeout) {
				c.refuse()
				return
			}
			loop.Arm(&c.timer, minBackoff)
			return
		}
		c.failed()
	}
}

// pick and unpick tie the connection to a backend and its counters.
func (c *conn) pick(i int) {
	c.index, c.backend = i, c.handler.backends[i]
	c.lane = c.backend.lane(c.worker.loop.Index())
	c.lane.open.Add(1)
}

func (c *conn) unpick() {
	if c.backend == nil {
		return
	}
	c.lane.open.Add(-1)
	c.handler.state.Done(c.index)
	c.backend, c.lane = nil, nil
	if c.drain != nil {
		c.drain.leave()
		c.drain = nil
	}
}

// failed counts a failed attempt against the backend and gives it up.
func (c *conn) failed() {
	c.lane.errors.Add(1)
	c.tried = append(c.tried, c.index)
	c.hangUp()
}

// hangUp gives up the attempt under way.
func (c *conn) hangUp() {
	c.unpick()
	c.server.release(c.worker.loop)
}

// dialed handles an event on the server's socket while it is being connected.
func (c *conn) dialed(ev netloop.Events) {
	if ev&(netloop.Err|netloop.Hup) != 0 {
		if netloop.SocketError(c.server.fd) != unix.ECONNRESET {
			c.failed()
			c.dial()
			return
		}
		// It was established and reset since; that is an answer, not a failure to connect.
		c.lane.requests.Add(1)
		c.reset()
		return
	}
	if ev&netloop.Out == 0 {
		return
	}
	if netloop.SelfConnected(c.server.fd, &c.handler.addrs[c.index]) {
		c.failed()
		c.dial()
		return
	}
	c.lane.requests.Add(1)
	c.phase = open
	c.activity = c.worker.loop.Now()
	c.armIdle()
	if c.client.readable && !c.pump(&c.client) {
		return
	}
	if c.server.readable {
		c.pump(&c.server)
	}
}

// armIdle arms the timer for what comes first: idleness or the end of the drain.
// Bytes only note the time; the timer is moved when it fires.
func (c *conn) armIdle() {
	now := c.worker.loop.Now()
	left := c.handler.listener.EstablishedTimeout - c.idleFor(now)
	if c.drain != nil {
		left = min(left, time.Duration(c.deadline-now))
	}
	c.worker.loop.Arm(&c.timer, left)
}

// idleFor is how long no byte has moved.
func (c *conn) idleFor(now int64) time.Duration { return time.Duration(now - c.activity) }

// drainUntil lets the connection live until a time of the loop's clock.
func (c *conn) drainUntil(d *drain, deadline int64) {
	d.enter(1)
	if c.drain != nil {
		c.drain.leave()
	}
	c.drain, c.deadline = d, deadline
	if c.phase == open {
		c.armIdle()
	}
}

// Expired handles the one timer of the connection.
func (c *conn) Expired() {
	now := c.worker.loop.Now()
	switch {
	case c.phase == waiting:
		c.dial()
	case c.phase == dialing:
		c.failed()
		c.dial()
	case c.drain != nil && now >= c.deadline:
		c.lane.cut.Add(1)
		c.reset()
	case c.idleFor(now) >= c.handler.listener.EstablishedTimeout:
		c.lane.timedOut.Add(1)
		c.reset()
	default:
		c.armIdle()
	}
}

// refuse resets a client that could not be given a server.
func (c *conn) refuse() {
	c.front.errors.Add(1)
	c.reset()
}

// reset ends the connection with RST to both sides.
func (c *conn) reset() {
	netloop.Abort(c.client.fd)
	if c.server.fd >= 0 {
		netloop.Abort(c.server.fd)
	}
	c.close()
}

// close closes what is open and gives the record back.
func (c *conn) close() {
	w := c.worker
	w.loop.Stop(&c.timer)
	c.unpick()
	c.client.release(w.loop)
	c.server.release(w.loop)
	c.front.open.Add(-1)
	c.prev.next, c.next.prev = c.next, c.prev
	c.next, c.prev = nil, nil
	c.phase = free
	c.socket, c.handler, c.front = nil, nil, nil
	c.tried = c.tried[:0]
	if w.kept < keptRecords {
		c.next, w.free = w.free, c
		w.kept++
	}
}
