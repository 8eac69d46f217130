//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ticks is the unit of times in /proc/PID/stat, USER_HZ of proc(5): the same on
// every architecture that slbctl is built for.
const ticks = 100

// pinned is a command that may only use the cores of a list such as "0,1", in a
// session of its own: the kernel shares processor time out among sessions first, so
// that every program gets the same part whoever has started it.
func pinned(cores, program string, args ...string) *exec.Cmd {
	cmd := exec.Command("taskset", append([]string{"-c", cores, program}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// start runs a command of [pinned], ahead of other people's programs.
func start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	prefer(cmd.Process.Pid)
	return nil
}

// prefer gives the session of a process more of the processors than sessions of others
// have (sched(7), autogroup): all that take part get the same. Where that is not
// allowed, or autogroups are off, numbers are only noisier.
func prefer(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte("-15"), 0)
}

// tree is a process and its descendants.
func tree(pid int) []int {
	pids := []int{pid}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		b, _ := os.ReadFile(list) // a thread that has ended has no children
		for _, child := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(child); err == nil {
				pids = append(pids, tree(n)...)
			}
		}
	}
	return pids
}

// cpuOf is the processor time that a process tree has used, and how much of it in the
// kernel, children that have ended included.
func cpuOf(pid int) (total, kernel time.Duration, err error) {
	const utime, cstime = 11, 14 // fields of proc(5) after the name: utime, stime, cutime, cstime
	for _, p := range tree(pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			return 0, 0, err
		}
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(fields) <= cstime {
			return 0, 0, fmt.Errorf("/proc/%d/stat: %q is too short", p, b)
		}
		for i, field := range fields[utime : cstime+1] {
			n, err := strconv.ParseInt(string(field), 10, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("/proc/%d/stat: %w", p, err)
			}
			spent := time.Duration(n) * time.Second / ticks
			if total += spent; i%2 == 1 {
				kernel += spent
			}
		}
	}
	return total, kernel, nil
}

// memoryOf is the memory of a process tree in KiB, with each shared page counted once
// among those that share it (PSS). The kernel's socket buffers are not in it.
func memoryOf(pid int) (float64, error) {
	var total float64
	for _, p := range tree(pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			return 0, err
		}
		_, rest, ok := strings.Cut(string(b), "\nPss:")
		fields := strings.Fields(rest)
		if !ok || len(fields) == 0 {
			return 0, fmt.Errorf("/proc/%d/smaps_rollup has no Pss", p)
		}
		n, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/smaps_rollup: %w", p, err)
		}
		total += n
	}
	return total, nil
}

// raiseDescriptors lets this process and its children open as many files as the hard
// limit allows, and tells how many that is.
func raiseDescriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return int(min(limit.Cur, 1<<20)), nil
}

// stop ends a process that this one has started, gently first.
func stop(cmd *exec.Cmd) error {
	_ = cmd.Process.Signal(unix.SIGTERM) // fails if it has ended, which Wait tells
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	err := cmd.Wait()
	if exit, ok := err.(*exec.ExitError); ok && exit.Sys().(syscall.WaitStatus).Signaled() {
		return nil
	}
	return err
}
