//go:build failpoint

package durable_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"slbctl/runtime/durable"
)

// TestFailpoint runs this test binary again and kills it before each durable
// operation of a replacement on the real file system.
func TestFailpoint(t *testing.T) {
	if path := os.Getenv("FAILPOINT_TEST_FILE"); path != "" {
		if err := durable.WriteFile(durable.OS, path, []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "x")
	for n := 1; ; n++ {
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		child := exec.Command(os.Args[0], "-test.run=^TestFailpoint$")
		child.Env = append(os.Environ(), "FAILPOINT_TEST_FILE="+path, "SLBCTL_FAILPOINT=fs:"+strconv.Itoa(n))
		out, err := child.CombinedOutput()
		got, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if err == nil {
			if n != 6 || string(got) != "new" {
				t.Errorf("finished at failpoint %d with %q", n, got)
			}
			return
		}
		status, ok := child.ProcessState.Sys().(syscall.WaitStatus)
		if !ok || status.Signal() != syscall.SIGKILL {
			t.Fatalf("failpoint %d: %v\n%s", n, err, out)
		}
		if want := map[bool]string{true: "old", false: "new"}[n <= 4]; string(got) != want {
			t.Errorf("killed before operation %d: found %q, want %q", n, got, want)
		}
	}
}
