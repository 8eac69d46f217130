package balance

import (
	"net/netip"
	"sync"
)

// The table of remembered clients: shards with a mutex each, made of buckets in
// which a client may stand. A shard doubles its buckets while it may, and then
// forgets who would be forgotten first.
const (
	clientShards   = 64 // a power of 2
	bucketClients  = 8
	firstBuckets   = 8    // of a shard; a power of 2
	maximumBuckets = 2048 // of a shard: 1,048,576 clients and 32 MiB in all
)

// clients remembers which server the address of a client was sent to last. Servers
// are known by cookieKey, which outlasts changes.
type clients struct {
	shards [clientShards]clientShard
}

type clientShard struct {
	mu      sync.Mutex
	buckets [][bucketClients]remembered
	_       [128 - 32]byte // no two mutexes on one cache line
}

type remembered struct {
	hi, lo  uint64 // the address, as words has it
	server  uint64
	expires int64 // ns; an empty place has expired
}

// Persisted returns the backend that a client's connections went to, if its last
// was within PersistenceTimeout and the pool still has that server. now is in
// nanoseconds, monotonic and not negative.
func (s *State) Persisted(src netip.Addr, now int64) (i int, ok bool) {
	if s.pool.PersistenceTimeout <= 0 {
		return 0, false
	}
	hi, lo := words(src)
	server, ok := s.clients.find(s.pool.seed, hi, lo, now)
	if !ok {
		return 0, false
	}
	i, ok = s.servers[server]
	return i, ok
}

// Persist remembers that a client's connection went to backend i just now.
func (s *State) Persist(src netip.Addr, i int, now int64) {
	if s.pool.PersistenceTimeout <= 0 {
		return
	}
	hi, lo := words(src)
	s.clients.remember(s.pool.seed, remembered{hi: hi, lo: lo, server: s.keys[i], expires: now + int64(s.pool.PersistenceTimeout)}, now)
}

// PickClient is Pick for a pool that may remember its clients: whoever it knows
// goes where it went, without a ticket, while that server serves its sessions and
// was not tried; whoever is sent elsewhere is remembered there. Without a
// PersistenceTimeout it is Pick.
func (t *Table) PickClient(s *State, c *Client, tried Tried, now int64) (i int, ok bool) {
	if t.pool.PersistenceTimeout <= 0 {
		return t.Pick(s, c, tried)
	}
	src := c.Source.Addr()
	i, ok = s.Persisted(src, now)
	if !ok || tried.has(uint16(i)) || !t.PickSticky(s, i) {
		if i, ok = t.Pick(s, c, tried); !ok {
			return 0, false
		}
	}
	s.Persist(src, i, now)
	return i, true
}

// at returns the shard of an address and the hash that places it there.
func (c *clients) at(seed, hi, lo uint64) (*clientShard, uint64) {
	h := addressHash(seed, hi, lo)
	return &c.shards[h%clientShards], h / clientShards
}

func (c *clients) find(seed, hi, lo uint64, now int64) (server uint64, ok bool) {
	shard, h := c.at(seed, hi, lo)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if len(shard.buckets) == 0 {
		return 0, false
	}
	bucket := shard.bucket(h)
	for i := range bucket {
		if r := &bucket[i]; r.hi == hi && r.lo == lo {
			return r.server, r.expires > now
		}
	}
	return 0, false
}

func (c *clients) remember(seed uint64, r remembered, now int64) {
	shard, h := c.at(seed, r.hi, r.lo)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if len(shard.buckets) == 0 {
		shard.buckets = make([][bucketClients]remembered, firstBuckets)
	}
	place := shard.place(h, &r)
	for place.expires > now && !place.same(&r) && len(shard.buckets) < maximumBuckets {
		shard.grow(seed, now)
		place = shard.place(h, &r)
	}
	*place = r
}

func (r *remembered) same(o *remembered) bool { return r.hi == o.hi && r.lo == o.lo }

func (s *clientShard) bucket(h uint64) *[bucketClients]remembered {
	return &s.buckets[h%uint64(len(s.buckets))]
}

// place returns where a client stands, or else the place in its bucket that is or
// becomes free first.
func (s *clientShard) place(h uint64, r *remembered) *remembered {
	bucket := s.bucket(h)
	best := &bucket[0]
	for i := range bucket {
		p := &bucket[i]
		if p.same(r) {
			return p
		}
		if p.expires < best.expires {
			best = p
		}
	}
	return best
}

// grow doubles the buckets; each shares its clients with one new one, so they fit.
func (s *clientShard) grow(seed uint64, now int64) {
	old := s.buckets
	s.buckets = make([][bucketClients]remembered, 2*len(old))
	for i := range old {
		for _, r := range old[i] {
			if r.expires > now {
				*s.place(addressHash(seed, r.hi, r.lo)/clientShards, &r) = r
			}
		}
	}
}
