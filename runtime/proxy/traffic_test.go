//go:build linux

package proxy

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// wantAllEnded holds what a listener of HTTP at rest has counted to its laws: every request
// has ended once, in one class and one time, and so has every one that a server was sent.
func wantAllEnded(t testing.TB, h *Handler) {
	t.Helper()
	if h.http == nil {
		return
	}
	counters, totals := h.Counters(), h.Totals()
	sent := h.gone.Requests
	for _, tally := range h.tallies() {
		server, counts := totals.Server(tally.pool, tally.name), tally.sum()
		sent += counts.Requests
		if server.Count() != counts.Requests {
			t.Errorf("%s %s was sent %d requests, of which ended %+v", tally.pool, tally.name, counts.Requests, server.Exchanges)
		}
	}
	for _, of := range []struct {
		what  string
		ended *Exchanges
		want  int64
	}{{"the listener", &totals.Front.Exchanges, counters.Requests}, {"its servers", &totals.Upstream.Exchanges, sent}} {
		var times int64
		for _, n := range of.ended.Times {
			times += n
		}
		if of.ended.Count() != of.want || times != of.want || of.ended.Nanos < 0 {
			t.Errorf("%s: %d requests, of which ended %+v", of.what, of.want, *of.ended)
		}
	}
	if totals.Front.Busy != 0 {
		t.Errorf("%d connections are in a request", totals.Front.Busy)
	}
}

func TestExchangesCount(t *testing.T) {
	for _, test := range []struct {
		status uint16
		class  int
	}{{0, 0}, {101, 0}, {199, 0}, {200, 1}, {299, 1}, {304, 2}, {404, 3}, {499, 3}, {500, 4}, {599, 4}, {600, 0}, {999, 0}} {
		var e Exchanges
		if e.count(test.status, 1); e.Classes[test.class] != 1 || e.Count() != 1 {
			t.Errorf("%d is in %v, want class %d", test.status, e.Classes, test.class)
		}
	}
	var e Exchanges
	for i, bound := range TimeBounds {
		e.count(200, int64(bound)) // inclusive, as le is
		if e.Times[i] != 1+int64(min(i, 1)) {
			t.Errorf("%v is not in %d of %v", bound, i, e.Times)
		}
		e.count(200, int64(bound)+1)
	}
	if e.Times[len(TimeBounds)] != 1 || e.Nanos < int64(2*TimeBounds[len(TimeBounds)-1]) {
		t.Errorf("counted %+v", e)
	}
	if !slices.IsSorted(TimeBounds[:]) {
		t.Errorf("%v is not sorted", TimeBounds)
	}
}

// TestLanesStandApart: two loops count in the same cache lines otherwise.
func TestLanesStandApart(t *testing.T) {
	if size := unsafe.Sizeof(lane{}); size != 3*128 {
		t.Errorf("a lane has %d bytes", size)
	}
}

// TestTrafficTimes has a server that takes its time, and a client that takes longer to ask:
// Rt has both, UpstreamRt the server's alone. What lies between two requests is in neither.
func TestTrafficTimes(t *testing.T) {
	const asking, working = 60 * time.Millisecond, 30 * time.Millisecond
	_, k, h := web(t, 1, httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(working)
		io.WriteString(w, "ok")
	})))
	c := talkTo(t, k)
	c.say("GET / HTTP/1.1\r\n")
	eventually(t, "the request has begun", func() bool { return h.Totals().Front.Accepted == 1 })
	time.Sleep(asking)
	c.say("Host: h\r\n\r\n")
	c.want(200, "ok")
	var before Totals
	eventually(t, "it is counted", func() bool { before = h.Totals(); return before.Upstream.Count() == 1 })
	rt, upstream := time.Duration(before.Front.Nanos), time.Duration(before.Upstream.Nanos)
	if upstream < working || rt < upstream+asking || rt > patience {
		t.Errorf("Rt %v, UpstreamRt %v", rt, upstream)
	}
	time.Sleep(asking)
	c.say(getLine("/"))
	c.want(200, "ok")
	c.Close()
	atRest(t, h)
	totals := h.Totals()
	rt, upstream = time.Duration(totals.Front.Nanos)-rt, time.Duration(totals.Upstream.Nanos)-upstream
	if upstream < working || rt < upstream {
		t.Errorf("of the second request Rt is %v, UpstreamRt %v", rt, upstream)
	}
}

// TestTrafficOfServers counts what servers answer, not what clients are told.
func TestTrafficOfServers(t *testing.T) {
	answer := func(text string) *balance.Listener { return httpListenerOf(always(t, text)) }
	const head, empty = "HTTP/1.1 ", "\r\nContent-Length: 0\r\n\r\n"
	for _, test := range []struct {
		name     string
		listener *balance.Listener
		front    [5]int64 // other, 2xx to 5xx
		upstream [5]int64
	}{
		{"well", answer(head + "204 No Content\r\n\r\n"), [5]int64{1: 2}, [5]int64{1: 2}},
		{"elsewhere", answer(head + "301 Moved" + empty), [5]int64{2: 2}, [5]int64{2: 2}},
		{"missing", answer(head + "404 Not Found" + empty), [5]int64{3: 2}, [5]int64{3: 2}},
		{"failing", answer(head + "500 Oh" + empty), [5]int64{4: 2}, [5]int64{4: 2}},
		{"no status", answer(head + "799 Oh" + empty), [5]int64{4: 2}, [5]int64{0: 2}},
		{"no answer", answer("what?\r\n\r\n"), [5]int64{4: 2}, [5]int64{0: 2}},
		{"nobody", httpListenerOf(closedPort(t)), [5]int64{4: 2}, [5]int64{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, k, h := web(t, 1, test.listener)
			for range 2 {
				raw(t, k, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			}
			atRest(t, h)
			if totals := h.Totals(); totals.Front.Classes != test.front || totals.Upstream.Classes != test.upstream {
				t.Errorf("clients were told %v, servers said %v", totals.Front.Classes, totals.Upstream.Classes)
			}
		})
	}
	t.Run("silent after an answer", func(t *testing.T) {
		_, k, h := web(t, 1, httpListenerOf(siteOf(t, func(n int, r *http.Request, _ []byte) string {
			if r.URL.Path == "/" {
				return ok
			}
			return "what?\r\n\r\n"
		})))
		c := talkTo(t, k)
		c.say(getLine("/"))
		c.want(200, "ok")
		c.say(getLine("/none"))
		c.want(502, "*")
		c.Close()
		atRest(t, h)
		if got := h.Totals().Upstream.Classes; got != [5]int64{0: 1, 1: 1} {
			t.Errorf("servers said %v", got)
		}
	})
	t.Run("tried again", func(t *testing.T) {
		l := httpListenerOf(always(t, head+"503 Oh"+empty), always(t, ok))
		l.Retry = spec.Retry{Connect: true, Status5x: true}
		_, k, h := web(t, 1, l)
		for range 2 {
			raw(t, k, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		}
		atRest(t, h)
		totals := h.Totals()
		a, b := totals.Server("l", "a"), totals.Server("l", "b")
		if front := totals.Front.Classes; front != [5]int64{1: 2} || a.Classes != [5]int64{4: 2} || b.Classes != [5]int64{1: 2} {
			t.Errorf("clients were told %v, a said %v, b %v", front, a.Classes, b.Classes)
		}
	})
}

// TestBusyConnections are those in a request, and tunnels; of HTTP/2 a connection is one,
// whatever is asked on it.
func TestBusyConnections(t *testing.T) {
	waits, release := make(chan struct{}, 100), make(chan struct{})
	site := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			waits <- struct{}{}
			<-release
		}
	}
	busy := func(h *Handler, want int64) {
		t.Helper()
		eventually(t, "so many connections are busy", func() bool { return h.Totals().Front.Busy == want })
	}
	_, k, h := web(t, 2, httpListenerOf(startSite(t, site)))
	idle, asking := talkTo(t, k), talkTo(t, k)
	for _, c := range []*talk{idle, asking} {
		c.say(getLine("/"))
		c.want(200, "*")
	}
	asking.say(getLine("/wait"))
	<-waits
	busy(h, 1)
	secure, hs, client := secured2(t, 2, site)
	get(t, client, origin(secure))
	var streams sync.WaitGroup
	for range 5 {
		streams.Go(func() { get(t, client, origin(secure)+"/wait") })
		<-waits
	}
	busy(hs, 1)
	close(release)
	streams.Wait()
	busy(h, 0)
	busy(hs, 0)

	chat := httpListenerOf(startChat(t))
	_, k, h = web(t, 1, chat)
	c := talkTo(t, k)
	c.say("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if line, err := c.r.ReadString('\n'); err != nil || !strings.Contains(line, "101") {
		t.Fatalf("%q, %v", line, err)
	}
	busy(h, 1)
	if ended := h.Totals().Front.Classes; ended != [5]int64{0: 1} {
		t.Errorf("a tunnel's request counts as %v", ended)
	}
	c.Close()
	settled(t, h)
	busy(h, 0)
}

// TestTrafficOfThoseWhoLeave: what a server has counted that is gone stays in the sum.
func TestTrafficOfThoseWhoLeave(t *testing.T) {
	a, b := always(t, ok), always(t, ok)
	_, k, first := web(t, 2, httpListenerOf(a, b))
	const asked = 20
	ask := func() {
		for range asked {
			raw(t, k, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		}
	}
	ask()
	atRest(t, first)
	h := first
	for n := range 3 { // b leaves with the first, and is let go of with the second
		l := httpListenerOf(a)
		if err := l.Prepare(); err != nil {
			t.Fatal(err)
		}
		next := handle(l, h)
		k.Serve(next)
		h = next
		ask()
		atRest(t, h)
		totals := h.Totals()
		if got := totals.Upstream.Count(); got != int64(asked*(n+2)) || totals.Front.Count() != got {
			t.Errorf("change %d: servers answered %d, clients got %d", n, got, totals.Front.Count())
		}
	}
	if len(h.leaving) != 0 || h.goneTraffic.Count() != asked/2 {
		t.Errorf("%d leave, of the gone are %+v", len(h.leaving), h.goneTraffic)
	}
}

// TestTrafficIsHandedOver goes through another process as an upgrade does.
func TestTrafficIsHandedOver(t *testing.T) {
	a, b := always(t, ok), always(t, ok)
	_, k, old := web(t, 2, httpListenerOf(a, b))
	ask := func(k *Socket) {
		raw(t, k, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	}
	for range 6 {
		ask(k)
	}
	atRest(t, old)
	told := copied(t, old.Record())
	ask(k) // what the old one still has
	atRest(t, old)
	rest := copied(t, old.Record().Since(told))

	k, err := startServer(t, 1).Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	l := httpListenerOf(a)
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	h := handle(l, nil)
	h.Recall(told)
	k.Serve(h)
	ask(k)
	atRest(t, h)
	h.Credit(rest)
	eventually(t, "all is known", func() bool { return h.Counters().Requests == 8 })
	wantAllEnded(t, h)
	totals := h.Totals()
	if totals.Front.Count() != 8 || totals.Front.Accepted != 8 || totals.Upstream.Count() < 7 {
		t.Errorf("counted %+v", totals)
	}
}

// copied is a Record as the other process reads it.
func copied(t *testing.T, r Record) (c Record) {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTrafficOfDatagrams counts them on their way, and what the bandwidth does not let pass.
func TestTrafficOfDatagrams(t *testing.T) {
	k, h := balancedUDP(t, 2, udpListenerOf(startUDPBackend(t, echoUDP)))
	c := udpClient(t, k)
	for range 5 {
		sendUDP(t, c, []byte("x"))
		receiveUDP(t, c)
	}
	if up := h.Totals().Upstream; up.PacketsIn != 5 || up.PacketsOut != 5 {
		t.Errorf("counted %+v", up)
	}
}

// TestTotalsWhileCounting reads while loops count: under the race detector that is the test.
func TestTotalsWhileCounting(t *testing.T) {
	_, k, h := web(t, 2, httpListenerOf(startBackend(t, serveFast)))
	ends := make(chan struct{})
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for b := make([]byte, 4096); ; {
				select {
				case <-ends:
					return
				default:
				}
				io.WriteString(c, getLine("/"))
				if _, err := c.Read(b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	last := int64(0)
	for last < 500 {
		totals := h.Totals()
		if n := totals.Front.Count(); n < last {
			t.Fatalf("%d after %d", n, last)
		} else {
			last = n
		}
	}
	close(ends)
	running.Wait()
	atRest(t, h)
}
