package sim

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// ruled is a listener of HTTP with servers of its own and one rule for each pattern,
// all with the second server alone.
func ruled(patterns ...string) *spec.Config {
	c := shop(spec.SchedulerWRR, 100, 100)
	l := c.LoadBalancers[0].Listeners[0]
	l.Protocol = spec.ProtocolHTTP
	c.ServerGroups = []*spec.ServerGroup{{Meta: spec.Meta{Address: "server_group.g", Name: "g"}, Type: spec.GroupVServer,
		Backends: []spec.Backend{{Instance: "instance.s1", Port: 80, Weight: 100}}}}
	for _, p := range patterns {
		domain, url, hasURL := strings.Cut(p, "/")
		if hasURL {
			url = "/" + url
		}
		l.Rules = append(l.Rules, &spec.Rule{Meta: spec.Meta{Address: listenerAddress + `.rule["` + p + `"]`, Name: p}, Domain: domain, URL: url, ServerGroup: "server_group.g"})
	}
	return c
}

func without(c *spec.Config, change func(*spec.Config)) *spec.Config {
	change(c)
	return c
}

// TestForeseeRequests says of every kind of change who answers the requests it is about.
func TestForeseeRequests(t *testing.T) {
	rule := func(p string) string { return listenerAddress + `.rule["` + p + `"]` }
	noWeight := func(c *spec.Config) { c.ServerGroups[0].Backends[0].Weight = 0 }
	redirects := func(c *spec.Config) {
		c.LoadBalancers[0].Listeners[0].Rules[0].ServerGroup = ""
		c.LoadBalancers[0].Listeners[0].Rules[0].Redirect = &spec.Redirect{Port: 80, Code: 302}
	}
	stopped := func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].Status = spec.StatusStopped }
	for _, test := range []struct {
		name          string
		before, after *spec.Config
		at            string
		want          []Requests
	}{
		{"a rule that goes leaves its requests to the listener", ruled("/tom"), ruled(), rule("/tom"),
			[]Requests{{Pattern: "*/tom", Before: rule("/tom"), After: listenerAddress}}},
		{"or to a shorter rule", ruled("/", "/tom"), ruled("/"), rule("/tom"),
			[]Requests{{Pattern: "*/tom", Before: rule("/tom"), After: rule("/")}}},
		{"or to nobody, where its domain has others", ruled("a.b/tom", "a.b/x"), ruled("a.b/x"), rule("a.b/tom"),
			[]Requests{{Pattern: "a.b/tom", Before: rule("a.b/tom"), After: "404"}}},
		{"a URL is spelled as a client would", ruled("/a b"), ruled(), rule("/a b"),
			[]Requests{{Pattern: "*/a b", Before: rule("/a b"), After: listenerAddress}}},
		{"a wildcard is asked below its exact names", ruled("*.b", "any.b"), ruled("any.b"), rule("*.b"),
			[]Requests{{Pattern: "*.b", Before: rule("*.b"), After: listenerAddress}}},
		{"a new rule takes them from the listener", ruled(), ruled("a.b"), rule("a.b"),
			[]Requests{{Pattern: "a.b", Before: listenerAddress, After: rule("a.b")}}},
		{"servers without weight", ruled("/tom"), without(ruled("/tom"), noWeight), rule("/tom"),
			[]Requests{{Pattern: "*/tom", Before: rule("/tom"), After: "502"}}},
		{"a redirect instead of servers", ruled("/tom"), without(ruled("/tom"), redirects), rule("/tom"),
			[]Requests{{Pattern: "*/tom", Before: rule("/tom"), After: "redirect"}}},
		{"a stopped listener", ruled(), without(ruled(), stopped), listenerAddress,
			[]Requests{{Pattern: "*", Before: listenerAddress, After: "refused"}}},
		{"L4 without weight", shop(spec.SchedulerRR, 1), shop(spec.SchedulerRR, 0), listenerAddress,
			[]Requests{{Pattern: "*", Before: listenerAddress, After: "refused"}}},
		{"new", nil, ruled(), listenerAddress, []Requests{{Pattern: "*", Before: "", After: listenerAddress}}},
	} {
		found := false
		for _, row := range foreseen(t, test.before, test.after) {
			if row.Listener != test.at {
				continue
			}
			found = true
			if len(row.Requests) != len(test.want) || row.Requests[0] != test.want[0] {
				t.Errorf("%s: %+v, want %+v", test.name, row.Requests, test.want)
			}
		}
		if !found {
			t.Errorf("%s: no row of %s", test.name, test.at)
		}
	}
}

// A rule whose URL changes stands for two kinds of requests.
func TestForeseeRequestsOfAnotherURL(t *testing.T) {
	after := ruled("/tom")
	after.LoadBalancers[0].Listeners[0].Rules[0].URL = "/jerry"
	row := foreseen(t, ruled("/tom"), after)[0]
	own := listenerAddress + `.rule["/tom"]`
	want := []Requests{{Pattern: "*/tom", Before: own, After: listenerAddress}, {Pattern: "*/jerry", Before: listenerAddress, After: own}}
	if len(row.Requests) != 2 || row.Requests[0] != want[0] || row.Requests[1] != want[1] {
		t.Errorf("%+v, want %+v", row.Requests, want)
	}
}

func TestSessionsLost(t *testing.T) {
	sticky := func(cookie string, weights ...int) *spec.Config {
		c := shop(spec.SchedulerWRR, weights...)
		l := c.LoadBalancers[0].Listeners[0]
		l.Protocol = spec.ProtocolHTTP
		if cookie != "" {
			l.StickySession = &spec.StickySession{Type: spec.StickyInsert, Cookie: cookie, CookieTimeout: time.Hour}
		}
		return c
	}
	remembers := func(weights ...int) *spec.Config {
		c := shop(spec.SchedulerWRR, weights...)
		c.LoadBalancers[0].Listeners[0].PersistenceTimeout = time.Minute
		return c
	}
	first := func(c *spec.Config) { c.LoadBalancers[0].Backends = c.LoadBalancers[0].Backends[1:] }
	down := func(c *spec.Config) { c.Instances[0].Status = spec.StatusStopped }
	const none = -1
	for _, test := range []struct {
		name          string
		before, after *spec.Config
		want          float64
	}{
		{"no sessions", sticky("", 1, 3), without(sticky("", 1, 3), first), none},
		{"a weight", sticky("S", 1, 3), sticky("S", 3, 1), 0},
		{"weight 0 keeps them", sticky("S", 1, 3), sticky("S", 0, 3), 0},
		{"its server goes", sticky("S", 1, 3), without(sticky("S", 1, 3), first), .25},
		{"its server stops", sticky("S", 1, 3), without(sticky("S", 1, 3), down), .25},
		{"another cookie", sticky("S", 1, 3), sticky("T", 1, 3), 1},
		{"by address", remembers(1, 3), without(remembers(1, 3), first), .25},
		{"no more by address", remembers(1, 3), without(remembers(1, 2), func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].PersistenceTimeout = 0 }), 1},
	} {
		rows := foreseen(t, test.before, test.after)
		if len(rows) == 0 {
			t.Errorf("%s: no row", test.name)
			continue
		}
		got := float64(none)
		if rows[0].SessionsLost != nil {
			got = *rows[0].SessionsLost
		}
		if math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %v of sessions lost, want %v", test.name, got, test.want)
		}
	}
}

// TestForesightIsTheCore draws weights, stopped servers and zones, and counts what the
// core itself picks: over one period for the shares, and with each loss made real for
// what is survived.
func TestForesightIsTheCore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(name string) *spec.Config {
			weights := rapid.SliceOfN(rapid.IntRange(0, 6), 2, 5).Draw(rt, name)
			c := shop(rapid.SampledFrom([]string{spec.SchedulerRR, spec.SchedulerWRR}).Draw(rt, name+" scheduler"), weights...)
			for i, down := range rapid.SliceOfN(rapid.Bool(), len(weights), len(weights)).Draw(rt, name+" down") {
				if down {
					c.Instances[i].Status = spec.StatusStopped
				}
			}
			return c
		}
		before, after := draw("before"), draw("after")
		rows := foreseen(t, before, after)
		if len(rows) == 0 {
			rt.Skip("nothing changes")
		}
		was, is := counted(t, before), counted(t, after)
		for _, b := range rows[0].Backends {
			if math.Abs(b.ShareBefore-was[b.Address]) > 1e-9 || math.Abs(b.ShareAfter-is[b.Address]) > 1e-9 {
				rt.Fatalf("%s: %v -> %v, the core picks %v -> %v", b.Address, b.ShareBefore, b.ShareAfter, was[b.Address], is[b.Address])
			}
		}
		for side, survives := range [][]Survival{rows[0].SurvivesBefore, rows[0].Survives} {
			c := []*spec.Config{before, after}[side]
			for _, s := range survives {
				if left := counted(t, c, s.Loss); s.OK != (len(left) > 0) {
					rt.Fatalf("loss of %s: %+v, the core then picks %v", s.Loss, s, left)
				}
			}
		}
	})
}

// counted lets the core pick servers for so long that every period is over, and returns
// each one's part; lost is a server or a zone that is not there.
func counted(t *testing.T, c *spec.Config, lost ...string) map[string]float64 {
	t.Helper()
	listeners, err := balance.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	l := listeners[0]
	health := func(i int) balance.Health {
		b := l.Backends[i]
		for _, instance := range c.Instances {
			if instance.Address == b.Instance && instance.Status == spec.StatusStopped {
				return balance.Abnormal
			}
		}
		for _, name := range lost {
			if name == b.Instance || name == "zone="+b.Zone {
				return balance.Abnormal
			}
		}
		return balance.Normal
	}
	table := l.Table(health)
	state, n, parts := balance.NewState(&l.Pool, nil), 0, map[string]float64{}
	period := 60 // of rr with up to 5 servers
	if l.Scheduler == spec.SchedulerWRR {
		period = 0
		for _, i := range l.Usable(health) {
			period += l.Backends[i].Weight
		}
	}
	for range max(period, 1) {
		i, ok := table.Pick(state, &balance.Client{}, nil)
		if !ok {
			return nil
		}
		state.Done(i)
		parts[l.Backends[i].Name]++
		n++
	}
	for name := range parts {
		parts[name] /= float64(n)
	}
	return parts
}

// TestClientsMovedOfSessions: where sessions are kept, they are what gives clients a server
// of their own, and none has to move whose server still serves.
func TestClientsMovedOfSessions(t *testing.T) {
	remembers := func(timeout time.Duration, weights ...int) *spec.Config {
		c := shop(spec.SchedulerWRR, weights...)
		c.LoadBalancers[0].Listeners[0].PersistenceTimeout = timeout
		return c
	}
	first := func(c *spec.Config) { c.LoadBalancers[0].Backends = c.LoadBalancers[0].Backends[1:] }
	for _, test := range []struct {
		name          string
		before, after *spec.Config
		moved, least  float64
	}{
		{"weights", remembers(time.Minute, 1, 3), remembers(time.Minute, 3, 1), 0, 0},
		{"weight 0 serves them on", remembers(time.Minute, 1, 3), remembers(time.Minute, 0, 3), 0, 0},
		{"a server goes", remembers(time.Minute, 1, 3), without(remembers(time.Minute, 1, 3), first), .25, .25},
		{"persistence goes", remembers(time.Minute, 1, 3), remembers(0, 1, 3), 1, 0},
		{"and a server with it", remembers(time.Minute, 1, 3), without(remembers(0, 1, 3), first), 1, .25},
	} {
		row := only(t, foreseen(t, test.before, test.after))
		if row.ClientsMoved == nil || *row.ClientsMoved != test.moved || *row.ClientsMovedMin != test.least {
			t.Errorf("%s: %+v, want %v and at least %v", test.name, row, test.moved, test.least)
		}
	}
}
