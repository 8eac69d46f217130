package planner_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/spec"
)

// moving is the input for a configuration with moved blocks: FROM -> TO in pairs.
func (w *world) moving(t testing.TB, resources []spec.Resource, fromTo ...string) planner.Input {
	c := config(t, resources)
	for i := 0; i < len(fromTo); i += 2 {
		c.Moves = append(c.Moves, spec.Move{From: fromTo[i], To: fromTo[i+1]})
	}
	return w.input(t, c)
}

// as gives resources other addresses, in all that refers to them too, but new ids, as a
// configuration has them that knows nothing of the past.
func as(resources []spec.Resource, fromTo ...string) []spec.Resource {
	to := map[string]string{}
	for i := 0; i < len(fromTo); i += 2 {
		to[fromTo[i]] = fromTo[i+1]
	}
	out := spec.Rename(resources, to)
	for i := range out {
		out[i].ID = spec.NewID(out[i].Address, 0)
	}
	return out
}

// story is what a plan says of each resource that does not just stay.
func story(p *planner.Plan) string {
	var lines []string
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Stays() {
			continue
		}
		line := string(c.Action) + " " + c.Address
		if c.From != "" {
			line += " from " + c.From
		}
		if c.Forgets {
			line += " forgotten"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestMoves(t *testing.T) {
	lb, site := "load_balancer.SLB1", "load_balancer.site"
	port := `.listener["tcp:80"]`
	for _, c := range []struct {
		name             string
		recorded, wanted []spec.Resource
		moves            []string
		want             string
	}{
		{"a server", quickstart(), as(quickstart(), "instance.ECS01", "instance.web"), []string{"instance.ECS01", "instance.web"},
			"no-op instance.web from instance.ECS01"},
		{"a balancer takes its listeners along", quickstart(), as(quickstart(), lb, site, lb+port, site+port), []string{lb, site},
			"no-op " + site + " from " + lb + "\nno-op " + site + port + " from " + lb + port},
		{"a chain of moves, the last first", quickstart(), as(quickstart(), "instance.ECS01", "instance.z"),
			[]string{"instance.y", "instance.z", "instance.x", "instance.y", "instance.ECS01", "instance.x"}, "no-op instance.z from instance.ECS01"},
		{"one into a block with count", []spec.Resource{instance("web")}, as([]spec.Resource{instance("web")}, "instance.web", "instance.web[0]"),
			[]string{"instance.web", "instance.web[0]"}, "no-op instance.web[0] from instance.web"},
		{"a block with count", []spec.Resource{instance("web[0]"), instance("web[1]")},
			as([]spec.Resource{instance("web[0]"), instance("web[1]")}, "instance.web[0]", "instance.site[0]", "instance.web[1]", "instance.site[1]"),
			[]string{"instance.web", "instance.site"}, "no-op instance.site[0] from instance.web[0]\nno-op instance.site[1] from instance.web[1]"},
		{"one that is no part of a name", []spec.Resource{instance("web"), instance("web2")},
			as([]spec.Resource{instance("web"), instance("web2")}, "instance.web", "instance.site"),
			[]string{"instance.web", "instance.site"}, "no-op instance.site from instance.web"},
		{"done before", as(quickstart(), "instance.ECS01", "instance.web"), as(quickstart(), "instance.ECS01", "instance.web"),
			[]string{"instance.ECS01", "instance.web"}, ""},
		{"somebody is there", with(quickstart(), instance("web")), as(without(quickstart(), "instance.web"), "instance.ECS01", "instance.web"),
			[]string{"instance.ECS01", "instance.web"}, "delete instance.ECS01\nreplace instance.web\nupdate " + lb},
		{"with a change", quickstart(), as(with(quickstart(), instance("ECS01", attrs{"status": "stopped"})), "instance.ECS01", "instance.web"),
			[]string{"instance.ECS01", "instance.web"}, "update instance.web from instance.ECS01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := holding(t, c.recorded)
			ids := map[string]string{}
			for _, r := range w.recorded(t).Resources {
				ids[r.Address] = r.ID
			}
			p := mustMake(t, w.moving(t, c.wanted, c.moves...))
			if got := story(p); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			for _, change := range p.Changes {
				if change.From != "" && change.After.ID != ids[change.From] {
					t.Errorf("%s has the id %s, and had %s", change.Address, change.After.ID, ids[change.From])
				}
			}
			if p.HasChanges() != (c.want != "") {
				t.Errorf("it has changes: %v", p.HasChanges())
			}
			w.apply(t, w.moving(t, c.wanted, c.moves...))
			if again := mustMake(t, w.moving(t, c.wanted, c.moves...)); again.HasChanges() {
				t.Errorf("after that there is left to do:\n%s", story(again))
			}
		})
	}
}

// A resource that comes to an address which another one has left has an id of its own.
func TestIDsAreOfOneResource(t *testing.T) {
	w := holding(t, quickstart())
	moved := as(quickstart(), "instance.ECS01", "instance.web")
	w.apply(t, w.moving(t, moved, "instance.ECS01", "instance.web"))
	w.apply(t, w.moving(t, with(moved, instance("ECS01", attrs{"address": "127.10.0.99"})), "instance.ECS02", "instance.other"))
	in := w.moving(t, with(moved, instance("ECS01", attrs{"address": "127.10.0.99"})))
	in.Replace = []string{"instance.web", "instance.ECS01"}
	w.apply(t, in)
	seen := map[string]bool{}
	for _, r := range w.recorded(t).Resources {
		if seen[r.ID] {
			t.Errorf("%s has the id of another one: %s", r.Address, r.ID)
		}
		seen[r.ID] = true
	}
}

func TestRequestSaysWhatIsRenamed(t *testing.T) {
	w := holding(t, quickstart())
	renamed := as(quickstart(), "instance.ECS01", "instance.web")
	w.apply(t, w.moving(t, renamed, "instance.ECS01", "instance.web"))
	r := w.engine.requests[len(w.engine.requests)-1]
	if !r.OnlyNames || !maps.Equal(r.Renamed, map[string]string{"instance.ECS01": "instance.web"}) {
		t.Errorf("%v, only names: %v", r.Renamed, r.OnlyNames)
	}
	w.apply(t, w.moving(t, with(as(renamed, "instance.web", "instance.x"), instance("more")), "instance.web", "instance.x"))
	if r := w.engine.requests[len(w.engine.requests)-1]; r.OnlyNames || r.Renamed["instance.web"] != "instance.x" {
		t.Errorf("%v, only names: %v", r.Renamed, r.OnlyNames)
	}
}

func TestForgetting(t *testing.T) {
	w := holding(t, quickstart())
	rest := with(without(quickstart(), "instance.ECS02"), balancer("SLB1", attrs{"backend": []any{backend("ECS01")}}))
	forgetting := func(destroy bool) planner.Input {
		c := config(t, rest)
		c.Removals = []spec.Removal{{From: "instance.ECS02", Destroy: destroy}}
		return w.input(t, c)
	}
	if got, want := summary(mustMake(t, forgetting(true))), "delete instance.ECS02 (a removed block says so)\nupdate load_balancer.SLB1 [backend[\"instance.ECS02\"]]"; got != want {
		t.Errorf("destroyed:\n%s", got)
	}
	p := w.apply(t, forgetting(false))
	if got, want := story(p), "no-op instance.ECS02 forgotten\nupdate load_balancer.SLB1"; got != want {
		t.Errorf("forgotten:\n%s", got)
	}
	request := w.engine.requests[len(w.engine.requests)-1]
	if request.Config.Instance("instance.ECS02") == nil {
		t.Error("the runtime is asked to end what is forgotten")
	}
	for range 2 { // whether the block is still there or not
		if p := mustMake(t, w.input(t, config(t, rest))); p.HasChanges() || len(p.Notes) != 1 || !strings.HasPrefix(p.Notes[0], "instance.ECS02 runs on") {
			t.Errorf("a plan after it: %s%v", story(p), p.Notes)
		}
	}
	targeted := w.input(t, config(t, rest))
	targeted.Destroy, targeted.Targets = true, []string{"instance.ECS02"}
	if got := story(mustMake(t, targeted)); got != "delete instance.ECS02" {
		t.Errorf("destroyed by name: %s", got)
	}
	if got := summary(mustMake(t, w.input(t, config(t, quickstart())))); !strings.Contains(got, "create instance.ECS02 (it was forgotten and runs: it is taken over as it is)") {
		t.Errorf("taken over:\n%s", got)
	}
	everything := w.input(t, nil)
	everything.Destroy = true
	if n := mustMake(t, everything).Count(planner.Delete); n != 6 {
		t.Errorf("all of it: %d", n)
	}
}

func TestForgottenKeepsWhatItNeeds(t *testing.T) {
	w := holding(t, quickstart())
	in := w.input(t, nil)
	in.Forget = []string{"load_balancer.SLB1"}
	p := w.apply(t, in)
	if got, want := story(p), "no-op load_balancer.SLB1 forgotten\n"+`no-op load_balancer.SLB1.listener["tcp:80"] forgotten`; got != want {
		t.Errorf("%s", got)
	}
	if n := len(w.engine.requests); n != 1 {
		t.Errorf("the runtime was asked %d times", n)
	}
	_, err := planner.Make(w.input(t, config(t, []spec.Resource{instance("ECS01")})))
	if err == nil || !strings.Contains(err.Error(), "load_balancer.SLB1 is forgotten and runs on, and it needs instance.ECS02, which would be destroyed") {
		t.Errorf("%v", err)
	}
	in = w.input(t, nil)
	in.Forget = []string{"load_balancer.SLB1", "instance.ECS3"}
	if _, err := planner.Make(in); err == nil || !strings.Contains(err.Error(), "load_balancer.SLB1 is not in the state") || !strings.Contains(err.Error(), "instance.ECS3 is not in the state; did you mean") {
		t.Errorf("%v", err)
	}
}

func TestIgnoredChanges(t *testing.T) {
	w := holding(t, quickstart())
	for name, c := range map[string]struct {
		ignored []string
		want    string
	}{
		"none":  {nil, "instance.ECS01 [page[\"/\"].content status tags.a]"},
		"some":  {[]string{"page", "status"}, "instance.ECS01 [tags.a]"},
		"all":   {[]string{spec.IgnoreAll}, ""},
		"other": {[]string{"zone"}, "instance.ECS01 [page[\"/\"].content status tags.a]"},
	} {
		wanted := instance("ECS01", attrs{"status": "stopped", "page": []any{attrs{"path": "/", "content": "new"}}, "tags": attrs{"a": "b"}})
		conf := config(t, with(quickstart(), wanted))
		conf.Instance("instance.ECS01").IgnoreChanges = c.ignored
		p := mustMake(t, w.input(t, conf))
		if got := strings.TrimPrefix(summary(p), "update "); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	// What is ignored is not drift either.
	w.engine.seen.Instances["instance.ECS01"] = "stopped"
	conf := config(t, quickstart())
	conf.Instance("instance.ECS01").IgnoreChanges = []string{"status"}
	if p := mustMake(t, w.input(t, conf)); p.HasChanges() {
		t.Errorf("stopped by hand: %s", summary(p))
	}
}

func TestRefreshOnly(t *testing.T) {
	w := holding(t, quickstart(), spec.Output{Name: "secret", Value: "x", Sensitive: true})
	refresh := func() planner.Input {
		in := w.input(t, nil)
		in.RefreshOnly = true
		return in
	}
	if p := mustMake(t, refresh()); p.HasChanges() {
		t.Errorf("nothing has changed: %s%v", summary(p), p.Outputs)
	}
	w.engine.seen.Instances["instance.ECS02"] = "stopped"
	p := w.apply(t, refresh())
	if got := summary(p); got != "update instance.ECS02 (stopped outside of the configuration) [status]" {
		t.Error(got)
	}
	if len(w.engine.requests) != 1 || w.recorded(t).ConfigHash != w.engine.seen.Hash {
		t.Error("the runtime was asked, or what runs is not what is recorded of it")
	}
	if p := mustMake(t, refresh()); p.HasChanges() {
		t.Errorf("a second time: %s", summary(p))
	}
	if got := summary(mustMake(t, w.input(t, config(t, quickstart(), spec.Output{Name: "secret", Value: "x", Sensitive: true})))); got != "update instance.ECS02 [status]" {
		t.Errorf("the next plan: %s", got)
	}
}

func TestMovedByHand(t *testing.T) {
	w := holding(t, quickstart())
	move := func(from, to string) planner.Input {
		in := w.input(t, nil)
		in.Moves = []spec.Move{{From: from, To: to}}
		return in
	}
	for _, c := range [][3]string{
		{"instance.ECS03", "instance.x", "instance.ECS03 is not in the state; did you mean instance.ECS01 or instance.ECS02?"},
		{"instance.ECS01", "instance.ECS02", "instance.ECS02 is in the state already: instance.ECS01 cannot take its place"},
	} {
		if _, err := planner.Make(move(c[0], c[1])); err == nil || err.Error() != c[2] {
			t.Errorf("%s -> %s: %v", c[0], c[1], err)
		}
	}
	w.engine.seen.Running = false
	w.apply(t, move("instance.ECS01", "instance.web"))
	if len(w.engine.requests) != 1 {
		t.Error("a runtime that is down was asked")
	}
	if s := w.recorded(t); s.ConfigHash == w.engine.seen.Hash || s.Generation != w.engine.seen.Generation {
		t.Error("the next plan would not bring the runtime up to date")
	}
}

// changing draws configurations: some servers, each behind the balancer or not.
func changing(rt *rapid.T, label string) []spec.Resource {
	n := rapid.IntRange(0, 4).Draw(rt, label)
	rs := []spec.Resource{zone("abc.com")}
	var backends []any
	for i := range n {
		name := fmt.Sprintf("w%d", i)
		rs = append(rs, instance(name, attrs{"address": fmt.Sprintf("127.10.1.%d", i+1), "zone": rapid.SampledFrom([]string{"z1", "z2"}).Draw(rt, "zone")}))
		backends = append(backends, backend(name, attrs{"weight": float64(rapid.IntRange(0, 3).Draw(rt, "weight"))}))
	}
	if n > 0 {
		rs = append(rs, balancer("SLB1", attrs{"backend": backends}), listener("SLB1", "80", attrs{"scheduler": rapid.SampledFrom([]string{"rr", "wrr"}).Draw(rt, "scheduler")}))
	}
	return rs
}

// TestRollbackIsAPlanOfThatConfiguration: going back to a serial is what applying its
// configuration would be, and afterwards that configuration has nothing left to do.
func TestRollbackIsAPlanOfThatConfiguration(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld()
		configs := map[uint64][]spec.Resource{}
		for i := range rapid.IntRange(2, 5).Draw(rt, "applies") {
			rs := changing(rt, fmt.Sprint("servers", i))
			p := w.apply(t, w.input(t, config(t, rs, spec.Output{Name: "n", Value: float64(len(rs))})))
			configs[p.Next.Serial] = rs
		}
		serials := slices.Sorted(maps.Keys(configs))
		serial := rapid.SampledFrom(serials).Draw(rt, "serial")
		wanted := config(t, configs[serial], spec.Output{Name: "n", Value: float64(len(configs[serial]))})
		direct := mustMake(t, w.input(t, wanted))
		earlier, err := w.store().LoadHistory(serial)
		if err != nil {
			rt.Fatal(err)
		}
		in := w.input(t, nil)
		in.Earlier = earlier
		back := mustMake(t, in)
		if story(back) != story(direct) || !reflect.DeepEqual(back.Outputs, direct.Outputs) {
			rt.Fatalf("going back\n%s\na plan of it\n%s", story(back), story(direct))
		}
		w.apply(t, in)
		if left := mustMake(t, w.input(t, wanted)); left.HasChanges() {
			rt.Fatalf("after going back there is left to do:\n%s", story(left))
		}
	})
}

// TestMovedByHandLeavesNothingToDo: a resource gets another address by hand, the
// configuration likewise, and there is nothing to plan; going back takes it back.
func TestMovedByHandLeavesNothingToDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld()
		rs := changing(rt, "servers")
		before := w.apply(t, w.input(t, config(t, rs))).Next.Serial
		var movable []string
		for _, r := range rs {
			if r.Kind == "instance" || r.Kind == "load_balancer" {
				movable = append(movable, r.Address)
			}
		}
		if movable == nil {
			return
		}
		from := rapid.SampledFrom(movable).Draw(rt, "from")
		kind, _, _ := strings.Cut(from, ".")
		to := kind + ".moved"
		in := w.input(t, nil)
		in.Moves = []spec.Move{{From: from, To: to}}
		p := w.apply(t, in)
		if p.Count(planner.NoOp) != len(p.Changes) {
			rt.Fatalf("more than names changes:\n%s", story(p))
		}
		renames := []string{from, to}
		if kind == "load_balancer" {
			renames = append(renames, from+`.listener["tcp:80"]`, to+`.listener["tcp:80"]`)
		}
		if left := mustMake(t, w.input(t, config(t, as(rs, renames...)))); left.HasChanges() {
			rt.Fatalf("there is left to do:\n%s%v", story(left), left.Runtime)
		}
		earlier, err := w.store().LoadHistory(before)
		if err != nil {
			rt.Fatal(err)
		}
		back := w.input(t, nil)
		back.Earlier = earlier
		if p := w.apply(t, back); p.Count(planner.NoOp) != len(p.Changes) {
			rt.Fatalf("going back is more than names:\n%s", story(p))
		}
		if left := mustMake(t, w.input(t, config(t, rs))); left.HasChanges() {
			rt.Fatalf("after going back there is left to do:\n%s", story(left))
		}
	})
}

func TestBetween(t *testing.T) {
	w := holding(t, quickstart())
	first := w.recorded(t)
	if n := planner.Between(nil, first); n != (planner.Counts{Resources: 6, Added: 6}) {
		t.Errorf("the first: %+v", n)
	}
	renamed := as(without(quickstart(), `dns_zone["abc.com"]`, `dns_zone["abc.com"].record["www:A"]`), "instance.ECS01", "instance.web")
	in := w.moving(t, with(renamed, instance("more")), "instance.ECS01", "instance.web")
	in.Replace = []string{"instance.ECS02"}
	w.apply(t, in)
	// The renamed server and the balancer that refers to it have changed; one server is new, one made anew.
	if n := planner.Between(first, w.recorded(t)); n != (planner.Counts{Resources: 5, Added: 2, Changed: 2, Destroyed: 3}) {
		t.Errorf("the second: %+v", n)
	}
}

func TestPushed(t *testing.T) {
	w := holding(t, quickstart())
	recorded := w.recorded(t)
	with := func(change func(*state.State)) *state.State {
		s := *recorded
		change(&s)
		return &s
	}
	var loss *planner.LossError
	for name, given := range map[string]*state.State{
		"another lineage": with(func(s *state.State) { s.Lineage = "another" }),
		"older":           with(func(s *state.State) { s.Serial = 0 }),
		"another content": with(func(s *state.State) { s.Resources = s.Resources[:2] }),
	} {
		if _, err := planner.Pushed(given, recorded, 7, false); !errors.As(err, &loss) {
			t.Errorf("%s: %v", name, err)
		}
		next, err := planner.Pushed(given, recorded, 7, true)
		if err != nil || next.Serial != 8 || next.ConfigHash != planner.Digest(next) {
			t.Errorf("%s, forced: %+v, %v", name, next, err)
		}
	}
	if next, err := planner.Pushed(with(func(*state.State) {}), recorded, 7, false); err != nil || next != recorded {
		t.Errorf("the same: %v, %v", next, err)
	}
	newer := with(func(s *state.State) { s.Serial = 20 })
	if next, err := planner.Pushed(newer, recorded, 7, false); err != nil || next.Serial != 20 {
		t.Errorf("newer: %v", err)
	}
	if next, err := planner.Pushed(newer, nil, 0, false); err != nil || next.Serial != 20 {
		t.Errorf("where there is none: %v", err)
	}
	broken := with(func(s *state.State) { s.Resources = s.Resources[3:] })
	broken.Resources = slices.DeleteFunc(slices.Clone(recorded.Resources), func(r spec.Resource) bool { return r.Kind == "load_balancer" })
	if _, err := planner.Pushed(broken, recorded, 7, true); err == nil {
		t.Error("a listener without its balancer")
	}
}
