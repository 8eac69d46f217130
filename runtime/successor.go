package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"slbctl/runtime/control"
	"slbctl/runtime/dns"
	"slbctl/runtime/durable"
)

// heir is this process while it takes over from another one.
type heir struct {
	*bond
	estate estate
}

// inherit looks whether another process has started this one to take over, and takes what
// that gives; nil if not.
func inherit() (*heir, error) {
	text, ok := os.LookupEnv(handoverEnv)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(handoverEnv)
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%s=%q is no descriptor", handoverEnv, text)
	}
	unix.CloseOnExec(fd)
	bond, err := newBond(os.NewFile(uintptr(fd), "bond"))
	if err != nil {
		return nil, err
	}
	h := &heir{bond: bond}
	if err := h.read(); err != nil {
		h.refuse(err)
		return nil, err
	}
	for fd := range h.estate.Descriptors {
		unix.CloseOnExec(firstInherited + fd)
	}
	return h, nil
}

// read takes the estate, if it is one that this program understands.
func (h *heir) read() error {
	var text json.RawMessage
	if err := h.hear(readyPatience, &text); err != nil {
		return fmt.Errorf("take over from the running process: %w", err)
	}
	var its struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &its); err != nil {
		return fmt.Errorf("take over from the running process: %w", err)
	}
	if its.Format != handoverFormat {
		return fmt.Errorf("the running process hands over in format %d and this program takes over in format %d: "+
			"`slbctl runtime stop` and `slbctl runtime start` change to it, and cut off what is open", its.Format, handoverFormat)
	}
	if err := json.Unmarshal(text, &h.estate); err != nil {
		return fmt.Errorf("take over from the running process: %w", err)
	}
	return nil
}

// refuse tells the other process why this one cannot take over.
func (h *heir) refuse(err error) {
	_ = h.say(servingPatience, reply{Error: err.Error()}) // it goes on in any case
	h.conn.Close()
}

// takeOver makes this process the daemon, in the steps of handover.go. After an error it
// has touched nothing that is the other one's.
func takeOver(ctx context.Context, dir string, opt Options, h *heir) (err error) {
	path := filepath.Join(dir, control.Folder, pidFile)
	lock := pidLock{os.NewFile(uintptr(h.estate.Lock), path)}
	ctx, shutdown := context.WithCancel(ctx)
	defer shutdown()
	e, err := newEngine(ctx, dir, opt, shutdown)
	if err != nil {
		h.refuse(err)
		return err
	}
	e.lock = lock
	c, err := e.succeedTo(ctx, h)
	if err != nil {
		h.refuse(err)
		e.prober.Close()
		e.fleet.leave()
		return errors.Join(err, e.endDataPath())
	}
	defer lock.unlock()
	defer func() { err = errors.Join(err, e.close()) }()
	e.join(h.bond, h.estate.PID, false)
	e.settle(c)
	return e.run(ctx, func(error) {}) // who has started this one knows
}

// succeedTo prepares everything, and serves when the other process has stopped.
func (e *engine) succeedTo(ctx context.Context, h *heir) (*change, error) {
	if err := e.adoptEstate(h); err != nil {
		return nil, err
	}
	c, err := e.rebuild(ctx, h.estate.Verdicts)
	if err != nil {
		return nil, err
	}
	if err := e.judgeEstate(h, c); err != nil {
		return nil, err
	}
	durable.Failpoint("upgrade-prepared")
	if err := h.say(servingPatience, reply{Ready: true}); err != nil {
		return nil, err
	}
	var b bequest
	if err := h.hear(readyPatience, &b); err != nil {
		return nil, fmt.Errorf("the process to take over from has ended: %w", err)
	}
	durable.Failpoint("upgrade-heard")
	e.tickets.TakeOver(b.Tickets)
	e.bequest = b.Listeners
	if err := e.bringBack(c); err != nil {
		return nil, err
	}
	e.bequest = nil
	if e.names != nil {
		e.names.Resume()
	}
	e.lock.sign()
	durable.Failpoint("upgrade-taken")
	// Whether the other one hears it or not: this one serves, and that one has paused.
	_ = h.say(servingPatience, reply{Serving: true})
	return c, nil
}

// adoptEstate takes what does not depend on the configuration.
func (e *engine) adoptEstate(h *heir) (err error) {
	will := &h.estate
	if e.control, err = control.Adopt(e.slbctl(), control.SocketName, os.NewFile(uintptr(will.Control), control.SocketName)); err != nil {
		return err
	}
	e.inherited = map[place][]int{}
	for _, s := range will.Sockets {
		e.inherited[place{s.UDP, s.Endpoint}] = s.Descriptors
	}
	if will.Names != nil {
		names := dns.New()
		if err := names.Adopt(will.Names.Endpoint, os.NewFile(uintptr(will.Names.UDP), "udp"), os.NewFile(uintptr(will.Names.TCP), "tcp")); err != nil {
			return err
		}
		e.names = names
	}
	if will.Page != nil {
		e.page = e.newPage()
		e.page.Adopt(will.Page.Endpoint, os.NewFile(uintptr(will.Page.Descriptor), "metrics"))
	}
	for _, o := range will.Elders {
		b, err := newBond(os.NewFile(uintptr(o.Descriptor), "bond"))
		if err != nil {
			return err
		}
		e.join(b, o.PID, o.Idle)
	}
	for address, f := range will.Faults {
		e.faults.set(address, &byHand{fault: f.Fault, until: f.Until})
	}
	for _, d := range will.Drains {
		e.drains = append(e.drains, &drain{instances: d.Instances, inherited: d.Until})
	}
	e.fleet.known = will.Secrets
	return nil
}

// judgeEstate says whether this process has all that the other one had.
func (e *engine) judgeEstate(h *heir, c *change) error {
	if g := c.after; g.Generation != h.estate.Generation || g.Hash != h.estate.Hash {
		return fmt.Errorf("the running process serves generation %d, and %s says %d", h.estate.Generation, committedFile, g.Generation)
	}
	var errs []error
	for _, p := range c.problems {
		if !slices.Contains(h.estate.Problems, p) {
			errs = append(errs, errors.New(p))
		}
	}
	return errors.Join(errs...)
}

// adopt makes the sockets of an endpoint this process's.
func (e *engine) adopt(at place, fds []int) (socket, error) {
	delete(e.inherited, at)
	if at.udp {
		return e.balancer.AdoptUDP(at.endpoint, fds)
	}
	return e.balancer.Adopt(at.endpoint, fds)
}

// recall lets a listener go on where it stood in the process before this one.
func (e *engine) recall(l *listener) {
	was, ok := e.bequest[l.spec.Address]
	if !ok {
		return
	}
	l.handler.Recall(was.Record)
	for n, p := range l.spec.Pools() {
		if m, ok := was.Memories[p.Owner]; ok {
			l.states[n].Recall(m, e.balancer.Now())
		}
	}
}

// settle ends the taking over: what the other process had and this one has no use for is
// closed, and what ends by itself is watched.
func (e *engine) settle(c *change) {
	for _, fds := range e.inherited {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	e.inherited = nil
	e.settled(c)
	e.eachSocket(func(k socket) {
		if err := k.Spread(); err != nil {
			e.log.Error("a listener has fewer sockets than there are loops", "error", err)
		}
	})
	for address, h := range e.faults.of {
		if !h.until.IsZero() {
			e.limitFault(address, h, h.until)
		}
	}
	e.mu.Lock()
	elders, drains := slices.Clone(e.elders), slices.Clone(e.drains)
	e.mu.Unlock()
	for _, d := range drains {
		go func() {
			awaitElders(elders, d.until())
			e.finish(d, nil)
		}()
	}
}
