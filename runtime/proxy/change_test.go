//go:build linux

package proxy

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/runtime/balance"
)

// TestChangesLoseNoConnection swaps tables and handlers as fast as it can while
// clients connect without pause: every connection must be answered, by a server
// that was in the listener.
func TestChangesLoseNoConnection(t *testing.T) {
	const connections, clients = 20_000, 8
	a, b, c := startBackend(t, sayName('a')), startBackend(t, sayName('b')), startBackend(t, sayName('c'))
	_, k, h := balanced(t, 2, listenerOf(a, b))

	var left atomic.Int64
	left.Store(connections)
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := ask(k); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	var drained []<-chan struct{}
	swaps := 0
	for swapping := true; swapping; swaps++ {
		select {
		case <-done:
			swapping = false
		case <-time.After(time.Millisecond):
		}
		switch swaps % 3 {
		case 0: // one of the servers is not well for a while
			h.SetTable(0, h.listener.Table(func(i int) balance.Health {
				return []balance.Health{balance.Normal, balance.Abnormal, balance.Normal}[i]
			}))
		case 1: // a server more
			h = handle(listenerOf(a, b, c), h)
			k.Serve(h)
		case 2: // and taken away again
			h = handle(listenerOf(a, b), h)
			k.Serve(h)
			drained = append(drained, h.Drain("l", "c", c, time.Now().Add(patience)))
		}
	}
	for _, d := range drained {
		<-d
	}
	counters := settled(t, h)
	if counters.Requests != connections || counters.Errors != 0 || counters.Cut != 0 {
		t.Errorf("counted %+v over %d changes, want %d requests and nothing lost", counters.Counts, swaps, connections)
	}
	if counters.BytesOut != connections {
		t.Errorf("%d bytes counted, want %d: the totals did not go on", counters.BytesOut, connections)
	}
	for i := range h.pools[0].servers {
		if n := h.pools[0].state.Active(i); n != 0 {
			t.Errorf("backend %d: %d in flight after the end", i, n)
		}
	}
}

func TestSwapDoesNotTouchOpenConnections(t *testing.T) {
	_, k, first := balanced(t, 2, listenerOf(startBackend(t, echo)))
	var conns []*net.TCPConn
	for range 50 {
		c := connect(t, k)
		exchange(t, c, "before")
		conns = append(conns, c)
	}
	other := listenerOf(startBackend(t, sayName('z')))
	other.Backends[0].Name = "z"
	second := handle(other, first)
	k.Serve(second)
	if got, err := ask(k); err != nil || got != 'z' {
		t.Fatalf("a new connection got %c, %v", got, err)
	}
	for _, c := range conns {
		exchange(t, c, "after")
	}
	if n := second.Active("l", "a"); n != 50 {
		t.Errorf("%d connections left on a, want 50", n)
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "a has no connection", func() bool { return second.Active("l", "a") == 0 })
	// A generation later a is only in the totals.
	last := second
	for range 3 {
		last = handle(other, last)
		if c := last.Counters(); len(c.Backends) != 1 || c.BytesIn != 50*int64(len("beforeafter")) || c.Requests != 51 {
			t.Errorf("counted %+v", c)
		}
	}
}

func TestDrainWaitsThenCuts(t *testing.T) {
	_, k, h := balanced(t, 2, listenerOf(startBackend(t, echo), startBackend(t, echo)))
	var conns []*net.TCPConn
	for i := range 40 {
		c := connect(t, k)
		exchange(t, c, "hello")
		if i%2 == 0 { // the ones on a
			conns = append(conns, c)
		}
	}
	stays := connect(t, k)
	exchange(t, stays, "on a, ends by itself")

	left := h.listener.Backends[0].Endpoint
	next := listenerOf(h.listener.Backends[1].Endpoint)
	next.Backends[0].Name = "b"
	h = handle(next, h)
	k.Serve(h)
	h.Drain("l", "a", left, time.Now().Add(patience))
	exchange(t, stays, "still served")
	stays.CloseWrite()
	if _, err := io.Copy(io.Discard, stays); err != nil {
		t.Errorf("a connection that ended in time got %v", err)
	}
	const grace = 100 * time.Millisecond
	start := time.Now()
	drained := h.Drain("l", "a", left, start.Add(grace))
	for _, c := range conns {
		wantReset(t, c)
	}
	if took := time.Since(start); took < grace {
		t.Errorf("cut after %v, before the deadline of %v", took, grace)
	}
	<-drained
	if n := h.Active("l", "a"); n != 0 {
		t.Errorf("a is drained and has %d connections", n)
	}
	counters := h.Counters()
	if counters.Backends["a"].Cut != int64(len(conns)) || counters.Backends["b"].Cut != 0 || counters.Backends["b"].Connections != 20 {
		t.Errorf("counted %+v", counters)
	}
}

func TestDrainEndsEarlyWhenNothingIsLeft(t *testing.T) {
	a := startBackend(t, echo)
	_, k, h := balanced(t, 4, listenerOf(a))
	<-h.Drain("l", "a", a, time.Now().Add(time.Hour))
	<-h.Drain("l", "nobody", a, time.Now().Add(time.Hour))
	c := connect(t, k)
	exchange(t, c, "hello")
	long := h.Drain("l", "a", a, time.Now().Add(time.Hour))
	select {
	case <-long:
		t.Fatal("drained with a connection open")
	default:
	}
	// A later call replaces the deadline.
	now := h.DrainAll(time.Now())
	wantReset(t, c)
	<-now
	<-long
	if h := handle(listenerOf(), nil); h != nil {
		<-h.DrainAll(time.Now().Add(time.Hour)) // never served
	}
}

func TestServerCloseResetsWhatIsLeftAndEndsDrains(t *testing.T) {
	s, err := New(Options{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	h := handle(listenerOf(startBackend(t, echo)), nil)
	k.Serve(h)
	c := connect(t, k)
	exchange(t, c, "hello")
	drained := h.DrainAll(time.Now().Add(time.Hour))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantReset(t, c)
	<-drained
	<-h.DrainAll(time.Now().Add(time.Hour))
	if _, err := s.Bind(anyPort); err == nil {
		t.Error("a closed server took a port")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestDrainSparesTheReplacement replaces a server by one of the same name at
// another endpoint: the old one's connections go, the new one's stay.
func TestDrainSparesTheReplacement(t *testing.T) {
	before, after := startBackend(t, echo), startBackend(t, echo)
	_, k, h := balanced(t, 2, listenerOf(before))
	old := connect(t, k)
	exchange(t, old, "on the old server")
	h = handle(listenerOf(after), h)
	k.Serve(h)
	fresh := connect(t, k)
	exchange(t, fresh, "on the new server")
	<-h.Drain("l", "a", before, time.Now())
	wantReset(t, old)
	exchange(t, fresh, "still on the new server")
}

// TestReturnEndsADrain takes two servers out and one of them back before the deadline:
// its connections live past it, the other's are cut.
func TestReturnEndsADrain(t *testing.T) {
	inTime(t, 200*time.Millisecond, func(grace time.Duration) bool { return returnEndsADrain(t, grace) })
}

// returnEndsADrain says whether the server was back before the deadline.
func returnEndsADrain(t *testing.T, grace time.Duration) bool {
	a, b := startBackend(t, echo), startBackend(t, echo)
	_, k, first := balanced(t, 2, listenerOf(a, b))
	var back, gone []*net.TCPConn
	for i := range 20 {
		c := connect(t, k)
		exchange(t, c, "hello")
		if i%2 == 0 {
			back = append(back, c)
		} else {
			gone = append(gone, c)
		}
	}
	second := handle(listenerOf(), first)
	k.Serve(second)
	deadline := time.Now().Add(grace)
	drained := []<-chan struct{}{first.Drain("l", "a", a, deadline), first.Drain("l", "b", b, deadline)}
	third := handle(listenerOf(a), second)
	k.Serve(third)
	third.Return(first)
	if time.Now().After(deadline) {
		return false
	}
	select {
	case <-drained[0]:
	default:
		t.Error("a is back and still draining")
	}
	for _, c := range gone {
		wantReset(t, c)
	}
	<-drained[1]
	if early := time.Until(deadline); early > 0 {
		t.Errorf("cut %v too early", early)
	}
	for _, c := range back {
		exchange(t, c, "past the deadline")
	}
	if c := third.Counters().Backends["a"]; c.Cut != 0 || c.Connections != 10 {
		t.Errorf("counted %+v", c)
	}
	third.Return(handle(listenerOf(a), nil)) // never served: nothing to do
	return true
}

// TestReturnSparesOthers does not save what drains for another reason: another
// listener's connections, and those to a server that moved.
func TestReturnSparesOthers(t *testing.T) {
	before, after := startBackend(t, echo), startBackend(t, echo)
	s, k, first := balanced(t, 1, listenerOf(before))
	moved := connect(t, k)
	exchange(t, moved, "to the old endpoint")
	other, err := s.Bind(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	another := handle(listenerOf(after), nil)
	other.Serve(another)
	foreign := connect(t, other)
	exchange(t, foreign, "through another listener")

	deadline := time.Now().Add(100 * time.Millisecond)
	another.DrainAll(deadline)
	second := handle(listenerOf(after), first)
	k.Serve(second)
	first.Drain("l", "a", before, deadline)
	second.Return(first)
	wantReset(t, moved)
	wantReset(t, foreign)
}
