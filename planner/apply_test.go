package planner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/runtime/durable/durabletest"
	"slbctl/spec"
)

func ignore(planner.Event) {}

func TestApplyAsksForTheWholeConfiguration(t *testing.T) {
	w := newWorld()
	p := mustMake(t, w.input(t, config(t, quickstart())))
	var events []planner.Event
	err := planner.Apply(t.Context(), p, w.store(), w.engine, planner.ApplyOptions{Timeout: time.Second}, func(e planner.Event) { events = append(events, e) })
	if err != nil || len(events) != 1 {
		t.Fatal(err, events)
	}
	r := w.engine.requests[0]
	if r.Generation != 1 || r.Base != 0 || r.Wait != planner.WaitVerified || r.Timeout != time.Second || len(r.Config.Resources()) != 6 || r.Config.Seed != 42 {
		t.Errorf("got %+v", r)
	}
	s := w.recorded(t)
	if s.Serial != 1 || s.Generation != 1 || s.ConfigHash != r.Hash || s.Lineage != "9f1c" || s.Seed != 42 || r.Hash != planner.Digest(s) {
		t.Errorf("recorded %+v", s)
	}
	again := mustMake(t, w.input(t, config(t, quickstart())))
	if err := planner.Apply(t.Context(), again, w.store(), w.engine, planner.ApplyOptions{}, ignore); err != nil {
		t.Fatal(err)
	}
	if s := w.recorded(t); s.Serial != 1 || len(w.engine.requests) != 1 {
		t.Error("an apply of no changes did something")
	}
}

// TestAttempt: what is tried is the plan's outcome, on what runs now, and where nothing changes there is nothing to try.
func TestAttempt(t *testing.T) {
	w := holding(t, quickstart())
	p := mustMake(t, w.input(t, config(t, with(quickstart(), listener("SLB1", "80", attrs{"scheduler": "wrr"})))))
	r, err := p.Attempt(time.Minute, time.Second)
	if err != nil || r.Try != time.Minute || r.Timeout != time.Second || !r.IgnoreExpectations || r.Base != 1 || r.Config.LoadBalancers[0].Listeners[0].Scheduler != "wrr" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := mustMake(t, w.input(t, config(t, quickstart()))).Attempt(time.Minute, time.Second); err != nil || r != nil {
		t.Errorf("of no changes: %+v, %v", r, err)
	}
}

func TestApplyThatFails(t *testing.T) {
	changed := with(quickstart(), listener("SLB1", "80", attrs{"scheduler": "wrr"}))
	for _, c := range []struct {
		name    string
		fail    error
		after   error
		moved   bool // the runtime has committed
		settled bool // nothing is left to recover
	}{
		{name: "verification", fail: &planner.VerifyError{Problems: []string{"instance.ECS02: no answer"}}, settled: true},
		{name: "refusal", fail: fmt.Errorf("engine: %w", &planner.RefusedError{Problems: []string{"port 80 is taken"}}), settled: true},
		{name: "stale", fail: &planner.StaleError{Moved: []string{"x"}}, settled: true},
		{name: "connection lost before", fail: errLost},
		{name: "connection lost behind", after: errLost, moved: true},
		{name: "cancelled", fail: context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := holding(t, quickstart())
			before := encode(t, w.recorded(t))
			w.engine.fail, w.engine.after = c.fail, c.after
			p := mustMake(t, w.input(t, config(t, changed)))
			err := planner.Apply(t.Context(), p, w.store(), w.engine, planner.ApplyOptions{}, ignore)
			if !errors.Is(err, errors.Join(c.fail, c.after)) && !errors.Is(err, c.fail) && !errors.Is(err, c.after) {
				t.Fatalf("got %v", err)
			}
			_, journalErr := w.disk.ReadFile("/w/slbctl.state.journal")
			if settled := journalErr != nil; settled != c.settled {
				t.Errorf("settled is %v", settled)
			}
			if s := w.recorded(t); bytes.Equal(encode(t, s), before) == c.moved {
				t.Errorf("afterwards serial %d is recorded", s.Serial)
			}
			w.engine.fail, w.engine.after = nil, nil
			w.apply(t, w.input(t, config(t, changed)))
			if p := mustMake(t, w.input(t, config(t, changed))); p.HasChanges() {
				t.Errorf("one more apply leaves %s", summary(p))
			}
		})
	}
}

func TestApplyCancelledBefore(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := mustMake(t, w.input(t, config(t, quickstart())))
	err := planner.Apply(ctx, p, w.store(), w.engine, planner.ApplyOptions{}, ignore)
	if !errors.Is(err, context.Canceled) || len(w.engine.requests) != 0 || len(w.disk.Names()) != 0 {
		t.Errorf("got %v, %d requests, files %v", err, len(w.engine.requests), w.disk.Names())
	}
}

func encode(t testing.TB, s *state.State) []byte {
	t.Helper()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestApplyStoppedAnywhere stops an apply before each durable operation, and
// right before and after the runtime's commit. The next command finds state and
// runtime in agreement, and one more apply ends where the first would have.
func TestApplyStoppedAnywhere(t *testing.T) {
	from := quickstart()
	to := with(from, instance("ECS03"), balancer("SLB1", attrs{"backend": []any{backend("ECS01"), backend("ECS03")}}), listener("SLB1", "80", attrs{"scheduler": "wrr"}))
	to = without(to, "instance.ECS02")
	start := holding(t, from)
	goal := config(t, to)
	done := mustMake(t, start.input(t, goal)).Next
	between := 0
	for _, loss := range durabletest.Losses {
		for at, ended := 1, false; !ended; at++ {
			w := &world{disk: start.disk.Reboot(durabletest.Nothing), engine: &engine{seen: start.engine.seen}}
			p := mustMake(t, w.input(t, goal))
			// Each operation twice: where it is the runtime's turn just before it,
			// the odd stop comes before the runtime's commit, the even one behind.
			stop := (at + 1) / 2
			w.disk.StopAt(stop, nil)
			w.engine.before = func() {
				switch {
				case w.disk.Ops()+1 != stop:
				case at%2 == 1:
					w.engine.fail = durabletest.ErrStopped
					between++
				default:
					w.engine.after = durabletest.ErrStopped
					between++
				}
			}
			err := planner.Apply(t.Context(), p, w.store(), w.engine, planner.ApplyOptions{}, ignore)
			ended = err == nil && !w.disk.Stopped()
			next := &world{disk: w.disk.Reboot(loss), engine: &engine{seen: w.engine.seen}}
			s := next.recorded(t)
			if s.Generation != next.engine.seen.Generation || s.ConfigHash != next.engine.seen.Hash {
				t.Fatalf("loss %d, stop %d: recorded generation %d, running %d", loss, at, s.Generation, next.engine.seen.Generation)
			}
			next.apply(t, next.input(t, goal))
			if s := next.recorded(t); s.ConfigHash != done.ConfigHash || len(s.Resources) != len(done.Resources) {
				t.Fatalf("loss %d, stop %d: another apply ends in %d resources", loss, at, len(s.Resources))
			}
			if p := mustMake(t, next.input(t, goal)); p.HasChanges() {
				t.Errorf("loss %d, stop %d: then there is still %s", loss, at, summary(p))
			}
		}
	}
	if between != 2*len(durabletest.Losses) {
		t.Errorf("%d stops while it was the runtime's turn", between)
	}
}

// drawn is a random set of resources that is whole in itself.
func drawn(t *rapid.T, label string) []spec.Resource {
	var rs []spec.Resource
	var members []any
	for i := range rapid.IntRange(1, 5).Draw(t, label+" instances") {
		name := fmt.Sprintf("web[%d]", i)
		rs = append(rs, instance(name, attrs{
			"address": fmt.Sprintf("127.10.3.%d", i+1),
			"zone":    rapid.SampledFrom([]string{"a", "b"}).Draw(t, label+" zone"),
		}))
		members = append(members, backend(name, attrs{"weight": float64(rapid.IntRange(0, 100).Draw(t, label+" weight"))}))
	}
	for i := range rapid.IntRange(0, 3).Draw(t, label+" balancers") {
		name := fmt.Sprintf("SLB%d", i)
		rs = append(rs, balancer(name, attrs{
			"address":      fmt.Sprintf("127.10.4.%d", i+1),
			"backend":      members,
			"address_type": rapid.SampledFrom([]string{"internet", "intranet"}).Draw(t, label+" type"),
		}))
		if rapid.Bool().Draw(t, label+" listens") {
			rs = append(rs, listener(name, "80", attrs{"scheduler": rapid.SampledFrom([]string{"rr", "wrr", "wlc"}).Draw(t, label+" scheduler")}))
		}
	}
	return rapid.Permutation(rs).Draw(t, label+" order")
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first, second := drawn(rt, "first"), drawn(rt, "second")
		one := holding(t, first)
		if p := mustMake(t, one.input(t, config(t, rapid.Permutation(first).Draw(rt, "shuffled")))); p.HasChanges() {
			rt.Fatalf("a plan of what was applied has %s", summary(p))
		}
		one.apply(t, one.input(t, config(t, second)))
		two := holding(t, second)
		a, b := one.recorded(t), two.recorded(t)
		for i := range a.Resources { // ids and counts tell how often one was replaced
			a.Resources[i].ID, a.Resources[i].Replacements = b.Resources[i].ID, b.Resources[i].Replacements
		}
		if planner.Digest(a) != planner.Digest(b) {
			rt.Fatal("what was applied before shows")
		}
		in := one.input(t, nil)
		in.Destroy = true
		one.apply(t, in)
		if n := len(one.recorded(t).Resources); n != 0 {
			rt.Fatalf("%d resources outlive their end", n)
		}
	})
}

func TestErrorsOfTheRuntimeName(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&planner.VerifyError{Problems: []string{"a: x", "b: y"}}, "rolled back, nothing runs, as before: \n  a: x\n  b: y"},
		{&planner.RefusedError{Problems: []string{"a: x"}}, "nothing was changed: a: x"},
		{&planner.StaleError{Moved: []string{"the state"}}, "changed since: the state"},
	} {
		if !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%q is not in %q", c.want, c.err)
		}
	}
}
