package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
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
	pidfd  *os.File // of child's process
	wanted []webserver.Instance
	known  map[string]string    // what the secrets in wanted stand for, by digest
	sent   []webserver.Instance // what child was told last, secrets, faults and all; nil = not known
	ended  bool                 // no child is started any more
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
	revealed, known, err := f.reveal(instances)
	if err != nil {
		return err
	}
	if told := f.engine.faults.over(revealed); f.sent == nil || !slices.EqualFunc(told, f.sent, same) {
		f.sent = nil
		if err := f.child.Set(ctx, told); err != nil {
			return err
		}
		f.sent = told
	}
	f.wanted, f.known = instances, known
	f.alive.Store(true)
	return nil
}

// reveal puts the secrets into instances, which are only with their digests everywhere
// else. One that is in use is known: it may be cleared away while its instance drains.
// The caller holds mu.
func (f *fleet) reveal(instances []webserver.Instance) (revealed []webserver.Instance, known map[string]string, err error) {
	known = map[string]string{}
	secret := func(text string) (string, error) {
		if !spec.IsSecret(text) {
			return text, nil
		}
		shown, ok := f.known[text]
		if !ok {
			var err error
			shown, err = f.engine.secrets().Get(spec.SecretName(text))
			if errors.Is(err, fs.ErrNotExist) {
				return "", errors.New("its value is sensitive and not in .slbctl/secrets: `slbctl apply` puts it back")
			}
			if err != nil {
				return "", err
			}
		}
		known[text] = shown
		return shown, nil
	}
	revealed = slices.Clone(instances)
	for n := range revealed {
		i := &revealed[n]
		if i.Pages, i.Env, err = spec.MapSecretTexts(i.Pages, i.Env, secret); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", i.Address, err)
		}
	}
	return revealed, known, nil
}

// same says that an instance is told already. In a folder there may be something else by now.
func same(a, b webserver.Instance) bool { return a.Site == "" && reflect.DeepEqual(a, b) }

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
	child, err := dialOrphan(ctx, f.engine.folder)
	if child == nil || err != nil {
		return err
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
	if f.child.Shutdown(ctx) != nil {
		// Its socket may be gone with the folder; a signal reaches it all the same.
		if err := unix.PidfdSendSignal(int(f.pidfd.Fd()), unix.SIGTERM, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end the instances' process %d: %w", f.child.PID(), err)
		}
	}
	// A daemon that follows at once must not meet it half gone.
	if !ends(f.pidfd, stopPatience) {
		return fmt.Errorf("the instances' process %d does not end; stop it with `kill`", f.child.PID())
	}
	return nil
}

// forever is patience without an end.
const forever time.Duration = -1

// ends waits until the process of a pidfd has ended, or for so long.
func ends(pidfd *os.File, patience time.Duration) bool {
	milliseconds := -1
	if patience != forever {
		milliseconds = int(patience.Milliseconds())
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}, milliseconds)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
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
	f.child, f.pidfd = child, os.NewFile(uintptr(pidfd), "pidfd")
	go f.watch(f.pidfd)
	return nil
}

// watch starts the child again when it dies: instances are servers, and a server
// that crashed comes back.
func (f *fleet) watch(pidfd *os.File) {
	ends(pidfd, forever)
	f.mu.Lock()
	wanted, ended := f.wanted, f.ended
	f.child.Close()
	pidfd.Close()
	f.child, f.pidfd, f.sent = nil, nil, nil
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

// dialOrphan reaches the child that a killed daemon left in a .slbctl folder; nil
// when none is left: then nobody holds its lock. One that is just coming up, or about
// to end, is waited for.
func dialOrphan(ctx context.Context, folder *os.File) (*webserver.Child, error) {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	for {
		child, err := webserver.Dial(ctx, childPath(folder))
		if err == nil {
			return child, nil
		}
		held, pid := holder(filepath.Join(folder.Name(), instancePID))
		if !held {
			return nil, nil
		}
		select {
		case <-time.After(pollInterval):
		case <-ctx.Done():
			return nil, fmt.Errorf("the instances' process %s does not answer; stop it with `kill`: %w", pid, err)
		}
	}
}

// openOrphan is dialOrphan for a folder that may not be there.
func openOrphan(ctx context.Context, folder string) (*webserver.Child, func(), error) {
	f, err := os.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, func() {}, nil // nothing has ever run here
	}
	if err != nil {
		return nil, func() {}, fmt.Errorf("runtime folder: %w", err)
	}
	child, err := dialOrphan(ctx, f)
	return child, func() {
		if child != nil {
			child.Close()
		}
		f.Close()
	}, err
}

// stopOrphan ends the child that a killed daemon left in a .slbctl folder.
func stopOrphan(ctx context.Context, folder string) error {
	child, done, err := openOrphan(ctx, folder)
	defer done()
	if child == nil || err != nil {
		return err
	}
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
			Site: i.Site, Command: i.Command, Env: i.Env, WorkingDir: i.WorkingDir, Fault: i.Fault,
		})
	}
	return instances
}

// renewed names the instances that both have and that are not the same.
func renewed(before, after []webserver.Instance) map[string]bool {
	old := make(map[string]*webserver.Instance, len(before))
	for k := range before {
		old[before[k].Address] = &before[k]
	}
	names := map[string]bool{}
	for k := range after {
		if i := old[after[k].Address]; i != nil && !reflect.DeepEqual(*i, after[k]) {
			names[i.Address] = true
		}
	}
	return names
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
