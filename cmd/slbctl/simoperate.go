package main

import (
	"context"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"slbctl/runtime/control"
	"slbctl/sim"
	"slbctl/spec"
)

// operator does beside the traffic of a live run what its simulation says. Whatever it has done it takes back, and
// where it cannot, for it was killed, the daemon does so when the time is up.
type operator struct {
	mu    sync.Mutex
	aside map[string]int // how many have drained each instance, by address
	lag   time.Duration  // how much later than meant something was done, at most
}

// operate does everything at its time, until the run ends or something cannot be done.
func (l *liveRun) operate(ctx context.Context, s *session) error {
	all, ctx := errgroup.WithContext(ctx)
	act := func(do func() error) {
		all.Go(func() error {
			if err := do(); ctx.Err() == nil {
				return err
			}
			return nil // it was only broken off
		})
	}
	act(func() error { return l.strike(ctx, s) })
	if l.attempt != nil {
		all.Go(func() error { return l.change(ctx, s) })
	}
	for _, d := range l.forecast.Drains {
		act(func() error { return l.drain(ctx, s, &d) })
	}
	for _, d := range l.forecast.Deploys {
		act(func() error { return l.deploy(ctx, s, &d) })
	}
	return all.Wait()
}

// until waits for a moment of the traffic; false if the run ends before.
func (l *liveRun) until(ctx context.Context, at time.Duration) bool {
	timer := time.NewTimer(time.Until(l.start.Add(at)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// did tells what was done, and notes how late that was.
func (l *liveRun) did(s *session, meant time.Duration, what string, instances ...string) {
	l.operator.mu.Lock()
	defer l.operator.mu.Unlock()
	l.operator.lag = max(l.operator.lag, (time.Since(l.start) - meant).Abs())
	s.note("%s: %s.", strings.Join(instances, ", "), what)
}

// left is how long something may last that the daemon is to end if nobody else does.
func (l *liveRun) left() time.Duration {
	return max(time.Until(l.start.Add(l.sim.Duration)), 0) + healPatience
}

// strike does what the faults say.
func (l *liveRun) strike(ctx context.Context, s *session) error {
	for _, x := range l.forecast.Strikes {
		if !l.until(ctx, x.At) {
			return nil
		}
		if err := l.client.SetFault(ctx, x.Instance, &x.Fault, x.For); err != nil {
			return err
		}
		l.did(s, x.At, fmt.Sprintf("%s, for %s", x.Fault.String(), x.For), x.Instance)
	}
	return nil
}

// drain drains instances for a while.
func (l *liveRun) drain(ctx context.Context, s *session, d *sim.Drain) error {
	if !l.until(ctx, d.At) {
		return nil
	}
	if err := l.setAside(ctx, d.Instances); err != nil {
		return err
	}
	l.did(s, d.At, fmt.Sprintf("drained, for %s", d.Until-d.At), d.Instances...)
	if !l.until(ctx, d.Until) {
		return nil
	}
	err := l.letBack(ctx, d.Instances)
	l.did(s, d.Until, "back", d.Instances...)
	return err
}

// setAside drains instances; each is let back with the last who has drained it.
func (l *liveRun) setAside(ctx context.Context, instances []string) error {
	l.operator.mu.Lock()
	defer l.operator.mu.Unlock()
	if l.operator.aside == nil {
		l.operator.aside = map[string]int{}
	}
	for _, address := range instances {
		l.operator.aside[address]++
		if err := l.client.SetAside(ctx, address, l.left()); err != nil {
			return err
		}
	}
	return nil
}

func (l *liveRun) letBack(ctx context.Context, instances []string) error {
	l.operator.mu.Lock()
	defer l.operator.mu.Unlock()
	for _, address := range instances {
		if l.operator.aside[address] > 1 {
			l.operator.aside[address]--
			continue
		}
		if err := l.client.SetAside(ctx, address, 0); err != nil {
			return err
		}
		delete(l.operator.aside, address)
	}
	return nil
}

// deploy starts instances anew, a batch after the other. One that starts refuses everything.
func (l *liveRun) deploy(ctx context.Context, s *session, d *sim.Deployment) error {
	acts := 0
	act := func(batch []string, what string, do func() error) (at time.Duration, err error) {
		if at = time.Since(l.start); ctx.Err() == nil {
			err = do()
		}
		if err != nil || ctx.Err() != nil {
			return 0, errors.Join(err, ctx.Err())
		}
		meant := l.sim.Duration
		if acts < len(d.Foretold) {
			meant = d.Foretold[acts]
		}
		acts++
		l.did(s, min(meant, l.sim.Duration), what, batch...)
		return at, nil
	}
	for at, k := d.At, 0; k < len(d.Batches) && l.until(ctx, at); k++ {
		batch := d.Batches[k]
		at, err := act(batch, "drained, for "+d.Drain.String(), func() error { return l.setAside(ctx, batch) })
		if err != nil || !l.until(ctx, at+d.Drain) {
			return err
		}
		at, err = act(batch, "starts anew, for "+d.Startup.String(), func() error {
			return l.fault(ctx, batch, &spec.InstanceFault{Refuse: true}, d.Startup+healPatience)
		})
		if err != nil || !l.until(ctx, at+d.Startup) {
			return err
		}
		_, err = act(batch, "back", func() error { return errors.Join(l.fault(ctx, batch, nil, 0), l.letBack(ctx, batch)) })
		if err != nil || !l.well(ctx, batch) {
			return err
		}
	}
	return nil
}

func (l *liveRun) fault(ctx context.Context, instances []string, fault *spec.InstanceFault, d time.Duration) error {
	for _, address := range instances {
		if err := l.client.SetFault(ctx, address, fault, d); err != nil {
			return err
		}
	}
	return nil
}

// wellLook is how often it is looked whether instances are well.
const wellLook = 20 * time.Millisecond

// well waits until instances are; false if the run ends before.
func (l *liveRun) well(ctx context.Context, instances []string) bool {
	for {
		now, err := l.client.Standing(ctx, l.listener.Address)
		if err == nil && l.forecast.Well(now.Pools, instances) {
			return true
		}
		if !l.until(ctx, time.Since(l.start)+wellLook) {
			return false
		}
	}
}

// changePatience is how long a change may take until it is verified.
const changePatience = 30 * time.Second

// planChange plans what the files make of what runs, as apply does, and holds the lock of the state: nobody is to
// change anything while it is tried.
func (l *liveRun) planChange(s *session) (unlock func() error, err error) {
	loops := goruntime.GOMAXPROCS(0)
	g, err := s.prepare(l.cmd.variableFlags, 0, needed)
	goruntime.GOMAXPROCS(loops) // sending takes more than planning
	unboundHeap()
	if err != nil {
		return nil, err
	}
	plan, err := g.plan(planFlags{Refresh: true})
	if err == nil {
		l.attempt, err = plan.Attempt(0, changePatience)
	}
	if err == nil && l.attempt != nil && len(l.attempt.Renamed) > 0 {
		err = fmt.Errorf("change %q: it moves what runs to other addresses, which a live run does not take back: leave it to virtual time", l.sim.Changes[0].Name)
	}
	if err == nil {
		l.after, err = plan.Config()
	}
	if err == nil {
		err = g.store.KeepSecrets(plan.Secrets)
	}
	if err != nil {
		return nil, errors.Join(err, g.unlock())
	}
	return g.unlock, nil
}

// change has the runtime try the configuration of the files. It is waited for even if the run is broken off, so
// that what it has done can be taken back.
func (l *liveRun) change(ctx context.Context, s *session) error {
	if !l.until(ctx, l.forecast.Change) {
		return nil
	}
	l.attempt.Try = l.left() + changePatience
	return l.client.Apply(context.WithoutCancel(ctx), asked(*l.attempt), func(e control.Event) {
		if e.Phase == control.PhaseCommit {
			l.did(s, l.forecast.Change, "the configuration of the files takes over", l.listener.Address)
		}
	})
}

// harmed lists the instances that are to have a fault.
func (l *liveRun) harmed() (instances []string) {
	for _, x := range l.forecast.Strikes {
		instances = append(instances, x.Instance)
	}
	for _, d := range l.forecast.Deploys {
		instances = append(instances, slices.Concat(d.Batches...)...)
	}
	slices.Sort(instances)
	return slices.Compact(instances)
}

// healPatience is how long taking back what was done may take.
const healPatience = 10 * time.Second

// heal takes back all that was done, also where the run was broken off.
func (l *liveRun) heal() error {
	ctx, cancel := context.WithTimeout(context.Background(), healPatience)
	defer cancel()
	var errs []error
	if l.attempt != nil {
		errs = append(errs, l.client.EndTry(ctx))
	}
	for address := range l.operator.aside {
		errs = append(errs, l.client.SetAside(ctx, address, 0))
	}
	for _, address := range l.harmed() {
		errs = append(errs, l.client.SetFault(ctx, address, nil, 0))
	}
	if err := errors.Join(errs...); err != nil {
		later := healPatience
		if l.attempt != nil {
			later += changePatience
		}
		return fmt.Errorf("what was done for the simulation could not be taken back, which the runtime does by itself, up to %s after its end: %w", later, err)
	}
	return nil
}
