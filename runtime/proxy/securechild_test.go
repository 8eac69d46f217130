//go:build linux

package proxy

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
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

// securedSite in the environment makes the test binary an HTTPS balancer with one loop in
// front of that backend, so that what it costs is not mixed up with what its clients cost.
const securedSite = "PROXY_TEST_SECURED_SITE"

// spent is what that balancer has used and counted so far.
type spent struct {
	CPU    time.Duration
	Heap   int64 // bytes, after a collection
	Counts Counters
}

// securedChild runs that balancer: it prints its endpoint, then on every line of standard
// input what it has spent, until the input ends.
func securedChild() bool {
	backend := os.Getenv(securedSite)
	if backend == "" {
		return false
	}
	failed := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	s, err := New(Options{Loops: 1})
	failed(err)
	k, err := s.Bind(anyPort)
	failed(err)
	l := httpsListenerOf(netip.MustParseAddrPort(backend))
	l.RequestTimeout = 4 * time.Second
	failed(l.Prepare())
	h := handle(l, nil)
	config, _ := certified(new(testing.T), "example.com")
	config.NextProtos = append(config.NextProtos, "h2")
	h.Secure(config)
	k.Serve(h)
	fmt.Println(k.Endpoint())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var usage syscall.Rusage
		var mem runtime.MemStats
		failed(syscall.Getrusage(syscall.RUSAGE_SELF, &usage)) // before the collection
		runtime.GC()
		runtime.ReadMemStats(&mem)
		text, err := json.Marshal(spent{
			CPU:  time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
			Heap: int64(mem.HeapAlloc + mem.StackInuse), Counts: h.Counters(),
		})
		failed(err)
		fmt.Println(string(text))
	}
	s.Close()
	return true
}

// child is such a balancer, in a process of its own.
type child struct {
	t     testing.TB
	k     *Socket
	in    io.WriteCloser
	lines *bufio.Reader
	mu    sync.Mutex
}

func startSecuredChild(t testing.TB, backend netip.AddrPort) *child {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), securedSite+"="+backend.String())
	process.Stderr = os.Stderr
	in, _ := process.StdinPipe()
	out, _ := process.StdoutPipe()
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := process.Wait(); err != nil {
			t.Error(err)
		}
	})
	c := &child{t: t, in: in, lines: bufio.NewReader(out)}
	line, _ := c.lines.ReadString('\n')
	c.k = &Socket{endpoint: netip.MustParseAddrPort(strings.TrimSpace(line))}
	return c
}

// spent asks what the balancer has spent.
func (c *child) spent() spent {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(c.in)
	line, _ := c.lines.ReadString('\n')
	var s spent
	if err := json.Unmarshal([]byte(line), &s); err != nil {
		c.t.Fatalf("%q: %v", line, err)
	}
	return s
}

// dial makes a connection of its own that speaks a protocol.
func (c *child) dial(protocol string, version uint16) *tls.Conn {
	c.t.Helper()
	// A small buffer keeps what slow readers do not read short of the kernel's limits.
	small := func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 32<<10) }), err)
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience, Control: small}, "tcp", c.k.Endpoint().String(),
		&tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}, MaxVersion: version})
	if err != nil {
		c.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(3 * patience))
	return conn
}

// othersWait is what 99 % of proper requests take at most while others do their worst: a
// machine with two cores that builds meanwhile needs some of it.
func othersWait() time.Duration {
	if raceDetector {
		return 4 * time.Second
	}
	return time.Second
}
