//go:build linux

package proxy

import (
	"net/http"

	"slbctl/runtime/http1"
	"slbctl/runtime/netloop"
)

// switchProtocols passes a 101 on, whose head is the first n bytes of b, and makes a
// tunnel of the two connections: from here on they are a connection on L4.
func (c *httpConn) switchProtocols(b []byte, n int) {
	s, w := c.server, c.worker
	if !c.upgrade || !c.sent || s.out != nil {
		c.badAnswer() // nobody has asked, or the server cannot know it yet
		return
	}
	c.drop()
	c.status = http.StatusSwitchingProtocols
	w.http.head = append(w.http.response.AppendHead(w.http.head[:0], &http1.Back{}), b[n:]...)
	c.lane.out.Add(int64(len(w.http.head)))
	c.stage = settling // there is no answer to wait for without the client
	if !c.send(w.http.head) {
		return
	}
	s.conclude(c.lane)
	c.conclude()
	c.tunnel()
}

// tunnel gives both sockets, what waits for them, and the assignment to a conn.
func (c *httpConn) tunnel() {
	s, w := c.server, c.worker
	early := c.in
	t := w.record()
	t.socket, t.handler, t.source, t.began = c.socket, c.handler, c.source, c.began
	t.front, t.admitted, t.assignment, t.tunnels = c.front, c.admitted, c.assignment, true
	t.front.Busy++
	if c.going != nil {
		t.drainUntil(c.going, c.goes)
		c.stay()
	}
	t.prev, t.next = w.conns.prev, &w.conns
	t.prev.next, t.next.prev = t, t
	t.client.take(c.fd, c.out, c.readable, c.partial)
	t.client.tls = c.tls
	t.server.take(s.fd, s.out, s.readable, s.partial)
	t.phase, t.idle, t.activity = open, c.handler.listener.RequestTimeout, w.loop.Now()
	w.loop.Hand(c.fd, &t.client)
	w.loop.Hand(s.fd, &t.server)
	s.client, s.fd, s.out = nil, -1, nil
	c.server, c.out, c.tls, c.admitted, c.assignment = nil, nil, nil, nil, assignment{}
	c.release()
	t.armIdle()
	t.lane.in.Add(int64(len(early)))
	if len(early) > 0 && !t.server.inject(early) {
		return
	}
	if t.client.readable && !t.pump(&t.client) {
		return
	}
	if t.server.readable {
		t.pump(&t.server)
	}
}

// take makes the end that of a socket which somebody else has had.
func (e *end) take(fd int, waiting *netloop.Buffer, readable, partial bool) {
	e.fd, e.buffer, e.readable, e.partial = fd, waiting, readable, partial
}
