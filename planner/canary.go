package planner

import (
	"fmt"
	"strings"
	"time"

	"slbctl/planner/state"
	"slbctl/sim"
	"slbctl/spec"
)

// Canary is a change that is made in steps: of the traffic that moves, only so much has
// moved after each, and the next follows when this one has been watched. The runtime keeps
// none of the steps: until the last is verified, what ran before is what it comes back to.
type Canary struct {
	Percents []int         // of the steps, ascending, below 100
	Pause    time.Duration // that each step is watched
	Moving   []sim.Moving  // empty = nobody's share changes, and there are no steps
	// AtOnce are the instances that become something else where they are: no step shows
	// that to a part of their clients.
	AtOnce []string
}

// WithCanary returns the plan as one that is carried out in steps. recorded is the state
// that it was made from; drained are the servers that were drained by hand.
func (p *Plan) WithCanary(percents []int, pause time.Duration, recorded *state.State, drained []string) (*Plan, error) {
	if !p.HasChanges() {
		return p, nil
	}
	same := *p
	same.Canary = &Canary{Percents: percents, Pause: pause}
	if !p.asksRuntime() {
		return &same, nil
	}
	before, err := configOf(recorded)
	if err != nil {
		return nil, err
	}
	after, err := p.Config()
	if err != nil {
		return nil, err
	}
	from, to := map[string]string{}, map[string]string{}
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Kind == "instance" && c.Action == Update {
			same.Canary.AtOnce = append(same.Canary.AtOnce, c.Address)
		}
		if c.From != "" {
			from[c.Address], to[c.From] = c.From, c.Address
		}
	}
	was := func(address string) string {
		if old := from[address]; old != "" {
			return old
		}
		return address
	}
	names := drained
	for _, a := range drained {
		names = append(names[:len(names):len(names)], spec.RenameServer(a, to))
	}
	same.Canary.Moving, err = sim.ForeseeCanary(before, after, was, percents, names...)
	if err != nil {
		return nil, fmt.Errorf("plan: foresee the steps of the canary: %w", err)
	}
	return &same, nil
}

// String is "10%, 50%, then all".
func (c *Canary) String() string {
	text := ""
	for _, p := range c.Percents {
		text += fmt.Sprintf("%d%%, ", p)
	}
	return text + "then all"
}

// canary renders the steps.
func (p *printer) canary(c *Canary) {
	if c == nil {
		return
	}
	if len(c.Moving) == 0 {
		p.WriteString("\nCanary: no server's share of a listener's traffic changes, so there are no steps.\n")
		return
	}
	fmt.Fprintf(p, "\nCanary: %s; each step is watched for %s\n", c, c.Pause)
	for _, m := range c.Moving {
		p.WriteString("  " + m.Listener + "\n")
		shown := m.Backends[:min(len(m.Backends), shownShares)]
		width := 0
		for _, b := range shown {
			width = max(width, len(b.Address))
		}
		for _, b := range shown {
			steps := make([]string, len(b.Shares))
			for i, share := range b.Shares {
				steps[i] = fmt.Sprintf("%6s", percent(share))
			}
			fmt.Fprintf(p, "    %-*s  %s\n", width, b.Address, strings.Join(steps, " -> "))
		}
		if more := len(m.Backends) - len(shown); more > 0 {
			fmt.Fprintf(p, "    and %d more\n", more)
		}
	}
	for _, address := range c.AtOnce {
		fmt.Fprintf(p, "  %s is changed in place: its clients see that after the last step, all at once\n", address)
	}
}
