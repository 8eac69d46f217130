package planner_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slbctl/planner"
	"slbctl/sim"
	"slbctl/spec"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("..", "testdata", "plan", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (go test -update rewrites it)\n%s", name, d)
	}
}

// ported is the tutorial with a port for the checks and for the servers; 0 is none.
func ported(check, servers float64) []spec.Resource {
	return with(quickstart(),
		listener("SLB1", "80", attrs{"backend_port": servers, "health_check": attrs{"enabled": true, "interval": "2s", "port": check}}),
		balancer("SLB1", attrs{"backend": []any{backend("ECS01", attrs{"port": servers}), backend("ECS02")}}))
}

func TestText(t *testing.T) {
	page := func(content string) attrs {
		return attrs{"page": []any{attrs{"path": "/", "content": content}}}
	}
	long := "<!doctype html>\n<title>shop</title>\n<h1>Shop</h1>\n<p>open</p>\n<p>from nine\x1b[2J</p>\n<p>to five</p>\n"
	url := spec.Output{Name: "url", Value: "http://127.10.0.200:8080"}
	secret := spec.Output{Name: "admin_token", Value: "hunter2", Sensitive: true}
	for _, c := range []struct {
		name             string
		recorded, wanted []spec.Resource
		flags            planner.Input
		style            planner.Style
		outputs          []spec.Output
	}{
		{name: "create", wanted: quickstart(), outputs: []spec.Output{url, secret}},
		{name: "color", recorded: without(quickstart(), "instance.ECS01"), wanted: with(without(quickstart(), `dns_zone["abc.com"].record["www:A"]`), balancer("SLB1", attrs{"backend": []any{backend("ECS01"), backend("ECS02")}, "address_type": "intranet"}), listener("SLB1", "80", attrs{"scheduler": "wrr"})), style: planner.Style{Color: true}},
		{name: "nothing", recorded: quickstart(), wanted: quickstart()},
		{name: "update", recorded: quickstart(), wanted: with(quickstart(), instance("ECS03"),
			balancer("SLB1", attrs{"backend": []any{backend("ECS03", attrs{"weight": 5.0}), backend("ECS02", attrs{"weight": 20.0})}}),
			listener("SLB1", "80", attrs{"scheduler": "wrr", "description": "the shop's front door"}),
			record("abc.com", "www:A", attrs{"values": []any{"127.10.0.200", "127.10.0.201"}}))},
		{name: "replace", recorded: quickstart(), wanted: with(quickstart(), balancer("SLB1", attrs{"backend": []any{backend("ECS01"), backend("ECS02")}, "address_type": "intranet", "status": "inactive"}))},
		{name: "ports", recorded: ported(0, 8080), wanted: ported(7, 0)},
		{name: "pages", recorded: with(quickstart(), instance("ECS01", page(long))), wanted: with(quickstart(),
			instance("ECS01", page(long[:40]+"<p>closed</p>\n"+long[64:])), instance("ECS03", page(long)))},
		{name: "destroy", recorded: quickstart(), flags: planner.Input{Destroy: true, Targets: []string{"load_balancer.SLB1", "instance.ECS02"}}, outputs: []spec.Output{url}},
		{name: "target", recorded: without(quickstart(), "instance.ECS01"), wanted: quickstart(), flags: planner.Input{Targets: []string{"instance.ECS01"}}},
		{name: "narrow", recorded: without(quickstart(), "instance.ECS01"), wanted: quickstart(), style: planner.Style{Width: 40}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			if c.recorded != nil {
				w = holding(t, c.recorded)
			}
			in := w.input(t, config(t, c.wanted, c.outputs...))
			in.Destroy, in.Targets = c.flags.Destroy, c.flags.Targets
			var text bytes.Buffer
			if err := mustMake(t, in).WriteText(&text, c.style); err != nil {
				t.Fatal(err)
			}
			golden(t, c.name+".txt", text.Bytes())
		})
	}
}

func TestTextOfDrift(t *testing.T) {
	w := holding(t, quickstart(), spec.Output{Name: "url", Value: "a"})
	w.engine.seen.Instances["instance.ECS02"] = "stopped"
	w.engine.seen.Hash = "other"
	in := w.input(t, config(t, quickstart(), spec.Output{Name: "url", Value: "b"}))
	in.Config.Runtime.Loops, in.Config.Runtime.Expose = 2, true
	in.Warnings = []string{"all backends of load_balancer.SLB1 are in one zone"}
	p := mustMake(t, in)
	var text bytes.Buffer
	if err := p.WriteText(&text, planner.Style{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "drift.txt", text.Bytes())
}

func TestJSON(t *testing.T) {
	_, p := savedPlan(t)
	var doc bytes.Buffer
	if err := p.WriteJSON(&doc); err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.json", doc.Bytes())
	var empty bytes.Buffer
	if err := mustMake(t, newWorld().input(t, config(t, nil))).WriteJSON(&empty); err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(empty.Bytes(), &keys); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"changes", "traffic", "outputs", "warnings"} {
		if l, ok := keys[list].([]any); !ok || len(l) != 0 {
			t.Errorf("%s of an empty plan is %v", list, keys[list])
		}
	}
}

func TestTextOfTraffic(t *testing.T) {
	half, third := 0.5, 1.0/3
	w := holding(t, with(quickstart(), listener("SLB1", "81", attrs{"port": 81.0}), listener("SLB1", "82", attrs{"port": 82.0, "drain": "30s"})))
	p := mustMake(t, w.input(t, config(t, with(quickstart(), listener("SLB1", "80", attrs{"scheduler": "wrr"}), listener("SLB1", "82", attrs{"port": 82.0}), listener("SLB1", "83", attrs{"port": 83.0, "scheduler": "sch"})))))
	at := func(port string) string { return `load_balancer.SLB1.listener["tcp:` + port + `"]` }
	many := []sim.ForeseenShare{}
	for i := range 25 {
		many = append(many, sim.ForeseenShare{Address: fmt.Sprintf("instance.web[%d]", i), ShareBefore: 0.2, ShareAfter: 0.04})
	}
	p.Traffic = []sim.Traffic{
		{Listener: at("80"), Method: "exact", TrafficMoved: 1.0 / 6,
			Backends: []sim.ForeseenShare{{Address: "instance.ECS01", ShareBefore: 0.5, ShareAfter: 2.0 / 3}, {Address: "instance.ECS02", ShareBefore: 0.5, ShareAfter: third}},
			Survives: []sim.Survival{{Loss: "instance.ECS01", OK: true, Detail: "100% on ECS02"}, {Loss: "instance.ECS02", OK: true}, {Loss: "zone=cn-hangzhou-b", OK: true, Detail: "100% on ECS02"}}},
		{Listener: at("81"), Method: "exact", Backends: []sim.ForeseenShare{{Address: "instance.ECS01", ShareBefore: 1}}},
		{Listener: at("82"), Method: "simulated", TrafficMoved: 0.5, ConnectionsEnded: []string{"127.0.0.1:8080"}, DrainSeconds: 30, ClientsMoved: &half, ClientsMovedMin: &third,
			Backends: append(many, sim.ForeseenShare{Address: "127.0.0.1:8080", ShareBefore: 0.5}), Survives: []sim.Survival{{Loss: "instance.web[0]", Detail: "nobody is left"}}},
		{Listener: at("83"), Method: "exact", Backends: []sim.ForeseenShare{{Address: "instance.ECS01", ShareAfter: 1}}},
	}
	var text bytes.Buffer
	if err := p.WriteText(&text, planner.Style{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "traffic.txt", text.Bytes())
}
