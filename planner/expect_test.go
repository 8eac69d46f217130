package planner_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"slbctl/planner"
	"slbctl/sim"
	"slbctl/spec"
)

// expecting is the quick start with expectations: an object each.
func expecting(expects ...any) []spec.Resource {
	return with(quickstart(), balancer("SLB1", attrs{"backend": []any{backend("ECS01"), backend("ECS02")}, "expect": expects}))
}

func share(name, instance string, low, high float64) attrs {
	return attrs{"name": name, "metric": "share", "of": "instance." + instance, "min": low, "max": high, "during": "all", "live": true, "confidence": 0.999}
}

func carryOut(t *testing.T, w *world, p *planner.Plan) error {
	return planner.Apply(t.Context(), p, w.store(), w.engine, planner.ApplyOptions{}, func(planner.Event) {})
}

// TestExpectations: a plan tells of them and can be applied only if it keeps them, or if
// nobody insists.
func TestExpectations(t *testing.T) {
	w := holding(t, quickstart())
	in := w.input(t, config(t, expecting(share("even", "ECS01", 0.49, 0.51), share("mostly", "ECS02", 0.6, 1))))
	p := mustMake(t, in)
	var text bytes.Buffer
	if err := p.WriteText(&text, planner.Style{}); err != nil {
		t.Fatal(err)
	}
	const want = `
Expectations
  load_balancer.SLB1
    ok    even    wanted 49% to 51%: 50% of new connections at listener["tcp:80"] (and live)
    FAIL  mostly  wanted 60% to 100%: 50% of new connections at listener["tcp:80"] (and live)
`
	if !strings.Contains(text.String(), want) {
		t.Errorf("no%sin\n%s", want, &text)
	}
	var broken *planner.ExpectationError
	err := carryOut(t, w, p)
	if !errors.As(err, &broken) || broken.Verdict() != sim.Fail || len(broken.Broken) != 1 || broken.Broken[0].Name != "mostly" {
		t.Fatalf("apply: %v", err)
	}
	for _, part := range []string{`expect "mostly": wanted 60% to 100%, but it would be 50%`, "nothing was changed", "-ignore-expectations"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in %v", part, err)
		}
	}
	if len(w.engine.requests) != 1 || w.recorded(t).Serial != 1 {
		t.Errorf("something was changed: %d requests, serial %d", len(w.engine.requests), w.recorded(t).Serial)
	}

	in.IgnoreExpectations = true
	p = mustMake(t, in)
	if text.Reset(); p.WriteText(&text, planner.Style{}) != nil || !strings.Contains(text.String(), "Expectations (nobody insists on them: -ignore-expectations)") {
		t.Errorf("it does not say that nobody insists:\n%s", &text)
	}
	if err := carryOut(t, w, p); err != nil {
		t.Fatalf("apply, though nobody insists: %v", err)
	}
	if r := w.engine.requests[1]; !r.IgnoreExpectations || len(r.Config.LoadBalancers[0].Expects) != 2 {
		t.Errorf("the runtime is asked %+v", r)
	}

	// They are judged whether or not something changes, and not when all is released.
	in = w.input(t, config(t, expecting(share("even", "ECS01", 0.49, 0.51), share("mostly", "ECS02", 0.6, 1))))
	if p = mustMake(t, in); p.HasChanges() || p.Kept() == nil {
		t.Errorf("without a change: changes %v, kept %v", p.HasChanges(), p.Kept())
	}
	in.Drained = []string{"instance.ECS01"}
	if p = mustMake(t, in); *p.Promises[0].Observed != 0 || *p.Promises[1].Observed != 1 {
		t.Errorf("with ECS01 drained: %+v", p.Promises)
	}
	in.Destroy = true
	if p = mustMake(t, in); p.Promises != nil {
		t.Errorf("a destroy is held to %+v", p.Promises)
	}
}

// TestSavedExpectations: a saved plan remembers what it promised and who insisted.
func TestSavedExpectations(t *testing.T) {
	w := holding(t, quickstart())
	for _, ignored := range []bool{false, true} {
		in := w.input(t, config(t, expecting(share("mostly", "ECS02", 0.6, 1))))
		in.IgnoreExpectations = ignored
		if err := mustMake(t, in).Save(w.disk, "/w/p", fingerprint(t, w)); err != nil {
			t.Fatal(err)
		}
		saved, err := planner.ReadSaved(w.disk, "/w/p")
		if err != nil {
			t.Fatal(err)
		}
		if len(saved.Plan.Promises) != 1 || saved.Plan.Promises[0].Verdict != sim.Fail || (saved.Plan.Kept() == nil) != ignored {
			t.Errorf("ignored %v: %+v, kept %v", ignored, saved.Plan.Promises, saved.Plan.Kept())
		}
	}
}
