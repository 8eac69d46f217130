//go:build linux

package proxy

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// loggedWeb is web with an access log; lines closes the log and reads it.
func loggedWeb(t testing.TB, loops int, l *balance.Listener, format string) (k *Socket, h *Handler, lines func() []string) {
	t.Helper()
	return loggedTLS(t, loops, l, format, nil)
}

// loggedTLS is loggedWeb that speaks TLS.
func loggedTLS(t testing.TB, loops int, l *balance.Listener, format string, config *tls.Config) (k *Socket, h *Handler, lines func() []string) {
	t.Helper()
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, loops)
	path := filepath.Join(t.TempDir(), "log")
	log, err := s.OpenAccessLog(path, format)
	if err != nil {
		t.Fatal(err)
	}
	if k, err = s.Bind(anyPort); err != nil {
		t.Fatal(err)
	}
	h = handle(l, nil)
	h.LogTo(log)
	if config != nil {
		h.Secure(config)
	}
	k.Serve(h)
	end := sync.OnceValue(log.Close)
	t.Cleanup(func() { end() })
	return k, h, func() []string {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

// TestHTTPEveryEndIsLoggedOnce ends exchanges in every way there is, each behind one that
// ends well on the same connection.
func TestHTTPEveryEndIsLoggedOnce(t *testing.T) {
	backend := startBackend(t, func(c *net.TCPConn) {
		for r := bufio.NewReader(c); ; {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			switch req.URL.Path {
			case "/hangs-up":
				return
			case "/silent":
			case "/stops":
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
			case "/cut":
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
				return
			case "/until-end":
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
				return
			case "/ws":
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				io.Copy(io.Discard, r)
				return
			default:
				io.WriteString(c, ok)
			}
		}
	})
	const upgrade = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	for _, test := range []struct {
		name, request string
		leave, times  bool // the client hangs up instead of waiting; it has to wait for a timeout
		status        float64
		upstream      any
		body          float64
	}{
		{"well", getLine("/"), false, false, 200, 200.0, 2},
		{"malformed head", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", false, false, 400, "-", 16},
		{"malformed body", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, false, 400, "-", 16},
		{"malformed path", getLine("/../x"), false, false, 400, "-", 16},
		{"half a head", "GET / HTTP/1.1\r\nHo", false, true, 408, "-", 20},
		{"half a body", "POST /silent HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf", false, true, 408, "-", 20},
		{"no rule", "GET / HTTP/1.1\r\nHost: ruled\r\n\r\n", false, false, 404, "-", 14},
		{"redirect", "GET / HTTP/1.1\r\nHost: moved\r\n\r\n", false, false, 302, "-", 0},
		{"hangs up", "POST /hangs-up HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", false, false, 502, "-", 16},
		{"nobody there", "GET / HTTP/1.1\r\nHost: down\r\n\r\n", false, false, 502, "-", 16},
		{"silent", getLine("/silent"), false, true, 504, "-", 20},
		{"stops", getLine("/stops"), false, true, 200, 200.0, 5},
		{"cut", getLine("/cut"), false, false, 200, 200.0, 5},
		{"until the end", getLine("/until-end"), false, false, 200, 200.0, 13},
		{"client leaves", getLine("/silent"), true, true, 499, "-", 0},
		{"client leaves the body", "POST /silent HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf", true, false, 499, "-", 0},
		{"client leaves the answer", getLine("/stops"), true, true, 499, 200.0, 5},
		{"tunnel", upgrade, false, true, 101, "-", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := httpListenerOf(backend)
			l.RequestTimeout = patience
			if test.times {
				l.RequestTimeout = 1500 * time.Millisecond
				t.Parallel()
			}
			ruleTo(l, "r", "ruled", "/only", backend)
			ruleTo(l, "d", "down", "", closedPort(t))
			ruleTo(l, "m", "moved", "", netip.AddrPort{}).Redirect = &balance.Redirect{Scheme: "https", Code: 302}
			l.Rules[2].Backends = nil
			k, h, lines := loggedWeb(t, 1, l, spec.AccessLogJSON)
			c := talkTo(t, k)
			c.say(getLine("/first"))
			c.want(200, "ok")
			c.say(test.request)
			if test.leave {
				eventually(t, "the server has been asked", func() bool { return h.Counters().Backends["a"].Requests == 2 })
				if test.upstream != "-" {
					c.r.ReadString('t') // the body has begun
				}
				abort(c.TCPConn)
			} else if res, err := http.ReadResponse(c.r, nil); err != nil {
				t.Fatal(err)
			} else if res.StatusCode == http.StatusSwitchingProtocols {
				io.Copy(io.Discard, c.r) // until the time is up
			} else {
				io.Copy(io.Discard, res.Body) // it may be broken off
			}
			c.Close()
			atRest(t, h)
			ended := h.Totals().Front.Exchanges
			if class := max(0, int(test.status)/100-1); ended.Count() != 2 || ended.Classes[class] < 1 {
				t.Errorf("counted %+v, the log says 200 and %v", ended, test.status)
			}
			got := lines()
			if len(got) != 2 {
				t.Fatalf("%d lines:\n%s", len(got), strings.Join(got, "\n"))
			}
			for i, want := range []map[string]any{
				{"request_uri": "/first", "status": 200.0, "body_bytes_sent": 2.0},
				{"status": test.status, "upstream_status": test.upstream, "body_bytes_sent": test.body},
			} {
				var line map[string]any
				if err := json.Unmarshal([]byte(got[i]), &line); err != nil {
					t.Fatalf("%v in %s", err, got[i])
				}
				for key, value := range want {
					if line[key] != value {
						t.Errorf("line %d: %s is %v, want %v", i, key, line[key], value)
					}
				}
				if took, ok := line["request_time"].(float64); !ok || took < 0 || took > 5 {
					t.Errorf("line %d: request_time is %v", i, line["request_time"])
				}
			}
		})
	}
}

// TestHTTPLogSaysWhatTheProducts has an exchange whose request, answer and connection are
// each slow in one place, and looks for all fields that the product's log of a plain HTTP
// listener has.
func TestHTTPLogSaysWhatTheProducts(t *testing.T) {
	const pause = 60 * time.Millisecond
	begun := make(chan struct{})
	text := strings.Repeat("All work and no play makes Jack a dull boy.\n", 500)
	l := httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, text)
		w.(http.Flusher).Flush()
		<-begun
		io.WriteString(w, text)
	}))
	l.Gzip, l.Port, l.Endpoint, l.SLBID = true, 80, anyPort, "lb-1"
	ruleTo(l, "down", "down", "", closedPort(t))
	k, h, lines := loggedWeb(t, 1, l, spec.AccessLogJSON)
	c := talkTo(t, k)
	c.say("POST /p HTTP/1.1\r\nHost: h:1\r\nAccept-Encoding: gzip\r\nX-Real-IP: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\nContent-Length: 4\r\n\r\nab")
	eventually(t, "the request has begun", func() bool { return h.Counters().Requests == 1 })
	time.Sleep(pause)
	c.say("cd")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(pause)
	close(begun)
	packed, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	c.say(strings.Replace(getLine("/"), "Host: h", "Host: down", 1))
	c.want(http.StatusBadGateway, "*")
	c.Close()
	atRest(t, h)
	var got [2]map[string]any
	for i, line := range lines() {
		if err := json.Unmarshal([]byte(line), &got[i]); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
	}
	for _, key := range strings.Fields(`body_bytes_sent client_ip client_port host http_host http_referer http_user_agent
		http_x_forwarded_for http_x_real_ip read_request_time request_length request_method request_time request_uri scheme
		server_protocol slb_vport slbid status tcpinfo_rtt time upstream_addr upstream_response_time upstream_status
		vip_addr write_response_time`) {
		if _, ok := got[0][key]; !ok {
			t.Errorf("no %s in %v", key, got[0])
		}
	}
	for key, want := range map[string]any{
		"body_bytes_sent": float64(len(packed)), "host": "h", "http_host": "h:1", "http_x_real_ip": "1.1.1.1", "http_x_forwarded_for": "2.2.2.2",
		"request_method": "POST", "scheme": "http", "server_protocol": "HTTP/1.1", "slb_vport": 80.0, "slbid": "lb-1",
	} {
		if got[0][key] != want {
			t.Errorf("%s is %v, want %v", key, got[0][key], want)
		}
	}
	number := func(key string) float64 { n, _ := got[0][key].(float64); return n }
	read, write, all := number("read_request_time")/1000, number("write_response_time")/1000, number("request_time")
	if least := pause.Seconds(); read < least || write < least || read+write > all+0.001 || number("upstream_response_time") < write || number("tcpinfo_rtt") <= 0 {
		t.Errorf("times in %v, want %v for each of reading and writing", got[0], pause)
	}
	// Whom it could not reach is told, too.
	if got[1]["upstream_addr"] != l.Rules[0].Backends[0].Endpoint.String() || got[1]["upstream_status"] != "-" {
		t.Errorf("a server that is not there: %v", got[1])
	}
}

func TestHTTPCombinedLogOfABadRequest(t *testing.T) {
	k, h, lines := loggedWeb(t, 1, httpListenerOf(), spec.AccessLogCombined)
	raw(t, k, "GET / HTTP/1.1\r\nHost : \"h\r\n\r\n")
	atRest(t, h)
	if got := lines(); len(got) != 1 || !strings.HasSuffix(got[0], `"-" 400 16 "-" "-"`) {
		t.Errorf("%q", got)
	}
}

// TestHTTPLogOfAnEarlierGeneration ends an exchange that began under a listener with an
// access log on a server of one that has none.
func TestHTTPLogOfAnEarlierGeneration(t *testing.T) {
	inTime(t, 100*time.Millisecond, func(timeout time.Duration) bool { return logOfAnEarlierGeneration(t, timeout) })
}

// logOfAnEarlierGeneration says whether the listener was another before the attempt to
// connect was over.
func logOfAnEarlierGeneration(t *testing.T, timeout time.Duration) bool {
	l := httpListenerOf(fullSocket(t))
	l.ConnectTimeout = timeout
	k, h, lines := loggedWeb(t, 1, l, spec.AccessLogJSON)
	c := talkTo(t, k)
	start := time.Now()
	c.say(getLine("/"))
	eventually(t, "the request is under way", func() bool { return h.Active("l", "a") == 1 || time.Since(start) >= timeout })
	next := httpListenerOf(always(t, ok))
	next.Prepare()
	after := handle(next, h)
	k.Serve(after)
	if time.Since(start) >= timeout {
		return false
	}
	c.want(200, "ok")
	c.say(getLine("/"))
	c.want(200, "ok")
	c.Close()
	atRest(t, after)
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], `"status":200`) {
		t.Errorf("%q, want the first exchange", got)
	}
	return true
}

// TestTLSLog says how a client has spoken, whatever the balancer makes of its request.
func TestTLSLog(t *testing.T) {
	config, roots := certified(t, "example.com")
	config.NextProtos = []string{"h2", "http/1.1"}
	k, h, lines := loggedTLS(t, 1, httpsListenerOf(startSite(t, saying("a"))), spec.AccessLogJSON, config)
	for _, client := range []*tls.Config{
		{RootCAs: roots, ServerName: "example.com"},
		{RootCAs: roots, ServerName: "example.com", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}},
	} {
		c := securedBrowser(t, client)
		c.Transport.(*http.Transport).ForceAttemptHTTP2 = client.MaxVersion == 0
		get(t, c, origin(k))
		c.CloseIdleConnections()
	}
	raw(t, k, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	settled(t, h)
	want := []map[string]any{
		{"server_protocol": "HTTP/2.0", "scheme": "https", "ssl_protocol": "TLSv1.3", "ssl_cipher": "TLS_AES_128_GCM_SHA256"},
		{"server_protocol": "HTTP/1.1", "scheme": "https", "ssl_protocol": "TLSv1.2", "ssl_cipher": "ECDHE-ECDSA-AES256-GCM-SHA384"},
		{"status": 400.0, "ssl_protocol": nil, "ssl_cipher": nil},
	}
	got := lines()
	if len(got) != len(want) {
		t.Fatalf("%d lines: %q", len(got), got)
	}
	for i, line := range got {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		for key, value := range want[i] {
			if fields[key] != value {
				t.Errorf("line %d: %s is %v, want %v", i, key, fields[key], value)
			}
		}
	}
}
