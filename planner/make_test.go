package planner_test

import (
	"strings"
	"testing"

	"slbctl/planner"
	"slbctl/spec"
)

func TestMake(t *testing.T) {
	qs := quickstart
	both := []any{backend("ECS01"), backend("ECS02")}
	counted := func(names ...string) []spec.Resource {
		var rs []spec.Resource
		for _, n := range names {
			rs = append(rs, instance(n))
		}
		return rs
	}
	protectedECS := instance("ECS02", attrs{"zone": "cn-hangzhou-d", "deletion_protection": true})
	kept := balancer("SLB1", attrs{"backend": both})
	kept.PreventDestroy = true
	for _, c := range []struct {
		name             string
		recorded, wanted []spec.Resource
		flags            planner.Input
		want, wantErr    string
	}{
		{name: "all new", wanted: qs(), want: `
create dns_zone["abc.com"]
create dns_zone["abc.com"].record["www:A"]
create instance.ECS01
create instance.ECS02
create load_balancer.SLB1
create load_balancer.SLB1.listener["tcp:80"]`},
		{name: "nothing to do", recorded: qs(), wanted: qs()},
		{name: "update in place", recorded: qs(), wanted: with(qs(), listener("SLB1", "80", attrs{"scheduler": "wrr", "health_check": attrs{"enabled": true, "interval": "3s"}})),
			want: `update load_balancer.SLB1.listener["tcp:80"] [health_check.interval scheduler]`},
		{name: "weights by server", recorded: qs(), wanted: with(qs(), balancer("SLB1", attrs{"backend": []any{backend("ECS01", attrs{"weight": 20.0}), backend("ECS02")}})),
			want: `update load_balancer.SLB1 [backend["instance.ECS01"].weight]`},
		{name: "a backend more, in front", recorded: qs(), wanted: with(qs(), instance("ECS03"), balancer("SLB1", attrs{"backend": []any{backend("ECS03"), backend("ECS01"), backend("ECS02")}})),
			want: "create instance.ECS03\n" + `update load_balancer.SLB1 [backend["instance.ECS03"]]`},
		{name: "another order", recorded: qs(), wanted: with(qs(), balancer("SLB1", attrs{"backend": []any{backend("ECS02"), backend("ECS01")}})),
			want: `update load_balancer.SLB1 [backend order]`},
		{name: "forced replacement", recorded: qs(), wanted: with(qs(), balancer("SLB1", attrs{"backend": both, "address_type": "intranet"})),
			want: `replace load_balancer.SLB1 (address_type forces replacement) [address_type]`},
		{name: "asked replacement", recorded: qs(), wanted: qs(), flags: planner.Input{Replace: []string{"instance.ECS01"}},
			want: `replace instance.ECS01 (replacement was asked for)`},
		{name: "unknown replacement", recorded: qs(), wanted: qs(), flags: planner.Input{Replace: []string{"instance.ECS1", "acl.x"}},
			wantErr: "-replace instance.ECS1: there is no such resource; did you mean instance.ECS01?\n-replace acl.x: there is no such resource"},
		{name: "gone", recorded: qs(), wanted: without(qs(), `dns_zone["abc.com"].record["www:A"]`),
			want: `delete dns_zone["abc.com"].record["www:A"] (not in configuration)`},
		{name: "gone with its parent", recorded: qs(), wanted: without(qs(), `dns_zone["abc.com"]`, `dns_zone["abc.com"].record["www:A"]`),
			want: "delete dns_zone[\"abc.com\"] (not in configuration)\n" + `delete dns_zone["abc.com"].record["www:A"] (its dns zone is destroyed)`},
		{name: "count shrinks", recorded: counted("web[0]", "web[1]", "web[10]"), wanted: counted("web[0]"),
			want: "delete instance.web[1] (index [1] is out of range for count)\ndelete instance.web[10] (index [10] is out of range for count)"},
		{name: "key goes", recorded: counted(`web["a"]`, `web["b"]`), wanted: counted(`web["a"]`),
			want: `delete instance.web["b"] (key ["b"] is not in for_each)`},
		{name: "count instead of a single one", recorded: counted("web"), wanted: counted("web[0]"),
			want: "delete instance.web (its block has count or for_each now)\ncreate instance.web[0]"},
		{name: "a single one instead of count", recorded: counted("web[0]"), wanted: counted("web"),
			want: "create instance.web\ndelete instance.web[0] (its block has no count or for_each any more)"},
		{name: "for_each instead of count", recorded: counted("web[0]"), wanted: counted(`web["a"]`),
			want: "create instance.web[\"a\"]\ndelete instance.web[0] (its block has for_each instead of count now)"},
		{name: "count instead of for_each", recorded: counted(`web["a"]`), wanted: counted("web[0]"),
			want: "delete instance.web[\"a\"] (its block has count instead of for_each now)\ncreate instance.web[0]"},

		{name: "protected", recorded: with(qs(), protectedECS), wanted: with(without(qs(), "instance.ECS02"), balancer("SLB1", attrs{"backend": []any{backend("ECS01")}})),
			wantErr: "instance.ECS02 is protected and may not be deleted (not in configuration): deletion_protection is true; set it to false and apply that first"},
		{name: "protection taken away first", recorded: with(qs(), protectedECS), wanted: qs(),
			want: "update instance.ECS02 [deletion_protection]"},
		{name: "protected against replacement", recorded: with(qs(), kept), wanted: with(qs(), balancer("SLB1", attrs{"backend": both, "address_type": "intranet"})),
			wantErr: "load_balancer.SLB1 is protected and may not be replaced (address_type forces replacement): lifecycle.prevent_destroy is true; set it to false and apply that first"},
		{name: "protection is recorded", recorded: qs(), wanted: with(qs(), kept), want: "update load_balancer.SLB1 [lifecycle.prevent_destroy]"},
		{name: "protected by what is wanted", recorded: qs(), wanted: with(qs(), protectedECS), flags: planner.Input{Destroy: true},
			wantErr: "instance.ECS02 is protected and may not be deleted (everything is destroyed): deletion_protection is true; set it to false and apply that first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			if c.recorded != nil {
				w = holding(t, c.recorded)
			}
			in := w.input(t, config(t, c.wanted))
			in.Destroy, in.Targets, in.Replace = c.flags.Destroy, c.flags.Targets, c.flags.Replace
			check(t, in, c.want, c.wantErr)
		})
	}
}

func check(t *testing.T, in planner.Input, want, wantErr string) {
	t.Helper()
	p, err := planner.Make(in)
	if err != nil || wantErr != "" {
		if err == nil || err.Error() != wantErr {
			t.Fatalf("error\n%v\nwant\n%s", err, wantErr)
		}
		return
	}
	if got := summary(p); got != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if p.HasChanges() != (want != "") {
		t.Errorf("HasChanges is %v", p.HasChanges())
	}
}

func TestReplacementGetsANewID(t *testing.T) {
	w := holding(t, quickstart())
	in := w.input(t, config(t, quickstart()))
	in.Replace = []string{"instance.ECS01"}
	for n := 1; n <= 2; n++ {
		p := w.apply(t, in)
		for _, c := range p.Changes {
			if c.Address != "instance.ECS01" {
				continue
			}
			if c.After.Replacements != n || c.After.ID != spec.NewID(c.Address, n) || c.Before.ID == c.After.ID {
				t.Errorf("replacement %d: %+v", n, c.After)
			}
		}
		in.State, in.Observed = w.recorded(t), w.engine.seen
	}
	in.Replace = nil
	if p := mustMake(t, in); p.HasChanges() {
		t.Errorf("then: %s", summary(p))
	}
	w.apply(t, w.input(t, config(t, without(quickstart(), "instance.ECS01", "load_balancer.SLB1", `load_balancer.SLB1.listener["tcp:80"]`))))
	p := mustMake(t, w.input(t, config(t, quickstart())))
	for _, c := range p.Changes {
		if c.Address == "instance.ECS01" && c.After.Replacements != 0 {
			t.Errorf("made anew with %d replacements", c.After.Replacements)
		}
	}
}

// TestSerialsAreUsedOnce: a state begins and goes on above all that the folder's
// history knows, be they of a deleted state or of a branch that was given up.
func TestSerialsAreUsedOnce(t *testing.T) {
	w := newWorld()
	first := w.input(t, config(t, quickstart()))
	first.LastSerial = 7
	if p := w.apply(t, first); p.Next.Serial != 8 || p.Base.Serial != 0 {
		t.Errorf("a new state has serial %d on %d, want 8 on 0", p.Next.Serial, p.Base.Serial)
	}
	in := w.input(t, config(t, with(quickstart(), instance("ECS03"))))
	for last, want := range map[uint64]uint64{0: 9, 8: 9, 20: 21} {
		in.LastSerial = last
		if p := mustMake(t, in); p.Next.Serial != want || p.Base.Serial != 8 {
			t.Errorf("above serial 8 and a history up to %d comes %d, want %d", last, p.Next.Serial, want)
		}
	}
	same := w.input(t, config(t, quickstart()))
	same.LastSerial = 20
	if p := mustMake(t, same); p.HasChanges() || p.Next.Serial != 8 {
		t.Errorf("nothing to do makes serial %d of 8", p.Next.Serial)
	}
}

func TestDrift(t *testing.T) {
	stopped := instance("ECS02", attrs{"zone": "cn-hangzhou-d", "status": "stopped"})
	for _, c := range []struct {
		name     string
		recorded []spec.Resource
		wanted   []spec.Resource
		seen     string
		down     bool
		skip     bool
		want     string
	}{
		{name: "none", recorded: quickstart(), wanted: quickstart(), seen: "running"},
		{name: "stopped", recorded: quickstart(), wanted: quickstart(), seen: "stopped", want: "update instance.ECS02 (stopped outside of the configuration) [status]"},
		{name: "not looked at", recorded: quickstart(), wanted: quickstart(), seen: "stopped", skip: true},
		{name: "nobody to ask", recorded: quickstart(), wanted: quickstart(), seen: "stopped", down: true},
		{name: "stopped, and that is wanted now", recorded: quickstart(), wanted: with(quickstart(), stopped), seen: "stopped", want: "update instance.ECS02 [status]"},
		{name: "started", recorded: with(quickstart(), stopped), wanted: with(quickstart(), stopped), seen: "running", want: "update instance.ECS02 (started outside of the configuration) [status]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := holding(t, c.recorded)
			w.engine.seen.Instances["instance.ECS02"] = c.seen
			w.engine.seen.Running = !c.down
			in := w.input(t, config(t, c.wanted))
			in.SkipRefresh = c.skip
			p := mustMake(t, in)
			if got := summary(p); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			for _, ch := range p.Changes {
				if ch.Reason != "" && (ch.Before.Attributes["status"] != c.seen || ch.After.Attributes["status"] == c.seen) {
					t.Errorf("from %v to %v", ch.Before.Attributes["status"], ch.After.Attributes["status"])
				}
			}
		})
	}
}

func TestRuntimeChanges(t *testing.T) {
	w := holding(t, quickstart())
	in := w.input(t, config(t, quickstart()))
	in.Observed.Running = false
	p := mustMake(t, in)
	if p.Runtime.Action != planner.Create || !p.HasChanges() || summary(p) != "" {
		t.Errorf("a dead runtime: %+v, %s", p.Runtime, summary(p))
	}
	in.Observed = planner.Observed{Running: true, Generation: 77, Hash: "other"}
	p = mustMake(t, in)
	if p.Runtime.Action != planner.Update || p.Next.Generation != 78 || p.Base.Generation != 77 {
		t.Errorf("another generation: %+v, next %d on %d", p.Runtime, p.Next.Generation, p.Base.Generation)
	}
	in = w.input(t, config(t, quickstart()))
	in.Config.Runtime.Loops, in.Config.Runtime.PortOffset = 4, 8000
	p = mustMake(t, in)
	if len(p.Runtime.Settings) != 2 || p.Runtime.Settings[0] != (planner.Setting{Name: "loops", Before: 0.0, After: 4.0}) || summary(p) != "" {
		t.Errorf("settings: %+v", p.Runtime)
	}
	w.apply(t, in)
	if w.recorded(t).Runtime.PortOffset != 8000 || w.engine.requests[1].Config.Runtime.Loops != 4 {
		t.Error("the settings were not recorded and asked for")
	}
	empty := newWorld()
	if p := mustMake(t, empty.input(t, config(t, nil))); p.HasChanges() {
		t.Errorf("nothing at all needs %+v", p.Runtime)
	}
}

func TestOutputs(t *testing.T) {
	url := spec.Output{Name: "url", Value: "http://127.10.0.200"}
	secret := spec.Output{Name: "token", Value: "hunter2", Sensitive: true}
	w := holding(t, quickstart(), url, secret)
	recorded := w.recorded(t).Outputs
	if len(recorded) != 2 || recorded[1].Value != url.Value || !strings.HasPrefix(recorded[0].Value.(string), "hmac-sha256:") {
		t.Fatalf("recorded %+v", recorded)
	}
	if p := mustMake(t, w.input(t, config(t, quickstart(), url, secret))); p.HasChanges() {
		t.Errorf("the same again: %+v", p.Outputs)
	}
	secret.Value = "hunter3"
	in := w.input(t, config(t, quickstart(), secret))
	before := len(w.engine.requests)
	p := w.apply(t, in)
	if digest := p.Next.Outputs[0].Value.(string); len(p.Secrets) != 1 || p.Secrets[digest] != `"hunter3"` {
		t.Errorf("the secrets are %v", p.Secrets)
	}
	if len(p.Outputs) != 2 || p.Outputs[0] != (planner.OutputChange{Name: "token", Action: planner.Update, Sensitive: true}) || p.Outputs[1].Action != planner.Delete {
		t.Errorf("got %+v", p.Outputs)
	}
	if len(w.engine.requests) != before {
		t.Error("the runtime was asked for an output")
	}
	if s := w.recorded(t); s.Serial != 2 || s.Generation != 1 || len(s.Outputs) != 1 {
		t.Errorf("recorded serial %d, generation %d, %+v", s.Serial, s.Generation, s.Outputs)
	}
	in = w.input(t, nil)
	in.Destroy = true
	w.apply(t, in)
	if s := w.recorded(t); len(s.Outputs)+len(s.Resources) != 0 || s.Serial != 3 || s.Lineage != "9f1c" {
		t.Errorf("after the end: %+v", s)
	}
	if p := mustMake(t, planner.Input{Destroy: true, State: w.recorded(t)}); p.HasChanges() {
		t.Errorf("destroying nothing: %+v", p)
	}
}
