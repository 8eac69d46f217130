package balance

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/spec"
)

var everyScheduler = []string{
	spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerSCH,
	spec.SchedulerTCH, spec.SchedulerQCH, spec.SchedulerP2C, spec.SchedulerLeast,
}

// TestForkForetells: whatever has happened, a fork picks for a client what its State
// picks for it next, and asking has no effect. An Aim's first server is the one, unless
// it is full.
func TestForkForetells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := group(rapid.SampledFrom(everyScheduler).Draw(t, "scheduler"), rapid.SliceOfN(rapid.IntRange(0, 5), 1, 6).Draw(t, "weights")...)
		for i := range l.Backends {
			l.Backends[i].MaxConnections = rapid.IntRange(0, 4).Draw(t, "max")
		}
		if rapid.Bool().Draw(t, "persistent") {
			l.PersistenceTimeout = time.Minute
		}
		table, s := l.Table(well), NewState(&l.Pool, nil)
		var open []int
		for n := range int64(rapid.IntRange(1, 60).Draw(t, "connections")) {
			if len(open) > 0 && rapid.Bool().Draw(t, "one ends") {
				s.Done(open[0])
				open = open[1:]
			}
			c := clientAt(rapid.IntRange(0, 9).Draw(t, "client"))
			fork, aim := s.Fork(c.Source.Addr(), n), table.Aim(s, c)
			_, remembered := s.Persisted(c.Source.Addr(), n)
			wanted, any := table.PickClient(fork, c, nil, n)
			firstIsFull := len(aim.First) > 0 && s.Full(aim.First[0])
			i, ok := table.PickClient(s, c, nil, n)
			if i != wanted || ok != any {
				t.Fatalf("connection %d goes to %d, %v; foretold was %d, %v", n, i, ok, wanted, any)
			}
			if !ok {
				continue
			}
			open = append(open, i)
			if !remembered && len(aim.First) > 0 && aim.First[0] != i && !firstIsFull {
				t.Fatalf("connection %d goes to %d, aimed at was %+v", n, i, aim)
			}
		}
	})
}

// TestForkOfEarlierServers: a tournament of the servers before a change is not carried over.
func TestForkOfEarlierServers(t *testing.T) {
	before := group(spec.SchedulerWLC, 1, 1, 1)
	s := NewState(&before.Pool, nil)
	before.Table(well).Pick(s, &Client{}, nil)
	after := group(spec.SchedulerWLC, 1, 1)
	next := NewState(&after.Pool, s)
	table := after.Table(well)
	fork := next.Fork(netip.Addr{}, 0)
	for n := range 5 {
		wanted, _ := table.Pick(fork, &Client{}, nil)
		if got, _ := table.Pick(next, &Client{}, nil); got != wanted {
			t.Errorf("connection %d goes to %d, foretold was %d", n, got, wanted)
		}
	}
}

func TestAim(t *testing.T) {
	s := func(l *Listener) string {
		return fmt.Sprintf("%+v", l.Table(well).Aim(NewState(&l.Pool, nil), clientAt(1)))
	}
	for _, c := range []struct{ got, want string }{
		{s(group(spec.SchedulerWRR, 1, 2)), "{Ticket:0 Slot:0 Slots:3 First:[1]}"},
		{s(group(spec.SchedulerWLC, 1, 2)), "{Ticket:-1 Slot:0 Slots:0 First:[]}"},
		{s(group(spec.SchedulerP2C, 1)), "{Ticket:0 Slot:0 Slots:0 First:[0]}"},
		{s(group(spec.SchedulerLeast, 1, 2)), "{Ticket:0 Slot:0 Slots:0 First:[]}"},
		{s(group(spec.SchedulerRR)), "{Ticket:-1 Slot:0 Slots:0 First:[]}"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}

// TestEntry: a list has an entry for exactly those whom being listed makes a difference to.
func TestEntry(t *testing.T) {
	office := prefixes("10.0.0.0/8", "10.1.0.0/16", "192.168.1.77/32", "2001:db8::/33")
	for _, white := range []bool{true, false} {
		list := NewAccessList(office, white)
		for who, want := range map[string]string{
			"10.1.2.3": "10.1.0.0/16", "10.2.2.3": "10.0.0.0/8", "192.168.1.76": "", "::ffff:10.2.2.3": "10.0.0.0/8", "2001:db8::1": "2001:db8::/33",
		} {
			entry, ok := list.Entry(addr(who))
			if ok != (want != "") || ok && entry.String() != want || ok != (list.Allows(addr(who)) == white) {
				t.Errorf("white %v: %s has entry %v, %v; want %q", white, who, entry, ok, want)
			}
		}
	}
}

// TestOtherwise: what would have been without a rule is what is where it never was.
func TestOtherwise(t *testing.T) {
	rules := []string{"a.com /x", "a.com /x/y", "a.com ", "*.com /x", "*.b.com ", " /x"}
	l := routed(t, rules...)
	for _, host := range []string{"a.com", "c.com", "d.b.com", "org"} {
		for _, path := range []string{"/", "/x", "/x/y/z"} {
			rule := l.Route([]byte(host), []byte(path)).Rule
			if rule == nil {
				continue
			}
			rest := slices.DeleteFunc(slices.Clone(rules), func(r string) bool { return r == rule.Name })
			got, want := l.Otherwise(rule, []byte(host), []byte(path)), routed(t, rest...).Route([]byte(host), []byte(path))
			if outcome(got) != outcome(want) {
				t.Errorf("%s%s without %q: %s, want %s", host, path, rule.Name, outcome(got), outcome(want))
			}
			if again := l.Route([]byte(host), []byte(path)).Rule; again != rule {
				t.Errorf("%s%s: asking changed the rule to %v", host, path, again)
			}
		}
	}
	for host, want := range map[string]string{"a.com": "a.com", "c.com": "*.com", "d.b.com": "*.b.com", "org": "", "": ""} {
		if got := l.Domain([]byte(host)); got != want {
			t.Errorf("the domain of %q is %q, want %q", host, got, want)
		}
	}
}
