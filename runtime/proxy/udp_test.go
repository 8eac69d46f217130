//go:build linux

package proxy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/runtime/proxyproto"
	"slbctl/spec"
)

func TestUDPKeepsEachClientOnItsServer(t *testing.T) {
	const clients, rounds = 60, 10
	for _, loops := range []int{1, 2} {
		t.Run(fmt.Sprint("loops=", loops), func(t *testing.T) {
			k, h := balancedUDP(t, loops, udpListenerOf(
				startUDPBackend(t, named('a')), startUDPBackend(t, named('b')), startUDPBackend(t, named('c'))))
			var mu sync.Mutex
			served, sent := map[byte]int{}, 0
			var running sync.WaitGroup
			for range clients {
				c := udpClient(t, k)
				running.Go(func() {
					var server byte
					for round := range rounds {
						p := make([]byte, []int{0, 1, 100, 1400, 20_000}[rand.N(5)])
						for i := range p {
							p[i] = byte(i + round)
						}
						if _, err := c.Write(p); err != nil {
							t.Error(err)
							return
						}
						b := make([]byte, 64<<10)
						n, err := c.Read(b)
						if err != nil || n == 0 || !bytes.Equal(b[1:n], p) {
							t.Errorf("sent %d bytes, got %d back, %v", len(p), n, err)
							return
						}
						if round > 0 && b[0] != server {
							t.Errorf("moved from %c to %c", server, b[0])
						}
						server = b[0]
						mu.Lock()
						sent += len(p)
						mu.Unlock()
					}
					mu.Lock()
					served[server]++
					mu.Unlock()
				})
			}
			running.Wait()
			for _, name := range []byte("abc") {
				if served[name] != clients/3 {
					t.Errorf("clients by server: %v, want %d each", served, clients/3)
				}
			}
			got := h.Counters()
			want := Counts{Connections: clients, Requests: clients, BytesIn: int64(sent), BytesOut: int64(sent + clients*rounds)}
			if got.Counts != want {
				t.Errorf("counted %+v, want %+v", got.Counts, want)
			}
			if d := k.Dropped(); d != (Dropped{}) {
				t.Errorf("dropped %+v", d)
			}
		})
	}
}

func TestUDPLongestAndEmptyDatagrams(t *testing.T) {
	const longest = 65507
	k, _ := balancedUDP(t, 1, udpListenerOf(startUDPBackend(t, echoUDP)))
	c := udpClient(t, k)
	for _, n := range []int{longest, 0, longest - 1, 1, 0} {
		p := bytes.Repeat([]byte{'x'}, n)
		sendUDP(t, c, p)
		if got := receiveUDP(t, c); !bytes.Equal(got, p) {
			t.Fatalf("sent %d bytes, got %d back", n, len(got))
		}
	}
}

// TestUDPBurst has more datagrams wait at both sockets than one call receives.
func TestUDPBurst(t *testing.T) {
	const n = 300
	hold := make(chan struct{})
	k, h := balancedUDP(t, 1, udpListenerOf(startUDPBackend(t, func(p []byte, _ netip.AddrPort) []byte {
		<-hold
		return p
	})))
	c := udpClient(t, k)
	c.SetReadBuffer(4 << 20)
	for i := range n {
		sendUDP(t, c, fmt.Append(nil, i))
	}
	eventually(t, "all are forwarded", func() bool { return h.Counters().BytesIn == 10+2*90+3*200 })
	close(hold)
	for i := range n {
		if got := string(receiveUDP(t, c)); got != fmt.Sprint(i) {
			t.Fatalf("answer %d is %q", i, got)
		}
	}
}

// TestUDPAnswersFromTheAddressAsked binds the unspecified address, in a network
// namespace of its own, and asks at one of many.
func TestUDPAnswersFromTheAddressAsked(t *testing.T) {
	for _, ask := range []string{"127.0.0.1", "127.3.2.1", "::1"} {
		t.Run(ask, func(t *testing.T) {
			s := startServer(t, 2)
			var destination atomic.Value
			backend := startUDPBackend(t, func(p []byte, _ netip.AddrPort) []byte {
				h, n, err := proxyproto.Parse(p)
				if err != nil {
					return p
				}
				destination.Store(h.Destination)
				return p[n:]
			})
			addr := netip.MustParseAddr(ask)
			unspecified := netip.IPv4Unspecified()
			if addr.Is6() {
				unspecified = netip.IPv6Unspecified()
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				// The thread, and with it its network, ends with the goroutine.
				if err := isolate(); err != nil {
					t.Logf("not tested: %v", err)
					return
				}
				k, err := s.BindUDP(netip.AddrPortFrom(unspecified, 0))
				if err != nil {
					t.Error(err)
					return
				}
				l := udpListenerOf(backend)
				l.ProxyProtocol = 2
				k.Serve(handle(l, nil))
				to := netip.AddrPortFrom(addr, k.Endpoint().Port())
				c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				for range 3 {
					c.Write([]byte("hello"))
					b := make([]byte, 100)
					if n, err := c.Read(b); err != nil || string(b[:n]) != "hello" {
						t.Errorf("got %q, %v", b[:n], err)
					}
				}
				if got := destination.Load(); got != to {
					t.Errorf("the server was told of %v, want %v", got, to)
				}
			}()
			<-done
		})
	}
}

// isolate puts the sockets that this goroutine makes from now on into a network of
// their own, where only the loopback device is.
func isolate() error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("a network namespace takes root: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, _ := unix.NewIfreq("lo") // a valid name
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

func TestUDPServerThatIsNotThere(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerSCH} {
		t.Run(scheduler, func(t *testing.T) {
			l := udpListenerOf(closedUDPPort(t), closedUDPPort(t), startUDPBackend(t, named('c')))
			l.Scheduler = scheduler
			k, h := balancedUDP(t, 1, l)
			c := udpClient(t, k)
			// Each datagram goes to another server, whatever the scheduler, until one is there.
			for sent := int64(1); h.Counters().Backends["c"].Requests == 0; sent++ {
				sendUDP(t, c, []byte("next"))
				eventually(t, "the kernel's word is counted, or a server found", func() bool {
					return sumErrors(h) == sent || h.Counters().Backends["c"].Requests == 1
				})
			}
			if got := receiveUDP(t, c); string(got) != "cnext" {
				t.Errorf("got %q", got)
			}
			counters := h.Counters()
			if a, b := counters.Backends["a"], counters.Backends["b"]; a.Errors > 1 || b.Errors > 1 || scheduler == spec.SchedulerRR && a.Errors+b.Errors != 2 {
				t.Errorf("counted %+v", counters.Backends)
			}
			if counters.Requests != 1 || counters.Connections != 1 || counters.Backends["c"].Errors != 0 {
				t.Errorf("one session is counted as %+v", counters)
			}
			for i, want := range []int64{0, 0, 1} {
				if n := h.pools[0].state.Active(i); n != want {
					t.Errorf("server %d has %d in flight, want %d", i, n, want)
				}
			}
		})
	}
}

func sumErrors(h *Handler) (n int64) {
	for _, b := range h.Counters().Backends {
		n += b.Errors
	}
	return n
}

// TestUDPServerComesBack has no other server: the one that was not there is asked again.
func TestUDPServerComesBack(t *testing.T) {
	gone := closedUDPPort(t)
	k, h := balancedUDP(t, 1, udpListenerOf(gone))
	c := udpClient(t, k)
	for i := range 3 {
		sendUDP(t, c, []byte("lost"))
		eventually(t, "the kernel's word is counted", func() bool { return sumErrors(h) == int64(i+1) })
	}
	back, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(gone))
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	sendUDP(t, c, []byte("found"))
	back.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 10)
	if n, _, err := back.ReadFromUDPAddrPort(b); err != nil || string(b[:n]) != "found" {
		t.Fatalf("got %q, %v", b[:n], err)
	}
}

func TestUDPWithoutAnyServer(t *testing.T) {
	k, h := balancedUDP(t, 1, udpListenerOf())
	c := udpClient(t, k)
	sendUDP(t, c, []byte("lost"))
	eventually(t, "it is counted", func() bool { return k.Dropped().NoServer == 1 })
	if got := settled(t, h); got.Requests != 1 || got.Errors != 1 {
		t.Errorf("counted %+v", got.Counts)
	}
	k.Serve(nil)
	sendUDP(t, c, []byte("lost"))
	eventually(t, "it is counted", func() bool { return k.Dropped().NoServer == 2 })
}

func TestUDPIdleSessionsEnd(t *testing.T) {
	inTime(t, 60*time.Millisecond, func(timeout time.Duration) bool {
		l := udpListenerOf(startUDPBackend(t, named('a')), startUDPBackend(t, named('b')))
		l.EstablishedTimeout = timeout
		k, h := balancedUDP(t, 1, l)
		c := udpClient(t, k)
		start := time.Now()
		for last := start; time.Since(start) < timeout*5/3; time.Sleep(timeout / 3) { // the pace of the client
			asked := time.Now()
			if got := serverOf(t, c, nil); time.Since(last) >= timeout {
				return false
			} else if got != 'a' {
				t.Fatalf("%c answered after %v", got, time.Since(start))
			}
			last = asked
		}
		got := settled(t, h)
		if got.TimedOut != 1 || got.Requests != 1 {
			t.Errorf("counted %+v", got.Counts)
		}
		if got := serverOf(t, c, nil); got != 'b' {
			t.Errorf("a new session is with %c", got)
		}
		return true
	})
}

func TestUDPChangesKeepSessions(t *testing.T) {
	a, b := startUDPBackend(t, named('a')), startUDPBackend(t, named('b'))
	k, h := balancedUDP(t, 2, udpListenerOf(a))
	var clients []*net.UDPConn
	for range 20 {
		c := udpClient(t, k)
		if got := serverOf(t, c, []byte("before")); got != 'a' {
			t.Fatalf("%c answered", got)
		}
		clients = append(clients, c)
	}
	other := udpListenerOf(b)
	other.Backends[0].Name = "b"
	next := handle(other, h)
	k.Serve(next)
	if got := serverOf(t, udpClient(t, k), []byte("new")); got != 'b' {
		t.Errorf("a new client is with %c", got)
	}
	for _, c := range clients {
		if got := serverOf(t, c, []byte("after")); got != 'a' {
			t.Fatalf("moved to %c", got)
		}
	}
	k.Serve(nil)
	for _, c := range clients {
		if got := serverOf(t, c, []byte("still")); got != 'a' {
			t.Fatalf("moved to %c", got)
		}
	}
	if n := next.Active("l", "a"); n != 20 {
		t.Errorf("%d sessions with a, want 20", n)
	}
}

func TestUDPDrain(t *testing.T) {
	a, b := startUDPBackend(t, named('a')), startUDPBackend(t, named('b'))
	k, h := balancedUDP(t, 2, udpListenerOf(a, b))
	var onA, onB []*net.UDPConn
	for range 20 {
		if c := udpClient(t, k); serverOf(t, c, nil) == 'a' {
			onA = append(onA, c)
		} else {
			onB = append(onB, c)
		}
	}
	next := udpListenerOf(b)
	next.Backends[0].Name = "b"
	h = handle(next, h)
	k.Serve(h)
	const grace = 200 * time.Millisecond
	start := time.Now()
	drained := h.Drain("l", "a", a, start.Add(grace))
	for _, c := range onA {
		if got := serverOf(t, c, []byte("in time")); got != 'a' && time.Since(start) < grace {
			t.Errorf("moved to %c before the deadline", got)
		}
	}
	<-drained
	if took := time.Since(start); took < grace {
		t.Errorf("drained after %v, before the deadline of %v", took, grace)
	}
	for _, c := range append(onA, onB...) {
		if got := serverOf(t, c, []byte("late")); got != 'b' {
			t.Errorf("%c answered", got)
		}
	}
	got := h.Counters()
	if got.Backends["a"].Cut != int64(len(onA)) || got.Backends["a"].Connections != 0 || got.Backends["b"].Cut != 0 {
		t.Errorf("counted %+v", got)
	}
	// What nobody has is drained at once, and the close of the socket ends the rest.
	<-h.Drain("l", "a", a, time.Now().Add(time.Hour))
	long := h.DrainAll(time.Now().Add(time.Hour))
	select {
	case <-long:
		t.Fatal("drained with sessions open")
	default:
	}
	k.Close()
	<-long
	if n := settled(t, h).Connections; n != 0 {
		t.Errorf("%d sessions of a closed socket", n)
	}
	<-h.DrainAll(time.Now().Add(time.Hour))
}

func TestUDPSessionsAddNoGoroutines(t *testing.T) {
	const sessions = 5000
	k, h := balancedUDP(t, 2, udpListenerOf(startUDPBackend(t, echoUDP)))
	before := runtime.NumGoroutine()
	for range sessions {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(k.Endpoint()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		c.Write([]byte("hello"))
		if n, err := c.Read(make([]byte, 10)); err != nil || n != 5 {
			t.Fatal(n, err)
		}
	}
	if n := h.Counters().Connections; n != sessions {
		t.Errorf("%d sessions, want %d", n, sessions)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d with %d sessions", before, after, sessions)
	}
}

func TestUDPLimitOfSessions(t *testing.T) {
	inTime(t, 300*time.Millisecond, func(timeout time.Duration) bool {
		l := udpListenerOf(startUDPBackend(t, echoUDP))
		l.EstablishedTimeout = timeout
		k := bindUDP(t, startServer(t, 1))
		k.receivers[0].limit = 3
		h := handle(l, nil)
		k.Serve(h)
		start := time.Now()
		late := func() bool { return time.Since(start) >= timeout } // a session may have ended
		var clients []*net.UDPConn
		for range 3 {
			c := udpClient(t, k)
			sendUDP(t, c, []byte("hello"))
			receiveUDP(t, c)
			clients = append(clients, c)
		}
		over := udpClient(t, k)
		sendUDP(t, over, []byte("too many"))
		eventually(t, "it is counted", func() bool { return k.Dropped().Sessions == 1 || late() })
		if late() {
			return false
		}
		for _, c := range clients {
			sendUDP(t, c, []byte("still"))
			receiveUDP(t, c)
		}
		wantSilence(t, over)
		settled(t, h)
		sendUDP(t, over, []byte("now"))
		receiveUDP(t, over)
		return true
	})
}

func TestUDPAccessList(t *testing.T) {
	l := udpListenerOf(startUDPBackend(t, echoUDP))
	l.ACL = balance.NewAccessList([]netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}, true)
	k, h := balancedUDP(t, 1, l)
	denied := udpClient(t, k)
	sendUDP(t, denied, []byte("hello"))
	eventually(t, "it is counted", func() bool { return h.Counters().Denied == 1 })
	wantSilence(t, denied)
	from := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)}
	c, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(k.Endpoint()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	sendUDP(t, c, []byte("hello"))
	receiveUDP(t, c)
	if got := h.Counters(); got.Requests != 1 {
		t.Errorf("counted %+v", got.Counts)
	}
}

// TestUDPQuota holds the sessions of a balancer, and a listener's bytes each way, to
// what they may use.
func TestUDPQuota(t *testing.T) {
	inTime(t, 300*time.Millisecond, func(timeout time.Duration) bool { return udpQuota(t, timeout) })
}

// udpQuota says whether all was done before the first session could end.
func udpQuota(t *testing.T, timeout time.Duration) bool {
	const size = 60_000 // of which the burst of a bandwidth holds one
	l := udpListenerOf(startUDPBackend(t, echoUDP))
	l.LoadBalancer, l.Address, l.MaxConnections, l.Bandwidth = "lb", "listener", 2, 1
	l.EstablishedTimeout = timeout
	quota := balance.NewQuotas([]*balance.Listener{l}, nil)["lb"]
	k := bindUDP(t, startServer(t, 1))
	h := NewHandler(l, []*balance.State{balance.NewState(&l.Pool, nil)}, quota, nil)
	h.SetTable(0, l.Table(allNormal))
	k.Serve(h)

	start := time.Now()
	late := func() bool { return time.Since(start) >= timeout }
	first, second := udpClient(t, k), udpClient(t, k)
	sendUDP(t, first, make([]byte, size))
	sendUDP(t, second, make([]byte, size))
	receiveUDP(t, first)
	eventually(t, "the second is too much from clients", func() bool { return k.Dropped().BytesIn == size || late() })
	if d := k.Dropped(); d != (Dropped{Bandwidth: 1, BytesIn: size}) && !late() {
		t.Errorf("dropped %+v", d)
	}
	over := udpClient(t, k)
	sendUDP(t, over, nil)
	eventually(t, "a third client is too much", func() bool { return h.Counters().Dropped == 1 || late() })
	if n := quota.Connections.Open(); late() {
		return false
	} else if n != 2 {
		t.Errorf("%d sessions count, want 2", n)
	}
	settled(t, h)
	if n := quota.Connections.Open(); n != 0 {
		t.Errorf("%d sessions count after the end", n)
	}
	sendUDP(t, over, nil)
	receiveUDP(t, over)
	return true
}

// TestUDPBandwidthOut has a server answer more than the listener may send.
func TestUDPBandwidthOut(t *testing.T) {
	inTime(t, 300*time.Millisecond, func(span time.Duration) bool { return udpBandwidthOut(t, span) })
}

// udpBandwidthOut says whether the second answer came while there was room for one only.
func udpBandwidthOut(t *testing.T, span time.Duration) bool {
	const size = 60_000
	l := udpListenerOf(startUDPBackend(t, func(p []byte, _ netip.AddrPort) []byte { return make([]byte, size) }))
	l.LoadBalancer, l.Address, l.Bandwidth = "lb", "listener", 1
	k := bindUDP(t, startServer(t, 1))
	h := NewHandler(l, []*balance.State{balance.NewState(&l.Pool, nil)}, balance.NewQuotas([]*balance.Listener{l}, nil)["lb"], nil)
	h.SetTable(0, l.Table(allNormal))
	k.Serve(h)
	c := udpClient(t, k)
	start := time.Now()
	sendUDP(t, c, []byte("a"))
	sendUDP(t, c, []byte("b"))
	receiveUDP(t, c)
	eventually(t, "the second answer is too much", func() bool { return k.Dropped().Bandwidth == 1 || time.Since(start) >= span })
	if k.Dropped().Bandwidth == 0 {
		return false
	}
	wantSilence(t, c)
	if d := k.Dropped(); d != (Dropped{Bandwidth: 1, BytesOut: size}) {
		t.Errorf("dropped %+v", d)
	}
	if got := h.Counters(); got.BytesIn != 2 || got.BytesOut != 2*size {
		t.Errorf("counted %+v", got.Counts)
	}
	return true
}

func TestUDPAnnouncesTheClient(t *testing.T) {
	l := udpListenerOf(startUDPBackend(t, echoUDP))
	l.ProxyProtocol = 2
	k, h := balancedUDP(t, 1, l)
	c := udpClient(t, k)
	// One that has no room for the header is lost; the next is the first.
	sendUDP(t, c, make([]byte, 65507))
	eventually(t, "it is counted", func() bool { return k.Dropped().TooLong == 1 })
	sendUDP(t, c, []byte("first"))
	got := receiveUDP(t, c)
	head, n, err := proxyproto.Parse(got)
	want := proxyproto.Header{Version: 2, Datagram: true, Source: c.LocalAddr().(*net.UDPAddr).AddrPort(), Destination: k.Endpoint()}
	if err != nil || head != want || string(got[n:]) != "first" {
		t.Errorf("got %+v and %q, %v; want %+v", head, got[n:], err, want)
	}
	sendUDP(t, c, []byte("second"))
	if got := string(receiveUDP(t, c)); got != "second" {
		t.Errorf("the second datagram came as %q", got)
	}
	if in := h.Counters().BytesIn; in != int64(len("firstsecond")) {
		t.Errorf("%d bytes counted: the header is not the client's", in)
	}
}

func TestUDPBindRefusesATakenPort(t *testing.T) {
	k := bindUDP(t, startServer(t, 2))
	second := startServer(t, 2)
	if _, err := second.BindUDP(k.Endpoint()); err == nil {
		t.Fatal("two servers have one port")
	} else if want := fmt.Sprintf("udp port %s: already in use by this process (pid %d)", k.Endpoint(), os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not contain %q", err, want)
	}
	if c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(k.Endpoint())); err == nil {
		c.Close()
		t.Error("a stranger got the port")
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := second.BindUDP(k.Endpoint())
	if err != nil {
		t.Fatalf("the port is not free after Close: %v", err)
	}
	again.Close()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUDPDatagramsAllocateNothing needs the test's own client and server to allocate
// nothing either.
func TestUDPDatagramsAllocateNothing(t *testing.T) {
	k, _ := balancedUDP(t, 1, udpListenerOf(startUDPBackend(t, echoUDP)))
	c := udpClient(t, k)
	p, b := []byte("hello"), make([]byte, 10)
	exchange := func() {
		c.Write(p)
		if n, err := c.Read(b); err != nil || n != len(p) {
			t.Fatal(n, err)
		}
	}
	exchange()
	if n := allocsPerRun(1000, exchange); n != 0 {
		t.Errorf("%v allocations for a datagram and its answer", n)
	}
}
