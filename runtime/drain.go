package runtime

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/proxy"
	"slbctl/runtime/webserver"
)

// drain is what one apply took out of service: it takes nothing new, finishes
// what it has, and is gone when that has ended or its time is up.
type drain struct {
	backends  []draining
	instances []webserver.Instance
	ended     bool // nothing is open any more: its instances stop
}

// draining is one backend of one listener. Its name is empty for a listener that
// is gone with all its backends.
type draining struct {
	handler  *proxy.Handler
	listener string
	backend  string
	until    time.Time
	done     <-chan struct{}
}

// retire takes out of service what the committed change leaves behind: sockets
// at once, connections and instances when they are drained.
func (e *engine) retire(c *change) {
	e.closeUnused(c)
	e.retireNames(c)
	e.probe(c.compiled)
	d := &drain{
		backends:  leavers(c.old, e.listeners),
		instances: without(instancesOf(c.before), served(instancesOf(c.after))),
	}
	if len(d.backends)+len(d.instances) == 0 {
		return
	}
	for i := range d.instances {
		d.instances[i].Draining = true
	}
	e.begin(d)
	// Their instances say "Connection: close" from now on.
	if err := e.fleet.set(e.life, e.wanted(c.after)); err != nil {
		e.log.Error("drain instances", "error", err)
	}
	for _, b := range d.backends {
		c.step(control.PhaseDrain, b.listener, fmt.Sprintf("%s finishes its connections until %s", orElse(b.backend, "the listener"), b.until.Format(time.TimeOnly)))
	}
}

// closeUnused closes the sockets that no listener serves on any more.
func (e *engine) closeUnused(c *change) {
	used := map[netip.AddrPort]bool{}
	for _, l := range c.compiled {
		used[l.Endpoint] = used[l.Endpoint] || l.Serving
	}
	for ep := range maps.Clone(e.sockets) {
		if used[ep] {
			continue
		}
		if err := e.closeSocket(ep); err != nil {
			e.log.Error("close socket", "endpoint", ep, "error", err)
		}
	}
}

// leavers marks the connections to what one generation of listeners has and the
// next has not: a backend that left its listener or moved to another endpoint, and
// all of a listener that serves no more.
func leavers(from, to map[string]*listener) (gone []draining) {
	now := time.Now()
	for _, old := range from {
		if !old.spec.Serving {
			continue
		}
		until := now.Add(old.spec.Drain)
		next := to[old.spec.Address]
		if next == nil || !next.spec.Serving {
			done := old.handler.DrainAll(until)
			gone = append(gone, draining{old.handler, old.spec.Address, "", until, done})
			continue
		}
		for _, b := range old.spec.Backends {
			stays := func(n balance.Backend) bool { return n.Endpoint == b.Endpoint }
			if !slices.ContainsFunc(next.spec.Backends, stays) {
				done := old.handler.Drain(b.Name, b.Endpoint, until)
				gone = append(gone, draining{old.handler, old.spec.Address, b.Name, until, done})
			}
		}
	}
	return gone
}

// begin lets a drain run until it is finished.
func (e *engine) begin(d *drain) {
	e.mu.Lock()
	e.drains = append(e.drains, d)
	e.mu.Unlock()
	go e.finish(d)
}

// finish waits for a drain and then stops its instances.
func (e *engine) finish(d *drain) {
	for _, b := range d.backends {
		<-b.done
	}
	if e.hold(e.life) != nil {
		return // the daemon ends, and all instances with it
	}
	defer e.release()
	e.mu.Lock()
	d.ended = true
	e.mu.Unlock()
	if err := e.fleet.set(e.life, e.wanted(e.current())); err != nil {
		e.log.Error("stop drained instances", "error", err)
	}
	e.log.Info("drained", "backends", len(d.backends), "instances", len(d.instances))
	e.mu.Lock()
	e.drains = slices.DeleteFunc(e.drains, func(o *drain) bool { return o == d })
	e.broadcast()
	e.mu.Unlock()
}

// WaitDrained implements control.Engine.
func (e *engine) WaitDrained(ctx context.Context) error {
	return e.await(ctx, func() bool { return len(e.drains) == 0 })
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
		return b.handler.Active(b.backend)
	}
	return b.handler.Counters().Connections
}
