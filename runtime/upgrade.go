package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/proxy"
)

// errMoved is the answer to whoever still asks a daemon that has a successor.
var errMoved = &control.Error{Code: control.CodeMoved, Message: "another process of the runtime has taken over; ask again"}

// successor is the process that is to take over.
type successor struct {
	*bond
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Upgrade implements control.Engine: it has a process of another program take over, in
// the steps of handover.go.
func (e *engine) Upgrade(ctx context.Context, executable string) error {
	if err := e.hold(ctx); err != nil {
		return err
	}
	if err := e.tried(); err != nil {
		e.release()
		return err
	}
	if len(e.aside) > 0 {
		e.release()
		return &control.Error{Code: control.CodeRefused, Message: "a simulation is under way live, and ends before: " + strings.Join(e.out(nil, nil), ", ") + " is drained for it"}
	}
	e.log.Info("upgrade", "program", executable)
	s, err := e.raiseSuccessor(executable)
	if err == nil {
		if err = e.handOver(s); err != nil {
			err = errors.Join(fmt.Errorf("%s cannot take over, and the runtime goes on as before: %w", executable, err), e.goOn(s))
		}
	}
	if err != nil {
		e.log.Error("upgrade failed", "error", err)
		e.release()
		return err
	}
	e.bond = s.bond
	e.retireEngine()
	close(e.moved) // busy stays taken: nothing changes here any more
	return nil
}

// raiseSuccessor starts the process, with all descriptors.
func (e *engine) raiseSuccessor(executable string) (*successor, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	var b bundle
	defer b.close()
	first := b.add(theirs)
	s := &successor{cmd: exec.Command(executable, "runtime", "run"), done: make(chan struct{})}
	if s.bond, err = newBond(ours); err != nil {
		return nil, err
	}
	will, err := e.inventory(&b)
	if err != nil {
		s.conn.Close()
		return nil, err
	}
	s.cmd.Dir = e.dir
	s.cmd.Env = append(os.Environ(), handoverEnv+"="+strconv.Itoa(first))
	s.cmd.Stdout, s.cmd.Stderr = os.Stdout, os.Stderr // where this one's log goes
	s.cmd.ExtraFiles = b.files
	if err := s.cmd.Start(); err != nil {
		s.conn.Close()
		return nil, fmt.Errorf("start the new process: %w", err)
	}
	go func() {
		_ = s.cmd.Wait() // reaps it; how it ended is in its log
		close(s.done)
	}()
	if err := s.say(readyPatience, will); err != nil {
		s.kill()
		return nil, e.silent(err)
	}
	return s, nil
}

// handOver leads the successor to the point from which on it serves.
func (e *engine) handOver(s *successor) error {
	defer context.AfterFunc(e.life, s.kill)() // a daemon that is told to end does not wait
	durable.Failpoint("upgrade-begun")
	var r reply
	if err := s.hear(readyPatience, &r); err != nil {
		return e.silent(err)
	}
	if !r.Ready {
		return errors.New(r.Error)
	}
	e.pause()
	durable.Failpoint("upgrade-paused")
	if err := s.say(servingPatience, e.bequeath()); err != nil {
		return e.silent(err)
	}
	durable.Failpoint("upgrade-told")
	r = reply{}
	if err := s.hear(servingPatience, &r); err != nil {
		return e.silent(err)
	}
	if !r.Serving {
		return errors.New(r.Error)
	}
	return nil
}

// silent explains that a successor said nothing.
func (e *engine) silent(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) {
		err = errors.New("it ended before it was ready; a version of slbctl that cannot take over says that the runtime is already running")
	}
	return fmt.Errorf("%w; see %s", err, filepath.Join(e.dir, control.Folder, logFile))
}

// goOn serves as before, once the successor is gone.
func (e *engine) goOn(s *successor) error {
	s.kill()
	e.eachSocket(socket.Resume)
	if e.names != nil {
		e.names.Resume()
	}
	var err error
	if e.page != nil {
		err = e.page.Resume()
	}
	e.control.Resume()
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	e.lock.sign()
	return errors.Join(err, e.fleet.tellAgain(ctx))
}

// kill ends a successor that is not to serve, and returns when it has ended.
func (s *successor) kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.done
	s.conn.Close()
}

// pause has everybody wait who comes now.
func (e *engine) pause() {
	e.control.Pause()
	if e.names != nil {
		e.names.Pause()
	}
	if e.page != nil {
		e.page.Pause()
	}
	e.eachSocket(socket.Pause)
}

// eachSocket calls f for all sockets at once: each waits for a turn of every loop, and many
// can be had in one.
func (e *engine) eachSocket(f func(socket)) {
	var calls sync.WaitGroup
	for _, k := range e.sockets {
		calls.Go(func() { f(k) })
	}
	calls.Wait()
}

// inventory is what the successor gets.
func (e *engine) inventory(b *bundle) (*estate, error) {
	live := e.current()
	will := &estate{
		Format: handoverFormat, PID: os.Getpid(), Generation: live.Generation, Hash: live.Hash,
		Faults: e.faults.handOver(), Verdicts: e.prober.Snapshot(),
	}
	var err error
	if will.Lock, err = b.duplicate(int(e.lock.file.Fd())); err != nil {
		return nil, err
	}
	if will.Control, err = b.take(e.control.File()); err != nil {
		return nil, err
	}
	if err := e.inventorySockets(b, will); err != nil {
		return nil, err
	}
	if e.page != nil {
		n, err := b.take(e.page.File())
		if err != nil {
			return nil, err
		}
		will.Page = &heritedPage{e.page.Addr(), n}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	will.Problems = e.problems
	for _, elder := range e.elders {
		n, err := b.take(elder.file())
		if err != nil {
			return nil, err
		}
		will.Elders = append(will.Elders, heritedProcess{elder.pid, n, !elder.carries()})
	}
	for _, d := range e.drains {
		if len(d.instances) > 0 && !d.ended {
			will.Drains = append(will.Drains, heritedDrain{d.instances, d.until()})
		}
	}
	will.Secrets = e.fleet.secrets()
	will.Descriptors = len(b.files)
	return will, nil
}

// inventorySockets is the part of clients.
func (e *engine) inventorySockets(b *bundle, will *estate) error {
	for at, k := range e.sockets {
		h := heritedSocket{UDP: at.udp, Endpoint: at.endpoint}
		for _, fd := range k.Descriptors() {
			n, err := b.duplicate(fd)
			if err != nil {
				return err
			}
			h.Descriptors = append(h.Descriptors, n)
		}
		will.Sockets = append(will.Sockets, h)
	}
	if e.names == nil {
		return nil
	}
	udp, tcp, err := e.names.Files()
	if err != nil {
		return err
	}
	will.Names = &heritedNames{e.names.Addr(), b.add(udp), b.add(tcp)}
	return nil
}

// bequeath is what only stands when nobody is accepted any more.
func (e *engine) bequeath() bequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := bequest{Tickets: e.tickets.HandOver(), Listeners: map[string]heritedListener{}}
	records := recordsOf(e.listeners)
	for address, l := range e.listeners {
		h := heritedListener{Record: records[address], Memories: map[string]balance.Memory{}}
		for n, p := range l.spec.Pools() {
			h.Memories[p.Owner] = l.states[n].Memory(e.balancer.Now())
		}
		b.Listeners[address] = h
	}
	e.told = b.Listeners
	return b
}

// retireEngine ends all that would meddle with what is the successor's now, and sees the
// clients off.
func (e *engine) retireEngine() {
	e.scheduleRenewal(false)
	e.faults.stop()
	e.fleet.leave()
	e.prober.Close()
	e.mu.Lock()
	if e.noting != nil {
		e.noting.Stop()
	}
	elders := e.elders
	e.elders = nil
	e.mu.Unlock()
	for _, elder := range elders {
		elder.conn.Close() // the successor has another descriptor of it
	}
	e.eachSocket(socket.Leave)
	if e.page != nil {
		if err := e.page.Leave(); err != nil {
			e.log.Error("leave the metrics to the successor", "error", err)
		}
	}
	for _, l := range e.listeners {
		l.handler.SeeOff()
	}
}

// How often one who has a successor looks whether it still carries anything.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = time.Second
)

// outlive carries what is open until all of that has ended, or the successor has, or this
// process is told to end. In the foreground it stays: whoever has started it takes its end
// for the end of the runtime.
func (e *engine) outlive(ctx context.Context) error {
	e.log.Info("another process has taken over; this one finishes what it has")
	gone := make(chan struct{})
	go func() {
		e.obey()
		close(gone)
	}()
	err := e.empty(ctx, gone)
	_ = e.bond.say(servingPatience, reply{Idle: true, Rest: e.rest()}) // unless that one has ended
	err = errors.Join(err, e.endDataPath())
	if e.foreground {
		e.standBy(ctx, gone)
	}
	return errors.Join(err, e.bond.conn.Close())
}

// empty returns when nothing is carried any more, or when that must end.
func (e *engine) empty(ctx context.Context, gone <-chan struct{}) (err error) {
	asked := make(chan error, 1)
	if e.names == nil {
		asked <- nil
	} else {
		go func() { asked <- e.names.Leave() }()
	}
	for look, names := firstLook, false; !names || e.flows() > 0; look = min(2*look, lastLook) {
		select {
		case err = <-asked:
			names = true
			continue
		case <-time.After(look):
			continue
		case <-gone:
		case <-ctx.Done():
		}
		e.log.Info("this process ends before what it had", "flows", e.flows())
		return nil
	}
	return err
}

// rest is what the successor does not know of what was counted.
func (e *engine) rest() map[string]proxy.Record {
	rest := map[string]proxy.Record{}
	for address, r := range recordsOf(e.listeners) {
		rest[address] = r.Since(e.told[address].Record)
	}
	return rest
}

// recordsOf asks all listeners at once: each waits for a turn of every loop.
func recordsOf(listeners map[string]*listener) map[string]proxy.Record {
	return ofAll(listeners, func(l *listener) proxy.Record { return l.handler.Record() })
}

// standBy waits for the end of the runtime, and brings it about when this process is told
// to end.
func (e *engine) standBy(ctx context.Context, gone <-chan struct{}) {
	select {
	case <-gone:
		return
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if client, err := control.Dial(e.dir); err == nil {
		_ = client.Shutdown(ctx) // it may be ending already
	}
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

// flows is how much the data plane carries.
func (e *engine) flows() int {
	if e.balancer == nil {
		return 0
	}
	return e.balancer.Flows()
}

// leave ends the care for the child, which is a successor's.
func (f *fleet) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
}

// secrets are those of the instances, by digest.
func (f *fleet) secrets() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.known)
}

// tellAgain tells the child what it should serve after another process may have told it
// something else.
func (f *fleet) tellAgain(ctx context.Context) error {
	f.mu.Lock()
	f.sent = nil
	wanted, child := f.wanted, f.child
	f.mu.Unlock()
	if child == nil {
		return nil
	}
	return f.set(ctx, wanted)
}
