package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"slbctl/spec"
)

// promisedBy renders what becomes of the expectations of a shop's balancer.
func promisedBy(t *testing.T, c *spec.Config, drained []string, expects ...spec.Expect) (out []string) {
	t.Helper()
	c.LoadBalancers[0].Expects = expects
	list, err := Promises(c, drained...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if p.Address != "load_balancer.lb" {
			t.Errorf("address %q", p.Address)
		}
		out = append(out, fmt.Sprintf("%s %s: %s, not %s", p.Verdict, p.Name, p.Wanted, p.Detail))
	}
	return out
}

func shareOf(instance string, low, high float64) spec.Expect {
	return spec.Expect{Name: "share", Metric: spec.MetricShare, Of: instance, Min: &low, Max: &high, During: spec.DuringAll}
}

func noMore(metric string, most float64, during string) spec.Expect {
	return spec.Expect{Name: metric, Metric: metric, Max: &most, During: during}
}

func TestPromises(t *testing.T) {
	acl := func(c *spec.Config, kind string, entries ...string) {
		list := &spec.ACL{Meta: spec.Meta{Address: "acl.a"}}
		for _, e := range entries {
			list.Entries = append(list.Entries, netip.MustParsePrefix(e))
		}
		c.ACLs = []*spec.ACL{list}
		l := c.LoadBalancers[0].Listeners[0]
		l.ACL, l.ACLType = "acl.a", kind
	}
	for name, tt := range map[string]struct {
		config  *spec.Config
		change  func(c *spec.Config)
		drained []string
		expect  spec.Expect
		want    string
	}{
		"share of turns":          {shop(spec.SchedulerWRR, 2, 1), nil, nil, shareOf("instance.s0", 0.66, 0.67), "pass share: 66% to 67%, not 66.6667% of new connections"},
		"share outside":           {shop(spec.SchedulerRR, 1, 1), nil, nil, shareOf("instance.s0", 0.6, 1), "fail share: 60% to 100%, not 50% of new connections"},
		"share without a zone":    {shop(spec.SchedulerRR, 1, 1, 1, 1), nil, nil, during(shareOf("instance.s0", 0.5, 0.5), "zone=b"), "pass share: 50%, not 50% of new connections without zone b"},
		"share of who is lost":    {shop(spec.SchedulerRR, 1, 1), nil, nil, during(shareOf("instance.s1", 0, 0), "instance.s1"), "pass share: 0%, not 0% of new connections without instance.s1"},
		"share of who is drained": {shop(spec.SchedulerRR, 1, 1), nil, []string{"instance.s1"}, shareOf("instance.s1", 0.5, 0.5), "fail share: 50%, not 0% of new connections"},
		"share of nothing":        {shop(spec.SchedulerRR, 0, 0), nil, nil, shareOf("instance.s0", 0, 1), "inconclusive share: 0% to 100%, not no server gets traffic"},
		"nobody is lost":          {shop(spec.SchedulerRR, 1, 1), nil, nil, noMore(spec.MetricErrors, 0, "instance.old"), "inconclusive errors: at most 0, not instance.old is not there to be lost"},
		"no errors":               {shop(spec.SchedulerWLC, 1, 1), nil, nil, noMore(spec.MetricErrors, 0, spec.DuringAll), "pass errors: at most 0, not 0 of 100 simulated connections"},
		"all is lost": {shop(spec.SchedulerRR, 1, 1), nil, nil, noMore(spec.MetricErrorRate, 0.1, "zone=a"),
			"pass error_rate: at most 10%, not 0%, 0 of 100 simulated connections without zone a"},
		"the last one is lost": {shop(spec.SchedulerRR, 1), nil, nil, noMore(spec.MetricErrorRate, 0.1, "instance.s0"),
			"fail error_rate: at most 10%, not 100%, 100 of 100 simulated connections without instance.s0"},
		"everybody is drained": {shop(spec.SchedulerRR, 1, 1), nil, []string{"instance.s0", "instance.s1"}, noMore(spec.MetricErrors, 0, spec.DuringSteady),
			"fail errors: at most 0, not 100 of 100 simulated connections"},
		"a white list": {shop(spec.SchedulerRR, 1), func(c *spec.Config) { acl(c, spec.ACLWhite, "172.16.1.0/30") }, nil, noMore(spec.MetricErrors, 0, spec.DuringAll),
			"pass errors: at most 0, not 0 of 100 simulated connections"},
		"an empty white list": {shop(spec.SchedulerRR, 1), func(c *spec.Config) { acl(c, spec.ACLWhite) }, nil, noMore(spec.MetricErrors, 0, spec.DuringAll),
			"inconclusive errors: at most 0, not the access list lets nobody in"},
		"a black list": {shop(spec.SchedulerRR, 1), func(c *spec.Config) { acl(c, spec.ACLBlack, "203.0.113.0/24") }, nil, noMore(spec.MetricErrors, 0, spec.DuringAll),
			"pass errors: at most 0, not 0 of 100 simulated connections"},
		"a limit": {shop(spec.SchedulerRR, 1), func(c *spec.Config) { c.LoadBalancers[0].Spec = "slb.s1.small" }, nil, noMore(spec.MetricErrors, 0, spec.DuringAll),
			"pass errors: at most 0, not 0 of 100 simulated connections"},
		"stopped": {shop(spec.SchedulerRR, 1), func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].Status = spec.StatusStopped }, nil, noMore(spec.MetricErrors, 0, spec.DuringAll),
			"inconclusive errors: at most 0, not no listener that it concerns serves"},
		"a path that no rule takes": {web(spec.SchedulerRR, 1, 1), func(c *spec.Config) { addRule(c, "tom", "www.abc.com/tom", 0) }, nil, noMore(spec.MetricUnrouted, 0, spec.DuringAll), ""},
		"a rule for the rest": {web(spec.SchedulerRR, 1, 1), func(c *spec.Config) {
			addRule(c, "tom", "www.abc.com/tom", 0)
			addRule(c, "rest", "www.abc.com", 1)
		}, nil, noMore(spec.MetricUnrouted, 0, spec.DuringAll), "pass unrouted: at most 0, not 0 of 300 simulated requests"},
		"a redirect": {web(spec.SchedulerRR, 1, 1), func(c *spec.Config) { addRule(c, "tom", "www.abc.com") }, nil, noMore(spec.MetricErrorRate, 0, spec.DuringAll),
			"pass error_rate: at most 0%, not 0%, 0 of 200 simulated requests"},
		"a rule whose server is lost": {web(spec.SchedulerRR, 1, 1), func(c *spec.Config) { addRule(c, "tom", "*.abc.com", 0) }, nil, noMore(spec.MetricErrorRate, 0.4, "instance.s0"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.change != nil {
				tt.change(tt.config)
			}
			got := promisedBy(t, tt.config, tt.drained, tt.expect)
			if len(got) != 1 {
				t.Fatalf("got %q", got)
			}
			if tt.want == "" { // a part of the requests: chance says how many
				if got[0][:4] != "fail" {
					t.Errorf("got %s", got[0])
				}
			} else if got[0] != tt.want {
				t.Errorf("got  %s\nwant %s", got[0], tt.want)
			}
		})
	}
}

func during(e spec.Expect, loss string) spec.Expect {
	e.During = loss
	return e
}

// TestPromisesOfEachPool: a share is held at every pool that has the server, the other
// metrics at every listener that they are about.
func TestPromisesOfEachPool(t *testing.T) {
	c := web(spec.SchedulerRR, 1, 1)
	addRule(c, "tom", "www.abc.com", 0)
	addRule(c, "jerry", "www.xyz.com", 1)
	tcp := *c.LoadBalancers[0].Listeners[0]
	tcp.Meta = spec.Meta{Address: listenerAddress, Name: "tcp:80"}
	tcp.Protocol, tcp.Port, tcp.Rules = spec.ProtocolTCP, 81, nil
	c.LoadBalancers[0].Listeners = append(c.LoadBalancers[0].Listeners, &tcp)
	c.LoadBalancers[0].Expects = []spec.Expect{shareOf("instance.s0", 0.4, 0.6), noMore(spec.MetricUnrouted, 0, spec.DuringAll), noMore(spec.MetricErrors, 0, spec.DuringAll)}
	list, err := Promises(c)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, fmt.Sprint(p.Name, " ", p.Listener, " ", p.Verdict))
	}
	want := []string{
		"share " + webAddress + " pass", "share " + webAddress + `.rule["tom"] fail`, "share " + listenerAddress + " pass",
		"unrouted " + webAddress + " pass", "errors " + webAddress + " pass", "errors " + listenerAddress + " pass",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestPromisesAreSharesOfThePlan holds both to each other: they are of one table.
func TestPromisesAreSharesOfThePlan(t *testing.T) {
	for _, scheduler := range []string{spec.SchedulerRR, spec.SchedulerWRR, spec.SchedulerWLC, spec.SchedulerSCH, spec.SchedulerP2C} {
		c := shop(scheduler, 70, 20, 10)
		c.LoadBalancers[0].Listeners[0].SlowStart = time.Minute
		foreseen, err := Foresee(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range foreseen[0].Backends {
			c.LoadBalancers[0].Expects = []spec.Expect{shareOf(fmt.Sprintf("instance.s%d", i), b.ShareAfter, b.ShareAfter)}
			list, err := Promises(c)
			if err != nil || len(list) != 1 || list[0].Verdict != Pass || *list[0].Observed != b.ShareAfter {
				t.Errorf("%s: foreseen %+v, promised %+v, %v", scheduler, b, list, err)
			}
		}
	}
}
