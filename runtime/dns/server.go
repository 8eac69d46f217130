package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"slbctl/runtime/netloop"
)

const (
	udpWorkers = 4                // all UDP is handled by this many goroutines, whatever arrives
	udpBuffer  = 4 << 10          // bytes; a longer query is unreadable and gets FORMERR
	tcpLimit   = 256              // connections at a time; more wait in the accept queue
	tcpTimeout = 10 * time.Second // for one message, from the end of the one before
)

// Server is a name server. It answers REFUSED until the first Serve.
type Server struct {
	zones   atomic.Pointer[Zones]
	running sync.WaitGroup
	places  chan struct{} // one token for each TCP connection

	mu     sync.Mutex
	addr   netip.AddrPort
	udp    *net.UDPConn
	tcp    *net.TCPListener
	conns  map[net.Conn]struct{}
	closed bool
	paused chan struct{} // closed at the end of a pause; nil = no pause
	left   bool          // the sockets are another process's
}

// New returns a Server that listens nowhere yet.
func New() *Server {
	return &Server{places: make(chan struct{}, tcpLimit), conns: make(map[net.Conn]struct{})}
}

// Serve makes zones the answers from now on. With nil everything is REFUSED.
func (s *Server) Serve(zones *Zones) { s.zones.Store(zones) }

// Addr is where the server listens, or the zero value. Where Listen was given port
// 0 it has the real one.
func (s *Server) Addr() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Listen begins to answer on UDP and TCP of one address and port. It can be
// called once; when it fails nothing listens, and the error says who holds the
// port or how to be allowed it.
func (s *Server) Listen(ep netip.AddrPort) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.udp != nil {
		return fmt.Errorf("name server on %s: already listening or closed", ep)
	}
	// Multipath TCP, Go's default for listeners, hides the socket's owner from /proc/net/tcp.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp", ep.String())
	if err != nil {
		return netloop.BindError("tcp", ep, err)
	}
	tcp := l.(*net.TCPListener)
	ep = netip.AddrPortFrom(ep.Addr(), uint16(tcp.Addr().(*net.TCPAddr).Port))
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(ep))
	if err != nil {
		tcp.Close()
		return netloop.BindError("udp", ep, err)
	}
	s.run(ep, udp, tcp)
	return nil
}

// run answers on sockets. The caller holds mu.
func (s *Server) run(ep netip.AddrPort, udp *net.UDPConn, tcp *net.TCPListener) {
	s.addr, s.tcp, s.udp = ep, tcp, udp
	for range udpWorkers {
		s.running.Go(func() { s.serveUDP(udp) })
	}
	s.running.Go(func() { s.serveTCP(tcp) })
}

// Close stops answering and returns when nothing runs any more.
func (s *Server) Close() error {
	s.mu.Lock()
	var err error
	if !s.closed && s.udp != nil {
		err = errors.Join(s.udp.Close(), s.tcp.Close())
		for conn := range s.conns {
			conn.Close()
		}
	}
	s.closed = true
	s.endPause()
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// respond contains a panic to the message that caused it.
func (s *Server) respond(packet []byte, from netip.Addr, tcp bool) (out []byte) {
	defer func() {
		if recover() != nil {
			out = bare(packet, dns.RcodeServerFailure)
		}
	}()
	return respond(s.zones.Load(), packet, from, tcp)
}

func (s *Server) serveUDP(conn *net.UDPConn) {
	buffer := make([]byte, udpBuffer)
	var pause backoff
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if s.waits() {
				continue
			}
			return
		case err != nil:
			pause.wait()
			continue
		}
		pause.reset()
		if out := s.respond(buffer[:n], from.Addr(), false); out != nil {
			// An answer that cannot be sent is lost like any datagram; the client asks again.
			_, _ = conn.WriteToUDPAddrPort(out, from)
		}
	}
}

// serveTCP takes a place before it accepts, so that what waits, waits in the
// kernel's queue and not as a goroutine.
func (s *Server) serveTCP(l *net.TCPListener) {
	var pause backoff
	for {
		s.places <- struct{}{}
		conn, err := l.Accept()
		if err == nil && s.register(conn) {
			pause.reset()
			s.running.Go(func() {
				s.serveConn(conn)
				s.forget(conn)
				<-s.places
			})
			continue
		}
		<-s.places
		switch {
		case err == nil: // closed meanwhile
			conn.Close()
			return
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if s.waits() {
				continue
			}
			return
		}
		pause.wait()
	}
}

func (s *Server) register(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[conn] = struct{}{}
	}
	return !s.closed
}

func (s *Server) forget(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	conn.Close()
}

// serveConn answers the messages of one connection, each behind its length,
// until the client closes, falls silent or sends what deserves no answer.
func (s *Server) serveConn(conn net.Conn) {
	from := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
	for {
		// One deadline for a whole message: bytes that drip do not extend it.
		_ = conn.SetDeadline(time.Now().Add(tcpTimeout))
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		packet := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, packet); err != nil {
			return
		}
		out := s.respond(packet, from, true)
		if out == nil {
			return
		}
		framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(out)), uint16(len(out)))
		if _, err := conn.Write(append(framed, out...)); err != nil {
			return
		}
	}
}

// backoff paces a loop whose socket fails, as it does when descriptors run out:
// the loop must neither end nor burn a core.
type backoff struct{ next time.Duration }

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) wait() {
	b.next = min(max(2*b.next, 5*time.Millisecond), time.Second)
	time.Sleep(b.next)
}
