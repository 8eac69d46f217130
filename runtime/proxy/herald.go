//go:build linux

package proxy

import (
	"net/netip"

	"slbctl/runtime/netloop"
	"slbctl/runtime/proxyproto"
)

// destination is the address that the client has connected to.
func (c *conn) destination() netip.AddrPort {
	if c.declared.IsValid() {
		return c.declared
	}
	return c.socket.endpoint
}

// hear reads the PROXY protocol header that stands before the client's bytes, and
// looks for a server once it is whole. What is no such header is refused: whoever
// leaves it out does not come by way of a balancer.
func (c *conn) hear() {
	scratch := c.worker.loop.Scratch()
	have := copy(scratch, c.herald)
	n, errno := netloop.Recv(c.client.fd, scratch[have:])
	switch {
	case errno == again:
		c.client.readable = false
		return
	case errno != 0 || n == 0:
		c.refuse()
		return
	case n < len(scratch)-have && !c.client.partial:
		c.client.readable = false
	}
	b := scratch[:have+n]
	h, used, err := proxyproto.Parse(b)
	if err != nil {
		c.refuse()
		return
	}
	if used == 0 {
		c.herald = append([]byte(nil), b...)
		if c.client.readable {
			c.worker.loop.Again(&c.client)
		}
		return
	}
	if h.Source.IsValid() {
		c.source, c.declared = h.Source, h.Destination
	}
	if !c.handler.listener.ACL.Allows(c.source.Addr()) {
		c.front.denied.Add(1)
		c.reset()
		return
	}
	c.herald = append([]byte(nil), b[used:]...)
	c.worker.loop.Stop(&c.timer)
	c.phase = waiting
	c.dial()
}

// introduce tells the server, before anything else, who its client is, and passes
// on what the client has sent behind a header of its own. It reports whether the
// connection still stands.
func (c *conn) introduce() bool {
	version := c.handler.listener.ProxyProtocol
	if version == 0 && len(c.herald) == 0 {
		return true
	}
	b := c.worker.loop.Scratch()[:0]
	if version != 0 {
		b = proxyproto.Append(b, version, c.source, c.destination())
	}
	b = append(b, c.herald...)
	c.lane.in.Add(int64(len(c.herald)))
	c.herald = nil
	return c.server.inject(b)
}

// inject sends bytes to an end that nothing waits for yet. It reports whether the
// connection still stands.
func (e *end) inject(b []byte) bool {
	n, errno := netloop.Send(e.fd, b)
	if errno == again {
		n = 0
	} else if errno != 0 {
		e.conn.reset()
		return false
	}
	if n < len(b) {
		e.buffer = e.conn.worker.loop.Keep(b[n:])
	}
	return true
}
