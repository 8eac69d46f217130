package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/proxy"
)

// canaryLook is how often a step looks at its counters; verdicts wake it besides.
const canaryLook = 100 * time.Millisecond

// canary moves the traffic of a prepared change in the steps that were asked for, and
// watches each. An error says in which of them what was seen: then the change is to be
// rolled back. No step is written down, so a daemon that dies here comes back with what
// it ran before.
func (e *engine) canary(ctx context.Context, c *change) error {
	for _, percent := range c.req.Canary {
		step, err := e.step(c, percent)
		if err != nil {
			return err
		}
		if len(step.pools) == 0 {
			return nil
		}
		durable.Failpoint("canary")
		c.step(control.PhaseCanary, "", fmt.Sprintf("%d%% of the traffic that moves has moved, and is watched for %s", percent, c.req.CanaryPause))
		if err := e.watch(ctx, c, step); err != nil {
			return fmt.Errorf("the canary's step of %d%%: %w", percent, err)
		}
		e.tellStep(c, step)
	}
	return nil
}

// canaryStep is one step under way.
type canaryStep struct {
	pools []*canaryPool
}

// canaryPool is a pool whose traffic a step moves, and what its servers had counted when
// the step began, by index in its Backends.
type canaryPool struct {
	*balance.Pool
	live  *listener
	gains []bool
	base  []balance.Tries
}

// step makes a step live.
func (e *engine) step(c *change, percent int) (*canaryStep, error) {
	was := func(address string) string { return was(c.req.Renamed, address) }
	specs := make([]*balance.Listener, len(c.compiled))
	canaries := make([]balance.Canary, len(c.compiled))
	for i, after := range c.compiled {
		var before *balance.Listener
		if old := c.old[was(after.Address)]; old != nil {
			before = old.spec
		}
		var err error
		if canaries[i], err = balance.NewCanary(before, after, was, percent); err != nil {
			return nil, fmt.Errorf("%s: %w", after.Address, err)
		}
		specs[i] = canaries[i].Listener
	}
	s := &canaryStep{}
	if !slices.ContainsFunc(canaries, func(k balance.Canary) bool { return len(k.Shifts) > 0 }) {
		return s, nil
	}
	e.swap(c, specs)
	c.stepped = c.next
	for i, k := range canaries {
		live := c.next[specs[i].Address]
		for _, shift := range k.Shifts {
			s.pools = append(s.pools, &canaryPool{Pool: specs[i].Pools()[shift.Pool], live: live, gains: shift.Gains})
		}
	}
	for i, tries := range s.tries() {
		s.pools[i].base = tries
	}
	return s, nil
}

// tries is what the servers of each pool have counted so far.
func (s *canaryStep) tries() [][]balance.Tries {
	out := make([][]balance.Tries, len(s.pools))
	var counters proxy.Counters
	for i, p := range s.pools {
		if i == 0 || p.live != s.pools[i-1].live {
			counters = p.live.handler.Counters()
		}
		counts := counters.Backends
		if p.Owner != p.live.spec.Owner {
			counts = counters.Rules[p.Owner]
		}
		for _, b := range p.Backends {
			n := counts[b.Name]
			out[i] = append(out[i], balance.Tries{Made: n.Requests + n.Errors, Failed: n.Errors + n.Failures})
		}
	}
	return out
}

// seen is what came to the servers of a pool in the step: to each, to those together that
// gain by the change, and to the others.
type seen struct {
	*canaryPool
	each            []balance.Tries
	gaining, others balance.Tries
}

func (s *canaryStep) seen() []seen {
	out := make([]seen, len(s.pools))
	for i, each := range s.tries() {
		p := s.pools[i]
		out[i] = seen{canaryPool: p, each: each}
		for k := range each {
			n := &each[k]
			n.Made -= p.base[k].Made
			n.Failed = min(n.Failed-p.base[k].Failed, n.Made)
			side := &out[i].others
			if p.gains[k] {
				side = &out[i].gaining
			}
			side.Made += n.Made
			side.Failed += n.Failed
		}
	}
	return out
}

// watch looks on until the step's time is over, or something goes wrong.
func (e *engine) watch(ctx context.Context, c *change, s *canaryStep) error {
	over := time.NewTimer(c.req.CanaryPause)
	defer over.Stop()
	look := time.NewTicker(canaryLook)
	defer look.Stop()
	for {
		e.mu.Lock()
		wrong, changed := e.sickened(c, s), e.changed
		e.mu.Unlock()
		if wrong = errors.Join(wrong, s.failing()); wrong != nil {
			return wrong
		}
		select {
		case <-over.C:
			e.mu.Lock()
			defer e.mu.Unlock()
			return errors.Join(e.sickened(c, s), s.failing())
		case <-changed:
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("it was stopped: %w", ctx.Err())
		}
	}
}

// sickened is an error for each server that is to get more traffic and is not well. The
// caller holds mu.
func (e *engine) sickened(c *change, s *canaryStep) error {
	var errs []error
	for _, p := range s.pools {
		for i, b := range p.Backends {
			ev := e.verdicts[targetOf(p.Pool, i)]
			if p.gains[i] && p.Probed(i) && ev.Health == balance.Abnormal && !c.stopped(b) {
				errs = append(errs, fmt.Errorf("%s: %s is abnormal (%s)", p.Owner, b.Name, orElse(ev.Reason, "no answer")))
			}
		}
	}
	return errors.Join(errs...)
}

// failing is an error for each server that is to get more traffic and fails more often
// than those that are not.
func (s *canaryStep) failing() error {
	var errs []error
	for _, p := range s.seen() {
		for i, n := range p.each {
			if p.gains[i] && n.Worse(p.others) {
				errs = append(errs, fmt.Errorf("%s: %s failed, or answered with 5xx, %d times in %d; the servers that it takes traffic from %d times in %d",
					p.Owner, p.Backends[i].Name, n.Failed, n.Made, p.others.Failed, p.others.Made))
			}
		}
	}
	return errors.Join(errs...)
}

// tellStep says what a step that went well has seen.
func (e *engine) tellStep(c *change, s *canaryStep) {
	for _, p := range s.seen() {
		message := fmt.Sprintf("the servers that gain failed %d times in %d, the others %d times in %d", p.gaining.Failed, p.gaining.Made, p.others.Failed, p.others.Made)
		if p.gaining.Made == 0 {
			message = "warning: no client came to the servers that gain, so only their health was checked"
		}
		c.step(control.PhaseCanary, p.Owner, message)
	}
}

// stepLeavers marks the connections that steps have made to servers that leave, where
// they are not among those that the generation before had to them, by pool and name.
func (e *engine) stepLeavers(c *change) (gone []draining) {
	for address, l := range c.stepped {
		until := time.Now().Add(l.spec.Drain)
		_, servers := l.leaving(e.listeners[address])
		for _, b := range servers {
			if o := b.Origin; o != nil && (o.Owner != b.Owner || o.Name != b.Name) {
				done := l.handler.Drain(b.Owner, b.Name, b.Endpoint, until)
				gone = append(gone, draining{of: l, pool: b.Owner, backend: b.Name, until: until, done: done})
			}
		}
	}
	return gone
}
