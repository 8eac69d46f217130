//go:build linux

package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
)

// secured2 is secured that offers HTTP/2, and a client that takes it.
func secured2(t testing.TB, loops int, h http.HandlerFunc) (*Socket, *Handler, *http.Client) {
	t.Helper()
	k, handler, config := secured(t, loops, httpsListenerOf(startSite(t, h)), "h2")
	c := securedBrowser(t, config)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	return k, handler, c
}

func TestHTTP2Bodies(t *testing.T) {
	k, h, config := secured(t, 2, httpsListenerOf(bodySite(t)), "h2")
	c := securedBrowser(t, config)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	wantBodies(t, c, origin(k))
	res, _ := get(t, c, origin(k)+"/none")
	if res.ProtoMajor != 2 {
		t.Errorf("spoke %s", res.Proto)
	}
	if n := h.Counters(); n.Errors != 0 || n.Connections != 1 {
		t.Errorf("counted %+v, want one connection without errors", n)
	}
}

// TestHTTP2Streams has a hundred requests under way at once on one connection.
func TestHTTP2Streams(t *testing.T) {
	k, h, c := secured2(t, 2, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s ", r.Method, r.Host, r.URL)
		w.Write(b)
	})
	get(t, c, origin(k)) // so that all find a connection
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			for j := range 20 {
				url := fmt.Sprintf("%s/%d/%d?q", origin(k), i, j)
				body := strings.Repeat("x", i*j*20)
				res, err := c.Post(url, "text/plain", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				want := fmt.Sprintf("POST %s /%d/%d?q %s", k.Endpoint(), i, j, body)
				if err != nil || string(got) != want {
					t.Errorf("%s: got %d bytes, %v", url, len(got), err)
				}
			}
		})
	}
	all.Wait()
	if n := h.Counters(); n.Requests != 2001 || n.Connections != 1 || n.Errors != 0 || n.Backends["a"].Connections != 0 {
		t.Errorf("counted %+v", n)
	}
}

// TestHTTP2SlowReader stops reading one answer of many: the others go on, and what is
// kept for it is bounded.
func TestHTTP2SlowReader(t *testing.T) {
	const size = 64 << 20
	k, h, c := secured2(t, 1, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			piece := make([]byte, 1<<20)
			for range size >> 20 {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
			return
		}
		io.WriteString(w, "small")
	})
	large, err := c.Get(origin(k) + "/large")
	if err != nil {
		t.Fatal(err)
	}
	defer large.Body.Close()
	for range 50 {
		if _, body := get(t, c, origin(k)); body != "small" {
			t.Fatalf("got %q", body)
		}
	}
	if n := h.Counters().BytesOut; n > 16<<20 {
		t.Errorf("%d bytes were taken from the server for a client that does not read", n)
	}
	if n, err := io.Copy(io.Discard, large.Body); err != nil || n != size {
		t.Errorf("read %d bytes of %d, %v", n, size, err)
	}
}

// TestHTTP2Cancel gives requests up, before and in their answers.
func TestHTTP2Cancel(t *testing.T) {
	gone := make(chan string, 100)
	k, h, c := secured2(t, 1, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ok" {
			return
		}
		if r.URL.Path == "/body" {
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
		gone <- r.URL.Path
	})
	for _, path := range []string{"/head", "/body"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		r, _ := http.NewRequestWithContext(ctx, "GET", origin(k)+path, nil)
		if res, err := c.Do(r); err == nil {
			io.ReadAll(res.Body)
			res.Body.Close()
		}
		cancel()
		select {
		case got := <-gone:
			if got != path {
				t.Errorf("%s ended at the server, want %s", got, path)
			}
		case <-time.After(patience):
			t.Errorf("%s goes on at the server", path)
		}
	}
	if res, _ := get(t, c, origin(k)+"/ok"); res.StatusCode != 200 {
		t.Errorf("afterwards: %d", res.StatusCode)
	}
	if n := h.Counters(); n.Connections != 1 {
		t.Errorf("counted %+v, want the connection to live on", n)
	}
}

// TestHTTP2Errors has the balancer's own answers, and its server's death.
func TestHTTP2Errors(t *testing.T) {
	k, _, config := secured(t, 1, httpsListenerOf(closedPort(t)), "h2")
	c := securedBrowser(t, config)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	if res, body := get(t, c, origin(k)); res.StatusCode != 502 || res.ProtoMajor != 2 || body == "" {
		t.Errorf("%s %d %q", res.Proto, res.StatusCode, body)
	}
	r, _ := http.NewRequest("GET", origin(k), nil)
	r.Header.Set("X-Large", strings.Repeat("x", 33<<10))
	if res, err := c.Do(r); err == nil && res.StatusCode != 431 || err != nil && !strings.Contains(err.Error(), "header list") {
		t.Errorf("a large head: %v %v, want 431", res, err)
	}
}

// TestHTTP2Drains lets a listener go: what is under way is finished, then the client
// is told and the connection ends.
func TestHTTP2Drains(t *testing.T) {
	release := make(chan bool)
	k, h, c := secured2(t, 2, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
		io.WriteString(w, "done")
	})
	get(t, c, origin(k))
	var slow sync.WaitGroup
	slow.Go(func() {
		if _, body := get(t, c, origin(k)+"/slow"); body != "done" {
			t.Errorf("got %q", body)
		}
	})
	eventually(t, "the slow request to be under way", func() bool { return h.Active("l", "a") == 1 })
	done := h.DrainAll(time.Now().Add(patience))
	select {
	case <-done:
		t.Error("drained with a request under way")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	slow.Wait()
	select {
	case <-done:
	case <-time.After(patience / 2):
		t.Errorf("still draining: %+v", h.Counters())
	}
	if n := settled(t, h); n.Cut != 0 {
		t.Errorf("counted %+v, want nothing cut", n)
	}
}

// TestHTTP2IdleConnectionsEnd: a connection without a request stays for the product's 180 s,
// whatever the listener says of those of HTTP/1.1, and then ends as one that has nothing to
// regret. The test waits for a part of it only: it moves the time that is left.
func TestHTTP2IdleConnectionsEnd(t *testing.T) {
	l := httpsListenerOf(startSite(t, saying("a")))
	l.IdleTimeout = time.Second
	k, h, config := secured(t, 1, l, "h2")
	config.NextProtos = []string{"h2"}
	c := handshake(t, k, config)
	c.SetDeadline(time.Now().Add(patience))
	ask := hello()
	ask.headers(1, true, getBlock("/"))
	c.Write(ask.Bytes())
	if status := firstStatus(t, c); status != "200" {
		t.Fatalf("answered %s", status)
	}
	w, left := k.server.workers[0], make(chan time.Duration, 1)
	eventually(t, "the stream to be over", func() bool { return h.Counters().Backends["a"].Connections == 0 })
	w.loop.Post(func() {
		idle := w.h2s.next
		left <- time.Duration(idle.due - w.loop.Now())
		idle.due -= int64(179 * time.Second)
		idle.arm()
	})
	if d := <-left; d < 175*time.Second || d > 180*time.Second {
		t.Errorf("%v are left, want 180 s", d)
	}
	if got := flood(c, nil); got.goAway == nil || got.goAway.ErrCode != h2.ErrCodeNo || got.err != io.EOF {
		t.Errorf("told %v, then %v", got.goAway, got.err)
	}
	if n := settled(t, h); n.Errors != 0 || n.TimedOut != 0 {
		t.Errorf("counted %+v", n)
	}
}

func TestHTTP2Continue(t *testing.T) {
	k, _, c := secured2(t, 1, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	c.Transport.(*http.Transport).ExpectContinueTimeout = patience
	r, _ := http.NewRequest("POST", origin(k), bytes.NewReader([]byte("hello")))
	r.Header.Set("Expect", "100-continue")
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestHTTP2OrNot lets clients that do not offer HTTP/2 go on with HTTP/1.1.
func TestHTTP2OrNot(t *testing.T) {
	k, _, c := secured2(t, 1, saying("a"))
	tr := c.Transport.(*http.Transport)
	config := tr.TLSClientConfig.Clone()
	config.NextProtos = []string{"http/1.1"}
	c1 := securedBrowser(t, config)
	c1.Transport.(*http.Transport).TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	if res, body := get(t, c1, origin(k)); res.ProtoMajor != 1 || body != "a" {
		t.Errorf("%s %q", res.Proto, body)
	}
	if res, body := get(t, c, origin(k)); res.ProtoMajor != 2 || body != "a" {
		t.Errorf("%s %q", res.Proto, body)
	}
}
