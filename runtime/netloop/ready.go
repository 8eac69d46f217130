//go:build linux

package netloop

import "time"

// chunk is how many events that wait are handled before the kernel is asked again who
// goes ahead of the others.
const chunk = 32

// readyQueue is the descriptors, in order, whose events wait until those of descriptors that
// go ahead have been handled.
type readyQueue struct {
	fds  []int32
	next int // of fds
}

func (q *readyQueue) empty() bool { return q.next == len(q.fds) }

func (q *readyQueue) push(fd int32) {
	if q.next > 0 && len(q.fds) == cap(q.fds) {
		q.fds, q.next = q.fds[:copy(q.fds, q.fds[q.next:])], 0
	}
	q.fds = append(q.fds, fd)
}

func (q *readyQueue) pop() int32 {
	fd := q.fds[q.next]
	q.next++
	if q.empty() {
		q.fds, q.next = q.fds[:0], 0
	}
	return fd
}

// receive handles the events that go ahead, and lets the others wait.
func (l *Loop) receive(n int) {
	for i := range n {
		ev := &l.events[i]
		s := &l.slots[ev.Fd]
		switch {
		case s.handler == nil || s.generation != ev.Pad:
		case s.ahead:
			s.handler.Ready(Events(ev.Events))
		default:
			if s.waiting == 0 {
				l.queue.push(ev.Fd)
			}
			s.waiting |= uint16(ev.Events)
		}
	}
}

// proceed handles a batch of the events that wait, in chunks between which it lets those
// pass that go ahead. Turns that were asked for and timers come after a whole batch: what
// was there in time is handled before a timer can give up on it.
func (l *Loop) proceed() {
	for left := eventBatch; ; {
		for range chunk {
			if l.queue.empty() {
				return
			}
			s := &l.slots[l.queue.pop()]
			if ev := Events(s.waiting); ev != 0 {
				s.waiting = 0
				s.handler.Ready(ev)
			}
		}
		if left -= chunk; left == 0 || l.queue.empty() {
			return
		}
		n := max(0, epollPoll(l.epoll, l.events[:], 0))
		l.nanos = int64(time.Since(l.start))
		l.receive(n)
	}
}
