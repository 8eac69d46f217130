//go:build linux

package netloop

import (
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

func start(t testing.TB, n int) *Set {
	t.Helper()
	set, err := Start(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set
}

// on runs f on the loop and waits for it.
func on(t testing.TB, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { defer close(done); f() }) {
		t.Fatal("the loop has ended")
	}
	await(t, done)
}

func await(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("nothing happened")
	}
}

// ready is a Handler made of a function.
type ready func(Events)

func (f *ready) Ready(ev Events) { (*f)(ev) }

func handler(f func(Events)) Handler { r := ready(f); return &r }

func pair(t testing.TB) (int, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

func TestStartKeepsASpareProcessor(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		set := start(t, n)
		if len(set.Loops()) != n {
			t.Fatalf("%d loops, want %d", len(set.Loops()), n)
		}
		if p := runtime.GOMAXPROCS(0); p != n+max(1, cores/4) {
			t.Errorf("%d loops: GOMAXPROCS is %d", n, p)
		}
		set.Close()
	}
	if n := len(start(t, 0).Loops()); n != cores {
		t.Errorf("%d loops by default, want one for each of %d cores", n, cores)
	}
}

func TestLoopIsBoundToACore(t *testing.T) {
	var outside, inside unix.CPUSet
	if err := unix.SchedGetaffinity(0, &outside); err != nil {
		t.Skip(err)
	}
	l := start(t, 1).Loops()[0]
	on(t, l, func() {
		if err := unix.SchedGetaffinity(0, &inside); err != nil {
			t.Error(err)
		}
	})
	if inside.Count() != 1 {
		t.Errorf("the loop's thread may run on %d cores", inside.Count())
	}
}

func TestPostRunsInOrderFromManyGoroutines(t *testing.T) {
	set := start(t, 2)
	const goroutines, each = 8, 500
	seen := make([][]int, goroutines) // by goroutine; written by its loop only
	var posting sync.WaitGroup
	for g := range goroutines {
		posting.Go(func() {
			for i := range each {
				set.Loops()[g%2].Post(func() { seen[g] = append(seen[g], i) })
			}
		})
	}
	posting.Wait()
	set.Close() // runs what was posted before
	for g, list := range seen {
		if len(list) != each {
			t.Fatalf("goroutine %d: %d of %d functions ran", g, len(list), each)
		}
		for i, got := range list {
			if got != i {
				t.Fatalf("goroutine %d: function %d ran in place of %d", g, got, i)
			}
		}
	}
	if set.Loops()[0].Post(func() { t.Error("ran after the end") }) {
		t.Error("a loop that has ended took a function")
	}
}

func TestReadyIsEdgeTriggered(t *testing.T) {
	l := start(t, 1).Loops()[0]
	a, b := pair(t)
	defer unix.Close(b)
	events := make(chan Events, 16)
	on(t, l, func() {
		if err := l.Add(a, handler(func(ev Events) { events <- ev })); err != nil {
			t.Error(err)
		}
	})
	if ev := <-events; ev != Out {
		t.Fatalf("a new socket is ready for %v, want Out", ev)
	}
	unix.Write(b, []byte("x"))
	if ev := <-events; ev&In == 0 {
		t.Fatalf("after a byte it is ready for %v, want In", ev)
	}
	on(t, l, func() {}) // nothing was read, and yet there is no second event
	select {
	case ev := <-events:
		t.Fatalf("a second event %v for the same byte", ev)
	default:
	}
	unix.Shutdown(b, unix.SHUT_WR)
	if ev := <-events; ev&PeerFin == 0 {
		t.Fatalf("after the end it is ready for %v, want PeerFin", ev)
	}
	on(t, l, func() { l.Close(a) })
}

// TestStaleEventsAreDropped closes, from within one record's turn, another
// descriptor that is in the same batch of events and puts a new one in its place.
func TestStaleEventsAreDropped(t *testing.T) {
	l := start(t, 1).Loops()[0]
	a1, a2 := pair(t)
	b1, b2 := pair(t)
	defer unix.Close(a2)
	defer unix.Close(b2)
	var fresh []Events
	var c1, c2 int
	replaced := false
	replace := func(ev Events) {
		if ev&In == 0 || replaced {
			return
		}
		replaced = true
		l.Close(b1)
		c1, c2 = pair(t)
		if c2 == b1 {
			c1, c2 = c2, c1
		}
		if c1 != b1 {
			t.Errorf("descriptor %d was not used again", b1)
		}
		if err := l.Add(c1, handler(func(ev Events) { fresh = append(fresh, ev) })); err != nil {
			t.Error(err)
		}
	}
	on(t, l, func() {
		l.Add(a1, handler(replace))
		l.Add(b1, handler(func(ev Events) {
			if ev&In != 0 && !replaced {
				t.Error("the order of events is not the one this test needs")
			}
		}))
	})
	on(t, l, func() {}) // the first edges are gone
	on(t, l, func() {   // both become readable while the loop is busy
		unix.Write(a2, []byte("x"))
		unix.Write(b2, []byte("x"))
	})
	on(t, l, func() {})
	on(t, l, func() {
		for _, ev := range fresh {
			if ev&In != 0 {
				t.Errorf("the new descriptor was given the event %v of the old one", ev)
			}
		}
		if !replaced || len(fresh) == 0 {
			t.Error("the new descriptor had no event of its own")
		}
		l.Close(a1)
		l.Close(c1)
		unix.Close(c2)
	})
}

func TestAgainTakesTurnsWithEvents(t *testing.T) {
	l := start(t, 1).Loops()[0]
	a, b := pair(t)
	defer unix.Close(b)
	turns, heard := 0, make(chan int, 1)
	var busy Handler
	busy = handler(func(ev Events) {
		turns++
		if turns == 100 {
			unix.Write(b, []byte("x"))
		}
		if turns < 1_000_000 && len(heard) == 0 {
			l.Again(busy)
		}
	})
	on(t, l, func() {
		l.Add(a, handler(func(ev Events) {
			if ev&In != 0 {
				heard <- turns
			}
		}))
		l.Again(busy)
	})
	select {
	case n := <-heard:
		if n > 110 {
			t.Errorf("the event was heard %d turns late", n-100)
		}
	case <-time.After(patience):
		t.Fatal("the event was never heard")
	}
	on(t, l, func() { l.Close(a) })
}

// expirer is an Expirer made of a function.
type expirer func()

func (f expirer) Expired() { f() }

type expired chan time.Time

func (e expired) Expired() { e <- time.Now() }

func TestTimersWakeTheLoop(t *testing.T) {
	l := start(t, 1).Loops()[0]
	var short, long, stopped Timer
	fired, never := make(expired, 2), make(expired, 1)
	short.Init(fired)
	long.Init(fired)
	stopped.Init(never)
	var began time.Time
	on(t, l, func() {
		began = time.Now()
		l.Arm(&short, 25*time.Millisecond)
		l.Arm(&stopped, 30*time.Millisecond)
		l.Arm(&long, 150*time.Millisecond)
		l.Stop(&stopped)
	})
	for _, want := range []time.Duration{25 * time.Millisecond, 150 * time.Millisecond} {
		select {
		case at := <-fired:
			if took := at.Sub(began); took < want-time.Millisecond {
				t.Errorf("a timer of %v fired after %v", want, took)
			}
		case <-time.After(patience):
			t.Fatalf("a timer of %v did not fire", want)
		}
	}
	if len(never) != 0 {
		t.Error("a stopped timer fired")
	}
}

// TestBusyLoopsDoNotHoldUpTheWorld keeps loops in the wait that the scheduler is not
// told of, and stops the world many times.
func TestBusyLoopsDoNotHoldUpTheWorld(t *testing.T) {
	set := start(t, 2)
	done := make(chan struct{})
	var posting sync.WaitGroup
	for _, l := range set.Loops() {
		posting.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					l.Post(func() {})
					time.Sleep(100 * time.Microsecond)
				}
			}
		})
	}
	var took [50]time.Duration
	for i := range took {
		began := time.Now()
		runtime.GC()
		took[i] = time.Since(began)
	}
	slices.Sort(took[:])
	if median := took[len(took)/2]; median > 100*time.Millisecond {
		t.Errorf("a collection takes %v", median)
	}
	close(done)
	posting.Wait()
}

func TestBuffersAndPipesAreUsedAgain(t *testing.T) {
	l := start(t, 1).Loops()[0]
	on(t, l, func() {
		b := l.Keep([]byte("hello"))
		b.Advance(2)
		if string(b.Bytes()) != "llo" {
			t.Errorf("buffer holds %q", b.Bytes())
		}
		l.Release(b)
		if again := l.Keep([]byte("new")); again != b || string(again.Bytes()) != "new" {
			t.Errorf("another buffer, or old bytes: %q", again.Bytes())
		}
		var lent []*Pipe
		for p := l.Pipe(); p != nil; p = l.Pipe() {
			lent = append(lent, p)
		}
		if len(lent) != maxPipes {
			t.Errorf("%d pipes lent, want %d", len(lent), maxPipes)
		}
		for _, p := range lent {
			l.ReturnPipe(p)
		}
		if l.pool.open != keptPipes || len(l.pool.pipes) != keptPipes {
			t.Errorf("%d pipes open and %d idle, want %d", l.pool.open, len(l.pool.pipes), keptPipes)
		}
	})
}

func TestPipeMovesBytes(t *testing.T) {
	l := start(t, 1).Loops()[0]
	a, b := pair(t)
	c, d := pair(t)
	defer unix.Close(a)
	defer unix.Close(b)
	defer unix.Close(c)
	defer unix.Close(d)
	on(t, l, func() {
		p := l.Pipe()
		if _, e := p.Fill(b); e != unix.EAGAIN {
			t.Errorf("filling from an empty socket: %v, want EAGAIN", e)
		}
		unix.Write(a, []byte("through the kernel"))
		if n, e := p.Fill(b); n != 18 || e != 0 || p.Bytes != 18 {
			t.Errorf("filled %d, %v", n, e)
		}
		if n, e := p.Drain(c); n != 18 || e != 0 || p.Bytes != 0 {
			t.Errorf("drained %d, %v", n, e)
		}
		got := make([]byte, 32)
		if n, e := Recv(d, got); e != 0 || string(got[:n]) != "through the kernel" {
			t.Errorf("got %q, %v", got[:n], e)
		}
		unix.Shutdown(a, unix.SHUT_WR)
		if n, e := p.Fill(b); n != 0 || e != 0 {
			t.Errorf("at the end: %d, %v, want 0 and no error", n, e)
		}
		l.ReturnPipe(p)
	})
}

func TestScarceAndSpare(t *testing.T) {
	l := start(t, 1).Loops()[0]
	on(t, l, func() {
		if !l.Spare() || l.Scarce(l.wake) {
			t.Error("descriptors are scarce in an idle process")
		}
		l.scarce = l.epoll // as if the limit were here
		if l.Spare() || !l.Scarce(l.wake) || l.Pipe() != nil {
			t.Error("descriptors are not scarce at the limit")
		}
	})
}

func TestCloseGivesDescriptorsBack(t *testing.T) {
	before := descriptors(t)
	set := start(t, 3)
	for _, l := range set.Loops() {
		on(t, l, func() { l.ReturnPipe(l.Pipe()) })
	}
	if now := descriptors(t); now <= before {
		t.Fatalf("%d descriptors before, %d with loops", before, now)
	}
	set.Close()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// Events of descriptors that go ahead are handled before those of a batch that was
// ready sooner, but for the chunk that is being handled.
func TestAheadGoesFirst(t *testing.T) {
	const others = 5 * chunk
	l := start(t, 1).Loops()[0]
	server, reply := pair(t)
	var order []int // of client numbers, -1 = a reply
	done := make(chan struct{})
	on(t, l, func() {
		if err := l.AddAhead(server, handler(func(ev Events) {
			if ev&In != 0 {
				var b [8]byte
				unix.Read(server, b[:])
				order = append(order, -1)
			}
		})); err != nil {
			t.Error(err)
		}
		for i := range others {
			fd, peer := pair(t)
			unix.Write(peer, []byte("x"))
			if err := l.Add(fd, handler(func(ev Events) {
				if ev&In == 0 {
					return
				}
				order = append(order, i)
				if i == 0 {
					unix.Write(reply, []byte("x"))
				}
				l.Close(fd)
				unix.Close(peer)
				if i == others-1 {
					close(done)
				}
			})); err != nil {
				t.Error(err)
			}
		}
	})
	await(t, done)
	on(t, l, func() { l.Close(server) })
	unix.Close(reply)
	if at := slices.Index(order, -1); at < 1 || at > chunk {
		t.Errorf("the reply to request 0 was handled after %d others of %d", at, others)
	}
}

// Whoever goes ahead and is always ready, more than a batch of them, stops nobody.
func TestAheadStarvesNobody(t *testing.T) {
	l := start(t, 1).Loops()[0]
	stop := false
	var fds, peers []int
	on(t, l, func() {
		for range eventBatch + 10 {
			fd, peer := pair(t)
			fds, peers = append(fds, fd), append(peers, peer)
			var b [8]byte
			if err := l.AddAhead(fd, handler(func(Events) {
				if !stop {
					unix.Read(fd, b[:])
					unix.Write(peer, []byte("x")) // a new edge
				}
			})); err != nil {
				t.Error(err)
			}
		}
	})
	fd, peer := pair(t)
	done := make(chan struct{})
	on(t, l, func() {
		if err := l.Add(fd, handler(func(ev Events) {
			if ev&In != 0 {
				close(done)
				l.Close(fd)
			}
		})); err != nil {
			t.Error(err)
		}
	})
	unix.Write(peer, []byte("x"))
	await(t, done)
	on(t, l, func() {
		stop = true
		for _, fd := range fds {
			l.Close(fd)
		}
	})
	for _, peer := range append(peers, peer) {
		unix.Close(peer)
	}
}

// More answers at once than fit in a batch are all handled.
func TestAheadHandlesAll(t *testing.T) {
	const answers = 3*eventBatch + 1
	l := start(t, 1).Loops()[0]
	seen := 0
	done := make(chan struct{})
	on(t, l, func() {
		for range answers {
			fd, peer := pair(t)
			unix.Write(peer, []byte("x"))
			if err := l.AddAhead(fd, handler(func(ev Events) {
				if ev&In == 0 {
					return
				}
				l.Close(fd)
				unix.Close(peer)
				if seen++; seen == answers {
					close(done)
				}
			})); err != nil {
				t.Error(err)
			}
		}
	})
	await(t, done)
}

// A batch of events is handled whole before anybody has another turn, and before timers: a
// timer gives up on nobody whose event had come in time.
func TestBatchIsHandledBeforeTurnsAndTimers(t *testing.T) {
	const clients = eventBatch - 1 // and the loop's own event
	l := start(t, 1).Loops()[0]
	var again Handler
	turns, left, late, wasTurns := 0, clients, 0, -1
	done := make(chan struct{})
	on(t, l, func() {
		again = handler(func(Events) {
			if turns++; left > 0 {
				l.Again(again)
			}
		})
		l.Again(again)
		for range clients {
			fd, peer := pair(t)
			unix.Write(peer, []byte("x"))
			handled := false
			var timer Timer
			timer.Init(expirer(func() {
				if !handled {
					late++
				}
			}))
			l.Arm(&timer, time.Millisecond)
			if err := l.Add(fd, handler(func(ev Events) {
				if ev&In == 0 || handled {
					return
				}
				if handled = true; wasTurns < 0 {
					wasTurns = turns
				}
				l.Close(fd)
				unix.Close(peer)
				if left--; left == 0 {
					wasTurns = turns - wasTurns
					close(done)
				}
			})); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(20 * Tick) // the loop is held up, and the timers are all due
	})
	await(t, done)
	on(t, l, func() {
		if wasTurns > 0 || late > 0 {
			t.Errorf("another had %d turns, and %d timers fired, before the events of %d", wasTurns, late, clients)
		}
	})
}
