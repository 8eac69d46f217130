package sim

import (
	"math"
	"math/bits"
)

// Processor sharing: a station works on all its jobs at once, with equal parts of its workers and no more
// than one of them for each. All jobs get equally much in the same time, so who is done next
// is who needs the least beyond what each has got since the station was idle. That one number is kept,
// and a heap of what it must be for each job to be done: no job costs anything while others come and go.

// shareBits are the fraction bits of what jobs get, in ns.
const shareBits = 16

// longestJob is more work than a simulation has time for.
const longestJob = 1 << 46

// part is a job at a station that shares.
type part struct {
	end uint64 // what each must have got when it is done
	job int32
}

// sharing is the state of such a station.
type sharing struct {
	shares   bool
	workers  int
	parts    []part // a heap by end
	got      uint64 // by each that has been there since the station was idle
	at       int64  // up to when
	next     int64  // when a job is done, if nobody comes
	position int    // in stations, from 1 on; 0 = not there
}

// pass lets time go by.
func (s *station) pass(now int64) {
	n := len(s.parts)
	if n > 0 {
		dt := uint64(now - s.at)
		s.work += int64(dt) * int64(min(n, s.workers))
		s.got += s.gain(dt)
	}
	s.at = now
}

// gain is what each job gets in a time, rounded down.
func (s *station) gain(dt uint64) uint64 {
	n, workers := uint64(len(s.parts)), uint64(s.workers)
	if n <= workers {
		return dt << shareBits
	}
	hi, lo := bits.Mul64(dt<<shareBits, workers)
	gain, _ := bits.Div64(hi, lo, n)
	return gain
}

// foresee finds out when the next job is done.
func (s *station) foresee() {
	s.next = math.MaxInt64
	if len(s.parts) == 0 {
		s.got = 0
		return
	}
	left, n, workers := s.parts[0].end-min(s.got, s.parts[0].end), uint64(len(s.parts)), uint64(s.workers)
	n = max(n, workers)
	hi, lo := bits.Mul64(left, n)
	lo, carry := bits.Add64(lo, workers<<shareBits-1, 0)
	hi += carry
	if hi >= workers<<shareBits {
		s.next = math.MaxInt64 / 4
		return
	}
	wait, _ := bits.Div64(hi, lo, workers<<shareBits)
	s.next = min(s.at+int64(min(wait, math.MaxInt64/4)), math.MaxInt64/4)
}

// share takes work.
func (s *station) share(now, work int64, job int32) {
	s.pass(now)
	s.parts = append(s.parts, part{s.got + uint64(min(work, longestJob))<<shareBits, job})
	q, k := s.parts, len(s.parts)-1
	for ; k > 0 && q[k].end < q[(k-1)/2].end; k = (k - 1) / 2 {
		q[k], q[(k-1)/2] = q[(k-1)/2], q[k]
	}
	s.foresee()
}

// done takes away a job that is done at a time, which is none after it is next's; none if there is none left.
func (s *station) done(now int64) int32 {
	if s.at < now {
		s.pass(now)
		if len(s.parts) > 0 && s.next <= now {
			s.got = max(s.got, s.parts[0].end) // however it is rounded
		}
	}
	if len(s.parts) == 0 || s.parts[0].end > s.got {
		s.foresee()
		return none
	}
	job := s.parts[0].job
	s.remove()
	return job
}

// remove takes the first job of the heap away.
func (s *station) remove() {
	q := s.parts
	last := len(q) - 1
	q[0] = q[last]
	s.parts = q[:last]
	s.sift(0)
}

func (s *station) sift(k int) {
	q := s.parts
	for {
		least := k
		for child := 2*k + 1; child <= 2*k+2 && child < len(q); child++ {
			if q[child].end < q[least].end {
				least = child
			}
		}
		if least == k {
			return
		}
		q[k], q[least] = q[least], q[k]
		k = least
	}
}

// stations are those that share and have something to do: a heap by next.
type stations []*station

// next is when the next job of all of them is done.
func (h stations) next() int64 {
	if len(h) == 0 {
		return math.MaxInt64
	}
	return h[0].next
}

// place puts a station where it belongs, after its next has changed.
func (h *stations) place(s *station) {
	if s.position == 0 {
		*h = append(*h, s)
		s.position = len(*h)
	}
	q, k := *h, s.position-1
	for ; k > 0 && q[k].next < q[(k-1)/2].next; k = (k - 1) / 2 {
		q.swap(k, (k-1)/2)
	}
	for {
		least := k
		for child := 2*k + 1; child <= 2*k+2 && child < len(q); child++ {
			if q[child].next < q[least].next {
				least = child
			}
		}
		if least == k {
			return
		}
		q.swap(k, least)
		k = least
	}
}

func (h stations) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].position, h[j].position = i+1, j+1
}
