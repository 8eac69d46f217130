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
	armed.Lock()
	defer armed.Unlock()
	if armed.name != name {
		return
	}
	armed.left--
	if armed.left > 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way: nothing after this place may run
}
