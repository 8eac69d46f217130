//go:build linux

package proxy

// passedIn counts bytes that have gone to the server.
func (c *httpConn) passedIn(n int) {
	c.lane.in.Add(int64(n))
	if share := c.handler.share; share != nil {
		c.hold(share.In.Take(c.worker.loop.Now(), int64(n)))
	}
}

// passedOut counts bytes that have gone to the client.
func (c *httpConn) passedOut(n int) {
	c.lane.out.Add(int64(n))
	if share := c.handler.share; share != nil {
		c.hold(share.Out.Take(c.worker.loop.Now(), int64(n)))
	}
}

// hold lets the exchange wait before more is read from either side: the listener's
// bandwidth is used up. That is nobody's slowness, so patience begins after it.
func (c *httpConn) hold(wait int64) {
	if wait <= 0 {
		return
	}
	now := c.worker.loop.Now()
	c.held = max(c.held, now+wait)
	c.due = max(c.due, c.held+int64(c.handler.listener.RequestTimeout))
	c.arm(now)
}

// goOn moves what was held.
func (c *httpConn) goOn() {
	if s := c.server; s != nil && s.connected {
		s.receive()
	}
	if c.stage == asking || c.stage == answering {
		c.receiveBody()
	}
}
