//go:build linux

package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// secureSetup is a setup with a certificate, for whatever listens on 127.0.0.1.
func secureSetup(t *testing.T) (setup, *tls.Config) {
	t.Helper()
	s := setup{HTTP: true, TLS: true, Rules: rules(1), Folder: t.TempDir(), Endpoint: netip.MustParseAddrPort("127.0.0.1:1")}
	var err error
	if s.Roots, err = s.certify(); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(s.Folder, certificateFile), filepath.Join(s.Folder, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	return s, &tls.Config{Certificates: []tls.Certificate{pair}}
}

// TestProbeOfTLS shows what the rows of TLS ask of a proxy beyond those of HTTP.
func TestProbeOfTLS(t *testing.T) {
	_, stranger := secureSetup(t)
	for name, test := range map[string]struct {
		http2 bool
		spoil func(*tls.Config)
		ok    bool
	}{
		"http/1.1":      {false, func(*tls.Config) {}, true},
		"h2":            {true, func(c *tls.Config) {}, true},
		"no h2":         {true, func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, false},
		"TLS 1.2":       {false, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, false},
		"another curve": {false, func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }, false},
		"somebody else": {false, func(c *tls.Config) { c.Certificates = stranger.Certificates }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, config := secureSetup(t)
			front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "GET / HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n")
			}))
			front.Config.ErrorLog = log.New(io.Discard, "", 0)
			front.TLS, front.EnableHTTP2 = config, test.http2
			test.spoil(config)
			front.StartTLS()
			defer front.Close()
			s.Endpoint, s.HTTP2 = netip.MustParseAddrPort(front.Listener.Addr().String()), test.http2
			if _, err := targetOf(s).probe(s); (err == nil) != test.ok {
				t.Error(err)
			}
		})
	}
}

// terminate puts TLS before a server.
func terminate(t *testing.T, config *tls.Config, server netip.AddrPort) (ep netip.AddrPort, resumed *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	resumed = new(atomic.Int64)
	go func() {
		for {
			plain, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				client := tls.Server(plain, config)
				defer client.Close()
				behind, err := net.Dial("tcp", server.String())
				if err != nil || client.Handshake() != nil {
					return
				}
				defer behind.Close()
				if client.ConnectionState().DidResume {
					resumed.Add(1)
				}
				go func() { io.Copy(behind, client); behind.Close() }()
				io.Copy(client, behind)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), resumed
}

func TestGeneratorsOfTLS(t *testing.T) {
	_, config := secureSetup(t)
	ep, resumed := terminate(t, config, says(t, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
	l, err := measureShakes(ep, "www0.bench.example", "/api0/", 4, 100*time.Millisecond)
	if err != nil || l.Requests < 4 || l.P50 <= 0 || l.P99 < l.P50 || l.Rate <= 0 {
		t.Errorf("handshakes: %+v, %v", l, err)
	}
	if n := resumed.Load(); n != 0 {
		t.Errorf("%d of %d handshakes were none", n, l.Requests)
	}
	ep, _ = terminate(t, config, serve(t))
	if l, err := holdIdle(ep, "www0.bench.example", "/api0/", true, 3); err != nil || l.Requests != 3 {
		t.Errorf("idle: %+v, %v", l, err)
	}
	// Nothing may look fast by failing.
	for name, answer := range map[string]string{
		"no answer":           "",
		"part of one":         "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n1",
		"a refusal":           "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"kept alive":          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"more than an answer": "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\nmore",
	} {
		ep, _ := terminate(t, config, says(t, answer))
		if l, err := measureShakes(ep, "x", "/", 2, 50*time.Millisecond); err == nil {
			t.Errorf("%s: %+v without an error", name, l)
		}
	}
	if l, err := measureShakes(says(t, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), "x", "/", 2, 50*time.Millisecond); err == nil {
		t.Errorf("no TLS: %+v without an error", l)
	}
}

func TestParseH2load(t *testing.T) {
	const good = `Application protocol: h2
finished in 1.00s, 32544.00 req/s, 763.00KB/s
requests: 32544 total, 32564 started, 32544 done, 32544 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 32544 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 763.00KB (781312) total, 127.26KB (130310) headers (space savings 95.79%), 63.56KB (65088) data
`
	l, err := parseH2load(good, 2)
	if want := (load{Requests: 32544, Amount: 32544, Rate: 16272}); err != nil || l != want {
		t.Errorf("%+v, %v, want %+v", l, err, want)
	}
	for name, change := range map[string][2]string{
		"another protocol": {"h2", "http/1.1"},
		"failures":         {"0 failed", "2 failed"},
		"errors":           {"0 errored", "2 errored"},
		"timeouts":         {"0 timeout", "2 timeout"},
		"not all answered": {"32544 succeeded", "32543 succeeded"},
		"statuses":         {"32544 2xx, 0 3xx, 0 4xx, 0 5xx", "32543 2xx, 0 3xx, 0 4xx, 1 5xx"},
		"nothing":          {"32544", "0"},
		"no output":        {good, ""},
	} {
		if l, err := parseH2load(strings.ReplaceAll(good, change[0], change[1]), 2); err == nil {
			t.Errorf("%s: %+v without an error", name, l)
		}
	}
}
