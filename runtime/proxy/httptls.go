//go:build linux

package proxy

import (
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

// secure begins the handshake of a client that has just come, at once or when the
// listener's rate of handshakes allows it.
func (c *httpConn) secure() {
	c.stage = shaking
	wait := c.handler.http.shakes.Take(c.worker.loop.Now(), 1)
	if wait > int64(handshakeTime) {
		c.front.dropped.Add(1)
		c.front.tooManyShakes.Add(1)
		c.abort()
		return
	}
	if wait > 0 {
		c.wait(time.Duration(wait))
		return
	}
	c.startShaking()
}

func (c *httpConn) startShaking() {
	c.tls = c.worker.newTLS(c.fd, c.handler.http.tls)
	c.wait(handshakeTime)
	if c.readable {
		c.tls.ready(netloop.In)
		c.again()
	}
}

// startOrGiveUp ends the patience with a client that waits for its handshake, or is in it.
func (c *httpConn) startOrGiveUp() {
	if c.tls == nil {
		c.startShaking()
		return
	}
	c.front.timedOut.Add(1)
	c.front.slowShakes.Add(1)
	c.abort()
}

// shake goes on with the handshake.
func (c *httpConn) shake() {
	if c.tls == nil {
		return // its time has not come
	}
	if !c.worker.mayShake() {
		c.again()
		return
	}
	over := c.tls.shake()
	if sealed := c.worker.sealed; len(sealed) > 0 && !c.write(sealed) {
		c.gone()
		return
	}
	if !over {
		return
	}
	if c.tls.err != nil {
		c.shakingFailed()
		return
	}
	if c.tls.protocol() == "h2" {
		c.speakHTTP2()
		return
	}
	c.stage = idle
	c.wait(c.handler.listener.IdleTimeout)
	c.receive()
}

// mayShake counts a step of a handshake in this turn of the loop, if it has room for one.
func (w *worker) mayShake() bool {
	if now := w.loop.Now(); now != w.shookAt {
		w.shook, w.shookAt = 0, now
	}
	w.shook++
	return w.shook <= handshakesPerTurn
}

// shakingFailed ends a connection that could not be secured. Who has asked without TLS
// is told so (RFC 9110, 15.5.1), everybody else has got an alert.
func (c *httpConn) shakingFailed() {
	plain := c.tls.spokePlainHTTP()
	c.front.errors.Add(1)
	c.front.unshaken.Add(1)
	c.tls = nil
	if !plain {
		c.sent, c.stage = true, leaving
		c.leave()
		return
	}
	c.stage, c.ends = idle, true
	c.refuseUnread(http.StatusBadRequest)
}

// recvTLS is recv for a client that speaks TLS.
func (c *httpConn) recvTLS(b []byte) (int, unix.Errno) {
	n, dry, errno := c.tls.recv(b)
	if dry {
		c.readable = false
	}
	if sealed := c.worker.sealed; len(sealed) > 0 && !c.write(sealed) {
		return 0, unix.EPIPE
	}
	return n, errno
}

// sayGoodbye tells a client that asks nothing, and is not waited for, that our side of a secured
// connection ends.
func (c *httpConn) sayGoodbye() {
	if c.tls != nil {
		_, _ = netloop.Send(c.fd, c.tls.goodbye()) // a courtesy: nothing of an answer is missing
	}
}
