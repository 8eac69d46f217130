//go:build linux

package proxy

import (
	"hash/maphash"
	"slices"
	"sync"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// The sizes of connectionIDs.
const (
	idShards   = 16
	idsInShard = 8192 // of each age: 262,144 ids and about 10 MiB in all
)

// connectionIDs remembers which server a QUIC connection id belongs to. A client's
// first packets carry an id of its own choice, whose hash chooses the server; the
// server then chooses another for itself and says so in its first answer (RFC 9000
// section 7.2). Both are learned here, for all loops, so that a client whose address
// changes keeps its server. Those that a server hands out later are encrypted; they
// are learned when the client uses them from an address that has a session.
type connectionIDs struct {
	seed   maphash.Seed
	shards [idShards]idShard
}

// idShard is what was used last and, of what was used before that, as much again.
type idShard struct {
	mu         sync.Mutex
	young, old map[uint64]*tally
}

// hash names an id; 0 is none. Its seed is secret, so nobody can make two ids alike.
func (c *connectionIDs) hash(id []byte) uint64 { return maphash.Bytes(c.seed, id) | 1 }

// owner returns the server of an id, or nil.
func (c *connectionIDs) owner(id uint64) *tally {
	s := &c.shards[id>>1%idShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.young[id]
	if t == nil {
		if t = s.old[id]; t != nil {
			s.put(id, t)
		}
	}
	return t
}

// learn notes the server of an id.
func (c *connectionIDs) learn(id uint64, t *tally) {
	s := &c.shards[id>>1%idShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(id, t)
}

func (s *idShard) put(id uint64, t *tally) {
	if s.young == nil || len(s.young) >= idsInShard {
		s.old, s.young = s.young, make(map[uint64]*tally)
	}
	s.young[id] = t
}

// routeQUIC finds the session for a datagram under qch, or begins one: a client has
// one with each server that its connections lead to. The server is the one to whom
// the connection id belongs. An unknown id of a client that has a session is a new
// one of that server, unless it begins a connection: then its hash chooses. newest is
// the client's session or nil.
func (r *receiver) routeQUIC(h *Handler, newest *session, from client, p []byte) *session {
	id, ok := balance.QUICConnectionID(p, h.listener.QUICIDLength)
	if !ok {
		if newest != nil {
			return newest
		}
		return r.begin(h, from)
	}
	ids := &r.socket.ids
	name := ids.hash(id)
	switch {
	case newest == nil:
	case newest.backend == nil:
		newest.id = name
		return newest
	case newest.id == name:
		return newest
	}
	owner := ids.owner(name)
	if owner == nil && newest != nil && !longHeader(p) {
		owner = newest.backend
		ids.learn(name, owner)
	}
	s := newest.with(owner)
	if s == nil {
		s = r.beginQUIC(h, newest, from, owner, id)
	}
	if s != nil {
		s.id = name
	}
	return s
}

// beginQUIC picks a server for a connection id, first of all the one that it belongs
// to, and returns the client's session with it.
func (r *receiver) beginQUIC(h *Handler, newest *session, from client, owner *tally, id []byte) *session {
	ends := r.ends(from, id)
	i, ok := h.pickQUIC(owner, &ends, r.loop.Now())
	if !ok {
		return r.begin(h, from) // it will be refused
	}
	if s := newest.with(h.pools[0].servers[i].tally); s != nil {
		h.pools[0].state.Done(i)
		r.socket.ids.learn(r.socket.ids.hash(id), s.backend)
		return s
	}
	s := r.begin(h, from)
	if s == nil {
		h.pools[0].state.Done(i)
		return nil
	}
	s.id = r.socket.ids.hash(id)
	s.take(h.pools[0], i, r.index)
	if done, connected := s.dial(); done && !connected {
		s.close()
		return nil
	}
	return s
}

// with is the session of a client with a server, or nil.
func (s *session) with(server *tally) *session {
	for s != nil && (server == nil || s.backend != server) {
		s = s.older
	}
	return s
}

// pickQUIC picks the owner of a connection id while that serves its sessions, and
// otherwise whom the id's hash chooses.
func (h *Handler) pickQUIC(owner *tally, c *balance.Client, now int64) (i int, ok bool) {
	table := h.pools[0].table.Load()
	if table == nil {
		return 0, false
	}
	if i = slices.IndexFunc(h.pools[0].servers, func(s server) bool { return s.tally == owner }); table.PickSticky(h.pools[0].state, i) {
		return i, true
	}
	return table.PickClient(h.pools[0].state, c, nil, now)
}

// learn notes the ids that the server has chosen in the n answers received last.
func (s *session) learn(n int) {
	if s.handler.listener.Scheduler != spec.SchedulerQCH {
		return
	}
	for i := range n {
		if id, ok := sourceConnectionID(s.receiver.batch.Datagram(i)); ok {
			ids := &s.receiver.socket.ids
			ids.learn(ids.hash(id), s.backend)
		}
	}
}

// quicID is the connection id that chooses the server for a datagram.
func quicID(h *Handler, p []byte) []byte {
	if h.listener.Scheduler != spec.SchedulerQCH {
		return nil
	}
	id, _ := balance.QUICConnectionID(p, h.listener.QUICIDLength)
	return id
}

// longHeader reports whether a QUIC packet is one of those that begin a connection.
func longHeader(p []byte) bool { return p[0]&0x80 != 0 }

// sourceConnectionID is the id that the sender of a packet with a long header has
// chosen for itself (RFC 8999 section 5.1); not ok without one.
func sourceConnectionID(p []byte) (id []byte, ok bool) {
	const lengths = 5 // the first byte and the version come before
	if len(p) <= lengths || !longHeader(p) {
		return nil, false
	}
	p = p[lengths:]
	for range 2 { // the destination's id, then the source's
		if len(p) == 0 || len(p) <= int(p[0]) {
			return nil, false
		}
		id, p = p[1:1+int(p[0])], p[1+int(p[0]):]
	}
	return id, len(id) > 0
}
