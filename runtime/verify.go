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

// settle probes old and new servers side by side until there is a verdict on
// each new one. Servers of ours have until the apply's timeout; a foreign one
// that does not answer holds nothing up for longer than one probe.
func (e *engine) settle(ctx context.Context, c *change) {
	fresh, foreign := []target{}, time.Duration(0)
	e.mu.Lock()
	for _, l := range c.compiled {
		for i := range probed(l) {
			t := targetOf(l, i)
			switch e.verdicts[t].Health {
			case balance.Abnormal:
				c.sick[t] = true
			case balance.Unavailable:
				if l.Backends[i].Instance == "" {
					foreign = max(foreign, l.Check.Timeout)
				} else if c.meantToRun(l.Backends[i].Instance) {
					fresh = append(fresh, t)
				}
			}
		}
	}
	e.mu.Unlock()
	e.probe(c.compiled, specsOf(c.old))

	known := func(ts []target) func() bool {
		return func() bool {
			return !slices.ContainsFunc(ts, func(t target) bool { return e.verdicts[t].Health == balance.Unavailable })
		}
	}
	// A verdict that does not come is verify's to judge, with the reason.
	_ = e.await(ctx, known(fresh))
	if foreign > 0 {
		short, cancel := context.WithTimeout(ctx, foreign)
		defer cancel()
		_ = e.await(short, known(e.foreignTargets(c.compiled)))
	}
}

func (e *engine) foreignTargets(ls []*balance.Listener) (ts []target) {
	for _, l := range ls {
		for i := range probed(l) {
			if l.Backends[i].Instance == "" {
				ts = append(ts, targetOf(l, i))
			}
		}
	}
	return ts
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
	e.prober.Set(targets)
	e.mu.Lock()
	defer e.mu.Unlock()
	for t := range e.verdicts {
		if !seen[t] {
			delete(e.verdicts, t)
		}
	}
}

// verify waits until every server of ours is well and every listener that had a
// well server has one. A foreign server that is down is told, and stays.
func (e *engine) verify(ctx context.Context, c *change) error {
	var failed error
	err := e.await(ctx, func() bool {
		waiting := false
		for _, l := range c.compiled {
			ill, hopeless := e.ill(c, l)
			if len(ill) > 0 {
				waiting = true
				failed = fmt.Errorf("%s: %s", l.Address, strings.Join(ill, "; "))
				if hopeless {
					return true
				}
			}
		}
		if !waiting {
			failed = nil
		}
		return !waiting
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	e.report(c)
	return nil
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

// report tells how the servers are after verify.
func (e *engine) report(c *change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range c.compiled {
		for i, b := range probed(l) {
			ev := e.verdicts[targetOf(l, i)]
			message := fmt.Sprintf("%s is %s", b.Name, ev.Health)
			if ev.Health != balance.Normal {
				message = "warning: " + message + " (" + orElse(ev.Reason, "no answer yet") + ")"
			}
			c.step(control.PhaseVerify, l.Address, message)
		}
	}
}
