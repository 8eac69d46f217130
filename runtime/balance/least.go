package balance

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const noLeaf = -1

// leastLoaded answers wlc: which server has the fewest connections in flight for
// its weight. It is a tournament: the leaves are the servers of one Table, sorted by
// name, and every node above holds the better of its two children, so that a
// connection that begins or ends replays log2(n) matches instead of scanning all.
//
// Counts in flight are those of the flights as of a server's last replay: Done changes them
// before it takes the mutex and then replays that server's matches, so the tree is
// right again whenever nobody waits for the mutex.
type leastLoaded struct {
	// inUse spares the other schedulers the mutex. It is set before the first wlc
	// pick builds the tree, so a Done that still saw it unset was counted by then.
	inUse atomic.Bool

	mu      sync.Mutex
	table   *Table // whose servers the leaves are
	leaves  []leaf
	winners []int32 // a heap-shaped tree: children of k are 2k and 2k+1; noLeaf = nobody
	base    int     // index of the first leaf's node
}

type leaf struct {
	backend uint16
	weight  int64
	limit   int64 // of what is in flight; 0 = none
	active  int64 // what is in flight
	turns   int64 // picks since the servers to choose from last changed, and the one at stake
	full    bool
	flight  *flight
}

// look takes over what is in flight.
func (f *leaf) look() {
	f.active = f.flight.active.Load()
	f.full = f.limit > 0 && f.active >= f.limit
}

// pick chooses a server of t that is not in tried and counts the connection.
func (l *leastLoaded) pick(t *Table, s *State, tried Tried) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table != t {
		l.build(t, s)
	}
	for {
		best := l.winners[1]
		if len(tried) > 0 {
			best = l.bestWithout(tried)
		}
		if best == noLeaf {
			return 0, false
		}
		f := &l.leaves[best]
		ok := s.begin(f.backend)
		if ok {
			f.turns++
		} // else a sticky connection took its last place just now
		l.replay(best)
		if ok {
			return int(f.backend), true
		}
	}
}

// settle replays the matches of a server whose connections changed elsewhere.
func (l *leastLoaded) settle(f *flight) {
	l.mu.Lock()
	if f.leaf != noLeaf {
		l.replay(f.leaf)
	}
	l.mu.Unlock()
}

// build starts a tournament over the servers of t. Turns start at zero: carried
// over, they would give a server that is new, back, or heavier than before every
// idle moment's connection until it caught up with the past of the others.
func (l *leastLoaded) build(t *Table, s *State) {
	for i := range l.leaves {
		l.leaves[i].flight.leaf = noLeaf
	}
	n := len(t.members)
	l.table = t
	l.leaves = make([]leaf, n)
	for i, m := range t.members {
		f := s.flights[m]
		f.leaf = int32(i)
		l.leaves[i] = leaf{backend: m, weight: int64(t.weights[i]), limit: int64(t.pool.Backends[m].MaxConnections), turns: 1, flight: f}
		l.leaves[i].look()
	}
	l.play()
}

// play plays all matches.
func (l *leastLoaded) play() {
	l.base = 1 << bits.Len(uint(max(len(l.leaves), 2)-1))
	l.winners = make([]int32, 2*l.base)
	for i := range l.winners {
		l.winners[i] = noLeaf
	}
	for i := range l.leaves {
		if !l.leaves[i].full {
			l.winners[l.base+i] = int32(i)
		}
	}
	for k := l.base - 1; k > 0; k-- {
		l.winners[k] = l.better(l.winners[2*k], l.winners[2*k+1])
	}
}

// replay plays the matches of a leaf whose counts changed, up to the first that it
// neither wins nor used to win: nothing above that one hangs on it.
func (l *leastLoaded) replay(leaf int32) {
	f := &l.leaves[leaf]
	f.look()
	winner := leaf
	if f.full {
		winner = noLeaf
	}
	k := l.base + int(leaf)
	l.winners[k] = winner
	active, weight, turns := f.active, f.weight, f.turns
	for k > 1 {
		// What the winner so far has stays in registers, and no branch hangs on who wins a
		// match: nobody can foresee that.
		if rival := l.winners[k^1]; rival != noLeaf {
			r := &l.leaves[rival]
			behind := 2*r.behind(active, weight, turns) - int64(k&1) // equal: the left one wins
			if winner == noLeaf {
				behind = -1
			}
			a, w, t := r.active, r.weight, r.turns
			if behind < 0 {
				winner, active, weight, turns = rival, a, w, t
			}
		}
		k /= 2
		if winner != leaf && winner == l.winners[k] {
			return
		}
		l.winners[k] = winner
	}
}

// behind tells whether a server has more connections than another for its weight (LVS's
// formula, cross-multiplied), or as many and more turns: > 0 = more, 0 = as many of both.
func (f *leaf) behind(active, weight, turns int64) int64 {
	if more := f.active*weight - active*f.weight; more != 0 {
		return more
	}
	return f.turns*weight - turns*f.weight
}

// better returns the leaf that wins: who is not behind; of equals the one with the earlier
// name, a, which is left of b. Nobody wins who is full: his place is empty.
func (l *leastLoaded) better(a, b int32) int32 {
	if b == noLeaf {
		return a
	}
	if a == noLeaf {
		return b
	}
	if p := &l.leaves[a]; l.leaves[b].behind(p.active, p.weight, p.turns) < 0 {
		return b
	}
	return a
}

// bestWithout is the winner among the servers not tried: retries are rare enough
// for a scan.
func (l *leastLoaded) bestWithout(tried Tried) int32 {
	best := int32(noLeaf)
	for i := range l.leaves {
		f := &l.leaves[i]
		if f.look(); !f.full && !tried.has(f.backend) {
			best = l.better(best, int32(i))
		}
	}
	return best
}
