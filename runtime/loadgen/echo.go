package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// echo has a server send back a line.
func (g *generator) echo(x *line, r *Reply) {
	const said = "slbctl\n"
	r.Source = x.source
	stop := context.AfterFunc(g.ctx, func() { _ = x.SetDeadline(time.Unix(1, 0)) }) // a closed one needs none
	defer stop()
	if _, err := io.WriteString(x, said); err != nil {
		g.fails(r, err)
		return
	}
	heard := make([]byte, len(said))
	n, err := io.ReadFull(x.in, heard)
	switch {
	case err != nil && n == 0:
		g.fails(r, err)
	case err != nil || string(heard) != said:
		r.Fate, r.Err = Broken, fmt.Errorf("%q came back of %q: %w", heard[:n], said, cmp.Or(err, errNoEcho))
	default:
		r.Fate, r.Done = Answered, g.now()
	}
}

var errNoEcho = errors.New("no echo")

// datagram has a server send back a datagram, of one byte: more could look like QUIC's, and
// its connection id would decide.
func (g *generator) datagram(c *Call, r *Reply) {
	const said = "!"
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(c.Source)}
	conn, err := d.DialContext(g.ctx, "udp", g.target.Endpoint.String())
	if err != nil {
		r.Fate, r.Err = Unsent, err
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(g.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // a closed one needs none
	defer stop()
	r.Source = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := conn.SetDeadline(time.Now().Add(g.target.Patience)); err != nil {
		r.Fate, r.Err = Unsent, err
		return
	}
	heard := make([]byte, 2*len(said))
	_, err = io.WriteString(conn, said)
	n := 0
	if err == nil {
		n, err = conn.Read(heard)
	}
	switch {
	case err != nil:
		g.fails(r, err)
	case string(heard[:n]) != said:
		r.Fate, r.Err = Broken, fmt.Errorf("%q came back of %q: %w", heard[:n], said, errNoEcho)
	default:
		r.Fate, r.Done = Answered, g.now()
	}
}
