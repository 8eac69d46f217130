//go:build linux

package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// h2cServer counts the connections that it has got.
type h2cServer struct {
	http.Server
	connections atomic.Int32
}

// startH2C serves HTTP/2 without TLS, and nothing else, for the length of the test.
func startH2C(t testing.TB, h http.Handler) (netip.AddrPort, *h2cServer) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	s := &h2cServer{Server: http.Server{Handler: h, Protocols: new(http.Protocols)}}
	s.Protocols.SetUnencryptedHTTP2(true)
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	var served sync.WaitGroup
	served.Go(func() { s.Serve(l) })
	t.Cleanup(func() {
		s.Close()
		served.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort(), s
}

func h2cListenerOf(endpoints ...netip.AddrPort) *balance.Listener {
	l := httpsListenerOf(endpoints...)
	for i := range l.Backends {
		l.Backends[i].H2C = true
	}
	return l
}

// TestH2CBodies sends bodies of every kind to a server that speaks HTTP/2, from clients
// of both versions.
func TestH2CBodies(t *testing.T) {
	backend, s := startH2C(t, bodyHandler)
	for _, protocol := range []string{"h2", "http/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			k, h, config := secured(t, 1, h2cListenerOf(backend), protocol)
			c := securedBrowser(t, config)
			c.Transport.(*http.Transport).ForceAttemptHTTP2 = protocol == "h2"
			s.connections.Store(0)
			wantBodies(t, c, origin(k))
			if n := s.connections.Load(); n != 1 {
				t.Errorf("%d connections to the server, want one that all share", n)
			}
			if n := h.Counters(); n.Errors != 0 || n.Backends["a"].Errors != 0 {
				t.Errorf("counted %+v", n)
			}
		})
	}
}

// TestH2CStreams streams both ways at once: each piece is answered before the next is
// sent.
func TestH2CStreams(t *testing.T) {
	backend, _ := startH2C(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		b := make([]byte, 100)
		for {
			n, err := r.Body.Read(b)
			w.Write(b[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("Grpc-Status", r.Header.Get("TE"))
	}))
	k, _, config := secured(t, 1, h2cListenerOf(backend), "h2")
	c := securedBrowser(t, config)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	pr, pw := io.Pipe()
	r, _ := http.NewRequest("POST", origin(k)+"/pkg.Service/Method", pr)
	r.Header.Set("TE", "trailers")
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for i := range 20 {
		text := fmt.Sprintf("message %d", i)
		go io.WriteString(pw, text)
		b := make([]byte, len(text))
		if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != text {
			t.Fatalf("%q, %v", b, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if got := res.Trailer.Get("Grpc-Status"); got != "trailers" {
		t.Errorf("trailer %q: the server was to know that trailers are passed on", got)
	}
}

// TestH2CServerGoes has requests under way when their server says goodbye, dies and
// comes back.
func TestH2CServerGoes(t *testing.T) {
	hold, entered := make(chan bool), make(chan bool, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			entered <- true
			<-hold
		}
		io.WriteString(w, "done")
	})
	backend, first := startH2C(t, handler)
	k, h, config := secured(t, 1, h2cListenerOf(backend))
	c := securedBrowser(t, config)
	get(t, c, origin(k))
	var held sync.WaitGroup
	held.Go(func() {
		if _, body := get(t, c, origin(k)+"/hold"); body != "done" {
			t.Errorf("got %q", body)
		}
	})
	<-entered // the server has it: one that it has not seen could go to nobody else
	down := make(chan error)
	go func() { down <- first.Shutdown(t.Context()) }()
	eventually(t, "the server to refuse connections", func() bool {
		c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(backend))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(hold)
	held.Wait()
	if err := <-down; err != nil {
		t.Error(err)
	}
	if res, _ := get(t, c, origin(k)); res.StatusCode != http.StatusBadGateway {
		t.Errorf("without a server: %d", res.StatusCode)
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(backend))
	if err != nil {
		t.Skip(err) // somebody else has got the port meanwhile
	}
	again := &http.Server{Handler: handler, Protocols: first.Protocols}
	var served sync.WaitGroup
	served.Go(func() { again.Serve(l) })
	if res, body := get(t, c, origin(k)); res.StatusCode != 200 || body != "done" {
		t.Errorf("after it came back: %d %q", res.StatusCode, body)
	}
	again.Close()
	served.Wait()
	settledIdle := func() bool { return h.Active("l", "a") == 0 }
	eventually(t, "nothing to be under way", settledIdle)
}

// TestH2CManyRequests opens as many connections as the requests at once need.
func TestH2CManyRequests(t *testing.T) {
	backend, _ := startH2C(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond)
		io.Copy(w, r.Body)
	}))
	l := h2cListenerOf(backend)
	l.Protocol = spec.ProtocolHTTP
	_, k, h := web(t, 2, l)
	c := browser(t)
	c.Transport.(*http.Transport).MaxIdleConnsPerHost = 300
	var all sync.WaitGroup
	for range 300 {
		all.Go(func() {
			for range 5 {
				body := strings.Repeat("x", 3000)
				res, err := c.Post(urlOf(k, "/"), "text/plain", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || string(b) != body {
					t.Errorf("%d %d bytes, %v", res.StatusCode, len(b), err)
				}
			}
		})
	}
	all.Wait()
	if n := h.Counters(); n.Requests != 1500 || n.Errors != 0 || n.Backends["a"].Errors != 0 {
		t.Errorf("counted %+v", n)
	}
}
