package runtime_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
)

// TestStanding: how many tickets were taken, what is known of the servers and when they are
// probed next; and that the listener goes on from there is what Resume makes of it.
func TestStanding(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	l := c.LoadBalancers[0].Listeners[0]
	l.HealthCheck.Interval = 10 * time.Second
	d.mustApply(c)
	const asked = 3 // of two servers, so that it stands in the midst of its period
	for range asked {
		if _, err := get(balancerURL(c)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.client.SetDrained(t.Context(), "instance.ECS01", true); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.SetDrained(t.Context(), "instance.ECS01", false); err != nil {
		t.Fatal(err)
	}
	s, err := d.client.Standing(t.Context(), l.Address)
	if err != nil || s.Generation != 1 || len(s.Pools) != 1 || len(s.Pools[0].Servers) != 2 || s.Config.Instance("instance.ECS01") == nil {
		t.Fatalf("standing: %+v, %v", s, err)
	}
	p := s.Pools[0]
	if p.Owner != l.Address || p.Tickets != asked {
		t.Errorf("%s took %d tickets, of %d connections", p.Owner, p.Tickets, asked)
	}
	var requests int64
	for _, server := range p.Servers {
		requests += server.Requests
		if server.Health != balance.Normal || server.Probe <= 0 || server.Probe > 10*time.Second || server.Age <= 0 || server.Age > time.Minute {
			t.Errorf("server %+v", server)
		}
	}
	if requests != asked {
		t.Errorf("servers got %d connections, of %d", requests, asked)
	}
	listeners, err := balance.Compile(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	state := balance.NewState(&listeners[0].Pool, nil)
	state.Resume(&p)
	table := listeners[0].Table(func(int) balance.Health { return balance.Normal })
	for range 3 {
		i, _ := table.Pick(state, &balance.Client{}, nil)
		want := listeners[0].Backends[i].Name
		if got, err := get(balancerURL(c)); err != nil || "instance."+got != want {
			t.Errorf("%s answered (%v), who goes on from there would have asked %s", got, err, want)
		}
	}
	var refusal *control.Error
	if _, err := d.client.Standing(t.Context(), "load_balancer.none"); !errors.As(err, &refusal) || refusal.Code != control.CodeNotFound {
		t.Errorf("of an unknown listener: %v", err)
	}
}

// TestStandingWhileDrained asks how a listener stands while servers are drained and let back: it is told one or the
// other, which the race detector watches.
func TestStandingWhileDrained(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	var drains sync.WaitGroup
	drains.Go(func() {
		for k := range 20 {
			if _, err := d.client.SetDrained(t.Context(), "instance.ECS01", k%2 == 0); err != nil {
				t.Error(err)
			}
		}
	})
	defer drains.Wait()
	for range 100 {
		s, err := d.client.Standing(t.Context(), c.LoadBalancers[0].Listeners[0].Address)
		if err != nil || len(s.Drained) > 1 {
			t.Fatalf("drained: %v, %v", s.Drained, err)
		}
	}
}
