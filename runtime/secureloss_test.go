package runtime_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// watched is a client's connection that counts how often the other side ended it first. A
// client may end one, too: of which it could not write a request quickly enough.
type watched struct {
	net.Conn
	closed *atomic.Int64
}

// Close looks whether the end has come from the other side: with TLS, what says so comes
// just before it.
func (w watched) Close() error {
	err := w.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	for err == nil {
		_, err = w.Read(make([]byte, 1024))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		w.closed.Add(1)
	}
	return w.Conn.Close()
}

// securedShop is the shop with TLS.
func securedShop(network netip.Prefix, stay, rule netip.AddrPort, certificate *spec.Certificate) *spec.Config {
	c := shop(network, stay, rule)
	l := c.LoadBalancers[0].Listeners[0]
	l.Address, l.Name, l.Protocol, l.Port = theSecured, "https:443", spec.ProtocolHTTPS, 443
	l.Rules[0].Address = theSecured + `.rule["tom"]`
	l.Certificate, l.TLSCipherPolicy, l.HTTP2 = certificate.Address, "tls_cipher_policy_1_2_strict_with_1_3", true
	c.Certificates = []*spec.Certificate{certificate}
	return c
}

// TestSecuredChangesLoseNoRequest replaces the certificate of an https listener a hundred
// times, and everything else of it as well, while clients ask: over HTTP/1.1 and HTTP/2 on
// connections that they keep, on new ones, and over WebSockets. No request fails, no
// connection is closed, no WebSocket either.
func TestSecuredChangesLoseNoRequest(t *testing.T) {
	total, changes := int64(50_000), 100
	if testing.Short() || raceDetector {
		total, changes = 5000, 30
	}
	stay, comes, rule := site(t, "stay"), site(t, "comes"), site(t, "rule")
	network, dir := network(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, control.Folder), 0o700); err != nil {
		t.Fatal(err)
	}
	certificates := []*spec.Certificate{own(t, dir, "www"), own(t, dir, "renewed")}
	d := start(t, dir)
	c := securedShop(network, stay, rule, certificates[0])
	d.mustApply(c)
	url := fmt.Sprintf("https://%s:8443/", c.LoadBalancers[0].IP)

	var failed, done, closed atomic.Int64
	var running sync.WaitGroup
	ends := make(chan struct{})
	for k := range 8 {
		config := client(t, pemFile(t, "ca.crt"), "www.a.test")
		config.ClientSessionCache = nil
		// Who keeps a connection counts those that the balancer closes.
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: k%2 == 1, DisableKeepAlives: k >= 6, MaxConnsPerHost: 1}
		if k < 6 {
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				return watched{c, &closed}, err
			}
		}
		defer transport.CloseIdleConnections()
		asks := http.Client{Transport: transport, Timeout: 20 * time.Second}
		running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ends:
					return
				default:
				}
				path, want := "", "stay"
				if i%3 == 0 {
					path, want = "tom/x", "rule"
				}
				if err := askFor(&asks, url+path, want, i%5 == 0); err != nil {
					t.Log(err)
					failed.Add(1)
				}
				done.Add(1)
			}
		})
	}
	var open []*webSocket
	for range 4 {
		conn, err := tls.Dial("tcp", fmt.Sprintf("%s:8443", c.LoadBalancers[0].IP), client(t, pemFile(t, "ca.crt"), "www.a.test"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s := &webSocket{conn, bufio.NewReader(conn)}
		io.WriteString(s, "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if resp, err := http.ReadResponse(s.in, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v, %v", resp, err)
		}
		open = append(open, s)
	}

	made := 0
	for ; made < changes || done.Load() < total && failed.Load() == 0; made++ {
		next := changed(securedShop(network, stay, rule, certificates[made%2]), made, comes)
		l := next.LoadBalancers[0].Listeners[0]
		switch made % 16 { // besides what a listener without TLS has
		case 9:
			l.HTTP2 = false
		case 11:
			l.TLSCipherPolicy = "tls_cipher_policy_1_2"
		case 13:
			l.TLSCipherPolicy, l.HTTP2 = "tls_cipher_policy_1_0", false
		}
		d.mustApply(next)
		for _, s := range open {
			s.exchange(t, fmt.Sprint("after change ", made))
		}
		for until := total * int64(made+1) / int64(changes); done.Load() < until && failed.Load() == 0; {
			time.Sleep(time.Millisecond)
		}
	}
	close(ends)
	running.Wait()
	t.Logf("%d requests, %d changes", done.Load(), made)
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), done.Load())
	}
	if n := closed.Load(); n != 0 {
		t.Errorf("the balancer closed %d connections", n)
	}
	if s := d.status().LoadBalancers[0].Listeners[0].Secure; s.HandshakesFailed != 0 || s.HandshakesTimedOut != 0 || s.HandshakesDropped != 0 {
		t.Errorf("counted %+v", s)
	}
}
