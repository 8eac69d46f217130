package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "rewrite the golden parts of testdata/script")

func TestMain(m *testing.M) {
	// These tests mostly wait: for probes, drains and clients. -parallel says otherwise.
	if err := flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"slbctl": main})
}

// TestScript runs the sessions of testdata/script on the real program. Each has a
// folder and a network of its own: it begins with the verb network.
func TestScript(t *testing.T) {
	alone(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                verbs,
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Geteuid() == 0, nil
			case "ipv6":
				return hasIPv6(), nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("SLBCTL_PORT_OFFSET", "20000")
			e.Setenv("NO_COLOR", "1")
			certificates, err := filepath.Abs("../../testdata/certificates")
			if err != nil {
				return err
			}
			e.Setenv("CERTIFICATES", certificates)
			e.Values[environKey{}] = e
			e.Defer(func() {
				// The daemon goes first: it would start its child again.
				for _, name := range []string{"runtime.pid", "instances.pid"} {
					for _, pid := range leftovers(t, e.WorkDir, name) {
						t.Errorf("%s left process %d behind", filepath.Base(e.WorkDir), pid)
						_ = unix.Kill(pid, unix.SIGKILL)
					}
				}
			})
			return nil
		},
	})
}

// hasIPv6 says whether this machine has ::1.
func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}

type environKey struct{}

// alone keeps two runs of this test apart: golden files hold addresses and ports.
func alone(t *testing.T) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "slbctl-script.lock"), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	deadline := time.Now().Add(2 * time.Minute)
	for unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		if time.Now().After(deadline) {
			t.Fatal("another run of this test does not end")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// leftovers finds the processes that a session did not stop, by the name of the
// file that holds their pid.
func leftovers(t *testing.T, dir, name string) (pids []int) {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != name {
			return nil // a folder that goes away while it is walked is no concern here
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return nil // empty: it has stopped
		}
		line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err == nil && strings.Contains(string(line), "slbctl\x00runtime\x00") {
			pids = append(pids, pid)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return pids
}

// exitCodeOf runs a program of the script and returns its exit code.
func exitCodeOf(ts *testscript.TestScript, err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("%v", err)
	return -1
}
