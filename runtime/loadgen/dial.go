package loadgen

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/proxyproto"
)

// line is a connection to the target.
type line struct {
	net.Conn
	in      *bufio.Reader
	source  netip.AddrPort
	visitor *visitor
	used    bool // a request was answered on it
}

func (x *line) close() { _ = x.Conn.Close() } // nothing is lost that was not read

// errUnsent marks what this machine could not do; the target has seen nothing of it.
var errUnsent = errors.New("not sent")

// dial connects from a call's source, and greets as the target wants it. Everything on the
// connection is over by the deadline, or when ctx ends.
func (g *generator) dial(ctx context.Context, c *Call, deadline time.Time) (*line, error) {
	d := net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(c.Source),
		Control:   func(_, _ string, raw syscall.RawConn) error { return bindLate(raw, c.Source.Port()) },
		KeepAlive: -1,
		Deadline:  deadline,
	}
	conn, err := d.DialContext(ctx, "tcp", g.target.Endpoint.String())
	if err != nil {
		if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			err = errors.Join(errUnsent, err)
		}
		return nil, err
	}
	x := &line{Conn: conn, source: conn.LocalAddr().(*net.TCPAddr).AddrPort()}
	if err := errors.Join(conn.SetDeadline(deadline), g.greet(x, c)); err != nil {
		x.close()
		return nil, err
	}
	x.in = bufio.NewReader(x.Conn)
	return x, nil
}

func (g *generator) greet(x *line, c *Call) error {
	if g.target.Herald {
		if _, err := x.Write(proxyproto.Append(nil, 1, x.source, g.target.Endpoint)); err != nil {
			return err
		}
	}
	if !g.target.Secure {
		return nil
	}
	// Who shows which certificate is not asked here, and the local CA is nobody's to trust.
	conn := tls.Client(x.Conn, &tls.Config{InsecureSkipVerify: true, ServerName: nameOf(c.Host), MinVersion: tls.VersionTLS10})
	x.Conn = conn
	return conn.Handshake()
}

// nameOf is a host as TLS asks for it: an address is no name (RFC 6066, section 3).
func nameOf(host string) string {
	if _, err := netip.ParseAddr(host); err == nil || host == "" || host[0] == '[' {
		return ""
	}
	return host
}

// bindLate has the kernel choose the port when it knows the other end, so that an address
// has its ports once for each target, and a port of the caller's choice may still be in
// TIME_WAIT.
func bindLate(raw syscall.RawConn, port uint16) (err error) {
	control := raw.Control(func(fd uintptr) {
		// Both kinds of sockets need it, or the one keeps the other from its port.
		if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil && port == 0 {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		}
	})
	return errors.Join(control, err)
}

// fateOf says what an error before the first byte of an answer means.
func fateOf(err error) Fate {
	var slow net.Error
	switch {
	case errors.Is(err, errUnsent):
		return Unsent
	case errors.As(err, &slow) && slow.Timeout():
		return Silent
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.EPIPE), errors.Is(err, net.ErrClosed):
		return Closed
	}
	return Broken
}
