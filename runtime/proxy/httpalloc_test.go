//go:build linux

package proxy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// startPlain answers whatever one read brings, and allocates nothing.
func startPlain(t testing.TB, answer string) *balance.Listener {
	text := []byte(answer)
	return httpListenerOf(startBackend(t, func(c *net.TCPConn) {
		for b := make([]byte, 4096); ; {
			if _, err := c.Read(b); err != nil {
				return
			}
			if _, err := c.Write(text); err != nil {
				return
			}
		}
	}))
}

// TestHTTPAllocatesNothing counts for the whole process; the client and the server
// allocate nothing either.
func TestHTTPAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	for name, change := range map[string]func(*balance.Listener){
		"plain": func(*balance.Listener) {},
		"rules and stickiness": func(l *balance.Listener) {
			l.Sticky = balance.Sticky{Mode: balance.StickyInsert, Cookie: "SERVERID", MaxAge: time.Hour}
			l.Forwarded = spec.XForwardedFor{Proto: true, SLBID: true, SLBIP: true, SLBPort: true, ClientSrcPort: true}
			for i := range 40 {
				ruleTo(l, fmt.Sprint("r", i), fmt.Sprintf("www%d.com", i), "/x", l.Backends[0].Endpoint)
			}
		},
		"sticky by the server": func(l *balance.Listener) {
			l.Sticky = balance.Sticky{Mode: balance.StickyServer, Cookie: "JSESSION"}
		},
		"retries":        func(l *balance.Listener) { l.Retry = spec.Retry{Connect: true, Timeout: true, Status5x: true} },
		"json log":       func(*balance.Listener) {},
		"combined log":   func(*balance.Listener) {},
		"a path decoded": func(*balance.Listener) {},
	} {
		t.Run(name, func(t *testing.T) {
			l := startPlain(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: JSESSION=1\r\n\r\nok")
			change(l)
			format := map[string]string{"json log": spec.AccessLogJSON, "combined log": spec.AccessLogCombined}[name]
			var k *Socket
			if format != "" {
				var lines func() []string
				k, _, lines = loggedWeb(t, 1, l, format)
				defer lines() // closes the log
			} else {
				_, k, _ = web(t, 1, l)
			}
			c := connect(t, k)
			c.SetDeadline(time.Time{})
			request := []byte("GET /x/%7Euser HTTP/1.1\r\nHost: www7.com\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: SERVERID=x; JSESSION=abc\r\n\r\n")
			if name != "a path decoded" {
				request = []byte(strings.Replace(string(request), "%7E", "", 1))
			}
			answer := make([]byte, 4096)
			n := 0
			exchange := func() {
				if _, err := c.Write(request); err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					n, _ = c.Read(answer)
				} else if _, err := io.ReadFull(c, answer[:n]); err != nil {
					t.Fatal(err)
				}
			}
			for range 1000 {
				exchange()
			}
			if allocs := allocsPerRun(2000, exchange); allocs != 0 {
				t.Errorf("%v allocations for each request", allocs)
			}
		})
	}
}

// BenchmarkHTTPKeepAlive asks one request after the other.
func BenchmarkHTTPKeepAlive(b *testing.B) {
	s, k, _ := web(b, 1, startPlain(b, ok))
	c := connect(b, k)
	c.SetDeadline(time.Time{})
	request, answer := []byte(getLine("/")), make([]byte, len(ok))
	reportLoops(b, s, func() {
		for range b.N {
			c.Write(request)
			if _, err := io.ReadFull(c, answer); err != nil {
				b.Fatal(err)
			}
		}
	})
}
