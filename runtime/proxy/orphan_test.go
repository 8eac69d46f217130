//go:build linux

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/spec"
)

// hesitant is a server that says what it is told, whenever it is; it tells which of its
// connections each request came on, and how many are open.
type hesitant struct {
	asked chan int // connection, from 1 on
	say   chan string
	open  atomic.Int64
}

func (s *hesitant) serve(conns *atomic.Int64) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		n := int(conns.Add(1))
		s.open.Add(1)
		defer s.open.Add(-1)
		gone := make(chan struct{})
		heads := make(chan struct{}, 10)
		go func() {
			defer close(gone)
			for r := bufio.NewReader(c); ; {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, req.Body); err != nil {
					return
				}
				heads <- struct{}{}
			}
		}()
		for {
			select {
			case <-gone:
				return
			case <-heads:
				s.asked <- n
			case text := <-s.say:
				io.WriteString(c, text)
			}
		}
	}
}

func newHesitant() *hesitant {
	return &hesitant{asked: make(chan int, 100), say: make(chan string, 100)}
}

// TestHTTPClientGivesUp has clients reset their connection while the server is at work, or
// in the middle of its answer: it may finish, and its connection is used again when that
// is possible.
func TestHTTPClientGivesUp(t *testing.T) {
	const half = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"
	large := strings.Repeat("x", 2*orphanBytes)
	for _, test := range []struct {
		name, request string
		before, after string // what the server says before and after the client has gone
		reused        bool
		errors        int64
	}{
		{"GET", getLine("/"), "", ok, true, 0},
		{"POST", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", "", ok, true, 0},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, 0},
		{"interim answers", getLine("/"), "", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + ok, true, 0},
		{"chunks", getLine("/"), "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true, 0},
		{"in the answer", getLine("/"), half, "half", true, 0},
		{"close", getLine("/"), "", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, 0},
		{"until the end", getLine("/"), "", "HTTP/1.1 200 OK\r\n\r\nok", false, 0},
		{"too much", getLine("/"), "", ok + "more", false, 0},
		{"too long", getLine("/"), "", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(large), large), false, 0},
		{"nonsense", getLine("/"), "", "220 smtp here\r\n\r\n", false, 1},
		{"a bad chunk", getLine("/"), "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, 1},
		{"another protocol", getLine("/"), "", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, conns := newHesitant(), new(atomic.Int64)
			k, h, lines := loggedWeb(t, 1, httpListenerOf(startBackend(t, server.serve(conns))), spec.AccessLogJSON)
			c := talkTo(t, k)
			c.say(test.request)
			<-server.asked
			if test.before != "" {
				server.say <- test.before
				c.r.ReadString('f')
			}
			abort(c.TCPConn)
			settled(t, h)
			if n := h.Counters().Backends["a"]; n.Connections != 1 || server.open.Load() != 1 {
				t.Errorf("%d requests in flight on %d connections", n.Connections, server.open.Load())
			}
			server.say <- test.after
			atRest(t, h)
			next := talkTo(t, k)
			next.say(getLine("/next"))
			if conn := <-server.asked; (conn == 1) != test.reused {
				t.Errorf("the next request came on connection %d", conn)
			}
			server.say <- ok
			next.want(200, "ok")
			next.Close()
			if n := atRest(t, h); n.Requests != 2 || n.Errors != 0 || n.Backends["a"].Requests != 2 || n.Backends["a"].Errors != test.errors {
				t.Errorf("counted %+v", n)
			}
			got := lines()
			if len(got) != 2 || !strings.Contains(got[0], `"status":499`) || !strings.Contains(got[1], `"status":200`) {
				t.Errorf("logged %s", strings.Join(got, "\n"))
			}
		})
	}
}

// TestHTTPClientGivesUpItsBody leaves the server with a part of a request, which ends.
func TestHTTPClientGivesUpItsBody(t *testing.T) {
	server, conns := newHesitant(), new(atomic.Int64)
	_, k, h := web(t, 1, httpListenerOf(startBackend(t, server.serve(conns))))
	c := talkTo(t, k)
	c.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf")
	eventually(t, "the server is asked", func() bool { return server.open.Load() == 1 && h.Counters().BytesIn > 0 })
	abort(c.TCPConn)
	atRest(t, h)
	eventually(t, "the connection to the server has ended", func() bool { return server.open.Load() == 0 })
}

// TestHTTPOrphansEnd has requests without a client in every situation that ends them.
func TestHTTPOrphansEnd(t *testing.T) {
	for _, test := range []struct {
		name          string
		patience      time.Duration
		end           func(s *Server, h *Handler)
		cut, timedOut int64
		drains        bool
	}{
		{"with patience", 100 * time.Millisecond, func(*Server, *Handler) {}, 0, 1, false},
		{"with a drain", patience, func(_ *Server, h *Handler) {
			<-h.Drain("l", "a", h.listener.Backends[0].Endpoint, time.Now().Add(50*time.Millisecond))
		}, 1, 0, true},
		{"with their listener", patience, func(_ *Server, h *Handler) { <-h.DrainAll(time.Now().Add(50 * time.Millisecond)) }, 1, 0, true},
		{"for want of descriptors", patience, func(s *Server, _ *Handler) {
			w := s.workers[0]
			onLoop(w, func() { w.relieve() })
		}, 1, 0, false},
		{"with the server", patience, func(s *Server, _ *Handler) { s.Close() }, 0, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, conns := newHesitant(), new(atomic.Int64)
			l := httpListenerOf(startBackend(t, server.serve(conns)))
			l.RequestTimeout = test.patience
			s, k, h := web(t, 1, l)
			c := talkTo(t, k)
			c.say(getLine("/"))
			<-server.asked
			abort(c.TCPConn)
			settled(t, h)
			start := time.Now()
			test.end(s, h)
			n := atRest(t, h)
			if n.Cut != test.cut || n.TimedOut != test.timedOut {
				t.Errorf("counted %+v", n)
			}
			if took := time.Since(start); test.drains && took < 50*time.Millisecond || took > patience/2 {
				t.Errorf("ended after %v", took)
			}
			eventually(t, "the connection to the server has ended", func() bool { return server.open.Load() == 0 })
		})
	}
	t.Run("in a drain that comes later", func(t *testing.T) {
		server, conns := newHesitant(), new(atomic.Int64)
		_, k, h := web(t, 1, httpListenerOf(startBackend(t, server.serve(conns))))
		c := talkTo(t, k)
		c.say(getLine("/"))
		<-server.asked
		done := h.DrainAll(time.Now().Add(patience))
		abort(c.TCPConn)
		settled(t, h)
		select {
		case <-done:
			t.Error("the drain was over with a request in flight")
		case <-time.After(20 * time.Millisecond):
		}
		server.say <- ok
		<-done
		eventually(t, "the connection to the server has ended", func() bool { return server.open.Load() == 0 })
		if n := atRest(t, h); n.Cut != 0 {
			t.Errorf("counted %+v", n)
		}
	})
	t.Run("when there are too many", func(t *testing.T) {
		server, conns := newHesitant(), new(atomic.Int64)
		s, k, h := web(t, 1, httpListenerOf(startBackend(t, server.serve(conns))))
		onLoop(s.workers[0], func() { s.workers[0].orphans.limit = 3 })
		for range 5 {
			c := talkTo(t, k)
			c.say(getLine("/"))
			<-server.asked
			abort(c.TCPConn)
		}
		settled(t, h)
		eventually(t, "as many run on as may", func() bool { return h.Active("l", "a") == 3 && server.open.Load() == 3 })
	})
}
