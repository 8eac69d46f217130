package balance

import (
	"sync"
	"testing"

	"slbctl/spec"
)

func TestTicketSurvivesChanges(t *testing.T) {
	l := group(spec.SchedulerRR, 1, 1)
	s := NewState(&l.Pool, nil)
	if got := picks(t, l.Table(well), s, 3); got != "ABA" {
		t.Fatal(got)
	}
	// A verdict is a new table, a change a new state: both go on at ticket 3.
	if got := picks(t, l.Table(well), s, 1); got != "B" {
		t.Errorf("after a verdict %s, want B", got)
	}
	three := group(spec.SchedulerRR, 1, 1, 1)
	next := NewState(&three.Pool, s)
	if got := picks(t, three.Table(well), next, 3); got != "BCA" {
		t.Errorf("after a change %s, want BCA: ticket 4 of 3 servers is B", got)
	}
	if got := picks(t, l.Table(well), s, 1); got != "B" {
		t.Errorf("the old state took %s: it shares the ticket", got)
	}
}

func TestFlightsFollowNames(t *testing.T) {
	before := group(spec.SchedulerRR, 1, 1, 1)
	old := NewState(&before.Pool, nil)
	for range 4 {
		before.Table(well).Pick(old, &Client{}, nil)
	}
	after := group(spec.SchedulerRR, 1, 1, 1)
	after.Backends[0], after.Backends[2] = after.Backends[2], Backend{Name: "D", Weight: 1} // C B D
	s := NewState(&after.Pool, old)
	if c, b, d := s.Active(0), s.Active(1), s.Active(2); c != 1 || b != 1 || d != 0 {
		t.Errorf("in flight: C %d, B %d, D %d; want 1, 1, 0", c, b, d)
	}
	old.Done(1)
	if n := s.Active(1); n != 0 {
		t.Errorf("B has %d in flight after its connection ended under the old state, want 0", n)
	}
}

// However many loops take tickets, a sequence is shared: counts come out even.
func TestConcurrentPicksAreEven(t *testing.T) {
	l := group(spec.SchedulerWRR, 3, 2, 1, 1)
	table, s := l.Table(well), NewState(&l.Pool, nil)
	const loops, each = 8, 1001
	counts := make([][]int, loops)
	var wg sync.WaitGroup
	for k := range counts {
		counts[k] = make([]int, len(l.Backends))
		wg.Go(func() {
			for range each {
				i, _ := table.Pick(s, &Client{}, nil)
				counts[k][i]++
			}
		})
	}
	wg.Wait()
	for i, b := range l.Backends {
		sum := 0
		for _, c := range counts {
			sum += c[i]
		}
		// within one of the exact due, as after any prefix
		if off := sum*7 - loops*each*b.Weight; off >= 7 || off <= -7 {
			t.Errorf("%s was picked %d times of %d", b.Name, sum, loops*each)
		}
		if s.Active(i) != int64(sum) {
			t.Errorf("%s has %d in flight, want %d", b.Name, s.Active(i), sum)
		}
	}
}
