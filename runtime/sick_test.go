package runtime_test

import (
	"testing"
	"time"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// TestIllServersKeepTheirConnectionsForADrain lets a server fail its checks while a
// connection to it stands: the balancer ends the connection when the drain is over,
// unless the server has got well by then.
func TestIllServersKeepTheirConnectionsForADrain(t *testing.T) {
	for name, recovers := range map[string]bool{"stays ill": false, "gets well": true} {
		t.Run(name, func(t *testing.T) {
			inTime(t, 400*time.Millisecond, func(drain time.Duration) bool { return becomesIll(t, drain, recovers) })
		})
	}
}

// becomesIll says whether the test was done before the drain was over.
func becomesIll(t *testing.T, drain time.Duration, recovers bool) bool {
	c := oneServer(network(t), drain)
	// The check looks at another port, which can be closed without the server's own.
	c.Instances[1].Ports = []uint16{80, 81}
	c.LoadBalancers[0].Listeners[0].HealthCheck.Port = 81
	d := start(t, t.TempDir())
	d.mustApply(c)
	v := visit(t, c)
	v.mustGet(t, "ECS02")

	closed := clone(t, c)
	closed.Instances[1].Ports = []uint16{80}
	began := time.Now()
	if err := d.request(closed, control.WaitNone); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server is ill", func() bool {
		return d.status().LoadBalancers[0].Listeners[0].Backends[0].Health == "abnormal"
	})
	page, _, err := v.page()
	if recovers {
		d.mustApply(c)
	}
	if time.Since(began) >= drain {
		return false
	} else if err != nil || page != "ECS02" {
		t.Fatalf("page %q, %v", page, err)
	}
	if !recovers {
		v.wantCut(t)
		if took := time.Since(began); took < drain {
			t.Errorf("cut after %v, before the drain was over", took)
		}
		return true
	}
	time.Sleep(drain * 3 / 2) // past the end of the drain that was
	v.mustGet(t, "ECS02")
	return true
}

// TestApplyMendsAnIllServer takes a fault out of an instance that has become ill by it: it
// can get well only when the change is live.
func TestApplyMendsAnIllServer(t *testing.T) {
	c := oneServer(network(t), 0)
	faulty := clone(t, c)
	faulty.Instances[1].Fault = &spec.InstanceFault{Refuse: true}
	d := start(t, t.TempDir())
	d.mustApply(c)
	if err := d.request(faulty, control.WaitNone); err != nil {
		t.Fatal(err)
	}
	server := func() *control.Backend { return &d.status().LoadBalancers[0].Listeners[0].Backends[0] }
	eventually(t, "the server is ill", func() bool { return server().Health == "abnormal" })
	d.mustApply(c)
	if b := server(); b.Health != "normal" {
		t.Errorf("after the apply it is %s: %s", b.Health, b.Reason)
	}
}

// clone is a deep enough copy to change instances in.
func clone(t *testing.T, c *spec.Config) *spec.Config {
	t.Helper()
	out := *c
	out.Instances = nil
	for _, i := range c.Instances {
		copied := *i
		out.Instances = append(out.Instances, &copied)
	}
	return &out
}
