package balance

import (
	"sync"
	"testing"

	"pgregory.net/rapid"

	"slbctl/spec"
)

// naive is wlc as one would write it down: scan all, keep the best.
func naive(l *Listener, usable []int, active, turns []int64, tried Tried) int {
	best := -1
	for _, i := range usable {
		if full := l.Backends[i].MaxConnections; tried.has(uint16(i)) || full > 0 && active[i] >= int64(full) {
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		wi, wb := int64(l.Backends[i].Weight), int64(l.Backends[best].Weight)
		loadI, loadB := active[i]*wb, active[best]*wi
		turnI, turnB := (turns[i]+1)*wb, (turns[best]+1)*wi
		if loadI < loadB || loadI == loadB && (turnI < turnB || turnI == turnB && l.Backends[i].Name < l.Backends[best].Name) {
			best = i
		}
	}
	return best
}

func TestLeastAgreesWithTheNaiveScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := group(spec.SchedulerWLC, drawWeights(t)...)
		n := len(l.Backends)
		for i := range l.Backends {
			l.Backends[i].MaxConnections = rapid.IntRange(0, 3).Draw(t, "limit")
		}
		active, turns := make([]int64, n), make([]int64, n)
		var open []int
		sick := make([]bool, n)
		l.Check.Enabled = true
		health := func(i int) Health {
			if sick[i] {
				return Abnormal
			}
			return Normal
		}
		table, s := l.Table(health), NewState(&l.Pool, nil)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"pick", "pick", "pick", "retry", "done", "done", "verdict"}).Draw(t, "step") {
			case "verdict":
				i := rapid.IntRange(0, n-1).Draw(t, "server")
				sick[i] = !sick[i]
				table, turns = l.Table(health), make([]int64, n)
			case "done":
				if len(open) > 0 {
					k := rapid.IntRange(0, len(open)-1).Draw(t, "connection")
					s.Done(open[k])
					active[open[k]]--
					open = append(open[:k], open[k+1:]...)
				}
			case "retry", "pick":
				var tried Tried
				if rapid.Bool().Draw(t, "retry") {
					tried = rapid.SliceOfN(rapid.IntRange(0, n-1), 1, 3).Draw(t, "tried")
				}
				want := naive(l, l.Usable(health), active, turns, tried)
				got, ok := table.Pick(s, &Client{}, tried)
				if ok != (want >= 0) || ok && got != want {
					t.Fatalf("picked %d (%v), the scan %d; active %v turns %v tried %v", got, ok, want, active, turns, tried)
				}
				if ok {
					active[got]++
					turns[got]++
					open = append(open, got)
				}
			}
		}
		for i, want := range active {
			if got := s.Active(i); got != want {
				t.Fatalf("server %d has %d in flight, want %d", i, got, want)
			}
		}
	})
}

// An idle server that comes back gets its turn like the others, not every
// connection until it caught up with what they served meanwhile.
func TestLeastDoesNotCatchUp(t *testing.T) {
	l := group(spec.SchedulerWLC, 1, 1)
	health := except(l, "B")
	s := NewState(&l.Pool, nil)
	if got := picks(t, l.Table(health), s, 4); got != "AAAA" {
		t.Fatalf("with B abnormal %s", got)
	}
	if got := picks(t, l.Table(well), s, 4); got != "ABAB" {
		t.Errorf("with B back %s, want ABAB", got)
	}
}

// A server without connections does get all of them until it has as many for its
// weight as the others: that is wlc.
func TestLeastFillsAnEmptyServer(t *testing.T) {
	l := group(spec.SchedulerWLC, 1, 1)
	health := except(l, "B")
	s := NewState(&l.Pool, nil)
	table := l.Table(health)
	for range 5 {
		table.Pick(s, &Client{}, nil)
	}
	table = l.Table(well)
	for range 5 {
		if i, _ := table.Pick(s, &Client{}, nil); i != 1 {
			t.Fatalf("picked A with %d in flight to A and %d to B", s.Active(0), s.Active(1))
		}
	}
}

// Connections that began before a change end after it, on whatever State they
// began with; the tree must not lose count.
func TestLeastCountsAcrossChanges(t *testing.T) {
	before := group(spec.SchedulerRR, 1, 1, 1)
	old := NewState(&before.Pool, nil)
	for range 9 {
		before.Table(well).Pick(old, &Client{}, nil)
	}
	after := group(spec.SchedulerWLC, 1, 1) // C is gone
	s := NewState(&after.Pool, old)
	table := after.Table(well)
	if i, _ := table.Pick(s, &Client{}, nil); i != 0 {
		t.Fatalf("picked %d of two equals, want A", i)
	}
	for range 3 {
		old.Done(0)
	}
	old.Done(2)
	if i, _ := table.Pick(s, &Client{}, nil); i != 0 {
		t.Errorf("picked B with 1 connection on A and 3 on B")
	}
	if a, b, c := s.Active(0), s.Active(1), old.Active(2); a != 2 || b != 3 || c != 2 {
		t.Errorf("in flight: %d, %d, and %d to the one that left; want 2, 3, 2", a, b, c)
	}
}

func TestLeastConcurrently(t *testing.T) {
	l := group(spec.SchedulerWLC, 10, 20, 30, 40)
	s := NewState(&l.Pool, nil)
	table := l.Table(well)
	var loops sync.WaitGroup
	for range 8 {
		loops.Go(func() {
			var open []int
			for k := range 2000 {
				if i, ok := table.Pick(s, &Client{}, nil); ok {
					open = append(open, i)
				}
				if k%3 == 0 {
					s.Done(open[0])
					open = open[1:]
				}
			}
			for _, i := range open {
				s.Done(i)
			}
		})
	}
	loops.Wait()
	for i := range l.Backends {
		if n := s.Active(i); n != 0 {
			t.Errorf("%d connections in flight to %s, want 0", n, l.Backends[i].Name)
		}
	}
	// With nothing in flight and a fresh tree the sequence is the golden one again.
	if got := picks(t, l.Table(well), s, 10); got != "DCDBCDADCBDCDBCDADCB"[:10] {
		t.Logf("idle sequence %s", got)
	}
}
