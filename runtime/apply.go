package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/dns"
	"slbctl/runtime/durable"
	"slbctl/runtime/metrics"
	"slbctl/runtime/proxy"
	"slbctl/spec"
)

// change is one apply under way: what it goes from and to, and what it has made
// so far, so that it can be withdrawn.
type change struct {
	req    control.Request
	before committed
	after  committed
	emit   func(control.Event)

	compiled []*balance.Listener
	zones    *dns.Zones
	old      map[string]*listener      // the live ones before
	quotas   map[string]*balance.Quota // likewise
	bound    []place                   // sockets that this change has bound
	opened   []string                  // access logs that this change has opened
	names    *dns.Server               // a name server that this change has started
	page     *metrics.Page             // likewise, of /metrics
	sick     map[netip.AddrPort]bool   // was abnormal before, also under another name: may take its time
	renewed  map[string]bool           // instances that answer otherwise from the commit on
	done     bool                      // the commit
	next     map[string]*listener      // the new ones, from the first step or commit on
	stepped  map[string]*listener      // those of the last step of a canary

	// lenient is a daemon that comes back: what it cannot have it goes without,
	// so that a port somebody else took stops neither the rest nor the next apply.
	lenient  bool
	back     bool     // it ends an attempt: what it goes to is written down already
	drained  []string // by hand, under old and new addresses
	problems []string
	security *security
}

// Apply implements control.Engine. Up to commit nothing that serves is touched;
// up to the end of verify nothing old is stopped, so that a failure is one more
// swap back.
func (e *engine) Apply(ctx context.Context, req control.Request, emit func(control.Event)) error {
	if err := e.replace(ctx, req, emit); err != nil {
		return err
	}
	if req.Wait == control.WaitDrained {
		return e.WaitDrained(ctx, "")
	}
	return nil
}

// replace makes one generation follow the other and starts the drain of what is
// left behind.
func (e *engine) replace(ctx context.Context, req control.Request, emit func(control.Event)) error {
	if err := e.hold(ctx); err != nil {
		return err
	}
	defer e.release()
	if err := e.tried(); err != nil {
		return err
	}
	before := e.current()
	if req.Base != before.Generation {
		return &control.Error{Code: control.CodeStale, Message: fmt.Sprintf(
			"the change was planned on generation %d, but generation %d is live: plan again", req.Base, before.Generation)}
	}
	if req.Try > 0 {
		if err := e.mayTry(req); err != nil {
			return err
		}
	}
	c := e.newChange(req, newCommitted(control.Generation{Generation: req.Generation, Hash: req.Hash}, req.Config), emit)
	if req.OnlyNames {
		for address := range before.Stopped {
			c.after = c.after.withStopped(cmp.Or(req.Renamed[address], address), true)
		}
	}
	e.log.Info("apply", "generation", req.Generation, "base", req.Base)
	if err := e.carryOut(ctx, c); err != nil {
		e.log.Error("apply withdrawn", "generation", req.Generation, "error", err)
		return err
	}
	e.log.Info("apply committed", "generation", req.Generation, "tried", req.Try.String())
	if req.Try > 0 {
		e.try(c)
		e.trySecurity(c.security)
	} else {
		e.settleSecurity(c.security)
	}
	e.retire(c)
	if req.Wait != control.WaitNone {
		e.awaitStopped(c)
	}
	return nil
}

// newChange begins a change from what is live.
func (e *engine) newChange(req control.Request, after committed, emit func(control.Event)) *change {
	return &change{req: req, before: e.current(), after: after, emit: emit, old: e.listeners, sick: map[netip.AddrPort]bool{}}
}

// carryOut prepares, commits and verifies; on an error everything is as before.
func (e *engine) carryOut(ctx context.Context, c *change) error {
	life, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	ctx, cancel = context.WithTimeout(life, c.req.Timeout)
	defer cancel()
	if err := e.prepare(ctx, c); err != nil {
		return refusal(control.CodeRefused, err, e.withdraw(c))
	}
	if err := e.convince(ctx, c); err != nil {
		return refusal(control.CodeVerify, err, e.withdraw(c))
	}
	durable.Failpoint("prepared")
	if len(c.req.Canary) > 0 {
		if err := e.canary(life, c); err != nil {
			return refusal(control.CodeVerify, err, e.rollback(c))
		}
		ctx, cancel = context.WithTimeout(life, c.req.Timeout) // the steps have had their own time
		defer cancel()
	}
	err := e.commit(c)
	code := control.CodeRefused
	if err == nil && c.req.Wait != control.WaitNone {
		if err, code = e.judge(ctx, c), control.CodeVerify; err == nil {
			e.report(c)
			err = e.meet(ctx, c)
		}
	}
	durable.Failpoint("verified")
	if err == nil && c.req.Try == 0 && !c.back {
		err, code = persist(durable.OS, e.dir, c.before, c.after), control.CodeRefused
	}
	if err != nil {
		return refusal(code, err, e.rollback(c))
	}
	e.mu.Lock()
	e.live, e.problems, e.drained = c.after, nil, c.drained
	if c.req.Try == 0 {
		e.faults.keep(c.after.Config.Instances)
	}
	e.mu.Unlock()
	durable.Failpoint("committed")
	e.forgetOldNames(c.req.Renamed)
	e.renameAside(c.req.Renamed)
	return nil
}

// persist makes the new generation the one that the daemon comes back with. When
// that fails half way, the old one is put back.
func persist(fsys durable.FS, dir string, before, after committed) error {
	err := writeCommitted(fsys, dir, after)
	if err == nil || before.Generation == 0 {
		return err
	}
	if now, lookErr := lookAtCommitted(fsys, dir); lookErr == nil && now.Generation == before.Generation {
		return err // it was never put in place, so that a full disk says so once
	}
	return errors.Join(err, writeCommitted(fsys, dir, before))
}

func refusal(code string, err, undo error) error {
	return &control.Error{Code: code, Message: errors.Join(err, undo).Error()}
}

// prepare makes everything that the new generation needs beside what serves now:
// tables, instances, sockets, and verdicts on the servers that are new.
func (e *engine) prepare(ctx context.Context, c *change) (err error) {
	if c.compiled, err = balance.Compile(c.req.Config); err != nil {
		return err
	}
	if c.drained, err = e.renameDrained(c.req.Renamed); err != nil {
		return err
	}
	balance.Drained(c.compiled, e.out(c.drained, c.req.Renamed))
	if c.zones, err = dns.Compile(c.req.Config.DNSZones); err != nil {
		return err
	}
	if e.balancer == nil {
		balancer, err := proxy.New(proxy.Options{Loops: c.req.Config.Runtime.Loops})
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.balancer = balancer
		e.mu.Unlock()
	} else if loops := c.req.Config.Runtime.Loops; loops != c.before.Config.Runtime.Loops {
		c.step(control.PhasePrepare, "", "warning: the number of loops changes when the runtime is started anew")
	}
	if err := e.secure(c); err != nil {
		return err
	}
	if err := e.startInstances(ctx, c); err != nil {
		return err
	}
	if err := e.bind(c); err != nil {
		return err
	}
	if err := e.bindNames(c); err != nil {
		return err
	}
	if err := e.bindPage(c); err != nil {
		return err
	}
	if err := e.openLogs(c); err != nil {
		return err
	}
	e.startProbes(c)
	return nil
}

// startInstances adds the new instances to those that run. On an endpoint that
// both have the old one answers until commit.
func (e *engine) startInstances(ctx context.Context, c *change) error {
	running := e.wanted(c.before)
	added := without(instancesOf(c.after), served(running))
	c.renewed = renewed(instancesOf(c.before), instancesOf(c.after))
	if c.lenient {
		c.problems = append(c.problems, e.fleet.setMost(ctx, append(running, added...))...)
		return nil
	}
	if err := e.fleet.set(ctx, append(running, added...)); err != nil {
		return err
	}
	for _, i := range added {
		for _, ep := range i.Endpoints {
			c.step(control.PhasePrepare, i.Address, "serves on "+ep.String())
		}
	}
	return nil
}

// bind binds the sockets that are not there yet. They queue connections until
// commit gives them a handler.
func (e *engine) bind(c *change) error {
	for _, l := range c.compiled {
		at := placeOf(l)
		if !l.Serving || e.sockets[at] != nil {
			continue
		}
		socket, err := e.listen(at)
		if err != nil {
			if err = fmt.Errorf("%s: %w", l.Address, err); !c.lenient {
				return err
			}
			c.problems = append(c.problems, err.Error())
			continue
		}
		e.mu.Lock()
		e.sockets[at] = socket
		e.mu.Unlock()
		c.bound = append(c.bound, at)
		c.step(control.PhasePrepare, l.Address, "listens on "+l.Endpoint.String())
	}
	return nil
}

func (e *engine) listen(at place) (socket, error) {
	if fds := e.inherited[at]; fds != nil {
		return e.adopt(at, fds)
	}
	if at.udp {
		return e.balancer.BindUDP(at.endpoint)
	}
	return e.balancer.Bind(at.endpoint)
}

// bindNames starts a name server when the one that runs is at another address.
func (e *engine) bindNames(c *change) error {
	want := c.req.Config.Runtime.DNSEndpoint()
	if len(c.req.Config.DNSZones) == 0 || e.names != nil && e.names.Addr() == want {
		return nil
	}
	names := dns.New()
	if err := names.Listen(want); err != nil {
		if err = fmt.Errorf("name server: %w", errors.Join(err, names.Close())); !c.lenient {
			return err
		}
		c.problems = append(c.problems, err.Error())
		return nil
	}
	c.names = names
	c.step(control.PhasePrepare, "", "the name server listens on "+want.String())
	return nil
}

// commit swaps: the handlers of all sockets, then the names, then what the
// instances answer.
func (e *engine) commit(c *change) error {
	e.swap(c, c.compiled)
	if names := e.nameServer(c); names != nil {
		names.Serve(c.zones)
	}
	c.step(control.PhaseCommit, "", fmt.Sprintf("generation %d takes over", c.req.Generation))
	c.done = true
	if c.lenient {
		return nil // they serve what they should since prepare
	}
	// The time that servers had to get well may be up; this step has its own.
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	wanted := instancesOf(c.after)
	return e.fleet.set(ctx, append(wanted, without(e.wanted(c.before), served(wanted))...))
}

// swap makes listeners live that were compiled for a change: a step of it, or the last.
func (e *engine) swap(c *change, specs []*balance.Listener) {
	next := make(map[string]*listener, len(specs))
	e.mu.Lock()
	if c.next == nil {
		c.quotas = e.quotas
	}
	e.quotas = balance.NewQuotas(specs, e.quotas)
	for _, s := range specs {
		prev, renamed := c.next[s.Address], map[string]string(nil)
		if c.next == nil {
			prev, renamed = c.old[was(c.req.Renamed, s.Address)], c.req.Renamed
		}
		l := e.succeed(s, prev, c.security.configs[s.Address], renamed)
		e.retable(l)
		next[s.Address] = l
	}
	c.next = next
	e.serve(next)
	e.mu.Unlock()
	e.takeBack(next)
}

// nameServer is the one that this change goes to.
func (e *engine) nameServer(c *change) *dns.Server {
	if c.names != nil {
		return c.names
	}
	return e.names
}

// rollback is one more swap, back to what was live.
func (e *engine) rollback(c *change) error {
	e.mu.Lock()
	if c.next != nil {
		e.quotas = c.quotas
	}
	for _, l := range c.old {
		e.retable(l)
	}
	e.serve(c.old)
	e.mu.Unlock()
	var err error
	if c.names == nil && e.names != nil {
		var zones *dns.Zones
		if zones, err = dns.Compile(c.before.Config.DNSZones); err == nil {
			e.names.Serve(zones)
		}
	}
	// What reached servers that go again may finish, as if it had been drained.
	back := func(address string) string { return was(c.req.Renamed, address) }
	if gone := leavers(c.next, c.old, back); len(gone) > 0 {
		e.begin(newDrain(gone, serving(gone, without(instancesOf(c.after), served(instancesOf(c.before))))))
	}
	return errors.Join(err, e.withdraw(c))
}

// withdraw stops what the change has started.
func (e *engine) withdraw(c *change) error {
	var errs []error
	for _, at := range c.bound {
		errs = append(errs, e.closeSocket(at))
	}
	errs = append(errs, e.closeLogs(c.opened))
	if c.names != nil {
		errs = append(errs, c.names.Close())
	}
	if c.page != nil {
		errs = append(errs, c.page.Close())
	}
	e.probe(specsOf(c.old))
	// The apply's own time may be up; giving back must not fail for that.
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	return errors.Join(append(errs, e.fleet.set(ctx, e.wanted(c.before)))...)
}

func (e *engine) closeSocket(at place) error {
	e.mu.Lock()
	socket := e.sockets[at]
	delete(e.sockets, at)
	e.mu.Unlock()
	return socket.Close()
}

func specsOf(listeners map[string]*listener) []*balance.Listener {
	specs := make([]*balance.Listener, 0, len(listeners))
	for _, l := range listeners {
		specs = append(specs, l.spec)
	}
	return specs
}

// stopped says whether a backend is an instance of ours that is meant to be stopped.
func (c *change) stopped(b balance.Backend) bool {
	i := c.after.Config.Instance(b.Instance)
	return i != nil && i.Status == spec.StatusStopped
}

func (c *change) step(phase, address, message string) {
	c.emit(control.Event{Phase: phase, Address: address, Message: message})
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
