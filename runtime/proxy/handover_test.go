//go:build linux

package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

// handedOver are descriptors as another process would get them.
func handedOver(t *testing.T, fds []int) []int {
	t.Helper()
	copies := make([]int, len(fds))
	for i, fd := range fds {
		var err error
		if copies[i], err = netloop.Duplicate(fd); err != nil {
			t.Fatal(err)
		}
	}
	return copies
}

// succeed has a Server with so many loops adopt a socket, and says how it serves there.
func succeed(t *testing.T, k *Socket, loops int) (next *Socket, serve func(*Handler)) {
	t.Helper()
	next, err := startServer(t, loops).Adopt(k.Endpoint(), handedOver(t, k.Descriptors()))
	if err != nil {
		t.Fatal(err)
	}
	return next, next.Serve
}

// TestHandoverLosesNoConnection has one Server take over from another again and again, with
// more loops and with fewer, while clients connect without pause: each is answered.
func TestHandoverLosesNoConnection(t *testing.T) {
	const clients, handovers = 8, 12
	a := startBackend(t, sayName('a'))
	_, k, h := balanced(t, 2, listenerOf(a))
	var running sync.WaitGroup
	var asked atomic.Int64
	ends := make(chan struct{})
	for range clients {
		running.Go(func() {
			for {
				select {
				case <-ends:
					return
				default:
				}
				if _, err := ask(k); err != nil {
					t.Error(err)
				}
				asked.Add(1)
			}
		})
	}
	now, requests := k, int64(0)
	for n := range handovers {
		next, serve := succeed(t, now, 1+n%3)
		now.Pause()
		if n%4 == 3 { // who was to take over has failed
			now.Resume()
			next.Leave()
			continue
		}
		h2 := handle(listenerOf(a), nil)
		serve(h2)
		now.Leave()
		if err := next.Spread(); err != nil {
			t.Fatal(err)
		}
		requests += settled(t, h).Requests
		now, h = next, h2
		for begun := asked.Load(); asked.Load() < begun+50; {
			time.Sleep(time.Millisecond)
		}
	}
	close(ends)
	running.Wait()
	counted := settled(t, h)
	if requests += counted.Requests; requests != asked.Load() || counted.Errors != 0 {
		t.Errorf("%d connections counted, %d made; %+v", requests, asked.Load(), counted.Counts)
	}
}

// TestPausedSocketQueues: who comes while nobody accepts is served by who accepts next, and
// what is open goes on where it is.
func TestPausedSocketQueues(t *testing.T) {
	for _, successor := range []bool{true, false} {
		t.Run(fmt.Sprint("successor ", successor), func(t *testing.T) {
			a := startBackend(t, echo)
			s, k, h := balanced(t, 2, listenerOf(a))
			open := connect(t, k)
			exchange(t, open, "before")
			next, serve := succeed(t, k, 1)
			k.Pause()
			var waiting []*net.TCPConn
			for range 20 {
				waiting = append(waiting, connect(t, k))
			}
			exchange(t, open, "meanwhile")
			if n := h.Counters().Requests; n != 1 {
				t.Errorf("a paused socket accepted %d connections", n-1)
			}
			if successor {
				serve(handle(listenerOf(a), nil))
				k.Leave()
			} else {
				next.Leave()
				k.Resume()
			}
			for _, c := range waiting {
				exchange(t, c, "after")
			}
			exchange(t, open, "after")
			want := 21
			if successor {
				want = 1
			}
			if n := s.Flows(); n != want {
				t.Errorf("the first Server carries %d, want %d", n, want)
			}
			open.Close()
			eventually(t, "it is empty", func() bool { return s.Flows() == want-1 })
		})
	}
}

// TestSeenOffClients: a client of HTTP that has asked on a connection gets one more answer
// there, which sends it to the successor. None sees its connection closed under a request.
func TestSeenOffClients(t *testing.T) {
	page := startSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") })
	s, k, h := web(t, 2, httpListenerOf(page))
	var clients []*http.Client
	dialled := new(atomic.Int64)
	get := func(c *http.Client) (closes bool) {
		t.Helper()
		resp, err := c.Get("http://" + k.Endpoint().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != "page" || err != nil {
			t.Fatalf("%q, %v", body, err)
		}
		return resp.Close
	}
	for range 10 {
		transport := &http.Transport{}
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		t.Cleanup(transport.CloseIdleConnections)
		c := &http.Client{Transport: transport, Timeout: patience}
		clients = append(clients, c)
		get(c)
	}
	next, serve := succeed(t, k, 2)
	k.Pause()
	serve(handle(httpListenerOf(page), nil))
	k.Leave()
	h.SeeOff()
	for _, c := range clients {
		if !get(c) {
			t.Error("an answer did not say that the connection ends")
		}
	}
	eventually(t, "nobody is left", func() bool { return s.Flows() == 0 })
	for _, c := range clients {
		if get(c) {
			t.Error("the successor closes a connection")
		}
	}
	if n := dialled.Load(); n != 20 {
		t.Errorf("10 clients made %d connections, want one with each Server", n)
	}
	if n := next.server.Flows(); n != 10 {
		t.Errorf("the successor carries %d clients", n)
	}
}

// TestUDPHandover: whoever takes over gets the datagrams, and the answers to earlier ones
// still reach their client.
func TestUDPHandover(t *testing.T) {
	backend, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	l := listenerOf(backend.LocalAddr().(*net.UDPAddr).AddrPort())
	l.Protocol = "udp"
	hear := func() (string, netip.AddrPort) {
		t.Helper()
		b := make([]byte, 100)
		backend.SetReadDeadline(time.Now().Add(patience))
		n, from, err := backend.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n]), from
	}
	first := startServer(t, 2)
	k, err := first.BindUDP(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	k.Serve(handle(l, nil))
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(k.Endpoint()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "one")
	_, session := hear()
	next, err := startServer(t, 3).AdoptUDP(k.Endpoint(), handedOver(t, k.Descriptors()))
	if err != nil {
		t.Fatal(err)
	}
	k.Pause()
	io.WriteString(c, "two")
	next.Serve(handle(l, nil))
	text, another := hear()
	if text != "two" || another == session {
		t.Errorf("%q came from %v, the first from %v: it is to be another session", text, another, session)
	}
	for _, to := range []netip.AddrPort{session, another} {
		if _, err := backend.WriteToUDPAddrPort([]byte("answer"), to); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		c.SetReadDeadline(time.Now().Add(patience))
		if n, err := c.Read(b); err != nil || string(b[:n]) != "answer" {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
	next.Pause()
	k.Resume()
	io.WriteString(c, "three")
	if text, from := hear(); text != "three" || from != session {
		t.Errorf("%q came from %v, want the first session %v", text, from, session)
	}
	k.Pause()
	next.Resume()
	if err := next.Spread(); err != nil || len(next.Descriptors()) != 3 {
		t.Fatalf("%v, %d sockets for 3 loops", err, len(next.Descriptors()))
	}
	for n := range 20 { // from as many ports, so that some come to the third
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(k.Endpoint()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, fmt.Sprint(n))
		if text, _ := hear(); text != fmt.Sprint(n) {
			t.Errorf("%q came, want %d", text, n)
		}
	}
}

// TestAdoptRefuses: what is no socket of the endpoint is not taken, and stays its owner's.
func TestAdoptRefuses(t *testing.T) {
	s := startServer(t, 2)
	k, err := s.Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	fds := handedOver(t, k.Descriptors())
	wrong := netip.AddrPortFrom(k.Endpoint().Addr(), k.Endpoint().Port()^1)
	if _, err := s.Adopt(wrong, fds); err == nil {
		t.Error("a socket of another port was adopted")
	}
	if _, err := s.AdoptUDP(wrong, fds); err == nil {
		t.Error("a socket of another port was adopted for UDP")
	}
	for _, fd := range fds {
		if err := unix.Close(fd); err != nil {
			t.Errorf("descriptor %d: %v", fd, err)
		}
	}
}
