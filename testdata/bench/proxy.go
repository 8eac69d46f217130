//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// proxy is a program of the comparison.
type proxy struct {
	name string
	// start writes the configuration into the setup's folder and runs the program on
	// the given cores.
	start func(s setup, cores string) (*running, error)
	// rows tells in which rows the program takes part; nil = in all.
	rows func(row) bool
}

func (p proxy) takes(r row) bool { return p.rows == nil || p.rows(r) }

// running is a proxy that has been started.
type running struct {
	pid  int
	stop func() error
}

// proxies returns slbctl, built at the path, its peers and, if it is wanted, the floor.
func proxies(slbctl string, lowest bool) []proxy {
	all := []proxy{
		{name: subject, start: func(s setup, cores string) (*running, error) { return startSlbctl(slbctl, s, cores) }},
		{name: haproxy, start: startHAProxy},
		{name: nginx, start: startNginx},
	}
	if lowest {
		all = append(all, proxy{name: "floor", start: startFloor, rows: func(r row) bool { return r.floor }})
	}
	return all
}

const (
	subject = "slbctl"
	haproxy = "haproxy"
	nginx   = "nginx"

	accessLog = "access.log"
)

// startSlbctl does what a user does: apply, which starts the daemon. It inherits the
// cores of the command.
func startSlbctl(binary string, s setup, cores string) (*running, error) {
	if _, err := s.write("bench.slb.hcl"); err != nil {
		return nil, err
	}
	control := func(cores string, args ...string) error {
		cmd := pinned(cores, binary, args...)
		cmd.Dir = s.Folder
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "SLBCTL_") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("slbctl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
		return nil
	}
	if err := control(cores, "apply", "-auto-approve", "-traffic=false"); err != nil {
		return nil, errors.Join(err, control(cores, "runtime", "stop"))
	}
	// It is no child of this process: only its pid tells that it has ended.
	b, err := os.ReadFile(filepath.Join(s.Folder, ".slbctl", "runtime.pid"))
	if err != nil {
		return nil, errors.Join(err, control(cores, "runtime", "stop"))
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("runtime.pid: %w", err), control(cores, "runtime", "stop"))
	}
	prefer(pid)
	return &running{pid: pid, stop: func() error {
		return errors.Join(control(cores, "runtime", "stop"), gone(pid))
	}}, nil
}

func startHAProxy(s setup, cores string) (*running, error) {
	if _, err := s.write("rules.map"); err != nil {
		return nil, err
	}
	config, err := s.write("haproxy.cfg")
	if err != nil {
		return nil, err
	}
	return startPeer(s, pinned(cores, haproxy, "-db", "-f", config))
}

func startNginx(s setup, cores string) (*running, error) {
	config, err := s.write("nginx.conf")
	if err != nil {
		return nil, err
	}
	return startPeer(s, pinned(cores, nginx, "-p", s.Folder, "-c", config))
}

// startPeer runs a program in the foreground. HAProxy logs requests to its standard
// output, so that is the access log.
func startPeer(s setup, cmd *exec.Cmd) (*running, error) {
	out, err := os.OpenFile(filepath.Join(s.Folder, accessLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	errs := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, errs
	if err := start(cmd); err != nil {
		return nil, err
	}
	return &running{pid: cmd.Process.Pid, stop: func() error {
		if err := stop(cmd); err != nil {
			return fmt.Errorf("%s: %w: %s", cmd.Args[3], err, bytes.TrimSpace(errs.Bytes()))
		}
		return nil
	}}, nil
}

// backendProcess is the server behind the proxies, in a process of its own.
type backendProcess struct {
	cmd   *exec.Cmd
	hold  io.Closer
	setup setup
}

// startBackend runs this program once more, as the server.
func startBackend(s setup, cores string) (*backendProcess, error) {
	args := []string{"backend"}
	for _, ep := range s.Servers {
		args = append(args, ep.String())
	}
	cmd := pinned(cores, self(), args...)
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := start(cmd); err != nil {
		return nil, err
	}
	b := &backendProcess{cmd: cmd, hold: hold, setup: s}
	err = retry(func() error { _, err := b.counters(); return err })
	if err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

func (b *backendProcess) stop() error {
	b.hold.Close()
	return stop(b.cmd)
}

// self is the path of this program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// retry calls f until it succeeds or patience ends.
func retry(f func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// gone waits until a process that is not a child of this one has ended.
func gone(pid int) error {
	return retry(func() error {
		if syscall.Kill(pid, 0) == nil {
			return fmt.Errorf("process %d is still there", pid)
		}
		return nil
	})
}
