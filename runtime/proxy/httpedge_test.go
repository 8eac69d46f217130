//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// siteOf is a backend that reads whole requests and answers each, by its number on
// the connection from 0 on; "" hangs up instead.
func siteOf(t testing.TB, answer func(n int, r *http.Request, body []byte) string) netip.AddrPort {
	return startBackend(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for n := 0; ; n++ {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			text := answer(n, req, body)
			if text == "" {
				return
			}
			io.WriteString(c, text)
		}
	})
}

// always answers every request alike.
func always(t testing.TB, text string) netip.AddrPort {
	return siteOf(t, func(int, *http.Request, []byte) string { return text })
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func getLine(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

// talk is a client's connection with a reader of answers.
type talk struct {
	*net.TCPConn
	r *bufio.Reader
	t testing.TB
}

func talkTo(t testing.TB, k *Socket) *talk {
	c := connect(t, k)
	return &talk{c, bufio.NewReader(c), t}
}

func (c *talk) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads one answer to a request of a method.
func (c *talk) hear(method string) (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%v after %d bytes of the body", err, len(b))
	}
	return res, string(b)
}

// want hears the answer to a GET and compares it.
func (c *talk) want(status int, body string) *http.Response {
	c.t.Helper()
	res, got := c.hear("GET")
	if status >= 0 && res.StatusCode != status || body != "*" && got != body {
		c.t.Fatalf("answered %d %.80q, want %d %.80q", res.StatusCode, got, status, body)
	}
	return res
}

// wantEnd waits for the balancer to end the connection, with nothing more said.
func (c *talk) wantEnd() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
		c.t.Fatalf("%q, %v, want the end", b, err)
	}
}

// atRest waits until nothing is open or in flight any more.
func atRest(t testing.TB, h *Handler) Counters {
	t.Helper()
	settled(t, h)
	for _, p := range h.pools {
		for i, b := range p.spec.Backends {
			eventually(t, "nothing is in flight to "+b.Name, func() bool { return p.state.Active(i) == 0 && h.Active(p.spec.Owner, b.Name) == 0 })
		}
	}
	wantAllEnded(t, h)
	return h.Counters()
}

// TestHTTPOwnAnswersInAPipeline mixes answers of the balancer with a server's, more of
// them than a stack would bear if each began the next.
func TestHTTPOwnAnswersInAPipeline(t *testing.T) {
	var asked atomic.Int64
	l := httpListenerOf()
	ruleTo(l, "a", "h", "/a", siteOf(t, func(int, *http.Request, []byte) string { asked.Add(1); return ok }))
	_, k, h := web(t, 1, l)
	const rounds = 5_000
	var all strings.Builder
	for range rounds {
		all.WriteString(getLine("/none") + getLine("/a") + getLine("/none") + getLine("/none"))
	}
	c := talkTo(t, k)
	go io.WriteString(c, all.String())
	for range rounds {
		for _, status := range []int{404, 200, 404, 404} {
			c.want(status, "*")
		}
	}
	c.Close()
	if n := atRest(t, h); asked.Load() != rounds || n.Requests != 4*rounds || n.Errors != 0 {
		t.Errorf("the server was asked %d times, want %d; counted %+v", asked.Load(), rounds, n)
	}
}

// full waits until a listener takes nothing more for its clients.
func full(t testing.TB, h *Handler) {
	t.Helper()
	last := int64(-1)
	eventually(t, "the kernel is full", func() bool {
		now := h.Counters().BytesOut
		same := now == last && now > 0
		last = now
		time.Sleep(20 * time.Millisecond)
		return same
	})
}

// TestHTTPPipelineOfASlowReader asks for more than the kernel takes, and in between for
// what the balancer answers itself: wherever the client stops, all comes in order.
func TestHTTPPipelineOfASlowReader(t *testing.T) {
	const rounds = 400
	body := strings.Repeat("0123456789abcdef", 50<<10/16)
	l := httpListenerOf()
	ruleTo(l, "a", "h", "/a", always(t, "HTTP/1.1 200 OK\r\nContent-Length: "+fmt.Sprint(len(body))+"\r\n\r\n"+body))
	_, k, h := web(t, 1, l)
	c := talkTo(t, k)
	c.say(strings.Repeat(getLine("/a")+getLine("/none"), rounds))
	full(t, h)
	for range rounds {
		c.want(200, body)
		c.want(404, "404 Not Found\n")
	}
	c.Close()
	atRest(t, h)
}

// TestHTTPPipelineBehindABody has as much behind the last byte of a body as one read
// takes.
func TestHTTPPipelineBehindABody(t *testing.T) {
	_, k, h := web(t, 1, httpListenerOf(siteOf(t, func(_ int, r *http.Request, body []byte) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s", len(r.URL.Path)+len(body), r.URL.Path, body)
	})))
	c := talkTo(t, k)
	c.say("POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabc")
	eventually(t, "the beginning has come", func() bool { return h.Counters().BytesIn > 0 })
	all, n := "d", 0
	for ; len(all) < 65<<10; n++ {
		all += getLine(fmt.Sprintf("/%d", n))
	}
	go io.WriteString(c, all)
	c.want(200, "/postabcd")
	for i := range n {
		c.want(200, fmt.Sprintf("/%d", i))
	}
}

func TestHTTPInterimAnswers(t *testing.T) {
	hint := "HTTP/1.1 103 Early Hints\r\nLink: </" + strings.Repeat("x", 4000) + ">\r\n\r\n"
	const rounds = 400
	_, k, h := web(t, 1, httpListenerOf(always(t, "HTTP/1.1 100 Continue\r\n\r\n"+strings.Repeat(hint, 10)+ok)))
	c := talkTo(t, k)
	c.say(strings.Repeat(getLine("/"), rounds))
	full(t, h) // somewhere between the heads that came at once
	for range rounds {
		for _, status := range []int{100, 103, 103, 103, 103, 103, 103, 103, 103, 103, 103} {
			c.want(status, "")
		}
		c.want(200, "ok")
	}
	c.Close()
	atRest(t, h)
	t.Run("not for HTTP/1.0", func(t *testing.T) {
		_, k, _ := web(t, 1, httpListenerOf(always(t, hint+hint+ok)))
		if got := raw(t, k, "GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, "\r\n\r\nok") {
			t.Errorf("%.200q", got)
		}
	})
}

// TestHTTPLateHead begins a second request on a connection and does not finish it.
func TestHTTPLateHead(t *testing.T) {
	inTime(t, 100*time.Millisecond, func(timeout time.Duration) bool { return lateHead(t, timeout) })
}

// lateHead says whether the server had answered the first request in time.
func lateHead(t *testing.T, timeout time.Duration) bool {
	l := httpListenerOf(always(t, ok))
	l.RequestTimeout = timeout
	_, k, h := web(t, 1, l)
	c := talkTo(t, k)
	start := time.Now()
	c.say(getLine("/") + "GET / HTT")
	if res, body := c.hear("GET"); time.Since(start) >= timeout {
		return false
	} else if res.StatusCode != 200 || body != "ok" {
		t.Errorf("answered %d %q", res.StatusCode, body)
	}
	if res := c.want(408, "*"); !res.Close {
		t.Error("the connection goes on after a part of a head")
	}
	if took := time.Since(start); took < timeout*9/10 || took > patience/3 {
		t.Errorf("after %v, want %v", took, l.RequestTimeout)
	}
	c.say("P/1.1\r\nHost: h\r\n\r\n")
	c.CloseWrite()
	c.wantEnd()
	atRest(t, h)
	return true
}

// TestHTTPShortUpstreams has upstream_keepalive off: a connection for each request, of
// which the server knows, and which still goes both ways at once.
func TestHTTPShortUpstreams(t *testing.T) {
	var conns, told atomic.Int64
	site := startSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Close {
			told.Add(1)
		}
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		io.Copy(w, r.Body)
	})
	relay := startBackend(t, func(c *net.TCPConn) {
		conns.Add(1)
		s, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(site))
		if err != nil {
			return
		}
		go func() { io.Copy(s, c); s.CloseWrite() }()
		io.Copy(c, s)
		s.Close()
	})
	l := httpListenerOf(relay)
	l.UpstreamKeepalive = false
	_, k, h := web(t, 1, l)
	c := browser(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for i := range 3 {
		res, err := c.Post(urlOf(k, "/"), "text/plain", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("request %d: sent %d bytes, got %d back, %v", i, len(body), len(got), err)
		}
	}
	c.CloseIdleConnections()
	atRest(t, h)
	if conns.Load() != 3 || told.Load() != 3 {
		t.Errorf("%d connections, on %d the server was told that they end; want 3", conns.Load(), told.Load())
	}
}

// TestHTTPDeadIdleConnection meets a server that has just hung up with a request that
// cannot be sent twice, since a part of it has yet to come.
func TestHTTPDeadIdleConnection(t *testing.T) {
	conns := make(chan *net.TCPConn, 10)
	site := startSite(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	s, k, h := web(t, 1, httpListenerOf(startBackend(t, func(c *net.TCPConn) {
		conns <- c
		s, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(site))
		if err != nil {
			return
		}
		defer s.Close()
		go io.Copy(c, s)
		io.Copy(s, c)
	})))
	for _, method := range []string{"PUT", "POST"} {
		c := talkTo(t, k)
		c.say(getLine("/"))
		c.want(200, "")
		// Both are there when the loop looks, the request first.
		busy, halt := make(chan struct{}), make(chan struct{})
		s.workers[0].loop.Post(func() { close(busy); <-halt })
		<-busy
		c.say(method + " / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
		(<-conns).CloseWrite()
		before := h.Counters().BytesIn
		close(halt)
		eventually(t, "the request is under way", func() bool { return h.Counters().BytesIn > before || h.Counters().Errors > 0 })
		c.say("def")
		c.want(200, "abcdef")
		c.Close()
		atRest(t, h)
		s.closeIdle(h.listener.Backends[0].Endpoint)
		<-conns
	}
	if n := h.Counters(); n.Backends["a"].Errors != 0 {
		t.Errorf("counted %+v", n)
	}
}

// TestHTTPServerSaysTooMuch fills one read exactly with an answer; what follows must not
// become another client's answer.
func TestHTTPServerSaysTooMuch(t *testing.T) {
	read := len(startServer(t, 1).workers[0].loop.Scratch()) - headroom
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", read-1000)
	body := strings.Repeat("x", read-1000)
	for _, pad := range []int{0, 0, 1, 100} {
		full := strings.Replace(head, "\r\n\r\n", "\r\nX: "+strings.Repeat("y", read-len(head)-len(body)-len("\r\nX: ")+pad)+"\r\n\r\n", 1) + body
		_, k, h := web(t, 1, httpListenerOf(siteOf(t, func(_ int, r *http.Request, _ []byte) string {
			if r.URL.Path == "/full" {
				return full + "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
			}
			return ok
		})))
		c := talkTo(t, k)
		c.say(getLine("/full"))
		c.want(200, body)
		c.say(getLine("/"))
		c.want(200, "ok")
		c.Close()
		atRest(t, h)
	}
}

// TestHTTPBrokenAnswers has servers that stop, reset or talk nonsense in the middle: no
// client may take what it got for a whole answer.
func TestHTTPBrokenAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"short":        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
		"chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
		"bad chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
		"no trailers":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n",
		"half a head":  "HTTP/1.1 200 OK\r\nContent-Le",
		"interim only": "HTTP/1.1 100 Continue\r\n\r\n",
		"reset":        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
		"packed":       "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9999\r\n\r\nshort",
	} {
		t.Run(name, func(t *testing.T) {
			backend := startBackend(t, func(c *net.TCPConn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					return
				}
				io.WriteString(c, answer)
				time.Sleep(20 * time.Millisecond) // a piece of its own, as far as the kernel likes
				switch name {
				case "bad chunk":
					io.WriteString(c, "zz\r\n")
					io.Copy(io.Discard, c)
				case "reset":
					c.SetLinger(0)
				}
			})
			l := httpListenerOf(backend)
			l.Gzip = true
			_, k, h := web(t, 1, l)
			c := talkTo(t, k)
			c.say("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n")
			res, err := http.ReadResponse(c.r, nil)
			for err == nil && res.StatusCode == 100 {
				res, err = http.ReadResponse(c.r, nil)
			}
			if err == nil && res.StatusCode == 502 {
				if name != "half a head" && name != "interim only" {
					t.Errorf("the answer had begun, then came 502")
				}
			} else if err == nil {
				var b []byte
				if b, err = io.ReadAll(res.Body); err == nil {
					t.Errorf("%q was taken for a whole answer", b)
				}
			}
			c.Close()
			if n := atRest(t, h); n.Backends["a"].Errors != 1 {
				t.Errorf("counted %+v", n)
			}
		})
	}
}

// TestHTTPAnswersWithoutBody have lengths that speak of another answer's body.
func TestHTTPAnswersWithoutBody(t *testing.T) {
	_, k, h := web(t, 1, httpListenerOf(siteOf(t, func(_ int, r *http.Request, _ []byte) string {
		switch r.URL.Path {
		case "/204":
			return "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n"
		case "/304":
			return "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"
		case "/chunked":
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		case "/500":
			return "HTTP/1.1 500 Broken\r\n\r\n"
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + map[bool]string{true: "", false: "ok"}[r.Method == "HEAD"]
	})))
	c := talkTo(t, k)
	for range 3 {
		c.say(getLine("/204") + "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n" + getLine("/304") + "HEAD /chunked HTTP/1.1\r\nHost: h\r\n\r\nHEAD /500 HTTP/1.1\r\nHost: h\r\n\r\n" + getLine("/"))
		if res := c.want(204, ""); res.Header.Get("Content-Length") != "" {
			t.Errorf("204 with %v", res.Header)
		}
		if res, _ := c.hear("HEAD"); res.ContentLength != 2 {
			t.Errorf("HEAD was told of %d bytes", res.ContentLength)
		}
		c.want(304, "")
		c.hear("HEAD")
		if res, _ := c.hear("HEAD"); res.StatusCode != 500 {
			t.Errorf("%d", res.StatusCode)
		}
		c.want(200, "ok")
	}
	c.Close()
	if n := atRest(t, h); n.Errors != 0 || n.Backends["a"].Requests != 18 {
		t.Errorf("counted %+v", n)
	}
}

// TestHTTPEarlyAnswers come before the request's end: they reach the client, and then
// the connection ends, since nobody reads the rest.
func TestHTTPEarlyAnswers(t *testing.T) {
	for name, hangsUp := range map[string]bool{"and waits": false, "and hangs up": true} {
		t.Run(name, func(t *testing.T) {
			_, k, h := web(t, 1, httpListenerOf(startBackend(t, func(c *net.TCPConn) {
				bufio.NewReader(c).ReadString('\n')
				io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
				if !hangsUp {
					io.Copy(io.Discard, c)
				}
			})))
			c := talkTo(t, k)
			go func() {
				io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n")
				c.Write(make([]byte, 300<<10))
			}()
			res, body := c.hear("POST")
			if res.StatusCode != 413 || body != "no" || !res.Close {
				t.Errorf("%v %q", res, body)
			}
			c.Close()
			atRest(t, h)
		})
	}
	t.Run("instead of 100", func(t *testing.T) {
		_, k, h := web(t, 1, httpListenerOf(startBackend(t, func(c *net.TCPConn) {
			r := bufio.NewReader(c)
			if req, err := http.ReadRequest(r); err == nil && req.Header.Get("Expect") == "100-continue" {
				io.WriteString(c, "HTTP/1.1 401 Who\r\nContent-Length: 2\r\n\r\nno")
			}
			io.Copy(io.Discard, r)
		})))
		c := talkTo(t, k)
		c.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		if res := c.want(401, "no"); !res.Close {
			t.Error("the connection goes on although the body may follow or not")
		}
		c.CloseWrite()
		c.wantEnd()
		atRest(t, h)
	})
}

func TestHTTPUpgrades(t *testing.T) {
	const ask = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	t.Run("refused", func(t *testing.T) {
		_, k, h := web(t, 1, httpListenerOf(always(t, ok)))
		c := talkTo(t, k)
		for range 3 {
			c.say(ask + getLine("/"))
			c.want(200, "ok")
			c.want(200, "ok")
		}
		c.Close()
		atRest(t, h)
	})
	t.Run("not asked for", func(t *testing.T) {
		_, k, h := web(t, 1, httpListenerOf(always(t, switched)))
		c := talkTo(t, k)
		c.say(getLine("/"))
		c.want(502, "*")
		c.Close()
		if n := atRest(t, h); n.Backends["a"].Errors != 1 {
			t.Errorf("counted %+v", n)
		}
	})
	t.Run("with early data", func(t *testing.T) {
		_, k, h := web(t, 1, httpListenerOf(startBackend(t, func(c *net.TCPConn) {
			r := bufio.NewReader(c)
			http.ReadRequest(r)
			io.WriteString(c, switched)
			io.Copy(c, r)
			c.CloseWrite()
		})))
		c := talkTo(t, k)
		early := strings.Repeat("early frame ", 10_000)
		go func() {
			io.WriteString(c, ask+early)
			c.CloseWrite()
		}()
		if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 101 {
			t.Fatalf("%v, %v", res, err)
		}
		if b, err := io.ReadAll(c.r); err != nil || string(b) != early {
			t.Errorf("sent %d bytes, got %d back, %v", len(early), len(b), err)
		}
		atRest(t, h)
	})
}

// TestHTTPNeverRepeatsAPost has servers that break off at every stage; a POST that one
// of them may have seen is not sent again.
func TestHTTPNeverRepeatsAPost(t *testing.T) {
	seen := map[string]int{}
	posts := make(chan string, 10_000)
	backend := siteOf(t, func(n int, r *http.Request, body []byte) string {
		posts <- string(body)
		if n%7 == 6 {
			return ""
		}
		return ok
	})
	l := httpListenerOf(backend, backend, closedPort(t))
	l.Retry = spec.Retry{Connect: true, Timeout: true, Status5x: true}
	_, k, h := web(t, 1, l)
	c := browser(t)
	failed := 0
	const requests = 1000
	for i := range requests {
		res, err := c.Post(urlOf(k, "/"), "text/plain", strings.NewReader(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != 200 {
			failed++
		}
	}
	for len(posts) > 0 {
		seen[<-posts]++
	}
	for body, n := range seen {
		if n > 1 {
			t.Errorf("POST %s was sent %d times", body, n)
		}
	}
	if len(seen) != requests || failed > requests/6 {
		t.Errorf("%d of %d POSTs came, %d failed", len(seen), requests, failed)
	}
	c.CloseIdleConnections()
	atRest(t, h)
}

func TestHTTPOnIPv6(t *testing.T) {
	loopback := netip.MustParseAddrPort("[::1]:0")
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(loopback))
	if err != nil {
		t.Skip("no IPv6 on this machine: ", err)
	}
	site := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s of %s by %s:%s", r.Header.Get("X-Forwarded-For"), r.Host, r.Header.Get("Slb-Ip"), r.Header.Get("X-Forwarded-Port"))
	})}
	go site.Serve(ln)
	defer site.Close()
	l := httpListenerOf(ln.Addr().(*net.TCPAddr).AddrPort())
	l.Endpoint, l.Port = loopback, 80
	l.Forwarded = spec.XForwardedFor{SLBIP: true, SLBPort: true}
	l.Prepare()
	k, err := startServer(t, 1).Bind(loopback)
	if err != nil {
		t.Fatal(err)
	}
	h := handle(l, nil)
	k.Serve(h)
	c := browser(t)
	for range 3 {
		if _, body := get(t, c, urlOf(k, "/")); body != "::1 of "+k.Endpoint().String()+" by ::1:80" {
			t.Errorf("%q", body)
		}
	}
	c.CloseIdleConnections()
	atRest(t, h)
}

func TestHTTPOldKeepsAlive(t *testing.T) {
	_, k, h := web(t, 1, httpListenerOf(always(t, ok)))
	c := talkTo(t, k)
	for range 3 {
		c.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		if res := c.want(200, "ok"); res.Header.Get("Connection") != "keep-alive" {
			t.Errorf("answered %v", res.Header)
		}
	}
	c.say("GET / HTTP/1.0\r\n\r\n")
	c.want(200, "ok")
	c.wantEnd()
	atRest(t, h)
}

// TestHTTPSocketGoesToOthers gives the socket of an HTTP listener to one of TCP and to
// another of HTTP: clients that are connected lose nothing.
func TestHTTPSocketGoesToOthers(t *testing.T) {
	_, k, h := web(t, 1, httpListenerOf(always(t, ok)))
	c, kept := talkTo(t, k), talkTo(t, k)
	for _, c := range []*talk{c, kept} {
		c.say(getLine("/"))
		c.want(200, "ok")
	}
	tcp := handle(listenerOf(startBackend(t, sayName('t'))), nil)
	k.Serve(tcp)
	c.say(getLine("/"))
	if res := c.want(200, "ok"); !res.Close {
		t.Error("the connection goes on where nobody serves HTTP")
	}
	if name, err := ask(k); err != nil || name != 't' {
		t.Errorf("%c, %v", name, err)
	}
	other := httpListenerOf(always(t, strings.Replace(ok, "ok", "OK", 2)))
	other.Prepare()
	next := handle(other, nil)
	k.Serve(next)
	kept.say(getLine("/"))
	kept.want(200, "OK")
	if n := next.Counters(); n.Connections != 1 || n.Requests != 1 {
		t.Errorf("the client counts as %+v", n.Counts)
	}
	c.Close()
	settled(t, h)
	kept.Close()
	atRest(t, next)
}

// fullSocket is an endpoint that takes no more connections and refuses none.
func fullSocket(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	ep := netip.AddrPortFrom(anyPort.Addr(), uint16(sa.(*syscall.SockaddrInet4).Port))
	c, err := net.Dial("tcp", ep.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return ep
}

func TestHTTPConnectTimeout(t *testing.T) {
	l := httpListenerOf(fullSocket(t), always(t, ok))
	l.ConnectTimeout = 100 * time.Millisecond
	_, k, h := web(t, 1, l)
	c := talkTo(t, k)
	start := time.Now()
	c.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
	c.want(200, "ok")
	if took := time.Since(start); took < 100*time.Millisecond || took > patience/3 {
		t.Errorf("another server was tried after %v", took)
	}
	c.Close()
	if n := atRest(t, h); n.Backends["a"].Errors != 1 || n.Backends["b"].Requests != 1 {
		t.Errorf("counted %+v", n)
	}
}

// TestHTTPDrainAll lets a listener go: who asks once more is told that it was the last
// time, who does not is let go at the deadline, and nothing waits at its servers.
func TestHTTPDrainAll(t *testing.T) {
	release := make(chan struct{})
	var open atomic.Int64
	site := siteOf(t, func(_ int, r *http.Request, _ []byte) string {
		if r.URL.Path == "/slow" {
			<-release
		}
		return ok
	})
	backend := startBackend(t, func(c *net.TCPConn) {
		open.Add(1)
		defer open.Add(-1)
		s, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(site))
		if err != nil {
			return
		}
		defer s.Close()
		go io.Copy(c, s)
		io.Copy(s, c)
	})
	_, k, h := web(t, 1, httpListenerOf(backend))
	quiet, asks, slow := talkTo(t, k), talkTo(t, k), talkTo(t, k)
	for _, c := range []*talk{quiet, asks, slow} {
		c.say(getLine("/"))
		c.want(200, "ok")
	}
	slow.say(getLine("/slow"))
	eventually(t, "the slow request is under way", func() bool { return h.Active("l", "a") == 1 })
	done := h.DrainAll(time.Now().Add(patience))
	eventually(t, "only the request under way is open at the server", func() bool { return open.Load() <= 1 })
	asks.say(getLine("/"))
	if res := asks.want(200, "ok"); !res.Close {
		t.Error("an answer of a listener that goes keeps the connection")
	}
	asks.wantEnd()
	close(release)
	if res := slow.want(200, "ok"); !res.Close {
		t.Error("an answer of a listener that goes keeps the connection")
	}
	slow.wantEnd()
	select {
	case <-done:
		t.Error("the drain was over with a client connected")
	default:
	}
	const grace = 100 * time.Millisecond
	start := time.Now()
	h.DrainAll(start.Add(grace)) // it takes the place of the other deadline
	quiet.wantEnd()
	<-done
	if took := time.Since(start); took < grace || took > patience/3 {
		t.Errorf("drained after %v", took)
	}
	if n := atRest(t, h); n.Cut != 0 || n.Errors != 0 {
		t.Errorf("counted %+v", n)
	}
	eventually(t, "nothing is open at the server", func() bool { return open.Load() == 0 })
}

// TestHTTPDrainOfABackend cuts a request off that outlives the drain, and closes what
// waits at the server at once.
func TestHTTPDrainOfABackend(t *testing.T) {
	silent := startBackend(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	l := httpListenerOf(silent)
	_, k, h := web(t, 1, l)
	c := talkTo(t, k)
	c.say(getLine("/"))
	eventually(t, "the request is under way", func() bool { return h.Active("l", "a") == 1 })
	next := httpListenerOf(always(t, ok))
	next.Backends[0].Name = "b"
	next.Prepare()
	after := handle(next, h)
	k.Serve(after)
	done := h.Drain("l", "a", silent, time.Now().Add(50*time.Millisecond))
	wantReset(t, c.TCPConn)
	<-done
	if n := atRest(t, after); n.Cut != 1 {
		t.Errorf("counted %+v", n)
	}
}

// TestHTTPRedirectWithoutHost cannot be followed.
func TestHTTPRedirectWithoutHost(t *testing.T) {
	l := httpListenerOf()
	l.Redirect = &balance.Redirect{Scheme: "https", Code: 302}
	_, k, _ := web(t, 1, l)
	if got := raw(t, k, "GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("%q", got)
	}
	if got := raw(t, k, "GET /x HTTP/1.0\r\nHost: h\r\n\r\n"); !strings.Contains(got, "Location: https://h/x\r\n") {
		t.Errorf("%q", got)
	}
}
