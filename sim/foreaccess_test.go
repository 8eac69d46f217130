package sim

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"slbctl/spec"
)

// restrict gives the listener of a shop an access list.
func restrict(c *spec.Config, kind string, entries ...string) *spec.Config {
	list := &spec.ACL{Meta: spec.Meta{Address: "acl.list"}}
	for _, e := range entries {
		list.Entries = append(list.Entries, netip.MustParsePrefix(e))
	}
	c.ACLs = append(c.ACLs, list)
	l := c.LoadBalancers[0].Listeners[0]
	l.ACL, l.ACLType = list.Address, kind
	return c
}

func TestForeseeAccess(t *testing.T) {
	open := func() *spec.Config { return shop(spec.SchedulerRR, 100, 100) }
	six := func(c *spec.Config) *spec.Config {
		c.LoadBalancers[0].IP = netip.IPv6Loopback()
		return c
	}
	heralded := func(c *spec.Config) *spec.Config {
		c.LoadBalancers[0].Listeners[0].AcceptProxyProtocol = true
		return c
	}
	for _, c := range []struct {
		name          string
		before, after *spec.Config
		want          string // of access, as JSON; "" = no row
	}{
		{"a black list", open(), restrict(open(), spec.ACLBlack, "203.0.113.0/24", "198.51.100.7/32"),
			`{"allowed":[],"allowed_ipv4":0,"refused":["198.51.100.7/32","203.0.113.0/24"],"refused_ipv4":257}`},
		{"no black list any more", restrict(open(), spec.ACLBlack, "203.0.113.0/24"), open(),
			`{"allowed":["203.0.113.0/24"],"allowed_ipv4":256,"refused":[],"refused_ipv4":0}`},
		{"a white list", open(), restrict(open(), spec.ACLWhite, "0.0.0.0/1", "::/0"),
			`{"allowed":[],"allowed_ipv4":0,"refused":["128.0.0.0/1"],"refused_ipv4":2147483648}`},
		{"an empty white list", open(), restrict(open(), spec.ACLWhite),
			`{"allowed":[],"allowed_ipv4":0,"refused":["0.0.0.0/0"],"refused_ipv4":4294967296}`},
		{"another entry", restrict(open(), spec.ACLWhite, "10.0.0.0/9"), restrict(open(), spec.ACLWhite, "10.0.0.0/10", "192.0.2.1/32"),
			`{"allowed":["192.0.2.1/32"],"allowed_ipv4":1,"refused":["10.64.0.0/10"],"refused_ipv4":4194304}`},
		{"the same in other words", restrict(open(), spec.ACLWhite, "10.0.0.0/8"), restrict(open(), spec.ACLWhite, "10.0.0.0/9", "10.128.0.0/9"), ""},
		{"IPv6 at an address of IPv4", open(), restrict(open(), spec.ACLBlack, "2001:db8::/32"), ""},
		{"IPv6 at one of IPv6", six(open()), restrict(six(open()), spec.ACLBlack, "2001:db8::/32"),
			`{"allowed":[],"allowed_ipv4":0,"refused":["2001:db8::/32"],"refused_ipv4":0}`},
		{"IPv6 by the PROXY protocol", heralded(open()), restrict(heralded(open()), spec.ACLBlack, "2001:db8::/32"),
			`{"allowed":[],"allowed_ipv4":0,"refused":["2001:db8::/32"],"refused_ipv4":0}`},
		{"a listener that is new", nil, restrict(open(), spec.ACLWhite), "null"},
	} {
		rows := foreseen(t, c.before, c.after)
		if c.want == "" {
			if len(rows) > 0 {
				t.Errorf("%s: %+v", c.name, rows)
			}
			continue
		}
		got, err := json.Marshal(only(t, rows).Access)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// A listener whose servers are all those of its rules, or that only redirects, has clients, too.
func TestForeseeAccessWithoutServers(t *testing.T) {
	redirecting := func() *spec.Config {
		c := shop(spec.SchedulerRR)
		c.LoadBalancers[0].Listeners[0].Protocol, c.LoadBalancers[0].Listeners[0].Redirect = spec.ProtocolHTTP, &spec.Redirect{Port: 80, Code: 302}
		return c
	}
	row := only(t, foreseen(t, redirecting(), restrict(redirecting(), spec.ACLBlack, "192.0.2.1/32")))
	if row.Access == nil || row.Access.RefusedIPv4 != 1 || len(row.Backends) > 0 || row.TrafficMoved != 0 {
		t.Errorf("%+v", row)
	}
}

func TestForeseeCheck(t *testing.T) {
	with := func(change func(*spec.HealthCheck)) *spec.Config {
		c := shop(spec.SchedulerRR, 100, 100)
		change(&c.LoadBalancers[0].Listeners[0].HealthCheck)
		return c
	}
	seconds := func(s float64) *float64 { return &s }
	slow := &Noticing{BackSeconds: 6, BackSilentSeconds: seconds(11), DeadSeconds: 6, SilentSeconds: seconds(21)}
	normal := with(func(*spec.HealthCheck) {})
	off := with(func(h *spec.HealthCheck) { h.Enabled = false })
	fast := with(func(h *spec.HealthCheck) {
		h.Interval, h.Timeout, h.UnhealthyThreshold, h.HealthyThreshold = time.Second, time.Second, 2, 1
	})
	quick := &Noticing{BackSeconds: 1, BackSilentSeconds: seconds(2), DeadSeconds: 2, SilentSeconds: seconds(4)}
	slower := with(func(h *spec.HealthCheck) { h.Enabled, h.Interval = false, time.Minute })
	if rows := foreseen(t, off, slower); len(rows) > 0 {
		t.Errorf("a check that is off and stays so: %+v", rows)
	}
	for _, c := range []struct {
		name          string
		before, after *spec.Config
		want          *CheckChange
	}{
		{"faster", normal, fast, &CheckChange{Before: slow, After: quick}},
		{"off", normal, off, &CheckChange{Before: slow}},
		{"on", off, normal, &CheckChange{After: slow}},
		{"another page", normal, with(func(h *spec.HealthCheck) { h.URI = "/well" }), &CheckChange{Before: slow, After: slow}},
		{"another port", normal, with(func(h *spec.HealthCheck) { h.Port = 8081 }), &CheckChange{Before: slow, After: slow}},
	} {
		row := only(t, foreseen(t, c.before, c.after))
		if !reflect.DeepEqual(row.HealthCheck, c.want) || row.TrafficMoved != 0 || row.Access != nil {
			got, _ := json.Marshal(row.HealthCheck)
			t.Errorf("%s: %s, %v of traffic moves", c.name, got, row.TrafficMoved)
		}
	}
}

// TestDetectionIsTheSimulators has a server die, and come back, at many moments: the longest
// that the simulator's probes take to notice either is what a plan says. One that hangs accepts: only
// a check that waits for an answer meets silence, and its last one is closed with what else has hung.
func TestDetectionIsTheSimulators(t *testing.T) {
	for _, mode := range []string{spec.FaultRefuse, spec.FaultHang} {
		var noticed, returned, dead, back time.Duration
		for phase := time.Duration(0); phase < 7*time.Second; phase += 500 * time.Millisecond {
			c := shop(spec.SchedulerRR, 100, 100)
			if mode == spec.FaultHang {
				check := &c.LoadBalancers[0].Listeners[0].HealthCheck
				check.Type, check.URI, check.Method, check.HTTPCodes = spec.CheckHTTP, "/", "head", []string{"http_2xx"}
			}
			at, lasts := 60*time.Second+phase%(2*time.Second), 60*time.Second+phase
			day(c).Faults = []spec.Fault{{Name: "dead", At: at, For: lasts, Targets: []string{"instance.s0"}, Mode: mode}}
			r, err := newRun(c, day(c), Options{})
			if err != nil {
				t.Fatal(err)
			}
			r.rebuild()
			r.openStretch()
			died, returns := time.Duration(0), time.Duration(0)
			for returns == 0 && r.now < int64(5*time.Minute) {
				r.advance(r.events[0].at)
				switch word := r.servers[0].verdict.Health().String(); {
				case word == "abnormal" && died == 0:
					died = time.Duration(r.now) - at
				case word == "normal" && died > 0:
					returns = time.Duration(r.now) - at - lasts
				}
			}
			noticed, returned = max(noticed, died), max(returned, returns)
			d := r.servers[0].check.Detection()
			if dead, back = d.Dead, d.Back; mode == spec.FaultHang {
				dead = d.Silent
			}
		}
		if noticed != dead || returned != back {
			t.Errorf("%s: noticed after %v, a plan says %v; back after %v, a plan says %v", mode, noticed, dead, returned, back)
		}
	}
}
