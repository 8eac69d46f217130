//go:build linux

package proxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// certified is a TLS configuration for names, and the pool of roots that trusts it.
func certified(t testing.TB, names ...string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}},
		MinVersion:   tls.VersionTLS12, NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true,
	}, roots
}

func httpsListenerOf(endpoints ...netip.AddrPort) *balance.Listener {
	l := httpListenerOf(endpoints...)
	l.Protocol = spec.ProtocolHTTPS
	return l
}

// secured is a socket in front of HTTP backends that speaks TLS as example.com, and
// protocols in it, HTTP/1.1 if none are given.
func secured(t testing.TB, loops int, l *balance.Listener, protocols ...string) (*Socket, *Handler, *tls.Config) {
	t.Helper()
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, loops)
	k, err := s.Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	config, roots := certified(t, "example.com")
	config.NextProtos = append(protocols, config.NextProtos...)
	h := handle(l, nil)
	h.Secure(config)
	k.Serve(h)
	return k, h, &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// securedBrowser is an HTTP/1.1 client of the test's own.
func securedBrowser(t testing.TB, config *tls.Config) *http.Client {
	c := browser(t)
	c.Transport.(*http.Transport).TLSClientConfig = config
	return c
}

func origin(k *Socket) string { return "https://" + k.Endpoint().String() }

func handshake(t testing.TB, k *Socket, config *tls.Config) *tls.Conn {
	t.Helper()
	c := tls.Client(connect(t, k), config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTLSBodies(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			k, h, config := secured(t, 2, httpsListenerOf(bodySite(t)))
			config.MaxVersion = version
			wantBodies(t, securedBrowser(t, config), origin(k))
			if n := h.Counters(); n.Errors != 0 {
				t.Errorf("counted %+v", n)
			}
		})
	}
}

func TestTLSWebSocketIsATunnel(t *testing.T) {
	k, h, config := secured(t, 2, httpsListenerOf(startChat(t)))
	wantTunnel(t, handshake(t, k, config), h)
	settled(t, h)
}

// TestTLSInPieces has a handshake and a request come byte by byte.
func TestTLSInPieces(t *testing.T) {
	k, _, config := secured(t, 1, httpsListenerOf(startSite(t, saying("a"))))
	c := tls.Client(dribble{connect(t, k)}, config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasSuffix(string(b), "\r\n\r\na") {
		t.Errorf("%q, %v", b, err)
	}
}

// dribble writes byte by byte.
type dribble struct{ *net.TCPConn }

func (d dribble) Write(b []byte) (int, error) {
	d.SetNoDelay(true)
	for i := range b {
		if _, err := d.TCPConn.Write(b[i : i+1]); err != nil {
			return i, err
		}
		if i%16 == 0 {
			time.Sleep(10 * time.Microsecond) // so that not all of it comes in one read
		}
	}
	return len(b), nil
}

// TestTLSFailures has clients that get no further than the handshake.
func TestTLSFailures(t *testing.T) {
	k, h, config := secured(t, 1, httpsListenerOf(startSite(t, saying("a"))))
	if got := raw(t, k, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("plain HTTP got %q, want 400", got)
	}
	if got := raw(t, k, "\x00\x01garbage"); strings.HasPrefix(got, "HTTP") {
		t.Errorf("garbage got %q", got)
	}
	old := config.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if err := tls.Client(connect(t, k), old).Handshake(); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v, want the alert that says why", err)
	}
	if n := settled(t, h); n.Errors != 3 || n.Requests != 1 {
		t.Errorf("counted %+v, want three errors and one request that was refused", n)
	}
}

// TestTLSHalfOpen keeps clients that say nothing, or begin and stop, for the time of a
// handshake and no longer; others notice nothing.
func TestTLSHalfOpen(t *testing.T) {
	k, h, config := secured(t, 1, httpsListenerOf(startSite(t, saying("a"))))
	var silent []net.Conn
	before := runtime.NumGoroutine()
	began := time.Now()
	for i := range 200 {
		c := connect(t, k)
		if i%2 == 0 {
			c.Write([]byte{22, 3, 1, 2, 0, 1}) // the beginning of a ClientHello
		}
		silent = append(silent, c)
	}
	c := securedBrowser(t, config)
	for range 20 {
		if _, body := get(t, c, origin(k)); body != "a" {
			t.Fatalf("got %q", body)
		}
	}
	for _, c := range silent {
		wantReset(t, c)
	}
	if d := time.Since(began); d < handshakeTime-time.Second || d > handshakeTime+5*time.Second {
		t.Errorf("half-open handshakes ended after %v, want %v", d, handshakeTime)
	}
	c.CloseIdleConnections()
	if n := settled(t, h); n.TimedOut != 200 {
		t.Errorf("counted %+v, want 200 timed out", n)
	}
	eventually(t, "the handshakes' coroutines to end", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// TestTLSKeepsNoGoroutine holds what an idle connection costs: no coroutine outlives
// its handshake.
func TestTLSKeepsNoGoroutine(t *testing.T) {
	k, h, config := secured(t, 2, httpsListenerOf(startSite(t, saying("a"))))
	before := runtime.NumGoroutine()
	for range 200 {
		c := handshake(t, k, config)
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.Counters(); n.Connections != 200 {
		t.Errorf("counted %+v, want 200 connections", n)
	}
	if n := runtime.NumGoroutine() - before; n > 20 {
		t.Errorf("%d more goroutines with 200 connections", n)
	}
}

// TestTLSCertificateReplaced goes on with connections that stand, and shows the new
// certificate to those that come.
func TestTLSCertificateReplaced(t *testing.T) {
	l := httpsListenerOf(startSite(t, saying("a")))
	k, h, config := secured(t, 2, l)
	c := securedBrowser(t, config)
	get(t, c, origin(k))
	var connections int
	for range 100 {
		next, roots := certified(t, "example.com")
		replaced := handle(l, h)
		replaced.Secure(next)
		k.Serve(replaced)
		h = replaced
		res, body := get(t, c, origin(k))
		if body != "a" {
			t.Fatalf("got %q", body)
		}
		if res.TLS.PeerCertificates[0].Equal(next.Certificates[0].Leaf) {
			connections++
		}
		fresh := handshake(t, k, &tls.Config{RootCAs: roots, ServerName: "example.com"})
		fresh.Close()
	}
	if connections != 0 {
		t.Errorf("the connection was closed %d times", connections)
	}
}

// TestTLSResumption has a client come back with a ticket.
func TestTLSResumption(t *testing.T) {
	k, _, config := secured(t, 1, httpsListenerOf(startSite(t, saying("a"))))
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i := range 3 {
		c := handshake(t, k, config)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if _, err := io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().DidResume; got != (i > 0) {
			t.Errorf("handshake %d resumed: %v", i, got)
		}
	}
}

// TestTLSRate makes clients wait for their handshake when there are too many, and
// turns away those that would wait too long.
func TestTLSRate(t *testing.T) {
	l := httpsListenerOf(startSite(t, saying("a")))
	k, first, config := secured(t, 1, l)
	h := handle(l, first)
	h.Secure(first.http.tls)
	h.http.shakes = balance.NewRate(10, 1)
	k.Serve(h)
	began := time.Now()
	for range 6 {
		c := handshake(t, k, config)
		c.Close()
	}
	if d := time.Since(began); d < 400*time.Millisecond {
		t.Errorf("six handshakes at ten a second took %v", d)
	}
	h.http.shakes.Take(0, 1000)
	wantRefused(t, k)
	if n := h.Counters(); n.Dropped != 1 {
		t.Errorf("counted %+v, want one dropped", n)
	}
}

// TestTLSEnds: who reads to the end of a connection is told that it is the end, and
// together with the end of the answer if that fits one packet.
func TestTLSEnds(t *testing.T) {
	text := strings.Repeat("text and more text. ", 10000)
	site := startSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, text)
			return
		}
		io.WriteString(w, "short")
	})
	l := httpsListenerOf(site)
	l.Gzip = true
	k, _, config := secured(t, 1, l)
	for name, request := range map[string]string{
		"short":      "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"long":       "GET /long HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"packed":     "GET /long HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
		"no request": "nothing\r\n\r\n",
	} {
		for range 10 {
			raw := &countedReads{Conn: connect(t, k)}
			c := tls.Client(raw, config)
			// An answer first: the ticket of TLS 1.3 is not to be counted.
			fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			in := bufio.NewReader(c)
			r, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Fatal(err)
			}
			raw.n = 0
			io.WriteString(c, request)
			if _, err := io.Copy(io.Discard, in); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if (name == "short" || name == "no request") && raw.n != 1 {
				t.Fatalf("%s: %d reads", name, raw.n)
			}
		}
	}
}

type countedReads struct {
	net.Conn
	n int
}

func (c *countedReads) Read(b []byte) (int, error) {
	c.n++
	return c.Conn.Read(b)
}
