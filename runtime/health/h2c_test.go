package health

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
)

// TestGRPCCheck asks a server of gRPC, which takes no plain request and says so: its checks
// have to want that.
func TestGRPCCheck(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	site := grpc.NewServer()
	go site.Serve(l)
	defer site.Stop()
	at := netip.MustParseAddrPort(l.Addr().String())
	c := httpCheck("head")
	c.H2C = true
	if got := probe(context.Background(), at, c); got.outcome != failed || !strings.HasSuffix(got.cause, `it speaks gRPC: http_codes = ["http_2xx", "http_4xx"]`) {
		t.Errorf("by the usual codes: %+v", got)
	}
	c.Codes |= 1 << 4
	if got := probe(context.Background(), at, c); got != (result{outcome: passed}) {
		t.Errorf("by those that it answers with: %+v", got)
	}
}

// TestH2CCheck asks servers that speak HTTP/2 without TLS, and one that does not.
func TestH2CCheck(t *testing.T) {
	asks := make(chan *http.Request, 1)
	site := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asks <- r
		switch r.Host {
		case "broken":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "large":
			w.Write(make([]byte, 1<<20))
		case "hangs":
			<-r.Context().Done()
		}
	}))
	site.Config.Protocols = new(http.Protocols)
	site.Config.Protocols.SetUnencryptedHTTP2(true)
	site.Start()
	defer site.Close()
	at := netip.MustParseAddrPort(site.Listener.Addr().String())
	for domain, want := range map[string]result{
		"":       {outcome: passed},
		"a.test": {outcome: passed},
		"large":  {outcome: passed},
		"broken": {failed, "answered 503, wanted http_2xx or http_3xx"},
		"hangs":  {failed, "no answer within 200ms"},
	} {
		c := httpCheck("get")
		if domain == "hangs" {
			c.Timeout = 200 * time.Millisecond
		}
		c.Domain, c.H2C = domain, true
		if got := probe(context.Background(), at, c); got != want {
			t.Errorf("%q: %+v, want %+v", domain, got, want)
		}
		asked := <-asks
		if domain == "" {
			domain = at.String()
		}
		if asked.ProtoMajor != 2 || asked.Host != domain || asked.URL.String() != "/alive?x" {
			t.Errorf("asked %s of %s in %s", asked.URL, asked.Host, asked.Proto)
		}
	}

	c := httpCheck("head")
	c.H2C, c.Timeout = true, time.Second
	old := serveRaw(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		c.Read(make([]byte, 1000))
		c.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
	})
	if got := probe(context.Background(), old, c); got.outcome != failed {
		t.Errorf("of a server that speaks HTTP/1.1 only: %+v", got)
	} else {
		t.Log(got.cause)
	}
	gone := netip.AddrPortFrom(old.Addr(), 1)
	if got := probe(context.Background(), gone, c); got != (result{failed, "connection refused"}) {
		t.Errorf("where nobody listens: %+v", got)
	}
}
