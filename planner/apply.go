package planner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slbctl/planner/state"
	"slbctl/runtime/durable"
)

// ApplyOptions say what Apply waits for.
type ApplyOptions struct {
	Wait    string        // WaitVerified (the zero value means it too), WaitDrained, WaitNone
	Timeout time.Duration // of the verification; 0 = 60 s
}

// Apply makes a plan real, whole or not at all. The caller holds the store's
// lock and has recovered the state that the plan was made from.
//
// What is to come is on disk before the runtime hears of it. When Apply returns
// a *VerifyError, *StaleError or *RefusedError, everything is as it was. After
// any other error, a cancelled context among them, it may be that the runtime
// has committed: store.Recover, now or at the start of the next command, asks it
// and finishes the record.
func Apply(ctx context.Context, p *Plan, store *state.Store, rt Runtime, opt ApplyOptions, report func(Event)) error {
	if err := p.Kept(); err != nil {
		return err
	}
	if err := store.KeepSecrets(p.Secrets); err != nil {
		return fmt.Errorf("apply: nothing was changed: %w", err)
	}
	if !p.HasChanges() {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("apply: stopped before anything was changed: %w", err)
	}
	request, err := p.request(opt)
	if err != nil {
		return err
	}
	if err := store.Begin(p.Next, p.Base); err != nil {
		return fmt.Errorf("apply: nothing was changed: %w", err)
	}
	durable.Failpoint("apply-begun")
	if request != nil {
		told := func(e Event) {
			report(e)
			if e.Phase == PhaseCanary {
				durable.Failpoint("apply-canary")
			}
		}
		if err := rt.Apply(ctx, *request, told); err != nil {
			return settle(store, err)
		}
	}
	durable.Failpoint("apply-done")
	if err := store.Commit(); err != nil {
		return fmt.Errorf("apply: the runtime has the change, and the next command will record it: %w", err)
	}
	return nil
}

// request is what the runtime is asked; nil when the change does not reach it.
func (p *Plan) request(opt ApplyOptions) (*Request, error) {
	if !p.asksRuntime() {
		return nil, nil
	}
	config, err := p.Config()
	if err != nil {
		return nil, err
	}
	r := &Request{
		Generation: p.Next.Generation, Base: p.Base.Generation, Hash: p.Next.ConfigHash,
		Config: config, Wait: opt.Wait, Timeout: opt.Timeout, IgnoreExpectations: p.IgnoreExpectations,
	}
	r.OnlyNames = p.Runtime.Action == NoOp && len(p.Runtime.Settings) == 0 && p.Count(NoOp) == len(p.Changes)
	for i := range p.Changes {
		if c := &p.Changes[i]; c.From != "" {
			if r.Renamed == nil {
				r.Renamed = map[string]string{}
			}
			r.Renamed[c.From] = c.Address
		}
	}
	if p.Canary != nil && len(p.Canary.Moving) > 0 {
		r.Canary, r.CanaryPause = p.Canary.Percents, p.Canary.Pause
	}
	if r.Wait == "" {
		r.Wait = WaitVerified
	}
	if r.Timeout == 0 {
		r.Timeout = time.Minute
	}
	return r, nil
}

// Attempt asks the runtime to try a plan for so long, at most: nothing is recorded, and no request of its own is
// sent. It is nil when the change does not reach the runtime. The caller keeps the plan's Secrets.
func (p *Plan) Attempt(lasting, timeout time.Duration) (*Request, error) {
	r, err := p.request(ApplyOptions{Timeout: timeout})
	if r != nil {
		r.Try, r.IgnoreExpectations = lasting, true
	}
	return r, err
}

// settle takes the announcement back when the error says that nothing changed.
func settle(store *state.Store, err error) error {
	var (
		verify  *VerifyError
		stale   *StaleError
		refused *RefusedError
	)
	if errors.As(err, &verify) || errors.As(err, &stale) || errors.As(err, &refused) {
		return errors.Join(err, store.Abort())
	}
	return fmt.Errorf("apply: the runtime did not say how it ended; the next command finds out: %w", err)
}
