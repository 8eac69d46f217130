package balance

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"slbctl/spec"
)

// The worked example of the Maglev paper, table 1.
func TestMaglevPaperVector(t *testing.T) {
	a, b, c := preference{3, 4}, preference{0, 2}, preference{3, 1}
	for _, v := range []struct {
		prefs []preference
		names string
		want  string
	}{
		{[]preference{a, b, c}, "ABC", "BABACCA"},
		{[]preference{a, c}, "AC", "AAAACCC"},
	} {
		var got strings.Builder
		for _, i := range maglev(v.prefs, repeat(len(v.prefs), 1), 7) {
			got.WriteByte(v.names[i])
		}
		if got.String() != v.want {
			t.Errorf("servers %s fill %s, want %s", v.names, got.String(), v.want)
		}
	}
}

func slotCounts(t *Table) []int {
	n := make([]int, len(t.pool.Backends))
	for _, b := range t.sequence {
		n[b]++
	}
	return n
}

func TestMaglevEqualWeightsDifferByOneSlot(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 100, 1000} {
		counts := slotCounts(group(spec.SchedulerSCH, repeat(n, 100)...).Table(well))
		if lo, hi := slices.Min(counts), slices.Max(counts); hi-lo > 1 || lo != hashSlots/n {
			t.Errorf("%d servers own %d to %d slots, want %d or one more", n, lo, hi, hashSlots/n)
		}
	}
}

func TestMaglevSlotsAreProportional(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := drawWeights(t)
		counts := slotCounts(group(spec.SchedulerTCH, weights...).Table(well))
		sum, slots := 0, 0
		for i, w := range weights {
			sum += w
			slots += counts[i]
		}
		if slots != hashSlots {
			t.Fatalf("%d slots are owned, want %d", slots, hashSlots)
		}
		for i, w := range weights {
			// A round gives every light server its slot early: at most one each.
			if due := float64(hashSlots) * float64(w) / float64(sum); math.Abs(float64(counts[i])-due) > float64(len(weights)) {
				t.Fatalf("weights %v: server %d owns %d slots, due %.1f", weights, i, counts[i], due)
			}
		}
	})
}

// moved is the part of the slots that two groups give to servers of other names.
func moved(t *testing.T, a, b *Listener) (part, minimum float64) {
	t.Helper()
	part, minimum, ok := KeysMoved(a.Table(well), b.Table(well))
	if !ok || part < minimum {
		t.Fatalf("moved %v, at least %v (%v)", part, minimum, ok)
	}
	return part, minimum
}

func TestMaglevDisruption(t *testing.T) {
	without := func(l *Listener, i int) *Listener {
		m := *l
		m.Backends = slices.Delete(slices.Clone(l.Backends), i, i+1)
		return &m
	}
	cases := []struct {
		name          string
		before, after *Listener
		ideal, most   float64
	}{
		{"one of 3 removed", group(spec.SchedulerSCH, 1, 1, 1), without(group(spec.SchedulerSCH, 1, 1, 1), 1), 1. / 3, .335},
		{"one of 10 removed", group(spec.SchedulerSCH, repeat(10, 1)...), without(group(spec.SchedulerSCH, repeat(10, 1)...), 4), .1, .11},
		{"one of 100 removed", group(spec.SchedulerSCH, repeat(100, 1)...), without(group(spec.SchedulerSCH, repeat(100, 1)...), 50), .01, .022},
		{"one added to 10", group(spec.SchedulerSCH, repeat(10, 1)...), group(spec.SchedulerSCH, repeat(11, 1)...), 1. / 11, .1},
		{"one of 3 halved", group(spec.SchedulerTCH, 200, 200, 200), group(spec.SchedulerTCH, 100, 200, 200), 2. / 15, .18},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			part, minimum := moved(t, c.before, c.after)
			if math.Abs(minimum-c.ideal) > .0001 {
				t.Errorf("smallest possible part is %.4f, want %.4f", minimum, c.ideal)
			}
			if part > c.most {
				t.Errorf("%.4f of the keys move, want at most %.4f", part, c.most)
			}
		})
	}
}

func TestMaglevIgnoresTheOrderOfServers(t *testing.T) {
	a := group(spec.SchedulerSCH, 10, 20, 30, 40, 50, 60)
	b := *a
	b.Backends = slices.Clone(a.Backends)
	slices.Reverse(b.Backends)
	if part, _ := moved(t, a, &b); part != 0 {
		t.Errorf("%.4f of the keys move when the list is reversed, want none", part)
	}
}

func TestHashIsKeyed(t *testing.T) {
	a, b := group(spec.SchedulerSCH, 1, 1), group(spec.SchedulerSCH, 1, 1)
	b.seed++
	ta, tb := a.Table(well), b.Table(well)
	differ := 0
	for i := range 1000 {
		x, _ := ta.Pick(NewState(&a.Pool, nil), clientAt(i), nil)
		y, _ := tb.Pick(NewState(&b.Pool, nil), clientAt(i), nil)
		if x != y {
			differ++
		}
	}
	if differ < 400 || differ > 600 {
		t.Errorf("another seed gives %d of 1000 clients the other of 2 servers, want about half", differ)
	}
}

func TestHashKeys(t *testing.T) {
	at := func(l *Listener, src, dst string) int {
		c := &Client{Source: netip.MustParseAddrPort(src), Destination: netip.MustParseAddrPort(dst)}
		i, _ := l.Table(well).Pick(NewState(&l.Pool, nil), c, nil)
		return i
	}
	sch, tch := group(spec.SchedulerSCH, repeat(100, 1)...), group(spec.SchedulerTCH, repeat(100, 1)...)
	const client, balancer = "203.0.113.9:40000", "127.10.0.1:80"
	if at(sch, client, balancer) != at(sch, "203.0.113.9:40001", "127.10.0.2:81") {
		t.Error("sch looks at more than the source address")
	}
	if at(sch, client, balancer) != at(sch, "[::ffff:203.0.113.9]:1", balancer) {
		t.Error("sch tells an IPv4 address from its mapped form")
	}
	for _, v := range [][2]string{
		{"203.0.113.10:40000", balancer}, {"203.0.113.9:40001", balancer},
		{client, "127.10.0.2:80"}, {client, "127.10.0.1:81"},
	} {
		if at(tch, client, balancer) == at(tch, v[0], v[1]) {
			t.Errorf("tch does not see that %s became %s", [2]string{client, balancer}, v)
		}
	}
}

// A client of a server that is well keeps it when another one is not: nearly
// always under Maglev, and nobody is ever sent to the one that is not.
func TestHashAvoidsAbnormalServers(t *testing.T) {
	l := group(spec.SchedulerSCH, 100, 100, 100, 100)
	before, after, s := l.Table(well), l.Table(except(l, "B")), NewState(&l.Pool, nil)
	strays := 0
	for i := range 4000 {
		x, _ := before.Pick(s, clientAt(i), nil)
		y, _ := after.Pick(s, clientAt(i), nil)
		if y == 1 {
			t.Fatalf("client %d is sent to B, which is abnormal", i)
		}
		if x != 1 && x != y {
			strays++
		}
	}
	if strays > 40 {
		t.Errorf("%d of 4000 clients left a server that is well", strays)
	}
}

func TestKeysMovedWithoutOwnServer(t *testing.T) {
	rr, sch, tch := group(spec.SchedulerRR, 1), group(spec.SchedulerSCH, 1), group(spec.SchedulerTCH, 1)
	for _, p := range [][2]*Listener{{rr, rr}, {rr, sch}, {sch, tch}} {
		if _, _, ok := KeysMoved(p[0].Table(well), p[1].Table(well)); ok {
			t.Errorf("clients of %s and then %s have no server to keep", p[0].Scheduler, p[1].Scheduler)
		}
	}
	if part, minimum := moved(t, sch, group(spec.SchedulerSCH, 0)); part != 1 || minimum != 1 {
		t.Errorf("losing the only server moves %v (at least %v), want 1", part, minimum)
	}
}

// TestKeysMovedIsEveryKey draws two groups and lets the core pick for a client of every
// slot, before and after: who moves is who is picked another server by name, and the least
// is what has to arrive for the new counts.
func TestKeysMovedIsEveryKey(t *testing.T) {
	clients := make([]*Client, hashSlots)
	seed := group(spec.SchedulerSCH, 1).seed
	for n, left := uint32(0), hashSlots; left > 0; n++ {
		ip := netip.AddrFrom4([4]byte{10 + byte(n>>24), byte(n >> 16), byte(n >> 8), byte(n)})
		c := &Client{Source: netip.AddrPortFrom(ip, 40000)}
		if slot := sourceSlot(seed, c); clients[slot] == nil {
			clients[slot] = c
			left--
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(name string) (*Table, []string) {
			l := group(spec.SchedulerSCH, rapid.SliceOfN(rapid.IntRange(0, 4), 1, 5).Draw(rt, name)...)
			down := rapid.IntRange(0, 2*len(l.Backends)).Draw(rt, name+" down")
			table := l.Table(func(i int) Health {
				if i == down {
					return Abnormal
				}
				return Normal
			})
			state, servers := NewState(&l.Pool, nil), make([]string, hashSlots)
			for k, c := range clients {
				if i, ok := table.Pick(state, c, nil); ok {
					state.Done(i)
					servers[k] = l.Backends[i].Name
				}
			}
			return table, servers
		}
		before, was := draw("before")
		after, is := draw("after")
		moved, least, gain := 0, 0, map[string]int{}
		for k := range was {
			if was[k] != is[k] {
				moved++
			}
			gain[was[k]]--
			gain[is[k]]++
		}
		for _, n := range gain {
			least += max(n, 0)
		}
		part, minimum, ok := KeysMoved(before, after)
		if want, atLeast := float64(moved)/hashSlots, float64(least)/hashSlots; !ok || part != want || minimum != atLeast {
			rt.Fatalf("%v of keys move, at least %v; the core moves %v, at least %v", part, minimum, want, atLeast)
		}
	})
}
