package main

import (
	"fmt"
	"strings"
	"testing"
)

const steppedConfig = `
runtime {
  network     = "%s"
  port_offset = 8000
}
instance "blue" {
  page "/" { content = "web" }
}
instance "green" {
  page "/" { content = "web" }
}
load_balancer "lb" {
  backend {
    instance = instance.blue
    weight   = %d
  }
  backend {
    instance = instance.green
    weight   = %d
  }
  listener "tcp" "80" {
    health_check { interval = "50ms" }
  }
}
output "endpoint" { value = trimprefix(load_balancer.lb.listener["tcp:80"].url, "http://") }
`

// TestKilledCanary kills the command line, and the daemon, in the steps of a canary and
// around them. The next command finds the shares from before the change or those after it,
// never those of a step, and a record that says which; the command line's death loses no
// request.
func TestKilledCanary(t *testing.T) {
	t.Parallel()
	net := network(t)
	weights := [2]int{100, 0}
	config := func() string { return fmt.Sprintf(steppedConfig, net, weights[0], weights[1]) }
	f := newFolder(t, builtFailpoints, config())
	f.must("apply", "-auto-approve")
	staged := []string{"apply", "-auto-approve", "-canary=20%,60%", "-canary-pause=150ms"}
	killed := func(point string, done bool, ends func() (string, int), want int) {
		t.Helper()
		before := weights
		weights[0], weights[1] = weights[1], weights[0]
		f.write(config())
		if out, code := ends(); code != want {
			t.Fatalf("%s: exit %d, want %d\n%s", point, code, want, out)
		}
		f.must("plan")
		f.agrees(point)
		holds := before
		if done {
			holds = weights
		}
		if left, code := f.run(nil, "plan", "-detailed-exitcode"); code != 0 && code != 2 || done != (code == 0) {
			t.Errorf("%s: what is left to do: exit %d\n%s", point, code, left)
		}
		var status struct {
			Balancers []struct {
				Listeners []struct{ Backends []struct{ Weight int } }
			} `json:"load_balancers"`
		}
		f.document(&status, "status", "-json")
		for i, b := range status.Balancers[0].Listeners[0].Backends {
			if b.Weight != holds[i] {
				t.Errorf("%s: backend %d has weight %d, want %d", point, i, b.Weight, holds[i])
			}
		}
		f.converges(point)
	}

	clients := f.startClients()
	for _, c := range []struct {
		point string
		done  bool
	}{{"apply-begun", false}, {"apply-canary:1", false}, {"apply-canary:3", false}, {"apply-done", true}} {
		killed(c.point, c.done, func() (string, int) { return f.run([]string{"SLBCTL_FAILPOINT=" + c.point}, staged...) }, -1)
	}
	clients.stop()

	for _, c := range []struct {
		point string
		done  bool
	}{{"canary:1", false}, {"canary:2", false}, {"verified", false}, {"committed", true}} {
		f.must("runtime", "stop")
		if out, code := f.run([]string{"SLBCTL_FAILPOINT=" + c.point}, "runtime", "start"); code != 0 {
			t.Fatalf("start with failpoint %s: exit %d\n%s", c.point, code, out)
		}
		killed(c.point, c.done, func() (string, int) {
			out, code := f.run(nil, staged...)
			if !strings.Contains(out, "the next command finds out") {
				t.Errorf("daemon killed at %s: the message does not say how it goes on:\n%s", c.point, out)
			}
			return out, code
		}, 1)
	}
}

// TestInterruptedCanary goes back when it is told to stop in a step.
func TestInterruptedCanary(t *testing.T) {
	t.Parallel()
	net := network(t)
	f := newFolder(t, builtPlain, fmt.Sprintf(steppedConfig, net, 100, 50))
	f.must("apply", "-auto-approve")
	clients := f.startClients()
	f.write(fmt.Sprintf(steppedConfig, net, 50, 100))
	before, _ := f.run(nil, "plan")
	out, code := f.interrupted("of the traffic that moves has moved", "apply", "-auto-approve", "-canary=10%")
	if code != int(exitInterrupted) || !strings.Contains(out, "nothing was changed") {
		t.Errorf("exit %d\n%s", code, out)
	}
	f.settled("canary", before, out, code)
	clients.end()
}
