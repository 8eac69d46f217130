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

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func endpoint(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// shop has a balancer whose first listener uses its own backends and whose second
// uses a group.
func shop() *spec.Config {
	return &spec.Config{
		Seed:    42,
		Runtime: spec.Runtime{PortOffset: 8000},
		Instances: []*spec.Instance{
			{Meta: spec.Meta{Address: "instance.a"}, Zone: "z1", IP: addr("127.10.0.2"), Ports: []uint16{80, 9000}},
			{Meta: spec.Meta{Address: "instance.b"}, Zone: "z2", IP: addr("127.10.0.3"), Ports: []uint16{9000}, Status: spec.StatusStopped},
		},
		ServerGroups: []*spec.ServerGroup{{
			Meta: spec.Meta{Address: "server_group.g"},
			Backends: []spec.Backend{
				{Instance: "instance.a", Port: 9000, Weight: 10},
				{Instance: "instance.a", Weight: 20},
				{Address: addr("127.0.0.1"), Port: 81, Weight: 30},
			},
		}},
		LoadBalancers: []*spec.LoadBalancer{{
			Meta: spec.Meta{Address: "load_balancer.lb"}, IP: addr("127.10.0.1"), Status: spec.StatusActive,
			Backends: []spec.Backend{{Instance: "instance.b", Weight: 100}, {Instance: "instance.a", Weight: 0}},
			Listeners: []*spec.Listener{
				{
					Meta: spec.Meta{Address: `load_balancer.lb.listener["tcp:80"]`}, Protocol: "tcp", Port: 80,
					Scheduler: spec.SchedulerRR, Status: spec.StatusRunning, Drain: 30 * time.Second,
					EstablishedTimeout: 900 * time.Second,
					HealthCheck:        spec.HealthCheck{Enabled: true, Interval: 2 * time.Second, Timeout: time.Second, HealthyThreshold: 2, UnhealthyThreshold: 4},
				},
				{
					Meta: spec.Meta{Address: `load_balancer.lb.listener["tcp:8081"]`}, Protocol: "tcp", Port: 8081,
					ServerGroup: "server_group.g", BackendPort: 8080, Scheduler: spec.SchedulerSCH, Status: spec.StatusStopped,
					WhenAllUnhealthy: spec.WhenUnhealthyForward,
					HealthCheck:      spec.HealthCheck{Interval: 2 * time.Second, Timeout: 5 * time.Second, Port: 99},
				},
			},
		}},
	}
}

func TestCompile(t *testing.T) {
	got, err := Compile(shop())
	if err != nil {
		t.Fatal(err)
	}
	want := []*Listener{
		{
			Address: `load_balancer.lb.listener["tcp:80"]`, LoadBalancer: "load_balancer.lb", Protocol: "tcp",
			Endpoint: endpoint("127.10.0.1:8080"), Port: 80, Serving: true,
			Drain: 30 * time.Second, EstablishedTimeout: 900 * time.Second,
			Pool: Pool{Owner: `load_balancer.lb.listener["tcp:80"]`, Group: "load_balancer.lb", Scheduler: "rr", seed: 42, Backends: []Backend{
				{Name: "instance.b", Instance: "instance.b", Zone: "z2", Port: 9000, Weight: 100, Endpoint: endpoint("127.10.0.3:9000"), CheckEndpoint: endpoint("127.10.0.3:9000")},
				{Name: "instance.a", Instance: "instance.a", Zone: "z1", Port: 80, Endpoint: endpoint("127.10.0.2:8080"), CheckEndpoint: endpoint("127.10.0.2:8080")},
			}, Check: Check{Enabled: true, Interval: 2 * time.Second, Timeout: 2 * time.Second, Healthy: 2, Unhealthy: 4}},
		},
		{
			Address: `load_balancer.lb.listener["tcp:8081"]`, LoadBalancer: "load_balancer.lb", Protocol: "tcp",
			Endpoint: endpoint("127.10.0.1:8081"), Port: 8081,
			Pool: Pool{Owner: `load_balancer.lb.listener["tcp:8081"]`, Group: "server_group.g", Scheduler: "sch", seed: 42, ForwardWhenAllUnhealthy: true, Backends: []Backend{
				{Name: "instance.a:9000", Instance: "instance.a", Zone: "z1", Port: 9000, Weight: 10, Endpoint: endpoint("127.10.0.2:9000"), CheckEndpoint: endpoint("127.10.0.2:8099")},
				{Name: "instance.a:8080", Instance: "instance.a", Zone: "z1", Port: 8080, Weight: 20, Endpoint: endpoint("127.10.0.2:8080"), CheckEndpoint: endpoint("127.10.0.2:8099")},
				{Name: "127.0.0.1:81", Port: 81, Weight: 30, Endpoint: endpoint("127.0.0.1:81"), CheckEndpoint: endpoint("127.0.0.1:99")},
			}, Check: Check{Interval: 2 * time.Second, Timeout: 5 * time.Second}},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Pool{}), cmpopts.IgnoreTypes(cookies{}, &router{}), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestServing(t *testing.T) {
	for _, c := range []struct {
		balancer, listener string
		want               bool
	}{
		{spec.StatusActive, spec.StatusRunning, true},
		{spec.StatusInactive, spec.StatusRunning, false},
		{spec.StatusActive, spec.StatusStopped, false},
	} {
		config := shop()
		lb := config.LoadBalancers[0]
		lb.Status, lb.Listeners[0].Status = c.balancer, c.listener
		ls, err := Compile(config)
		if err != nil {
			t.Fatal(err)
		}
		if ls[0].Serving != c.want {
			t.Errorf("balancer %s, listener %s: serving is %v", c.balancer, c.listener, ls[0].Serving)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(*spec.Config)
		want  string
	}{
		{"no such group", func(c *spec.Config) { c.ServerGroups = nil }, "server_group.g does not exist"},
		{"no such instance", func(c *spec.Config) { c.Instances = c.Instances[1:] }, "backend instance.a does not exist"},
		{"one server twice on one port", func(c *spec.Config) { c.ServerGroups[0].Backends[1].Port = 9000 }, "instance.a:9000 is listed twice"},
		{"no port", func(c *spec.Config) { c.Instances[1].Ports = nil }, "instance.b has no port"},
		{"foreign without port", func(c *spec.Config) {
			c.LoadBalancers[0].Backends = []spec.Backend{{Address: addr("127.0.0.1")}}
		}, "127.0.0.1 has no port"},
		{"too many", func(c *spec.Config) { c.ServerGroups[0].Backends = make([]spec.Backend, maxBackends+1) }, "65536 backends"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config := shop()
			c.spoil(config)
			_, err := Compile(config)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "load_balancer.lb.listener") {
				t.Errorf("error %v, want the listener and %q", err, c.want)
			}
		})
	}
}
