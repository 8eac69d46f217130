//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/runtime/netloop"
	"slbctl/spec"
)

// startSite serves HTTP on a loopback port for the length of the test.
func startSite(t testing.TB, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).AddrPort()
}

// saying answers with its name.
func saying(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }
}

// httpListenerOf is an HTTP listener under rr with backends a, b, c, ….
func httpListenerOf(endpoints ...netip.AddrPort) *balance.Listener {
	l := listenerOf(endpoints...)
	l.Protocol, l.Owner = spec.ProtocolHTTP, "l"
	l.IdleTimeout, l.RequestTimeout, l.ConnectTimeout = patience, patience, patience
	l.UpstreamKeepalive = true
	l.Retry.Connect = true
	return l
}

// web is a socket in front of HTTP backends.
func web(t testing.TB, loops int, l *balance.Listener) (*Server, *Socket, *Handler) {
	t.Helper()
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	return balanced(t, loops, l)
}

func urlOf(k *Socket, path string) string { return "http://" + k.Endpoint().String() + path }

// browser is an HTTP client of the test's own, which keeps its connections.
func browser(t testing.TB) *http.Client {
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

func get(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// raw sends bytes as they are and returns everything that comes back until the end.
func raw(t testing.TB, k *Socket, request string) string {
	t.Helper()
	c := connect(t, k)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%v after %q", err, b)
	}
	return string(b)
}

func TestHTTPBalancesRequests(t *testing.T) {
	_, k, h := web(t, 2, httpListenerOf(startSite(t, saying("a")), startSite(t, saying("b"))))
	c := browser(t)
	var got strings.Builder
	for range 6 {
		_, body := get(t, c, urlOf(k, "/"))
		got.WriteString(body)
	}
	if got.String() != "ababab" {
		t.Errorf("served by %s, want requests in turn on one connection", got.String())
	}
	if n := h.Counters(); n.Requests != 6 || n.Connections != 1 || n.Backends["a"].Requests != 3 {
		t.Errorf("counted %+v", n)
	}
}

// A client of HTTP is taken when it asks, one of another protocol at once: there the
// server may be the first to speak.
func TestHTTPTakesClientsThatAsk(t *testing.T) {
	site := startSite(t, saying("a"))
	_, k, h := web(t, 2, httpListenerOf(site))
	served := func() {
		for _, a := range k.acceptors {
			done := make(chan struct{})
			a.worker.loop.Post(func() { close(done) })
			<-done
		}
	}
	served()
	c := connect(t, k)
	served()
	if n := h.Counters().Connections; n != 0 {
		t.Errorf("%d clients that have not asked were taken", n)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
	if n := h.Counters().Connections; n != 1 {
		t.Errorf("%d clients, want 1", n)
	}
	k.Serve(handle(listenerOf(startBackend(t, sayName('b'))), nil))
	served()
	if b, err := io.ReadAll(connect(t, k)); err != nil || string(b) != "b" {
		t.Errorf("the server of a silent client says %q, %v", b, err)
	}
	for _, a := range k.acceptors {
		if v, err := unix.GetsockoptInt(a.fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT); err != nil || v != 0 {
			t.Errorf("a socket of TCP defers for %d s, %v", v, err)
		}
	}
}

func TestHTTPTellsServersOfTheClient(t *testing.T) {
	l := httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Host", r.Host)
		r.Header.Write(w)
	}))
	l.SLBID, l.Port, l.Endpoint = "lb-1", 80, anyPort
	l.Forwarded = spec.XForwardedFor{Proto: true, SLBID: true, SLBIP: true, SLBPort: true, ClientSrcPort: true}
	_, k, _ := web(t, 1, l)
	req, _ := http.NewRequest("GET", urlOf(k, "/x?y"), nil)
	req.Header.Set("X-Forwarded-For", "1.2.3.4")
	req.Header.Set("X_Forwarded_For", "6.6.6.6")
	req.Header.Set("Connection", "X-Forwarded-For, X-Drop")
	req.Header.Set("X-Drop", "me")
	res, err := browser(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	got := string(b)
	for _, want := range []string{
		"X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "Slb-Id: lb-1\r\n",
		"Slb-Ip: 127.0.0.1\r\n", "X-Forwarded-Port: 80\r\n", "X-Forwarded-Client-Srcport: ", "Host: " + k.Endpoint().String(),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the server was not told %q:\n%s", want, got)
		}
	}
	for _, bad := range []string{"6.6.6.6", "X-Drop"} {
		if strings.Contains(got, bad) {
			t.Errorf("the server was told %q:\n%s", bad, got)
		}
	}
}

func TestHTTPBodies(t *testing.T) {
	_, k, _ := web(t, 1, httpListenerOf(bodySite(t)))
	wantBodies(t, browser(t), urlOf(k, ""))
}

// bodySite answers with bodies of every kind, and sends back those that it gets.
func bodySite(t testing.TB) netip.AddrPort { return startSite(t, bodyHandler) }

var bodyHandler http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/unchanged":
		w.WriteHeader(http.StatusNotModified)
	case "/early":
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case "/length":
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		w.Write(b)
	default:
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", fmt.Sprint(n))
	}
}

// wantBodies sends bodies of every kind to a bodySite behind an origin.
func wantBodies(t *testing.T, c *http.Client, origin string) {
	t.Helper()
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	for _, size := range []int{0, 1, 1000, 60 << 10, 70 << 10, len(large)} {
		for _, path := range []string{"/length", "/chunks"} {
			for _, chunked := range []bool{false, true} {
				var body io.Reader = bytes.NewReader(large[:size])
				if chunked {
					body = io.MultiReader(body)
				}
				res, err := c.Post(origin+path, "text/plain", body)
				if err != nil {
					t.Fatalf("%s of %d bytes: %v", path, size, err)
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || !bytes.Equal(b, large[:size]) {
					t.Errorf("%s: sent %d bytes, got %d back, %v", path, size, len(b), err)
				}
				if path == "/chunks" && res.Trailer.Get("X-Sum") != fmt.Sprint(size) {
					t.Errorf("trailer %v, want the sum of %d", res.Trailer, size)
				}
			}
		}
	}
	for path, status := range map[string]int{"/none": 204, "/unchanged": 304} {
		if res, body := get(t, c, origin+path); res.StatusCode != status || body != "" {
			t.Errorf("%s: %d %q", path, res.StatusCode, body)
		}
	}
	res, err := c.Head(origin + "/length")
	if err != nil || res.StatusCode != 200 {
		t.Errorf("HEAD: %v, %v", res, err)
	}
	_, body := get(t, c, origin+"/chunks")
	if body != "" {
		t.Errorf("after all of them: %q", body)
	}
}

func TestHTTPContinue(t *testing.T) {
	_, k, _ := web(t, 1, httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })))
	c := connect(t, k)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%q, %v", line, err)
	}
	r.ReadString('\n')
	io.WriteString(c, "hello")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(res.Body); string(b) != "hello" {
		t.Errorf("%q", b)
	}
}

func TestHTTPPipelining(t *testing.T) {
	l := httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s\n", r.Method, r.URL.Path, b)
	}))
	_, k, _ := web(t, 1, l)
	var request, want strings.Builder
	for i := range 100 {
		fmt.Fprintf(&request, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", i)
		fmt.Fprintf(&want, "POST /%d abc\n", i)
	}
	c := connect(t, k)
	go io.WriteString(c, request.String())
	r := bufio.NewReader(c)
	var got strings.Builder
	for range 100 {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(&got, res.Body)
	}
	if got.String() != want.String() {
		t.Errorf("got\n%s", got.String())
	}
}

func TestHTTPOld(t *testing.T) {
	_, k, _ := web(t, 1, httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })))
	got := raw(t, k, "GET / HTTP/1.0\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, "\r\n\r\nHTTP/1.0") || strings.Contains(got, "chunked") {
		t.Errorf("%q, want the client's own version for the server", got)
	}
}

// An answer that ends the connection and the end are one packet.
func TestHTTPAnswerAndEndAreOnePacket(t *testing.T) {
	_, k, h := web(t, 1, httpListenerOf(startSite(t, saying("a"))))
	fewest := uint32(math.MaxUint32)
	for range 10 { // the kernel may acknowledge the request in a packet of its own
		c := connect(t, k)
		r := bufio.NewReader(c)
		for _, field := range []string{"", "Connection: close\r\n"} {
			before := packetsIn(t, c)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n"+field+"\r\n")
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			if field != "" {
				if _, err := r.ReadByte(); err != io.EOF {
					t.Fatalf("the connection goes on: %v", err)
				}
				fewest = min(fewest, packetsIn(t, c)-before)
			}
		}
		c.Close()
	}
	if fewest != 1 {
		t.Errorf("%d packets, want 1", fewest)
	}
	settled(t, h)
}

// A client that asks for the end and goes on sending gets its answer all the same: what comes
// while the listener closes does not reset the connection.
func TestHTTPAnswerToClientThatSendsOn(t *testing.T) {
	_, k, h := web(t, 1, httpListenerOf(startSite(t, saying("a"))))
	for range 100 {
		c := connect(t, k)
		c.SetNoDelay(true)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for {
				if _, err := io.WriteString(c, "G"); err != nil {
					return // the test has read the end, and closed
				}
			}
		}()
		got, err := io.ReadAll(c)
		c.Close()
		<-sent
		if err != nil || !strings.HasSuffix(string(got), "\r\n\r\na") {
			t.Fatalf("%q, %v", got, err)
		}
	}
	settled(t, h)
}

// Requests that come while the loop is held up are answered, though their clients' patience ends meanwhile, however
// many they are.
func TestHTTPRequestsInTimeAreAnswered(t *testing.T) {
	s, k, h := web(t, 1, httpListenerOf(startSite(t, saying("a"))))
	clients := make([]*net.TCPConn, 400)
	for i := range clients {
		clients[i] = connect(t, k)
		io.WriteString(clients[i], getLine("/"))
		wantAnswer(t, clients[i])
	}
	w := s.workers[0]
	w.loop.Post(func() {
		for _, c := range clients {
			io.WriteString(c, getLine("/"))
		}
		for c := w.https.next; c != &w.https; c = c.next {
			c.due = w.loop.Now()
			c.arm(c.due)
		}
		time.Sleep(2 * netloop.Tick)
	})
	for _, c := range clients {
		wantAnswer(t, c)
		c.Close()
	}
	settled(t, h)
}

func wantAnswer(t *testing.T, c net.Conn) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
}

func TestHTTPWebSocketIsATunnel(t *testing.T) {
	_, k, h := web(t, 2, httpListenerOf(startChat(t)))
	c := connect(t, k)
	wantTunnel(t, c, h)
	settled(t, h)
}

// startChat is a server that says "first" to a WebSocket and then what it hears.
func startChat(t testing.TB) netip.AddrPort {
	return startBackend(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil || req.Header.Get("Upgrade") != "websocket" {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
		io.Copy(c, r)
		c.CloseWrite()
	})
}

// wantTunnel makes a connection a tunnel to startChat, and ends it.
func wantTunnel(t *testing.T, c interface {
	net.Conn
	CloseWrite() error
}, h *Handler) {
	t.Helper()
	io.WriteString(c, "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("%v, %v", res, err)
	}
	if b := make([]byte, 5); true {
		if _, err := io.ReadFull(r, b); err != nil || string(b) != "first" {
			t.Fatalf("%q, %v", b, err)
		}
	}
	for _, size := range []int{5, 5, 100 << 10, 1} {
		frame := bytes.Repeat([]byte("x"), size)
		go c.Write(frame)
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil || !bytes.Equal(b, frame) {
			t.Fatalf("%d bytes did not come back: %v", size, err)
		}
	}
	if n := h.Active("l", "a"); n != 1 {
		t.Errorf("%d flows on a, want the tunnel", n)
	}
	c.CloseWrite()
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestHTTPSilentWebSocketEnds: a frame now and then keeps a tunnel, silence for as long as
// a server may take to answer ends it on both sides.
func TestHTTPSilentWebSocketEnds(t *testing.T) {
	inTime(t, 300*time.Millisecond, func(silence time.Duration) bool { return silentWebSocketEnds(t, silence) })
}

// silentWebSocketEnds says whether its client has sent its frames in time.
func silentWebSocketEnds(t *testing.T, silence time.Duration) bool {
	ended := make(chan error, 1)
	l := httpListenerOf(startBackend(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, err := io.Copy(c, r)
		ended <- err
	}))
	l.RequestTimeout = silence
	_, k, h := web(t, 1, l)
	c := talkTo(t, k)
	last := time.Now()
	c.say("GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if time.Since(last) >= silence {
		return false
	} else if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", res, err)
	}
	for begin := last; time.Since(begin) < 2*silence; time.Sleep(silence / 10) {
		sent := time.Now()
		_, err := io.WriteString(c, "frame")
		if err == nil {
			_, err = io.ReadFull(c.r, make([]byte, 5))
		}
		if time.Since(last) >= silence {
			return false
		} else if err != nil {
			t.Fatalf("%v after %v", err, time.Since(begin))
		}
		last = sent
	}
	wantReset(t, c)
	if took := time.Since(last); took < silence {
		t.Errorf("ended %v after the last frame, want %v", took, silence)
	}
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v, want a reset", err)
	}
	if n := settled(t, h).TimedOut; n != 1 {
		t.Errorf("%d timeouts counted, want 1", n)
	}
	return true
}

// TestHTTPServerThatClosedIdleConnections is asked again on a fresh connection.
func TestHTTPServerThatClosedIdleConnections(t *testing.T) {
	var open []net.Conn
	backend := startBackend(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for n := 0; ; n++ {
			if _, err := http.ReadRequest(r); err != nil || n == 1 {
				return // the second request meets a server that hangs up
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	_, k, h := web(t, 1, httpListenerOf(backend))
	_ = open
	c := browser(t)
	for i := range 5 {
		if res, body := get(t, c, urlOf(k, "/")); res.StatusCode != 200 || body != "ok" {
			t.Fatalf("request %d: %d %q", i, res.StatusCode, body)
		}
	}
	res, err := c.Post(urlOf(k, "/"), "text/plain", strings.NewReader("x"))
	if err != nil || res.StatusCode != http.StatusBadGateway {
		t.Errorf("a POST that may have been carried out: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
	if n := h.Counters().Backends["a"]; n.Errors != 1 {
		t.Errorf("counted %+v, want one error, the POST's", n)
	}
}

func TestHTTPErrorsOfItsOwn(t *testing.T) {
	silent := startBackend(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	rude := startBackend(t, func(c *net.TCPConn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "220 smtp here\r\n\r\n")
	})
	gone := startBackend(t, func(c *net.TCPConn) { http.ReadRequest(bufio.NewReader(c)) })
	for _, test := range []struct {
		name     string
		backends []netip.AddrPort
		request  string
		want     string
	}{
		{"nobody listens", []netip.AddrPort{closedPort(t), closedPort(t)}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "502"},
		{"no servers", nil, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "502"},
		{"silent", []netip.AddrPort{silent}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "504"},
		{"not HTTP", []netip.AddrPort{rude}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "502"},
		{"gone", []netip.AddrPort{gone}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "502"},
		{"malformed", []netip.AddrPort{gone}, "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400"},
		{"dots", []netip.AddrPort{gone}, "GET /a/%2e%2e/b HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
		{"trace", []netip.AddrPort{gone}, "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "405"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := httpListenerOf(test.backends...)
			l.RequestTimeout = 50 * time.Millisecond
			_, k, h := web(t, 1, l)
			c := connect(t, k)
			io.WriteString(c, test.request)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(res.StatusCode); got != test.want {
				t.Errorf("answered %s, want %s", got, test.want)
			}
			if n := h.Counters(); n.Requests != 1 {
				t.Errorf("counted %+v, want one request", n)
			}
			c.Close()
			settled(t, h)
		})
	}
}

func TestHTTPPatience(t *testing.T) {
	site := startSite(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	for request, want := range map[string]string{
		"":                          "", // idle: closed without a word
		"GET / HTT":                 "HTTP/1.1 408 ",
		"GET / HTTP/1.1\r\nHost: h": "HTTP/1.1 408 ",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf": "HTTP/1.1 408 ",
	} {
		l := httpListenerOf(site)
		l.RequestTimeout = 60 * time.Millisecond
		if request == "" {
			l.IdleTimeout = 60 * time.Millisecond // others may be late to begin
		}
		_, k, h := web(t, 1, l)
		start := time.Now()
		c := connect(t, k)
		io.WriteString(c, request)
		b, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(b), want) || want == "" && len(b) > 0 {
			t.Errorf("%q got %q, %v; want %q", request, b, err, want)
		}
		if took := time.Since(start); took < 55*time.Millisecond || took > 5*time.Second {
			t.Errorf("%q got its answer after %v, want 60 ms", request, took)
		}
		c.Close()
		settled(t, h)
	}
}

func TestHTTPKeepsNoGoroutineForAConnection(t *testing.T) {
	_, k, h := web(t, 2, httpListenerOf(startSite(t, saying("a"))))
	before := runtime.NumGoroutine()
	for range 1000 {
		c := connect(t, k)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if _, err := io.ReadFull(c, make([]byte, 12)); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.Counters().Connections; n != 1000 {
		t.Errorf("%d connections open, want 1000", n)
	}
	if after := runtime.NumGoroutine(); after > before+50 {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}
