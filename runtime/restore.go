package runtime

import (
	"context"
	"net/netip"
	"path/filepath"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
)

// shortPatience bounds how long one waits for first verdicts who does not insist on
// them: servers that are well answer within milliseconds.
const shortPatience = time.Second

// restore brings back the last committed generation, as far as it can be had: what
// is missing is in status and in the log, and the next apply makes it whole.
// Connections that arrive before the servers have proved well wait in the sockets'
// queues.
func (e *engine) restore(ctx context.Context) error {
	saved, err := readCommitted(durable.OS, e.dir)
	if err != nil {
		return err
	}
	if err := e.fleet.adopt(ctx); err != nil {
		return err
	}
	if err := durable.RemoveTemps(durable.OS, filepath.Join(e.slbctl(), overridesFile)); err != nil {
		return err
	}
	if e.drained, err = Drained(e.dir); err != nil {
		// Rather too many servers than none that can be drained anew.
		e.log.Error("restore", "problem", err)
	}
	if saved.Generation == 0 {
		return e.fleet.set(ctx, nil) // what an adopted child serves is nobody's
	}
	e.prober.Restore(readVerdicts(e.dir))
	c := &change{
		before: e.live, after: saved, old: map[string]*listener{}, sick: map[netip.AddrPort]bool{}, lenient: true,
		req:  control.Request{Generation: saved.Generation, Config: saved.Config},
		emit: func(ev control.Event) { e.log.Info("restore", "address", ev.Address, "step", ev.Message) },
	}
	if err := e.prepare(ctx, c); err != nil {
		return err
	}
	if err := e.convince(ctx, c); err != nil {
		return err
	}
	if err := e.commit(c); err != nil {
		return err
	}
	for _, p := range c.problems {
		e.log.Error("restore", "problem", p)
	}
	e.mu.Lock()
	e.live, e.problems = saved, c.problems
	e.mu.Unlock()
	e.settleSecurity(c.security)
	e.retireNames(c)
	return nil
}
