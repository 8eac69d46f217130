//go:build linux

package proxy

import (
	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

// recv reads what the client has sent, and notes when nothing of it is left.
func (c *httpConn) recv(b []byte) (int, unix.Errno) {
	switch {
	case c.stream != nil:
		var errno unix.Errno
		var n int
		n, c.readable, errno = readStream(c.stream, &c.h2.h2Link, b)
		return n, errno
	case c.tls != nil:
		return c.recvTLS(b)
	}
	n, errno := netloop.Recv(c.fd, b)
	if errno == again || n > 0 && n < len(b) && !c.partial {
		c.readable = false
	}
	return n, errno
}

// send gives the client b and keeps what it does not take. It reports false when the
// connection has broken and is gone.
func (c *httpConn) send(b []byte) bool {
	if c.tls != nil {
		b = c.tls.seal(b)
	}
	if b == nil || !c.write(b) {
		c.gone()
		return false
	}
	return true
}

// sendAnswer is send for a part of an answer. With the last of all goes what else had
// a packet of its own: the end of the stream and, before it, the alert that ends a secured one.
func (c *httpConn) sendAnswer(b []byte, done bool) bool {
	if done && c.ends {
		c.parting = true
		if c.tls != nil {
			c.tls.ends = true
		}
	}
	return c.send(b)
}

// write is send for what is on its way already. It reports false when the connection
// has broken.
func (c *httpConn) write(b []byte) bool {
	if c.out != nil { // interim answers that wait: rare, so the bytes may move twice
		c.out = c.worker.loop.Append(c.out, b)
		return len(c.out.Bytes()) <= owedBytes
	}
	n, errno := c.push(b)
	if errno == again {
		n = 0
	} else if errno != 0 {
		return false
	}
	if n < len(b) {
		c.out = c.worker.loop.Keep(b[n:])
	}
	return true
}

// push is [netloop.Send] to the client, [netloop.SendLast] where leave follows.
func (c *httpConn) push(b []byte) (int, unix.Errno) {
	if c.stream != nil {
		return writeStream(c.stream, &c.h2.h2Link, b)
	}
	if c.parting {
		return netloop.SendLast(c.fd, b)
	}
	return netloop.Send(c.fd, b)
}

// flush writes what waits for the client and then goes on. It reports whether the
// connection still stands.
func (c *httpConn) flush() bool {
	for c.out != nil {
		n, errno := c.push(c.out.Bytes())
		if errno == again {
			return true
		} else if errno != 0 {
			c.gone()
			return false
		}
		if c.out.Advance(n); len(c.out.Bytes()) == 0 {
			c.worker.loop.Release(c.out)
			c.out = nil
		}
		if c.stage > reading {
			c.progress()
		}
	}
	switch c.stage {
	case leaving:
		c.leave()
	case settling:
		c.nextRequest()
	case asking, answering:
		c.server.receive()
	}
	return c.stage != ended
}

// session is how the client speaks TLS; nil = it does not.
func (c *httpConn) session() *tlsSession {
	if c.h2 != nil {
		return c.h2.tls
	}
	return c.tls
}
