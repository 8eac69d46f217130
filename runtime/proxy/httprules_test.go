//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/proxyproto"
	"slbctl/spec"
)

// ruleTo is a rule of l with one backend.
func ruleTo(l *balance.Listener, name, domain, url string, ep netip.AddrPort) *balance.Rule {
	r := &balance.Rule{Name: name, Address: "rule." + name, Domain: domain, URL: url, Pool: l.Pool}
	r.Owner = r.Address
	r.Backends = []balance.Backend{{Name: name, Endpoint: ep, Weight: 100}}
	l.Rules = append(l.Rules, r)
	return r
}

func TestHTTPRules(t *testing.T) {
	l := httpListenerOf(startSite(t, saying("own")))
	ruleTo(l, "tom", "www.aaa.com", "/tom", startSite(t, saying("tom")))
	ruleTo(l, "jerry", "www.aaa.com", "/jerry", startSite(t, saying("jerry")))
	ruleTo(l, "wide", "*.aaa.com", "", startSite(t, saying("wide")))
	elsewhere := ruleTo(l, "old", "", "/old", netip.AddrPort{})
	elsewhere.Backends, elsewhere.Redirect = nil, &balance.Redirect{Scheme: "https", Port: 8443, Code: 301}
	_, k, h := web(t, 2, l)
	c := browser(t)
	for _, test := range []struct{ host, path, want string }{
		{"www.aaa.com", "/tom/1", "tom"}, {"WWW.AAA.COM.:80", "/%74om", "tom"}, {"www.aaa.com", "//jerry", "jerry"},
		{"www.aaa.com", "/", "404 Not Found\n"}, {"b.aaa.com", "/tom", "wide"}, {"", "/", "own"}, {"c.com", "/x", "own"},
	} {
		req, _ := http.NewRequest("GET", urlOf(k, test.path), nil)
		req.Host = test.host
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(b) != test.want {
			t.Errorf("%s%s: %q, want %q", test.host, test.path, b, test.want)
		}
	}
	res, _ := get(t, c, urlOf(k, "/old/page?x=1"))
	if got, want := res.Header.Get("Location"), "https://127.0.0.1:8443/old/page?x=1"; res.StatusCode != 301 || got != want {
		t.Errorf("redirected by %d to %s, want 301 to %s", res.StatusCode, got, want)
	}
	if n := h.Counters(); n.Rules["rule.tom"]["tom"].Requests != 2 || n.Backends["a"].Requests != 2 || n.Requests != 8 {
		t.Errorf("counted %+v", n)
	}
}

func TestHTTPStickyInsert(t *testing.T) {
	l := httpListenerOf(startSite(t, saying("a")), startSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(404)
		}
		io.WriteString(w, "b")
	}))
	l.Sticky = balance.Sticky{Mode: balance.StickyInsert, Cookie: "SERVERID", MaxAge: time.Hour}
	_, k, h := web(t, 1, l)
	plain := browser(t)
	for _, want := range []string{"a", "b", "a"} {
		if res, body := get(t, plain, urlOf(k, "/")); body != want || !strings.Contains(res.Header.Get("Set-Cookie"), "SERVERID="+h.pools[0].spec.CookieValue(int(want[0]-'a'))+"; Path=/; Max-Age=3600") {
			t.Errorf("%q with %q, want %s and its cookie", body, res.Header["Set-Cookie"], want)
		}
	}
	if res, body := get(t, plain, urlOf(k, "/missing")); body != "b" || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("an error came with a cookie: %v", res.Header)
	}
	jar, _ := cookiejar.New(nil)
	sticky := browser(t)
	sticky.Jar = jar
	for i := range 10 {
		if res, body := get(t, sticky, urlOf(k, "/")); body != "a" || (i > 0) != (res.Header.Get("Set-Cookie") == "") {
			t.Errorf("request %d went to %s, cookies %v", i, body, res.Header["Set-Cookie"])
		}
	}
	// When its server is sick the session goes to another and stays there.
	l.Check.Enabled = true
	h.SetTable(0, l.Table(func(i int) balance.Health { return [...]balance.Health{balance.Abnormal, balance.Normal}[i] }))
	for range 3 {
		if _, body := get(t, sticky, urlOf(k, "/")); body != "b" {
			t.Errorf("served by %s, which is sick", body)
		}
	}
	h.SetTable(0, l.Table(allNormal))
	if _, body := get(t, sticky, urlOf(k, "/")); body != "b" {
		t.Errorf("moved back to %s", body)
	}
}

func TestHTTPStickyServer(t *testing.T) {
	site := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if c, err := r.Cookie("JSESSION"); err == nil {
				fmt.Fprintf(w, "%s knows %s", name, c.Value)
				return
			}
			http.SetCookie(w, &http.Cookie{Name: "JSESSION", Value: "of-" + name, Path: "/"})
			fmt.Fprintf(w, "%s is new", name)
		}
	}
	l := httpListenerOf(startSite(t, site("a")), startSite(t, site("b")))
	l.Sticky = balance.Sticky{Mode: balance.StickyServer, Cookie: "JSESSION"}
	_, k, _ := web(t, 1, l)
	for _, name := range []string{"a", "b"} {
		c := browser(t)
		c.Jar, _ = cookiejar.New(nil)
		if _, body := get(t, c, urlOf(k, "/")); body != name+" is new" {
			t.Errorf("%q", body)
		}
		for range 3 {
			if _, body := get(t, c, urlOf(k, "/")); body != name+" knows of-"+name {
				t.Errorf("%q, want the session of %s", body, name)
			}
		}
	}
}

func TestHTTPGzip(t *testing.T) {
	text := strings.Repeat("All work and no play makes Jack a dull boy.\n", 5000)
	l := httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		w.Header().Set("ETag", `"strong"`)
		n := len(text)
		if r.URL.Path == "/small" {
			n = 100
		}
		if r.URL.Path == "/length" || r.URL.Path == "/small" {
			w.Header().Set("Content-Length", fmt.Sprint(n))
		}
		io.WriteString(w, text[:n])
	}))
	l.Gzip = true
	_, k, _ := web(t, 1, l)
	c := browser(t)
	for _, test := range []struct {
		path, accept string
		packed       bool
	}{
		{"/length?type=text/plain", "gzip", true}, {"/chunks?type=text/css%3Bcharset=utf-8", "br, GZIP;q=0.5", true},
		{"/length?type=text/plain", "", false}, {"/length?type=text/plain", "gzip;q=0", false}, {"/length?type=text/html", "gzip", false},
		{"/length?type=image/png", "gzip", false}, {"/small?type=text/plain", "gzip", false}, {"/length?type=text/plain", "x-gzip", false},
	} {
		req, _ := http.NewRequest("GET", urlOf(k, test.path), nil)
		if test.accept != "" {
			req.Header.Set("Accept-Encoding", test.accept)
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		packed := res.Header.Get("Content-Encoding") == "gzip"
		if packed != test.packed {
			t.Errorf("%s accepting %q: compressed %v", test.path, test.accept, packed)
		}
		if !packed {
			continue
		}
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || string(got) != text {
			t.Errorf("%s: unpacked %d bytes, %v", test.path, len(got), err)
		}
		if len(b) > len(text)/10 || res.Header.Get("Etag") != `W/"strong"` || !strings.Contains(res.Header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: %d bytes with %v", test.path, len(b), res.Header)
		}
	}
}

func TestHTTPAccessLog(t *testing.T) {
	for _, format := range []string{spec.AccessLogJSON, spec.AccessLogCombined} {
		t.Run(format, func(t *testing.T) {
			s := startServer(t, 1)
			path := filepath.Join(t.TempDir(), "log")
			log, err := s.OpenAccessLog(path, format)
			if err != nil {
				t.Fatal(err)
			}
			l := httpListenerOf(startSite(t, saying("hello")))
			l.Prepare()
			k, err := s.Bind(anyPort)
			if err != nil {
				t.Fatal(err)
			}
			h := handle(l, nil)
			h.LogTo(log)
			k.Serve(h)
			req, _ := http.NewRequest("GET", urlOf(k, "/a?b"), nil)
			req.Header.Set("User-Agent", "evil\" \\agent")
			req.Header.Set("Referer", "http://r/")
			c := browser(t)
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			raw(t, k, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			get(t, c, urlOf(k, "/after the log was closed"))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(b)), "\n")
			if len(lines) != 2 {
				t.Fatalf("%d lines:\n%s", len(lines), b)
			}
			if format == spec.AccessLogCombined {
				if !strings.HasPrefix(lines[0], "127.0.0.1 - - [") || !strings.HasSuffix(lines[0], `"GET /a?b HTTP/1.1" 200 5 "http://r/" "evil\" \\agent"`) {
					t.Errorf("%s", lines[0])
				}
				return
			}
			var line map[string]any
			if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
				t.Fatalf("%v in %s", err, lines[0])
			}
			for key, want := range map[string]any{
				"status": 200.0, "body_bytes_sent": 5.0, "request_uri": "/a?b", "http_user_agent": "evil\" \\agent",
				"upstream_status": 200.0, "upstream_addr": l.Backends[0].Endpoint.String(), "client_ip": "127.0.0.1",
			} {
				if line[key] != want {
					t.Errorf("%s is %v, want %v", key, line[key], want)
				}
			}
		})
	}
}

func TestAdmission(t *testing.T) {
	for name, test := range map[string]struct {
		change          func(*balance.Listener)
		denied, dropped int64
	}{
		"black list": {func(l *balance.Listener) {
			l.ACL = balance.NewAccessList([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, false)
		}, 2, 0},
		"white list":  {func(l *balance.Listener) { l.ACL = balance.NewAccessList(nil, true) }, 2, 0},
		"connections": {func(l *balance.Listener) { l.MaxConnections = 1 }, 0, 1},
		"a second's":  {func(l *balance.Listener) { l.CPS = 1 }, 0, 1},
	} {
		for _, l := range []*balance.Listener{listenerOf(startBackend(t, echo)), httpListenerOf(startSite(t, saying("a")))} {
			t.Run(name+" "+l.Protocol, func(t *testing.T) {
				l.Address, l.LoadBalancer = "l", "lb"
				test.change(l)
				l.Prepare()
				k, err := startServer(t, 1).Bind(anyPort)
				if err != nil {
					t.Fatal(err)
				}
				h := NewHandler(l, []*balance.State{balance.NewState(&l.Pool, nil)}, balance.NewQuotas([]*balance.Listener{l}, nil)["lb"], nil)
				h.SetTable(0, l.Table(allNormal))
				k.Serve(h)
				second := time.Now()
				for range 2 {
					c, err := net.Dial("tcp", k.Endpoint().String())
					if err == nil {
						defer c.Close()
						c.SetDeadline(time.Now().Add(patience))
						io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
						c.Read(make([]byte, 1))
					}
				}
				if l.CPS > 0 && time.Since(second) >= time.Second {
					t.Skip("too slow a machine for two connections in a second")
				}
				if n := h.Counters(); n.Denied != test.denied || n.Dropped != test.dropped {
					t.Errorf("counted %+v", n.Counts)
				}
				if n := h.Totals().Front.OverLimit; n != test.dropped {
					t.Errorf("%d over the limit", n)
				}
			})
		}
	}
}

func TestHTTPRequestsPerSecond(t *testing.T) {
	l := httpListenerOf(startSite(t, saying("a")))
	l.Address, l.LoadBalancer, l.MaxQPS = "l", "lb", 3
	l.Prepare()
	k, err := startServer(t, 1).Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	h := NewHandler(l, []*balance.State{balance.NewState(&l.Pool, nil)}, balance.NewQuotas([]*balance.Listener{l}, nil)["lb"], nil)
	h.SetTable(0, l.Table(allNormal))
	k.Serve(h)
	c := browser(t)
	counts := map[int]int{}
	for range 20 {
		res, _ := get(t, c, urlOf(k, "/"))
		counts[res.StatusCode]++
	}
	if counts[200] < 3 || counts[503] == 0 || counts[200]+counts[503] != 20 {
		t.Errorf("answered %v", counts)
	}
	if n := h.Totals().Front; n.OverQPS != int64(counts[503]) || n.OverLimit != 0 {
		t.Errorf("counted %+v", n)
	}
}

// TestHTTPSlowReaders has clients that ask for more than the kernel takes and do not
// read: each costs a buffer, and once they read, every byte is there.
func TestHTTPSlowReaders(t *testing.T) {
	const size = 32 << 20
	block := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	l := httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		for range size / len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	_, k, h := web(t, 1, l)
	var slow []*net.TCPConn
	for range 8 {
		c := connect(t, k)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		slow = append(slow, c)
	}
	last := int64(-1)
	eventually(t, "the kernel is full", func() bool {
		now := h.Counters().BytesOut
		same := now == last && now > 0
		last = now
		return same
	})
	if last > 8*size/2 {
		t.Errorf("%d bytes were taken for readers that read nothing", last)
	}
	// The others are served meanwhile.
	want := sha256.New()
	for range size / len(block) {
		want.Write(block)
	}
	for _, c := range slow {
		res, err := http.ReadResponse(bufio.NewReaderSize(c, 1<<20), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := sha256.New()
		if n, err := io.Copy(got, res.Body); err != nil || n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	settled(t, h)
}

func TestHTTPRetries(t *testing.T) {
	inTime(t, 100*time.Millisecond, func(timeout time.Duration) bool { return httpRetries(t, timeout) })
}

// httpRetries says whether the servers that answer did so in time.
func httpRetries(t *testing.T, timeout time.Duration) bool {
	var asked atomic.Int64
	bad := startSite(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
		}
		w.WriteHeader(503)
	})
	good := startSite(t, saying("good"))
	l := httpListenerOf(bad, good)
	l.RequestTimeout = timeout
	l.Retry = spec.Retry{Connect: true, Timeout: true, Status5x: true}
	_, k, _ := web(t, 1, l)
	c := browser(t)
	for path, waits := range map[string]time.Duration{"/": 0, "/slow": timeout} { // for the server that does not answer
		for range 4 {
			start := time.Now()
			if res, body := get(t, c, urlOf(k, path)); time.Since(start) >= waits+timeout {
				return false
			} else if res.StatusCode != 200 || body != "good" {
				t.Errorf("%s: %d %q", path, res.StatusCode, body)
			}
		}
	}
	before, start := asked.Load(), time.Now()
	refused := 0
	for range 2 {
		res, err := c.Post(urlOf(k, "/"), "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == 503 {
			refused++
		}
	}
	if time.Since(start) >= timeout {
		return false
	} else if refused != 1 || asked.Load() != before+1 {
		t.Errorf("of two POSTs %d got their server's 503, which was asked %d times", refused, asked.Load()-before)
	}
	return true
}

func TestPROXYProtocol(t *testing.T) {
	lines := make(chan string, 10)
	backend := startBackend(t, func(c *net.TCPConn) {
		line, _ := bufio.NewReader(c).ReadString('\n')
		lines <- line
		io.WriteString(c, "ok")
	})
	l := listenerOf(backend)
	l.ProxyProtocol, l.AcceptProxyProtocol = 1, true
	l.ACL = balance.NewAccessList([]netip.Prefix{netip.MustParsePrefix("6.6.6.6/32")}, false)
	_, k, h := balanced(t, 1, l)
	c := connect(t, k)
	for _, piece := range []string{"PROXY TCP4 1.2.3.4 5.6.", "7.8 1000 80\r", "\nhello\n"} {
		io.WriteString(c, piece)
		time.Sleep(time.Millisecond) // pieces of their own, as far as the kernel likes
	}
	if b, err := io.ReadAll(c); string(b) != "ok" {
		t.Fatalf("%q, %v", b, err)
	}
	c.Close()
	if got, want := <-lines, "PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\n"; got != want {
		t.Errorf("the server was told %q, want %q", got, want)
	}
	for _, bad := range []string{"GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 6.6.6.6 5.6.7.8 1000 80\r\n"} {
		c := connect(t, k)
		io.WriteString(c, bad)
		wantReset(t, c)
	}
	if n := settled(t, h); n.Denied != 1 || n.Errors != 1 {
		t.Errorf("counted %+v", n.Counts)
	}
}

// TestPROXYProtocolBinary has the client's address in front of its first bytes, and
// nowhere else.
func TestPROXYProtocolBinary(t *testing.T) {
	streams := make(chan []byte, 1)
	l := listenerOf(startBackend(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c)
		streams <- b
	}))
	l.ProxyProtocol = 2
	_, k, _ := balanced(t, 1, l)
	c := connect(t, k)
	for range 2 {
		io.WriteString(c, "hello")
	}
	c.CloseWrite()
	got := <-streams
	head, n, err := proxyproto.Parse(got)
	want := proxyproto.Header{Version: 2, Source: c.LocalAddr().(*net.TCPAddr).AddrPort(), Destination: k.Endpoint()}
	if err != nil || head != want || string(got[n:]) != "hellohello" {
		t.Errorf("got %+v and %q, %v; want %+v", head, got[n:], err, want)
	}
}

func TestBandwidth(t *testing.T) {
	l := listenerOf(startBackend(t, echo))
	l.Address, l.LoadBalancer, l.Bandwidth = "l", "lb", 8 // 1 MB/s
	k, err := startServer(t, 1).Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	h := NewHandler(l, []*balance.State{balance.NewState(&l.Pool, nil)}, balance.NewQuotas([]*balance.Listener{l}, nil)["lb"], nil)
	h.SetTable(0, l.Table(allNormal))
	k.Serve(h)
	c := connect(t, k)
	const size = 400_000
	start := time.Now()
	go func() {
		c.Write(make([]byte, size))
		c.CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, c); n != size || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	// A tenth of a second's worth comes at once.
	if took := time.Since(start); took < 250*time.Millisecond {
		t.Errorf("%d bytes took %v, want about %v", size, took, 300*time.Millisecond)
	}
}

// TestHTTPBandwidth sends a page, and takes a body, at an eighth of a megabyte a second.
func TestHTTPBandwidth(t *testing.T) {
	t.Parallel()
	const size = 250_000
	l := httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Got", fmt.Sprint(n))
		if r.Method == http.MethodGet {
			w.Write(make([]byte, size))
		}
	}))
	l.Address, l.LoadBalancer, l.Bandwidth = "l", "lb", 1
	l.RequestTimeout = 1500 * time.Millisecond // a wait for the bandwidth is no slowness
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "POST"} {
		k, err := startServer(t, 1).Bind(anyPort)
		if err != nil {
			t.Fatal(err)
		}
		h := NewHandler(l, []*balance.State{balance.NewState(&l.Pool, nil)}, balance.NewQuotas([]*balance.Listener{l}, nil)["lb"], nil)
		h.SetTable(0, l.Table(allNormal))
		k.Serve(h)
		var body io.Reader
		want := size
		if method == "POST" {
			body, want = bytes.NewReader(make([]byte, size)), 0
		}
		start := time.Now()
		req, _ := http.NewRequest(method, urlOf(k, "/"), body)
		res, err := browser(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if err != nil || n != int64(want) || res.Header.Get("X-Got") != fmt.Sprint(size-want) {
			t.Errorf("%s: %d bytes, the server got %s, %v", method, n, res.Header.Get("X-Got"), err)
		}
		// A tenth of a second's worth comes at once, and nobody waits after the last piece, which is most of a
		// second's worth where the machine has stood still.
		if took := time.Since(start); took < 800*time.Millisecond {
			t.Errorf("%s of %d bytes took %v, want at least 0.8 s", method, size, took)
		}
	}
}
