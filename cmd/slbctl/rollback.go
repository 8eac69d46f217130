package main

import (
	"fmt"
	"slices"
	"strings"
)

// rollbackCmd makes an earlier recorded configuration real again.
type rollbackCmd struct {
	planFlags
	Serial *uint64 `arg:"" optional:"" help:"The one to go back to, as state history lists it. Without it the one before."`
	executionFlags
}

func (c *rollbackCmd) Run(s *session) error {
	if c.Destroy || c.RefreshOnly || len(c.Var)+len(c.VarFile) > 0 {
		return &usageError{command: "rollback", detail: "what was recorded is applied as it was: -destroy, -refresh-only, -var and -var-file have no effect on it"}
	}
	do, err := c.execution(s, "rollback", false)
	if err != nil {
		return err
	}
	err = s.planAndApply(c.planFlags, do, func(g *ground) error { return g.goBack(c.Serial) })
	if err != nil {
		do.report.failed(err)
	}
	return err
}

// goBack chooses the state of a serial to plan for, or without one the one before.
func (g *ground) goBack(chosen *uint64) error {
	if chosen == nil {
		before, err := g.before()
		if err != nil {
			return err
		}
		chosen = &before
	}
	serial := *chosen
	earlier, err := g.store.LoadHistory(serial)
	if err != nil {
		return fmt.Errorf("%w: slbctl state history lists those that are", err)
	}
	if g.state != nil && g.state.Lineage != earlier.Lineage {
		return fmt.Errorf("serial %d is of another state (lineage %s): what it had has nothing to do with what is recorded now", serial, earlier.Lineage)
	}
	lacking, err := g.store.Lacks(earlier)
	if err != nil {
		return err
	}
	if len(lacking) > 0 {
		return fmt.Errorf("serial %d cannot come back: what %s keeps secret is not in .slbctl/secrets any more", serial, strings.Join(lacking, ", "))
	}
	g.earlier = earlier
	g.notes = append(g.notes, fmt.Sprintf("this goes back to serial %d; the configuration's files stay as they are, and the next plan shows how they differ from it", serial))
	return nil
}

// before is the last serial of this state before the recorded one.
func (g *ground) before() (uint64, error) {
	serials, err := g.store.History()
	if err != nil {
		return 0, err
	}
	for _, n := range slices.Backward(serials) {
		if g.state != nil && n >= g.state.Serial {
			continue
		}
		earlier, err := g.store.LoadHistory(n)
		if err != nil {
			return 0, err
		}
		if g.state == nil || earlier.Lineage == g.state.Lineage {
			return n, nil
		}
	}
	return 0, fmt.Errorf("there is nothing to go back to: nothing was recorded before serial %d", serialOf(g.state))
}
