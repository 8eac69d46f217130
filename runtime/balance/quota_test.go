package balance

import (
	"testing"
	"time"
)

// balancer is the listeners of one load balancer, with these reservations in
// Mbit/s, of all that it has.
func balancer(all int, reserved ...int) (out []*Listener) {
	for i, r := range reserved {
		out = append(out, &Listener{Address: string(rune('a' + i)), LoadBalancer: "lb", Serving: true, Bandwidth: r, BalancerBandwidth: all})
	}
	return out
}

// megabits measures what a rate lets through from a burst on, in Mbit/s.
func megabits(r *Rate, now int64) float64 {
	const second = int64(time.Second)
	r.Take(now, r.tolerance*r.perSecond/second) // the burst
	start, sum := now, int64(0)
	for now < start+10*second {
		sum += 1000
		now += r.Take(now, 1000)
	}
	return float64(sum) * 8 / 1e6 / (float64(now-start) / float64(second))
}

func near(got, want float64) bool { return got > 0.99*want && got < 1.01*want }

// The product's example: of 10 Mbit/s A reserves 4, B and C share what is left.
func TestBandwidthIsReserved(t *testing.T) {
	q := NewQuotas(balancer(10, 4, 0, 0), nil)["lb"]
	a, b, c := q.Listeners["a"], q.Listeners["b"], q.Listeners["c"]
	if a.In == a.Out || b.In == b.Out || b.In != c.In || b.Out != c.Out {
		t.Fatal("directions are apart, and the listeners without reservation share")
	}
	for _, r := range []*Rate{a.In, a.Out} {
		if got := megabits(r, 0); !near(got, 4) {
			t.Errorf("A gets %f Mbit/s, want 4", got)
		}
	}
	if got := megabits(b.In, 0); !near(got, 6) {
		t.Errorf("B and C get %f Mbit/s, want 6", got)
	}
	if c.In.Allow(0, 1500) {
		t.Error("C gets more although B took all")
	}
	if !c.Out.Allow(0, 1<<16-1) {
		t.Error("the burst does not hold the largest datagram")
	}
}

func TestBandwidthWithoutBounds(t *testing.T) {
	for _, l := range NewQuotas(balancer(0, 4, 0), nil)["lb"].Listeners {
		if l.In != nil && !near(megabits(l.In, 0), 4) {
			t.Errorf("a listener gets %f Mbit/s, want 4 or all", megabits(l.In, 0))
		}
	}
	q := NewQuotas(balancer(0, 4, 0), nil)["lb"]
	if q.Listeners["a"].In == nil || q.Listeners["b"].In != nil {
		t.Error("a cap holds without one of the balancer, and holds nobody else")
	}
	// Nothing is left: that is not unlimited.
	rest := NewQuotas(balancer(4, 4, 0), nil)["lb"].Listeners["b"].In
	rest.Take(0, 1<<16)
	if wait := rest.Take(0, 1000); wait < int64(time.Second) {
		t.Errorf("what is left of nothing lets 1000 bytes through after %v", time.Duration(wait))
	}
	stopped := balancer(10, 4, 0)
	stopped[0].Serving = false
	if got := megabits(NewQuotas(stopped, nil)["lb"].Listeners["b"].In, 0); !near(got, 10) {
		t.Errorf("beside a stopped listener there are %f Mbit/s, want 10", got)
	}
}

func TestQuotasOfSpecs(t *testing.T) {
	connections, cps, qps, ok := Limits("slb.s1.small")
	if connections != 5000 || cps != 3000 || qps != 1000 || !ok {
		t.Errorf("slb.s1.small allows %d, %d, %d (%v)", connections, cps, qps, ok)
	}
	if c, _, _, ok := Limits(""); c != 0 || ok {
		t.Errorf("no spec allows %d connections (%v)", c, ok)
	}
	ls := balancer(0, 0, 0)
	for _, l := range ls {
		l.MaxConnections, l.CPS, l.QPS = 2, 3, 4
	}
	ls[0].MaxQPS = 1
	q := NewQuotas(ls, nil)["lb"]
	for k, want := range []bool{true, true, false} {
		if got := q.Connections.Enter(); got != want {
			t.Errorf("connection %d of two may be open: %v", k+1, got)
		}
	}
	for n, r := range map[int64]*Rate{3: q.CPS, 4: q.QPS, 1: q.Listeners["a"].QPS} {
		if !r.Allow(0, n) || r.Allow(0, 1) || !r.Allow(int64(time.Second), n) {
			t.Errorf("a rate of %d a second is not one", n)
		}
	}
	if q.Listeners["b"].QPS != nil {
		t.Error("b has no limit of its own")
	}
}

// The product's table of specs.
func TestLimitsOfEverySpec(t *testing.T) {
	for spec, want := range map[string][3]int{
		"slb.s1.small":   {5_000, 3_000, 1_000},
		"slb.s2.small":   {50_000, 5_000, 5_000},
		"slb.s2.medium":  {100_000, 10_000, 10_000},
		"slb.s3.small":   {200_000, 20_000, 20_000},
		"slb.s3.medium":  {500_000, 50_000, 30_000},
		"slb.s3.large":   {1_000_000, 100_000, 50_000},
		"slb.s3.xlarge":  {2_000_000, 200_000, 100_000},
		"slb.s3.xxlarge": {5_000_000, 500_000, 100_000},
	} {
		if c, cps, qps, ok := Limits(spec); [3]int{c, cps, qps} != want || !ok {
			t.Errorf("%s allows %d, %d, %d (%v), want %v", spec, c, cps, qps, ok, want)
		}
	}
}

func TestQuotasOutlastChanges(t *testing.T) {
	ls := balancer(10, 4, 0)
	for _, l := range ls {
		l.MaxConnections, l.CPS, l.MaxQPS = 2, 10, 10
	}
	before := NewQuotas(ls, nil)
	old := before["lb"]
	old.Connections.Enter()
	old.Connections.Enter()
	old.CPS.Allow(0, 10)
	old.Listeners["a"].QPS.Allow(0, 10)
	old.Listeners["a"].In.Take(0, 1<<20)
	old.Listeners["b"].In.Take(0, 1<<20)
	for _, l := range ls {
		l.MaxConnections = 3
	}
	q := NewQuotas(ls, before)["lb"]
	if q.Connections.Open() != 2 || !q.Connections.Enter() || q.Connections.Enter() {
		t.Errorf("%d connections are open, want 2 and one more", q.Connections.Open())
	}
	if old.Connections.Enter() {
		t.Error("the old limit lets in a third")
	}
	old.Connections.Leave()
	if q.Connections.Open() != 2 {
		t.Errorf("%d connections are open after an old one ended, want 2", q.Connections.Open())
	}
	if q.CPS.Allow(0, 1) || q.Listeners["a"].QPS.Allow(0, 1) || q.Listeners["a"].In.Allow(0, 1) || q.Listeners["b"].In.Allow(0, 1) {
		t.Error("a rate forgot what was taken")
	}
	// Without a limit connections are still counted, for when it comes back.
	for _, l := range ls {
		l.MaxConnections = 0
	}
	free := NewQuotas(ls, map[string]*Quota{"lb": q})
	free["lb"].Connections.Enter()
	if n := free["lb"].Connections.Open(); n != 3 {
		t.Errorf("%d connections are counted, want 3", n)
	}
}
