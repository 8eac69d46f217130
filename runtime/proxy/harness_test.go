//go:build linux

package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

func TestMain(m *testing.M) {
	if starved() || starvedHTTP() || victim() || securedChild() {
		return
	}
	before := openSockets()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if after := openSockets(); code == 0 && after > before {
			fmt.Printf("%d sockets are open after the tests, %d were before\n", after, before)
			code = 1
		}
		os.Exit(code)
	}))
}

// openSockets counts the process's sockets.
func openSockets() (n int) {
	files, _ := os.ReadDir("/proc/self/fd")
	for _, f := range files {
		if to, _ := os.Readlink("/proc/self/fd/" + f.Name()); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

const patience = 30 * time.Second // what must happen at once on a slow machine

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// startServer starts a Server with a number of loops, for the length of the test.
func startServer(t testing.TB, loops int) *Server {
	t.Helper()
	s, err := New(Options{Loops: loops})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// startBackend serves each connection with serve, in a goroutine; the test ends after all of them.
func startBackend(t testing.TB, serve func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var conns []*net.TCPConn
	running.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				time.Sleep(time.Millisecond) // short of descriptors in the test process
				continue
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// closedPort is an endpoint where nobody listens, nor can while the test runs: the port is taken.
func closedPort(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	at := &unix.SockaddrInet4{Addr: anyPort.Addr().As4()}
	if err := unix.Bind(fd, at); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(anyPort.Addr(), uint16(bound.(*unix.SockaddrInet4).Port))
}

// freePort is an endpoint at which a program may listen that takes no socket.
func freePort(t testing.TB) netip.AddrPort {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func echo(c *net.TCPConn) {
	io.Copy(c, c)
	c.CloseWrite()
}

// sayName answers with one byte and closes.
func sayName(name byte) func(*net.TCPConn) {
	return func(c *net.TCPConn) { c.Write([]byte{name}) }
}

// listenerOf is a listener under rr with backends a, b, c, ….
func listenerOf(endpoints ...netip.AddrPort) *balance.Listener {
	l := &balance.Listener{Protocol: "tcp", Serving: true, EstablishedTimeout: time.Minute,
		Pool: balance.Pool{Owner: "l", Scheduler: spec.SchedulerRR, Check: balance.Check{Enabled: true}}}
	for i, ep := range endpoints {
		l.Backends = append(l.Backends, balance.Backend{Name: string(rune('a' + i)), Endpoint: ep, Weight: 100})
	}
	return l
}

func allNormal(int) balance.Health { return balance.Normal }

// handle makes a Handler with every backend usable, following prev.
func handle(l *balance.Listener, prev *Handler) *Handler {
	var states []*balance.State
	for i, p := range l.Pools() {
		var state *balance.State
		if prev != nil && i < len(prev.pools) {
			state = prev.pools[i].state
		}
		states = append(states, balance.NewState(p, state))
	}
	h := NewHandler(l, states, nil, prev)
	for i, p := range l.Pools() {
		h.SetTable(i, p.Table(allNormal))
	}
	return h
}

// balanced is a socket in front of backends.
func balanced(t testing.TB, loops int, l *balance.Listener) (*Server, *Socket, *Handler) {
	t.Helper()
	s := startServer(t, loops)
	k, err := s.Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	h := handle(l, nil)
	k.Serve(h)
	return s, k, h
}

func connect(t testing.TB, k *Socket) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c
}

// ask connects and returns the name of the server that answered.
func ask(k *Socket) (byte, error) {
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(c)
	if err == nil && len(b) != 1 {
		err = fmt.Errorf("%d bytes instead of a name", len(b))
	}
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func exchange(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	if string(b) != text {
		t.Fatalf("sent %q, got %q back", text, b)
	}
}

// wantReset reads until the error, which must be a reset.
func wantReset(t testing.TB, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("connection ended with %v, want a reset", err)
	}
}

// wantRefused connects and must be reset, at the latest when it reads.
func wantRefused(t testing.TB, k *Socket) {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
	if errors.Is(err, syscall.ECONNRESET) {
		return // so soon that connect itself was told
	} else if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	wantReset(t, c)
}

// eventually polls until what holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not so after %v: %s", patience, what)
		}
	}
}

// inTime has f do within a span what a machine that has stood still is too late for. f says
// whether it was in time by its own clock, and is called with ten times the span where it was
// not; what goes wrong in time it reports itself.
func inTime(t testing.TB, span time.Duration, f func(span time.Duration) bool) {
	t.Helper()
	for ; !f(span); span *= 10 {
		if span > patience {
			t.Fatalf("not even in time for %v", span)
		}
	}
}

// settled waits until no connection is open.
func settled(t testing.TB, h *Handler) Counters {
	t.Helper()
	eventually(t, "all connections ended", func() bool { return h.Counters().Connections == 0 })
	return h.Counters()
}

func abort(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// allocsPerRun is testing.AllocsPerRun without its GOMAXPROCS of 1, under which a loop
// would share its processor with the test.
func allocsPerRun(runs int, f func()) float64 {
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / uint64(runs))
}
