package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestKilledUpgrade kills each of the three that take part in an upgrade at its steps: the
// daemon, the process that is to take over, the command. There is a daemon then, or what one
// that was killed leaves: the next command mends it. Where it is not the daemon that is
// killed, no client notices.
func TestKilledUpgrade(t *testing.T) {
	t.Parallel()
	f := newFolder(t, builtFailpoints, fmt.Sprintf(crashConfig, network(t), 100))
	f.must("apply", "-auto-approve")
	s := newSweep(t)
	pid := func() string { return strings.TrimSpace(f.file(".slbctl/runtime.pid")) }
	try := func(kind, point string, noticed bool, upgrade func() (out string, code int), judge func(before, out string, code int) bool) {
		f.must("runtime", "stop")
		if out, code := f.run([]string{"SLBCTL_FAILPOINT=" + point}, "runtime", "start"); code != 0 {
			t.Fatalf("%s: runtime start: exit %d\n%s", point, code, out)
		}
		before := pid()
		end := func() {}
		if !noticed {
			end = f.startClients().end
		}
		out, code := upgrade()
		good := judge(before, out, code)
		f.agrees(point)
		end()
		f.converges(point)
		if !good {
			t.Errorf("%s at %s: exit %d, pid %s before, %s after\n%s", kind, point, code, before, pid(), out)
			s.ended(kind, endedBadly)
			return
		}
		if pid() == before {
			s.ended(kind, endedBefore)
		} else {
			s.ended(kind, endedAfter)
		}
	}
	upgrade := func() (string, int) { return f.run(nil, "runtime", "upgrade") }
	same := func(before, out string, code int) bool {
		return code == 1 && strings.Contains(out, "goes on as before") && pid() == before
	}
	for _, point := range []string{"upgrade-prepared", "upgrade-heard", "upgrade-taken"} {
		// The last is one that serves already, so who it has accepted goes with it.
		try("the new one killed", point, point == "upgrade-taken", upgrade, same)
	}
	for _, point := range []string{"upgrade-begun", "upgrade-paused", "upgrade-told"} {
		try("the daemon killed", point, true, upgrade, func(before, out string, code int) bool { return code == 1 })
	}
	waits := []time.Duration{time.Millisecond, 20 * time.Millisecond}
	if *long {
		waits = nil
		for n := range 40 {
			waits = append(waits, time.Duration(n)*5*time.Millisecond)
		}
	}
	for _, wait := range waits {
		try("the command killed", "none", false, func() (string, int) {
			command := exec.Command(f.exe, "runtime", "upgrade")
			command.Dir = f.dir
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			_ = command.Process.Kill() // it may have ended by now
			_ = command.Wait()         // likewise
			return "", command.ProcessState.ExitCode()
		}, func(before, _ string, _ int) bool { return true })
	}
	try("the new one killed, later", "none", true, func() (string, int) {
		out, code := upgrade()
		f.killAll()
		return out, code
	}, func(_, _ string, code int) bool { return code == 0 })
}
