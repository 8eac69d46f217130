package sim

import (
	"fmt"
	"math/bits"

	"slbctl/runtime/expect"
	"slbctl/spec"
)

// movements watches which clients change their server: that of the listener, or of a rule, for each of them has
// its own. Servers are known by their names, so that one that a change keeps stays the same.
type movements struct {
	place  []int     // of each server in run.servers among the names of all
	route  []int     // of each pool in run.pools among the listener and its rules
	routes int       // how many these are
	last   [][]int32 // by stream, client and route: its server, from 1 on; 0 = it had none so far
	by     []*mover  // by expectation; nil for those of another metric
}

// mover is what an expectation about clients that move watches.
type mover struct {
	window      int
	seen, moved [][]uint64 // sets of clients, by stream: who had a server before, and of these who got another one
}

// addMoves prepares to watch, if an expectation asks for it.
func (r *run) addMoves() {
	m := &movements{by: make([]*mover, len(r.sim.Expects))}
	wanted := false
	for k := range r.sim.Expects {
		if e := &r.sim.Expects[k]; e.Metric == spec.MetricClientsMoved {
			m.by[k] = &mover{window: r.windowIndex(e.During)}
			wanted = true
		}
	}
	if !wanted {
		return
	}
	r.moves = m
	_, m.place = r.names()
	known := map[string]int{}
	for k := range r.pools {
		owner := r.pools[k].Owner
		if _, ok := known[owner]; !ok {
			known[owner] = len(known)
		}
		m.route = append(m.route, known[owner])
	}
	m.routes = len(known)
}

// addStream makes room for the clients of one more stream.
func (m *movements) addStream(clients uint64) {
	m.last = append(m.last, make([]int32, clients*uint64(m.routes)))
	for _, x := range m.by {
		if x != nil {
			x.seen = append(x.seen, make([]uint64, (clients+63)/64))
			x.moved = append(x.moved, make([]uint64, (clients+63)/64))
		}
	}
}

// see notes that a server, by index in run.servers, has served a client.
func (m *movements) see(c *connection, server int) {
	its := m.last[c.stream][c.visitor*uint64(m.routes):][:m.routes]
	if c.visits != nil && c.first {
		clear(its) // somebody new
	}
	last, now := &its[m.route[c.pool]], int32(m.place[server])+1
	was := *last
	*last = now
	if was == 0 {
		return
	}
	word, bit := c.visitor/64, uint64(1)<<(c.visitor%64)
	for _, window := range c.stretch.windows {
		for _, x := range m.by {
			if x == nil || x.window != window {
				continue
			}
			x.seen[c.stream][word] |= bit
			if was != now {
				x.moved[c.stream][word] |= bit
			}
		}
	}
}

// size is how many are in sets.
func size(sets [][]uint64) (n int) {
	for _, set := range sets {
		for _, word := range set {
			n += bits.OnesCount64(word)
		}
	}
	return n
}

// judgeMoves holds what part of the clients that had a server before have got another one, at any time in a
// window, against an expectation. It is exact for these clients.
func (r *run) judgeMoves(k int, windows []Window) Expectation {
	e, x := &r.sim.Expects[k], r.moves.by[k]
	window := windowOf(e.During, windows).Name
	moved, seen := size(x.moved), size(x.seen)
	if seen == 0 {
		return expect.Nothing(e, "no client came to "+window+" that had a server before")
	}
	part := float64(moved) / float64(seen)
	return expect.Judge(e, part, fmt.Sprintf("%s, %d of %s in %s", percent(part), moved, count(seen, "client"), window))
}
