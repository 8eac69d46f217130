//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// serveFast answers ok to every head, however many one read brings, and echoes behind an
// Upgrade. A request here has no body.
func serveFast(c *net.TCPConn) {
	in := bufio.NewReader(c)
	for upgrade := false; ; {
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil:
			return
		case bytes.HasPrefix(line, []byte("Upgrade:")):
			upgrade = true
		case len(line) > 2:
		case upgrade:
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			io.Copy(c, in)
			c.CloseWrite()
			return
		default:
			if _, err := io.WriteString(c, ok); err != nil {
				return
			}
		}
	}
}

// generations makes one listener after the other, each with something changed.
type generations struct {
	rand      *rand.Rand
	endpoints []netip.AddrPort
	serving   []int // of endpoints
	scheduler string
	sticky    bool
	rules     int
	states    map[string]*balance.State
	handler   *Handler
	drains    []<-chan struct{}
}

// next applies a change to the socket.
func (g *generations) next(t testing.TB, k *Socket) {
	switch g.rand.IntN(6) {
	case 0: // a server comes
		if len(g.serving) < len(g.endpoints) {
			for i := range g.endpoints {
				if !slices.Contains(g.serving, i) {
					g.serving = append(g.serving, i)
					break
				}
			}
		}
	case 1: // a server goes
		if len(g.serving) > 2 {
			i := g.rand.IntN(len(g.serving))
			g.serving = append(g.serving[:i:i], g.serving[i+1:]...)
		}
	case 2:
		all := []string{spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerSCH, spec.SchedulerP2C}
		g.scheduler = all[g.rand.IntN(len(all))]
	case 3:
		g.sticky = !g.sticky
	case 4:
		g.rules = g.rand.IntN(4)
	}
	l := httpListenerOf()
	l.Scheduler = g.scheduler
	if g.sticky {
		l.Sticky = balance.Sticky{Mode: balance.StickyInsert, Cookie: "SERVERID", MaxAge: time.Hour}
	}
	for _, i := range g.serving {
		l.Backends = append(l.Backends, balance.Backend{Name: fmt.Sprint("s", i), Endpoint: g.endpoints[i], Weight: 1 + g.rand.IntN(100)})
	}
	ruleTo(l, "stays", "stays", "", g.endpoints[0]) // whose server never goes
	for i := range g.rules {
		ruleTo(l, fmt.Sprint("r", i), "", fmt.Sprint("/r", i), g.endpoints[g.serving[0]])
	}
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	var states []*balance.State
	for _, p := range l.Pools() {
		g.states[p.Owner] = balance.NewState(p, g.states[p.Owner])
		states = append(states, g.states[p.Owner])
	}
	before := g.handler
	g.handler = NewHandler(l, states, nil, before)
	sick := g.rand.IntN(len(l.Backends)) // changes its mind every time
	for i, p := range l.Pools() {
		g.handler.SetTable(i, p.Table(func(n int) balance.Health {
			if i == 0 && n == sick && len(l.Backends) > 1 {
				return balance.Abnormal
			}
			return balance.Normal
		}))
	}
	k.Serve(g.handler)
	if before != nil {
		_, leavers := balance.Leaving(before.listener, l)
		for _, b := range leavers {
			g.drains = append(g.drains, before.Drain(b.Owner, b.Name, b.Endpoint, time.Now().Add(patience)))
		}
	}
}

// TestHTTPChangesLoseNothing applies a hundred changes under the requests of clients that
// keep their connection, that make one for each request, and of WebSockets.
func TestHTTPChangesLoseNothing(t *testing.T) {
	changes, requests := 120, int64(100_000)
	if testing.Short() || raceDetector {
		requests = 15_000
	}
	k, err := startServer(t, 2).Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	g := &generations{rand: rand.New(rand.NewPCG(1, 1)), scheduler: spec.SchedulerWRR, states: map[string]*balance.State{}, serving: []int{0, 1, 2}}
	for range 6 {
		g.endpoints = append(g.endpoints, startBackend(t, serveFast))
	}
	g.next(t, k)

	var done, failed, frames atomic.Int64
	var changed atomic.Bool
	var running sync.WaitGroup
	until := time.Now().Add(60 * time.Second)
	goes := func() bool {
		return (done.Load() < requests || !changed.Load()) && failed.Load() == 0 && time.Now().Before(until)
	}
	lost := func(what string, err error) {
		failed.Add(1)
		t.Errorf("%s after %d requests: %v", what, done.Load(), err)
	}
	one := func(c *net.TCPConn, in *bufio.Reader, path string) error {
		if _, err := io.WriteString(c, getLine(path)); err != nil {
			return err
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(res.Body)
		if err == nil && (res.StatusCode != 200 || string(b) != "ok") {
			err = fmt.Errorf("%d %q", res.StatusCode, b)
		}
		done.Add(1)
		return err
	}
	dial := func() *net.TCPConn {
		c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
		if err != nil {
			lost("connect", err)
			return nil
		}
		c.SetDeadline(until.Add(patience))
		return c
	}
	for client := range 16 {
		running.Go(func() { // keeps its connection
			c := dial()
			if c == nil {
				return
			}
			defer c.Close()
			in := bufio.NewReader(c)
			for n := 0; goes(); n++ {
				if err := one(c, in, fmt.Sprintf("/r%d", (client+n)%5)); err != nil {
					lost("keep-alive", err)
				}
			}
		})
	}
	running.Go(func() { // makes one for each request
		for goes() {
			c := dial()
			if c == nil {
				return
			}
			if err := one(c, bufio.NewReader(c), "/"); err != nil {
				lost("new connection", err)
			}
			c.Close()
		}
	})
	for range 8 {
		running.Go(func() { // a WebSocket
			c := dial()
			if c == nil {
				return
			}
			defer c.Close()
			in := bufio.NewReader(c)
			io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: stays\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != 101 {
				lost("WebSocket", fmt.Errorf("%v, %w", res, err))
				return
			}
			for frame := []byte("a frame"); goes(); frames.Add(1) {
				c.Write(frame)
				if _, err := io.ReadFull(in, make([]byte, len(frame))); err != nil {
					lost("WebSocket", err)
				}
				time.Sleep(5 * time.Millisecond) // it is the others' turn
			}
		})
	}
	for n := range changes {
		eventually(t, "requests between two changes", func() bool {
			return done.Load() >= requests*int64(n)/int64(changes) || failed.Load() > 0
		})
		g.next(t, k)
	}
	changed.Store(true)
	running.Wait()
	for _, drained := range g.drains {
		<-drained
	}
	n := atRest(t, g.handler)
	t.Logf("%d requests, %d frames, %d changes, %d servers drained", done.Load(), frames.Load(), changes, len(g.drains))
	if done.Load() < requests || n.Errors != 0 || n.Cut != 0 || n.Requests != done.Load()+8 {
		t.Errorf("%d requests were answered; counted %+v", done.Load(), n.Counts)
	}
}
