package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"slbctl/runtime/netloop"
)

// Another process takes over in three steps: it adopts the files of the sockets, this one
// pauses, and once the other one answers this one leaves. Until then Resume goes on as if
// nothing had been; queries wait meanwhile.

// Files are the sockets, for another process; the caller closes them.
func (s *Server) Files() (udp, tcp *os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if udp, err = netloop.FileOf(s.udp, "udp"); err != nil {
		return nil, nil, fmt.Errorf("name server: %w", err)
	}
	if tcp, err = netloop.FileOf(s.tcp, "tcp"); err != nil {
		udp.Close()
		return nil, nil, fmt.Errorf("name server: %w", err)
	}
	return udp, tcp, nil
}

// Adopt is Listen with sockets that another process has bound. It answers from the first
// Resume on, and closes the files.
func (s *Server) Adopt(ep netip.AddrPort, udp, tcp *os.File) error {
	packets, err := net.FilePacketConn(udp)
	l, tcpErr := net.FileListener(tcp)
	err = errors.Join(err, tcpErr, udp.Close(), tcp.Close())
	queries, ok := packets.(*net.UDPConn)
	accepts, tcpOK := l.(*net.TCPListener)
	if err == nil && !(ok && tcpOK) {
		err = errors.New("what was handed over are not its sockets")
	}
	if err != nil {
		if packets != nil {
			packets.Close()
		}
		if l != nil {
			l.Close()
		}
		return fmt.Errorf("name server on %s: %w", ep, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run(ep, queries, accepts)
	s.pause()
	return nil
}

// Pause stops taking queries, but for one that is being taken in this moment. Those of
// connections that stand are answered all the same.
func (s *Server) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pause()
}

func (s *Server) pause() {
	if s.paused == nil {
		s.paused = make(chan struct{})
		s.deadline(time.Unix(1, 0))
	}
}

// deadline cannot fail on a socket that is open, and on another one it means nothing.
func (s *Server) deadline(t time.Time) {
	_ = s.udp.SetReadDeadline(t)
	_ = s.tcp.SetDeadline(t)
}

// Resume takes queries again, what has come meanwhile first.
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endPause()
}

// endPause lets those go on who wait. The caller holds mu.
func (s *Server) endPause() {
	if s.paused == nil {
		return
	}
	s.deadline(time.Time{})
	close(s.paused)
	s.paused = nil
}

// Leave ends a Server that is paused: its sockets are another process's. Answers under way
// go out, and who has a connection may ask on until its time is up. It returns after that.
func (s *Server) Leave() error {
	s.mu.Lock()
	s.left = true
	if s.paused != nil {
		close(s.paused) // the deadline stays: nobody reads any more
		s.paused = nil
	}
	s.mu.Unlock()
	s.running.Wait()
	return s.Close()
}

// waits returns at the end of a pause, and says whether there is more to serve.
func (s *Server) waits() bool {
	s.mu.Lock()
	paused, left := s.paused, s.left
	s.mu.Unlock()
	if paused != nil && !left {
		<-paused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.left
}
