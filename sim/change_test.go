package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

// recorded is a shop before a change at 100 s to c: with the servers of these weights.
func recordedShop(c *spec.Config, weights ...int) *spec.Config {
	day(c).Changes = []spec.SimulatedChange{{Name: "this-config", At: 100 * time.Second}}
	before := *c
	lb := *c.LoadBalancers[0]
	l := *lb.Listeners[0]
	before.LoadBalancers, lb.Listeners, lb.Backends = []*spec.LoadBalancer{&lb}, []*spec.Listener{&l}, nil
	for i, w := range weights {
		lb.Backends = append(lb.Backends, spec.Backend{Instance: fmt.Sprintf("instance.s%d", i), Weight: w})
	}
	before.Simulations = nil
	return &before
}

// picksFrom are those of a run from a recorded configuration on.
func picksFrom(t *testing.T, c, before *spec.Config) (picks []Pick, r *Result) {
	t.Helper()
	r = run1(t, c, Options{Before: before, Observe: func(p Pick) { picks = append(picks, p) }})
	return picks, r
}

// served counts who has served what came in a time.
func servedIn(picks []Pick, from, until time.Duration) map[string]int {
	n := map[string]int{}
	for _, p := range picks {
		if p.At >= from && p.At < until {
			n[strings.TrimPrefix(p.Backend, "instance.")]++
		}
	}
	return n
}

// The recorded weights hold until the change and those of the files from then on; the turns of wrr go on.
func TestAChangeOfWeights(t *testing.T) {
	c := shop(spec.SchedulerWRR, 100, 300)
	before := recordedShop(c, 100, 100)
	picks, r := picksFrom(t, c, before)
	if got := fmt.Sprint(servedIn(picks, 0, 100*time.Second)); got != "map[s0:25000 s1:25000]" {
		t.Errorf("before: %s", got)
	}
	if got := fmt.Sprint(servedIn(picks, 100*time.Second, 300*time.Second)); got != "map[s0:25000 s1:75000]" {
		t.Errorf("after: %s", got)
	}
	// Smooth wrr of 1:3 is s1 s0 s1 s1, and its ticket goes on where it was: 50,000 is a multiple of 4.
	if got := picks[50000].Backend + picks[50001].Backend; got != "instance.s1instance.s0" {
		t.Errorf("the first two: %s", got)
	}
	if got := window(t, r, "this-config"); got != "0/0 0,0" {
		t.Errorf("nothing is left of it, but its window has %s", got)
	}
}

// A new server has its verdict before the change, and warms up from it on.
func TestANewServer(t *testing.T) {
	c := shop(spec.SchedulerWRR, 100, 100)
	before := recordedShop(c, 100)
	picks, _ := picksFrom(t, c, before)
	if got := fmt.Sprint(servedIn(picks, 100*time.Second, 101*time.Second)); got != "map[s0:250 s1:250]" {
		t.Errorf("it serves at once: %s", got)
	}
	c.LoadBalancers[0].Listeners[0].SlowStart = 30 * time.Second
	before = recordedShop(c, 100)
	picks, r := picksFrom(t, c, before)
	if got := servedIn(picks, 100*time.Second, 130*time.Second)["s1"]; got < 15000*31/100 || got > 15000*33/100 { // the mean of w/(1+w)
		t.Errorf("while it warms up it serves %d of 15,000", got)
	}
	if got := window(t, r, "this-config"); !strings.HasPrefix(got, "15000/0 ") {
		t.Errorf("the window lasts until it is warm: %s", got)
	}
}

// A new server that does not answer gets nothing; neither does one whose instance is to be stopped.
func TestANewServerThatIsDown(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	before := recordedShop(c, 100)
	day(c).Faults = []spec.Fault{{Name: "dead", At: 90 * time.Second, For: 20500 * time.Millisecond, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse}}
	picks, r := picksFrom(t, c, before)
	// Asked at the change and every 2 s it is abnormal at 104 s, and normal again by the checks at 112, 114 and 116.
	if got := fmt.Sprint(servedIn(picks, 0, 300*time.Second)); got != "map[s0:104000 s1:46000]" {
		t.Errorf("%s", got)
	}
	if r.Windows[0].Errors != 0 {
		t.Errorf("%d errors", r.Windows[0].Errors)
	}
}

// Connections to a server that leaves have the time of a drain; the rest is cut off then, and counted.
func TestAServerThatLeaves(t *testing.T) {
	for _, discipline := range []string{spec.DisciplineFCFS, spec.DisciplinePS} {
		c := shop(spec.SchedulerRR, 100, 100)
		c.LoadBalancers[0].Listeners[0].Drain = 5 * time.Second
		day(c).Service = &spec.Service{Time: 10 * time.Second, Distribution: spec.ServiceConstant, Workers: 10000, Discipline: discipline}
		day(c).Traffic[0].Rate = 100
		before := recordedShop(c, 100, 100)
		c.LoadBalancers[0].Backends = c.LoadBalancers[0].Backends[:1]
		picks, r := picksFrom(t, c, before)
		cut := 0
		for _, p := range picks {
			switch {
			case p.Outcome == Cut:
				cut++
				if p.At <= 95*time.Second || p.At >= 100*time.Second {
					t.Fatalf("%s: one of %v was cut off", discipline, p.At)
				}
			case p.Outcome != Served:
				t.Fatalf("%s: one of %v has %v", discipline, p.At, p.Outcome)
			case p.At >= 100*time.Second && p.Backend != "instance.s0":
				t.Fatalf("%s: %s still serves at %v", discipline, p.Backend, p.At)
			}
		}
		if cut < 248 || cut > 250 { // what came in the last 5 s to s1 takes until after 105 s
			t.Errorf("%s: %d cut off", discipline, cut)
		}
		if w := windowOf("all", r.Windows); w.Errors != int64(cut) {
			t.Errorf("%s: %d errors, %d cut off", discipline, w.Errors, cut)
		}
		if w := windowOf("this-config", r.Windows); w.Requests < 450 || w.Requests > 600 {
			t.Errorf("%s: the window has %d, it lasts 5 s or until the next probe", discipline, w.Requests)
		}
	}
}

// Cookies keep their clients across a change, but for those whose server leaves; one of weight 0 keeps them
// for a drain.
func TestCookiesAcrossAChange(t *testing.T) {
	for _, k := range []struct {
		weight int // of s2 after the change; -1: it leaves
		drain  time.Duration
		moved  string
		stays  bool // s2 serves its sessions on at 110 s
	}{{-1, time.Minute, "a third", false}, {0, time.Minute, "a third", true}, {0, 5 * time.Second, "a third", false}, {50, time.Minute, "0 of", true}} {
		c := web(spec.SchedulerRR, 100, 100, 100)
		l := webListener(c)
		l.StickySession, l.Drain = insertCookie(time.Hour), k.drain
		day(c).Traffic[0].Clients.Count = 300
		day(c).Expects = []spec.Expect{{Name: "moved", Metric: spec.MetricClientsMoved, Max: limit(0.5), During: spec.DuringAll}}
		before := recordedShop(c, 100, 100, 100)
		if k.weight < 0 {
			c.LoadBalancers[0].Backends = c.LoadBalancers[0].Backends[:2]
		} else {
			c.LoadBalancers[0].Backends[2].Weight = k.weight
		}
		picks, r := picksFrom(t, c, before)
		s2 := servedIn(picks, 108*time.Second, 112*time.Second)["s2"]
		if (s2 > 500) != k.stays {
			t.Errorf("%+v: s2 serves %d of 2000 at 110 s", k, s2)
		}
		detail := r.Expectations[0].Detail
		if k.moved == "0 of" != strings.Contains(detail, " 0 of") || r.Expectations[0].Verdict != Pass || k.moved != "0 of" && (*r.Expectations[0].Observed < 0.3 || *r.Expectations[0].Observed > 0.36) {
			t.Errorf("%+v: %s", k, detail)
		}
	}
}

// What the simulator says of clients that move is what the plan foresees, for all clients alike.
func TestClientsMovedAsForeseen(t *testing.T) {
	c := shop(spec.SchedulerSCH, 100, 100, 100, 100)
	s := day(c)
	s.Traffic[0].Rate, s.Traffic[0].Clients.Count = 1000, 5000
	s.Traffic[0].Clients.Network = netip.MustParsePrefix("10.0.0.0/8")
	s.Expects = []spec.Expect{{Name: "all", Metric: spec.MetricClientsMoved, Max: limit(1), During: spec.DuringAll}}
	before := recordedShop(c, 100, 100, 100, 0)
	_, r := picksFrom(t, c, before)
	rows, err := Foresee(before, c)
	if err != nil || len(rows) != 1 || rows[0].ClientsMoved == nil {
		t.Fatal(rows, err)
	}
	if got, want := *r.Expectations[0].Observed, *rows[0].ClientsMoved; got < want-0.03 || got > want+0.03 {
		t.Errorf("%.4f of 5000 clients have moved, foreseen %.4f", got, want)
	}
}

// Under a fault clients of the lost server move, and come back.
func TestClientsMovedByAFault(t *testing.T) {
	c := shop(spec.SchedulerSCH, 100, 100)
	day(c).Traffic[0].Clients.Count = 200
	day(c).Faults = []spec.Fault{{Name: "dead", At: 100 * time.Second, For: 30 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse}}
	day(c).Expects = []spec.Expect{
		{Name: "dead", Metric: spec.MetricClientsMoved, Max: limit(1), During: "dead"},
		{Name: "early", Metric: spec.MetricClientsMoved, Max: limit(0), During: "late"},
	}
	day(c).Faults = append(day(c).Faults, spec.Fault{Name: "late", At: 299 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultSlow, Factor: 2})
	picks, r := picksOf(t, c)
	home := map[uint64]string{}
	for _, p := range picks {
		if p.At < 100*time.Second {
			home[p.Visitor] = p.Backend
		}
	}
	s1 := 0
	for _, b := range home {
		if b == "instance.s1" {
			s1++
		}
	}
	if want := fmt.Sprintf("%d of %d clients in dead", s1, len(home)); !strings.Contains(r.Expectations[0].Detail, want) {
		t.Errorf("%s, want %s", r.Expectations[0].Detail, want)
	}
	if e := r.Expectations[1]; e.Verdict != Pass || !strings.HasPrefix(e.Detail, "0%, 0 of ") {
		t.Errorf("%s: %s", e.Verdict, e.Detail)
	}
}

// Nobody listened before: connections are errors until the change.
func TestANewListener(t *testing.T) {
	for _, protocol := range []string{"tcp", "http"} {
		c := shop(spec.SchedulerRR, 100, 100)
		if protocol == "http" {
			c = web(spec.SchedulerRR, 100, 100)
		}
		before := recordedShop(c, 100)
		before.LoadBalancers[0].Listeners = nil
		r := run1(t, c, Options{Before: before})
		if got, want := window(t, r, "all"), "150000/50000 50000,50000"; got != want {
			t.Errorf("%s: %s, want %s", protocol, got, want)
		}
	}
}

func TestNothingIsRecorded(t *testing.T) {
	c := shop(spec.SchedulerRR, 100)
	recordedShop(c, 100)
	_, err := Run(c, "day", Options{})
	var nothing *NothingRecorded
	if !errors.As(err, &nothing) || nothing.Change != "this-config" || !strings.Contains(err.Error(), "slbctl apply") {
		t.Errorf("%v", err)
	}
}

// Requests that hang when the change comes try again among the servers of the files.
func TestWhoWaitsFollowsTheChange(t *testing.T) {
	c := web(spec.SchedulerRR, 100, 100, 100)
	webListener(c).RequestTimeout, webListener(c).Retry.Timeout = 5*time.Second, true
	before := recordedShop(c, 100, 100)
	c.LoadBalancers[0].Backends = slices.Delete(c.LoadBalancers[0].Backends, 1, 2)
	day(c).Faults = []spec.Fault{{Name: "gone", At: 99 * time.Second, Targets: []string{"instance.s0"}, Mode: spec.FaultHang}}
	picks, r := picksFrom(t, c, before)
	// The second before the change has 500, half of which time out from 104 s on, when s2 is there and s1 is not.
	if got, want := fmt.Sprint(servedIn(picks, 99*time.Second, 100*time.Second)), "map[s1:250 s2:250]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if r.Windows[0].Errors != 0 {
		t.Errorf("%d errors", r.Windows[0].Errors)
	}
}

// Each rule has its servers: who asks for two of them does not move.
func TestClientsOfTwoRulesDoNotMove(t *testing.T) {
	c := web(spec.SchedulerRR, 100, 100)
	webListener(c).StickySession = insertCookie(time.Hour)
	rule := addRule(c, "tom", "www.aaa.com/tom", 1)
	rule.StickySession = &spec.StickySession{Type: spec.StickyInsert, Cookie: "TOM", CookieTimeout: time.Hour}
	day(c).Traffic[0].Clients.Count = 100
	day(c).Traffic[0].Mix = mixOf("1 www.aaa.com/tom", "1 www.aaa.com/")
	day(c).Expects = []spec.Expect{{Name: "stay", Metric: spec.MetricClientsMoved, Max: limit(0), During: spec.DuringAll}}
	if e := run1(t, c, Options{}).Expectations[0]; e.Verdict != Pass || e.Detail != "0%, 0 of 100 clients in all" {
		t.Errorf("%s: %s", e.Verdict, e.Detail)
	}
}
