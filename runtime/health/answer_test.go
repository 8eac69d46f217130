package health

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

func httpCheck(method string) balance.Check {
	c := defaults
	c.Type, c.Method, c.URI, c.Timeout, c.Codes = spec.CheckHTTP, method, "/alive?x", 20*time.Second, 1<<2|1<<3
	return c
}

// serveRaw reads the request of each connection, answers it with answer and closes.
func serveRaw(t *testing.T, network, at string, answer func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen(network, at)
	if err != nil {
		t.Skip(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			http.ReadRequest(bufio.NewReader(c))
			answer(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestHTTPCheck(t *testing.T) {
	var asked *http.Request
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		switch r.Host {
		case "moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "broken":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "unsupported":
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		case "large":
			w.Write(make([]byte, 1<<20))
		}
	}))
	defer site.Close()
	at := netip.MustParseAddrPort(site.Listener.Addr().String())
	for _, test := range []struct {
		domain, method string
		want           result
	}{
		{"", "head", result{outcome: passed}},
		{"moved", "head", result{outcome: passed}},
		{"large", "get", result{outcome: passed}},
		{"broken", "get", result{failed, "answered 503, wanted http_2xx or http_3xx"}},
		{"unsupported", "head", result{failed, "answered 405, wanted http_2xx or http_3xx"}},
		{"unsupported", "get", result{outcome: passed}},
	} {
		c := httpCheck(test.method)
		c.Domain = test.domain
		if got := probe(context.Background(), at, c); got != test.want {
			t.Errorf("%s of %q: %+v, want %+v", test.method, test.domain, got, test.want)
		}
		host := test.domain
		if host == "" {
			host = at.String()
		}
		if asked.Host != host || asked.URL.String() != "/alive?x" || asked.Method != strings.ToUpper(test.method) {
			t.Errorf("asked %s %s of %s", asked.Method, asked.URL, asked.Host)
		}
	}
}

// trickle writes text a byte at a time, for longer than any check waits.
func trickle(c net.Conn, text string) {
	for i := range 200 {
		if _, err := io.WriteString(c, text[i%len(text):][:1]); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestHTTPCheckOfOddServers(t *testing.T) {
	says := func(text string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, text) } }
	for name, test := range map[string]struct {
		answer func(net.Conn)
		want   string // empty = passes
	}{
		"hangs":             {func(c net.Conn) { c.Read(make([]byte, 1)) }, "no answer within 200ms"},
		"stops in the head": {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 O"); c.Read(make([]byte, 1)) }, "no answer within 200ms"},
		"stops in the body": {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nx"); c.Read(make([]byte, 1)) }, "no answer within 200ms"},
		"trickles a head":   {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n"); trickle(c, "X: y\r\n") }, "no answer within 200ms"},
		"trickles a body":   {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); trickle(c, "x") }, "no answer within 200ms"},
		"closes":            {says(""), "closed without an answer"},
		"closes in a head":  {says("HTTP/1.1 200 OK\r\nX: y\r\n"), "closed before its answer was whole"},
		"half a page":       {says("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"), "closed before its answer was whole"},
		"half of a large":   {says("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + strings.Repeat("x", 2*maxBody)), ""},
		"large in chunks":   {says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" + strings.Repeat("x", 1<<16)), ""},
		"speaks SMTP":       {says("220 mail\r\n"), "answered something that is not HTTP"},
		"bad field":         {says("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), "answered something that is not HTTP"},
		"giant head":        {says("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), "answered with a head over 16 KiB"},
		"many fields":       {says("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 1<<16)), "answered with a head over 16 KiB"},
		"hints first":       {says("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), ""},
		"hints and no end":  {says(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1<<14)), "answered with a head over 16 KiB"},
		"hints and fails":   {says("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n"), "answered 404, wanted http_2xx or http_3xx"},
		"switches":          {says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "answered 101, wanted http_2xx or http_3xx"},
		"HTTP/1.0":          {says("HTTP/1.0 200 OK\r\n\r\npage"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			at, want := serveRaw(t, "tcp", "127.0.0.1:0", test.answer), result{outcome: passed}
			if test.want != "" {
				want = result{failed, test.want}
			}
			c := httpCheck("get")
			if strings.HasPrefix(test.want, "no answer") {
				c.Timeout = 200 * time.Millisecond
			}
			start := time.Now()
			if got := probe(context.Background(), at, c); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestHTTPCheckOnIPv6(t *testing.T) {
	host := make(chan string, 1)
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	site := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { host <- r.Host })}
	go site.Serve(l)
	defer site.Close()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	if got := probe(context.Background(), at, httpCheck("get")); got.outcome != passed || <-host != at.String() {
		t.Errorf("%+v", got)
	}
}

// The request as the server gets it, to the byte.
func TestHTTPRequest(t *testing.T) {
	c := httpCheck("get")
	c.Domain, c.URI = "www.abc.com", "/alive?a=b&c=%20#part"
	const want = "GET /alive?a=b&c=%20 HTTP/1.1\r\nHost: www.abc.com\r\nUser-Agent: slbctl-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
	if got := requestOf(endpoint, c); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A probe that waits for its answer is one goroutine and no more.
func TestHTTPProbesInFlightAreLean(t *testing.T) {
	const n = 500
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := httpCheck("head")
	c.Timeout = time.Minute
	ctx, cancel := context.WithCancel(context.Background())
	before := runtime.NumGoroutine()
	results := make(chan result, n)
	for range n {
		go func() { results <- probe(ctx, l.Addr().(*net.TCPAddr).AddrPort(), c) }()
	}
	for range n {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			t.Fatal(err)
		}
	}
	// All are past their dial by now, but for the end of its goroutine.
	for limit := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+n+n/20; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Errorf("%d goroutines for %d probes", runtime.NumGoroutine()-before, n)
			break
		}
	}
	cancel()
	for range n {
		if r := <-results; r.outcome == passed {
			t.Errorf("%+v", r)
		}
	}
}

func TestUDPCheck(t *testing.T) {
	server, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 100)
		for {
			n, from, err := server.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			switch string(b[:n]) {
			case "ping":
				server.WriteToUDPAddrPort([]byte("pong"), from)
			case "noise":
				server.WriteToUDPAddrPort(make([]byte, 9000), from)
			case "zeros":
				server.WriteToUDPAddrPort(make([]byte, 500), from)
			}
		}
	}()
	at := server.LocalAddr().(*net.UDPAddr).AddrPort()
	check := func(request, expect string) result {
		c := defaults
		c.Type, c.Timeout, c.Request, c.Expect = spec.CheckUDP, 20*time.Second, request, expect
		if request == "" || request == "other" { // they wait in vain
			c.Timeout = 50 * time.Millisecond
		}
		return probe(context.Background(), at, c)
	}
	for _, test := range []struct {
		request, expect string
		want            result
	}{
		{"", "", result{outcome: passed}},
		{"ping", "pong", result{outcome: passed}},
		{"ping", "po", result{failed, `answered "pong", wanted "po"`}},
		{"ping", "ponging", result{failed, `answered "pong", wanted "ponging"`}},
		{"ping", "", result{outcome: passed}},
		{"noise", "pong", result{failed, `answered "` + strings.Repeat(`\x00`, shownReply) + `"..., wanted "pong"`}},
		{"zeros", string(make([]byte, 500)), result{outcome: passed}},
		{"noise", string(make([]byte, 500)), result{failed, `answered "` + strings.Repeat(`\x00`, shownReply) + `"..., wanted "` + strings.Repeat(`\x00`, shownReply) + `"...`}},
		{"other", "pong", result{failed, "no answer within 50ms"}},
	} {
		if got := check(test.request, test.expect); got != test.want {
			t.Errorf("%q for %q: %+v, want %+v", test.expect, test.request, got, test.want)
		}
	}
	server.Close()
	<-done
	if got, want := check("", ""), (result{failed, "connection refused"}); got != want {
		t.Errorf("where nobody is: %+v, want %+v", got, want)
	}
}
