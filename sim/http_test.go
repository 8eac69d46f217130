package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

const webAddress = `load_balancer.lb.listener["http:80"]`

// web is a shop whose listener is one of HTTP.
func web(scheduler string, weights ...int) *spec.Config {
	c := shop(scheduler, weights...)
	l := webListener(c)
	l.Meta = spec.Meta{Address: webAddress, Name: "http:80"}
	l.Protocol, l.ConnectTimeout, l.IdleTimeout, l.RequestTimeout = spec.ProtocolHTTP, 5*time.Second, 15*time.Second, time.Minute
	l.HealthCheck.Type, l.Retry.Connect = spec.CheckHTTP, true
	day(c).Traffic[0].Session.Cookies = true
	return c
}

func webListener(c *spec.Config) *spec.Listener { return c.LoadBalancers[0].Listeners[0] }

// addRule sends requests for "domain/url" to some of the shop's servers, or elsewhere
// if there are none.
func addRule(c *spec.Config, name, target string, servers ...int) *spec.Rule {
	domain, url, hasURL := strings.Cut(target, "/")
	r := &spec.Rule{Meta: spec.Meta{Address: webAddress + `.rule["` + name + `"]`, Name: name}, Domain: domain}
	if hasURL {
		r.URL = "/" + url
	}
	if len(servers) == 0 {
		r.Redirect = &spec.Redirect{Port: 80, Code: 302}
	} else {
		g := &spec.ServerGroup{Meta: spec.Meta{Address: "server_group." + name}, Type: spec.GroupVServer}
		for _, i := range servers {
			g.Backends = append(g.Backends, spec.Backend{Instance: fmt.Sprintf("instance.s%d", i), Weight: 100})
		}
		c.ServerGroups = append(c.ServerGroups, g)
		slices.SortFunc(c.ServerGroups, func(a, b *spec.ServerGroup) int { return spec.CompareAddresses(a.Address, b.Address) })
		r.ServerGroup = g.Address
	}
	webListener(c).Rules = append(webListener(c).Rules, r)
	return r
}

// mixOf is a mix of requests "weight host/path".
func mixOf(requests ...string) (mix []spec.Request) {
	for _, text := range requests {
		q := spec.Request{}
		var url string
		if _, err := fmt.Sscan(text, &q.Weight, &url); err != nil {
			panic(err)
		}
		host, path, _ := strings.Cut(url, "/")
		q.Host, q.Path = host, "/"+path
		mix = append(mix, q)
	}
	return mix
}

func insertCookie(age time.Duration) *spec.StickySession {
	return &spec.StickySession{Type: spec.StickyInsert, Cookie: "SERVERID", CookieTimeout: age}
}

// picksOf runs the simulation and returns all of its picks.
func picksOf(t *testing.T, c *spec.Config) (picks []Pick, r *Result) {
	t.Helper()
	r = run1(t, c, Options{Observe: func(p Pick) { picks = append(picks, p) }})
	return picks, r
}

// moves counts the requests whose client had another server before.
func moves(picks []Pick) (n int) {
	home := map[uint64]string{}
	for _, p := range picks {
		if was, ok := home[p.Visitor]; ok && was != p.Backend && !p.First {
			n++
		}
		home[p.Visitor] = p.Backend
	}
	return n
}

// Each request gets what the core says of it, and every kind is counted in its place.
func TestRoutesAreCounted(t *testing.T) {
	c := web(spec.SchedulerRR, 100, 100, 100, 100)
	addRule(c, "tom", "www.aaa.com/tom", 0, 1)
	addRule(c, "jerry", "www.aaa.com/jerry", 2)
	addRule(c, "old", "old.aaa.com")
	day(c).Traffic[0].Mix = mixOf("4 www.aaa.com/tom/1", "2 www.aaa.com/jerry", "1 www.aaa.com/none", "1 old.aaa.com/x", "1 www.bbb.com/", "1 www.bbb.com/../x")
	picks, r := picksOf(t, c)
	want := map[string]string{
		"/tom/1": "served by tom", "/jerry": "served by jerry", "/none": "not found", "/x": "redirected by old",
		"/": "served by http:80", "/../x": "refused",
	}
	counts := map[string]int64{}
	for _, p := range picks {
		got := p.Outcome.String()
		if p.Route != "" {
			name := strings.TrimSuffix(p.Route, `"]`)
			got += " by " + name[strings.LastIndexByte(name, '"')+1:]
		}
		if got != want[p.Path] {
			t.Fatalf("%s%s: %s, want %s", p.Host, p.Path, got, want[p.Path])
		}
		counts[p.Path]++
	}
	w := r.Windows[0]
	if w.Unrouted != counts["/none"]+counts["/../x"] || w.Redirected != counts["/x"] || w.Errors != 0 || w.Requests != 150000 {
		t.Errorf("%+v, of %v", w, counts)
	}
	var routes []string
	for _, route := range w.Routes {
		routes = append(routes, fmt.Sprint(strings.TrimPrefix(route.Address, webAddress), " ", route.Requests, " ", len(route.Backends)))
	}
	if want := []string{
		fmt.Sprint(" ", counts["/"], " 4"), fmt.Sprint(`.rule["tom"] `, counts["/tom/1"], " 2"),
		fmt.Sprint(`.rule["jerry"] `, counts["/jerry"], " 1"), fmt.Sprint(`.rule["old"] `, counts["/x"], " 0"),
	}; !slices.Equal(routes, want) {
		t.Errorf("routes %q, want %q", routes, want)
	}
	if len(w.Backends) != 4 || w.Backends[2].Requests < counts["/jerry"] {
		t.Errorf("servers %+v, want each once, with what all rules have sent there", w.Backends)
	}
	if got, want := float64(counts["/tom/1"])/150000, 0.4; got < want-0.01 || got > want+0.01 {
		t.Errorf("%.3f of the requests are for /tom/1, want %v", got, want)
	}
}

// A request without a name is for the balancer's address, whether TLS is around it or not.
func TestRequestsWithoutHost(t *testing.T) {
	for _, protocol := range []string{spec.ProtocolHTTP, spec.ProtocolHTTPS} {
		c := web(spec.SchedulerRR, 100)
		webListener(c).Protocol = protocol
		picks, _ := picksOf(t, c)
		if p := picks[0]; p.Host != "127.10.0.1" || p.Path != "/" || p.Outcome != Served {
			t.Errorf("%s: %+v", protocol, p)
		}
	}
}

func TestCookiesKeepClients(t *testing.T) {
	cases := []struct {
		name   string
		change func(*spec.Config, *spec.Traffic)
		moves  bool
	}{
		{"insert", func(*spec.Config, *spec.Traffic) {}, false},
		{"server", func(c *spec.Config, _ *spec.Traffic) {
			webListener(c).StickySession = &spec.StickySession{Type: spec.StickyServer, Cookie: "SID"}
		}, false},
		{"sessions", func(_ *spec.Config, t *spec.Traffic) { t.Session.Requests = 8 }, false},
		{"clients without cookies", func(_ *spec.Config, t *spec.Traffic) { t.Session.Cookies = false }, true},
		{"cookie that expires", func(c *spec.Config, _ *spec.Traffic) { webListener(c).StickySession = insertCookie(time.Second) }, true},
		{"cookie that says 0", func(c *spec.Config, _ *spec.Traffic) {
			webListener(c).StickySession = insertCookie(999 * time.Millisecond)
		}, true},
		{"not sticky", func(c *spec.Config, _ *spec.Traffic) { webListener(c).StickySession = nil }, true},
	}
	for _, k := range cases {
		c := web(spec.SchedulerRR, 100, 100, 100)
		day(c).Traffic[0].Clients.Count, day(c).Duration = 1000, time.Minute
		webListener(c).StickySession = insertCookie(time.Hour)
		k.change(c, &day(c).Traffic[0])
		picks, _ := picksOf(t, c)
		if n := moves(picks); n > 0 != k.moves {
			t.Errorf("%s: %d requests have moved", k.name, n)
		}
	}
}

// Two rules of one domain that stick by the same cookie take it from each other, unless
// they share their servers: a client has one cookie of a name for a host.
func TestOneCookieForOneHost(t *testing.T) {
	for name, c := range map[string]struct {
		mix  []string
		want bool // clients move
	}{
		"one host":  {[]string{"1 a.test/tom", "1 a.test/jerry"}, true},
		"two hosts": {[]string{"1 a.test/tom", "1 b.test/jerry"}, false},
	} {
		config := web(spec.SchedulerRR, 100, 100, 100, 100)
		webListener(config).StickySession = insertCookie(time.Hour)
		addRule(config, "tom", "/tom", 0, 1)
		addRule(config, "jerry", "/jerry", 2, 3)
		day(config).Traffic[0].Clients.Count = 10
		day(config).Traffic[0].Mix = mixOf(c.mix...)
		picks, _ := picksOf(t, config)
		byPath := map[string][]Pick{}
		for _, p := range picks {
			byPath[p.Path] = append(byPath[p.Path], p)
		}
		if got := moves(byPath["/tom"])+moves(byPath["/jerry"]) > 0; got != c.want {
			t.Errorf("%s: clients move %v, want %v", name, got, c.want)
		}
	}
}

// A session spreads its requests evenly over its connections.
func TestSessionsConnect(t *testing.T) {
	for _, s := range []spec.Session{{Requests: 8, Connections: 1}, {Requests: 8, Connections: 3}, {Requests: 5, Connections: 5}} {
		v := &visits{session: s, made: make([]uint32, 1)}
		var ends []int
		for range 2 * s.Requests {
			if n := v.next(0); v.ends(n) {
				ends = append(ends, n)
			}
		}
		if len(ends) != 2*s.Connections || ends[s.Connections-1] != s.Requests-1 {
			t.Errorf("%+v: connections end after requests %v", s, ends)
		}
	}
}

func TestAccessListOfClients(t *testing.T) {
	inside := netip.MustParsePrefix("203.0.113.0/25")
	for _, build := range []func(string, ...int) *spec.Config{shop, web} {
		c := build(spec.SchedulerRR, 100, 100)
		c.ACLs = []*spec.ACL{{Meta: spec.Meta{Address: "acl.a"}, Entries: []netip.Prefix{inside}}}
		l := webListener(c)
		l.ACL, l.ACLType = "acl.a", spec.ACLWhite
		picks, r := picksOf(t, c)
		var denied int64
		for _, p := range picks {
			if want := map[bool]Outcome{true: Served, false: Denied}[inside.Contains(p.Client.Source.Addr())]; p.Outcome != want {
				t.Fatalf("%s: %v from %v", l.Name, p.Outcome, p.Client.Source)
			}
			if p.Outcome == Denied {
				denied++
			}
		}
		if w := r.Windows[0]; w.Denied != denied || w.Errors != 0 || denied == 0 {
			t.Errorf("%s: %d denied, %d errors; %d were observed", l.Name, w.Denied, w.Errors, denied)
		}
	}
}

// 500 requests a second come to a listener that takes 100, of which a second's worth at
// once.
func TestRequestsBeyondALimit(t *testing.T) {
	c := web(spec.SchedulerRR, 100)
	webListener(c).MaxQPS, day(c).Duration = 100, 10*time.Second
	w := run1(t, c, Options{}).Windows[0]
	if want := int64(5000 - 1100); w.Dropped < want-1 || w.Dropped > want+1 || w.Errors != w.Dropped {
		t.Errorf("%d dropped of %d errors, want %d", w.Dropped, w.Errors, want)
	}
}

// A small balancer takes 3,000 connections a second and has 5,000 at once. Clients that
// keep theirs connect once.
func TestConnectionsBeyondALimit(t *testing.T) {
	cases := []struct {
		name    string
		session spec.Session
		clients int
		rate    float64
		idle    time.Duration
		want    bool // something is dropped
	}{
		{"one each request", spec.Session{Requests: 1, Connections: 1}, 1000, 900, 15 * time.Second, false},
		{"kept", spec.Session{}, 4000, 900, 15 * time.Second, false},
		{"more than it may have open", spec.Session{}, 20000, 900, 15 * time.Second, true},
		{"closed when they are idle", spec.Session{}, 20000, 900, time.Second, false},
		{"one each, too fast", spec.Session{Requests: 1, Connections: 1}, 1000, 4000, 15 * time.Second, true},
	}
	for _, k := range cases {
		c := web(spec.SchedulerRR, 100)
		c.LoadBalancers[0].Spec = "slb.s1.small"
		webListener(c).IdleTimeout = k.idle
		day(c).Duration = 20 * time.Second
		day(c).Traffic[0].Session, day(c).Traffic[0].Clients.Count, day(c).Traffic[0].Rate = k.session, k.clients, k.rate
		w := run1(t, c, Options{}).Windows[0]
		if w.Dropped > 0 != k.want {
			t.Errorf("%s: %d of %d dropped", k.name, w.Dropped, w.Requests)
		}
	}
	c := shop(spec.SchedulerRR, 100)
	c.LoadBalancers[0].Spec = "slb.s1.small"
	day(c).Traffic[0].Rate, day(c).Duration = 4000, 10*time.Second
	if w := run1(t, c, Options{}).Windows[0]; w.Dropped < 6998 || w.Dropped > 7002 { // 10 s of 1,000 too many, without the burst
		t.Errorf("tcp: %d dropped, want 7000", w.Dropped)
	}
}

// Whoever waits for a server that hangs does so for as long as the listener says, on as many
// servers as it says.
func TestRetriesOfRequests(t *testing.T) {
	c := web(spec.SchedulerRR, 100, 100, 100)
	webListener(c).HealthCheck.Enabled = false
	webListener(c).Retry = spec.Retry{Attempts: 1, Timeout: true}
	webListener(c).RequestTimeout = 2 * time.Second
	webListener(c).StickySession = insertCookie(time.Hour)
	day(c).Traffic[0].Session.Cookies = false
	day(c).Duration = 3 * time.Second
	day(c).Faults = []spec.Fault{{Name: "dark", Targets: []string{"instance.s0", "instance.s1"}, Mode: spec.FaultHang}}
	r, err := newRun(c, day(c), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.play()
	w := r.result().Windows[0]
	// A request that has waited for s0 or s1 finds s2 on its second and last try, or gives up.
	if w.Errors == 0 || w.served() <= 500 || w.Errors+w.served() != 1500 {
		t.Errorf("%d errors, %d served", w.Errors, w.served())
	}
	if want := int64(day(c).Duration) - int64(day(c).Duration)/1500 + 2*2e9; r.now < want-5e6 || r.now > want {
		t.Errorf("the last try has ended at %v, want 2 tries of 2 s after the last request", time.Duration(r.now))
	}
}

// A client whose server is ill is sent to another, and stays there.
func TestCookieOfALostServer(t *testing.T) {
	c := web(spec.SchedulerRR, 100, 100, 100)
	webListener(c).StickySession = insertCookie(time.Hour)
	day(c).Faults = []spec.Fault{{Name: "dead", At: time.Minute, For: time.Minute, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse}}
	day(c).Traffic[0].Clients.Count = 300
	picks, r := picksOf(t, c)
	had := map[uint64]bool{}
	for _, p := range picks {
		if p.At < time.Minute && p.Backend == "instance.s1" {
			had[p.Visitor] = true
		}
	}
	if n := moves(picks); n != len(had) || n < 90 {
		t.Errorf("%d moves; the lost server had %d clients", n, len(had))
	}
	if r.Windows[0].Errors != 0 {
		t.Errorf("%d errors", r.Windows[0].Errors)
	}
	if got := window(t, r, "steady"); !strings.Contains(got, ",") || strings.HasSuffix(got, ",0") {
		t.Errorf("steady %s", got)
	}
}

// Rules have checks of their own.
func TestChecksOfRules(t *testing.T) {
	c := web(spec.SchedulerRR, 100, 100)
	rule := addRule(c, "slow", "/slow", 0, 1)
	hc := webListener(c).HealthCheck
	hc.UnhealthyThreshold = 10
	rule.HealthCheck = &hc
	webListener(c).Retry.Attempts = 1
	day(c).Traffic[0].Mix = mixOf("1 a.test/slow", "1 a.test/")
	day(c).Faults = []spec.Fault{{Name: "dead", At: 61 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse}}
	r, err := newRun(c, day(c), Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]time.Duration{}
	r.observe = func(p Pick) {
		for k := range r.pools {
			if i := r.pools[k].first + 1; r.servers[i].verdict.Health() == balance.Abnormal && at[r.pools[k].Owner] == 0 {
				at[r.pools[k].Owner] = time.Duration(r.servers[i].since)
			}
		}
	}
	r.play()
	if at[webAddress] != 66*time.Second || at[rule.Address] != 80*time.Second {
		t.Errorf("abnormal at %v, want after 3 and after 10 checks", at)
	}
}

// A server that comes back gets its share step by step.
func TestSlowStart(t *testing.T) {
	share := func(slow time.Duration) float64 {
		c := web(spec.SchedulerWRR, 100, 100)
		webListener(c).SlowStart = slow
		day(c).Faults = []spec.Fault{{Name: "dead", At: 60 * time.Second, For: 29 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse}}
		picks, _ := picksOf(t, c)
		var back, all float64
		for _, p := range picks {
			if p.At >= 94*time.Second && p.At < 124*time.Second { // well since 94 s
				all++
				if p.Backend == "instance.s1" {
					back++
				}
			}
		}
		return back / all
	}
	// Its weight grows from 1/16 to 15/16 in 15 steps: in the mean of w/(1+w) it has a third.
	if got := share(30 * time.Second); got < 0.31 || got > 0.33 {
		t.Errorf("slow: %.3f of the requests while it warms up", got)
	}
	if got := share(0); got < 0.49 || got > 0.51 {
		t.Errorf("at once: %.3f", got)
	}
}

// Source persistence keeps clients of L4 on their server.
func TestPersistence(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100, 100)
	webListener(c).PersistenceTimeout = time.Minute
	picks, _ := picksOf(t, c)
	home := map[netip.Addr]string{}
	for _, p := range picks {
		if was := home[p.Client.Source.Addr()]; was != "" && was != p.Backend {
			t.Fatalf("%v has moved from %s to %s", p.Client.Source, was, p.Backend)
		}
		home[p.Client.Source.Addr()] = p.Backend
	}
}

func TestUnroutedIsJudged(t *testing.T) {
	c := web(spec.SchedulerRR, 100)
	addRule(c, "tom", "a.test/tom", 0)
	day(c).Traffic[0].Mix = mixOf("3 a.test/tom", "1 a.test/none")
	day(c).Duration = time.Second
	day(c).Expects = []spec.Expect{
		{Name: "none", Metric: spec.MetricUnrouted, Max: limit(0)},
		{Name: "some", Metric: spec.MetricUnrouted, Max: limit(500)},
		{Name: "share", Metric: spec.MetricShare, Of: "instance.s0", Min: limit(1)},
		{Name: "errors", Metric: spec.MetricErrorRate, Max: limit(0)},
	}
	r := run1(t, c, Options{})
	for i, want := range []Verdict{Fail, Pass, Pass, Pass} {
		if e := r.Expectations[i]; e.Verdict != want {
			t.Errorf("%s: %s, %s", e.Name, e.Verdict, e.Detail)
		}
	}
	if e := r.Expectations[0]; e.Detail != fmt.Sprintf("%d of 500 requests in all", r.Windows[0].Unrouted) || e.Wanted != "at most 0" {
		t.Errorf("%q, wanted %q", e.Detail, e.Wanted)
	}
}
