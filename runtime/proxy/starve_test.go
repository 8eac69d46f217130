//go:build linux

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// starvedBackend in the environment makes the test binary a balancer with few
// descriptors in front of that backend.
const starvedBackend = "PROXY_TEST_STARVED_BACKEND"

// starved runs that balancer: it prints its endpoint, then on every line of
// standard input how often it paused and the CPU time it has used, until the input ends.
func starved() bool {
	backend := os.Getenv(starvedBackend)
	if backend == "" {
		return false
	}
	limit := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	s, err := New(Options{Loops: 2})
	if err != nil {
		panic(err)
	}
	k, err := s.Bind(anyPort)
	if err != nil {
		panic(err)
	}
	k.Serve(handle(listenerOf(netip.MustParseAddrPort(backend)), nil))
	fmt.Println(k.Endpoint())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var used syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &used)
		cpu := time.Duration(used.Utime.Nano() + used.Stime.Nano())
		f, err := os.Open("/dev/null")
		f.Close()
		fmt.Println(s.AcceptPauses(), cpu.Milliseconds(), err == nil)
	}
	s.Close()
	return true
}

func TestOutOfDescriptorsRecovers(t *testing.T) {
	// Each connection is held until told, so that they pile up.
	release := make(chan struct{})
	backend := startBackend(t, func(c *net.TCPConn) {
		<-release
		echo(c)
	})
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), starvedBackend+"="+backend.String())
	child.Stderr = os.Stderr
	in, _ := child.StdinPipe()
	out, _ := child.StdoutPipe()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewReader(out)
	line, _ := lines.ReadString('\n')
	k := &Socket{endpoint: netip.MustParseAddrPort(strings.TrimSpace(line))}
	status := func() (pauses int, cpu int, openable bool) {
		fmt.Fprintln(in)
		line, _ := lines.ReadString('\n')
		if _, err := fmt.Sscan(line, &pauses, &cpu, &openable); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		return pauses, cpu, openable
	}

	const clients = 400
	var running sync.WaitGroup
	for i := range clients {
		c := connect(t, k)
		text := fmt.Sprint("client ", i)
		running.Go(func() {
			io.WriteString(c, text)
			c.CloseWrite()
			if b, err := io.ReadAll(c); err != nil || string(b) != text {
				t.Errorf("%s got %q, %v", text, b, err)
			}
			c.Close()
		})
	}
	eventually(t, "accepting pauses", func() bool { n, _, _ := status(); return n > 2 })
	// A loop that spins takes what CPU it gets, all the time; a busy machine may charge one
	// span that was not quiet, but not all of them.
	var openable bool
	eventually(t, "half a second of waiting that takes less than 50 ms of CPU", func() bool {
		_, before, _ := status()
		time.Sleep(500 * time.Millisecond) // the span over which CPU is measured
		_, after, open := status()
		openable = open
		return after-before < 50
	})
	if !openable {
		t.Error("nothing is left for the process's other work")
	}
	close(release)
	running.Wait()
	start := time.Now()
	c := connect(t, k)
	exchange(t, c, "again")
	if took := time.Since(start); took > patience/3 {
		t.Errorf("recovered after %v", took)
	}
}

func TestConnectionsAddNoGoroutines(t *testing.T) {
	// The servers answer from one goroutine, so that every new one is the proxy's.
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, k, h := balanced(t, 2, listenerOf(l.Addr().(*net.TCPAddr).AddrPort()))
	const connections = 1000
	before := runtime.NumGoroutine()
	var clients, servers []*net.TCPConn
	defer func() {
		for _, c := range append(clients, servers...) {
			c.Close()
		}
	}()
	for range connections {
		clients = append(clients, connect(t, k))
		server, err := l.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, server)
	}
	eventually(t, "all are open", func() bool { return h.Counters().Backends["a"].Requests == connections })
	for i, server := range servers {
		if _, err := fmt.Fprint(server, i%10); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range clients {
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d with %d connections open", before, after, connections)
	}
}

func TestBindRefusesATakenPort(t *testing.T) {
	first := startServer(t, 4)
	k, err := first.Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := startServer(t, 4).Bind(k.Endpoint()); err == nil {
		t.Fatal("two servers have one port")
	} else if want := fmt.Sprintf("this process (pid %d)", os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not contain %q", err, want)
	}
	if l, err := net.Listen("tcp", k.Endpoint().String()); err == nil {
		l.Close()
		t.Error("a stranger got the port")
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := first.Bind(k.Endpoint())
	if err != nil {
		t.Fatalf("the port is not free after Close: %v", err)
	}
	again.Close()
}
