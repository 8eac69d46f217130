package runtime

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/health"
	"slbctl/runtime/webserver"
)

// startProbes probes old and new servers side by side, so that there is a verdict
// on each new one before traffic depends on it.
func (e *engine) startProbes(c *change) {
	e.mu.Lock()
	for t, ev := range e.verdicts {
		if ev.Health == balance.Abnormal {
			c.sick[t.endpoint] = true
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
		for t := range probed(l) {
			if t.Instance == "" {
				foreign = append(foreign, t.target)
				patience = max(patience, t.pool.Check.Timeout)
			}
		}
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = e.await(short, func() bool {
		return !slices.ContainsFunc(foreign, func(t target) bool { return e.verdicts[t].Health == balance.Unavailable })
	})
}

// awaitStopped gives the checks the time to notice the instances that have been
// stopped, so that no status after the apply calls one of them well, and no connection
// tries it in vain. It is no failure when they do not.
func (e *engine) awaitStopped(c *change) {
	ctx, cancel := context.WithTimeout(e.life, stopPatience)
	defer cancel()
	_ = e.await(ctx, func() bool {
		for _, l := range c.compiled {
			for t := range probed(l) {
				if e.verdicts[t.target].Health == balance.Normal && c.stopped(t.Backend) && !e.finishing(t.Instance) {
					return false
				}
			}
		}
		return true
	})
}

// finishing says whether an instance that is to stop serves its last connections. The
// caller holds mu.
func (e *engine) finishing(instance string) bool {
	return slices.ContainsFunc(e.drains, func(d *drain) bool {
		return slices.ContainsFunc(d.instances, func(i webserver.Instance) bool { return i.Address == instance })
	})
}

// checked is a server that health checks look at.
type checked struct {
	target
	balance.Backend
	pool *balance.Pool
}

// probed yields the servers of a listener and its rules that are health-checked.
func probed(l *balance.Listener) iter.Seq[checked] {
	return func(yield func(checked) bool) {
		if !l.Serving {
			return
		}
		for _, p := range l.Pools() {
			for i, b := range p.Backends {
				if p.Probed(i) && !yield(checked{targetOf(p, i), b, p}) {
					return
				}
			}
		}
	}
}

// probe makes the prober probe the servers of these listeners, and forgets the
// verdicts on all others.
func (e *engine) probe(generations ...[]*balance.Listener) {
	var targets []health.Target
	seen := map[target]bool{}
	for _, ls := range generations {
		for _, l := range ls {
			for t := range probed(l) {
				if !seen[t.target] {
					seen[t.target] = true
					check := t.pool.Check
					check.H2C = t.H2C
					targets = append(targets, health.Target{Listener: t.owner, Backend: t.backend, Endpoint: t.target.endpoint, Check: check, Group: t.pool.Group})
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
	all, well, undecided := 0, 0, 0
	for t := range probed(l) {
		all++
		ev := e.verdicts[t.target]
		switch ev.Health {
		case balance.Normal:
			well++
			continue
		case balance.Unavailable:
			undecided++
		}
		if t.Instance == "" || c.stopped(t.Backend) || c.mends(t) {
			continue
		}
		reason := fmt.Sprintf("%s is %s (%s)", t.Name, ev.Health, orElse(ev.Reason, "no answer yet"))
		if !slices.Contains(reasons, reason) { // a server may be in several pools
			reasons = append(reasons, reason)
		}
		hopeless = hopeless || ev.Health == balance.Abnormal && !c.sick[t.endpoint]
	}
	if old := c.old[was(c.req.Renamed, l.Address)]; well == 0 && old != nil && all > 0 && e.hadWell(old) {
		reasons = append(reasons, "it had a well server and would have none")
		hopeless = hopeless || undecided == 0
	}
	return reasons, hopeless
}

// mends says that a server is ill as it was before, and is an instance that this change
// makes anew: it can get well only after the commit, and is judged then.
func (c *change) mends(t checked) bool { return !c.done && c.sick[t.endpoint] && c.renewed[t.Instance] }

func (e *engine) hadWell(l *listener) bool {
	for t := range probed(l.spec) {
		if e.verdicts[t.target].Health == balance.Normal {
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
		for t := range probed(l) {
			if c.stopped(t.Backend) {
				continue // it serves until the change is final
			}
			ev := e.verdicts[t.target]
			message := fmt.Sprintf("%s is %s", t.Name, ev.Health)
			if ev.Health != balance.Normal {
				message = "warning: " + message + " (" + orElse(ev.Reason, "no answer yet") + ")"
			}
			events = append(events, control.Event{Phase: control.PhaseVerify, Address: t.owner, Message: message})
		}
	}
	e.mu.Unlock()
	for _, ev := range events { // a slow reader must not hold up verdicts
		c.emit(ev)
	}
}
