package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/runtime"
	"slbctl/runtime/durable"
)

// applyCmd makes a plan real.
type applyCmd struct {
	planFlags
	PlanFile string `arg:"" optional:"" name:"planfile" help:"A plan saved by plan -out."`
	executionFlags
}

// executionFlags say how a plan is carried out; apply and rollback have them in common.
type executionFlags struct {
	AutoApprove bool          `help:"Do not ask."`
	JSON        bool          `name:"json" help:"Print one JSON object per event; the last is the summary."`
	Wait        string        `default:"verified" enum:"verified,drained,false" help:"Stay until all servers are well (verified), until what was removed is gone (drained), or not at all (false)."`
	Timeout     patienceValue `default:"60s" placeholder:"TIME" help:"How long servers may take to get well before everything is rolled back."`
	Canary      percentsValue `sep:"none" placeholder:"10%,50%" help:"Move traffic in steps, and go back when one fails."`
	CanaryPause patienceValue `default:"10s" placeholder:"TIME" help:"How long each step is watched."`
}

// errJSONAsks keeps questions out of an output that a program reads.
var errJSONAsks = errors.New("-json cannot ask: give -auto-approve, or apply a saved plan")

func (c *applyCmd) Run(s *session) (err error) {
	if c.PlanFile != "" && c.plans() {
		return &usageError{command: "apply", detail: "a saved plan is applied as it is: planning flags have no effect on it"}
	}
	if err := c.check("apply"); err != nil {
		return err
	}
	do, err := c.execution(s, "apply", c.PlanFile != "")
	if err != nil {
		return err
	}
	if c.PlanFile != "" {
		err = s.applySaved(c.PlanFile, c.planFlags, do)
	} else {
		err = s.planAndApply(c.planFlags, do, nil)
	}
	if err != nil {
		do.report.failed(err)
	}
	return err
}

// execution is what the flags ask for, of a plan that was approved before or not.
func (f *executionFlags) execution(s *session, command string, approved bool) (execution, error) {
	if f.Timeout == 0 {
		return execution{}, &usageError{command: command, detail: "-timeout=0s leaves servers no time to get well: give them some, or -wait=false"}
	}
	if err := f.checkCanary(command); err != nil {
		return execution{}, err
	}
	approved = approved || f.AutoApprove
	if f.JSON && !approved {
		return execution{}, errJSONAsks
	}
	do := execution{
		wait: f.Wait, timeout: time.Duration(f.Timeout), approved: approved, report: s.newReport(f.JSON),
		canary: f.Canary, canaryPause: time.Duration(f.CanaryPause),
	}
	return do, s.mayAsk(approved)
}

// maxCanaryPause bounds how long a step is watched, since nothing else can be changed
// meanwhile.
const maxCanaryPause = time.Hour

func (f *executionFlags) checkCanary(command string) error {
	detail := ""
	switch {
	case len(f.Canary) == 0:
	case f.Wait == planner.WaitNone:
		detail = "-canary goes on to the next step when the last is verified: -wait=false does not go with it"
	case f.CanaryPause == 0 || time.Duration(f.CanaryPause) > maxCanaryPause:
		detail = fmt.Sprintf("-canary-pause=%s is not a time to watch a step for: give it more than 0s, and %s at most", time.Duration(f.CanaryPause), maxCanaryPause)
	}
	if detail == "" {
		return nil
	}
	return &usageError{command: command, detail: detail}
}

// staged is a plan that is carried out in the steps that were asked for, if any.
func (do execution) staged(plan *planner.Plan, before *state.State) (*planner.Plan, error) {
	if len(do.canary) == 0 {
		return plan, nil
	}
	drained, err := runtime.Drained(workingFolder)
	if err != nil {
		return nil, err
	}
	return plan.WithCanary(do.canary, do.canaryPause, before, drained)
}

// plans says whether a flag was given that only planning heeds.
func (c *applyCmd) plans() bool {
	return c.Destroy || c.RefreshOnly || len(c.Target)+len(c.Replace)+len(c.Var)+len(c.VarFile) > 0 || !c.Refresh || !c.Traffic
}

// execution is how a plan is carried out.
type execution struct {
	wait     string
	timeout  time.Duration
	approved bool
	destroys bool
	report   report

	canary      []int // steps in percent; none = at once
	canaryPause time.Duration
}

// planAndApply plans, shows, asks and applies: the configuration, or with choose the
// earlier state that it sets.
func (s *session) planAndApply(f planFlags, do execution, choose func(*ground) error) (err error) {
	files := f.files()
	if choose != nil {
		files = unused
	}
	g, err := s.prepare(f.variableFlags, f.LockTimeout, files)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.unlock()) }()
	unboundHeap()
	if choose != nil {
		if err := choose(g); err != nil {
			return err
		}
	}
	plan, err := g.plan(f)
	if err != nil {
		return err
	}
	if plan, err = do.staged(plan, g.state); err != nil {
		return err
	}
	do.destroys = f.Destroy
	if err := do.report.plan(plan); err != nil {
		return err
	}
	if err := plan.Kept(); err != nil {
		return err // before anybody is asked
	}
	if plan.HasChanges() && !do.approved {
		if err := s.confirmPlan(f); err != nil {
			return err
		}
	}
	return s.carryOut(g, plan, do)
}

func (s *session) confirmPlan(f planFlags) error {
	switch {
	case f.RefreshOnly:
		return s.confirm("Record this?", "slbctl writes down what is listed above. Nothing that runs is changed.")
	case f.Destroy:
		return s.confirm("Release all of this?", "What is listed above with a minus is drained and then gone for good.")
	}
	return s.confirm("Make these changes?", "slbctl does what is listed above, whole or not at all.")
}

// applySaved applies a plan file if everything is as it was when it was made.
func (s *session) applySaved(path string, f planFlags, do execution) (err error) {
	saved, err := planner.ReadSaved(durable.OS, path)
	if err != nil {
		return err
	}
	g := &ground{store: s.store(), runtime: &daemon{}}
	if g.unlock, err = g.lock(s, f.LockTimeout); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.unlock()) }()
	if _, err = g.recall(); err != nil { // what is to be told was told with the plan
		return err
	}
	if g.seen, err = g.runtime.Observe(s.ctx); err != nil {
		return err
	}
	modules, err := following(saved.Fingerprint.Configuration)
	if err != nil {
		return err
	}
	varFiles, err := following(saved.Fingerprint.Variables)
	if err != nil {
		return err
	}
	now, err := fingerprint(g.store, g.state, g.seen, modules, varFiles)
	if err != nil {
		return err
	}
	if err := saved.Fingerprint.Check(now); err != nil {
		return err
	}
	if err := stillThere(g.store, saved.Plan.Next); err != nil {
		return err
	}
	saved.Plan.IgnoreExpectations = saved.Plan.IgnoreExpectations || f.IgnoreExpectations
	plan, err := do.staged(saved.Plan, g.state)
	if err != nil {
		return err
	}
	if err := do.report.plan(plan); err != nil {
		return err
	}
	return s.carryOut(g, plan, do)
}

// stillThere refuses a plan whose secrets are gone: later applies have cleared away what
// nothing refers to.
func stillThere(store *state.Store, next *state.State) error {
	lacking, err := store.Lacks(next)
	if err != nil || len(lacking) == 0 {
		return err
	}
	stale := &planner.StaleError{}
	for _, address := range lacking {
		stale.Moved = append(stale.Moved, "what "+address+" keeps secret, which is not kept any more")
	}
	return stale
}

// carryOut applies a plan and tells how it went.
func (s *session) carryOut(g *ground, plan *planner.Plan, do execution) error {
	opt := planner.ApplyOptions{Wait: do.wait, Timeout: do.timeout}
	far := newApplied(plan)
	end := s.progress(far.String)
	err := planner.Apply(s.ctx, plan, g.store, g.runtime, opt, func(e planner.Event) {
		far.saw(e)
		do.report.event(e)
	})
	end()
	if err != nil {
		return s.failed(g, plan, err)
	}
	if err := s.stopIdle(plan.Next); err != nil {
		return err
	}
	return do.report.done(plan, do.destroys)
}

// failed settles what an apply that did not succeed has left, so that the user
// learns at once which of the two states holds.
func (s *session) failed(g *ground, plan *planner.Plan, err error) error {
	interrupted := s.ctx.Err() != nil
	if interrupted {
		s.note("\nInterrupted: waiting until the runtime can be left. Once more ends slbctl at once.")
	}
	st, outcome, recoverErr := g.store.Recover(live)
	if recoverErr != nil {
		return errors.Join(err, recoverErr)
	}
	if g.runtime.started {
		err = errors.Join(err, s.stopIdle(st))
	}
	if !interrupted {
		return err
	}
	if outcome == state.Finished {
		return fmt.Errorf("the change was complete by then, and is recorded as serial %d: %w", plan.Next.Serial, errInterrupted)
	}
	return fmt.Errorf("nothing was changed: %w", errInterrupted)
}

// stopIdle ends a runtime that has nothing to run any more, or not yet.
func (s *session) stopIdle(st *state.State) error {
	if st != nil && len(st.Resources) > 0 {
		return nil
	}
	return runtime.Stop(context.WithoutCancel(s.ctx), workingFolder)
}
