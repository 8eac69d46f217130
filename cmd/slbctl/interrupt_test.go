package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const interruptConfig = `
runtime {
  network     = "%s"
  port_offset = 8000
}
instance "web" {
  count = %d
  page "/" { content = "web" }
}
load_balancer "lb" {
  backend {
    instance = instance.web
    weight   = %d
  }
  listener "tcp" "80" {
    drain = "30s"
    health_check {
      interval = "50ms"%s
    }
  }
}
output "endpoint" { value = trimprefix(load_balancer.lb.listener["tcp:80"].url, "http://") }
`

// TestInterrupted sends Ctrl-C into each phase of an apply while clients send
// requests. Either nothing was changed, and the next plan is the one from before, or
// the change is complete, and there is nothing left to plan. Which one it was is told.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	net := network(t)
	f := newFolder(t, builtPlain, fmt.Sprintf(interruptConfig, net, 2, 100, ""))
	f.must("apply", "-auto-approve")
	clients := f.startClients()
	const never = "\n      port     = 4999" // nobody answers checks there
	weight := 0
	reweighted := func() string { weight++; return fmt.Sprintf(interruptConfig, net, 2, weight, "") }
	type phase struct {
		name, config, pattern, told string
	}
	phases := []phase{{"prepare", fmt.Sprintf(interruptConfig, net, 3, 100, never), "serves on", "nothing was changed"}}
	for range 4 {
		phases = append(phases,
			phase{"commit", reweighted(), "takes over", ""},
			phase{"verify", reweighted(), "is normal", ""})
	}
	for _, p := range phases {
		f.write(p.config)
		before, code := f.run(nil, "plan", "-detailed-exitcode")
		if code != 2 {
			t.Fatalf("%s: plan: exit %d\n%s", p.name, code, before)
		}
		out, code := f.interrupted(p.pattern, "apply", "-auto-approve")
		if !strings.Contains(out, p.told) {
			t.Errorf("%s: it does not say %q:\n%s", p.name, p.told, out)
		}
		f.settled(p.name, before, out, code)
	}
	f.converges("interrupt")
	clients.stop()
}

// TestInterruptedDrain is interrupted when the change is complete and only open
// connections are waited for.
func TestInterruptedDrain(t *testing.T) {
	t.Parallel()
	network := network(t)
	f := newFolder(t, builtPlain, fmt.Sprintf(interruptConfig, network, 2, 100, ""))
	f.must("apply", "-auto-approve")
	open, err := net.Dial("tcp", f.must("output", "-raw", "endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := io.WriteString(open, "GET / HTTP/1.1\r\n"); err != nil { // and no more, for now
		t.Fatal(err)
	}
	moved := strings.NewReplacer(`"tcp" "80"`, `"tcp" "81"`, "tcp:80", "tcp:81")
	f.write(moved.Replace(fmt.Sprintf(interruptConfig, network, 2, 100, "")))
	before, _ := f.run(nil, "plan")
	out, code := f.interrupted("finishes its connections", "apply", "-auto-approve", "-wait=drained")
	if code != int(exitInterrupted) || !strings.Contains(out, "the change was complete by then, and is recorded as serial 2") {
		t.Errorf("exit %d\n%s", code, out)
	}
	f.settled("drain", before, out, code)
	if _, err := io.WriteString(open, "Host: a\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(open); err != nil || !bytes.Contains(answer, []byte("web")) {
		t.Errorf("the open connection is not served to its end: %q, %v", answer, err)
	}
}

// settled checks what an interrupted apply has left against what it said.
func (f *folder) settled(phase, before, out string, code int) {
	f.t.Helper()
	unchanged := strings.Contains(out, "nothing was changed")
	complete := code == 0 || strings.Contains(out, "the change was complete by then")
	if code != 0 && code != int(exitInterrupted) || unchanged == complete {
		f.t.Errorf("%s: exit %d\n%s", phase, code, out)
	}
	after, changes := f.run(nil, "plan", "-detailed-exitcode")
	switch {
	case complete && changes != 0:
		f.t.Errorf("%s: it was complete, but there is left to do:\n%s", phase, after)
	case unchanged && after != before:
		f.t.Errorf("%s: nothing was changed, but the plan is another one:\n%s\nit was\n%s", phase, after, before)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "slbctl.state.journal")); !errors.Is(err, os.ErrNotExist) {
		f.t.Errorf("%s: the journal is left over: %v", phase, err)
	}
	f.agrees(phase)
}

// interrupted runs the binary, sends SIGINT when its standard error matches, and
// returns what it printed and its exit code.
func (f *folder) interrupted(pattern string, args ...string) (string, int) {
	f.t.Helper()
	cmd := exec.Command(f.exe, args...)
	cmd.Dir = f.dir
	said := &watched{re: regexp.MustCompile(pattern), seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	select {
	case <-said.seen:
	case <-time.After(patience):
		f.t.Errorf("slbctl %s never said %s:\n%s", strings.Join(args, " "), pattern, said)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		f.t.Fatal(err)
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &ended) {
		f.t.Fatal(err)
	}
	return said.String(), cmd.ProcessState.ExitCode()
}
