package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/health"
)

// startProbes probes old and new servers side by side, so that there is a verdict
// on each new one before traffic depends on it.
func (e *engine) startProbes(c *change) {
	e.mu.Lock()
	for _, l := range c.compiled {
		for i := range probed(l) {
			if t := targetOf(l, i); e.verdicts[t].Health == balance.Abnormal {
				c.sick[t] = true
			}
		}
	}
	e.mu.Unlock()
	e.probe(c.compiled, specsOf(c.old))
}

// convince waits until the new generation is well, before anything is sent its way.
// An apply that does not wait, and a daemon that comes back, give it a moment.
func (e *engine) convince(ctx context.Context, c *change) error {
	if c.lenient || c.req.Wait == control.WaitNone {
		short, cancel := context.WithTimeout(ctx, shortPatience)
		defer cancel()
		_ = e.judge(short, c)
		return nil
	}
	if err := e.judge(ctx, c); err != nil {
		return err
	}
	e.awaitForeign(ctx, c)
	return nil
}

// awaitForeign gives the new servers that are not ours the time of one probe, so
// that those that are well serve from the first connection on.
func (e *engine) awaitForeign(ctx context.Context, c *change) {
	var foreign []target
	var patience time.Duration
	for _, l := range c.compiled {
		for i, b := range probed(l) {
			if b.Instance == "" {
				foreign = append(foreign, targetOf(l, i))
				patience = max(patience, l.Check.Timeout)
			}
		}
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = e.await(short, func() bool {
		return !slices.ContainsFunc(foreign, func(t target) bool { return e.verdicts[t].Health == balance.Unavailable })
	})
}

// probed returns the backends of a listener that health checks look at.
func probed(l *balance.Listener) []balance.Backend {
	if !l.Serving || !l.Check.Enabled {
		return nil
	}
	return l.Backends
}

// probe makes the prober probe the servers of these listeners, and forgets the
// verdicts on all others.
func (e *engine) probe(generations ...[]*balance.Listener) {
	var targets []health.Target
	seen := map[target]bool{}
	for _, ls := range generations {
		for _, l := range ls {
			for i := range probed(l) {
				if t := targetOf(l, i); !seen[t] {
					seen[t] = true
					targets = append(targets, health.Target{Listener: t.listener, Backend: t.backend, Endpoint: t.endpoint, Check: l.Check})
				}
			}
		}
	}
	e.mu.Lock()
	e.probed = seen
	for t := range e.verdicts {
		if !seen[t] {
			delete(e.verdicts, t)
		}
	}
	e.mu.Unlock()
	e.prober.Set(targets)
}

// judge waits until every server of ours is well and every listener that had a
// well server has one, or until that is hopeless; the error says what is not well.
func (e *engine) judge(ctx context.Context, c *change) error {
	var failed error
	err := e.await(ctx, func() bool {
		failed = nil
		for _, l := range c.compiled {
			ill, hopeless := e.ill(c, l)
			if len(ill) == 0 {
				continue
			}
			failed = fmt.Errorf("%s: %s", l.Address, strings.Join(ill, "; "))
			if hopeless {
				return true
			}
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// ill lists what is wrong with a listener's servers; hopeless is true when a
// server got ill under this change, so that waiting longer is in vain. The
// caller holds mu.
func (e *engine) ill(c *change, l *balance.Listener) (reasons []string, hopeless bool) {
	well, undecided := 0, 0
	for i, b := range probed(l) {
		t := targetOf(l, i)
		ev := e.verdicts[t]
		switch ev.Health {
		case balance.Normal:
			well++
			continue
		case balance.Unavailable:
			undecided++
		}
		if b.Instance == "" || !c.meantToRun(b.Instance) {
			continue
		}
		reasons = append(reasons, fmt.Sprintf("%s is %s (%s)", b.Name, ev.Health, orElse(ev.Reason, "no answer yet")))
		hopeless = hopeless || ev.Health == balance.Abnormal && !c.sick[t]
	}
	if old := c.old[l.Address]; well == 0 && old != nil && len(probed(l)) > 0 && e.hadWell(old) {
		reasons = append(reasons, "it had a well server and would have none")
		hopeless = hopeless || undecided == 0
	}
	return reasons, hopeless
}

func (e *engine) hadWell(l *listener) bool {
	for i := range probed(l.spec) {
		if e.verdicts[targetOf(l.spec, i)].Health == balance.Normal {
			return true
		}
	}
	return false
}

// report tells how the servers are. A foreign server that is down is told, and stays.
func (e *engine) report(c *change) {
	var events []control.Event
	e.mu.Lock()
	for _, l := range c.compiled {
		for i, b := range probed(l) {
			ev := e.verdicts[targetOf(l, i)]
			message := fmt.Sprintf("%s is %s", b.Name, ev.Health)
			if ev.Health != balance.Normal {
				message = "warning: " + message + " (" + orElse(ev.Reason, "no answer yet") + ")"
			}
			events = append(events, control.Event{Phase: control.PhaseVerify, Address: l.Address, Message: message})
		}
	}
	e.mu.Unlock()
	for _, ev := range events { // a slow reader must not hold up verdicts
		c.emit(ev)
	}
}
