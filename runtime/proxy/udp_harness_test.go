//go:build linux

package proxy

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"slbctl/runtime/balance"
)

// startUDPBackend answers each datagram with what answer makes of it; nil is
// silence. It reports its endpoint.
func startUDPBackend(t testing.TB, answer func(p []byte, from netip.AddrPort) []byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadBuffer(4 << 20)
	var running sync.WaitGroup
	running.Go(func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				t.Error(err)
				return
			}
			if out := answer(b[:n], from); out != nil {
				c.WriteToUDPAddrPort(out, from)
			}
		}
	})
	t.Cleanup(func() {
		c.Close()
		running.Wait()
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func echoUDP(p []byte, _ netip.AddrPort) []byte { return p }

// named answers with a name in front of what it got.
func named(name byte) func([]byte, netip.AddrPort) []byte {
	return func(p []byte, _ netip.AddrPort) []byte { return append([]byte{name}, p...) }
}

// closedUDPPort is an endpoint where nobody receives.
func closedUDPPort(t testing.TB) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// udpListenerOf is listenerOf for UDP.
func udpListenerOf(endpoints ...netip.AddrPort) *balance.Listener {
	l := listenerOf(endpoints...)
	l.Protocol = "udp"
	return l
}

// balancedUDP is a UDP socket in front of backends.
func balancedUDP(t testing.TB, loops int, l *balance.Listener) (*UDPSocket, *Handler) {
	t.Helper()
	k := bindUDP(t, startServer(t, loops))
	h := handle(l, nil)
	k.Serve(h)
	return k, h
}

func bindUDP(t testing.TB, s *Server) *UDPSocket {
	t.Helper()
	k, err := s.BindUDP(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// udpClient is a socket connected to the balancer: it gets nothing that comes from
// another address.
func udpClient(t testing.TB, k *UDPSocket) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(k.Endpoint()))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c
}

func sendUDP(t testing.TB, c *net.UDPConn, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
}

func receiveUDP(t testing.TB, c *net.UDPConn) []byte {
	t.Helper()
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// serverOf sends a datagram and returns the name of the server that answered it.
func serverOf(t testing.TB, c *net.UDPConn, p []byte) byte {
	t.Helper()
	sendUDP(t, c, p)
	got := receiveUDP(t, c)
	if len(got) == 0 || !bytes.Equal(got[1:], p) {
		t.Fatalf("sent %d bytes %.20q, got %d bytes %.20q back", len(p), p, len(got), got)
	}
	return got[0]
}

// wantSilence fails if something comes.
func wantSilence(t testing.TB, c *net.UDPConn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 64<<10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes, %v; want silence", n, err)
	}
}
