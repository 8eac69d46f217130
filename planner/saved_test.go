package planner_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"slbctl/planner"
	"slbctl/runtime/durable/durabletest"
	"slbctl/spec"
)

func fingerprint(t testing.TB, w *world) planner.Fingerprint {
	t.Helper()
	f, err := planner.Fingerprinted("files", "variables", w.recorded(t), w.engine.seen)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// savedPlan is a plan with every kind of change in it.
func savedPlan(t testing.TB) (*world, *planner.Plan) {
	t.Helper()
	w := holding(t, quickstart(), spec.Output{Name: "url", Value: "http://127.10.0.200"})
	changed := with(without(quickstart(), `dns_zone["abc.com"].record["www:A"]`),
		balancer("SLB1", attrs{"backend": []any{backend("ECS01"), backend("ECS02")}, "address_type": "intranet"}),
		listener("SLB1", "80", attrs{"scheduler": "wrr"}), instance("ECS03"))
	in := w.input(t, config(t, changed))
	in.Config.Runtime.Loops = 4
	return w, mustMake(t, in)
}

func TestSavedPlan(t *testing.T) {
	w, p := savedPlan(t)
	if err := p.Save(w.disk, "/w/p", fingerprint(t, w)); err != nil {
		t.Fatal(err)
	}
	if perm := w.disk.Perm("/w/p"); perm != 0o600 {
		t.Errorf("permissions %o", perm)
	}
	saved, err := planner.ReadSaved(w.disk, "/w/p")
	if err != nil {
		t.Fatal(err)
	}
	if err := saved.Fingerprint.Check(fingerprint(t, w)); err != nil {
		t.Error(err)
	}
	for _, render := range []func(*planner.Plan, *bytes.Buffer) error{
		func(p *planner.Plan, b *bytes.Buffer) error { return p.WriteText(b, planner.Style{}) },
		func(p *planner.Plan, b *bytes.Buffer) error { return p.WriteJSON(b) },
	} {
		var was, is bytes.Buffer
		if err := errors.Join(render(p, &was), render(saved.Plan, &is)); err != nil {
			t.Fatal(err)
		}
		if was.String() != is.String() {
			t.Errorf("made\n%s\nread\n%s", was.String(), is.String())
		}
	}
	if saved.Plan.Base != p.Base || !reflect.DeepEqual(saved.Plan.Runtime, p.Runtime) {
		t.Errorf("read base %+v, runtime %+v", saved.Plan.Base, saved.Plan.Runtime)
	}
	if err := planner.Apply(t.Context(), saved.Plan, w.store(), w.engine, planner.ApplyOptions{}, ignore); err != nil {
		t.Fatal(err)
	}
	if s := w.recorded(t); s.Serial != 2 || s.ConfigHash != p.Next.ConfigHash {
		t.Errorf("recorded %+v", s)
	}
	var stale *planner.StaleError
	if err := saved.Fingerprint.Check(fingerprint(t, w)); !errors.As(err, &stale) || len(stale.Moved) != 2 {
		t.Errorf("the same plan again: %v", err)
	}
}

func TestStalePlan(t *testing.T) {
	base := planner.Fingerprint{Configuration: "c", Variables: "v", Lineage: "l", Serial: 4, State: "s", Generation: 6, Hash: "h"}
	for _, c := range []struct {
		change func(*planner.Fingerprint)
		want   string
	}{
		{func(f *planner.Fingerprint) {}, ""},
		{func(f *planner.Fingerprint) { f.Configuration = "x" }, "the configuration's files"},
		{func(f *planner.Fingerprint) { f.Variables = "x" }, "the values of variables"},
		{func(f *planner.Fingerprint) { f.Lineage = "x" }, "another one altogether"},
		{func(f *planner.Fingerprint) { f.Serial = 5 }, "the state: serial 4 when planned, 5 now"},
		{func(f *planner.Fingerprint) { f.Lineage, f.Serial, f.State = "", 0, "" }, "the state: serial 4 when planned, 0 now"},
		{func(f *planner.Fingerprint) { f.State = "x" }, "serial 4 has another content"},
		{func(f *planner.Fingerprint) { f.Generation = 7 }, "the runtime: generation 6 when planned, 7 now"},
		{func(f *planner.Fingerprint) { f.Hash = "x" }, "its generation 6 has another content"},
	} {
		now := base
		c.change(&now)
		err := base.Check(now)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestReadSavedRefusesDamage(t *testing.T) {
	w, p := savedPlan(t)
	if err := p.Save(w.disk, "/w/p", fingerprint(t, w)); err != nil {
		t.Fatal(err)
	}
	data, _ := w.disk.ReadFile("/w/p")
	disk := durabletest.New()
	for n := 0; n < len(data); n += 7 {
		disk.Put("/cut", data[:n])
		if _, err := planner.ReadSaved(disk, "/cut"); err == nil {
			t.Errorf("cut to %d bytes: accepted", n)
		}
	}
	for path, want := range map[string]string{"/absent": "there is no such file", "/state": "not usable"} {
		disk.Put("/state", encode(t, w.recorded(t)))
		if _, err := planner.ReadSaved(disk, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
