//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"slbctl/runtime/http1"
	"slbctl/testdata/wire"
)

// recorder is a backend that keeps what it sees and counts the whole requests in it, by
// another reading than the balancer's.
type recorder struct {
	mu       sync.Mutex
	seen     bytes.Buffer
	requests int
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen.Write(b)
}

func (r *recorder) serve(c *net.TCPConn) {
	for in := bufio.NewReader(io.TeeReader(c, r)); ; {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		r.mu.Lock()
		r.requests++
		r.mu.Unlock()
		answer := ok
		if req.Method == "HEAD" {
			answer = strings.TrimSuffix(answer, "ok")
		}
		if req.URL.Path == "/last" {
			answer = strings.TrimSuffix(ok, "ok") + "!!"
		}
		io.WriteString(c, answer)
	}
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// take returns what has come, and forgets it.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen.String()
	r.seen.Reset()
	r.requests = 0
	return seen
}

// endsInside reports whether bytes that are not refused stop in the middle of a request.
func endsInside(b []byte) bool {
	for len(b) > 0 {
		var r http1.Request
		n, err := r.Parse(b)
		if n == 0 || err != nil {
			return err == nil
		}
		var body http1.Body
		body.OfRequest(&r)
		used, done, err := body.Feed(b[n:])
		if !done || err != nil {
			return err == nil
		}
		b = b[n+used:]
	}
	return false
}

var statusLine = regexp.MustCompile(`HTTP/1\.1 (\d{3}) `)

func statusesIn(b []byte) (statuses []int) {
	for _, m := range statusLine.FindAllSubmatch(b, -1) {
		n, _ := strconv.Atoi(string(m[1]))
		statuses = append(statuses, n)
	}
	return statuses
}

// TestHTTPVectors sends every vector to a live listener.
func TestHTTPVectors(t *testing.T) {
	backend := new(recorder)
	_, k, h := web(t, 1, httpListenerOf(startBackend(t, backend.serve)))
	wantVerdicts(t, backend, h, func() net.Conn { return connect(t, k) }, 1<<20, 7)
}

// TestTLSVectors sends every vector to a live listener over TLS: the verdicts are the same.
func TestTLSVectors(t *testing.T) {
	backend := new(recorder)
	k, h, config := secured(t, 1, httpsListenerOf(startBackend(t, backend.serve)))
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	wantVerdicts(t, backend, h, func() net.Conn { return handshake(t, k, config) }, 1<<20)
}

// wantVerdicts sends every vector, on a connection of its own and in pieces of each size.
func wantVerdicts(t *testing.T, backend *recorder, h *Handler, connect func() net.Conn, pieces ...int) {
	t.Helper()
	vectors, err := wire.Vectors()
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range pieces {
		for _, v := range vectors {
			if len(v.Bytes) > 100*piece {
				continue
			}
			backend.take()
			c := connect()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for b := v.Bytes; len(b) > 0; {
					n := min(piece, len(b))
					if _, err := c.Write(b[:n]); err != nil {
						return // it has been refused already
					}
					b = b[n:]
				}
			}()
			want := v.Requests
			var got []byte
			read := func(until func() bool) (ended bool) {
				b := make([]byte, 4096)
				for !until() {
					n, err := c.Read(b)
					got = append(got, b[:n]...)
					if err != nil {
						if err != io.EOF {
							t.Errorf("%s: %v after %q", v.Name, err, got)
						}
						return true
					}
				}
				return false
			}
			if v.Open {
				if read(func() bool { return len(statusesIn(got)) >= len(v.Statuses) }) {
					t.Errorf("%s: the connection ended after %q", v.Name, got)
				}
				<-sent
				if !endsInside(v.Bytes) {
					want++
					io.WriteString(c, getLine("/last"))
					if read(func() bool { return bytes.HasSuffix(got, []byte("!!")) }) {
						t.Errorf("%s: no more request was answered after %q", v.Name, got)
					}
					got = got[:bytes.LastIndex(got, []byte("HTTP/1.1"))]
				}
			} else {
				read(func() bool { return false })
			}
			if statuses := statusesIn(got); !slices.Equal(statuses, v.Statuses) {
				t.Errorf("%s in pieces of %d: answered %v, want %v", v.Name, piece, statuses, v.Statuses)
			}
			c.Close()
			<-sent
			settled(t, h)
			for end := time.Now().Add(patience); backend.count() < want && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if n := backend.count(); n != want {
				t.Errorf("%s in pieces of %d: %d requests reached the server, want %d", v.Name, piece, n, want)
			}
			seen := backend.take()
			for _, s := range v.Has {
				if !strings.Contains(seen, s) {
					t.Errorf("%s: the server was not told %q but\n%s", v.Name, s, seen)
				}
			}
			for _, s := range v.Lacks {
				if strings.Contains(seen, s) {
					t.Errorf("%s: the server was told %q", v.Name, s)
				}
			}
		}
	}
	if n := atRest(t, h); n.Backends["a"].Errors != 0 || n.Errors != 0 {
		t.Errorf("clients' mistakes count against the server: %+v", n)
	}
}
