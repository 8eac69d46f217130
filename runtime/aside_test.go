package runtime_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"slbctl/runtime"
	"slbctl/runtime/control"
)

// TestAside: what is aside gets nothing new, through an apply, beside what is drained by hand, until it is let back
// or its time is up. No file has it.
func TestAside(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	listener := c.LoadBalancers[0].Listeners[0].Address
	aside := func(address string, d2 time.Duration, want ...string) {
		t.Helper()
		if err := d.client.SetAside(t.Context(), address, d2); err != nil {
			t.Fatal(err)
		}
		if s, err := d.client.Standing(t.Context(), listener); err != nil || !slices.Equal(s.Drained, want) {
			t.Errorf("drained: %v, %v, want %v", s.Drained, err, want)
		}
	}
	aside("instance.ECS01", time.Hour, "instance.ECS01")
	wantPages(t, c, "ECS02")
	d.mustApply(c)
	wantPages(t, c, "ECS02")
	if hand, err := runtime.Drained(d.dir); len(hand) > 0 || err != nil {
		t.Errorf("by hand: %v, %v", hand, err)
	}
	var refused *control.Error
	if err := d.client.Upgrade(t.Context(), "/bin/false"); !errors.As(err, &refused) || refused.Code != control.CodeRefused {
		t.Errorf("an upgrade meanwhile: %v", err)
	}
	aside("instance.ECS01", 0)
	wantPages(t, c, "ECS01", "ECS02")
	aside("instance.ECS01", 0)
	if err := d.client.SetAside(t.Context(), "instance.nobody", time.Second); !errors.As(err, &refused) || refused.Code != control.CodeNotFound {
		t.Errorf("nobody: %v", err)
	}

	d.drain("instance.ECS01", true)
	aside("instance.ECS01", time.Millisecond, "instance.ECS01") // whenever that ends, the other one stays
	aside("instance.ECS02", time.Hour, "instance.ECS01", "instance.ECS02")
	if err := d.client.SetAside(t.Context(), "instance.ECS02", time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		s, err := d.client.Standing(t.Context(), listener)
		if err == nil && slices.Equal(s.Drained, []string{"instance.ECS01"}) {
			break
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("drained: %v, %v", s.Drained, err)
		}
	}
	wantPages(t, c, "ECS02")
}
