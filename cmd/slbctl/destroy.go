package main

import "slbctl/planner"

// destroyCmd releases what was applied.
type destroyCmd struct {
	Addresses   []string      `arg:"" optional:"" name:"addr" help:"Release only these, and what uses their values."`
	AutoApprove bool          `help:"Do not ask."`
	JSON        bool          `name:"json" help:"Print one JSON object per event; the last is the summary."`
	LockTimeout patienceValue `default:"0s" placeholder:"TIME" help:"Wait so long for another process that holds the state."`
	variableFlags
}

func (c *destroyCmd) Run(s *session) error {
	if c.JSON && !c.AutoApprove {
		return errJSONAsks
	}
	if err := s.mayAsk(c.AutoApprove); err != nil {
		return err
	}
	f := planFlags{
		Destroy: true, Target: c.Addresses, Refresh: true, Traffic: true,
		LockTimeout: c.LockTimeout, variableFlags: c.variableFlags,
	}
	do := execution{wait: planner.WaitDrained, approved: c.AutoApprove, report: s.newReport(c.JSON)}
	err := s.planAndApply(f, do, nil)
	if err != nil {
		do.report.failed(err)
	}
	return err
}
