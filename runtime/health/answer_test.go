package health

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

func httpCheck(method string) balance.Check {
	c := defaults
	c.Type, c.Method, c.URI, c.Timeout, c.Codes = spec.CheckHTTP, method, "/alive?x", 200*time.Millisecond, 1<<2|1<<3
	return c
}

// serveRaw answers each connection with answer, once something has come.
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
			c.Read(make([]byte, 1))
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

func TestHTTPCheckOfOddServers(t *testing.T) {
	silence := func(c net.Conn) { c.SetReadDeadline(time.Now().Add(400 * time.Millisecond)); io.Copy(io.Discard, c) }
	for name, test := range map[string]struct {
		answer func(net.Conn)
		want   string
	}{
		"hangs":        {silence, "no answer within 200ms"},
		"dribbles":     {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 O"); silence(c) }, "no answer within 200ms"},
		"closes":       {func(net.Conn) {}, "closed the connection without a whole answer"},
		"half a page":  {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx") }, "closed the connection without a whole answer"},
		"speaks SMTP":  {func(c net.Conn) { io.WriteString(c, "220 mail\r\n") }, "answered something that is not HTTP"},
		"endless head": {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)) }, "closed the connection without a whole answer"},
	} {
		t.Run(name, func(t *testing.T) {
			at := serveRaw(t, "tcp", "127.0.0.1:0", test.answer)
			start := time.Now()
			if got := probe(context.Background(), at, httpCheck("get")); got != (result{failed, test.want}) && !strings.Contains(got.cause, "reset") {
				t.Errorf("%+v, want %q", got, test.want)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	v6 := serveRaw(t, "tcp6", "[::1]:0", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n") })
	if got := probe(context.Background(), v6, httpCheck("get")); got.outcome != passed {
		t.Errorf("on IPv6: %+v", got)
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
			if string(b[:n]) == "ping" {
				server.WriteToUDPAddrPort([]byte("pong"), from)
			}
		}
	}()
	at := server.LocalAddr().(*net.UDPAddr).AddrPort()
	check := func(request, expect string) result {
		c := defaults
		c.Type, c.Timeout, c.Request, c.Expect = spec.CheckUDP, 50*time.Millisecond, request, expect
		return probe(context.Background(), at, c)
	}
	for _, test := range []struct {
		request, expect string
		want            result
	}{
		{"", "", result{outcome: passed}},
		{"ping", "pong", result{outcome: passed}},
		{"ping", "po", result{failed, `answered "pon", wanted "po"`}},
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
