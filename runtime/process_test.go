package runtime_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime"
	"slbctl/runtime/control"
	"slbctl/runtime/webserver"
	"slbctl/spec"
)

// logbook is a log that may be read while it is written.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// logged is start with a log that is kept, and another executable for the child.
func logged(t *testing.T, dir, exe string) (*daemon, *logbook, <-chan error) {
	t.Helper()
	log := &logbook{}
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan error, 1)
	var done sync.WaitGroup
	done.Go(func() {
		ended <- runtime.Run(ctx, dir, runtime.Options{
			Log: slog.New(slog.NewTextHandler(log, nil)), Executable: exe, Ready: func(err error) { ready <- err },
		})
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	client, err := control.Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &daemon{t: t, dir: dir, client: client}, log, ended
}

// TestDaemonEndsWithItsFolder removes the folder under a daemon, or puts another one
// there: nobody can reach the daemon any more, so it gives back what it holds.
func TestDaemonEndsWithItsFolder(t *testing.T) {
	for name, reason := range map[string]string{"removed": "is gone", "replaced": "is another daemon's"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d, log, ended := logged(t, dir, os.Args[0])
			c := tutorial(network(t))
			d.mustApply(c)
			folder := filepath.Join(dir, control.Folder)
			if err := os.RemoveAll(folder); err != nil {
				t.Fatal(err)
			}
			if name == "replaced" {
				if err := os.Mkdir(folder, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(folder, "runtime.pid"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(15 * time.Second):
				t.Fatal("it still runs")
			}
			if log.count(reason) != 1 {
				t.Errorf("the log does not say that the folder %s", reason)
			}
			for _, ip := range []netip.Addr{c.LoadBalancers[0].IP, c.Instances[0].IP} {
				if conn, err := net.Dial("tcp", ip.String()+":8080"); err == nil {
					conn.Close()
					t.Errorf("%v still answers", ip)
				}
			}
		})
	}
}

// TestChildEndsWithoutItsSocket removes the folder when there is no connection to the
// instances' process: a signal ends it.
func TestChildEndsWithoutItsSocket(t *testing.T) {
	e, apply := startEngine(t)
	c := tutorial(network(t))
	if err := apply(c, func(control.Event) {}); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(e.dir, control.Folder)); err != nil {
		t.Fatal(err)
	}
	e.Disconnect()
	if err := e.close(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", c.Instances[0].IP.String()+":8080"); err == nil {
		conn.Close()
		t.Error("the instance still answers")
	}
}

// orphan starts the instances' process without a daemon, as a daemon that was killed
// leaves it, with one instance.
func orphan(t *testing.T, dir string, ep netip.AddrPort) (pid int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, control.Folder), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "runtime", "instances")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, if the test went well
		<-ended
	})
	var child *webserver.Child
	eventually(t, "the instances' process answers", func() bool {
		var err error
		child, err = webserver.Dial(t.Context(), filepath.Join(dir, control.Folder, "instances.sock"))
		return err == nil
	})
	defer child.Close()
	if err := child.Set(t.Context(), []webserver.Instance{{
		Address: "instance.left", Endpoints: []netip.AddrPort{ep}, Protocol: spec.ProtocolHTTP, Running: true,
		Pages: []spec.Page{{Path: "/", Content: "left"}},
	}}); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func TestStopEndsAnOrphan(t *testing.T) {
	dir := t.TempDir()
	if left, err := runtime.Orphans(t.Context(), dir); err != nil || len(left) != 0 {
		t.Errorf("orphans of a folder that is not there: %v, %v", left, err)
	}
	ep := netip.AddrPortFrom(network(t).Addr().Next().Next(), 8080)
	orphan(t, dir, ep)
	if left, err := runtime.Orphans(t.Context(), dir); err != nil || len(left) != 1 || left[0] != "instance.left" {
		t.Errorf("orphans: %v, %v", left, err)
	}
	if err := runtime.Stop(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", ep.String()); err == nil {
		conn.Close()
		t.Error("the instance still answers")
	}
	if left, err := runtime.Orphans(t.Context(), dir); err != nil || len(left) != 0 {
		t.Errorf("orphans after stop: %v, %v", left, err)
	}
}

// TestOrphanIsAdopted starts a daemon beside the child of a killed one: with nothing
// committed the old instance ends; the process serves the new ones.
func TestOrphanIsAdopted(t *testing.T) {
	dir := t.TempDir()
	c := tutorial(network(t))
	ep := netip.AddrPortFrom(c.Instances[0].IP, 8080)
	pid := orphan(t, dir, ep)
	d := start(t, dir)
	if conn, err := net.Dial("tcp", ep.String()); err == nil {
		conn.Close()
		t.Error("the old instance still answers")
	}
	d.mustApply(c)
	if now := pidOf(t, dir, "instances.pid"); now != pid {
		t.Errorf("process %d serves, not the one that was left, %d", now, pid)
	}
	if page, err := get("http://" + ep.String() + "/"); err != nil || page != "ECS01" {
		t.Errorf("page %q, %v", page, err)
	}
	if left, err := runtime.Orphans(t.Context(), dir); err != nil || len(left) != 0 {
		t.Errorf("orphans beside a daemon: %v, %v", left, err)
	}
}

// TestOrphanThatDoesNotAnswer is told, not taken for none.
func TestOrphanThatDoesNotAnswer(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, control.Folder), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, control.Folder, "instances.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pid, err := os.Create(filepath.Join(dir, control.Folder, "instances.pid"))
	if err != nil {
		t.Fatal(err)
	}
	defer pid.Close()
	if err := unix.Flock(int(pid.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "nonsense\n\n")
			conn.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := runtime.Stop(ctx, dir); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("stop: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = runtime.Run(ctx, dir, runtime.Options{Log: slog.New(slog.DiscardHandler), Executable: os.Args[0]})
	if err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("run: %v", err)
	}
}

// TestChildComesBackWithPatience has the instances' process die and not come up again
// for a while: it is tried again, ever more seldom.
func TestChildComesBackWithPatience(t *testing.T) {
	dir := t.TempDir()
	exe := filepath.Join(dir, "slbctl")
	program := func(path string) {
		t.Helper()
		_ = os.Remove(exe) // there is none the first time
		if err := os.Symlink(path, exe); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program(self)
	d, log, _ := logged(t, dir, exe)
	c := tutorial(network(t))
	d.mustApply(c)
	program("/bin/false")
	child, err := os.FindProcess(pidOf(t, dir, "instances.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Kill(); err != nil {
		t.Fatal(err)
	}
	const failed = "the instances do not come back"
	eventually(t, "a second attempt", func() bool { return log.count(failed) >= 2 })
	time.Sleep(time.Second)
	if n := log.count(failed); n > 9 { // after 0, 10, 30, 70, 150, 310, 630, 1000 ms
		t.Errorf("%d attempts within a second or so", n)
	}
	program(self)
	eventually(t, "the page is served again", func() bool {
		_, err := get(balancerURL(c))
		return err == nil
	})
}
