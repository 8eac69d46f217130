package runtime_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// demand makes an expectation that real requests are held to.
func demand(metric, of string, low, high float64) spec.Expect {
	return spec.Expect{Name: metric, Metric: metric, Of: of, Min: &low, Max: &high, During: spec.DuringAll, Live: true, Confidence: spec.DefaultConfidence}
}

// liveConfig is the tutorial with another listener; change makes of it what is applied.
func liveConfig(network netip.Prefix, change func(c *spec.Config, l *spec.Listener)) *spec.Config {
	c := tutorial(network)
	change(c, c.LoadBalancers[0].Listeners[0])
	return c
}

func web(l *spec.Listener) {
	l.Meta = spec.Meta{Address: `load_balancer.SLB1.listener["http:80"]`, Name: "http:80"}
	l.Protocol, l.HealthCheck.Type = spec.ProtocolHTTP, spec.CheckTCP
	l.IdleTimeout, l.RequestTimeout, l.ConnectTimeout = 15e9, 60e9, 5e9
	l.Retry, l.UpstreamKeepalive = spec.Retry{Connect: true}, true
}

// TestLiveExpectations: what an apply says of a listener is what its clients get.
func TestLiveExpectations(t *testing.T) {
	const own = "load_balancer.SLB1.listener"
	foreign := func(c *spec.Config) {
		lb := c.LoadBalancers[0]
		for i, instance := range c.Instances {
			lb.Backends[i] = spec.Backend{Address: instance.IP, Port: 8080, Weight: 100}
		}
	}
	for name, tt := range map[string]struct {
		expect spec.Expect
		change func(c *spec.Config, l *spec.Listener)
		want   string // in the error; empty = the apply succeeds
	}{
		"turns":                    {demand(spec.MetricShare, "instance.ECS01", 0.5, 0.5), nil, ""},
		"turns that are otherwise": {demand(spec.MetricShare, "instance.ECS01", 0.6, 0.7), nil, `wanted 60% to 70%, observed 50%, 50 of 100 connections`},
		"turns by weight": {demand(spec.MetricShare, "instance.ECS01", 0.66, 0.67), func(c *spec.Config, l *spec.Listener) {
			l.Scheduler, c.LoadBalancers[0].Backends[1].Weight = spec.SchedulerWRR, 50
		}, ""},
		"hashes": {demand(spec.MetricShare, "instance.ECS02", 0.4, 0.6), func(_ *spec.Config, l *spec.Listener) { l.Scheduler = spec.SchedulerSCH }, ""},
		"hashes of one client": {demand(spec.MetricShare, "instance.ECS02", 0.4, 0.6), func(c *spec.Config, l *spec.Listener) {
			l.Scheduler, l.ACL, l.ACLType = spec.SchedulerSCH, "acl.one", spec.ACLWhite
			c.ACLs = []*spec.ACL{{Meta: spec.Meta{Address: "acl.one"}, Entries: []netip.Prefix{netip.MustParsePrefix("127.77.0.9/32")}}}
		}, "come from one address"},
		"nobody of this machine": {demand(spec.MetricErrors, "", 0, 0), func(c *spec.Config, l *spec.Listener) {
			l.ACL, l.ACLType = "acl.one", spec.ACLWhite
			c.ACLs = []*spec.ACL{{Meta: spec.Meta{Address: "acl.one"}, Entries: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
		}, "lets no client of this machine in"},
		"behind a herald": {demand(spec.MetricErrors, "", 0, 0), func(_ *spec.Config, l *spec.Listener) { l.AcceptProxyProtocol = true }, ""},
		"strangers":       {demand(spec.MetricErrors, "", 0, 0), func(c *spec.Config, _ *spec.Listener) { foreign(c) }, ""},
		"nobody there": {demand(spec.MetricErrors, "", 0, 0), func(c *spec.Config, _ *spec.Listener) {
			foreign(c)
			c.LoadBalancers[0].Listeners[0].HealthCheck.Enabled = false
			for i := range c.LoadBalancers[0].Backends {
				c.LoadBalancers[0].Backends[i].Port = 4444
			}
		}, "observed 100 of 100 connections, the first one:"},
		"pages": {demand(spec.MetricErrorRate, "", 0, 0.01), func(_ *spec.Config, l *spec.Listener) { web(l) }, ""},
		"pages within a limit": {demand(spec.MetricErrors, "", 0, 0), func(_ *spec.Config, l *spec.Listener) {
			web(l)
			l.MaxQPS = 80 // fewer than are sent
		}, ""},
		"pages under TLS": {demand(spec.MetricErrors, "", 0, 0), func(c *spec.Config, l *spec.Listener) {
			web(l)
			l.Protocol, l.Certificate, l.HTTP2 = spec.ProtocolHTTPS, "certificate.site", true
			l.TLSCipherPolicy = "tls_cipher_policy_1_2_strict_with_1_3"
			c.Certificates = []*spec.Certificate{{Meta: spec.Meta{Address: "certificate.site", ID: "site"}, Domains: []string{"www.abc.com"}}}
		}, ""},
		"broken pages": {demand(spec.MetricErrorRate, "", 0, 0.01), func(c *spec.Config, l *spec.Listener) {
			web(l)
			c.Instances[1].Pages[0].Status = 500
		}, "500 Internal Server Error"},
		"found": {demand(spec.MetricUnrouted, "", 0, 0), func(c *spec.Config, l *spec.Listener) {
			web(l)
			l.Rules = []*spec.Rule{rule(c, l, "www.abc.com", "")}
		}, ""},
		"not found": {demand(spec.MetricUnrouted, "", 0, 0), func(c *spec.Config, l *spec.Listener) {
			web(l)
			l.Rules = []*spec.Rule{rule(c, l, "www.abc.com", "/tom")}
		}, "observed 100 of 300 requests"},
		"a rule's share": {demand(spec.MetricShare, "instance.ECS02", 1, 1), func(c *spec.Config, l *spec.Listener) {
			web(l)
			l.Rules = []*spec.Rule{rule(c, l, "www.abc.com", "/tom")}
			c.LoadBalancers[0].Backends = c.LoadBalancers[0].Backends[:1]
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := start(t, t.TempDir())
			network := network(t)
			before := tutorial(network)
			d.mustApply(before)
			c := liveConfig(network, func(c *spec.Config, l *spec.Listener) {
				if tt.change != nil {
					tt.change(c, l)
				}
				c.LoadBalancers[0].Expects = []spec.Expect{tt.expect}
			})
			err := d.apply(c)
			if tt.want == "" {
				if err != nil {
					t.Errorf("apply: %v", err)
				}
				return
			}
			var refused *control.Error
			if !errors.As(err, &refused) || refused.Code != control.CodeVerify || !strings.Contains(refused.Message, tt.want) ||
				!strings.Contains(refused.Message, own) {
				t.Fatalf("apply: %v, want a failed verification that says %q", err, tt.want)
			}
			if g, _ := d.client.Generation(t.Context()); g.Generation != 1 {
				t.Errorf("generation %d is live", g.Generation)
			}
			if body, err := get(balancerURL(before)); err != nil || !strings.HasPrefix(body, "ECS0") {
				t.Errorf("after the rollback: %q, %v", body, err)
			}
		})
	}
}

// rule is one whose own group is the second server.
func rule(c *spec.Config, l *spec.Listener, domain, url string) *spec.Rule {
	c.ServerGroups = []*spec.ServerGroup{{
		Meta: spec.Meta{Address: "server_group.second"}, Type: spec.GroupVServer,
		Backends: []spec.Backend{{Instance: "instance.ECS02", Weight: 100}},
	}}
	return &spec.Rule{
		Meta: spec.Meta{Address: l.Address + `.rule["r"]`, Name: "r"}, Domain: domain, URL: url, ServerGroup: "server_group.second",
	}
}

// TestLiveExpectationsUnasked: nobody insists, or waits, and no request is sent.
func TestLiveExpectationsUnasked(t *testing.T) {
	d := start(t, t.TempDir())
	c := liveConfig(network(t), func(c *spec.Config, _ *spec.Listener) {
		c.LoadBalancers[0].Expects = []spec.Expect{demand(spec.MetricShare, "instance.ECS01", 0.6, 0.7)}
	})
	for n, req := range []control.Request{
		{Wait: control.WaitVerified, IgnoreExpectations: true},
		{Wait: control.WaitNone},
	} {
		req.Generation, req.Base, req.Config, req.Timeout = uint64(n+1), uint64(n), c, 10e9
		if err := d.client.Apply(t.Context(), req, func(control.Event) {}); err != nil {
			t.Fatalf("apply %d: %v", n, err)
		}
		if sent := d.status().LoadBalancers[0].Listeners[0].Requests; sent != 0 {
			t.Errorf("apply %d sends %d requests", n, sent)
		}
	}
}
