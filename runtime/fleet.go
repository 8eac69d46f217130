package runtime

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/control"
	"slbctl/runtime/webserver"
	"slbctl/spec"
)

// fleet looks after the child process that holds the instances: it starts it or
// adopts the one that a killed daemon left, and starts it again when it dies.
type fleet struct {
	engine *engine

	alive atomic.Bool // the child serves what was last set

	mu     sync.Mutex
	child  *webserver.Child
	wanted []webserver.Instance
	ended  bool // no child is started any more
}

func newFleet(e *engine) *fleet { return &fleet{engine: e} }

// set makes the instances so, all or none.
func (f *fleet) set(ctx context.Context, instances []webserver.Instance) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.child == nil {
		if len(instances) == 0 {
			return nil
		}
		if err := f.raise(ctx); err != nil {
			return err
		}
	}
	if err := f.child.Set(ctx, instances); err != nil {
		return err
	}
	f.wanted = instances
	f.alive.Store(true)
	return nil
}

// setMost makes all instances so that can be had, and tells what is wrong with the
// others.
func (f *fleet) setMost(ctx context.Context, instances []webserver.Instance) (problems []string) {
	var accepted []webserver.Instance
	var try func(more []webserver.Instance)
	try = func(more []webserver.Instance) {
		all := slices.Concat(accepted, more)
		err := f.set(ctx, all)
		switch half := len(more) / 2; {
		case err == nil:
			accepted = all
		case half == 0:
			problems = append(problems, err.Error())
		default:
			try(more[:half])
			try(more[half:])
		}
	}
	try(instances)
	return problems
}

// adopt takes over the child that a killed daemon left behind, if there is one.
func (f *fleet) adopt(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	child, err := webserver.Dial(ctx, childPath(f.engine.folder))
	if err != nil {
		return nil // none is left
	}
	return f.take(child)
}

func (f *fleet) shutdown() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if f.child == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	return f.child.Shutdown(ctx)
}

// raise starts a child. The caller holds mu.
func (f *fleet) raise(ctx context.Context) error {
	if err := spawn(ctx, f.engine.dir, f.engine.exe, "instances"); err != nil {
		return fmt.Errorf("start the instances' process: %w", err)
	}
	child, err := webserver.Dial(ctx, childPath(f.engine.folder))
	if err != nil {
		return fmt.Errorf("reach the instances' process: %w", err)
	}
	return f.take(child)
}

// take makes a child ours and watches it. The caller holds mu.
func (f *fleet) take(child *webserver.Child) error {
	pidfd, err := unix.PidfdOpen(child.PID(), 0)
	if err != nil {
		return fmt.Errorf("watch the instances' process %d: %w", child.PID(), err)
	}
	f.child = child
	go f.watch(os.NewFile(uintptr(pidfd), "pidfd"))
	return nil
}

// watch starts the child again when it dies: instances are servers, and a server
// that crashed comes back.
func (f *fleet) watch(pidfd *os.File) {
	defer pidfd.Close()
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	f.mu.Lock()
	wanted, ended := f.wanted, f.ended
	f.child.Close()
	f.child = nil
	f.alive.Store(false)
	f.mu.Unlock()
	if ended {
		return
	}
	f.engine.log.Error("the instances' process died; it is started again")
	for delay := time.Duration(0); ; delay = min(2*delay+10*time.Millisecond, time.Second) {
		select {
		case <-f.engine.life.Done():
			return
		case <-time.After(delay):
		}
		if f.comesBack(wanted) {
			return
		}
	}
}

// comesBack makes the instances so again after their process has died, unless
// somebody else has done so by now.
func (f *fleet) comesBack(wanted []webserver.Instance) bool {
	f.mu.Lock()
	raised := f.child != nil || f.ended
	f.mu.Unlock()
	if raised {
		return true
	}
	ctx, cancel := context.WithTimeout(f.engine.life, stopPatience)
	defer cancel()
	err := f.set(ctx, wanted)
	if err != nil {
		f.engine.log.Error("the instances do not come back", "error", err)
	}
	return err == nil
}

// stopOrphan ends the child that a killed daemon left in a .slbctl folder.
func stopOrphan(ctx context.Context, folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return nil // nothing has ever run here
	}
	defer f.Close()
	child, err := webserver.Dial(ctx, childPath(f))
	if err != nil {
		return nil // none is left
	}
	defer child.Close()
	return child.Shutdown(ctx)
}

// childPath is the child's socket, reached through the open folder because a
// socket's path has room for 108 bytes.
func childPath(folder *os.File) string {
	return "/proc/self/fd/" + strconv.Itoa(int(folder.Fd())) + "/" + instanceSock
}

// wanted lists the instances of a generation and those that still drain.
func (e *engine) wanted(c committed) []webserver.Instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	instances := instancesOf(c)
	for _, d := range e.drains {
		if !d.ended {
			instances = append(instances, without(d.instances, served(instances))...)
		}
	}
	return instances
}

func instancesOf(c committed) []webserver.Instance {
	instances := make([]webserver.Instance, 0, len(c.Config.Instances))
	for _, i := range c.Config.Instances {
		instances = append(instances, webserver.Instance{
			Address: i.Address, Endpoints: endpointsOf(c.Config.Runtime, i),
			Protocol: i.Protocol, Pages: i.Pages, Running: c.running(i),
		})
	}
	return instances
}

func endpointsOf(rt spec.Runtime, i *spec.Instance) []netip.AddrPort {
	endpoints := make([]netip.AddrPort, len(i.Ports))
	for k, port := range i.Ports {
		endpoints[k] = netip.AddrPortFrom(i.IP, rt.BoundPort(port))
	}
	return endpoints
}

// without returns the running instances reduced to the endpoints that keep does
// not name; those with nothing left are gone.
func without(instances []webserver.Instance, keep map[netip.AddrPort]bool) []webserver.Instance {
	var rest []webserver.Instance
	for _, i := range instances {
		i.Endpoints = slices.DeleteFunc(slices.Clone(i.Endpoints), func(ep netip.AddrPort) bool { return keep[ep] })
		if i.Running && len(i.Endpoints) > 0 {
			rest = append(rest, i)
		}
	}
	return rest
}

// served names the endpoints on which the instances run.
func served(instances []webserver.Instance) map[netip.AddrPort]bool {
	endpoints := map[netip.AddrPort]bool{}
	for _, i := range instances {
		if i.Running {
			for _, ep := range i.Endpoints {
				endpoints[ep] = true
			}
		}
	}
	return endpoints
}

var _ control.Engine = (*engine)(nil)
