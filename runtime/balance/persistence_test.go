package balance

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"slbctl/spec"
)

const second = int64(time.Second)

// persistent is a group that remembers clients for ten seconds.
func persistent(scheduler string, weights ...int) *Listener {
	l := group(scheduler, weights...)
	l.PersistenceTimeout = 10 * time.Second
	return l
}

// pickFor is one connection of a client, that ends at once.
func pickFor(t *testing.T, table *Table, s *State, c *Client, tried Tried, now int64) string {
	t.Helper()
	i, ok := table.PickClient(s, c, tried, now)
	if !ok {
		t.Fatalf("nothing to pick at %d s", now/second)
	}
	s.Done(i)
	return table.pool.Backends[i].Name
}

func TestPersistence(t *testing.T) {
	l := persistent(spec.SchedulerRR, 1, 1, 1)
	table, s := l.Table(well), NewState(&l.Pool, nil)
	one, two := clientAt(1), clientAt(2)
	one.Source = netip.AddrPortFrom(one.Source.Addr(), 1111)
	mapped := &Client{Source: netip.AddrPortFrom(netip.AddrFrom16(one.Source.Addr().As16()), 2222)}
	for _, step := range []struct {
		client *Client
		now    int64
		want   string
	}{
		{one, 0, "A"}, {two, 0, "B"}, {one, 1, "A"}, {mapped, 1, "A"}, {two, 2, "B"},
		{one, 10, "A"}, // nine seconds after its last
		{one, 19, "A"}, // again nine
		{two, 12, "C"}, // ten: forgotten
		{one, 29, "A"}, // and forgotten, the next in turn
	} {
		if got := pickFor(t, table, s, step.client, nil, step.now*second); got != step.want {
			t.Errorf("%v at %d s: %s, want %s", step.client.Source, step.now, got, step.want)
		}
	}
	if i, ok := s.Persisted(two.Source.Addr(), 13*second); !ok || i != 2 {
		t.Errorf("two is remembered on %d (%v), want C", i, ok)
	}
	if _, ok := s.Persisted(addr("10.9.9.9"), 0); ok {
		t.Error("a stranger is remembered")
	}
	if n := s.Active(0) + s.Active(1) + s.Active(2); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
}

func TestPersistenceLetsGo(t *testing.T) {
	l := persistent(spec.SchedulerRR, 1, 1, 1)
	l.Backends[2].MaxConnections = 1
	s, c := NewState(&l.Pool, nil), clientAt(1)
	if got := pickFor(t, l.Table(well), s, c, nil, 0); got != "A" {
		t.Fatal(got)
	}
	if got := pickFor(t, l.Table(except(l, "A")), s, c, nil, 0); got != "C" { // ticket 1 of B, C
		t.Fatalf("with A sick %s, want C", got)
	}
	if got := pickFor(t, l.Table(well), s, c, nil, 0); got != "C" {
		t.Errorf("with A back %s: the client has moved to C", got)
	}
	if got := pickFor(t, l.Table(well), s, c, Tried{2}, 0); got != "A" { // ticket 2 is C, tried
		t.Errorf("after C failed %s, want A", got)
	}
	s.Persist(c.Source.Addr(), 2, 0)
	s.flights[2].active.Store(1)
	if got := pickFor(t, l.Table(well), s, c, nil, 0); got != "A" {
		t.Errorf("with C full %s, want A", got)
	}
	s.Persist(c.Source.Addr(), 1, 0)
	l.Backends[1].Weight = 0
	if got := pickFor(t, l.Table(well), s, c, nil, 0); got != "B" {
		t.Errorf("of weight 0 and well, B keeps its clients; it was %s", got)
	}
}

func TestPersistenceOutlastsChanges(t *testing.T) {
	l := persistent(spec.SchedulerRR, 1, 1, 1)
	s := NewState(&l.Pool, nil)
	one, two, three := clientAt(1), clientAt(2), clientAt(3)
	for _, c := range []*Client{one, two, three} {
		pickFor(t, l.Table(well), s, c, nil, 0)
	}
	next := persistent(spec.SchedulerRR, 1, 1)
	next.Backends[0], next.Backends[1] = Backend{Name: "C", Weight: 1}, Backend{Name: "B", Weight: 1}
	off := group(spec.SchedulerRR, 1, 1)
	off.Backends = next.Backends
	state := NewState(&next.Pool, NewState(&off.Pool, s)) // switched off and on again
	table := next.Table(well)
	if got := pickFor(t, table, state, three, nil, second) + pickFor(t, table, state, two, nil, second); got != "CB" {
		t.Errorf("the clients of C and B went to %s", got)
	}
	if _, ok := state.Persisted(one.Source.Addr(), second); ok {
		t.Error("A left, yet its client is remembered there")
	}
	if got := pickFor(t, off.Table(well), NewState(&off.Pool, s), one, nil, 0); got != "B" { // ticket 3 of C, B
		t.Errorf("without persistence %s, want B", got)
	}
}

func TestPersistenceIsBounded(t *testing.T) {
	c := &clients{}
	const timeout = 10 * second
	kept, shard := 0, &c.shards[0]
	for k, n := uint64(1), 0; n < 3*maximumBuckets*bucketClients; k++ {
		if at, _ := c.at(7, k, k); at == shard {
			c.remember(7, remembered{hi: k, lo: k, server: k, expires: int64(n) + timeout}, int64(n))
			if n++; n == maximumBuckets*bucketClients/4 {
				for back := uint64(1); back <= k; back++ {
					if server, ok := c.find(7, back, back, int64(n)); ok && server == back {
						kept++
					}
				}
				if kept < n*999/1000 {
					t.Errorf("a quarter full, %d of %d are remembered", kept, n)
				}
			}
		}
	}
	if n := len(shard.buckets); n != maximumBuckets {
		t.Errorf("a shard has %d buckets, want %d", n, maximumBuckets)
	}
	// Once all have expired their places are taken before the table grows.
	small := &clients{}
	for k := uint64(1); k < 100_000; k++ {
		small.remember(7, remembered{hi: k, server: k, expires: int64(k) + 64}, int64(k))
	}
	for i := range small.shards {
		if n := len(small.shards[i].buckets); n != firstBuckets {
			t.Errorf("64 clients at a time need %d buckets in a shard", n)
		}
	}
}

func TestPersistenceConcurrently(t *testing.T) {
	l := persistent(spec.SchedulerWRR, 3, 2, 1)
	table, s := l.Table(well), NewState(&l.Pool, nil)
	var loops sync.WaitGroup
	for range 8 {
		loops.Go(func() {
			for k := range 5000 {
				if i, ok := table.PickClient(s, clientAt(k%1500), nil, int64(k)); ok {
					s.Done(i)
				}
			}
		})
	}
	loops.Wait()
	for k := range 1500 {
		if _, ok := s.Persisted(clientAt(k).Source.Addr(), 5000); !ok {
			t.Errorf("client %d is forgotten", k)
		}
	}
}

func TestPickClientAllocatesNothing(t *testing.T) {
	l := persistent(spec.SchedulerWLC, 3, 2, 1)
	table, s := l.Table(well), NewState(&l.Pool, nil)
	now, c := int64(0), clientAt(1)
	pickFor(t, table, s, c, nil, now)
	if n := testing.AllocsPerRun(100, func() {
		i, _ := table.PickClient(s, c, nil, now)
		s.Done(i)
		now += 6 * second // remembered every second time
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
