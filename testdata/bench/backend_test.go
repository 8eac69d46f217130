//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/netloop"
)

// serve runs a backend inside the test.
func serve(t *testing.T) netip.AddrPort {
	t.Helper()
	loop, end, err := freeLoop()
	if err != nil {
		t.Fatal(err)
	}
	fds, ep, err := netloop.Listen(netip.MustParseAddrPort("127.0.0.1:0"), 1)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	loop.Post(func() { failed <- loop.Add(fds[0], &door{newBackend(loop), fds[0]}) })
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		loop.Post(func() { loop.Close(fds[0]) })
		end()
	})
	return ep
}

func dial(t *testing.T, ep netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", ep.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBackendAnswers(t *testing.T) {
	ep := serve(t)
	for path, size := range map[string]int{"/": 128, "/api/": 128, "/7": 7, "/api0/65536": 65536, "/3000000": 3000000, "/word": 128} {
		for method, body := range map[string]int{"GET": size, "HEAD": 0} {
			c := dial(t, ep)
			fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path)
			resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
			if err != nil {
				t.Fatal(method, path, err)
			}
			b, err := io.ReadAll(resp.Body)
			if err != nil || len(b) != body || resp.ContentLength != int64(size) {
				t.Errorf("%s %s: %d bytes of %d, %v; want %d of %d", method, path, len(b), resp.ContentLength, err, body, size)
			}
			if n, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%s %s: %d bytes more, %v, want the end", method, path, n, err)
			}
		}
	}
}

// TestBackendTakesWhatComes sends requests in all the pieces that a proxy may make of
// them: several at once, and one byte at a time.
func TestBackendTakesWhatComes(t *testing.T) {
	c := dial(t, serve(t))
	requests := "GET /1 HTTP/1.1\r\n\r\nGET /70000 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\nGET /head HTTP/1.1\r\n\r\n"
	go func() {
		io.WriteString(c, requests)
		for i := range requests {
			io.WriteString(c, requests[i:i+1])
		}
	}()
	r := bufio.NewReader(c)
	for range 2 {
		for _, want := range []int{1, 70000, 3, len("GET /head HTTP/1.1\r\n\r\n")} {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(resp.Body); err != nil || len(b) != want {
				t.Fatalf("%d bytes, %v, want %d", len(b), err, want)
			}
		}
	}
}

func TestBackendCounts(t *testing.T) {
	ep := serve(t)
	server := &backendProcess{setup: setup{Servers: []netip.AddrPort{ep}}}
	before, err := server.counters()
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, ep)
	for range 5 {
		if err := ask(c, []byte("GET / HTTP/1.1\r\n\r\n"), false); err != nil {
			t.Fatal(err)
		}
	}
	after, err := server.counters()
	if err != nil {
		t.Fatal(err)
	}
	// The second reading counts itself.
	if got, want := after.since(before), (counters{Accepted: 2, Requests: 6}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestGeneratorsMeasure(t *testing.T) {
	ep := serve(t)
	const d = 100 * time.Millisecond
	l, err := measureRate(ep, 4, d)
	if err != nil || l.Requests < 4 || l.P50 <= 0 || l.P99 < l.P50 || l.Rate <= 0 {
		t.Errorf("rate: %+v, %v", l, err)
	}
	l, err = measureBulk(ep, d)
	if err != nil || l.Amount <= 0 || l.Rate <= 0 || l.Requests != 1 {
		t.Errorf("bulk: %+v, %v", l, err)
	}
}

// says runs a server that answers the same to whatever comes, and ends.
func says(t *testing.T, answer string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1024))
			io.WriteString(c, answer)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// TestGeneratorsReportFailure proves that a proxy cannot look fast by failing.
func TestGeneratorsReportFailure(t *testing.T) {
	const d = 50 * time.Millisecond
	short := string(response(bytes.Repeat([]byte("x"), smallBody))[:40])
	for name, ep := range map[string]netip.AddrPort{"no answer": says(t, ""), "part of one": says(t, short)} {
		if l, err := measureRate(ep, 2, d); err == nil {
			t.Errorf("%s: rate %+v without an error", name, l)
		}
		if l, err := measureBulk(ep, d); err == nil {
			t.Errorf("%s: bulk %+v without an error", name, l)
		}
		if _, err := holdIdle(ep, "x", "/", false, 1); err == nil {
			t.Errorf("%s: idle without an error", name)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	if _, err := measureRate(nobody, 2, d); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody there: %v", err)
	}
}
