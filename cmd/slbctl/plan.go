package main

import (
	"errors"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/runtime"
	"slbctl/runtime/durable"
	"slbctl/spec"
)

// planCmd shows what an apply would do.
type planCmd struct {
	planFlags
	Out              string `placeholder:"FILE" help:"Save the plan for apply."`
	DetailedExitcode bool   `help:"Exit with 2 when there are changes."`
	JSON             bool   `name:"json" help:"Print one JSON document."`
}

func (c *planCmd) Run(s *session) (err error) {
	if err := c.check("plan"); err != nil {
		return err
	}
	g, err := s.prepare(c.variableFlags, c.LockTimeout, c.files())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.unlock()) }()
	plan, err := g.plan(c.planFlags)
	if err != nil {
		return err
	}
	if err := s.show(plan, c.JSON); err != nil {
		return err
	}
	if c.Out != "" {
		if err := g.save(plan, c.Out, c.variableFlags); err != nil {
			return err
		}
		s.note("\nThe plan is in %s. `slbctl apply %s` does exactly this.", c.Out, c.Out)
	}
	var broken *planner.ExpectationError
	if errors.As(plan.Kept(), &broken) {
		return outcome(codeOf(broken)) // the plan says which
	}
	if c.DetailedExitcode && plan.HasChanges() {
		return outcome(exitChanges)
	}
	return nil
}

// check refuses flags that exclude each other.
func (f *planFlags) check(command string) error {
	other := ""
	switch {
	case !f.RefreshOnly:
		return nil
	case f.Destroy:
		other = "-destroy"
	case len(f.Replace) > 0:
		other = "-replace"
	case len(f.Target) > 0:
		other = "-target"
	case !f.Refresh:
		other = "-refresh=false"
	default:
		return nil
	}
	return &usageError{command: command, detail: "-refresh-only records what runs and changes nothing: " + other + " does not go with it"}
}

// files says whether the configuration is needed for such a plan.
func (f *planFlags) files() need {
	switch {
	case f.RefreshOnly:
		return unused
	case f.Destroy:
		return helpful
	}
	return needed
}

// show renders a plan.
func (s *session) show(plan *planner.Plan, asJSON bool) error {
	if asJSON {
		return plan.WriteJSON(s.stdout)
	}
	return plan.WriteText(s.stdout, planner.Style{Color: s.colorOut, Width: s.width})
}

// plan makes the plan that the flags ask for.
func (g *ground) plan(f planFlags) (*planner.Plan, error) {
	last, err := g.store.LastSerial()
	if err != nil {
		return nil, err
	}
	drained, err := runtime.Drained(workingFolder)
	if err != nil {
		g.warnings = append(g.warnings, err.Error())
	}
	in := planner.Input{
		Drained: drained,
		Config:  g.config, State: g.state, Lineage: state.NewLineage(), LastSerial: last,
		Observed: g.seen, SkipRefresh: !f.Refresh,
		Destroy: f.Destroy, Targets: f.Target, Replace: f.Replace,
		RefreshOnly: f.RefreshOnly, Earlier: g.earlier,
		SkipTraffic: !f.Traffic, IgnoreExpectations: f.IgnoreExpectations, Warnings: g.warnings, Notes: g.notes,
	}
	if g.config != nil && hasSensitive(g.config.Outputs) {
		if in.Key, err = g.store.Key(); err != nil {
			return nil, err
		}
	}
	return planner.Make(in)
}

func hasSensitive(outputs []spec.Output) bool {
	for _, o := range outputs {
		if o.Sensitive {
			return true
		}
	}
	return false
}

// save writes a plan with the digests of everything that it was made from.
func (g *ground) save(plan *planner.Plan, path string, v variableFlags) error {
	var modules []string
	if g.config != nil {
		modules = g.config.ModuleFolders
	}
	now, err := fingerprint(g.store, g.state, g.seen, modules, v.VarFile)
	if err != nil {
		return err
	}
	// What -var gave, and what has changed since in other files, is nowhere else.
	if err := g.store.KeepSecrets(plan.Secrets); err != nil {
		return err
	}
	return plan.Save(durable.OS, path, now)
}
