package balance

import (
	"regexp"
	"strings"
	"testing"

	"slbctl/spec"
)

// sticky is a group that is ready for cookies.
func sticky(t *testing.T, scheduler string, weights ...int) *Listener {
	t.Helper()
	l := group(scheduler, weights...)
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCookiesNameBackends(t *testing.T) {
	l := sticky(t, spec.SchedulerWRR, 1, 1, 1)
	seen := map[string]bool{}
	for i := range l.Backends {
		v := l.CookieValue(i)
		if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(v) || seen[v] {
			t.Errorf("backend %d is %q", i, v)
		}
		seen[v] = true
		if got, ok := l.CookieBackend([]byte(v)); !ok || got != i {
			t.Errorf("%q names %d (%v), want %d", v, got, ok, i)
		}
	}
	v := l.CookieValue(0)
	for _, bad := range []string{"", "0", "ABCDEF0123456789", "zzzzzzzzzzzzzzzz", v[:15], v + "0", strings.ToUpper(v), "0000000000000000"} {
		if i, ok := l.CookieBackend([]byte(bad)); ok {
			t.Errorf("%q names %d", bad, i)
		}
	}
	value := []byte(v)
	if n := testing.AllocsPerRun(100, func() { l.CookieBackend(value) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// The value depends on the server's name and the seed, not on its place or on the
// rest of the pool.
func TestCookiesOutlastChanges(t *testing.T) {
	l := sticky(t, spec.SchedulerWRR, 1, 1)
	a, b := l.CookieValue(0), l.CookieValue(1)
	l.Backends = []Backend{{Name: "Z"}, l.Backends[1], {Name: "Y"}}
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	if got := l.CookieValue(1); got != b {
		t.Errorf("B was %s and is %s", b, got)
	}
	if i, ok := l.CookieBackend([]byte(a)); ok {
		t.Errorf("A left, yet its cookie names %d", i)
	}
	l.seed++
	if err := l.Prepare(); err != nil || l.CookieValue(1) == b {
		t.Errorf("the value does not depend on the seed (%v)", err)
	}
}

func TestSplitServerCookie(t *testing.T) {
	for _, c := range []struct{ value, id, own string }{
		{"0123456789abcdef|JS|1", "0123456789abcdef", "JS|1"},
		{"0123456789abcdef|", "0123456789abcdef", ""},
		{"0123456789abcdef", "", "0123456789abcdef"},
		{"short|x", "", "short|x"},
		{"", "", ""},
	} {
		if id, own := SplitServerCookie([]byte(c.value)); string(id) != c.id || string(own) != c.own {
			t.Errorf("%q is %q and %q, want %q and %q", c.value, id, own, c.id, c.own)
		}
	}
}

func TestPickSticky(t *testing.T) {
	for _, scheduler := range schedulers {
		t.Run(scheduler, func(t *testing.T) {
			l := sticky(t, scheduler, 1, 0, 1, 0, 1)
			l.Backends[4].MaxConnections = 1
			health := except(l, "CD")
			table, s := l.Table(health), NewState(&l.Pool, nil)
			for i, want := range []bool{true, true, false, false, true} {
				if ok := table.PickSticky(s, i); ok != want {
					t.Errorf("%s serves its sessions: %v, want %v", l.Backends[i].Name, ok, want)
				}
				if n := s.Active(i); (n == 1) != want {
					t.Errorf("%s has %d in flight", l.Backends[i].Name, n)
				}
			}
			if table.PickSticky(s, 4) {
				t.Error("E is full and took one more")
			}
			if table.PickSticky(s, -1) || table.PickSticky(s, 5) {
				t.Error("there is no such backend")
			}
			s.Done(4)
			if !table.PickSticky(s, 4) {
				t.Error("E is not full any more")
			}
			if n := testing.AllocsPerRun(100, func() { table.PickSticky(s, 0); s.Done(0) }); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
		})
	}
}

// When its drain is over, a server of weight 0 has no sessions any more; of others warmth
// is no more than a part of their weight.
func TestSessionsEndWithTheDrain(t *testing.T) {
	l := sticky(t, spec.SchedulerWRR, 1, 0, 1)
	table, s := l.TableWarm(well, func(int) int { return 0 }), NewState(&l.Pool, nil)
	for i, want := range []bool{true, false, true} {
		if ok := table.PickSticky(s, i); ok != want {
			t.Errorf("%s serves its sessions: %v, want %v", l.Backends[i].Name, ok, want)
		}
	}
}

func TestStickyTakesNoTicket(t *testing.T) {
	l := sticky(t, spec.SchedulerRR, 1, 1, 1)
	table, s := l.Table(well), NewState(&l.Pool, nil)
	picks(t, table, s, 1)
	table.PickSticky(s, 2)
	if got := picks(t, table, s, 2); got != "BC" {
		t.Errorf("after a sticky hit %s, want BC", got)
	}
}

// wlc counts sticky connections like its own.
func TestLeastSeesStickyConnections(t *testing.T) {
	l := sticky(t, spec.SchedulerWLC, 1, 1)
	table, s := l.Table(well), NewState(&l.Pool, nil)
	picks(t, table, s, 2) // makes the tree; A would be next
	for range 3 {
		table.PickSticky(s, 0)
	}
	for range 3 {
		if i, _ := table.Pick(s, &Client{}, nil); i != 1 {
			t.Fatalf("picked A with %d in flight, B has %d", s.Active(0), s.Active(1))
		}
	}
}
