//go:build linux

package proxy

import (
	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

const (
	fullRead     = 64 << 10 // a bulk transfer keeps reads of this size full, if none larger
	readsPerTurn = 4        // full reads before the others of the loop have a turn
	spliceAfter  = 4        // full reads in a row that make a direction a bulk transfer
	spliceWhile  = 32 << 10 // bytes a splice must move for it to stay one
)

// end is one side of a connection: its socket, what may be read from it, and
// what waits to be written to it.
type end struct {
	conn   *conn
	fd     int         // -1 = none
	tls    *tlsSession // nil = none
	buffer *netloop.Buffer
	pipe   *netloop.Pipe

	held      int64 // not to be read before this time of the loop, for the bandwidth
	fullReads uint8 // in a row
	readable  bool  // there may be something to read
	partial   bool  // a short read does not mean that nothing is left
	fin       bool  // the peer has ended its stream, with nothing urgent unread: a short read is the last
	eof       bool  // the socket's stream has ended
	shut      bool  // our stream to the socket has ended
	queued    bool  // a turn was asked for
}

// Ready moves what the event allows to move.
func (e *end) Ready(ev netloop.Events) {
	c := e.conn
	if ev == 0 {
		e.queued = false
	}
	if ev&(netloop.In|netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		e.readable = true
	}
	if ev&(netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		e.partial = true
		e.fin = ev&netloop.PeerFin != 0 && ev&(netloop.Urgent|netloop.Err) == 0
	}
	if e.tls != nil {
		e.tls.ready(ev)
	}
	switch {
	case c.phase == open:
		if ev&netloop.Err != 0 && (e.eof || c.peer(e).blocked()) {
			c.reset() // nothing more will be read that could tell
			return
		}
		if ev&netloop.Out != 0 && e.blocked() && !c.flush(e) {
			return
		}
		if e.readable {
			c.pump(e)
		}
	case c.phase == dialing && e == &c.server:
		c.dialed(ev)
	case c.phase == heralded && ev&netloop.Err == 0:
		if e.readable {
			c.hear()
		}
	case c.phase != free && ev&(netloop.Hup|netloop.Err) != 0:
		c.reset() // the client has gone
	}
}

// blocked reports whether bytes wait to be written to this end.
func (e *end) blocked() bool { return e.buffer != nil || e.pipe != nil }

func (c *conn) peer(e *end) *end {
	if e == &c.client {
		return &c.server
	}
	return &c.client
}

// pump moves bytes from src to the other end until src is empty, the other end
// full, or the turn over. It reports whether the connection still stands.
func (c *conn) pump(src *end) bool {
	dst := c.peer(src)
	for turn := 0; src.readable && !src.eof && !dst.blocked() && src.held == 0; turn++ {
		if turn == readsPerTurn {
			if !src.queued {
				src.queued = true
				c.worker.loop.Again(src)
			}
			return true
		}
		var errno unix.Errno
		if src.fullReads >= spliceAfter {
			errno = c.splice(src, dst)
		} else {
			errno = c.copy(src, dst)
		}
		if errno != 0 {
			c.reset()
			return false
		}
	}
	if src.eof && !dst.blocked() && !dst.shut {
		return c.endStream(src, dst)
	}
	return true
}

// endStream passes the end of src's stream on. After the second of the two
// directions the connection is done.
func (c *conn) endStream(src, dst *end) bool {
	if dst.tls != nil && !dst.tls.ends {
		dst.tls.ends = true
		if c.deliver(dst, dst.tls.goodbye(), netloop.SendLast) != 0 {
			c.reset()
			return false
		}
		if dst.blocked() {
			return true
		}
	}
	dst.shut = true
	if src.shut {
		c.close()
		return false
	}
	netloop.ShutdownWrite(dst.fd)
	return true
}

// copy makes one recv and one send.
func (c *conn) copy(src, dst *end) unix.Errno {
	scratch := c.worker.loop.Scratch()[:fullRead]
	n, errno := c.recv(src, scratch)
	if errno != 0 || n == 0 {
		return src.dry(errno)
	}
	c.moved(src, n)
	if n == len(scratch) && c.client.tls == nil {
		src.fullReads++
	} else {
		src.fullReads = 0
	}
	if src.fin && n < len(scratch) && src.tls == nil && dst.tls == nil {
		src.eof = true
		return c.deliver(dst, scratch[:n], netloop.SendLast)
	}
	return c.send(dst, scratch[:n])
}

// recv reads from an end. A short read has emptied the socket: what comes next makes
// a new edge.
func (c *conn) recv(src *end, b []byte) (n int, errno unix.Errno) {
	if src.tls != nil {
		return c.recvTLS(src, b)
	}
	if n, errno = netloop.Recv(src.fd, b); n > 0 && n < len(b) && !src.partial {
		src.readable = false
	}
	return n, errno
}

func (c *conn) recvTLS(src *end, b []byte) (int, unix.Errno) {
	n, dry, errno := src.tls.recv(b)
	if dry {
		src.readable = false
	}
	if sealed := c.worker.sealed; len(sealed) > 0 {
		if src.buffer != nil {
			return 0, unix.EPROTO // asks for keys again and again, and reads nothing
		}
		if errno := c.deliver(src, sealed, netloop.Send); errno != 0 {
			return 0, errno
		}
	}
	return n, errno
}

// send gives an end for which nothing waits what it gets next.
func (c *conn) send(dst *end, b []byte) unix.Errno {
	if dst.tls != nil {
		if b = dst.tls.seal(b); b == nil {
			return unix.EPROTO
		}
	}
	return c.deliver(dst, b, netloop.Send)
}

// deliver is send for what is on its way already. It keeps what the socket does not take.
func (c *conn) deliver(dst *end, b []byte, send func(int, []byte) (int, unix.Errno)) unix.Errno {
	n, errno := send(dst.fd, b)
	if errno == unix.EAGAIN {
		n = 0
	} else if errno != 0 {
		return errno
	}
	if n < len(b) {
		dst.buffer = c.worker.loop.Keep(b[n:])
	}
	return 0
}

// splice moves up to a pipe full inside the kernel.
func (c *conn) splice(src, dst *end) unix.Errno {
	loop := c.worker.loop
	pipe := loop.Pipe()
	if pipe == nil {
		src.fullReads = 0
		return c.copy(src, dst)
	}
	n, errno := pipe.Fill(src.fd)
	if errno != 0 || n == 0 {
		loop.ReturnPipe(pipe)
		return src.dry(errno)
	}
	c.moved(src, n)
	if n < spliceWhile {
		src.fullReads-- // back to copying, which shows whether the bulk is over
	}
	dst.pipe = pipe
	return dst.write(loop)
}

// dry handles a read that gave nothing: no error is the end of the stream.
func (e *end) dry(errno unix.Errno) unix.Errno {
	switch errno {
	case 0:
		e.eof = true
	case unix.EAGAIN:
		e.readable, e.partial = false, false
	default:
		return errno
	}
	return 0
}

// moved notes n bytes from src.
func (c *conn) moved(src *end, n int) {
	c.activity = c.worker.loop.Now()
	q := c.handler.share
	if src == &c.client {
		c.lane.in.Add(int64(n))
		if q != nil {
			c.hold(src, q.In.Take(c.activity, int64(n)))
		}
		return
	}
	c.lane.out.Add(int64(n))
	if q != nil {
		c.hold(src, q.Out.Take(c.activity, int64(n)))
	}
}

// hold lets an end wait before more is read from it: the listener's bandwidth is
// used up.
func (c *conn) hold(e *end, wait int64) {
	if wait > 0 {
		e.held = c.activity + wait
		c.armIdle()
	}
}

// resume goes on with ends whose wait is over.
func (c *conn) resume(now int64) {
	for _, e := range [...]*end{&c.client, &c.server} {
		if e.held != 0 && e.held <= now {
			e.held = 0
			if !c.pump(e) {
				return
			}
		}
	}
	c.armIdle()
}

// flush writes what waits for dst and, when that is gone, goes on reading for
// it. It reports whether the connection still stands.
func (c *conn) flush(dst *end) bool {
	c.activity = c.worker.loop.Now()
	if dst.write(c.worker.loop) != 0 {
		c.reset()
		return false
	}
	return dst.blocked() || c.pump(c.peer(dst))
}

// write sends what waits until it is gone or the socket is full.
func (e *end) write(loop *netloop.Loop) unix.Errno {
	for e.buffer != nil {
		n, errno := netloop.Send(e.fd, e.buffer.Bytes())
		if errno == unix.EAGAIN {
			return 0
		} else if errno != 0 {
			return errno
		}
		e.buffer.Advance(n)
		if len(e.buffer.Bytes()) == 0 {
			loop.Release(e.buffer)
			e.buffer = nil
		}
	}
	for e.pipe != nil {
		_, errno := e.pipe.Drain(e.fd)
		if errno == unix.EAGAIN {
			return 0
		} else if errno != 0 {
			return errno
		}
		if e.pipe.Bytes == 0 {
			loop.ReturnPipe(e.pipe)
			e.pipe = nil
		}
	}
	return 0
}

// release closes the end and clears it, except for a turn that is still to come.
func (e *end) release(loop *netloop.Loop) {
	if e.fd >= 0 {
		loop.Close(e.fd)
	}
	if e.buffer != nil {
		loop.Release(e.buffer)
	}
	if e.pipe != nil {
		loop.ReturnPipe(e.pipe)
	}
	*e = end{conn: e.conn, fd: -1, queued: e.queued}
}
