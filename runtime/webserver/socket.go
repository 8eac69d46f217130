package webserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"slbctl/spec"
)

// Limits of the connections that instances accept.
const (
	headerTimeout  = 10 * time.Second
	requestTimeout = time.Minute // whole request
	answerTimeout  = time.Minute // from the end of the header to the end of the answer
	headerLimit    = 32 << 10    // bytes

	// idleTimeout is longer than any established_timeout (900 s), so that it is
	// always the balancer or the client who ends an idle connection. A server that
	// closes first races with the next request on it.
	idleTimeout = 16 * time.Minute
)

// socket is one listening endpoint. It is the net.Listener of its own HTTP
// server: Accept keeps the connections of a tcp_echo site for itself.
type socket struct {
	endpoint netip.AddrPort
	listener net.Listener
	site     atomic.Pointer[site]
	server   *http.Server
	echoes   echoes
	served   chan struct{} // closed when the accept loop has ended

	datagrams *net.UDPConn // instead of listener, server and echoes: a udp_echo site's
}

func listen(endpoint netip.AddrPort, s *site) (*socket, error) {
	if s.network() == "udp" {
		return listenUDP(endpoint, s)
	}
	// Multipath TCP, Go's default for listeners, is off: it gains nothing on
	// loopback and hides the socket's owner from /proc/net/tcp.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(context.Background(), "tcp", endpoint.String())
	if err != nil {
		return nil, err
	}
	k := &socket{endpoint: endpoint, listener: listener, served: make(chan struct{})}
	k.site.Store(s)
	k.server = &http.Server{
		Handler:           http.HandlerFunc(k.serveHTTP),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerLimit,
		Protocols:         new(http.Protocols),
	}
	k.server.Protocols.SetHTTP1(true)
	k.server.Protocols.SetUnencryptedHTTP2(true)
	return k, nil
}

// NameHeader is a field with which a request asks who serves it: the answer has it too,
// with the address and port of the instance. Who does not ask is not told.
const NameHeader = "Slbctl-Server"

func (k *socket) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(NameHeader) != "" {
		w.Header().Set(NameHeader, k.endpoint.String())
	}
	k.site.Load().serve(w, r)
}

// run accepts until the socket is closed.
func (k *socket) run() {
	defer close(k.served)
	if k.datagrams != nil {
		k.echoDatagrams()
		return
	}
	// Accept fails only when the socket is closed, so there is no other error to tell.
	_ = k.server.Serve(k)
}

// Accept returns the next HTTP connection. Any failure but being closed is
// waited out, longer each time: being out of descriptors must neither end the
// loop nor burn a core.
func (k *socket) Accept() (net.Conn, error) {
	const longest = time.Second
	pause := 5 * time.Millisecond
	for {
		conn, err := k.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil:
			time.Sleep(pause)
			pause = min(2*pause, longest)
		default:
			s := k.site.Load()
			if s.protocol != spec.ProtocolTCPEcho {
				return conn, nil
			}
			k.echoes.start(conn, s.fault)
		}
	}
}

// Close refuses new connections from now on.
func (k *socket) Close() error {
	if k.datagrams != nil {
		return k.datagrams.Close()
	}
	return k.listener.Close()
}

// Addr is the endpoint.
func (k *socket) Addr() net.Addr { return k.listener.Addr() }

// finish lets the requests under way end, until ctx does. The socket is closed
// and has run.
func (k *socket) finish(ctx context.Context) {
	if k.datagrams != nil {
		<-k.served
		return
	}
	k.echoes.stop()
	if k.server.Shutdown(ctx) != nil {
		// The error of Shutdown is that time is up; closing cannot be refused.
		_ = k.server.Close()
	}
	<-k.served
	k.echoes.wait()
}
