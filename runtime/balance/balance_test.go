package balance

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"slbctl/spec"
)

// group is a listener over servers A, B, C … of the given weights, without check.
func group(scheduler string, weights ...int) *Listener {
	l := &Listener{Address: `load_balancer.T.listener["tcp:80"]`, Pool: Pool{Scheduler: scheduler, seed: 7}}
	for i, w := range weights {
		name := string(rune('A' + i))
		if len(weights) > 26 {
			name = fmt.Sprintf("server%04d", i)
		}
		l.Backends = append(l.Backends, Backend{Name: name, Instance: name, Weight: w})
	}
	return l
}

func well(int) Health { return Normal }

// except is the health of a group whose named servers are abnormal.
func except(l *Listener, names string) func(int) Health {
	l.Check = Check{Enabled: true, Healthy: 3, Unhealthy: 3}
	return func(i int) Health {
		if strings.Contains(names, l.Backends[i].Name) {
			return Abnormal
		}
		return Normal
	}
}

// picks returns the names of the next n servers, of connections that end at once.
func picks(t *testing.T, table *Table, s *State, n int) string {
	t.Helper()
	var b strings.Builder
	for range n {
		i, ok := table.Pick(s, &Client{}, nil)
		if !ok {
			t.Fatalf("after %q: nothing to pick", b.String())
		}
		s.Done(i)
		b.WriteString(table.pool.Backends[i].Name)
	}
	return b.String()
}

func clientAt(i int) *Client {
	return &Client{
		Source:      netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(1024+i%50000)),
		Destination: netip.MustParseAddrPort("127.10.0.1:80"),
	}
}

func repeat(n, w int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = w
	}
	return out
}

func TestGoldenSequences(t *testing.T) {
	cases := []struct {
		scheduler string
		weights   []int
		want      string
	}{
		{spec.SchedulerWRR, []int{5, 1, 1}, "AABACAA" + "AABACAA"},
		{spec.SchedulerWRR, []int{4, 3, 2}, "ABCABACBA" + "ABC"},
		{spec.SchedulerWRR, []int{3, 3, 2}, "ABCABCAB"},
		{spec.SchedulerWRR, []int{100, 100}, "ABAB"},
		{spec.SchedulerWRR, []int{100, 50}, "ABAABA"},
		{spec.SchedulerWRR, []int{0, 2, 1}, "BCBBCB"},
		{"", []int{2, 1}, "ABAABA"}, // wrr is the language's default
		{spec.SchedulerRR, []int{5, 1, 100}, "ABCABC"},
		{spec.SchedulerRR, []int{5, 0, 100}, "ACAC"},
		{spec.SchedulerWLC, []int{1, 1, 1}, "ABCABC"},
		{spec.SchedulerWLC, []int{4, 2, 1}, "AABAABC" + "AABAABC"},
		{spec.SchedulerWLC, []int{0, 2, 2}, "BCBC"},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.scheduler, c.weights), func(t *testing.T) {
			l := group(c.scheduler, c.weights...)
			if got := picks(t, l.Table(well), NewState(&l.Pool, nil), len(c.want)); got != c.want {
				t.Errorf("picked %s, want %s", got, c.want)
			}
		})
	}
}

var schedulers = []string{spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerSCH, spec.SchedulerTCH,
	spec.SchedulerQCH, spec.SchedulerP2C, spec.SchedulerLeast}

func TestUsable(t *testing.T) {
	for _, scheduler := range schedulers {
		t.Run(scheduler, func(t *testing.T) {
			l := group(scheduler, 100, 100, 0, 50)
			health := except(l, "AD")
			if got := l.Table(health).Shares(); got[1] != 1 {
				t.Errorf("only B is usable, shares are %v", got)
			}
			l.Check.Enabled = false
			if got := len(l.Table(health).members); got != 3 {
				t.Errorf("without a check %d servers are usable, want 3", got)
			}
			health = except(l, "ABD")
			if _, ok := l.Table(health).Pick(NewState(&l.Pool, nil), clientAt(1), nil); ok {
				t.Error("picked a server although none is well")
			}
			l.ForwardWhenAllUnhealthy = true
			if got := l.Table(health).Shares(); got[2] != 0 || got[0]+got[1]+got[3] != 1 {
				t.Errorf("forward uses all of a weight above 0, shares are %v", got)
			}
			unknown := func(int) Health { return Unavailable }
			l.ForwardWhenAllUnhealthy = false
			if got := len(l.Table(unknown).members); got != 0 {
				t.Errorf("%d servers are usable before their first probe, want 0", got)
			}
		})
	}
}

// A retry goes to every other usable server once, whatever the scheduler, and then
// there is none left.
func TestRetriesVisitEveryServerOnce(t *testing.T) {
	for _, scheduler := range schedulers {
		t.Run(scheduler, func(t *testing.T) {
			l := group(scheduler, 100, 1, 0, 50, 7)
			table, s := l.Table(well), NewState(&l.Pool, nil)
			for c := range 50 {
				var tried Tried
				for range len(table.members) {
					i, ok := table.Pick(s, clientAt(c), tried)
					if !ok || tried.has(uint16(i)) || l.Backends[i].Weight == 0 {
						t.Fatalf("client %d: picked %d (%v) after %v", c, i, ok, tried)
					}
					s.Done(i)
					tried.Add(i)
				}
				if i, ok := table.Pick(s, clientAt(c), tried); ok {
					t.Fatalf("client %d: picked %d after all of %v", c, i, tried)
				}
			}
			for i := range l.Backends {
				if n := s.Active(i); n != 0 {
					t.Errorf("%d connections in flight to %s, want 0", n, l.Backends[i].Name)
				}
			}
		})
	}
}

// A server that was tried and is not usable any more must not cost the others
// their chance.
func TestRetryAfterAVerdict(t *testing.T) {
	for _, scheduler := range schedulers {
		l := group(scheduler, 1, 1)
		i, _ := l.Table(well).Pick(NewState(&l.Pool, nil), clientAt(1), nil)
		tried := Tried{i}
		table := l.Table(except(l, l.Backends[i].Name))
		if j, ok := table.Pick(NewState(&l.Pool, nil), clientAt(1), tried); !ok || j == i || len(tried) >= table.MaxTries() {
			t.Errorf("%s: picked %d (%v) after %v, at most %d tries", scheduler, j, ok, tried, table.MaxTries())
		}
	}
}

func TestRetryTakesTheNextTicket(t *testing.T) {
	l := group(spec.SchedulerRR, 1, 1, 1)
	table, s := l.Table(well), NewState(&l.Pool, nil)
	first, _ := table.Pick(s, &Client{}, nil)
	second, _ := table.Pick(s, &Client{}, Tried{first})
	if first != 0 || second != 1 {
		t.Fatalf("tried %d then %d, want 0 then 1", first, second)
	}
	if got := picks(t, table, s, 3); got != "CAB" {
		t.Errorf("after the retry %s, want CAB", got)
	}
}

func TestShares(t *testing.T) {
	cases := []struct {
		scheduler string
		weights   []int
		want      []float64
	}{
		{spec.SchedulerRR, []int{1, 3}, []float64{0.5, 0.5}},
		{spec.SchedulerWRR, []int{1, 3}, []float64{0.25, 0.75}},
		{spec.SchedulerWRR, []int{100, 0, 50}, []float64{2. / 3, 0, 1. / 3}},
		{spec.SchedulerWLC, []int{100, 0, 50}, []float64{2. / 3, 0, 1. / 3}},
		{spec.SchedulerRR, []int{0}, []float64{0}},
		{spec.SchedulerWLC, []int{0}, []float64{0}},
		{spec.SchedulerSCH, []int{0}, []float64{0}},
		{spec.SchedulerWRR, nil, []float64{}},
	}
	for _, c := range cases {
		l := group(c.scheduler, c.weights...)
		if got := l.Table(well).Shares(); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s %v: shares %v, want %v", c.scheduler, c.weights, got, c.want)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, scheduler := range schedulers {
		l := group(scheduler, repeat(16, 100)...)
		table, s, c := l.Table(well), NewState(&l.Pool, nil), clientAt(1)
		tried := Tried{3}
		picks(t, table, s, 1) // wlc builds its tree on the first
		if n := testing.AllocsPerRun(100, func() {
			i, _ := table.Pick(s, c, nil)
			s.Done(i)
			i, _ = table.Pick(s, c, tried)
			s.Done(i)
		}); n != 0 {
			t.Errorf("%s: %v allocations a pick, want 0", scheduler, n)
		}
	}
}
