package health

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"slbctl/runtime/balance"
)

// listener opens a TCP socket with the given backlog that nobody accepts from.
func listener(t *testing.T, backlog int) (fd int, at netip.AddrPort) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, backlog)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port))
}

// hanging returns an endpoint whose accept queue is full, so that the kernel
// drops every further SYN.
func hanging(t *testing.T) netip.AddrPort {
	t.Helper()
	_, at := listener(t, 0)
	for range 8 {
		conn, err := net.DialTimeout("tcp", at.String(), 100*time.Millisecond)
		if err != nil {
			return at
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Skip("this kernel does not drop SYNs when an accept queue is full")
	return at
}

func TestConnect(t *testing.T) {
	accepting, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer accepting.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	const timeout, patience = 50 * time.Millisecond, 20 * time.Second
	tests := []struct {
		name     string
		endpoint netip.AddrPort
		timeout  time.Duration
		want     result
		atLeast  time.Duration
	}{
		{"accepted", netip.MustParseAddrPort(accepting.Addr().String()), patience, result{outcome: passed}, 0},
		{"refused", netip.MustParseAddrPort(closed.Addr().String()), patience, result{failed, "connection refused"}, 0},
		{"hanging", hanging(t), timeout, result{failed, "no answer within 50ms"}, timeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			got := connect(t.Context(), test.endpoint, test.timeout)
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if took := time.Since(start); took < test.atLeast || took > test.atLeast+patience/2 {
				t.Errorf("took %v", took)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(timeout, cancel)
		start := time.Now()
		connect(ctx, hanging(t), time.Minute)
		if took := time.Since(start); took > patience {
			t.Errorf("took %v", took)
		}
	})
}

// The server sees a handshake and then a reset, without data.
func TestConnectEndsWithReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := connect(t.Context(), netip.MustParseAddrPort(l.Addr().String()), time.Second); got.outcome != passed {
		t.Fatalf("got %+v", got)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	data, err := io.ReadAll(conn)
	if len(data) != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server read %q, %v; want a reset", data, err)
	}
}

func TestJudge(t *testing.T) {
	wrap := func(err error) error { return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)} }
	tests := []struct {
		err  error
		want result
	}{
		{wrap(syscall.ECONNREFUSED), result{failed, "connection refused"}},
		{wrap(syscall.EHOSTUNREACH), result{failed, "no route to host"}},
		{wrap(syscall.ETIMEDOUT), result{failed, "no answer within 1s"}},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, result{failed, "no answer within 1s"}},
		{wrap(syscall.EMFILE), result{unknown, "too many open files"}},
		{wrap(syscall.EADDRNOTAVAIL), result{unknown, "cannot assign requested address"}},
		{errors.New("odd"), result{failed, "odd"}},
	}
	for _, test := range tests {
		if got := judge(test.err, time.Second); got != test.want {
			t.Errorf("judge(%v) = %+v, want %+v", test.err, got, test.want)
		}
	}
}

// The whole prober on real sockets: a server that dies and comes back.
func TestProberOnSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	events := make(chan Event, 10)
	p := New(func(e Event) { events <- e })
	defer p.Close()
	p.Set([]Target{{Listener: "lb", Backend: "a", Endpoint: at,
		Check: balance.Check{Enabled: true, Interval: 10 * time.Millisecond, Timeout: time.Second, Healthy: 2, Unhealthy: 2}}})
	await := func(health balance.Health, reason string) {
		t.Helper()
		select {
		case e := <-events:
			if e.Health != health || e.Reason != reason {
				t.Fatalf("got %+v, want %v: %s", e, health, reason)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("never %v", health)
		}
	}
	await(balance.Normal, "first check passed")
	l.Close()
	await(balance.Abnormal, "connection refused")
	l, err = net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	await(balance.Normal, "2 of 2 checks passed")
}
