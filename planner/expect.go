package planner

import (
	"fmt"
	"slices"
	"strings"

	"slbctl/sim"
	"slbctl/spec"
)

// ExpectationError is a plan that does not keep the expectations of its balancers, and of
// which nothing was carried out. Exit code 3, or 4 where there is nothing to judge by.
type ExpectationError struct {
	Broken []sim.Promise
}

func (e *ExpectationError) Error() string {
	problems := make([]string, len(e.Broken))
	for i := range e.Broken {
		b := &e.Broken[i]
		problems[i] = fmt.Sprintf("%s expect %q: wanted %s, but it would be %s", b.Address, b.Name, b.Wanted, told(b))
		if b.Verdict == sim.Inconclusive {
			problems[i] = fmt.Sprintf("%s expect %q: wanted %s, and nobody can say: %s", b.Address, b.Name, b.Wanted, told(b))
		}
	}
	return "the configuration does not keep its expectations and nothing was changed (-ignore-expectations applies it all the same): " + joinProblems(problems)
}

// Verdict is the worst of the expectations'.
func (e *ExpectationError) Verdict() sim.Verdict { return verdict(e.Broken) }

func verdict(promises []sim.Promise) sim.Verdict {
	worst := sim.Pass
	for i := range promises {
		worst = worst.Worse(promises[i].Verdict)
	}
	return worst
}

// told says what was observed and where.
func told(p *sim.Promise) string {
	if p.Listener == "" {
		return p.Detail
	}
	return p.Detail + " at " + strings.TrimPrefix(p.Listener, p.Address+".")
}

// judge holds the next state to the expectations of its balancers. A plan to release, or
// to record what runs, is about something else.
func (p *Plan) judge(in Input, g *ground) error {
	if p.IgnoreExpectations = in.IgnoreExpectations; p.RecordOnly || in.Destroy || !expects(p.Next.Resources) {
		return nil
	}
	c, err := p.Config()
	if err != nil {
		return err
	}
	if p.Promises, err = sim.Promises(c, g.drained(in)...); err != nil {
		return fmt.Errorf("plan: judge the expectations: %w", err)
	}
	return nil
}

// expects says whether there is anything to judge: most plans spare the way through a
// configuration.
func expects(resources []spec.Resource) bool {
	return slices.ContainsFunc(resources, func(r spec.Resource) bool {
		list, _ := r.Attributes["expect"].([]any)
		return len(list) > 0
	})
}

// Kept returns an *ExpectationError if the plan breaks an expectation that nobody ignores.
func (p *Plan) Kept() error {
	if p.IgnoreExpectations || verdict(p.Promises) == sim.Pass {
		return nil
	}
	e := &ExpectationError{}
	for _, promise := range p.Promises {
		if promise.Verdict != sim.Pass {
			e.Broken = append(e.Broken, promise)
		}
	}
	return e
}

// promises renders the verdicts.
func (p *printer) promises(plan *Plan) {
	if len(plan.Promises) == 0 {
		return
	}
	title := "Expectations"
	if plan.IgnoreExpectations {
		title += " (nobody insists on them: -ignore-expectations)"
	}
	fmt.Fprintf(p, "\n%s\n", title)
	balancer, width := "", 0
	for i := range plan.Promises {
		width = max(width, len(plan.Promises[i].Name))
	}
	for i := range plan.Promises {
		e := &plan.Promises[i]
		if e.Address != balancer {
			balancer = e.Address
			p.WriteString("  " + balancer + "\n")
		}
		mark, color := "ok  ", green
		switch e.Verdict {
		case sim.Fail:
			mark, color = "FAIL", red
		case sim.Inconclusive:
			mark, color = "?   ", yellow
		}
		live := ""
		if e.Live {
			live = " (and live)"
		}
		fmt.Fprintf(p, "    %s  %-*s  wanted %s: %s%s\n", p.paint(color, mark), width, e.Name, e.Wanted, told(e), live)
	}
}
