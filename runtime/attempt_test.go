package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// try has the daemon try a configuration for so long.
func (d *daemon) try(c *spec.Config, lasting time.Duration, spoil func(*control.Request)) error {
	req := control.Request{
		Generation: d.gen + 1, Base: d.gen, Hash: "tried", Config: c, Wait: control.WaitVerified, Timeout: 10 * time.Second, Try: lasting,
	}
	if spoil != nil {
		spoil(&req)
	}
	return d.client.Apply(context.Background(), req, func(control.Event) {})
}

// TestTry: what is tried serves until it is taken back or its time is up, and then all is as it was, also where the
// daemon is started anew meanwhile. Nothing that is written down can be changed beside it.
func TestTry(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	c := tutorial(network(t))
	d.mustApply(c)
	saved := func() []byte {
		data, err := os.ReadFile(filepath.Join(dir, control.Folder, "committed.json"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	was := saved()
	wasSaved := func(when string) {
		t.Helper()
		g, err := d.client.Generation(t.Context())
		if err != nil || g != (control.Generation{Generation: 1, Hash: "hash-1"}) || !bytes.Equal(saved(), was) {
			t.Errorf("%s it is generation %+v, %v; what is saved is the same: %v", when, g, err, bytes.Equal(saved(), was))
		}
	}
	// Another server instead of ECS01, and one page more.
	next := tutorial(c.Runtime.Network)
	next.Instances[0] = &spec.Instance{
		Meta: spec.Meta{Address: "instance.ECS03", Name: "ECS03"}, IP: next.LoadBalancers[0].IP.Next(), Ports: []uint16{80},
		Protocol: spec.ProtocolHTTP, Status: spec.StatusRunning, Pages: []spec.Page{{Path: "/", Content: "ECS03", Status: 200}},
	}
	next.LoadBalancers[0].Backends[0].Instance = "instance.ECS03"
	next.LoadBalancers[0].Listeners[0].Drain = 0
	next.Instances[0], next.Instances[1] = next.Instances[1], next.Instances[0]

	if err := d.try(next, time.Hour, nil); err != nil {
		t.Fatal(err)
	}
	wantPages(t, next, "ECS02", "ECS03")
	wasSaved("while another one is tried")
	var refused *control.Error
	_, drained := d.client.SetDrained(t.Context(), "instance.ECS02", true)
	for what, err := range map[string]error{
		"apply": d.apply(c), "try": d.try(c, time.Hour, nil), "stop": d.client.StopInstance(t.Context(), "instance.ECS02"),
		"upgrade": d.client.Upgrade(t.Context(), "/bin/false"), "drain": drained,
	} {
		if !errors.As(err, &refused) || refused.Code != control.CodeRefused {
			t.Errorf("%s meanwhile: %v", what, err)
		}
	}
	if err := errors.Join(d.client.SetAside(t.Context(), "instance.ECS02", time.Hour)); err != nil {
		t.Error(err)
	}
	wantPages(t, next, "ECS03")
	if err := errors.Join(d.client.SetAside(t.Context(), "instance.ECS02", 0), d.client.EndTry(t.Context()), d.client.EndTry(t.Context())); err != nil {
		t.Fatal(err)
	}
	wantPages(t, c, "ECS01", "ECS02")
	wasSaved("afterwards")
	d.mustApply(c)
	d.mustApply(c)
	was = saved()

	if err := d.try(next, time.Millisecond, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it goes back by itself", func() bool { return d.status().Runtime.Generation == d.gen })
	wantPages(t, c, "ECS01", "ECS02")
	for name, spoil := range map[string]func(*control.Request){
		"renames": func(r *control.Request) { r.Renamed = map[string]string{"instance.ECS01": "instance.web"} },
		"steps":   func(r *control.Request) { r.Canary = []int{50} },
	} {
		if err := d.try(next, time.Hour, spoil); !errors.As(err, &refused) || refused.Code != control.CodeRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	next.Runtime.Loops++
	if err := d.try(next, time.Hour, nil); !errors.As(err, &refused) || refused.Code != control.CodeRefused {
		t.Errorf("other loops: %v", err)
	}
	next.Runtime.Loops--
	if err := d.try(next, time.Hour, nil); err != nil {
		t.Fatal(err)
	}
	d.stop()
	if !bytes.Equal(saved(), was) {
		t.Error("what was tried is saved")
	}
	start(t, dir)
	wantPages(t, c, "ECS01", "ECS02")
}

// TestTryComesBackLate: what is in the way of going back only delays it, and who wants something else meanwhile is
// told what it is.
func TestTryComesBackLate(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	c.LoadBalancers[0].Listeners[0].Drain = 0
	d.mustApply(c)
	next := tutorial(c.Runtime.Network)
	next.LoadBalancers[0].Listeners = nil
	if err := d.try(next, time.Second, nil); err != nil {
		t.Fatal(err)
	}
	var squatter net.Listener
	eventually(t, "the port is free", func() (ok bool) {
		var err error
		squatter, err = net.Listen("tcp", strings.Trim(balancerURL(c), "htp:/"))
		return err == nil
	})
	defer squatter.Close()
	var refused *control.Error
	eventually(t, "going back was tried when its time was up", func() bool {
		return errors.As(d.apply(c), &refused) && refused.Code == control.CodeRefused && strings.Contains(refused.Message, "already in use")
	})
	squatter.Close()
	eventually(t, "it goes back", func() bool { return d.status().Runtime.Generation == d.gen })
	wantPages(t, c, "ECS01", "ECS02")
}
