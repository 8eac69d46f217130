package main

import (
	"fmt"
	"strings"
	"testing"
)

const crashConfig = `
runtime {
  network     = "%s"
  port_offset = 8000
}
instance "web" {
  count = 2
  page "/" { content = "web" }
}
load_balancer "lb" {
  backend {
    instance = instance.web
    weight   = %d
  }
  listener "tcp" "80" {
    health_check { interval = "50ms" }
  }
}
output "endpoint" { value = trimprefix(load_balancer.lb.listener["tcp:80"].url, "http://") }
`

// TestKilledCommandLine kills apply before every single durable operation that it
// makes and at its named steps in turn, while clients send requests. Whatever the
// moment, no request fails, the next command finds state and runtime in agreement,
// and nothing is left to do by hand.
func TestKilledCommandLine(t *testing.T) {
	t.Parallel()
	net := network(t)
	f := newFolder(t, builtFailpoints, fmt.Sprintf(crashConfig, net, 100))
	f.must("apply", "-auto-approve")
	clients := f.startClients()
	weight := 1
	kill := func(point string) (killed bool) {
		weight = weight%99 + 1
		f.write(fmt.Sprintf(crashConfig, net, weight))
		out, code := f.run([]string{"SLBCTL_FAILPOINT=" + point}, "apply", "-auto-approve")
		if code != 0 && code != -1 {
			t.Fatalf("killed at %s: exit %d\n%s", point, code, out)
		}
		f.converges(point)
		return code == -1
	}
	for _, step := range []string{"apply-begun", "apply-done"} {
		if !kill(step) {
			t.Errorf("apply never came to %s", step)
		}
	}
	points := 1
	for kill(fmt.Sprint("fs:", points)) {
		points++
	}
	if points < 15 {
		t.Errorf("only %d durable operations were seen: begin, commit, snapshot and history make more", points-1)
	}
	clients.stop()
	t.Logf("%d points", points-1)
}

// TestKilledDaemon kills the daemon at each phase of an apply and before each of
// its durable operations.
func TestKilledDaemon(t *testing.T) {
	t.Parallel()
	net := network(t)
	f := newFolder(t, builtFailpoints, fmt.Sprintf(crashConfig, net, 100))
	f.must("apply", "-auto-approve")
	weight := 1
	for _, point := range []string{"prepared", "verified", "committed", "fs:2", "fs:3", "fs:4", "fs:5", "fs:6"} {
		f.must("runtime", "stop")
		if out, code := f.run([]string{"SLBCTL_FAILPOINT=" + point}, "runtime", "start"); code != 0 {
			t.Fatalf("start with failpoint %s: exit %d\n%s", point, code, out)
		}
		weight++
		f.write(fmt.Sprintf(crashConfig, net, weight))
		out, code := f.run(nil, "apply", "-auto-approve")
		if code != 1 && code != 0 {
			t.Fatalf("daemon killed at %s: exit %d\n%s", point, code, out)
		}
		if code == 1 && !strings.Contains(out, "the next command finds out") {
			t.Errorf("daemon killed at %s: the message does not say how it goes on:\n%s", point, out)
		}
		f.converges(point)
	}
}

// converges checks that state and runtime say the same, that one apply finishes
// what is left, and that nothing is left after it.
func (f *folder) converges(point string) {
	f.t.Helper()
	if out, code := f.run(nil, "plan", "-detailed-exitcode"); code != 0 && code != 2 {
		f.t.Fatalf("killed at %s: plan: exit %d\n%s", point, code, out)
	}
	f.agrees(point)
	f.must("apply", "-auto-approve")
	f.agrees(point)
	if out, code := f.run(nil, "plan", "-detailed-exitcode"); code != 0 {
		f.t.Fatalf("killed at %s: a plan after the apply: exit %d\n%s", point, code, out)
	}
}

func (f *folder) agrees(point string) {
	f.t.Helper()
	if out, code := f.run(nil, "runtime", "start"); code != 0 {
		f.t.Fatalf("killed at %s: runtime start: exit %d\n%s", point, code, out)
	}
	var recorded struct{ Generation uint64 }
	var live struct{ Runtime struct{ Generation uint64 } }
	f.document(&recorded, "state", "pull")
	f.document(&live, "status", "-json")
	if recorded.Generation != live.Runtime.Generation {
		f.t.Fatalf("killed at %s: the state has generation %d, the runtime %d", point, recorded.Generation, live.Runtime.Generation)
	}
}
