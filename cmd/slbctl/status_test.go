package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slbctl/runtime/control"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func statusExample() *control.Status {
	return &control.Status{
		Runtime: control.Runtime{PID: 4711, Generation: 3, Loops: 2, UptimeSeconds: 3700},
		LoadBalancers: []control.LoadBalancer{{
			Address: "load_balancer.SLB1", IP: "127.10.0.4", Status: "active",
			Listeners: []control.Listener{{
				Address: `load_balancer.SLB1.listener["tcp:80"]`, Protocol: "tcp", Port: 80, Bound: 8080, Status: "running", Scheduler: "rr",
				Connections: 1, Requests: 1200, Errors: 0, Denied: 3, Dropped: 1, LogLost: 2, LogError: "no space left on device",
				Backends: []control.Backend{
					{Address: "instance.ECS01", IP: "127.10.0.2", Bound: 8080, Health: "normal", Reason: "connected", Since: noon.Add(-90 * time.Second), Weight: 100, Share: 1, Connections: 1, Requests: 1200},
					{Address: "instance.ECS02", IP: "127.10.0.3", Bound: 8080, Health: "abnormal", Reason: "connection refused", Since: noon.Add(-5 * time.Second), Weight: 100, Errors: 2},
				},
			}},
		}},
		Instances: []control.Instance{
			{Address: "instance.ECS01", IP: "127.10.0.2", Bound: []uint16{8080}, Status: "running"},
			{Address: "instance.ECS02", IP: "127.10.0.3", Bound: []uint16{8080, 8443}, Status: "stopped"},
		},
		Certificates: []control.Certificate{
			{Address: "certificate.www", Names: []string{"www.a.test", "a.test"}, Issuer: "local CA", Expires: new(noon.Add(time.Hour)), Fingerprint: "AB:CD"},
			{Address: "certificate.lost", Names: []string{"b.test"}, Issuer: "local CA"},
			{Address: "ca_certificate.clients", Names: []string{"Clients' CA"}, Expires: new(noon.Add(-time.Hour)), Fingerprint: "EF:01"},
		},
		DNS:      control.DNS{Address: "127.10.0.1:8053", Zones: []control.Zone{{Domain: "abc.com", Records: 1}}},
		Draining: []control.Draining{{Address: "instance.ECS03", Listener: `load_balancer.SLB1.listener["tcp:80"]`, Connections: 4, Until: noon.Add(12 * time.Second)}},
	}
}

func TestStatusText(t *testing.T) {
	v := view{now: noon}
	want := `load_balancer.SLB1  127.10.0.4  active
  listener["tcp:80"]  127.10.0.4:8080  rr  running
  1 open connection, 1200 requests, 0 errors, 3 kept out by the access list, 1 dropped beyond the limits
  the access log lost 2 lines: no space left on device
    server          endpoint         health    since  weight  share   open  requests  errors  reason
    instance.ECS01  127.10.0.2:8080  normal    1m     100     100.0%  1     1200      0       connected
    instance.ECS02  127.10.0.3:8080  abnormal  5s     100     0.0%    0     0         2       connection refused

certificate             names              issuer    expires             fingerprint (SHA-256)
certificate.www         www.a.test a.test  local CA  2026-11-22          AB:CD
certificate.lost        b.test             local CA  -                   not there
ca_certificate.clients  Clients' CA        -         2026-11-22 expired  EF:01

instance        status   listens on
instance.ECS01  running  127.10.0.2:8080
instance.ECS02  stopped  127.10.0.3:8080 127.10.0.3:8443

dns  127.10.0.1:8053  abc.com (1 record)

draining        from                                   open  at most
instance.ECS03  load_balancer.SLB1.listener["tcp:80"]  4     12s

runtime  pid 4711, generation 3, 2 loops, up 1h
`
	if diff := cmp.Diff(want, v.render(statusExample())); diff != "" {
		t.Error(diff)
	}
}

func TestStatusOfNothing(t *testing.T) {
	v := view{now: noon}
	want := "Nothing runs here: the last apply left no resources.\n\nruntime  pid 1, generation 2, 1 loop, up 0s\n"
	if diff := cmp.Diff(want, v.render(&control.Status{Runtime: control.Runtime{PID: 1, Generation: 2, Loops: 1}})); diff != "" {
		t.Error(diff)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m",
		3 * time.Hour: "3h", 47 * time.Hour: "47h", 72 * time.Hour: "3d",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %s, want %s", d, got, want)
		}
	}
}
