package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The tests in crash_test.go and agree_test.go drive the real binary, built the
// way a user builds it, or with the failpoints that such a build does not have.

var (
	builtPlain      = sync.OnceValues(func() (string, error) { return build() })
	builtFailpoints = sync.OnceValues(func() (string, error) { return build("-tags=failpoint") })
)

func build(flags ...string) (string, error) {
	dir, err := os.MkdirTemp("", "slbctl-test-")
	if err != nil {
		return "", err
	}
	exe := filepath.Join(dir, "slbctl")
	cmd := exec.Command("go", append(append([]string{"build", "-buildvcs=false"}, flags...), "-o", exe, ".")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as `make build`
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return exe, nil
}

// folder is a working folder in which a test runs the binary. What runs there is
// stopped when the test ends.
type folder struct {
	t   *testing.T
	exe string
	dir string
	as  *syscall.Credential // nil = the test's own user
}

func newFolder(t *testing.T, built func() (string, error), config string) *folder {
	t.Helper()
	exe, err := built()
	if err != nil {
		t.Fatal(err)
	}
	f := &folder{t: t, exe: exe, dir: t.TempDir()}
	f.write(config)
	t.Cleanup(func() {
		if out, code := f.run(nil, "runtime", "stop"); code != 0 {
			t.Errorf("runtime stop: exit %d\n%s", code, out)
		}
	})
	return f
}

func (f *folder) write(config string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, "main.slb.hcl"), []byte(config), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// run runs the binary and returns what it printed and its exit code; -1 is a
// process that was killed.
func (f *folder) run(env []string, args ...string) (string, int) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.exe, args...)
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: f.as}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		f.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// must runs the binary and wants exit code 0.
func (f *folder) must(args ...string) string {
	f.t.Helper()
	out, code := f.run(nil, args...)
	if code != 0 {
		f.t.Fatalf("slbctl %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// document runs a command with -json and decodes what it prints.
func (f *folder) document(into any, args ...string) {
	f.t.Helper()
	if err := json.Unmarshal([]byte(f.must(args...)), into); err != nil {
		f.t.Fatalf("slbctl %s: %v", strings.Join(args, " "), err)
	}
}

// clients fetch a page again and again, each time on a connection of its own.
type clients struct {
	t     *testing.T
	ended chan struct{}
	group sync.WaitGroup
	count atomic.Int64
	end   func() // returns when none is under way any more
}

// startClients sends requests to the configuration's output "endpoint". Everyone of
// them must be answered.
func (f *folder) startClients() *clients {
	endpoint := f.must("output", "-raw", "endpoint")
	c := &clients{t: f.t, ended: make(chan struct{})}
	c.end = sync.OnceFunc(func() { close(c.ended); c.group.Wait() })
	for range 2 {
		c.group.Go(func() {
			for {
				select {
				case <-c.ended:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if _, err := fetch(endpoint); err != nil {
					f.t.Errorf("request %d: %v", c.count.Load(), err)
				}
				c.count.Add(1)
			}
		})
	}
	f.t.Cleanup(c.end)
	return c
}

// stop ends them, and wants them to have had something to say.
func (c *clients) stop() {
	c.end()
	if n := c.count.Load(); n < 100 {
		c.t.Errorf("only %d requests were sent", n)
	}
}

// network returns a /24 of the loopback range that no other test has: the port
// that the kernel hands out, held until the test ends, makes it so.
func network(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	port := l.Addr().(*net.TCPAddr).Port
	return fmt.Sprintf("127.%d.%d.0/24", 128+port>>8&63, port&255)
}
