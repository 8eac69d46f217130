package balance

import (
	"sync/atomic"

	"slbctl/spec"
)

// State is what a pool remembers between picks. Use it with Tables of the
// pool it was made for. All methods may be called concurrently.
type State struct {
	pool    *Pool
	history *history
	flights []*flight // by index in pool.Backends
	limits  []int64   // likewise, of what is in flight; nil when nobody has one

	// What source persistence knows servers by: cookieKey, by index and back. clients
	// is nil in a pool that never had it.
	clients *clients
	keys    []uint64
	servers map[uint64]int
}

// history is what all States of one pool have in common, whatever changed
// between them.
type history struct {
	_       [128]byte
	tickets atomic.Uint64 // how many were taken; wlc, sch, tch and qch take none
	_       [128]byte
	least   leastLoaded
}

// flight counts the connections in flight to one backend. Padding keeps the
// counters of two backends off one cache line and off its prefetched neighbour.
type flight struct {
	active atomic.Int64
	leaf   int32 // place in leastLoaded, noLeaf = none; guarded by its mutex
	_      [128 - 12]byte
}

// NewState returns the state of a pool. After a change, prev is the state it
// had before: the ticket goes on where it was, and backends that stay, by their ids,
// keep their connections in flight. Connections that began under prev still end
// with prev's Done and are counted here too. Without a past, prev is nil.
func NewState(p *Pool, prev *State) *State {
	s := &State{pool: p, flights: make([]*flight, len(p.Backends))}
	known := map[string]*flight{}
	if prev == nil {
		s.history = &history{}
	} else {
		s.history, s.clients = prev.history, prev.clients
		for i, b := range prev.pool.Backends {
			known[b.key()] = prev.flights[i]
		}
	}
	for i, b := range p.Backends {
		if s.flights[i] = known[b.key()]; s.flights[i] == nil {
			s.flights[i] = &flight{leaf: noLeaf}
		}
		if b.MaxConnections > 0 && s.limits == nil {
			s.limits = make([]int64, len(p.Backends))
		}
		if b.MaxConnections > 0 {
			s.limits[i] = int64(b.MaxConnections)
		}
	}
	if p.PersistenceTimeout > 0 {
		s.persist()
	}
	if p.Scheduler == spec.SchedulerWLC {
		// For good: a change away from wlc may be taken back.
		s.history.least.inUse.Store(true)
	}
	return s
}

// persist prepares a state to remember clients.
func (s *State) persist() {
	if s.clients == nil {
		s.clients = &clients{}
	}
	s.keys, s.servers = make([]uint64, len(s.flights)), make(map[uint64]int, len(s.flights))
	for i, b := range s.pool.Backends {
		s.keys[i] = cookieKey(b.key(), s.pool.seed)
		s.servers[s.keys[i]] = i
	}
}

// ticket takes the next ticket, from 0 on.
func (s *State) ticket() uint64 { return s.takeTickets(1) }

// takeTickets takes the next n tickets, and returns the first.
func (s *State) takeTickets(n int) (first uint64) {
	return s.history.tickets.Add(uint64(n)) - uint64(n)
}

// begin counts a connection to a backend, unless it is full.
func (s *State) begin(backend uint16) bool {
	active := &s.flights[backend].active
	if s.limits == nil || s.limits[backend] == 0 {
		active.Add(1)
		return true
	}
	for {
		n := active.Load()
		if n >= s.limits[backend] {
			return false
		}
		if active.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// full reports whether a backend has all the connections it may have.
func (s *State) full(backend uint16) bool {
	return s.limits != nil && s.limits[backend] > 0 && s.flights[backend].active.Load() >= s.limits[backend]
}

// Done ends a connection that Pick, PickClient or PickSticky counted on backend i.
func (s *State) Done(i int) {
	f := s.flights[i]
	f.active.Add(-1)
	if least := &s.history.least; least.inUse.Load() {
		least.settle(f)
	}
}

// Active returns the connections in flight to backend i.
func (s *State) Active(i int) int64 { return s.flights[i].active.Load() }
