package balance

import (
	"fmt"
	"sync"
	"testing"

	"slbctl/spec"
)

func TestFullServersArePassedOver(t *testing.T) {
	for _, scheduler := range schedulers {
		t.Run(scheduler, func(t *testing.T) {
			l := group(scheduler, 100, 1, 50)
			for i, n := range []int{2, 1, 3} {
				l.Backends[i].MaxConnections = n
			}
			table, s := l.Table(well), NewState(&l.Pool, nil)
			for k := range 6 {
				if i, ok := table.Pick(s, clientAt(k), nil); !ok || s.Active(i) > int64(l.Backends[i].MaxConnections) {
					t.Fatalf("pick %d: %d (%v) with %d in flight", k, i, ok, s.Active(i))
				}
			}
			if i, ok := table.Pick(s, clientAt(6), nil); ok {
				t.Fatalf("picked %d although all are full", i)
			}
			s.Done(1)
			if i, ok := table.Pick(s, clientAt(7), Tried{0, 2}); !ok || i != 1 {
				t.Errorf("picked %d (%v), want B, who has room again", i, ok)
			}
			s.Done(1)
			if _, ok := table.Pick(s, clientAt(8), Tried{1}); ok {
				t.Error("picked somebody although B was tried and the others are full")
			}
			nine := clientAt(9)
			if n := testing.AllocsPerRun(100, func() { table.Pick(s, nine, Tried{1}) }); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
		})
	}
}

// A limit that a change sets or lifts counts the connections that are there.
func TestLimitsChange(t *testing.T) {
	before := group(spec.SchedulerRR, 1)
	old := NewState(&before.Pool, nil)
	picks := func(l *Listener, s *State) (n int) {
		for range 3 {
			if _, ok := l.Table(well).Pick(s, &Client{}, nil); ok {
				n++
			}
		}
		return n
	}
	if n := picks(before, old); n != 3 {
		t.Fatalf("%d without a limit, want 3", n)
	}
	after := group(spec.SchedulerRR, 1)
	after.Backends[0].MaxConnections = 4
	s := NewState(&after.Pool, old)
	if n := picks(after, s); n != 1 {
		t.Errorf("%d with 3 of 4 in flight, want 1", n)
	}
	if n := picks(before, NewState(&before.Pool, s)); n != 3 {
		t.Errorf("%d with the limit lifted, want 3", n)
	}
}

func TestLimitsHoldConcurrently(t *testing.T) {
	for _, scheduler := range schedulers {
		l := sticky(t, scheduler, 3, 2, 1)
		for i := range l.Backends {
			l.Backends[i].MaxConnections = 2
		}
		table, s := l.Table(well), NewState(&l.Pool, nil)
		var loops sync.WaitGroup
		for k := range 8 {
			loops.Go(func() {
				for n := range 1000 {
					i, ok := table.Pick(s, clientAt(n), nil)
					if k == 0 {
						i, ok = 1, ok && func() bool { s.Done(i); return table.PickSticky(s, 1) }()
					}
					if !ok {
						continue
					}
					if open := s.Active(i); open > 2 {
						t.Errorf("%s: %d in flight to %d", scheduler, open, i)
					}
					s.Done(i)
				}
			})
		}
		loops.Wait()
		if got := fmt.Sprint(s.Active(0), s.Active(1), s.Active(2)); got != "0 0 0" {
			t.Errorf("%s: in flight at the end: %s", scheduler, got)
		}
	}
}

// pair is an active/standby group with the standby first in the file.
func pair() *Listener {
	l := group(spec.SchedulerWRR, 100, 100)
	l.ActiveStandby, l.Backends[0].Standby = true, true
	return l
}

func TestActiveStandby(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Listener)
		health Health
		want   string
	}{
		{"active well", func(*Listener) {}, Normal, "[1]"},
		{"active sick", func(*Listener) {}, Abnormal, "[0]"},
		{"active unknown", func(*Listener) {}, Unavailable, "[0]"},
		{"no checks", func(l *Listener) { l.Check.Enabled = false }, Abnormal, "[1]"},
		{"active of weight 0", func(l *Listener) { l.Backends[1].Weight = 0 }, Normal, "[0]"},
		{"standby of weight 0", func(l *Listener) { l.Backends[0].Weight = 0 }, Abnormal, "[]"},
		{"forward", func(l *Listener) { l.Backends[0].Weight, l.ForwardWhenAllUnhealthy = 0, true }, Abnormal, "[1]"},
	} {
		l := pair()
		l.Check.Enabled = true
		c.change(l)
		asked := func(i int) Health {
			if i == 0 {
				t.Errorf("%s: asked for the health of the standby, which nobody probes", c.name)
			}
			return c.health
		}
		if got := fmt.Sprint(l.Usable(asked)); got != c.want {
			t.Errorf("%s: %s is usable, want %s", c.name, got, c.want)
		}
		l.Table(asked)
	}
}

func TestStandbyLosesItsSessions(t *testing.T) {
	l := pair()
	s, table := NewState(&l.Pool, nil), l.Table(except(l, "B"))
	if i, ok := table.Pick(s, &Client{}, nil); !ok || i != 0 || !table.PickSticky(s, 0) {
		t.Errorf("picked %d (%v) while the active one is sick", i, ok)
	}
	if table = l.Table(well); table.PickSticky(s, 0) {
		t.Error("the standby serves its sessions although the active one is back")
	}
	l.Backends[1].Weight = 0
	if table = l.Table(well); !table.PickSticky(s, 1) {
		t.Error("of weight 0 and well, the active one keeps its sessions")
	}
	l.Backends[0].Weight, l.Backends[1].Weight = 0, 100
	if table = l.Table(well); table.PickSticky(s, 0) {
		t.Error("a standby of weight 0 serves sessions")
	}
	if !l.Probed(1) || l.Probed(0) {
		t.Error("the active server is probed, the standby is not")
	}
	l.ActiveStandby = false
	if !l.Probed(0) {
		t.Error("in an ordinary group everybody is probed")
	}
}
