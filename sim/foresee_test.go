package sim

import (
	"encoding/json"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"slbctl/spec"
)

func foreseen(t *testing.T, before, after *spec.Config) []Traffic {
	t.Helper()
	out, err := Foresee(before, after)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func only(t *testing.T, rows []Traffic) Traffic {
	t.Helper()
	if len(rows) != 1 || rows[0].Listener != listenerAddress {
		t.Fatalf("%d rows, want the one listener: %+v", len(rows), rows)
	}
	return rows[0]
}

// The keys and order of a row are a contract.
func TestForeseeJSON(t *testing.T) {
	row := only(t, foreseen(t, shop(spec.SchedulerRR, 100, 100), shop(spec.SchedulerWRR, 75, 25)))
	got, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	const losses = `[{"detail":"100% on s1","loss":"instance.s0","ok":true},{"detail":"100% on s0","loss":"instance.s1","ok":true},` +
		`{"detail":"100% on s1","loss":"zone=a","ok":true},{"detail":"100% on s0","loss":"zone=b","ok":true}]`
	const want = `{"access":null,"backends":[{"address":"instance.s0","share_after":0.75,"share_before":0.5},{"address":"instance.s1","share_after":0.25,"share_before":0.5}],` +
		`"clients_moved":null,"clients_moved_min":null,"connections_ended":[],"connections_open":null,"drain_seconds":0,"health_check":null,"listener":"load_balancer.lb.listener[\"tcp:80\"]","method":"exact",` +
		`"requests":[{"after":"load_balancer.lb.listener[\"tcp:80\"]","before":"load_balancer.lb.listener[\"tcp:80\"]","pattern":"*"}],"sessions_lost":null,` +
		`"survives":` + losses + `,"survives_before":` + losses + `,"traffic_moved":0.25}`
	if string(got) != want {
		t.Errorf("row\n%s\nwant\n%s", got, want)
	}
}

func TestForeseeOnlyWhatChanges(t *testing.T) {
	same := func(what string, change func(*spec.Config)) {
		c := shop(spec.SchedulerRR, 100, 100)
		change(c)
		if rows := foreseen(t, shop(spec.SchedulerRR, 100, 100), c); len(rows) != 0 {
			t.Errorf("%s: %+v, want no row", what, rows)
		}
	}
	same("nothing", func(*spec.Config) {})
	same("description", func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].Description = "shop" })
	same("a list that keeps nobody out", func(c *spec.Config) { restrict(c, spec.ACLBlack) })
	changed := func(what string, moved float64, change func(*spec.Config)) {
		c := shop(spec.SchedulerRR, 100, 100)
		change(c)
		if row := only(t, foreseen(t, shop(spec.SchedulerRR, 100, 100), c)); math.Abs(row.TrafficMoved-moved) > 1e-9 {
			t.Errorf("%s: %v of traffic moves, want %v", what, row.TrafficMoved, moved)
		}
	}
	changed("a weight under rr", 0, func(c *spec.Config) { c.LoadBalancers[0].Backends[0].Weight = 1 })
	changed("weight 0", .5, func(c *spec.Config) { c.LoadBalancers[0].Backends[0].Weight = 0 })
	changed("all weights 0", 1, func(c *spec.Config) {
		c.LoadBalancers[0].Backends[0].Weight, c.LoadBalancers[0].Backends[1].Weight = 0, 0
	})
	changed("another port", 0, func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].BackendPort = 9000 })
	changed("a stopped instance", .5, func(c *spec.Config) { c.Instances[1].Status = spec.StatusStopped })
	changed("a stopped listener", 1, func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].Status = spec.StatusStopped })
	changed("no balancer", 1, func(c *spec.Config) { c.LoadBalancers = nil })
}

// TestTrafficMoved goes through every way a listener can begin and end to serve.
func TestTrafficMoved(t *testing.T) {
	weights := func(w ...int) *spec.Config { return shop(spec.SchedulerWRR, w...) }
	with := func(c *spec.Config, change func(*spec.Config)) *spec.Config {
		change(c)
		return c
	}
	stoppedListener := func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].Status = spec.StatusStopped }
	stoppedServers := func(c *spec.Config) {
		for _, i := range c.Instances {
			i.Status = spec.StatusStopped
		}
	}
	inactive := func(c *spec.Config) { c.LoadBalancers[0].Status = spec.StatusInactive }
	running := func() *spec.Config { return weights(50, 50) }
	for _, c := range []struct {
		name          string
		before, after *spec.Config
		want          float64
	}{
		{"a new listener", nil, running(), 0},
		{"stopped to running", with(running(), stoppedListener), running(), 0},
		{"inactive to active", with(running(), inactive), running(), 0},
		{"no weight to some", weights(0, 0), running(), 0},
		{"all servers stopped to all running", with(running(), stoppedServers), running(), 0},
		{"running to stopped", running(), with(running(), stoppedListener), 1},
		{"active to inactive", running(), with(running(), inactive), 1},
		{"some weight to none", running(), weights(0, 0), 1},
		{"all servers running to all stopped", running(), with(running(), stoppedServers), 1},
		{"a removed listener", running(), nil, 1},
		{"one server to another", weights(100, 0), weights(0, 100), 1},
		{"a quarter", running(), weights(25, 75), .25},
		{"the first of two to three", weights(100, 0, 0), weights(100, 100, 100), 2. / 3},
		{"three to one of them", weights(100, 100, 100), weights(100, 0, 0), 2. / 3},
	} {
		rows := foreseen(t, c.before, c.after)
		if row := only(t, rows); math.Abs(row.TrafficMoved-c.want) > 1e-9 {
			t.Errorf("%s: %v of traffic moves, want %v", c.name, row.TrafficMoved, c.want)
		}
	}
}

func TestForeseeNewListener(t *testing.T) {
	row := only(t, foreseen(t, nil, shop(spec.SchedulerWRR, 100, 50)))
	if row.TrafficMoved != 0 || row.ClientsMoved != nil {
		t.Errorf("nothing moves at a new listener: %+v", row)
	}
	if b := row.Backends; b[0].ShareAfter != 2./3 || b[1].ShareAfter != 1./3 || b[0].ShareBefore != 0 {
		t.Errorf("shares %+v", b)
	}
}

func TestForeseeRemovedServer(t *testing.T) {
	after := shop(spec.SchedulerRR, 100, 100)
	after.LoadBalancers[0].Backends = after.LoadBalancers[0].Backends[1:]
	row := only(t, foreseen(t, shop(spec.SchedulerRR, 100, 100), after))
	if b := row.Backends; len(b) != 2 || b[0].Address != "instance.s1" || b[0].ShareAfter != 1 || b[1].ShareBefore != .5 || b[1].ShareAfter != 0 {
		t.Errorf("backends %+v, want those that stay first", b)
	}
	for _, s := range row.Survives {
		if s.OK || s.Detail != "no server is left, connections are refused" {
			t.Errorf("loss of %s with one server: %+v", s.Loss, s)
		}
	}
}

func TestForeseeClients(t *testing.T) {
	row := only(t, foreseen(t, shop(spec.SchedulerSCH, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), shop(spec.SchedulerSCH, 1, 1, 1, 1, 1, 1, 1, 1, 1)))
	if row.ClientsMoved == nil || math.Abs(*row.ClientsMovedMin-.1) > .0001 || *row.ClientsMoved < .1 || *row.ClientsMoved > .11 {
		t.Errorf("one of ten servers goes: %v of the clients move, at least %v", row.ClientsMoved, row.ClientsMovedMin)
	}
	if row := only(t, foreseen(t, shop(spec.SchedulerSCH, 1, 1), shop(spec.SchedulerTCH, 1, 1))); row.ClientsMoved != nil {
		t.Errorf("from sch to tch clients keep nothing: %+v", row)
	}
	if row := only(t, foreseen(t, shop(spec.SchedulerRR, 1, 1), shop(spec.SchedulerWLC, 1, 1))); row.Method != "simulated" {
		t.Errorf("wlc is %s, want simulated", row.Method)
	}
}

func TestSurvivals(t *testing.T) {
	c := shop(spec.SchedulerWRR, 100, 100, 100, 0)
	c.LoadBalancers[0].Backends = append(c.LoadBalancers[0].Backends,
		spec.Backend{Address: netip.MustParseAddr("127.0.0.1"), Port: 8080, Weight: 1},
		spec.Backend{Instance: "instance.s0", Port: 81, Weight: 100})
	c.LoadBalancers[0].Listeners[0].HealthCheck.Enabled = false
	want := []Survival{
		{"3 of 5 servers are left, by retries: there is no health check", "instance.s0", true},
		{"4 of 5 servers are left, by retries: there is no health check", "instance.s1", true},
		{"4 of 5 servers are left, by retries: there is no health check", "instance.s2", true},
		{"4 of 5 servers are left, by retries: there is no health check", "127.0.0.1:8080", true},
		{"2 of 5 servers are left, by retries: there is no health check", "zone=a", true},
		{"4 of 5 servers are left, by retries: there is no health check", "zone=b", true},
	}
	got := only(t, foreseen(t, nil, c)).Survives
	if len(got) != len(want) {
		t.Fatalf("%d losses, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("loss %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestForeseeBrokenConfig(t *testing.T) {
	c := shop(spec.SchedulerRR, 1)
	c.Instances = nil
	if _, err := Foresee(nil, c); err == nil {
		t.Error("no error for a backend that does not exist")
	}
}

// TestForeseeConnections: the balancer ends the connections to what it has no more, and
// no others.
func TestForeseeConnections(t *testing.T) {
	cases := map[string]struct {
		change func(*spec.Config)
		ended  []string
	}{
		"weight 0":  {func(c *spec.Config) { c.LoadBalancers[0].Backends[0].Weight = 0 }, nil},
		"stopped":   {func(c *spec.Config) { c.Instances[0].Status = spec.StatusStopped }, nil},
		"removed":   {func(c *spec.Config) { c.LoadBalancers[0].Backends = c.LoadBalancers[0].Backends[1:] }, []string{"instance.s0"}},
		"readdress": {func(c *spec.Config) { c.Instances[0].IP = netip.MustParseAddr("127.10.9.9") }, []string{"instance.s0"}},
		"inactive":  {func(c *spec.Config) { c.LoadBalancers[0].Status = spec.StatusInactive }, []string{"instance.s0", "instance.s1"}},
		"gone":      {func(c *spec.Config) { c.LoadBalancers = nil }, []string{"instance.s0", "instance.s1"}},
		"moved":     {func(c *spec.Config) { c.LoadBalancers[0].IP = c.LoadBalancers[0].IP.Next() }, []string{"instance.s0", "instance.s1"}},
	}
	for name, test := range cases {
		before, after := shop(spec.SchedulerRR, 100, 100), shop(spec.SchedulerRR, 100, 100)
		before.LoadBalancers[0].Listeners[0].Drain = 30 * time.Second
		test.change(after)
		row := only(t, foreseen(t, before, after))
		if !slices.Equal(row.ConnectionsEnded, test.ended) || row.DrainSeconds != 30 {
			t.Errorf("%s: %v within %vs, want %v", name, row.ConnectionsEnded, row.DrainSeconds, test.ended)
		}
	}
}

// TestForeseeRules: a rule's servers are foreseen under the rule's address, by the same
// tables, and a rule that goes takes no connection with it that the listener still has
// a server for.
func TestForeseeRules(t *testing.T) {
	const rule = listenerAddress + `.rule["tom"]`
	web := func() *spec.Config {
		c := shop(spec.SchedulerRR, 100, 100)
		l := c.LoadBalancers[0].Listeners[0]
		l.Protocol, l.Scheduler = spec.ProtocolHTTP, spec.SchedulerWRR
		c.ServerGroups = []*spec.ServerGroup{{Meta: spec.Meta{Address: "server_group.tom", Name: "tom"}, Type: spec.GroupVServer,
			Backends: []spec.Backend{{Instance: "instance.s0", Port: 80, Weight: 30}, {Instance: "instance.s1", Port: 80, Weight: 10}}}}
		l.Rules = []*spec.Rule{{Meta: spec.Meta{Address: rule, Name: "tom"}, URL: "/tom", ServerGroup: "server_group.tom"}}
		return c
	}
	cases := map[string]struct {
		change func(*spec.Config)
		after  []float64
		moved  float64
		ended  int
	}{
		"weights":  {func(c *spec.Config) { c.ServerGroups[0].Backends[1].Weight = 30 }, []float64{0.5, 0.5}, 0.25, 0},
		"another":  {func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].Rules[0].URL = "/jerry" }, []float64{0.75, 0.25}, 0, 0},
		"its rule": {func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].Rules = nil }, []float64{0, 0}, 1, 0},
	}
	for name, test := range cases {
		after := web()
		test.change(after)
		rows := foreseen(t, web(), after)
		if len(rows) != 1 {
			t.Fatalf("%s: %d rows, want the rule's", name, len(rows))
		}
		row := rows[0]
		if row.Listener != rule || len(row.Backends) != 2 || row.Backends[0].ShareBefore != 0.75 ||
			row.Backends[0].ShareAfter != test.after[0] || row.Backends[1].ShareAfter != test.after[1] ||
			math.Abs(row.TrafficMoved-test.moved) > 1e-9 || len(row.ConnectionsEnded) != test.ended {
			t.Errorf("%s: %+v", name, row)
		}
	}
}
