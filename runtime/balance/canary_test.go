package balance

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"slbctl/spec"
)

func TestBlend(t *testing.T) {
	for _, c := range []struct {
		old, fresh []int
		percent    int
		want       []int
	}{
		{[]int{100, 0}, []int{0, 100}, 10, []int{9, 1}},
		{[]int{100, 0}, []int{0, 100}, 50, []int{1, 1}},
		{[]int{1, 1}, []int{2, 1}, 10, []int{31, 29}}, // 0.9/2 + 0.1*2/3
		{[]int{100, 100, 100, 0}, []int{100, 100, 100, 100}, 10, []int{13, 13, 13, 1}},
		{[]int{7, 3}, []int{7, 3}, 40, []int{7, 3}},
		{[]int{5, 5}, []int{0, 0}, 99, []int{1, 1}}, // nobody is there to take it
		{[]int{0, 0}, []int{10, 30}, 1, []int{1, 3}},
		{[]int{0, 0}, []int{0, 0}, 1, []int{0, 0}},
	} {
		if got := Blend(c.old, c.fresh, c.percent); !slices.Equal(got, c.want) {
			t.Errorf("Blend(%v, %v, %d) = %v, want %v", c.old, c.fresh, c.percent, got, c.want)
		}
	}
}

// TestBlendIsClose compares the shares of blended weights with the exact ones.
func TestBlendIsClose(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "servers")
		parts := rapid.SliceOfN(rapid.IntRange(0, 100), n, n)
		old, fresh := parts.Draw(t, "old"), parts.Draw(t, "fresh")
		percent := rapid.IntRange(1, 99).Draw(t, "percent")
		a, b := sum(old), sum(fresh)
		if a == 0 || b == 0 {
			return
		}
		got := Blend(old, fresh, percent)
		total := sum(got)
		if total > canaryTurns+n {
			t.Fatalf("%d turns", total)
		}
		for i := range got {
			exact := float64(100-percent)/100*float64(old[i])/float64(a) + float64(percent)/100*float64(fresh[i])/float64(b)
			share := float64(got[i]) / float64(total)
			if (got[i] == 0) != (exact == 0) || math.Abs(share-exact) > 1.5/canaryTurns+float64(n)*exact/canaryTurns {
				t.Fatalf("server %d of %v has the share %v instead of %v", i, got, share, exact)
			}
		}
	})
}

// farm makes pools of servers at 127.0.0.N:1.
func farm(owner, scheduler string, weights map[int]int) Pool {
	p := Pool{Owner: owner, Scheduler: scheduler, Check: Check{Enabled: true}}
	for n := range 300 {
		if w, ok := weights[n]; ok {
			ep := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(n)}), 1)
			p.Backends = append(p.Backends, Backend{Name: fmt.Sprint("s", n), Endpoint: ep, CheckEndpoint: ep, Weight: w})
		}
	}
	return p
}

func serving(p Pool, rules ...*Rule) *Listener {
	l := &Listener{Pool: p, Address: p.Owner, Serving: true, Endpoint: netip.MustParseAddrPort("127.0.1.1:80"), Rules: rules}
	if err := l.Prepare(); err != nil {
		panic(err)
	}
	return l
}

// describe writes the pools of a step as "owner scheduler name:weight ...", with a + for
// who gains.
func describe(c Canary) string {
	var lines []string
	for n, p := range c.Pools() {
		line := strings.TrimSpace(p.Owner + " " + p.Scheduler)
		for i, b := range p.Backends {
			mark := ""
			for _, s := range c.Shifts {
				if s.Pool == n && s.Gains[i] {
					mark = "+"
				}
			}
			line += fmt.Sprintf(" %s:%d%s", b.Name, b.Weight, mark)
			if b.Standby {
				line += " standby"
			}
			if o := b.Origin; o != nil {
				line += fmt.Sprintf(" (%s %s)", o.Owner, o.Name)
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

func TestCanary(t *testing.T) {
	const rr, wrr, sch = spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerSCH
	rule := func(name, domain, url string, p Pool) *Rule {
		return &Rule{Pool: p, Address: name, Name: name, Domain: domain, URL: url}
	}
	moved := farm("l", wrr, map[int]int{1: 100})
	moved.Backends[0].Endpoint = netip.MustParseAddrPort("127.0.0.1:2")
	pair := func(active, standby int) Pool {
		p := farm("l", wrr, map[int]int{active: 100, standby: 100})
		p.ActiveStandby = true
		for i := range p.Backends {
			p.Backends[i].Standby = p.Backends[i].Name == fmt.Sprint("s", standby)
		}
		return p
	}
	elsewhere := serving(farm("l", wrr, map[int]int{2: 100}))
	elsewhere.Endpoint = netip.MustParseAddrPort("127.0.1.2:80")
	stopped := serving(farm("l", wrr, map[int]int{1: 100}))
	stopped.Serving = false
	empty := serving(Pool{Owner: "l"})
	for _, c := range []struct {
		name          string
		before, after *Listener
		percent       int
		want          string
	}{
		{"nothing moves", serving(farm("l", wrr, map[int]int{1: 100})), serving(farm("l", wrr, map[int]int{1: 50})), 10, "l wrr s1:50"},
		{"another server", serving(farm("l", wrr, map[int]int{1: 100})), serving(farm("l", wrr, map[int]int{2: 100})), 10,
			"l wrr s2:1+ s1:9 (l s1)"},
		{"one more, of rr", serving(farm("l", rr, map[int]int{1: 100, 2: 7})), serving(farm("l", rr, map[int]int{1: 100, 2: 7, 3: 1})), 50,
			"l wrr s1:5 s2:5 s3:2+"}, // which knows parts
		{"rr to weights", serving(farm("l", rr, map[int]int{1: 100, 2: 50})), serving(farm("l", wrr, map[int]int{1: 100, 2: 50})), 10,
			"l wrr s1:31+ s2:29"},
		{"a hash keeps being one", serving(farm("l", sch, map[int]int{1: 100})), serving(farm("l", sch, map[int]int{1: 100, 2: 100})), 20,
			"l sch s1:9 s2:1+"},
		{"weight 0 stays 0", serving(farm("l", wrr, map[int]int{1: 100, 2: 0})), serving(farm("l", wrr, map[int]int{2: 0, 3: 100})), 50,
			"l wrr s2:0 s3:1+ s1:1 (l s1)"},
		{"all to weight 0", serving(farm("l", wrr, map[int]int{1: 100, 2: 50})), serving(farm("l", wrr, map[int]int{1: 0, 2: 0})), 50,
			"l wrr s1:0 s2:0"}, // nobody is there to get a part
		{"another port", serving(farm("l", wrr, map[int]int{1: 100})), serving(moved), 10,
			"l wrr 127.0.0.1:2:1+ (l s1) s1:9 (l s1)"},
		{"roles change", serving(pair(1, 2)), serving(pair(2, 1)), 10, "l wrr s1:9 s2:1+"},
		{"another pair", serving(pair(1, 2)), serving(pair(3, 4)), 10, "l wrr s3:1+ s4:100 standby s1:9 (l s1) s2:100 standby (l s2)"},
		{"new", nil, serving(farm("l", wrr, map[int]int{1: 100})), 10, "l wrr s1:100"},
		{"elsewhere", serving(farm("l", wrr, map[int]int{1: 100})), elsewhere, 10, "l wrr s2:100"},
		{"it was stopped", stopped, serving(farm("l", wrr, map[int]int{2: 100})), 10, "l wrr s2:100"},
		{"the first servers", empty, serving(farm("l", wrr, map[int]int{2: 100})), 10, "l wrr s2:100"},
		{"a rule's servers", serving(farm("l", wrr, map[int]int{1: 100}), rule("r", "a.com", "", farm("r", wrr, map[int]int{2: 100}))),
			serving(farm("l", wrr, map[int]int{1: 100}), rule("r", "a.com", "/x", farm("r", rr, map[int]int{3: 100}))), 10,
			"l wrr s1:100; r wrr s3:1+ s2:9 (r s2)"},
		{"a new rule", serving(farm("l", wrr, map[int]int{1: 100})),
			serving(farm("l", wrr, map[int]int{1: 100}), rule("r", "*.a.com", "", farm("r", wrr, map[int]int{2: 100}))), 10,
			"l wrr s1:100; r wrr s2:1+ s1:9 (l s1)"},
		{"a rule goes", serving(farm("l", wrr, map[int]int{1: 100}), rule("r", "", "/x", farm("r", wrr, map[int]int{2: 100}))),
			serving(farm("l", wrr, map[int]int{1: 100})), 10,
			"l wrr s1:100; r wrr s1:1+ (l s1) s2:9 (r s2)"},
		{"a rule under another name", serving(farm("l", wrr, map[int]int{1: 100}), rule("r", "a.com", "", farm("r", wrr, map[int]int{2: 100}))),
			serving(farm("l", wrr, map[int]int{1: 100}), rule("q", "a.com", "", farm("q", wrr, map[int]int{3: 100}))), 10,
			"l wrr s1:100; q wrr s3:1+ s2:9 (r s2)"},
		{"a rule goes to a redirect", serving(farm("l", wrr, map[int]int{1: 100})),
			serving(farm("l", wrr, map[int]int{1: 100}), &Rule{Pool: Pool{Owner: "r"}, Address: "r", URL: "/x", Redirect: &Redirect{}}), 10,
			"l wrr s1:100; r"},
	} {
		step, err := NewCanary(c.before, c.after, func(a string) string { return a }, c.percent)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := describe(step); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if len(step.Shifts) > 0 && step.Listener == c.after {
			t.Errorf("%s: the listener after the change is changed", c.name)
		}
	}
}

// TestCanaryIsRenamed finds what a listener was under its address before.
func TestCanaryIsRenamed(t *testing.T) {
	before, after := serving(farm("old", spec.SchedulerWRR, map[int]int{1: 100})), serving(farm("new", spec.SchedulerWRR, map[int]int{2: 100}))
	step, err := NewCanary(before, after, func(string) string { return "old" }, 10)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describe(step), "new wrr s2:1+ s1:9 (old s1)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if owner, name := step.KnownAs(1); owner != "old" || name != "s1" {
		t.Errorf("the verdicts on %s of %s hold for it", name, owner)
	}
}

// TestCanaryAsksWhomItAsked: a server that leaves is judged by the check that it had,
// whatever becomes of the pool's.
func TestCanaryAsksWhomItAsked(t *testing.T) {
	for _, checked := range []bool{true, false} {
		before, after := farm("l", spec.SchedulerWRR, map[int]int{1: 100}), farm("l", spec.SchedulerWRR, map[int]int{2: 100})
		before.Check.Enabled, after.Check.Enabled = checked, !checked
		step, err := NewCanary(serving(before), serving(after), func(a string) string { return a }, 10)
		if err != nil {
			t.Fatal(err)
		}
		if step.Probed(1) != checked || step.Probed(0) == checked {
			t.Errorf("checked before: %v; the one that leaves is probed: %v, the new one: %v", checked, step.Probed(1), step.Probed(0))
		}
	}
}

// TestCanaryReachesItsEnds: 0 and 100 percent are the shares before and after.
func TestCanaryReachesItsEnds(t *testing.T) {
	before, after := serving(farm("l", spec.SchedulerRR, map[int]int{1: 100, 2: 10})), serving(farm("l", spec.SchedulerWRR, map[int]int{2: 30, 3: 10}))
	well := func(int) Health { return Normal }
	for percent, want := range map[int][]float64{0: {0.5, 0, 0.5}, 100: {0.75, 0.25, 0}, 50: {0.625, 0.125, 0.25}} {
		step, err := NewCanary(before, after, func(a string) string { return a }, percent)
		if err != nil {
			t.Fatal(err)
		}
		if got := step.Table(well).Shares(); !slices.Equal(got, want) {
			t.Errorf("%d%%: %v, want %v", percent, got, want)
		}
	}
}
