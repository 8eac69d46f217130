package balance

import (
	"sync/atomic"

	"slbctl/spec"
)

// State is what a pool remembers between picks. Use it with Tables of the
// Listener it was made for. All methods may be called concurrently.
type State struct {
	pool    *Pool
	history *history
	flights []*flight // by index in pool.Backends
}

// history is what all States of one pool have in common, whatever changed
// between them.
type history struct {
	_      [128]byte
	ticket atomic.Uint64 // of rr and wrr: how many were taken
	_      [128]byte
	least  leastLoaded
}

// flight counts the connections in flight to one backend. Padding keeps the
// counters of two backends off one cache line and off its prefetched neighbour.
type flight struct {
	active atomic.Int64
	leaf   int32 // place in leastLoaded, noLeaf = none; guarded by its mutex
	_      [128 - 12]byte
}

// NewState returns the state of a pool. After a change, prev is the state it
// had before: the ticket goes on where it was, and backends that stay, by name,
// keep their connections in flight. Connections that began under prev still end
// with prev's Done and are counted here too. Without a past, prev is nil.
func NewState(p *Pool, prev *State) *State {
	s := &State{pool: p, flights: make([]*flight, len(p.Backends))}
	known := map[string]*flight{}
	if prev == nil {
		s.history = &history{}
	} else {
		s.history = prev.history
		for i, b := range prev.pool.Backends {
			known[b.Name] = prev.flights[i]
		}
	}
	for i, b := range p.Backends {
		if s.flights[i] = known[b.Name]; s.flights[i] == nil {
			s.flights[i] = &flight{leaf: noLeaf}
		}
	}
	if p.Scheduler == spec.SchedulerWLC {
		// For good: a change away from wlc may be taken back.
		s.history.least.inUse.Store(true)
	}
	return s
}

// Done ends a connection that Pick counted on backend i.
func (s *State) Done(i int) {
	f := s.flights[i]
	f.active.Add(-1)
	if least := &s.history.least; least.inUse.Load() {
		least.settle(f)
	}
}

// Active returns the connections in flight to backend i.
func (s *State) Active(i int) int64 { return s.flights[i].active.Load() }
