package runtime

import (
	"context"
	"net/netip"
	"path/filepath"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/health"
)

// shortPatience bounds how long one waits for first verdicts who does not insist on
// them: servers that are well answer within milliseconds.
const shortPatience = time.Second

// restore brings back the last committed generation, as far as it can be had: what
// is missing is in status and in the log, and the next apply makes it whole.
// Connections that arrive before the servers have proved well wait in the sockets'
// queues.
func (e *engine) restore(ctx context.Context) error {
	c, err := e.rebuild(ctx, readVerdicts(e.dir))
	if err != nil {
		return err
	}
	if err := e.bringBack(c); err != nil {
		return err
	}
	e.settled(c)
	return nil
}

// bringBack has what was rebuilt serve.
func (e *engine) bringBack(c *change) error {
	if c.after.Generation == 0 {
		return nil
	}
	return e.commit(c)
}

// rebuild prepares the last committed generation, with what was known of its servers. It
// brings back nothing where there is none.
func (e *engine) rebuild(ctx context.Context, known []health.Event) (*change, error) {
	saved, err := readCommitted(durable.OS, e.dir)
	if err != nil {
		return nil, err
	}
	if err := e.fleet.adopt(ctx); err != nil {
		return nil, err
	}
	if err := durable.RemoveTemps(durable.OS, filepath.Join(e.slbctl(), overridesFile)); err != nil {
		return nil, err
	}
	if e.drained, err = Drained(e.dir); err != nil {
		// Rather too many servers than none that can be drained anew.
		e.log.Error("restore", "problem", err)
	}
	c := &change{
		before: e.live, after: saved, old: map[string]*listener{}, sick: map[netip.AddrPort]bool{}, lenient: true,
		req:  control.Request{Generation: saved.Generation, Config: saved.Config},
		emit: func(ev control.Event) { e.log.Info("restore", "address", ev.Address, "step", ev.Message) },
	}
	if saved.Generation == 0 {
		return c, e.fleet.set(ctx, e.wanted(saved)) // what else an adopted child serves is nobody's
	}
	e.prober.Restore(known)
	if err := e.prepare(ctx, c); err != nil {
		return nil, err
	}
	return c, e.convince(ctx, c)
}

// settled makes what was rebuilt the live generation, once it has taken over.
func (e *engine) settled(c *change) {
	if c.after.Generation == 0 {
		return
	}
	for _, p := range c.problems {
		e.log.Error("restore", "problem", p)
	}
	e.mu.Lock()
	e.live, e.problems = c.after, c.problems
	e.mu.Unlock()
	e.settleSecurity(c.security)
	e.retireNames(c)
	e.retirePage(c)
}
