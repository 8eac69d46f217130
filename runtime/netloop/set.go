//go:build linux

package netloop

import (
	"math"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// cores is what the process may use, before Start changes GOMAXPROCS: the Go
// runtime has taken affinity and the container's CPU limit into account.
var cores = runtime.GOMAXPROCS(0)

// Set is a number of loops that were started together.
type Set struct {
	loops []*Loop
	ended sync.WaitGroup
	once  sync.Once
	start time.Time
}

// Start starts n loops, or one per core if n is 0, and sets GOMAXPROCS to
// n + max(1, cores/4); see the package comment.
func Start(n int) (*Set, error) {
	if n <= 0 {
		n = cores
	}
	runtime.GOMAXPROCS(n + max(1, cores/4))
	scarce, last := scarceDescriptors()
	s := &Set{start: time.Now()}
	for i := range n {
		l, err := newLoop(i, s.start)
		if err != nil {
			s.Close()
			return nil, err
		}
		l.scarce, l.last = scarce, last
		s.loops = append(s.loops, l)
		s.ended.Go(func() {
			// Never unlocked: the thread ends with the goroutine, so its
			// affinity is not inherited by others.
			runtime.LockOSThread()
			bindToCore(i)
			l.run()
		})
	}
	return s, nil
}

// Now is the loops' clock, for who is on none of them; see [Loop.Now].
func (s *Set) Now() int64 { return int64(time.Since(s.start)) }

// Loops returns the loops in order of their index.
func (s *Set) Loops() []*Loop { return s.loops }

// Close ends all loops and waits for them. Functions posted before it are still
// run; descriptors that were added are their owners' to close.
func (s *Set) Close() {
	s.once.Do(func() {
		for _, l := range s.loops {
			l.Post(func() { l.stopping = true })
		}
	})
	s.ended.Wait()
}

// bindToCore keeps this thread on the i-th of the cores it may use. Where that
// is not allowed the loop works all the same, so failure is ignored.
func bindToCore(i int) {
	var allowed unix.CPUSet
	if unix.SchedGetaffinity(0, &allowed) != nil || allowed.Count() == 0 {
		return
	}
	skip := i % allowed.Count()
	for cpu := 0; ; cpu++ {
		if !allowed.IsSet(cpu) {
			continue
		}
		if skip == 0 {
			var one unix.CPUSet
			one.Set(cpu)
			_ = unix.SchedSetaffinity(0, &one)
			return
		}
		skip--
	}
}

// Spare reports whether a descriptor can be had that is not [Loop.Scarce].
func (l *Loop) Spare() bool {
	fd, err := unix.FcntlInt(uintptr(l.wake), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return false
	}
	closeFD(fd)
	return !l.Scarce(fd)
}

// scarceDescriptors is the descriptor number from which on strangers get none, so that
// those who are here can be served, and the one from which on the rest is left to the
// process's other work: its control socket, its probes and files.
func scarceDescriptors() (scarce, last int) {
	const reserve = 64
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32, math.MaxInt32
	}
	n := int(limit.Cur)
	kept := min(reserve, n/4)
	return n - kept, n - kept/2
}
