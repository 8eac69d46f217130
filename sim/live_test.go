package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/runtime/balance"
	"slbctl/sim/trace"
	"slbctl/spec"
)

// liveShop is a shop whose instances serve pages, with 10 s of its traffic.
func liveShop(c *spec.Config) *spec.Config {
	for _, i := range c.Instances {
		i.Protocol = spec.ProtocolHTTP
	}
	day(c).Duration, day(c).Traffic[0].Rate = 10*time.Second, 300
	day(c).Traffic[0].Clients.Count = 200
	return c
}

// standingOf is how listeners stand whose servers are all well, after so many tickets.
func standingOf(c *spec.Config, tickets uint64) (out []balance.Standing) {
	listeners, err := balance.Compile(c)
	if err != nil {
		panic(err)
	}
	for _, p := range listeners[0].Pools() {
		s := balance.Standing{Owner: p.Owner, Tickets: tickets}
		for _, b := range p.Backends {
			s.Servers = append(s.Servers, balance.ServerStanding{Requests: 1000, Name: b.Name, Health: balance.Normal, Age: time.Hour, Probe: time.Second})
		}
		out = append(out, s)
	}
	return out
}

func foretold1(t rapid.TB, c *spec.Config, tickets uint64) *Forecast {
	t.Helper()
	f, err := Foretell(c, "day", LiveOptions{Pools: standingOf(c, tickets), Lead: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// listenerOf answers calls as a listener does whose servers are all well, asking the core;
// when each comes is up to whoever calls.
type listenerOf struct {
	*balance.Listener
	pools  []*balance.Pool
	tables []*balance.Table
	states []*balance.State
	served [][]int64
}

func newListenerOf(c *spec.Config, pools []balance.Standing) *listenerOf {
	listeners, err := balance.Compile(c)
	if err != nil {
		panic(err)
	}
	l := &listenerOf{Listener: listeners[0], pools: listeners[0].Pools()}
	for k, p := range l.pools {
		s := balance.NewState(p, nil)
		s.Resume(&pools[k])
		l.states, l.served = append(l.states, s), append(l.served, make([]int64, len(p.Backends)))
		l.tables = append(l.tables, p.Table(func(int) balance.Health { return balance.Normal }))
	}
	return l
}

func (l *listenerOf) answer(c *Call) Reply {
	r := Reply{Source: c.Source, Done: c.At + 2*time.Millisecond}
	if c.Source.Port() == 0 {
		r.Source = netip.AddrPortFrom(c.Source.Addr(), 40000)
	}
	k := 0
	if spec.L7(l.Protocol) {
		route, ok := l.RouteRequest(nil, []byte(c.Host), []byte(c.Path))
		switch {
		case !ok:
			r.Status = http.StatusBadRequest
			return r
		case route.NotFound:
			r.Status = http.StatusNotFound
			return r
		case route.Redirect != nil:
			r.Status = http.StatusFound
			return r
		}
		k = route.Pool
	}
	i, ok := l.tables[k].PickClient(l.states[k], &balance.Client{Source: r.Source, Destination: l.Endpoint}, nil, int64(c.At))
	if !ok {
		return r
	}
	l.states[k].Done(i)
	l.served[k][i]++
	r.Status, r.Server = http.StatusOK, l.pools[k].Backends[i].Endpoint
	return r
}

func (l *listenerOf) standing() (out []balance.Standing) {
	for k, s := range l.states {
		servers := make([]balance.ServerStanding, len(l.served[k]))
		for i, n := range l.served[k] {
			servers[i].Requests = 1000 + n
		}
		out = append(out, s.Stand(servers))
	}
	return out
}

// replied has a listener answer a forecast's calls, which come in another order than they
// were sent: each up to 20 places off.
func replied(c *spec.Config, f *Forecast, random *rand.Rand) ([]Reply, Aftermath) {
	l := newListenerOf(c, f.opt.Pools)
	order := make([]int, len(f.Calls))
	for k := range order {
		order[k] = k
	}
	for k := range order {
		other := min(k+random.IntN(20), len(order)-1)
		order[k], order[other] = order[other], order[k]
	}
	replies := make([]Reply, len(f.Calls))
	for _, k := range order {
		replies[k] = l.answer(&f.Calls[k])
	}
	return replies, Aftermath{Generator: Generator{AtOnce: 20, Workers: 100, Lag: Lag{Limit: .01}}, Pools: l.standing()}
}

func compared(t rapid.TB, f *Forecast, replies []Reply, after Aftermath) *Result {
	t.Helper()
	r, err := f.Compare(replies, after)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestForetoldCountsAreEqual: whatever the weights, where the scheduler stands and in
// which order the requests come, turns and hashes give each server what was foretold.
func TestForetoldCountsAreEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 5), 2, 4).Draw(t, "weights")
		weights[0] = 1
		l7 := rapid.Bool().Draw(t, "L7")
		schedulers := []string{spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerSCH, spec.SchedulerTCH}
		if l7 {
			schedulers = schedulers[:2]
		}
		scheduler := rapid.SampledFrom(schedulers).Draw(t, "scheduler")
		c := shop(scheduler, weights...)
		if l7 {
			c = web(scheduler, weights...)
			addRule(c, "tom", "www.aaa.com/tom", 0, 1)
			addRule(c, "old", "old.aaa.com")
			day(c).Traffic[0].Mix = mixOf("3 www.aaa.com/tom", "2 www.bbb.com/", "1 old.aaa.com/", "1 www.aaa.com/none")
		}
		liveShop(c)
		day(c).Warmup = rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "warm-up")
		f := foretold1(t, c, rapid.Uint64Range(0, 1000).Draw(t, "tickets"))
		replies, after := replied(c, f, rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "order"))))
		r := compared(t, f, replies, after)
		if r.Live.Verdict != Pass || len(r.Live.Notes) > 0 {
			t.Fatalf("%s: %+v %q", r.Live.Verdict, r.Live.Agreement, r.Live.Notes)
		}
		for k, w := range r.Windows {
			for j, route := range w.Routes {
				if p := r.Live.Predicted.Windows[k].Routes[j]; p.Requests != route.Requests || p.Errors != route.Errors {
					t.Fatalf("%s: predicted %+v, observed %+v", w.Name, p, route)
				}
			}
		}
		exact := 0
		for _, a := range r.Live.Agreement {
			if a.Exact && a.Metric == metricRequests {
				exact++
			}
		}
		if want := len(weights); exact < want {
			t.Fatalf("only %d servers have counts that must be equal, of %d", exact, want)
		}
	})
}

// TestComparisonNotices: one request that goes elsewhere is enough where counts must be
// equal, and what keeps a run from showing anything makes it inconclusive.
func TestComparisonNotices(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerSCH} {
		c := liveShop(shop(scheduler, 1, 1))
		other := func(replies []Reply) {
			servers := newListenerOf(c, standingOf(c, 0)).Backends
			k := slices.IndexFunc(servers, func(b balance.Backend) bool { return b.Endpoint != replies[7].Server })
			replies[7].Server = servers[k].Endpoint
		}
		for name, test := range map[string]struct {
			spoil func(replies []Reply, after *Aftermath)
			want  Verdict
			note  string
		}{
			"nothing":   {func([]Reply, *Aftermath) {}, Pass, ""},
			"one moved": {func(r []Reply, _ *Aftermath) { other(r) }, Fail, ""},
			"two swapped": {func(r []Reply, _ *Aftermath) {
				k := slices.IndexFunc(r, func(x Reply) bool { return x.Server != r[0].Server })
				r[0].Server, r[k].Server = r[k].Server, r[0].Server
			}, map[string]Verdict{spec.SchedulerRR: Pass, spec.SchedulerSCH: Fail}[scheduler], ""},
			"one lost": {func(r []Reply, _ *Aftermath) { r[7].Status, r[7].Server = 0, netip.AddrPort{} }, Fail, ""},
			"one 5xx":  {func(r []Reply, _ *Aftermath) { r[7].Status = 500 }, Fail, ""},
			"late": {func(_ []Reply, after *Aftermath) {
				after.Generator.Lag.P99, after.Generator.Waited = 1, 5
			}, Inconclusive, "5 requests found all of its 100 workers busy"},
			"one unsent": {func(r []Reply, after *Aftermath) {
				r[7], after.Generator.Unsent = Reply{Unsent: true, Err: errors.New("port is taken")}, 1
			}, Pass, "port is taken"},
			"many unsent": {func(r []Reply, after *Aftermath) {
				for k := range 31 {
					r[7*k] = Reply{Unsent: true}
				}
				after.Generator.Unsent = 31
			}, Inconclusive, "could not send 31 requests"},
			"changed": {func(r []Reply, after *Aftermath) { other(r); after.Moved, after.Pools = true, nil }, Inconclusive, "changed meanwhile"},
			"unnamed": {func(r []Reply, _ *Aftermath) { r[7].Server = netip.MustParseAddrPort("192.0.2.1:80") }, Inconclusive, "did not say who it is"},
		} {
			t.Run(scheduler+"/"+name, func(t *testing.T) {
				f := foretold1(t, c, 5)
				replies, after := replied(c, f, rand.New(rand.NewPCG(1, 2)))
				test.spoil(replies, &after)
				r := compared(t, f, replies, after)
				if r.Verdict() != test.want || !strings.Contains(strings.Join(r.Live.Notes, "\n"), test.note) {
					t.Errorf("%s, want %s: %+v %q", r.Verdict(), test.want, r.Live.Agreement, r.Live.Notes)
				}
			})
		}
	}
}

// TestLiveClientsMoved: who has moved is counted of what was seen.
func TestLiveClientsMoved(t *testing.T) {
	for _, build := range []func(string, ...int) *spec.Config{shop, web} {
		c := liveShop(build(spec.SchedulerRR, 1, 1))
		day(c).Expects = []spec.Expect{{Name: "stay", Metric: spec.MetricClientsMoved, Max: limit(.5), During: "all"}}
		f := foretold1(t, c, 0)
		replies, after := replied(c, f, rand.New(rand.NewPCG(1, 2)))
		moved := compared(t, f, replies, after).Expectations[0]
		for k := range replies {
			replies[k].Server = f.Listener.Backends[0].Endpoint
		}
		stayed := compared(t, f, replies, after).Expectations[0]
		if moved.Verdict != Fail || stayed.Verdict != Pass {
			t.Errorf("turns move clients: %+v; one server keeps them: %+v", moved, stayed)
		}
	}
}

// TestOthersTakeTurns: who else connects meanwhile takes turns, and then nothing can be said.
func TestOthersTakeTurns(t *testing.T) {
	c := liveShop(shop(spec.SchedulerWRR, 3, 1))
	f := foretold1(t, c, 0)
	replies, after := replied(c, f, rand.New(rand.NewPCG(1, 2)))
	l := newListenerOf(c, f.opt.Pools)
	for k := range f.Calls {
		if replies[k] = l.answer(&f.Calls[k]); k%100 == 0 {
			l.answer(&f.Calls[k])
		}
	}
	after.Pools = l.standing()
	r := compared(t, f, replies, after)
	if r.Live.Verdict != Inconclusive || !strings.Contains(strings.Join(r.Live.Notes, "\n"), "30 connections that are not of this run") {
		t.Errorf("%s: %q", r.Live.Verdict, r.Live.Notes)
	}
}

// TestSamplesAgree: p2c chooses by what is in flight, so its counts only come near. A
// listener that prefers a server is noticed, and one that keeps clients is measured by
// its clients.
func TestSamplesAgree(t *testing.T) {
	for name, test := range map[string]struct {
		config func() *spec.Config
		prefer int // of 100 requests, so many go to the first server instead
		want   Verdict
	}{
		"p2c":            {func() *spec.Config { return shop(spec.SchedulerP2C, 2, 1) }, 0, Pass},
		"p2c, preferred": {func() *spec.Config { return shop(spec.SchedulerP2C, 2, 1) }, 50, Fail},
		"persistent": {func() *spec.Config {
			c := shop(spec.SchedulerRR, 1, 1)
			c.LoadBalancers[0].Listeners[0].PersistenceTimeout = time.Minute
			day(c).Traffic[0].Clients.Popularity = 1
			return c
		}, 0, Pass},
	} {
		t.Run(name, func(t *testing.T) {
			c := liveShop(test.config())
			for seed := range uint64(20) {
				f, err := Foretell(c, "day", LiveOptions{Seed: &seed, Pools: standingOf(c, 0), Lead: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				replies, after := replied(c, f, rand.New(rand.NewPCG(1, seed)))
				for k := range replies {
					if k%100 < test.prefer {
						replies[k].Server = f.Listener.Backends[0].Endpoint
					}
				}
				if r := compared(t, f, replies, after); r.Live.Verdict != test.want {
					t.Errorf("seed %d: %s, want %s: %+v", seed, r.Live.Verdict, test.want, r.Live.Agreement)
				}
			}
		})
	}
}

// TestMuteServers: those who do not say who they are have the numbers that the runtime has
// counted, of the whole run.
func TestMuteServers(t *testing.T) {
	for name, test := range map[string]struct {
		scheduler string
		others    int
		want      Verdict
	}{
		"turns":           {spec.SchedulerWRR, 0, Pass},
		"turns, others":   {spec.SchedulerWRR, 7, Inconclusive},
		"hash":            {spec.SchedulerSCH, 0, Pass},
		"hash, others":    {spec.SchedulerSCH, 7, Inconclusive},
		"samples":         {spec.SchedulerP2C, 0, Pass},
		"samples, others": {spec.SchedulerP2C, 1000, Fail},
	} {
		t.Run(name, func(t *testing.T) {
			c := liveShop(shop(test.scheduler, 3, 1))
			c.Instances[0].Command = []string{"server"}
			day(c).Expects = []spec.Expect{
				{Name: "nobody-notices", Metric: spec.MetricErrors, Max: limit(0), During: "all"},
				{Name: "rate", Metric: spec.MetricErrorRate, Max: limit(.1), During: "all", Confidence: .999},
			}
			f := foretold1(t, c, 3)
			replies, after := replied(c, f, rand.New(rand.NewPCG(1, 2)))
			for k := range replies {
				replies[k].Server = netip.AddrPort{}
			}
			after.Pools[0].Tickets += uint64(test.others)
			after.Pools[0].Servers[1].Requests += int64(test.others)
			r := compared(t, f, replies, after)
			if r.Live.Verdict != test.want || r.Expectations[0].Verdict != Pass || r.Expectations[1].Verdict != Pass {
				t.Errorf("%s: %+v %q %+v", r.Live.Verdict, r.Live.Agreement, r.Live.Notes, r.Expectations)
			}
			if w := r.Windows[0]; w.Requests != 3000 || len(w.Backends) != 0 || w.Latency == nil {
				t.Errorf("window %+v", w)
			}
			replies[7].Status = http.StatusBadGateway
			if r = compared(t, f, replies, after); r.Windows[0].Errors != 1 || r.Expectations[0].Verdict != Fail {
				t.Errorf("with one error: %+v", r.Windows[0])
			}
		})
	}
}

// TestForetellStandsWhereTheRuntimeDoes: a server that is ill gets nothing, and a fault is
// noticed by the probe that comes next.
func TestForetellStandsWhereTheRuntimeDoes(t *testing.T) {
	c := liveShop(shop(spec.SchedulerRR, 1, 1))
	c.LoadBalancers[0].Listeners[0].HealthCheck.UnhealthyThreshold = 2
	pools := standingOf(c, 0)
	pools[0].Servers[1].Health = balance.Abnormal
	f, err := Foretell(c, "day", LiveOptions{Pools: pools, Lead: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if w := f.run.result().Windows[0]; w.Backends[0].Requests != 3000 || w.Errors != 0 {
		t.Errorf("beside a server that is ill: %+v", w)
	}
	// Alone it refuses from 1 s to 3 s. Nobody is served until the probe after that.
	c = liveShop(shop(spec.SchedulerRR, 1))
	check := &c.LoadBalancers[0].Listeners[0].HealthCheck
	check.UnhealthyThreshold, check.HealthyThreshold = 1, 1
	day(c).Faults = []spec.Fault{{Name: "f", At: time.Second, For: 2 * time.Second, Targets: []string{"instance.s0"}, Mode: spec.FaultRefuse}}
	pools = standingOf(c, 0)
	for _, test := range []struct {
		probe time.Duration // after the start
		until time.Duration
	}{
		{500 * time.Millisecond, 4500 * time.Millisecond}, // it is found out at 2.5 s
		{1100 * time.Millisecond, 3100 * time.Millisecond},
		{990 * time.Millisecond, 4990 * time.Millisecond},
		{-1500 * time.Millisecond, 4500 * time.Millisecond}, // one comes before the start
	} {
		pools[0].Servers[0].Probe = 5*time.Second + test.probe
		if f, err = Foretell(c, "day", LiveOptions{Pools: pools, Lead: 5 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if w, want := f.run.result().Windows[0], int64(300*(test.until-time.Second)/time.Second); w.Errors != want {
			t.Errorf("next probe at %v: %d errors, want %d", test.probe, w.Errors, want)
		}
	}
}

// TestStrikesTogether: an instance under two faults does what both have it do.
func TestStrikesTogether(t *testing.T) {
	c := liveShop(web(spec.SchedulerRR, 1, 1))
	fault := func(name string, at, length time.Duration, mode string, rate float64) spec.Fault {
		return spec.Fault{Name: name, At: at * time.Second, For: length * time.Second, Targets: []string{"instance.s0"}, Mode: mode, ErrorRate: rate}
	}
	day(c).Faults = []spec.Fault{fault("a", 1, 3, spec.FaultErrors, .5), fault("b", 2, 1, spec.FaultRefuse, 0), fault("c", 4, 2, spec.FaultErrors, .5)}
	var got []string
	for _, s := range foretold1(t, c, 0).Strikes {
		got = append(got, fmt.Sprint(s.At, " ", s.For, " ", s.Fault.Refuse, s.Fault.ErrorRate, s.Fault.Status))
	}
	want := []string{"1s 1s false 0.5 503", "2s 1s true 0 0", "3s 3s false 0.5 503"}
	if !slices.Equal(got, want) {
		t.Errorf("strikes\n%q\nwant\n%q", got, want)
	}
	// Who hangs does nothing else, and what the block of the instance says is part of it all.
	c.Instances[0].Fault = &spec.InstanceFault{Delay: time.Second}
	day(c).Service = &spec.Service{Time: 10 * time.Millisecond, Workers: 10, Distribution: spec.ServiceConstant}
	was := day(c).Faults
	day(c).Faults = []spec.Fault{fault("a", 1, 4, spec.FaultSlow, 0), fault("b", 2, 1, spec.FaultHang, 0), fault("c", 3, 9, spec.FaultErrors, .5)}
	day(c).Faults[0].Factor = 11
	got = nil
	for _, s := range foretold1(t, c, 0).Strikes {
		got = append(got, fmt.Sprint(s.At, " ", s.For, " ", s.Fault.String()))
	}
	want = []string{"1s 1s delay=1.1s", "2s 1s hang", "3s 2s delay=1.1s,error_rate=0.5,status=503", "5s 5s delay=1s,error_rate=0.5,status=503"}
	if !slices.Equal(got, want) {
		t.Errorf("strikes\n%q\nwant\n%q", got, want)
	}
	day(c).Faults, c.Instances[0].Fault, day(c).Service = was, nil, nil
	day(c).Faults[2].At = 3 * time.Second
	if _, err := Foretell(c, "day", LiveOptions{Pools: standingOf(c, 0)}); err == nil || !strings.Contains(err.Error(), "by two faults at once") {
		t.Errorf("two rates: %v", err)
	}
}

func TestStrikes(t *testing.T) {
	c := liveShop(shop(spec.SchedulerRR, 1, 1, 1))
	day(c).Faults = []spec.Fault{
		{Name: "a", At: 2 * time.Second, For: 2 * time.Second, Zone: "a", Mode: spec.FaultRefuse}, // s0, s2
		{Name: "b", At: 3 * time.Second, Targets: []string{"instance.s2"}, Mode: spec.FaultRefuse},
		{Name: "c", At: time.Second, For: 2500 * time.Millisecond, Period: time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultFlap},
	}
	var got []string
	for _, s := range foretold1(t, c, 0).Strikes {
		got = append(got, fmt.Sprint(s.Instance, " ", s.At, " ", s.For, " ", s.Fault.String()))
	}
	want := []string{
		"instance.s1 1s 500ms refuse", "instance.s0 2s 2s refuse", "instance.s1 2s 500ms refuse",
		"instance.s2 2s 8s refuse", "instance.s1 3s 500ms refuse",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("strikes\n%q\nwant\n%q", got, want)
	}
}

// TestCannotBeSent: what a live run cannot do is an error that says what.
func TestCannotBeSent(t *testing.T) {
	for want, spoil := range map[string]func(c *spec.Config){
		"its faults are hang and refuse": func(c *spec.Config) {
			for _, i := range c.Instances {
				i.Protocol = spec.ProtocolUDPEcho
			}
			day(c).Service = &spec.Service{Time: time.Millisecond, Workers: 1, Distribution: spec.ServiceConstant}
			day(c).Faults = []spec.Fault{{Name: "f", Targets: []string{"instance.s0"}, Mode: spec.FaultSlow, Factor: 2}}
		},
		"is no instance of slbctl": func(c *spec.Config) {
			c.LoadBalancers[0].Backends[1] = spec.Backend{Address: netip.MustParseAddr("127.0.0.1"), Port: 1, Weight: 1}
		},
		"and others do not": func(c *spec.Config) { c.Instances[1].Protocol = spec.ProtocolTCPEcho },
		"is not known":      func(c *spec.Config) { recordedShop(c, 1, 1) },
		"has a fault, too": func(c *spec.Config) {
			day(c).Faults = []spec.Fault{{Name: "f", Targets: []string{"instance.s0"}, Mode: spec.FaultHang}}
			day(c).Deploys = []spec.Deploy{{Name: "v2", Zone: "a", Batch: 1}}
		},
		"is started anew by deploy": func(c *spec.Config) {
			day(c).Deploys = []spec.Deploy{{Name: "v2", Zone: "a", Batch: 1}, {Name: "v3", Targets: []string{"instance.s0"}, Batch: 1}}
		},
		"does not start anew": func(c *spec.Config) {
			c.Instances[0].Command = []string{"x"}
			day(c).Deploys = []spec.Deploy{{Name: "v2", Zone: "a", Batch: 1}}
		},
		"does not serve":                func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].Status = spec.StatusStopped },
		"it must listen there":          func(c *spec.Config) { c.LoadBalancers[0].IP = netip.MustParseAddr("192.0.2.1") },
		"3000000 requests are too many": func(c *spec.Config) { day(c).Traffic[0].Rate = 300_000 },
		"more clients than there are": func(c *spec.Config) {
			day(c).Traffic[0].Clients = spec.Clients{Count: 1 << 23, Network: netip.MustParsePrefix("10.0.0.0/8")}
		},
	} {
		c := liveShop(shop(spec.SchedulerRR, 1, 1))
		spoil(c)
		pools := standingOf(liveShop(shop(spec.SchedulerRR, 1, 1)), 0)
		if _, err := Foretell(c, "day", LiveOptions{Pools: pools}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestLoopbackClients: clients differ where they do in the scenario, and share an address
// where they do there; those of 127.0.0.0/8 keep theirs.
func TestLoopbackClients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &spec.Simulation{}
		networks := []string{"203.0.113.0/24", "10.0.0.0/8", "127.5.0.0/16", "198.51.100.7/32", "192.0.2.0/30"}
		for k := range rapid.IntRange(1, 4).Draw(t, "streams") {
			s.Traffic = append(s.Traffic, spec.Traffic{Name: fmt.Sprint(k), Clients: spec.Clients{
				Count: rapid.IntRange(1, 1000).Draw(t, "count"), Network: netip.MustParsePrefix(rapid.SampledFrom(networks).Draw(t, "network")),
			}})
		}
		live, err := new(loopbackAddresses).networks(s)
		if err != nil {
			t.Fatal(err)
		}
		from := map[netip.Addr]netip.Addr{}
		back := map[netip.Addr]netip.Addr{}
		for k := range s.Traffic {
			was, is := newClients(&s.Traffic[k], nil, 1), newClients(&live.Traffic[k], nil, 1)
			kept := loopback.Contains(s.Traffic[k].Clients.Network.Addr())
			for client := range uint64(s.Traffic[k].Clients.Count) {
				a, b := was.address(client), is.address(client)
				if kept && a != b || !kept && !ofClients.Contains(b) {
					t.Fatalf("client %v sends from %v", a, b)
				}
				if x, ok := from[a]; ok && x != b {
					t.Fatalf("%v sends from %v and from %v", a, x, b)
				}
				if x, ok := back[b]; ok && x != a {
					t.Fatalf("%v and %v both send from %v", a, x, b)
				}
				from[a], back[b] = b, a
			}
		}
	})
}

// TestRecordOfLiveRun: the core makes of a recorded run what the listener has made of it.
func TestRecordOfLiveRun(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerSCH, spec.SchedulerTCH} {
		c := liveShop(shop(scheduler, 3, 2, 1))
		f := foretold1(t, c, 4)
		replies, _ := replied(c, f, rand.New(rand.NewPCG(1, 2)))
		if scheduler == spec.SchedulerRR { // in their order
			l := newListenerOf(c, f.opt.Pools)
			for k := range replies {
				replies[k] = l.answer(&f.Calls[k])
			}
		}
		path := t.TempDir() + "/live.trace"
		if err := f.Record(path, replies); err != nil {
			t.Fatal(err)
		}
		b, err := RunBacktest(c, listenerAddress, path, Options{})
		if err != nil || b.Compared != 3000 || b.Agreed != b.Compared {
			t.Errorf("%s: %+v, %v", scheduler, b, err)
		}
		x, err := trace.Open(t.Context(), path, trace.Options{})
		if err != nil {
			t.Fatal(err)
		}
		x.Close()
	}
}

// TestLiveReplay: the clients of a log send from addresses of their own, at the times of
// the log, and keep their cookies.
func TestLiveReplay(t *testing.T) {
	path := t.TempDir() + "/log"
	log, err := trace.NewRecorder(path)
	if err != nil {
		t.Fatal(err)
	}
	for k, client := range []string{"192.0.2.1:1", "192.0.2.2:2", "192.0.2.1:3", "127.7.7.7:4"} {
		log.Add(trace.Record{At: time.Duration(k) * time.Second, Client: netip.MustParseAddrPort(client), Method: "GET", Host: "www.abc.com", Path: "/x"})
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	c := liveShop(web(spec.SchedulerRR, 1, 1))
	day(c).Traffic = append(day(c).Traffic, spec.Traffic{Name: "yesterday", Log: path})
	day(c).Traffic[0].Rate = 1
	f := foretold1(t, c, 0)
	var got []string
	for _, call := range f.Calls {
		if call.Host == "www.abc.com" {
			got = append(got, fmt.Sprint(call.At, " ", call.Source.Addr(), " ", call.Path, " ", call.Cookies))
		}
	}
	first := ofClients.Addr().As4()
	first[2] = 1 // behind the drawn clients' /24
	want := []string{"0s A /x true", "1s B /x true", "2s A /x true", "3s 127.7.7.7 /x true"}
	for k := range want {
		want[k] = strings.NewReplacer("A", netip.AddrFrom4(first).String(), "B", netip.AddrFrom4(first).Next().String()).Replace(want[k])
	}
	if !slices.Equal(got, want) {
		t.Errorf("sent\n%q\nwant\n%q", got, want)
	}
	replies, after := replied(c, f, rand.New(rand.NewPCG(1, 2)))
	if r := compared(t, f, replies, after); r.Live.Verdict != Pass || r.Requests != 14 {
		t.Errorf("%s of %d requests: %+v", r.Live.Verdict, r.Requests, r.Live.Agreement)
	}
}

// TestDatagramsComeFromFreshPorts: no client comes twice from one port, in one run, and another
// run has others.
func TestDatagramsComeFromFreshPorts(t *testing.T) {
	c := liveShop(shop(spec.SchedulerTCH, 1, 1))
	c.LoadBalancers[0].Listeners[0].Protocol = spec.ProtocolUDP
	for _, i := range c.Instances {
		i.Protocol = spec.ProtocolUDPEcho
	}
	day(c).Traffic[0].Rate, day(c).Traffic[0].Clients.Count = 6000, 2
	seen := map[netip.AddrPort]bool{}
	for salt := range uint64(2) {
		f, err := Foretell(c, "day", LiveOptions{Pools: standingOf(c, 0), Salt: 1 + 60_000*40505*salt})
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range f.Calls {
			if seen[call.Source] {
				t.Fatalf("salt %d: %v comes again", salt, call.Source)
			}
			seen[call.Source] = true
		}
		if want := int(6000 * day(c).Duration.Seconds()); !f.Echo || len(f.Calls) != want {
			t.Errorf("%d calls, echo %v", len(f.Calls), f.Echo)
		}
		day(c).Duration = 500 * time.Millisecond
	}
}

func TestLiveText(t *testing.T) {
	c := web(spec.SchedulerRR, 1, 1)
	addRule(c, "tom", "www.aaa.com/tom", 0, 1)
	liveShop(c)
	day(c).Traffic[0].Mix = mixOf("3 www.aaa.com/tom", "1 www.bbb.com/")
	day(c).Expects = []spec.Expect{{Name: "nobody-notices", Metric: spec.MetricErrors, Max: limit(0), During: "all"}}
	f := foretold1(t, c, 0)
	replies, after := replied(c, f, rand.New(rand.NewPCG(1, 2)))
	replies[3].Status, replies[3].Server = http.StatusBadGateway, netip.AddrPort{}
	r := compared(t, f, replies, after)
	var text, document bytes.Buffer
	if err := WriteText(&text, []*Result{r}, false); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(&document, []*Result{r}); err != nil {
		t.Fatal(err)
	}
	const want = `simulation "day"  live, 10s, seed 42
  to load_balancer.lb.listener["http:80"], rr
  browse: 300 requests/s, constant, from 200 clients of 127.128.0.0/24
    sessions without end, with cookies
    75% for www.aaa.com/tom
    25% for www.bbb.com/

  window                     predicted   share  observed   share
  run
    instance.s0                    354               354                       equal
    instance.s1                    354               354                       equal
    rule["tom"] instance.s0       1146              1146                       equal
    rule["tom"] instance.s1       1146              1145                   NOT EQUAL
  all                             3000              3000
    errors                           0                 1          NOT within 1 to 25
    rule["tom"]                   2292              2292
      instance.s0                 1146  50.00%      1146  50.02%
      instance.s1                 1146  50.00%      1145  49.98%
    no rule                        708               708
      instance.s0                  354  50.00%       354  50.00%
      instance.s1                  354  50.00%       354  50.00%
  steady                          3000              3000
    errors                           0                 1          NOT within 1 to 25
    rule["tom"]                   2292              2292
      instance.s0                 1146  50.00%      1146  50.02%
      instance.s1                 1146  50.00%      1145  49.98%
    no rule                        708               708
      instance.s0                  354  50.00%       354  50.00%
      instance.s1                  354  50.00%       354  50.00%

  latency           p50  p90  p99  p99.9  max
  all, observed     2ms  2ms  2ms    2ms  2ms
  steady, observed  2ms  2ms  2ms    2ms  2ms

  the generator had up to 20 requests under way at once, with 100 workers, and was late by 0s (p50), 0s (p99), 0s (max)

  FAIL  nobody-notices  wanted at most 0
                        predicted 0 of 3000 requests in all (pass)
                        observed 1 of 3000 requests in all
  FAIL  what was observed is not what was predicted
`
	if text.String() != want {
		t.Errorf("report\n%s\nwant\n%s", text.String(), want)
	}
	checkSorted(t, json.NewDecoder(&document), "")
}

// TestClientsOfIPv6: there is one address to send from, so that only ports tell clients apart, which no two calls
// of any stream have in common.
func TestClientsOfIPv6(t *testing.T) {
	path := t.TempDir() + "/log"
	log, err := trace.NewRecorder(path)
	if err != nil {
		t.Fatal(err)
	}
	log.Add(trace.Record{Client: netip.MustParseAddrPort("192.0.2.1:1")})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for scheduler, counted := range map[string]int{spec.SchedulerTCH: 2, spec.SchedulerWRR: 2} {
		c := liveShop(shop(scheduler, 2, 1))
		c.LoadBalancers[0].IP = netip.IPv6Loopback()
		day(c).Traffic = append(day(c).Traffic, day(c).Traffic[0], spec.Traffic{Name: "yesterday", Log: path})
		day(c).Traffic[1].Name = "more"
		f := foretold1(t, c, 5)
		seen := map[netip.AddrPort]bool{}
		for _, call := range f.Calls {
			if call.Source.Addr() != netip.IPv6Loopback() || scheduler == spec.SchedulerTCH && seen[call.Source] {
				t.Fatalf("%s: %v sends, again %v", scheduler, call.Source, seen[call.Source])
			}
			seen[call.Source] = true
		}
		replies, after := replied(c, f, rand.New(rand.NewPCG(1, 2)))
		exact := 0
		r := compared(t, f, replies, after)
		for _, a := range r.Live.Agreement {
			if a.Exact && a.Metric == metricRequests {
				exact++
			}
		}
		if r.Live.Verdict != Pass || exact != counted || r.Requests != 6001 {
			t.Errorf("%s: %s of %d requests, %d are exact: %+v", scheduler, r.Live.Verdict, r.Requests, exact, r.Live.Agreement)
		}
	}
}
