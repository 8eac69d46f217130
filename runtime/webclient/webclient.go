// Package webclient sends a listener single requests and connections, each from an
// address of choice, as a client that it has never seen:
//
//	answer, err := webclient.Get(ctx, webclient.Call{
//		Endpoint: netip.MustParseAddrPort("127.10.0.4:80"), Source: netip.MustParseAddr("127.128.0.1"),
//		Host: "www.abc.com", Path: "/tom",
//	})
//
// It is for applies and tests that ask what runs, not for much traffic.
package webclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"slbctl/runtime/proxyproto"
	"slbctl/spec"
)

const (
	quiet        = 200 * time.Millisecond // a connection that has not been reset by then has a server
	mostAnswered = 64 << 10               // bytes of an answer that are read
)

// Call is one connection, and what is asked on it.
type Call struct {
	Endpoint netip.AddrPort
	Source   netip.Addr // not valid = the kernel's choice
	Port     uint16     // of the source; 0 = the kernel's choice
	// Herald says that the listener takes the PROXY protocol.
	Herald bool

	Secure bool   // TLS
	Method string // empty = GET
	Host   string
	Path   string // and query, sent as it is
	Header http.Header
}

// Answer is what has come back of a request.
type Answer struct {
	Status int
	Header http.Header
}

// dial connects, and introduces the client where the listener takes the PROXY protocol.
func (c *Call) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	if c.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Source, c.Port))
	}
	conn, err := d.DialContext(ctx, "tcp", c.Endpoint.String())
	if err != nil || !c.Herald {
		return conn, err
	}
	from := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	if _, err := conn.Write(proxyproto.Append(nil, 1, from, c.Endpoint)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Get sends the request on a connection of its own and reads the answer to its end, or
// as much of it as tells that it comes. Redirects are not followed.
func Get(ctx context.Context, c Call) (answer Answer, err error) {
	host, _, err := net.SplitHostPort(c.Host)
	if err != nil {
		host = c.Host
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" || host[0] == '[' {
		host = "" // an address is no name to ask for (RFC 6066, section 3)
	}
	transport := &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true,
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
		// Who shows which certificate is not asked here, and the local CA is nobody's to trust.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: host, MinVersion: tls.VersionTLS10},
	}
	defer transport.CloseIdleConnections()
	r := (&http.Request{
		Method: cmp.Or(c.Method, http.MethodGet), Host: c.Host, Header: http.Header{},
		URL: &url.URL{Scheme: spec.ProtocolHTTP, Host: c.Endpoint.String(), Opaque: c.Path}, // opaque: as it is spelled
	}).WithContext(ctx)
	if c.Secure {
		r.URL.Scheme = spec.ProtocolHTTPS
	}
	if c.Header != nil {
		r.Header = c.Header.Clone()
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "slbctl")
	}
	got, err := transport.RoundTrip(r)
	if err != nil {
		return answer, err
	}
	_, err = io.CopyN(io.Discard, got.Body, mostAnswered)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return Answer{got.StatusCode, got.Header}, errors.Join(err, got.Body.Close())
}

// Connect opens a connection and waits whether it is reset. It sends nothing, for nobody
// knows what the server makes of it, but that there is no more to come.
func Connect(ctx context.Context, c Call) (err error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(quiet)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}
