package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"slbctl/runtime"
	"slbctl/runtime/control"
	"slbctl/spec"
)

// drain takes a server out by hand or lets it back in.
func (d *daemon) drain(address string, drained bool) control.DrainResult {
	d.t.Helper()
	r, err := d.client.SetDrained(d.t.Context(), address, drained)
	if err != nil {
		d.t.Fatalf("drain %s %v: %v", address, drained, err)
	}
	return r
}

// wantPages asks on connections of their own and checks who answers.
func wantPages(t *testing.T, c *spec.Config, want ...string) {
	t.Helper()
	seen := map[string]bool{}
	for range 8 {
		text, err := get(balancerURL(c))
		if err != nil {
			t.Fatal(err)
		}
		seen[text] = true
	}
	for _, name := range want {
		if !seen[name] {
			t.Errorf("%s does not answer", name)
		}
		delete(seen, name)
	}
	if len(seen) > 0 {
		t.Errorf("%v answer as well", seen)
	}
}

// TestDrainByHand: a drained server gets nothing new; what is open has the time of the
// listener's drain, unless the server comes back before.
func TestDrainByHand(t *testing.T) {
	inTime(t, 300*time.Millisecond, func(grace time.Duration) bool { return drainByHand(t, grace) })
}

// drainByHand says whether the server was back before the end of its drain.
func drainByHand(t *testing.T, grace time.Duration) bool {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	c.LoadBalancers[0].Listeners[0].Drain = grace
	d.mustApply(c)
	open := visit(t, c)
	name, _, err := open.page()
	if err != nil {
		t.Fatal(err)
	}
	other := map[string]string{"ECS01": "ECS02", "ECS02": "ECS01"}[name]
	began := time.Now()
	if r := d.drain("instance."+name, true); r.Backends != 1 || len(r.Unserved) != 0 {
		t.Errorf("drain: %+v", r)
	}
	wantPages(t, c, other)
	page, _, err := open.page()
	draining := d.status().Draining
	d.drain("instance."+name, false)
	if time.Since(began) >= grace {
		return false
	}
	if err != nil || page != name || len(draining) != 1 || draining[0].Address != "instance."+name {
		t.Errorf("page %q, %v; status tells of %+v", page, err, draining)
	}
	wantPages(t, c, name, other)
	if err := d.client.WaitDrained(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * grace) // when it would have been cut
	open.mustGet(t, name)

	d.drain(spec.BackendAddress("load_balancer.SLB1", "instance."+name+":80"), true)
	if err := d.client.WaitDrained(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	open.wantCut(t)
	if r := d.drain(spec.BackendAddress("load_balancer.SLB1", "instance."+other), true); !slices.Equal(r.Unserved, []string{`load_balancer.SLB1.listener["tcp:80"]`}) {
		t.Errorf("nobody is left, and it says %+v", r)
	}
	return true
}

// TestWaitForOneDrain: whoever waits for a server does not wait for what drains from
// another one.
func TestWaitForOneDrain(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	c.LoadBalancers[0].Listeners[0].Drain = time.Minute
	d.mustApply(c)
	open := map[string]*visitor{}
	for range 2 {
		v := visit(t, c)
		name, _, err := v.page()
		if err != nil {
			t.Fatal(err)
		}
		open[name] = v
	}
	for name := range open {
		d.drain("instance."+name, true)
	}
	waits := func(server string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		return d.client.WaitDrained(ctx, server)
	}
	member := func(server string) string { return spec.BackendAddress("load_balancer.SLB1", server) }
	for _, server := range []string{"instance.ECS02", member("instance.ECS02"), member("instance.ECS02:80"), ""} {
		if waits(server) == nil {
			t.Errorf("%q has a connection left", server)
		}
	}
	open["ECS02"].Close()
	for _, server := range []string{"instance.ECS02", member("instance.ECS02"), member("instance.ECS02:80")} {
		if err := d.client.WaitDrained(t.Context(), server); err != nil {
			t.Errorf("%q: %v", server, err)
		}
	}
	for _, server := range []string{"instance.ECS01", ""} {
		if waits(server) == nil {
			t.Errorf("%q has a connection left", server)
		}
	}
	open["ECS01"].mustGet(t, "ECS01")
}

// TestDrainOutlivesTheDaemon: also where the port is served again only later.
func TestDrainOutlivesTheDaemon(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	c := tutorial(network(t))
	d.mustApply(c)
	d.drain("instance.ECS02", true)
	d.stop()
	d = start(t, dir)
	wantPages(t, c, "ECS01")
	c.LoadBalancers[0].Listeners[0].Scheduler = spec.SchedulerWRR
	d.mustApply(c)
	wantPages(t, c, "ECS01")
	d.drain("instance.ECS02", false)
	wantPages(t, c, "ECS01", "ECS02")
}

func TestDrainErrors(t *testing.T) {
	d := start(t, t.TempDir())
	d.mustApply(tutorial(network(t)))
	for _, address := range []string{"instance.none", `load_balancer.SLB1.backend["instance.ECS01:81"]`, `server_group.g.backend["instance.ECS01"]`} {
		var refused *control.Error
		if _, err := d.client.SetDrained(t.Context(), address, true); !errors.As(err, &refused) || refused.Code != control.CodeNotFound {
			t.Errorf("drain %s: %v", address, err)
		}
		if _, err := d.client.SetDrained(t.Context(), address, false); !errors.As(err, &refused) || refused.Code != control.CodeNotFound {
			t.Errorf("undrain %s: %v", address, err)
		}
	}
	// What cannot be written down does not happen.
	path := filepath.Join(d.dir, control.Folder, "overrides")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.SetDrained(t.Context(), "instance.ECS01", true); err == nil {
		t.Error("a drain that is written down nowhere")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for _, b := range d.status().LoadBalancers[0].Listeners[0].Backends {
		if b.Drained || b.Share != 0.5 {
			t.Errorf("%+v", b)
		}
	}
}

// renamed gives the tutorial's balancer and second server other names.
func renamed(c *spec.Config) (*spec.Config, map[string]string) {
	to := map[string]string{
		"instance.ECS02":                        "instance.other",
		"load_balancer.SLB1":                    "load_balancer.site",
		`load_balancer.SLB1.listener["tcp:80"]`: `load_balancer.site.listener["tcp:80"]`,
	}
	same, err := spec.FromResources(spec.Rename(c.Resources(), to), c.Runtime, c.Seed)
	if err != nil {
		panic(err)
	}
	return same, to
}

func (d *daemon) rename(c *spec.Config, to map[string]string) error {
	err := d.client.Apply(d.t.Context(), control.Request{
		Generation: d.gen + 1, Base: d.gen, Hash: fmt.Sprint("hash-", d.gen+1), Config: c,
		Renamed: to, OnlyNames: true, Wait: control.WaitNone, Timeout: 10 * time.Second,
	}, func(control.Event) {})
	if err == nil {
		d.gen++
	}
	return err
}

// TestRenamedGoesOn: a balancer and a server get other names. Open connections stay, also
// when a drain would be over; the listener counts on; what was done by hand stays so.
func TestRenamedGoesOn(t *testing.T) {
	inTime(t, 300*time.Millisecond, func(grace time.Duration) bool { return renamedGoesOn(t, grace) })
}

// renamedGoesOn says whether the drained were back before the end of their drains.
func renamedGoesOn(t *testing.T, grace time.Duration) bool {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	c.LoadBalancers[0].Listeners[0].Drain = grace
	d.mustApply(c)
	visitors := []*visitor{visit(t, c), visit(t, c)}
	var names []string
	for _, v := range visitors {
		name, _, err := v.page()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	began := time.Now()
	d.drain("instance.ECS02", true)
	d.drain("instance.ECS02", false)
	d.drain(spec.BackendAddress("load_balancer.SLB1", "instance.ECS02:80"), true)
	d.drain(spec.BackendAddress("load_balancer.SLB1", "instance.ECS02:80"), false)
	if time.Since(began) >= grace {
		return false
	}
	before := d.status().LoadBalancers[0].Listeners[0]

	next, to := renamed(c)
	if err := d.rename(next, to); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * grace)
	for i, v := range visitors {
		v.mustGet(t, names[i])
	}
	after := d.status().LoadBalancers[0].Listeners[0]
	if after.Address != `load_balancer.site.listener["tcp:80"]` || after.Connections != 2 || after.Requests < before.Requests {
		t.Errorf("it was %+v and is %+v", before, after)
	}
	if len(d.status().Draining) != 0 {
		t.Errorf("drains: %+v", d.status().Draining)
	}
	return true
}

// TestRenameKeepsWhatWasDoneByHand: a stop and a drain follow a server to its new name,
// and stay with the old one when the change is withdrawn.
func TestRenameKeepsWhatWasDoneByHand(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	d.drain("instance.ECS02", true)
	if err := d.client.StopInstance(t.Context(), "instance.ECS02"); err != nil {
		t.Fatal(err)
	}
	next, to := renamed(c)
	undo := breakPersist(t, d.dir)
	if err := d.rename(next, to); err == nil {
		t.Fatal("the change is not on disk, and it was accepted")
	}
	undo()
	d.drain("instance.ECS02", false)
	if drained, err := runtime.Drained(d.dir); err != nil || len(drained) != 0 {
		t.Errorf("drained: %v, %v", drained, err)
	}
	d.drain("instance.ECS02", true)
	if err := d.rename(next, to); err != nil {
		t.Fatal(err)
	}
	if drained, err := runtime.Drained(d.dir); err != nil || !slices.Equal(drained, []string{"instance.other"}) {
		t.Errorf("drained: %v, %v", drained, err)
	}
	for _, i := range d.status().Instances {
		if want := map[string]string{"instance.ECS01": "running", "instance.other": "stopped"}[i.Address]; i.Status != want {
			t.Errorf("%s is %s", i.Address, i.Status)
		}
	}
	wantPages(t, c, "ECS01")
}
