package balance

import (
	"testing"

	"slbctl/spec"
)

// TestMemory: the State of another process, whose clock is another, goes on where one
// stands: with the next ticket, and with the clients for as long as they have left.
func TestMemory(t *testing.T) {
	l := persistent(spec.SchedulerRR, 1, 1, 1)
	first, table := NewState(&l.Pool, nil), l.Table(well)
	for k := range 1000 { // ticket k, at 0 s for the even ones, at 5 s for the odd ones
		pickFor(t, table, first, clientAt(k), nil, int64(k%2)*5*second)
	}
	next := NewState(&l.Pool, nil)
	next.Recall(first.Memory(8*second), 100*second)
	if i, ok := table.Pick(next, clientAt(0), nil); !ok || i != 1000%3 {
		t.Errorf("the next ticket is server %d's, want %d", i, 1000%3)
	}
	for k := range 1000 {
		i, ok := next.Persisted(clientAt(k).Source.Addr(), 101*second)
		if !ok || i != k%3 {
			t.Fatalf("client %d is remembered on %d (%v), want %d", k, i, ok, k%3)
		}
		if _, ok := next.Persisted(clientAt(k).Source.Addr(), 103*second); ok != (k%2 == 1) {
			t.Fatalf("client %d is remembered at the age of %d s: %v", k, 11-k%2*5, ok)
		}
	}
	if m := first.Memory(16 * second); len(m.Clients) != 0 {
		t.Errorf("%d bytes of clients who are forgotten", len(m.Clients))
	}
	off := group(spec.SchedulerRR, 1, 1, 1)
	NewState(&off.Pool, nil).Recall(first.Memory(0), 0) // who remembers no clients leaves them out
}
