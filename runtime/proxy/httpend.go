//go:build linux

package proxy

import (
	"net/http"

	"slbctl/runtime/balance"
	"slbctl/runtime/netloop"
)

// leave ends the connection from our side, once everything is written.
func (c *httpConn) leave() {
	c.stage = leaving
	if c.out != nil {
		c.wait(c.handler.listener.RequestTimeout)
		return
	}
	if c.stream != nil {
		_ = c.stream.CloseWrite() // an answer that is not whole is reset with the stream
		c.close()
		return
	}
	if c.tls != nil && !c.tls.ends {
		c.tls.ends, c.parting = true, true
		if !c.write(c.tls.goodbye()) {
			c.close()
			return
		}
		if c.out != nil {
			c.wait(c.handler.listener.RequestTimeout)
			return
		}
	}
	netloop.ShutdownWrite(c.fd)
	if c.last && c.sent && !c.readable && netloop.Quiet(c.fd) {
		c.close()
		return
	}
	c.stage, c.lingered = lingering, 0
	c.wait(lingerTime)
	c.linger()
}

// linger throws away what the client sends after the end. Closing on unread bytes would reset
// the connection, and the client could lose the answer (RFC 9112, section 9.6). So it waits
// for the client's own end, but where the client has asked for this one and is silent.
func (c *httpConn) linger() {
	for turn := 0; c.readable; turn++ {
		if turn == readsPerTurn {
			c.again()
			return
		}
		n, errno := c.recv(c.worker.loop.Scratch())
		if errno == again {
			return
		}
		c.lingered += n
		if errno != 0 || n == 0 || c.lingered > lingerBytes {
			c.close()
			return
		}
	}
}

// gone ends an exchange whose client has left. What the server has been asked for may
// run on.
func (c *httpConn) gone() {
	c.status = statusClientGone
	c.abandon()
	c.close()
}

// abort ends the connection with RST.
func (c *httpConn) abort() {
	if c.stream == nil {
		netloop.Abort(c.fd)
	}
	c.close()
}

// conclude counts an exchange that has ended, and logs it.
func (c *httpConn) conclude() {
	if !c.counts {
		return
	}
	c.counts = false
	c.front.count(c.status, c.worker.loop.Now()-c.began)
	if c.h2 == nil {
		c.front.Busy--
	}
	if c.log != nil {
		c.logged()
	}
}

// close closes what is open and gives the record back. An exchange that it ends is
// logged with what the client was told, 502 if that was nothing yet.
func (c *httpConn) close() {
	w := c.worker
	if c.status == 0 {
		c.status = http.StatusBadGateway
	}
	c.conclude()
	c.hangUp()
	c.stay()
	if c.out != nil {
		w.loop.Release(c.out)
	}
	if c.stream != nil {
		closeStream(c.stream, &c.h2.h2Link)
		c.h2.answered()
		c.release()
		return
	}
	if c.tls != nil {
		c.tls.end()
	}
	w.loop.Close(c.fd)
	c.front.open.Add(-1)
	c.admitted.dismiss()
	c.release()
}

// release gives the record back.
func (c *httpConn) release() {
	w := c.worker
	w.loop.Stop(&c.timer)
	w.release(c.kept)
	w.returnCompressor(c.packer)
	c.prev.next, c.next.prev = c.next, c.prev
	*c = httpConn{worker: w, fd: -1, sticky: balance.NoBackend, tried: c.tried[:0], queued: c.queued}
	c.timer.Init(c)
	if w.keptHTTP < keptRecords {
		c.next, w.freeHTTP = w.freeHTTP, c
		w.keptHTTP++
	}
}
