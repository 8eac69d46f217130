//go:build failpoint

package durable

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

var armed = struct {
	sync.Mutex
	name string
	left int
}{}

func init() {
	name, hit, found := strings.Cut(os.Getenv("SLBCTL_FAILPOINT"), ":")
	armed.name, armed.left = name, 1
	if n, err := strconv.Atoi(hit); found && err == nil {
		armed.left = n
	}
}

// Failpoint kills the process with SIGKILL when SLBCTL_FAILPOINT names this
// place: "name" at its first hit, "name:N" at the N-th.
func Failpoint(name string) {
	if !reached(name) {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way: nothing after this place may run
}

// reached says whether this is the hit that was waited for, or one after it.
func reached(name string) bool {
	armed.Lock()
	defer armed.Unlock()
	if armed.name != name {
		return false
	}
	armed.left--
	return armed.left <= 0
}

// operation is the failpoint of an operation on the disk: "fs:N" kills the process
// before the N-th. "full:N" is a disk that has no space left from the N-th on, as
// full disks do: who fails once fails again, and what takes nothing goes on.
func operation(need bool) error {
	Failpoint("fs")
	if reached("full") && need == grows {
		return syscall.ENOSPC
	}
	return nil
}
