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
	free     phase = iota // in the worker's list of free records
	heralded              // the client's PROXY protocol header is awaited
	waiting               // for a descriptor to connect with
	dialing               // a server is being connected
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
	admitted   *Handler // whose quota it is counted in
	front      *lane    // where it was accepted
	assignment
	tried    balance.Tried
	source   netip.AddrPort
	declared netip.AddrPort // destination that the client's PROXY header names, if it does
	herald   []byte         // what has come of that header, then what came behind it

	client, server end

	timer    netloop.Timer
	began    int64         // when the client was accepted; times are the loop's nanoseconds
	activity int64         // when a byte last moved
	idle     time.Duration // without a byte, after which both sides are reset
	phase    phase
	tunnels  bool // it was an exchange of HTTP
}

// open takes over a connection that was accepted on a socket.
func (w *worker) open(k *Socket, fd int, source netip.AddrPort) {
	h := k.handler.Load()
	if h == nil || !h.admit(w.loop, source.Addr()) {
		netloop.Abort(fd)
		w.loop.Close(fd)
		return
	}
	if h.http != nil {
		w.openHTTP(k, h, fd, source)
		return
	}
	c := w.record()
	c.socket, c.handler, c.admitted, c.source, c.phase, c.began = k, h, h, source, waiting, w.loop.Now()
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
	if h.listener.AcceptProxyProtocol {
		c.phase = heralded
		w.loop.Arm(&c.timer, c.socket.server.connectTimeout)
		return
	}
	c.dial()
}

// admit decides whether a client may connect, or have a session, and counts whoever
// may not. Whoever is admitted leaves with dismiss.
func (h *Handler) admit(loop *netloop.Loop, source netip.Addr) bool {
	switch h.listener.Admit(source, h.quota, loop.Now()) {
	case balance.Denied:
		h.front.lane(loop.Index()).denied.Add(1)
		return false
	case balance.Dropped:
		front := h.front.lane(loop.Index())
		front.dropped.Add(1)
		front.OverLimit++
		return false
	}
	return true
}

func (h *Handler) dismiss() {
	if h.quota != nil {
		h.quota.Connections.Leave()
	}
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
		p := h.pools[0]
		table := p.table.Load()
		if table == nil || len(c.tried) >= h.listener.Tries(table) {
			c.refuse()
			return
		}
		i, ok := table.PickClient(p.state, &balance.Client{Source: c.source, Destination: c.destination()}, c.tried, loop.Now())
		if !ok {
			c.refuse()
			return
		}
		c.take(p, i, loop.Index())
		fd, errno := loop.Dial(&p.servers[i].addr)
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
			c.give()
			c.phase = waiting
			if loop.Now()-c.began >= int64(c.socket.server.connectTimeout) {
				c.refuse()
				return
			}
			c.worker.relieve()
			loop.Arm(&c.timer, nextTry(loop.Now()-c.began))
			return
		}
		c.failed()
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
	c.give()
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
	if netloop.SelfConnected(c.server.fd, &c.pool.servers[c.index].addr) {
		c.failed()
		c.dial()
		return
	}
	c.lane.requests.Add(1)
	c.phase, c.idle = open, c.handler.listener.EstablishedTimeout
	c.activity = c.worker.loop.Now()
	c.armIdle()
	if !c.introduce() {
		return
	}
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
	left := c.idle - c.idleFor(now)
	for _, e := range [...]*end{&c.client, &c.server} {
		if e.held > now {
			left = min(left, time.Duration(e.held-now))
		}
	}
	if c.drain != nil {
		left = min(left, time.Duration(c.deadline-now))
	}
	c.worker.loop.Arm(&c.timer, left)
}

// rearm arms the timer for a deadline that has changed.
func (c *conn) rearm() {
	if c.phase == open {
		c.armIdle()
	}
}

// idleFor is how long no byte has moved.
func (c *conn) idleFor(now int64) time.Duration { return time.Duration(now - c.activity) }

// Expired handles the one timer of the connection.
func (c *conn) Expired() {
	now := c.worker.loop.Now()
	switch {
	case c.phase == heralded:
		c.refuse()
	case c.phase == waiting:
		c.dial()
	case c.phase == dialing:
		c.failed()
		c.dial()
	case c.drained(now):
		c.lane.cut.Add(1)
		c.reset()
	case c.idleFor(now) >= c.idle:
		c.lane.timedOut.Add(1)
		c.reset()
	default:
		c.resume(now)
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
	c.give()
	c.client.release(w.loop)
	c.server.release(w.loop)
	c.front.open.Add(-1)
	if c.tunnels {
		c.front.Busy--
		c.tunnels = false
	}
	c.admitted.dismiss()
	c.prev.next, c.next.prev = c.next, c.prev
	c.next, c.prev = nil, nil
	c.phase = free
	c.socket, c.handler, c.admitted, c.front = nil, nil, nil, nil
	c.herald, c.declared = nil, netip.AddrPort{}
	c.tried = c.tried[:0]
	if w.kept < keptRecords {
		c.next, w.free = w.free, c
		w.kept++
	}
}
