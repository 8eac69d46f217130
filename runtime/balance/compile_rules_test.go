package balance

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"slbctl/spec"
)

// web is shop with listeners of HTTP and UDP, rules, an access list and limits.
func web() *spec.Config {
	c := shop()
	c.ACLs = []*spec.ACL{{Meta: spec.Meta{Address: "acl.office"}, Entries: prefixes("10.0.0.0/8")}}
	c.ServerGroups = append(c.ServerGroups, &spec.ServerGroup{
		Meta: spec.Meta{Address: "server_group.pair"}, Type: spec.GroupActiveStandby,
		Backends: []spec.Backend{
			{Instance: "instance.a", Port: 9000, Weight: 100, Role: spec.RoleActive},
			{Instance: "instance.b", Weight: 100, Role: spec.RoleStandby},
		},
	})
	c.ServerGroups[0].Backends[2].MaxConnections = 5
	lb := c.LoadBalancers[0]
	lb.ID, lb.Spec, lb.Bandwidth = "lb-1", "slb.s2.small", 100
	lb.Listeners = []*spec.Listener{
		{
			Meta: spec.Meta{Address: "http80"}, Protocol: spec.ProtocolHTTP, Port: 80, BackendPort: 8080, Scheduler: spec.SchedulerWRR,
			ACL: "acl.office", ACLType: spec.ACLWhite, MaxQPS: 9, Bandwidth: 40, SlowStart: time.Minute,
			IdleTimeout: 1, RequestTimeout: 2, ConnectTimeout: 3, Gzip: true, UpstreamKeepalive: true,
			Retry: spec.Retry{Attempts: 2, Connect: true}, AccessLog: &spec.AccessLog{Format: "json", Path: "x"},
			XForwardedFor: spec.XForwardedFor{Proto: true},
			StickySession: &spec.StickySession{Type: spec.StickyInsert, Cookie: "SERVERID", CookieTimeout: time.Hour},
			HealthCheck: spec.HealthCheck{Enabled: true, Type: spec.CheckHTTP, Interval: 1, Timeout: 2, HealthyThreshold: 3, UnhealthyThreshold: 4,
				Domain: "d", URI: "/u", Method: "head", HTTPCodes: []string{"http_2xx", "http_5xx"}},
			Rules: []*spec.Rule{
				{Meta: spec.Meta{Address: "http80.all", Name: "all"}, Domain: "a.com", ServerGroup: "server_group.g"},
				{Meta: spec.Meta{Address: "http80.own", Name: "own"}, URL: "/%74om//x", ServerGroup: "server_group.g", Scheduler: spec.SchedulerRR,
					StickySession: &spec.StickySession{Type: spec.StickyServer, Cookie: "JSESSIONID"},
					HealthCheck:   &spec.HealthCheck{Type: spec.CheckHTTP, Port: 81, HTTPCodes: []string{"http_3xx"}}},
				{Meta: spec.Meta{Address: "http80.to", Name: "to"}, URL: "/old", Redirect: &spec.Redirect{Port: 8081, Code: 301}},
			},
		},
		{Meta: spec.Meta{Address: "http8081"}, Protocol: spec.ProtocolHTTP, Port: 8081, ACL: "acl.office", ACLType: spec.ACLWhite, Redirect: &spec.Redirect{Port: 80, Code: 302}},
		{
			Meta: spec.Meta{Address: "udp53"}, Protocol: spec.ProtocolUDP, Port: 80, ServerGroup: "server_group.pair", Scheduler: spec.SchedulerQCH,
			ACL: "acl.office", ACLType: spec.ACLBlack, QUICIDLength: 8, ProxyProtocol: spec.ProxyProtocolV2, AcceptProxyProtocol: true,
			PersistenceTimeout: time.Second,
			HealthCheck:        spec.HealthCheck{Enabled: true, Type: spec.CheckUDP, Request: "ping", Expect: "pong"},
		},
	}
	return c
}

func compiled(t *testing.T, c *spec.Config) []*Listener {
	t.Helper()
	ls, err := Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

func TestCompileListeners(t *testing.T) {
	ls := compiled(t, web())
	http, redirect, udp := *ls[0], ls[1], ls[2]
	if http.ACL == nil || http.ACL != redirect.ACL || udp.ACL == http.ACL || udp.ACL.Allows(addr("10.1.1.1")) || !http.ACL.Allows(addr("10.1.1.1")) {
		t.Error("the white list is shared, the black list is one of its own")
	}
	if redirect.Redirect == nil || len(redirect.Backends) != 0 || redirect.Group != "" {
		t.Errorf("a redirect has no servers: %+v", redirect.Pool)
	}
	if udp.ProxyProtocol != 2 || !udp.AcceptProxyProtocol || udp.QUICIDLength != 8 || udp.PersistenceTimeout != time.Second || !udp.ActiveStandby ||
		udp.Group != "server_group.pair" || udp.Backends[0].Standby || !udp.Backends[1].Standby || udp.Check.Request != "ping" || udp.Check.Expect != "pong" {
		t.Errorf("udp is %+v", udp)
	}
	http.Pool, http.Rules, http.ACL, http.router = Pool{}, nil, nil, nil
	want := Listener{
		Address: "http80", LoadBalancer: "load_balancer.lb", SLBID: "lb-1", Protocol: "http", Endpoint: endpoint("127.10.0.1:8080"), Port: 80,
		Serving: true, IdleTimeout: 1, RequestTimeout: 2, ConnectTimeout: 3, Forwarded: spec.XForwardedFor{Proto: true}, Gzip: true,
		UpstreamKeepalive: true, Retry: spec.Retry{Attempts: 2, Connect: true}, AccessLog: &spec.AccessLog{Format: "json", Path: "x"},
		MaxConnections: 50_000, CPS: 5_000, QPS: 5_000, MaxQPS: 9, Bandwidth: 40, BalancerBandwidth: 100,
	}
	if diff := cmp.Diff(want, http, cmp.AllowUnexported(Pool{}, Listener{}), cmpopts.IgnoreTypes(cookies{}), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCompileRules(t *testing.T) {
	l := compiled(t, web())[0]
	pools := l.Pools()
	if len(pools) != 4 || pools[0] != &l.Pool || pools[2] != &l.Rules[1].Pool {
		t.Fatal("the listener's pool comes first, then those of the rules")
	}
	all, own, to := l.Rules[0], l.Rules[1], l.Rules[2]
	if l.Sticky != (Sticky{StickyInsert, "SERVERID", time.Hour}) || l.Check.Codes != 1<<2|1<<5 || l.Check.Domain != "d" || l.Check.URI != "/u" || l.Check.Method != "head" {
		t.Errorf("the listener has %+v and %+v", l.Sticky, l.Check)
	}
	if all.Scheduler != spec.SchedulerWRR || all.Sticky != l.Sticky || all.Check != l.Check || all.SlowStart != time.Minute {
		t.Errorf("a rule without its own has the listener's, not %+v", all.Pool)
	}
	if all.Owner != "http80.all" || all.Group != "server_group.g" || len(all.Backends) != 3 || all.Backends[1].Port != 8080 || all.Backends[2].MaxConnections != 5 {
		t.Errorf("rule all has %+v", all.Pool)
	}
	if own.Scheduler != spec.SchedulerRR || own.Sticky != (Sticky{Mode: StickyServer, Cookie: "JSESSIONID"}) || own.Check.Codes != 1<<3 || own.Check.Enabled ||
		own.Backends[0].CheckEndpoint != endpoint("127.10.0.2:8081") || own.URL != "/tom/x" {
		t.Errorf("rule own has %+v for %s", own.Pool, own.URL)
	}
	if len(to.Backends) != 0 || to.Group != "" || *to.Redirect != (Redirect{Scheme: "http", Port: 8081, Code: 301}) {
		t.Errorf("rule to has %+v and goes to %+v", to.Pool, to.Redirect)
	}
	if all.CookieValue(0) != own.CookieValue(0) || l.CookieValue(1) == all.CookieValue(0) {
		t.Error("a server's cookie is its own, whatever pool it is in")
	}
	if r := l.Route(nil, []byte("/tom/xy")); r.Rule != own || r.Pool != 2 {
		t.Errorf("/tom/xy goes to %+v", r)
	}
}

// The port in a redirect is the one that is really bound, unless the scheme implies it.
func TestCompileRedirect(t *testing.T) {
	for _, c := range []struct {
		protocol string
		port     uint16
		offset   int
		want     Redirect
	}{
		{"http", 80, 8000, Redirect{"http", 8080, 302}},
		{"http", 80, 0, Redirect{"http", 0, 302}},
		{"http", 443, 0, Redirect{"http", 443, 302}},
		{"https", 443, 0, Redirect{"https", 0, 302}},
		{"https", 443, 8000, Redirect{"https", 8443, 302}},
		{"https", 80, 0, Redirect{"https", 80, 302}},
	} {
		config := web()
		config.Runtime.PortOffset = c.offset
		ls := config.LoadBalancers[0].Listeners
		ls[0].Protocol, ls[0].Port, ls[1].Redirect.Port = c.protocol, c.port, c.port
		ls[2].Port = c.port // a listener of UDP there is no target
		config.LoadBalancers[0].Listeners = []*spec.Listener{ls[2], ls[0], ls[1]}
		if got := *compiled(t, config)[2].Redirect; got != c.want {
			t.Errorf("%s on %d: %+v, want %+v", c.protocol, c.port, got, c.want)
		}
	}
}

func TestCompileRuleErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*spec.Listener)
		want  string
	}{
		{"no such group", func(l *spec.Listener) { l.Rules[0].ServerGroup = "server_group.x" }, `rule "all": server group server_group.x does not exist`},
		{"no such port", func(l *spec.Listener) { l.Rules[2].Redirect.Port = 99 }, `rule "to": redirect to port 99`},
		{"own redirect to no port", func(l *spec.Listener) { l.Redirect = &spec.Redirect{Port: 99} }, "redirect to port 99"},
		{"no such list", func(l *spec.Listener) { l.ACL = "acl.x" }, "acl.x does not exist"},
		{"no request has this url", func(l *spec.Listener) { l.Rules[1].URL = "/a/../b" }, `rule "own": url "/a/../b"`},
		{"one once normal", func(l *spec.Listener) { l.Rules[2].URL = "/tom/x" }, "matches what rule"},
	} {
		config := web()
		c.spoil(config.LoadBalancers[0].Listeners[0])
		if _, err := Compile(config); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "http80: ") {
			t.Errorf("%s: %v, want the listener and %q", c.name, err, c.want)
		}
	}
}

func TestCodes(t *testing.T) {
	c := newCheck(spec.HealthCheck{HTTPCodes: []string{"http_2xx", "http_4xx"}}).Codes
	for status, want := range map[int]bool{200: true, 299: true, 300: false, 199: false, 404: true, 500: false, 600: false, 0: false, -1: false} {
		if c.Has(status) != want {
			t.Errorf("%d is well: %v, want %v", status, !want, want)
		}
	}
}
