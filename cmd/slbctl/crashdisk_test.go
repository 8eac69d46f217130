package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of so many bytes in memory, which is unmounted when the
// test ends. That takes root.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("slbctl-test", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprint("mode=700,size=", size))
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("only root can mount a small disk")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// ballast is the file that fills the disk of a folder.
func (f *folder) ballast() string { return filepath.Join(filepath.Dir(f.dir), "ballast") }

// fill leaves so many pages of the disk free.
func (f *folder) fill(pages int) {
	f.t.Helper()
	f.empty()
	var disk unix.Statfs_t
	if err := unix.Statfs(f.dir, &disk); err != nil {
		f.t.Fatal(err)
	}
	if int(disk.Bavail) <= pages {
		f.t.Fatalf("the disk has %d pages left", disk.Bavail)
	}
	b, err := os.Create(f.ballast())
	if err != nil {
		f.t.Fatal(err)
	}
	defer b.Close()
	_, err = io.CopyN(b, zeros{}, (int64(disk.Bavail)-int64(pages))*disk.Bsize)
	if err != nil && !errors.Is(err, unix.ENOSPC) { // a daemon that writes as well may have taken a page
		f.t.Fatal(err)
	}
}

// empty gives the space back.
func (f *folder) empty() {
	if err := os.Remove(f.ballast()); err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// toSmallDisk moves a folder in which nothing has run yet to a disk of its own.
func (f *folder) toSmallDisk() {
	f.t.Helper()
	moved := filepath.Join(smallDisk(f.t, 4<<20), "w")
	if err := os.CopyFS(moved, os.DirFS(f.dir)); err != nil {
		f.t.Fatal(err)
	}
	before := f.dir
	f.dir = moved
	f.t.Cleanup(func() {
		f.empty()
		f.must("runtime", "stop") // before the disk goes
		f.dir = before
	})
}

// TestFullDisk leaves so many pages of a real file system free for command, daemon, logs and
// locks alike, and none: what does not happen whole does not happen, what runs runs on,
// and whoever only looks can do so.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	m, acts := newMatrix(t)
	m.toSmallDisk()
	for i := range acts {
		a := &acts[i]
		for pages := 0; pages <= 14; pages++ {
			if m.sweep.skips(20) {
				continue
			}
			point := fmt.Sprint(pages, " pages")
			tr := disturbance{"disk full", point, true, func(f *folder, a *act) (string, int) {
				f.fill(pages)
				defer f.empty()
				out, code := f.run(nil, a.args...)
				if code == 1 && !strings.Contains(out, "no space left on device") {
					t.Errorf("%s with %s: the message does not say that the disk is full:\n%s", a.name, point, out)
				}
				for _, look := range []string{"plan", "status", "state pull", "show", "output"} {
					if text, code := f.run(nil, strings.Fields(look)...); code != 0 && !(code == 1 && strings.Contains(text, "o state")) && !strings.Contains(text, "is not running") {
						t.Errorf("%s on the full disk after %s with %s: exit %d\n%s", look, a.name, point, code, text)
					}
				}
				return out, code
			}}
			if out, code := m.try(a, tr); code != 0 && code != 1 {
				t.Errorf("%s with %s: exit %d\n%s", a.name, point, code, out)
			}
		}
	}
}

// TestFullDiskUnderWay has the disk become full under a daemon that writes logs: it serves on,
// counts what it could not write, is stopped, comes back and takes changes from then on.
func TestFullDiskUnderWay(t *testing.T) {
	t.Parallel()
	f := newFolder(t, builtFailpoints, "")
	f.toSmallDisk()
	const logged = `
runtime {
  network     = "%s"
  port_offset = 8000
}
instance "web" {
  page "/" { content = "web" }
}
load_balancer "lb" {
  backend {
    instance = instance.web
    weight   = %d
  }
  listener "http" "80" {
    access_log {}
    health_check { interval = "50ms" }
  }
}
output "endpoint" { value = trimprefix(load_balancer.lb.listener["http:80"].url, "http://") }
`
	net := network(t)
	f.write(fmt.Sprintf(logged, net, 100))
	f.must("apply", "-auto-approve")
	clients := f.startClients()
	f.fill(0)
	var live struct {
		LoadBalancers []struct {
			Listeners []struct {
				LogLost  int64  `json:"log_lost"`
				LogError string `json:"log_error"`
			}
		} `json:"load_balancers"`
	}
	lost := func() int64 {
		f.document(&live, "status", "-json")
		return live.LoadBalancers[0].Listeners[0].LogLost
	}
	for deadline := time.Now().Add(patience); lost() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no lost line of the access log is counted: %+v", live)
		}
	}
	if text := live.LoadBalancers[0].Listeners[0].LogError; !strings.Contains(text, "no space left on device") {
		t.Errorf("status says of the log: %q", text)
	}
	clients.end()
	// All that runs is killed, and comes back on the full disk.
	f.killAll()
	if out, code := f.run(nil, "runtime", "start"); code != 0 {
		t.Errorf("the daemon does not come back on a full disk: exit %d\n%s", code, out)
	}
	if _, err := fetch(f.must("output", "-raw", "endpoint")); err != nil {
		t.Error(err)
	}
	f.must("runtime", "stop")
	f.must("runtime", "start")
	f.empty()
	f.write(fmt.Sprintf(logged, net, 50))
	f.converges("with space again")
}
