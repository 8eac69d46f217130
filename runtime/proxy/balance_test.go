//go:build linux

package proxy

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/netloop"
)

func TestRoundRobinAlternatesOnAnyNumberOfLoops(t *testing.T) {
	for _, loops := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(loops), func(t *testing.T) {
			l := listenerOf(startBackend(t, sayName('a')), startBackend(t, sayName('b')))
			_, k, h := balanced(t, loops, l)
			const connections = 400
			for i := range connections {
				got, err := ask(k)
				if err != nil {
					t.Fatal(err)
				}
				if want := "ab"[i%2]; got != want {
					t.Fatalf("connection %d went to %c, want %c", i, got, want)
				}
			}
			counters := settled(t, h)
			for _, name := range []string{"a", "b"} {
				if b := counters.Backends[name]; b.Requests != connections/2 || b.BytesOut != connections/2 {
					t.Errorf("backend %s counted %+v, want %d requests with a byte each", name, b, connections/2)
				}
			}
			if counters.Requests != connections || counters.Errors != 0 {
				t.Errorf("listener counted %+v, want %d requests", counters.Counts, connections)
			}
			for i := range l.Backends {
				if n := h.pools[0].state.Active(i); n != 0 {
					t.Errorf("backend %d: %d in flight after the end", i, n)
				}
			}
		})
	}
}

func TestRefusedServerLosesNoConnection(t *testing.T) {
	l := listenerOf(closedPort(t), startBackend(t, sayName('b')), closedPort(t))
	_, k, h := balanced(t, 2, l)
	const connections = 300
	for range connections {
		if got, err := ask(k); err != nil || got != 'b' {
			t.Fatalf("got %c, %v", got, err)
		}
	}
	counters := settled(t, h)
	if counters.Errors != 0 || counters.Backends["b"].Requests != connections {
		t.Errorf("counted %+v", counters)
	}
	if counters.Backends["a"].Errors == 0 || counters.Backends["c"].Errors == 0 {
		t.Errorf("failures of a and c were not counted: %+v", counters)
	}
	for i := range l.Backends {
		if n := h.pools[0].state.Active(i); n != 0 {
			t.Errorf("backend %d: %d in flight after the end", i, n)
		}
	}
}

// hanging is a Server whose connection attempts time out soon, and a client whose
// attempt to reach a deaf server is under way.
func hanging(t *testing.T, timeout time.Duration) (*Socket, *Handler, *net.TCPConn) {
	t.Helper()
	s := startServer(t, 1)
	s.connectTimeout = timeout
	k, err := s.Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	h := handle(listenerOf(fullSocket(t)), nil)
	k.Serve(h)
	start := time.Now()
	c := connect(t, k)
	eventually(t, "an attempt is under way", func() bool { return h.Active("l", "a") == 1 || time.Since(start) >= timeout })
	return k, h, c
}

func TestConnectTimeoutTriesTheHandlerOfNow(t *testing.T) {
	inTime(t, 100*time.Millisecond, func(timeout time.Duration) bool { return triesTheHandlerOfNow(t, timeout) })
}

// triesTheHandlerOfNow says whether the handler was another before the attempt timed out.
func triesTheHandlerOfNow(t *testing.T, timeout time.Duration) bool {
	start := time.Now()
	k, first, c := hanging(t, timeout)
	l := listenerOf(startBackend(t, echo))
	l.Backends[0].Name = "z"
	second := handle(l, first)
	k.Serve(second)
	if time.Since(start) >= timeout {
		return false
	}
	exchange(t, c, "somebody else answers")
	counters := second.Counters()
	if counters.Backends["a"].Errors != 1 || counters.Backends["z"].Requests != 1 || counters.Errors != 0 {
		t.Errorf("counted %+v", counters)
	}
	if n := first.pools[0].state.Active(0); n != 0 {
		t.Errorf("a: %d in flight after the timeout", n)
	}
	return true
}

func TestClientThatGivesUpEndsTheAttempt(t *testing.T) {
	_, h, c := hanging(t, time.Hour)
	abort(c)
	if counters := settled(t, h); counters.Errors != 0 || h.pools[0].state.Active(0) != 0 {
		t.Errorf("counted %+v and %d in flight", counters, h.pools[0].state.Active(0))
	}
}

func TestDrainedAttemptIsGivenUp(t *testing.T) {
	k, first, c := hanging(t, 200*time.Millisecond)
	second := handle(listenerOf(), first)
	k.Serve(second)
	drained := second.Drain("l", "a", first.listener.Backends[0].Endpoint, time.Now())
	wantReset(t, c)
	<-drained
	settled(t, second)
}

func TestNoUsableServerResetsClient(t *testing.T) {
	for name, test := range map[string]struct {
		listener *balance.Listener
		health   balance.Health
	}{
		"all refuse":     {listenerOf(closedPort(t), closedPort(t)), balance.Normal},
		"all abnormal":   {listenerOf(closedPort(t)), balance.Abnormal},
		"there are none": {listenerOf(), balance.Normal},
	} {
		t.Run(name, func(t *testing.T) {
			_, k, h := balanced(t, 1, test.listener)
			h.SetTable(0, test.listener.Table(func(int) balance.Health { return test.health }))
			wantRefused(t, k)
			if c := settled(t, h); c.Errors != 1 || c.Requests != 1 {
				t.Errorf("counted %+v, want one error", c.Counts)
			}
		})
	}
}

func TestServeNilRefusesAndFirstServeAccepts(t *testing.T) {
	s := startServer(t, 2)
	k, err := s.Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	// Before the first Serve a connection stands in the backlog, unanswered.
	early := connect(t, k)
	early.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if _, err := early.Read(make([]byte, 1)); !isTimeout(err) {
		t.Fatalf("before Serve a read gave %v, want nothing", err)
	}
	early.SetReadDeadline(time.Now().Add(patience))
	h := handle(listenerOf(startBackend(t, echo)), nil)
	k.Serve(h)
	exchange(t, early, "queued, then served")

	k.Serve(nil)
	wantRefused(t, k)
	exchange(t, early, "and not disturbed")
	k.Serve(h)
	exchange(t, connect(t, k), "back")
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

func TestCloseSocketKeepsConnections(t *testing.T) {
	_, k, h := balanced(t, 2, listenerOf(startBackend(t, echo)))
	c := connect(t, k)
	exchange(t, c, "one")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	exchange(t, c, "two")
	if c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint())); err == nil {
		c.Close()
		t.Error("a closed socket took a connection")
	}
	if n := h.Active("l", "a"); n != 1 {
		t.Errorf("%d connections on a, want 1", n)
	}
	c.CloseWrite()
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error(err)
	}
	settled(t, h)
}

func TestCloseSocketServesWhatHasQueued(t *testing.T) {
	s := startServer(t, 1)
	k, err := s.Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	// The loop is kept busy, so that the connections are still queued at Close.
	hold, held := make(chan struct{}), make(chan struct{})
	s.workers[0].loop.Post(func() { close(held); <-hold })
	<-held
	k.Serve(handle(listenerOf(startBackend(t, echo)), nil))
	var queued []*net.TCPConn
	for range 200 {
		queued = append(queued, connect(t, k))
	}
	done := make(chan error)
	go func() { done <- k.Close() }()
	close(hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for i, c := range queued {
		exchange(t, c, fmt.Sprint("client ", i))
	}
}

// However often a loop is told that clients have come, the others of the loop have their turn after a batch.
func TestAcceptsInBatches(t *testing.T) {
	const clients = 12 * acceptBatch
	s, k, h := balanced(t, 1, listenerOf(startBackend(t, echo)))
	loop := s.workers[0].loop
	held, let := make(chan bool), make(chan bool)
	loop.Post(func() { close(held); <-let })
	<-held
	for range clients {
		connect(t, k)
	}
	most, before, turns := 0, 0, 0
	done := make(chan bool)
	var look func()
	look = func() {
		now := int(h.Counters().Connections)
		most, before = max(most, now-before), now
		if turns++; now == clients {
			close(done)
			return
		}
		loop.Post(look)
	}
	loop.Post(func() {
		for range 3 {
			k.acceptors[0].Ready(netloop.In)
		}
		before = int(h.Counters().Connections)
		loop.Post(look)
	})
	close(let)
	<-done
	if most > 2*acceptBatch {
		t.Errorf("%d clients were accepted in one of %d turns, a batch is %d", most, turns, acceptBatch)
	}
}
