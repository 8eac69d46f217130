package balance

import (
	"math/bits"

	"slbctl/spec"
)

// run is where a server's places stand in the sequence that p2c and least_request
// draw from: as many as its weight over the greatest common divisor of all.
type run struct{ start, length int }

func (t *Table) drawSequence() ([]uint16, []run) {
	turns, total := reduce(t.weights)
	sequence, runs := make([]uint16, 0, total), make([]run, len(t.pool.Backends))
	for k, m := range t.members {
		runs[m] = run{start: len(sequence), length: turns[k]}
		for range turns[k] {
			sequence = append(sequence, m)
		}
	}
	return sequence, runs
}

// stream is a sequence of random numbers that follows from a seed and a ticket
// alone (SplitMix64), so that a connection draws the same ones in the
// simulator as live, whatever happened before.
type stream uint64

func newStream(seed, ticket uint64) stream {
	return stream(mix(seed) ^ mix(ticket+1))
}

// below draws a number from 0 to n-1, off the even by less than n/2^64.
func (s *stream) below(n uint64) uint64 {
	*s += 0x9e3779b97f4a7c15
	hi, _ := bits.Mul64(mix(uint64(*s)), n)
	return hi
}

// mix is the output function of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// draw picks for p2c and least_request. Both are p2c while weights are alike; with
// others least_request draws by weight over load, as Envoy does.
func (t *Table) draw(s *State, tried Tried) (int, bool) {
	random := newStream(t.pool.seed, s.ticket())
	if t.drawsByLoad() {
		return t.byLoad(s, &random, tried)
	}
	return t.ofTwo(s, &random, tried)
}

func (t *Table) drawsByLoad() bool {
	return t.pool.Scheduler == spec.SchedulerLeast && len(t.sequence) != len(t.members)
}

// ofTwo draws two distinct servers by weight and takes the one with fewer
// connections in flight for its weight, the first on a tie: an idle
// balancer serves by weight.
func (t *Table) ofTwo(s *State, random *stream, tried Tried) (int, bool) {
	at, first, second := t.drawTwo(s, random)
	if t.take(s, first, tried) {
		return int(first), true
	}
	if second != first && t.take(s, second, tried) {
		return int(second), true
	}
	return t.next(s, at, tried)
}

// drawTwo draws the two of ofTwo, the one to take before the other, and tells where the
// first that was drawn stands. Where there is but one server both are the same.
func (t *Table) drawTwo(s *State, random *stream) (at int, first, second uint16) {
	at = int(random.below(uint64(len(t.sequence))))
	first = t.sequence[at]
	second = first
	own := t.runs[first]
	if others := len(t.sequence) - own.length; others > 0 {
		k := int(random.below(uint64(others)))
		if k >= own.start {
			k += own.length
		}
		second = t.sequence[k]
		if s.Active(int(second))*int64(own.length) < s.Active(int(first))*int64(t.runs[second].length) {
			first, second = second, first
		}
	}
	return at, first, second
}

// quickDraws is how often byLoad throws before it counts.
const quickDraws = 4

// byLoad draws a server with a probability proportional to its weight divided by
// its connections in flight, counting the one at stake: the share that
// Envoy's least request gives by its schedule of deadlines. A server drawn by
// weight is kept once in so many times; that is right however often it is
// repeated, and when it took too long all are counted.
func (t *Table) byLoad(s *State, random *stream, tried Tried) (int, bool) {
	at := 0
	for range quickDraws {
		at = int(random.below(uint64(len(t.sequence))))
		backend := t.sequence[at]
		if random.below(uint64(s.Active(int(backend))+1)) == 0 && t.take(s, backend, tried) {
			return int(backend), true
		}
	}
	var total uint64
	for _, m := range t.members {
		total += t.loadWeight(s, m, tried)
	}
	if total > 0 {
		left := random.below(total)
		for _, m := range t.members {
			w := t.loadWeight(s, m, tried)
			if left < w && t.take(s, m, tried) {
				return int(m), true
			}
			left -= min(left, w)
		}
	}
	return t.next(s, at, tried)
}

// loadWeight is a server's weight divided by its load, in 2^-32; 0 when it cannot
// be had.
func (t *Table) loadWeight(s *State, backend uint16, tried Tried) uint64 {
	if tried.has(backend) || s.full(backend) {
		return 0
	}
	return uint64(t.runs[backend].length) << 32 / uint64(s.Active(int(backend))+1)
}
