//go:build linux

package netloop

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Events says what may be ready on a descriptor; zero means a turn asked for
// with [Loop.Again].
type Events uint32

// The events that a descriptor is registered for.
const (
	In      Events = unix.EPOLLIN
	Out     Events = unix.EPOLLOUT
	Urgent  Events = unix.EPOLLPRI
	Err     Events = unix.EPOLLERR
	Hup     Events = unix.EPOLLHUP
	PeerFin Events = unix.EPOLLRDHUP // the peer will send nothing more
)

// Handler is a record that is told when its descriptor may be ready.
type Handler interface{ Ready(Events) }

const (
	eventBatch  = 256
	scratchSize = 80 << 10 // a page of 64 KiB and its head in one read
)

// slot holds a registered descriptor's record. The generation tells an event of
// a descriptor closed earlier in the same batch from one of its successor with
// the same number.
type slot struct {
	handler    Handler
	generation int32
	waiting    uint16 // Events in the queue, 0 = none
	ahead      bool
}

// Loop is one event loop. All methods but Post are for its own goroutine, which
// is the one that runs Ready, Expired and posted functions.
type Loop struct {
	index   int
	epoll   int
	wake    int // eventfd
	slots   []slot
	events  [eventBatch]unix.EpollEvent
	queue   readyQueue
	again   []Handler
	turns   []Handler // the previous again, being run
	wheel   wheel
	start   time.Time
	nanos   int64 // since start, as of this turn
	scratch []byte
	pool    pool
	scarce  int // see Scarce
	last    int // see Dial

	mu      sync.Mutex
	posts   []func()
	stopped bool

	stopping bool
	woken    bool
	busy     bool // the last wait found something to do
}

func newLoop(index int, start time.Time) (*Loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("event loop %d: epoll_create: %w", index, err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("event loop %d: eventfd: %w", index, err)
	}
	l := &Loop{index: index, epoll: epoll, wake: wake, start: start, scratch: make([]byte, scratchSize)}
	if err := l.Add(wake, (*waker)(l)); err != nil {
		unix.Close(wake)
		unix.Close(epoll)
		return nil, err
	}
	return l, nil
}

// waker is the loop seen as the record of its eventfd. The counter is never
// read: every write makes a new edge.
type waker Loop

func (w *waker) Ready(Events) { w.woken = true }

// Index is the loop's place in its Set.
func (l *Loop) Index() int { return l.index }

// Scratch is the loop's one buffer for bytes in passing; nothing in it outlives a call of Ready.
func (l *Loop) Scratch() []byte { return l.scratch }

// Now is the time of this turn, in nanoseconds since the loops of the Set were started.
func (l *Loop) Now() int64 { return l.nanos }

// Add registers fd for all events, edge-triggered, until it is closed with Close.
func (l *Loop) Add(fd int, h Handler) error { return l.register(fd, h, false) }

// AddAhead registers fd like Add and has its events handled before those of
// descriptors that were registered with Add, also when these were ready sooner. It is
// for connections to servers that requests share: where answers go first, only as many
// requests are on their way as the servers need, and the same few connections, still in
// the processor's cache, carry them. With all in one queue 512 clients soon have 512
// connections to servers.
func (l *Loop) AddAhead(fd int, h Handler) error { return l.register(fd, h, true) }

func (l *Loop) register(fd int, h Handler, ahead bool) error {
	if fd >= len(l.slots) {
		l.slots = append(l.slots, make([]slot, max(fd+1-len(l.slots), len(l.slots)/2, 64))...)
	}
	s := &l.slots[fd]
	s.generation++
	event := unix.EpollEvent{
		Events: uint32(In|Out|Urgent|PeerFin) | unix.EPOLLET,
		Fd:     int32(fd),
		Pad:    s.generation,
	}
	if err := epollAdd(l.epoll, fd, &event); err != 0 {
		return fmt.Errorf("descriptor %d: epoll_ctl: %w", fd, err)
	}
	s.handler, s.ahead, s.waiting = h, ahead, 0
	return nil
}

// Hand gives a registered descriptor to another record. What the first has not used
// up makes no new edge: it has to tell its successor.
func (l *Loop) Hand(fd int, h Handler) { l.slots[fd].handler = h }

// Close forgets and closes fd; events that the kernel reported earlier are dropped.
func (l *Loop) Close(fd int) {
	if fd < len(l.slots) {
		l.forget(fd)
	}
	closeFD(fd)
}

// Remove forgets fd and leaves it open: for a socket that other processes have too, whose
// events would otherwise come for as long as any of them keeps it.
func (l *Loop) Remove(fd int) {
	l.forget(fd)
	epollRemove(l.epoll, fd)
}

func (l *Loop) forget(fd int) { l.slots[fd].handler, l.slots[fd].waiting = nil, 0 }

// Scarce reports whether getting the number fd shows that the process is about
// to run out of descriptors (the kernel gives the lowest that is free). Whoever
// gets one from a stranger then pauses, so that the rest remains for other work.
func (l *Loop) Scarce(fd int) bool { return fd >= l.scarce }

// Again calls h.Ready(0) on the next turn, after the events that are ready by then,
// or a batch of them.
func (l *Loop) Again(h Handler) { l.again = append(l.again, h) }

// Arm lets t fire once, d from now; it may be armed already.
func (l *Loop) Arm(t *Timer, d time.Duration) {
	l.wheel.add(t, (l.nanos+int64(max(d, 0))+int64(Tick)-1)/int64(Tick))
}

// Stop disarms t.
func (l *Loop) Stop(t *Timer) { t.unlink() }

// Post runs f on the loop's goroutine, soon and in order. It reports false, and
// drops f, if the loop has ended. Any goroutine may call it.
func (l *Loop) Post(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.posts = append(l.posts, f)
	if len(l.posts) == 1 {
		// Under the lock, so that the eventfd is still this loop's.
		one := [8]byte{1}
		unix.Write(l.wake, one[:])
	}
	return true
}

// run is the loop's goroutine.
func (l *Loop) run() {
	for !l.stopping {
		n := l.wait()
		l.nanos = int64(time.Since(l.start))
		l.receive(n)
		l.proceed()
		l.runAgain()
		if l.woken {
			l.woken = false
			l.runPosts()
		}
		l.wheel.advance(l.nanos / int64(Tick))
	}
	l.end()
}

// wait returns the number of events that are ready, sleeping until the next timer if need be.
func (l *Loop) wait() int {
	if len(l.again) > 0 || !l.queue.empty() {
		return max(0, epollPoll(l.epoll, l.events[:], 0))
	}
	timeout := -1
	if next := l.wheel.nextTick(); next >= 0 {
		wait := next*int64(Tick) - l.nanos // the turn's own time counts as lateness
		timeout = int(max(0, (wait+int64(time.Millisecond)-1)/int64(time.Millisecond)))
	}
	if l.busy {
		if n := epollPoll(l.epoll, l.events[:], briefly(timeout)); n != 0 {
			return max(n, 0)
		}
		l.busy = false
		if timeout >= 0 {
			timeout = max(0, timeout-brief)
		}
	}
	n := epollWait(l.epoll, l.events[:], timeout)
	l.busy = n > 0
	return n
}

// brief is how long, in milliseconds, a loop that has just had work waits for more
// without telling the scheduler. Telling costs several microseconds for each of the
// short waits of a loop under load, since the runtime's monitor takes the processor
// away and a thread must be woken to use it. It is less than the 10 ms after which the
// monitor would interrupt the thread for holding a processor too long; whoever wants to
// stop the world interrupts it at once.
const brief = 2

func briefly(timeout int) int {
	if timeout < 0 {
		return brief
	}
	return min(timeout, brief)
}

func (l *Loop) runAgain() {
	l.turns, l.again = l.again, l.turns[:0]
	for i, h := range l.turns {
		l.turns[i] = nil
		h.Ready(0)
	}
}

func (l *Loop) runPosts() {
	l.mu.Lock()
	posts := l.posts
	l.posts = nil
	l.mu.Unlock()
	for _, f := range posts {
		f()
	}
}

// end runs what was still posted and gives the loop's own descriptors back.
func (l *Loop) end() {
	l.mu.Lock()
	posts := l.posts
	l.posts, l.stopped = nil, true
	l.mu.Unlock()
	for _, f := range posts {
		f()
	}
	l.pool.close()
	closeFD(l.wake)
	closeFD(l.epoll)
}
