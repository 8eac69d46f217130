//go:build linux

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// openFiles counts the process's descriptors.
func openFiles(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestHTTPSlowHeads has clients that send a head byte by byte. Each costs the bytes it has
// sent and its record; those who ask properly notice nothing; after the time of a request
// the slow ones are told so.
func TestHTTPSlowHeads(t *testing.T) {
	slow := 9000
	if testing.Short() || raceDetector {
		slow = 1000
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		slow = min(slow, int(limit.Cur)/2-500)
	}
	l := httpListenerOf(startBackend(t, serveFast))
	l.RequestTimeout = 5 * time.Second
	_, k, h := web(t, 2, l)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	head := getLine("/" + strings.Repeat("x", 200))
	start := time.Now()
	var conns []net.Conn
	for range slow {
		// Raw descriptors would be cheaper, but these end by themselves.
		c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * patience))
		io.WriteString(c, head[:100])
		conns = append(conns, c)
	}
	eventually(t, "all are connected", func() bool { return h.Counters().Connections == int64(slow) })
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int(after.HeapAlloc-before.HeapAlloc) / slow; each > 2<<10 {
		t.Errorf("%d bytes for each", each)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	c := talkTo(t, k)
	slowest := time.Duration(0)
	for i := range 100 {
		asked := time.Now()
		c.say(getLine("/"))
		c.want(200, "ok")
		slowest = max(slowest, time.Since(asked))
		for j := i; j < slow; j += 100 {
			conns[j].Write([]byte{head[100]}) // some dribble
		}
	}
	c.Close()
	if slowest > l.RequestTimeout { // as if the slow ones had to go first
		t.Errorf("a good client waited %v", slowest)
	}
	for i, c := range conns {
		if res, err := http.ReadResponse(bufio.NewReaderSize(c, 64), nil); err != nil || res.StatusCode != 408 {
			t.Fatalf("slow client %d was answered %v, %v", i, res, err)
		}
		c.Close()
	}
	if late := time.Since(start) - took - l.RequestTimeout; late > patience {
		t.Errorf("the slow ones were gone %v too late", late)
	}
	if n := atRest(t, h); n.Backends["a"].Requests != 100 || n.Requests != int64(100+slow) {
		t.Errorf("counted %+v", n)
	}
	eventually(t, "the descriptors are free", func() bool { return openFiles(t) <= files+3 }) // and what waits at the server
}

// TestHTTPIdleConnectionsHoldNothing has clients and servers that exchange more than a
// buffer and then wait.
func TestHTTPIdleConnectionsHoldNothing(t *testing.T) {
	const clients = 1000
	body := strings.Repeat("x", 100<<10)
	_, k, h := web(t, 1, httpListenerOf(always(t, "HTTP/1.1 200 OK\r\nContent-Length: "+fmt.Sprint(len(body))+"\r\n\r\n"+body)))
	ask := func(c *net.TCPConn, b []byte) {
		io.WriteString(c, getLine("/"))
		for got := 0; got < len(body); {
			n, err := c.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
	}
	b := make([]byte, 4096)
	ask(connect(t, k), b)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range clients {
		ask(connect(t, k), b)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int(after.HeapAlloc) - int(before.HeapAlloc)) / clients; each > 3<<10 {
		t.Errorf("%d bytes for each idle connection, the client's included", each)
	}
	if n := h.Counters().Connections; n != clients+1 {
		t.Errorf("%d connections", n)
	}
}
