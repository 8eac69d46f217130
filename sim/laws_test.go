package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// The laws that hold whatever the scenario: what is renamed, scaled or split gives the same, and nothing is
// lost on the way.

// drawScenario draws a listener of HTTP or TCP with servers that may take time, clients, accidents, drains,
// deployments and a change. The recorded configuration is nil where there is no change.
func drawScenario(t *rapid.T) (c, before *spec.Config) {
	if rapid.Bool().Draw(t, "http") {
		c = drawWeb(t)
		before = drawBefore(t, c)
		webListener(c).RequestTimeout = rapid.SampledFrom([]time.Duration{time.Minute, 30 * time.Millisecond}).Draw(t, "request timeout")
	} else {
		c = drawTCP(t)
	}
	sim := day(c)
	sim.Faults[0].Mode = rapid.SampledFrom([]string{spec.FaultRefuse, spec.FaultErrors, spec.FaultFlap, spec.FaultHang}).Draw(t, "accident")
	sim.Faults[0].ErrorRate, sim.Faults[0].Period = rapid.SampledFrom([]float64{0.3, 1}).Draw(t, "rate"), 400*time.Millisecond
	if rapid.Bool().Draw(t, "service") {
		sim.Service = &spec.Service{
			Time: 15 * time.Millisecond, Sigma: 1, Workers: rapid.IntRange(1, 2).Draw(t, "workers"), Queue: rapid.IntRange(0, 20).Draw(t, "queue"),
			Distribution: rapid.SampledFrom([]string{spec.ServiceConstant, spec.ServiceExponential, spec.ServiceLognormal}).Draw(t, "distribution"),
			Discipline:   rapid.SampledFrom([]string{spec.DisciplineFCFS, spec.DisciplinePS}).Draw(t, "discipline"),
		}
		if sim.Faults[0].Factor = 4; rapid.Bool().Draw(t, "slow") {
			sim.Faults[0].Mode = spec.FaultSlow
		}
	}
	return c, before
}

func drawTCP(t *rapid.T) *spec.Config {
	weights := rapid.SliceOfN(rapid.IntRange(0, 3), 2, 5).Draw(t, "weights")
	c := shop(rapid.SampledFrom([]string{
		spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerSCH, spec.SchedulerTCH, spec.SchedulerP2C, spec.SchedulerLeast,
	}).Draw(t, "scheduler"), weights...)
	l := webListener(c)
	l.HealthCheck.Interval, l.HealthCheck.Timeout = 300*time.Millisecond, 300*time.Millisecond
	l.PersistenceTimeout = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "persistence")
	l.SlowStart = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "slow start")
	s := day(c)
	s.Duration = 4 * time.Second
	s.Traffic[0].Rate, s.Traffic[0].Arrivals = 100, spec.ArrivalsPoisson
	s.Traffic[0].Clients.Count = rapid.IntRange(1, 20).Draw(t, "clients")
	s.Seed = rapid.Uint64Range(0, 99).Draw(t, "seed")
	s.Faults = []spec.Fault{{Name: "dead", At: time.Second, For: time.Second, Targets: []string{"instance.s1"}}}
	if rapid.Bool().Draw(t, "deploy") {
		s.Deploys = []spec.Deploy{{Name: "v2", At: 1500 * time.Millisecond, Targets: []string{"instance.s0", "instance.s1"}, Batch: 1, Drain: 100 * time.Millisecond, Startup: 200 * time.Millisecond}}
	}
	return c
}

// trail is all that a run decided, in the order in which it came.
func trail(t *rapid.T, c, before *spec.Config) (r *run, picks []Pick) {
	r, err := newRun(c, day(c), Options{Before: before, Observe: func(p Pick) { picks = append(picks, p) }})
	if err != nil {
		t.Skip(err) // two rules for the same requests
	}
	r.play()
	slices.SortStableFunc(picks, func(a, b Pick) int { return cmp.Compare(a.At, b.At) })
	return r, picks
}

// written tells picks down, under other names.
func written(picks []Pick, name func(string) string) (out []string) {
	for _, p := range picks {
		out = append(out, fmt.Sprint(p.At, " ", p.Took, " ", p.Client.Source, " ", p.Outcome, " ", name(p.Backend)))
	}
	return out
}

func asIs(name string) string { return name }

// agree reports the first pick in which two runs differ.
func agree(t *rapid.T, what string, got, want []string) {
	for k := range min(len(got), len(want)) {
		if got[k] != want[k] {
			t.Fatalf("%s: pick %d is %s, was %s", what, k, got[k], want[k])
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d picks, %d before", what, len(got), len(want))
	}
}

// eachBackend changes the members of all groups.
func eachBackend(c *spec.Config, change func(*spec.Backend)) *spec.Config {
	out := *c
	out.LoadBalancers, out.ServerGroups = nil, nil
	members := func(list []spec.Backend) []spec.Backend {
		list = slices.Clone(list)
		for k := range list {
			change(&list[k])
		}
		return list
	}
	for _, lb := range c.LoadBalancers {
		next := *lb
		next.Backends = members(lb.Backends)
		out.LoadBalancers = append(out.LoadBalancers, &next)
	}
	for _, g := range c.ServerGroups {
		next := *g
		next.Backends = members(g.Backends)
		out.ServerGroups = append(out.ServerGroups, &next)
	}
	return &out
}

// What came is counted once, in the window it came in, and what began ends.
func TestNothingIsLostWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, before := drawScenario(rt)
		r, picks := trail(rt, c, before)
		if int64(len(picks)) != r.requests {
			rt.Errorf("%d have come, of %d is known what became of them", r.requests, len(picks))
		}
		tells := map[Outcome]int64{}
		work := int64(0)
		for _, p := range picks {
			tells[p.Outcome]++
		}
		all := r.result().Windows[0]
		if all.Requests != r.requests || all.served() != tells[Served] ||
			all.Errors != tells[Failed]+tells[TimedOut]+tells[Errored]+tells[Cut]+tells[Dropped] || all.Denied != tells[Denied] {
			rt.Errorf("%+v, and in all %v", all, tells)
		}
		routed := all.Denied
		for _, route := range all.Routes {
			routed += route.Requests
		}
		if len(all.Routes) > 0 && routed+tells[Dropped]+tells[NotFound]+tells[Refused] > r.requests {
			rt.Errorf("%d in routes of %d", routed, r.requests)
		}
		// Windows other than all, taken together, have every request at least once.
		sum := int64(0)
		for _, w := range r.result().Windows[1:] {
			sum += w.Requests
		}
		if sum < all.Requests {
			rt.Errorf("%d in steady and the windows of events, %d in all", sum, all.Requests)
		}
		r.depart(1 << 62)
		for k := range r.pools {
			for i := range r.pools[k].Backends {
				if n := r.pools[k].state.Active(i); n != 0 {
					rt.Errorf("%d in flight to %s when all is over", n, r.pools[k].Backends[i].Name)
				}
			}
		}
		if r.jobs != nil && len(r.jobs.free) != len(r.jobs.list) {
			rt.Errorf("%d of %d places for jobs are free when all is over", len(r.jobs.free), len(r.jobs.list))
		}
		for _, s := range r.stations {
			if len(s.parts) > 0 {
				rt.Errorf("%d jobs have not ended", len(s.parts))
			}
			work += s.work
		}
		if work < 0 {
			rt.Errorf("the servers have worked for %v", time.Duration(work))
		}
	})
}

// A change to what is there already changes nothing, but for the turns of wlc, which begin anew with each table.
func TestAChangeToTheSameChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, _ := drawScenario(rt)
		day(c).Changes = nil
		// Who waits when a change comes may try again whom it tried before.
		if f := &day(c).Faults[0]; f.Mode == spec.FaultHang {
			f.Mode = spec.FaultRefuse
		}
		webListener(c).Retry.Timeout = false
		r, want := trail(rt, c, nil)
		if slices.ContainsFunc(r.pools, func(p pool) bool { return p.Scheduler == spec.SchedulerWLC }) {
			rt.Skip("wlc")
		}
		day(c).Changes = []spec.SimulatedChange{{Name: "no change", At: time.Duration(rapid.IntRange(0, 3999).Draw(rt, "when")) * time.Millisecond}}
		_, got := trail(rt, c, c)
		agree(rt, "with a change to the same", written(got, asIs), written(want, asIs))
	})
}

// Servers that keep a list of their jobs, for somebody may cut them off, serve as those do whose work has a
// known end when it comes.
func TestBothWaysToServeAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, _ := drawScenario(rt)
		s := day(c)
		s.Changes, s.Drains, s.Deploys = nil, nil, nil
		if s.Service == nil {
			rt.Skip("no time is taken")
		}
		s.Service.Discipline = spec.DisciplineFCFS
		_, want := trail(rt, c, nil)
		var got []Pick
		r, err := newRun(c, s, Options{Observe: func(p Pick) { got = append(got, p) }})
		if err != nil {
			rt.Fatal(err)
		}
		r.jobs = newJobs()
		r.play()
		slices.SortStableFunc(got, func(a, b Pick) int { return cmp.Compare(a.At, b.At) })
		agree(rt, "with lists of jobs", written(got, asIs), written(want, asIs))
	})
}

// Names mean nothing but an order, except to hashes.
func TestNamesMeanNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, _ := drawScenario(rt)
		if day(c).Changes = nil; asksWho(&balance.Listener{Pool: balance.Pool{Scheduler: webListener(c).Scheduler}}) {
			rt.Skip("a hash")
		}
		_, want := trail(rt, c, nil)
		rename := func(address string) string {
			if address == "" {
				return ""
			}
			return "instance.other-" + address[len("instance."):]
		}
		other := eachBackend(c, func(b *spec.Backend) { b.Instance = rename(b.Instance) })
		other.Instances = nil
		for _, i := range c.Instances {
			next := *i
			next.Address = rename(i.Address)
			other.Instances = append(other.Instances, &next)
		}
		s := *day(c)
		other.Simulations = []*spec.Simulation{&s}
		s.Faults, s.Drains, s.Deploys = slices.Clone(s.Faults), slices.Clone(s.Drains), slices.Clone(s.Deploys)
		all := func(list *[]string) {
			*list = slices.Clone(*list)
			for k := range *list {
				(*list)[k] = rename((*list)[k])
			}
		}
		for k := range s.Faults {
			all(&s.Faults[k].Targets)
		}
		for k := range s.Drains {
			all(&s.Drains[k].Targets)
		}
		for k := range s.Deploys {
			all(&s.Deploys[k].Targets)
		}
		_, got := trail(rt, other, nil)
		agree(rt, "under other names", written(got, asIs), written(want, rename))
	})
}

// Where schedulers sort by name, the order of the file means nothing.
func TestTheOrderOfTheFileMeansNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := drawTCP(rt)
		if l := webListener(c); l.Scheduler == spec.SchedulerRR || l.Scheduler == spec.SchedulerWRR {
			rt.Skip("turns go by the file")
		}
		day(c).Faults[0].Mode = spec.FaultRefuse
		_, want := trail(rt, c, nil)
		other := eachBackend(c, func(*spec.Backend) {})
		slices.Reverse(other.LoadBalancers[0].Backends)
		_, got := trail(rt, other, nil)
		agree(rt, "in another order", written(got, asIs), written(want, asIs))
	})
}

// Weights are proportions.
func TestWeightsAreProportions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, before := drawScenario(rt)
		k := rapid.IntRange(2, 30).Draw(rt, "k")
		_, want := trail(rt, c, before)
		scale := func(b *spec.Backend) {
			if b.Weight <= 3 { // groups of rules have 100 each
				b.Weight *= k
			}
		}
		if before != nil {
			before = eachBackend(before, scale)
		}
		_, got := trail(rt, eachBackend(c, scale), before)
		agree(rt, fmt.Sprintf("with %d times the weights", k), written(got, asIs), written(want, asIs))
	})
}

// Two servers of half the weight serve what one of the whole did: under wrr to a turn for each new sequence, under hashes to the part that moves by chance.
func TestTwoHalvesServeLikeTheWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		scheduler := rapid.SampledFrom([]string{spec.SchedulerWRR, spec.SchedulerSCH, spec.SchedulerTCH, spec.SchedulerP2C}).Draw(rt, "scheduler")
		weights := []int{2 * rapid.IntRange(1, 20).Draw(rt, "split"), rapid.IntRange(1, 40).Draw(rt, "b"), rapid.IntRange(1, 40).Draw(rt, "c")}
		build := func(weights ...int) *spec.Config {
			c := shop(scheduler, weights...)
			s := day(c)
			s.Traffic[0].Rate, s.Duration, s.Traffic[0].Clients = 200, 30*time.Second, spec.Clients{Count: 20000, Network: netip.MustParsePrefix("10.0.0.0/8")}
			s.Drains = []spec.SimulatedDrain{{Name: "d", At: 10 * time.Second, For: 5 * time.Second, Targets: []string{"instance.s1"}}}
			return c
		}
		served := func(c *spec.Config) map[string]int {
			_, picks := trail(rt, c, nil)
			return servedIn(picks, 0, time.Hour)
		}
		whole, halves := served(build(weights...)), served(build(weights[0]/2, weights[1], weights[2], weights[0]/2))
		got, want, total := halves["s0"]+halves["s3"], whole["s0"], 6000
		off := max(got-want, want-got)
		switch scheduler {
		case spec.SchedulerWRR:
			if off > 6 { // a turn or two for each of three sequences
				rt.Errorf("halves of %v serve %v, the whole %v", weights, halves, whole)
			}
		default:
			if off > total*4/100 {
				rt.Errorf("%s: halves of %v serve %v, the whole %v", scheduler, weights, halves, whole)
			}
		}
	})
}
