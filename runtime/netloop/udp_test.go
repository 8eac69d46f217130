//go:build linux

package netloop

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func listenUDP(t testing.TB, ep string, n int) ([]int, netip.AddrPort) {
	t.Helper()
	fds, bound, err := ListenUDP(netip.MustParseAddrPort(ep), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
	return fds, bound
}

// dialUDP is a plain client.
func dialUDP(t testing.TB, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// batchFrom receives until n datagrams are there; on loopback they are at once.
func batchFrom(t testing.TB, b *Batch, fd, n int) {
	t.Helper()
	if got, e := b.RecvFrom(fd); got != n || e != 0 {
		t.Fatalf("received %d datagrams, %v; want %d", got, e, n)
	}
}

func TestListenUDPSpreadsByClient(t *testing.T) {
	for _, ep := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(ep, func(t *testing.T) {
			if ep[0] == '[' && !haveIPv6() {
				t.Skip("no IPv6 here")
			}
			fds, bound := listenUDP(t, ep, 3)
			const clients, each = 60, 3
			var all []*net.UDPConn
			for range clients {
				all = append(all, dialUDP(t, bound))
			}
			for range each {
				for _, c := range all {
					c.Write([]byte("hello"))
				}
			}
			b, owner, used := NewBatch(), map[netip.AddrPort]int{}, map[int]int{}
			for _, fd := range fds {
				for {
					n, e := b.RecvFrom(fd)
					if e == unix.EAGAIN {
						break
					} else if e != 0 {
						t.Fatal(e)
					}
					for i := range n {
						source := b.Source(i).AddrPort()
						if other, ok := owner[source]; ok && other != fd {
							t.Errorf("%v reached two sockets", source)
						}
						owner[source] = fd
						used[fd]++
						if string(b.Datagram(i)) != "hello" || b.Local(i) != (Local{}) {
							t.Errorf("got %q for %v", b.Datagram(i), b.Local(i))
						}
					}
				}
			}
			for _, c := range all {
				if _, ok := owner[c.LocalAddr().(*net.UDPAddr).AddrPort()]; !ok {
					t.Errorf("nothing from %v", c.LocalAddr())
				}
			}
			if len(owner) != clients || len(used) != len(fds) {
				t.Errorf("%d clients, spread as %v", len(owner), used)
			}
		})
	}
}

func TestListenUDPKeepsStrangersOut(t *testing.T) {
	_, bound := listenUDP(t, "127.0.0.1:0", 2)
	if fds, _, err := ListenUDP(bound, 2); err == nil || !strings.Contains(err.Error(), "udp port "+bound.String()+": already in use") {
		t.Errorf("a second one got %v, %v", fds, err)
	}
	if c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(bound)); err == nil {
		c.Close()
		t.Error("a stranger got the port")
	}
	if _, _, err := ListenUDP(netip.MustParseAddrPort("192.0.2.1:53535"), 1); err == nil || !strings.Contains(err.Error(), "does not have the address") {
		t.Errorf("a foreign address: %v", err)
	}
}

func TestBatchCarriesWhatCame(t *testing.T) {
	fds, bound := listenUDP(t, "127.0.0.1:0", 1)
	fd, b := fds[0], NewBatch()
	if n, e := b.RecvFrom(fd); n != 0 || e != unix.EAGAIN {
		t.Fatalf("received %d, %v from an empty socket", n, e)
	}
	c := dialUDP(t, bound)
	client := NewSockaddr(c.LocalAddr().(*net.UDPAddr).AddrPort())
	sizes := []int{0, 1, 1400, 65507, 0}
	for i, n := range sizes {
		c.Write(bytes.Repeat([]byte{byte('a' + i)}, n))
	}
	batchFrom(t, b, fd, len(sizes))
	for i, n := range sizes {
		if want := bytes.Repeat([]byte{byte('a' + i)}, n); !bytes.Equal(b.Datagram(i), want) || *b.Source(i) != client {
			t.Errorf("datagram %d: %d bytes from %v", i, len(b.Datagram(i)), b.Source(i).AddrPort())
		}
	}
	// Send the middle ones back.
	if n, e := b.Send(fd, 1, 4, b.Source(0), Local{}); n != 3 || e != 0 {
		t.Fatalf("sent %d, %v", n, e)
	}
	got := make([]byte, 64<<10)
	for i := 1; i < 4; i++ {
		if n, err := c.Read(got); err != nil || n != sizes[i] || n > 0 && got[0] != byte('a'+i) {
			t.Errorf("answer %d has %d bytes, %v", i, n, err)
		}
	}
}

func TestBatchIsFullAndGoesOn(t *testing.T) {
	fds, bound := listenUDP(t, "127.0.0.1:0", 1)
	c, b := dialUDP(t, bound), NewBatch()
	const all = 2*BatchSize + 5
	for i := range all {
		fmt.Fprint(c, i)
	}
	next := 0
	for _, want := range []int{BatchSize, BatchSize, 5} {
		batchFrom(t, b, fds[0], want)
		for i := range want {
			if string(b.Datagram(i)) != fmt.Sprint(next) {
				t.Fatalf("got %q at place %d", b.Datagram(i), next)
			}
			next++
		}
	}
}

// TestBatchSharedByFamilies receives IPv4 after IPv6: nothing of the longer address
// stays behind, since addresses are compared as a whole.
func TestBatchSharedByFamilies(t *testing.T) {
	if !haveIPv6() {
		t.Skip("no IPv6 here")
	}
	b := NewBatch()
	for range 2 {
		for _, ep := range []string{"[::1]:0", "127.0.0.1:0"} {
			fds, bound := listenUDP(t, ep, 1)
			c := dialUDP(t, bound)
			c.Write([]byte("hello"))
			batchFrom(t, b, fds[0], 1)
			if want := NewSockaddr(c.LocalAddr().(*net.UDPAddr).AddrPort()); *b.Source(0) != want {
				t.Errorf("%s: source %v, want %v", ep, *b.Source(0), want)
			}
		}
	}
}

func TestDialUDPHearsFromICMP(t *testing.T) {
	fds, bound := listenUDP(t, "127.0.0.1:0", 1)
	to := NewSockaddr(bound)
	fd, e := DialUDP(&to)
	if e != 0 {
		t.Fatal(e)
	}
	defer unix.Close(fd)
	b := NewBatch()
	if n, e := Send(fd, []byte("hello")); n != 5 || e != 0 {
		t.Fatal(n, e)
	}
	batchFrom(t, b, fds[0], 1)
	if n, e := b.Send(fds[0], 0, 1, b.Source(0), Local{}); n != 1 || e != 0 {
		t.Fatal(n, e)
	}
	if n, e := b.Recv(fd); n != 1 || e != 0 || string(b.Datagram(0)) != "hello" {
		t.Fatal(n, e)
	}
	unix.Close(fds[0])
	fds[0] = -1
	if n, e := Send(fd, []byte("hello")); n != 5 || e != 0 {
		t.Fatal(n, e)
	}
	if n, e := b.Recv(fd); n != 0 || e != unix.ECONNREFUSED {
		t.Errorf("nobody is there: %d, %v", n, e)
	}
}

// TestAddInputIsSilentAboutRoom sends a lot: only what arrives is reported.
func TestAddInputIsSilentAboutRoom(t *testing.T) {
	fds, bound := listenUDP(t, "127.0.0.1:0", 1)
	loop := start(t, 1).Loops()[0]
	to := NewSockaddr(bound)
	fd, e := DialUDP(&to)
	if e != 0 {
		t.Fatal(e)
	}
	events := make(chan Events, 100)
	on(t, loop, func() {
		if err := loop.AddInput(fd, handler(func(ev Events) { events <- ev })); err != nil {
			t.Error(err)
		}
	})
	b := NewBatch()
	for range 10 {
		Send(fd, []byte("hello"))
		batchFrom(t, b, fds[0], 1)
	}
	b.Send(fds[0], 0, 1, b.Source(0), Local{})
	if ev := <-events; ev != In {
		t.Errorf("the first event is %#x, want In", ev)
	}
	on(t, loop, func() { loop.Close(fd) })
	if n := len(events); n != 0 {
		t.Errorf("%d more events", n)
	}
}
