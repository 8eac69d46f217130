package planner_test

import (
	"bytes"
	"strings"
	"testing"

	"slbctl/planner"
	"slbctl/sim"
)

// TestTextOfConnections says what becomes of the open connections of a listener that is
// in place, whether or not the listener itself changes.
func TestTextOfConnections(t *testing.T) {
	const stopsECS02 = "stopping instance.ECS02 closes what it has"
	both := []sim.ForeseenShare{
		{Address: "instance.ECS01", ShareBefore: 0.5, ShareAfter: 1}, {Address: "instance.ECS02", ShareBefore: 0.5},
	}
	twice := []sim.ForeseenShare{{Address: "instance.ECS02:80", ShareBefore: 0.5}, {Address: "instance.ECS02:81", ShareBefore: 0.5}}
	cases := []struct {
		name    string
		status  string // of ECS02 after the plan
		traffic sim.Traffic
		want    string
	}{
		{"weight 0", "running", sim.Traffic{Backends: both}, "in place, no connection closed"},
		{"removed", "running", sim.Traffic{Backends: both, ConnectionsEnded: []string{"instance.ECS02"}, DrainSeconds: 30},
			"in place; connections to instance.ECS02 drain for up to 30s"},
		{"removed without a drain", "running", sim.Traffic{Backends: both, ConnectionsEnded: []string{"instance.ECS02"}},
			"in place; connections to instance.ECS02 are closed"},
		{"many removed", "running", sim.Traffic{ConnectionsEnded: []string{"a", "b", "c", "d"}, DrainSeconds: 1.5},
			"in place; connections to 4 servers drain for up to 1.5s"},
		{"stopped", "stopped", sim.Traffic{Backends: both}, "in place; " + stopsECS02},
		{"stopped and removed", "stopped", sim.Traffic{Backends: both, ConnectionsEnded: []string{"instance.ECS02"}, DrainSeconds: 30},
			"in place; connections to instance.ECS02 drain for up to 30s"},
		{"stopped, listed twice", "stopped", sim.Traffic{Backends: twice},
			"in place; stopping instance.ECS02:80, instance.ECS02:81 closes what it has"},
	}
	for _, test := range cases {
		w := holding(t, quickstart())
		p := mustMake(t, w.input(t, config(t, with(quickstart(), instance("ECS02", attrs{"status": test.status, "zone": "cn-hangzhou-d"})))))
		test.traffic.Listener, test.traffic.Method = `load_balancer.SLB1.listener["tcp:80"]`, "exact"
		p.Traffic = []sim.Traffic{test.traffic}
		var text bytes.Buffer
		if err := p.WriteText(&text, planner.Style{}); err != nil {
			t.Fatal(err)
		}
		_, effect, _ := strings.Cut(text.String(), "Effect on traffic (exact)\n")
		line, _, _ := strings.Cut(effect, "\n")
		if !strings.HasSuffix(line, " "+test.want) {
			t.Errorf("%s: %q, want %q", test.name, line, test.want)
		}
	}
}
