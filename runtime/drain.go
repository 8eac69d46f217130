package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/webserver"
)

// drain is what one apply took out of service: it takes nothing new, finishes
// what it has, and is gone when that has ended or its time is up.
type drain struct {
	backends  []draining
	instances []webserver.Instance
	ended     bool // nothing is open any more: its instances stop
	// inherited is until when a process before this one may be connected to the instances.
	inherited time.Time
}

// newDrain is a drain whose instances say "Connection: close" from the next set on.
func newDrain(backends []draining, instances []webserver.Instance) *drain {
	for i := range instances {
		instances[i].Draining = true
	}
	return &drain{backends: backends, instances: instances}
}

// until is when its time is up.
func (d *drain) until() time.Time {
	end := d.inherited
	for _, b := range d.backends {
		if b.until.After(end) {
			end = b.until
		}
	}
	return end
}

// draining is one server of a listener's pool. Both names are empty for a listener
// that is gone with all its servers.
type draining struct {
	of      *listener
	pool    string // its owner
	backend string
	until   time.Time
	done    <-chan struct{}
}

// over says whether none of its connections is left.
func (b draining) over() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// retire takes out of service what the committed change leaves behind: sockets
// at once, connections and instances when they are drained.
func (e *engine) retire(c *change) {
	e.closeUnused(false)
	e.retireNames(c)
	e.retirePage(c)
	e.probe(c.compiled)
	running := served(instancesOf(c.after))
	e.narrow(running)
	leaving := leavers(c.old, e.listeners, func(a string) string { return cmp.Or(c.req.Renamed[a], a) })
	leaving = append(leaving, e.stepLeavers(c)...)
	d := newDrain(leaving, serving(leaving, without(instancesOf(c.before), running)))
	if len(leaving) > 0 {
		e.begin(d)
	} else {
		e.closeUnused(true)
	}
	// Instances that connections drain to say "Connection: close" from now on; those
	// that none does are stopped.
	if err := e.fleet.set(e.life, e.wanted(c.after)); err != nil {
		e.log.Error("drain instances", "error", err)
	}
	for _, b := range d.backends {
		c.step(control.PhaseDrain, b.of.spec.Address, fmt.Sprintf("%s finishes its connections until %s", orElse(b.backend, "the listener"), b.until.Format(time.TimeOnly)))
	}
}

// closeUnused closes the sockets and access logs that nobody uses any more. The
// answers of UDP sessions leave through the socket that the clients sent to, and what
// drains is logged, so both stay for what drains; and, before it is known what
// drains, all of them.
func (e *engine) closeUnused(drainsKnown bool) {
	served, draining, logs := map[place]bool{}, map[place]bool{}, map[string]bool{}
	use := func(places map[place]bool, l *balance.Listener) {
		places[placeOf(l)] = true
		if l.AccessLog != nil {
			logs[l.AccessLog.Path] = true
		}
	}
	e.mu.Lock()
	for _, l := range e.listeners {
		if l.spec.Serving {
			use(served, l.spec)
		}
	}
	for _, d := range e.drains {
		for _, b := range d.backends {
			use(draining, b.of.spec)
		}
	}
	var unused []place
	for at, socket := range e.sockets {
		switch {
		case served[at]:
		case at.udp && (draining[at] || !drainsKnown):
			socket.Serve(nil)
		default:
			unused = append(unused, at)
		}
	}
	e.mu.Unlock()
	var errs []error
	for _, at := range unused {
		errs = append(errs, e.closeSocket(at))
	}
	var silent []string
	for path := range e.logs {
		if drainsKnown && !logs[path] {
			silent = append(silent, path)
		}
	}
	if err := errors.Join(append(errs, e.closeLogs(silent))...); err != nil {
		e.log.Error("close what is not used any more", "error", err)
	}
}

// serving returns those of the instances that something draining is connected to.
func serving(leaving []draining, instances []webserver.Instance) []webserver.Instance {
	used := map[netip.AddrPort]bool{}
	for _, b := range leaving {
		for _, p := range b.of.spec.Pools() {
			for _, s := range p.Backends {
				if b.backend == "" || b.pool == p.Owner && b.backend == s.Name {
					used[s.Endpoint] = true
				}
			}
		}
	}
	return slices.DeleteFunc(instances, func(i webserver.Instance) bool {
		return !slices.ContainsFunc(i.Endpoints, func(ep netip.AddrPort) bool { return used[ep] })
	})
}

// leavers marks the connections to what one generation of listeners has and the
// next has not, as balance.Leaving has it. follow gives the address in the next one.
func leavers(from, to map[string]*listener, follow func(address string) string) (gone []draining) {
	now := time.Now()
	for _, old := range from {
		until := now.Add(old.spec.Drain)
		all, servers := old.leaving(to[follow(old.spec.Address)])
		if all {
			gone = append(gone, draining{of: old, until: until, done: old.handler.DrainAll(until)})
		}
		for _, b := range servers {
			done := old.handler.Drain(b.Owner, b.Name, b.Endpoint, until)
			gone = append(gone, draining{of: old, pool: b.Owner, backend: b.Name, until: until, done: done})
		}
	}
	return gone
}

// leaving is balance.Leaving for live listeners; next may be nil.
func (l *listener) leaving(next *listener) (all bool, servers []balance.Leaver) {
	if next == nil {
		return balance.Leaving(l.spec, nil)
	}
	return balance.Leaving(l.spec, next.spec)
}

// leaving returns the newest listener at an address and endpoint that drains with all
// its servers, or nil. The caller holds mu.
func (e *engine) leaving(s *balance.Listener) *listener {
	for _, d := range slices.Backward(e.drains) {
		for _, b := range d.backends {
			if old := b.of.spec; b.backend == "" && old.Address == s.Address && old.Endpoint == s.Endpoint && !b.over() {
				return b.of
			}
		}
	}
	return nil
}

// takeBack ends the drain of connections to what these listeners serve again: it came
// back before its time was up.
func (e *engine) takeBack(listeners map[string]*listener) {
	e.mu.Lock()
	drained := map[*listener]bool{}
	for _, d := range e.drains {
		for _, b := range d.backends {
			drained[b.of] = true
		}
	}
	e.mu.Unlock()
	for old := range drained {
		next := listeners[old.spec.Address]
		if next != nil && next.spec.Serving && next.spec.Endpoint == old.spec.Endpoint {
			next.handler.Return(old.handler)
			e.tellElders(order{Owner: old.spec.Address})
		}
	}
}

// narrow leaves in the drains under way what is not back for good: instances that
// do not run again, and the servers that a listener came back without.
func (e *engine) narrow(running map[netip.AddrPort]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.drains {
		d.instances = without(d.instances, running)
		var left []draining
		for _, b := range d.backends {
			all, servers := b.of.leaving(e.listeners[b.of.spec.Address])
			if all || b.backend != "" {
				left = append(left, b)
				continue
			}
			for _, s := range servers {
				left = append(left, draining{of: b.of, pool: s.Owner, backend: s.Name, until: b.until, done: b.done})
			}
		}
		d.backends = left
	}
}

// begin lets a drain run until it is finished.
func (e *engine) begin(d *drain) {
	e.mu.Lock()
	e.drains = append(e.drains, d)
	e.mu.Unlock()
	var ends []<-chan struct{}
	for _, b := range d.backends {
		ends = append(ends, b.done)
		ends = append(ends, e.tellElders(b.order())...)
	}
	go e.finish(d, ends)
}

// finish waits for all that a drain began with, here and in the processes before this one,
// and then stops its instances.
func (e *engine) finish(d *drain, ends []<-chan struct{}) {
	for _, end := range ends {
		<-end
	}
	if e.hold(e.life) != nil {
		return // the daemon ends and all instances with it, or they are a successor's
	}
	defer e.release()
	e.mu.Lock()
	d.ended = true
	e.mu.Unlock()
	if err := e.fleet.set(e.life, e.wanted(e.current())); err != nil {
		e.log.Error("stop drained instances", "error", err)
	}
	e.log.Info("drained", "parts", len(ends))
	e.mu.Lock()
	e.drains = slices.DeleteFunc(e.drains, func(o *drain) bool { return o == d })
	e.broadcast()
	e.mu.Unlock()
	e.closeUnused(true)
}

// WaitDrained implements control.Engine.
func (e *engine) WaitDrained(ctx context.Context, server string) error {
	if server == "" {
		return e.await(ctx, func() bool { return len(e.drains) == 0 })
	}
	for _, done := range e.drainsOf(server) {
		select {
		case <-done:
		case <-e.moved:
			return errMoved
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// drainsOf returns when what drains from a server will have ended. A listener that goes
// with all its servers drains from each of them.
func (e *engine) drainsOf(server string) (ends []<-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.drains {
		for _, b := range d.backends {
			for _, p := range b.of.spec.Pools() {
				for i := range p.Backends {
					its := b.backend == "" || b.pool == p.Owner && b.backend == p.Backends[i].Name
					if its && p.Backends[i].Named(p.Group, server) {
						ends = append(ends, b.done)
					}
				}
			}
		}
	}
	return ends
}

// retireNames ends the name server that the change has replaced or made
// superfluous.
func (e *engine) retireNames(c *change) {
	e.mu.Lock()
	old := e.names
	switch {
	case c.names != nil:
		e.names = c.names
	case len(c.req.Config.DNSZones) == 0:
		e.names = nil
	default:
		old = nil
	}
	e.mu.Unlock()
	if old != nil {
		if err := old.Close(); err != nil {
			e.log.Error("close the old name server", "error", err)
		}
	}
}

// open counts the connections that have not ended.
func (b draining) open() int64 {
	if b.backend != "" {
		return b.of.handler.Active(b.pool, b.backend)
	}
	return b.of.handler.Counters().Connections
}
