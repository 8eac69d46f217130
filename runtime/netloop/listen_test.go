//go:build linux

package netloop

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func listen(t *testing.T, ep string, n int) ([]int, netip.AddrPort) {
	t.Helper()
	fds, bound, err := Listen(netip.MustParseAddrPort(ep), n)
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

func TestDeferAccept(t *testing.T) {
	fds, bound := listen(t, "127.0.0.1:0", 1)
	accept := func(milliseconds int) int {
		t.Helper()
		poll := []unix.PollFd{{Fd: int32(fds[0]), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, milliseconds); err != nil {
			t.Fatal(err)
		}
		fd, _, e := Accept(fds[0])
		if e == unix.EAGAIN {
			return -1
		} else if e != 0 {
			t.Fatal(e)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", bound.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	const patience = 10_000

	DeferAccept(fds[0], true)
	c := dial()
	if accept(0) >= 0 {
		t.Error("a client that has said nothing was accepted")
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	fd := accept(patience)
	if fd < 0 {
		t.Fatal("a client that has spoken was not accepted")
	}
	b := make([]byte, 10)
	if n, e := Recv(fd, b); e != 0 || string(b[:n]) != "hello" {
		t.Errorf("what it has said is %q, %v", b[:n], e)
	}
	dial()
	if accept(patience) < 0 {
		t.Error("a client that says nothing at all was never accepted")
	}
	DeferAccept(fds[0], false)
	dial()
	if accept(patience) < 0 {
		t.Error("a client was not accepted")
	}
}

func TestListenSpreadsAndInherits(t *testing.T) {
	for _, ep := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(ep, func(t *testing.T) {
			if ep[0] == '[' && !haveIPv6() {
				t.Skip("no IPv6 here")
			}
			fds, bound := listen(t, ep, 3)
			var clients []net.Conn
			for range 60 {
				c, err := net.Dial("tcp", bound.String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				clients = append(clients, c)
			}
			sources, used := map[netip.AddrPort]bool{}, 0
			for _, fd := range fds {
				for n := 0; ; n++ {
					conn, source, e := Accept(fd)
					if e == unix.EAGAIN {
						if n > 0 {
							used++
						}
						break
					} else if e != 0 {
						t.Fatal(e)
					}
					sources[source] = true
					for _, o := range [][2]int{{unix.IPPROTO_TCP, unix.TCP_NODELAY}, {unix.SOL_SOCKET, unix.SO_OOBINLINE}} {
						if v, err := unix.GetsockoptInt(conn, o[0], o[1]); err != nil || v == 0 {
							t.Errorf("option %v is %d, %v", o, v, err)
						}
					}
					unix.Close(conn)
				}
			}
			if used < 2 {
				t.Errorf("%d of 3 sockets got connections", used)
			}
			for _, c := range clients {
				if source := c.LocalAddr().(*net.TCPAddr).AddrPort(); !sources[source] {
					t.Errorf("%v was not accepted, or as somebody else", source)
				}
			}
		})
	}
}

func haveIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err == nil
}

func TestListenErrors(t *testing.T) {
	_, mine := listen(t, "127.0.0.1:0", 2)
	other := listenInChild(t)
	for name, test := range map[string]struct {
		ep   netip.AddrPort
		is   error
		says []string
	}{
		"by this process":   {mine, unix.EADDRINUSE, []string{mine.String(), "this process"}},
		"by another":        {other.ep, unix.EADDRINUSE, []string{fmt.Sprint("pid ", other.pid), "choose another port"}},
		"of an any-address": {netip.AddrPortFrom(netip.IPv4Unspecified(), other.ep.Port()), unix.EADDRINUSE, []string{fmt.Sprint("pid ", other.pid)}},
		"address of others": {netip.MustParseAddrPort("192.0.2.1:8080"), unix.EADDRNOTAVAIL, []string{"192.0.2.1:8080", "does not have the address"}},
	} {
		t.Run(name, func(t *testing.T) {
			fds, _, err := Listen(test.ep, 2)
			if !errors.Is(err, test.is) || len(fds) != 0 {
				t.Fatalf("got %v and %d sockets, want %v", err, len(fds), test.is)
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestBindErrorTellsTheWaysOut(t *testing.T) {
	err := BindError("tcp", netip.MustParseAddrPort("127.0.0.1:80"), &os.SyscallError{Syscall: "bind", Err: unix.EACCES})
	for _, want := range []string{"SLBCTL_PORT_OFFSET=8000", "8080", "cap_net_bind_service", "ip_unprivileged_port_start"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	odd := errors.New("odd")
	if err := BindError("udp", netip.MustParseAddrPort("127.0.0.1:53"), odd); !errors.Is(err, odd) {
		t.Errorf("%v has lost its cause", err)
	}
}

func TestBindErrorNamesUDPHolder(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = net.ListenPacket("udp", c.LocalAddr().String())
	if err := BindError("udp", c.LocalAddr().(*net.UDPAddr).AddrPort(), err); !strings.Contains(err.Error(), "this process") {
		t.Errorf("error %q does not name the holder", err)
	}
}

// TestHolderIsTheMaster names the first process of a program and not its worker: here
// a shell whose child, another shell, has the socket.
func TestHolderIsTheMaster(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	// Only the worker keeps the socket and reads on.
	cmd := exec.Command("sh", "-c", `exec 4<&0; sh -c 'read go <&4; echo up; read end <&4; true' & exec 3<&-; echo closed; wait`)
	cmd.ExtraFiles = []*os.File{f}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	ep := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	for _, line := range []string{"closed\n", "up\n"} {
		if _, err := io.ReadFull(out, make([]byte, len(line))); err != nil {
			t.Fatal(err)
		}
		if line == "up\n" {
			break
		}
		if _, err := io.WriteString(in, "go\n"); err != nil {
			t.Fatal(err)
		}
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
	if err != nil {
		t.Skip(err)
	}
	worker, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	if master := masterOf(worker); master != cmd.Process.Pid {
		t.Errorf("the master of %d is %d, want %d", worker, master, cmd.Process.Pid)
	}
	_, err = net.Listen("tcp", ep.String())
	if err := BindError("tcp", ep, err); !strings.Contains(err.Error(), fmt.Sprintf("pid %d (sh", cmd.Process.Pid)) {
		t.Errorf("error %q does not name the master, %d", err, cmd.Process.Pid)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

type child struct {
	ep  netip.AddrPort
	pid int
}

// listenInChild has another process hold a port: a shell that inherits the
// socket, which is then closed here.
func listenInChild(t *testing.T) child {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	cmd.ExtraFiles = []*os.File{f}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ep := l.Addr().(*net.TCPAddr).AddrPort()
	f.Close()
	l.Close()
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	return child{ep, cmd.Process.Pid}
}

func TestSockaddrRoundTrip(t *testing.T) {
	for _, s := range []string{"127.0.0.1:80", "10.1.2.3:65535", "[::1]:443", "[2001:db8::1]:1"} {
		ep := netip.MustParseAddrPort(s)
		sa := NewSockaddr(ep)
		if got := sa.AddrPort(); got != ep {
			t.Errorf("%v came back as %v", ep, got)
		}
	}
	mapped := NewSockaddr(netip.MustParseAddrPort("[::ffff:127.0.0.1]:80"))
	if got := mapped.AddrPort().String(); got != "127.0.0.1:80" {
		t.Errorf("a mapped address came back as %v", got)
	}
	if got := (&Sockaddr{}).AddrPort(); got.IsValid() {
		t.Errorf("nothing came back as %v", got)
	}
}

func TestDialAndSelfConnection(t *testing.T) {
	fds, bound := listen(t, "127.0.0.1:0", 1)
	sa := NewSockaddr(bound)
	fd, e := (&Loop{last: math.MaxInt32}).Dial(&sa)
	if e != 0 {
		t.Fatal(e)
	}
	defer unix.Close(fd)
	if conn, _, e := Accept(fds[0]); e != 0 {
		t.Fatal(e)
	} else {
		unix.Close(conn)
	}
	if SelfConnected(fd, &sa) {
		t.Error("a connection to a server is taken for one to itself")
	}
	// A socket that connects to the port it is bound to meets itself.
	self, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(self)
	any := NewSockaddr(netip.MustParseAddrPort("127.0.0.1:0"))
	if err := bind(self, &any); err != nil {
		t.Fatal(err)
	}
	ep, err := localEndpoint(self, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(self, &unix.SockaddrInet4{Addr: ep.Addr().As4(), Port: int(ep.Port())}); err != nil {
		t.Fatal(err)
	}
	if own := NewSockaddr(ep); !SelfConnected(self, &own) {
		t.Error("a connection to itself is not noticed")
	}
}
