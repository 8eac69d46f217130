package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is the user and group without any rights.
const nobody = 65534

// TestUnprivileged lives through a whole session as a user without rights: ports of
// the loopback range above 1024 and the own folder are all that slbctl needs.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the tests do not run as root: all of them prove this, and only root can become somebody else")
	}
	t.Parallel()
	exe, err := builtPlain()
	if err != nil {
		t.Fatal(err)
	}
	// The test's own temporary folders are closed to others.
	if err := os.Chmod(filepath.Dir(exe), 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "slbctl-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &folder{t: t, exe: exe, dir: dir, as: &syscall.Credential{Uid: nobody, Gid: nobody}}
	network := network(t)
	f.write(fmt.Sprintf(crashConfig, network, 100))
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if out := f.must("plan"); !strings.Contains(out, "Plan: 4 to add") {
		t.Errorf("plan:\n%s", out)
	}
	f.must("apply", "-auto-approve")
	t.Cleanup(func() { f.must("runtime", "stop") })
	if _, err := fetch(f.must("output", "-raw", "endpoint")); err != nil {
		t.Error(err)
	}
	f.must("plan", "-detailed-exitcode")
	f.owned(nobody)

	// Without the offset the ports are the system's: told by name, and nothing changes.
	f.write(strings.Replace(fmt.Sprintf(crashConfig, network, 100), "port_offset = 8000", "port_offset = 0", 1))
	if allowed, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil && strings.TrimSpace(string(allowed)) == "1024" {
		if out, code := f.run(nil, "apply", "-auto-approve"); code != 1 || !strings.Contains(out, ":80") || !strings.Contains(out, "permission denied") {
			t.Errorf("ports below 1024: exit %d\n%s", code, out)
		}
	}
	f.write(fmt.Sprintf(crashConfig, network, 100))
	f.must("plan", "-detailed-exitcode")
	if out := f.must("destroy", "-auto-approve"); !strings.Contains(out, "4 destroyed") {
		t.Errorf("destroy:\n%s", out)
	}
}

// owned checks that all that slbctl has made belongs to the user and is closed to
// others.
func (f *folder) owned(user uint32) {
	f.t.Helper()
	err := filepath.WalkDir(filepath.Join(f.dir, ".slbctl"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != user || info.Mode().Perm()&0o077 != 0 {
			f.t.Errorf("%s: %s, owned by %d", path, info.Mode(), stat.Uid)
		}
		return nil
	})
	if err != nil {
		f.t.Error(err)
	}
}
