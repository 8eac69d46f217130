package planner

import (
	"fmt"
	"strings"

	"slbctl/planner/state"
	"slbctl/sim"
	"slbctl/spec"
)

// foresee fills in what the plan does to traffic. It is the only call: sim has
// the answer from the code that the live balancer decides with.
func (p *Plan) foresee(recorded *state.State) error {
	before, err := configOf(recorded)
	if err != nil {
		return err
	}
	after, err := p.Config()
	if err != nil {
		return err
	}
	p.Traffic, err = sim.Foresee(before, after)
	if err != nil {
		return fmt.Errorf("plan: foresee the effect on traffic: %w", err)
	}
	return nil
}

// shownShares is how many servers of a listener are listed one by one.
const shownShares = 20

// traffic renders the forecast.
func (p *printer) traffic(plan *Plan) {
	if len(plan.Traffic) == 0 {
		return
	}
	changes := make(map[string]*Change, len(plan.Changes))
	for i := range plan.Changes {
		changes[plan.Changes[i].Address] = &plan.Changes[i]
	}
	method, width := plan.Traffic[0].Method, 0
	for i := range plan.Traffic {
		if plan.Traffic[i].Method != method {
			method = "exact where not marked"
		}
		width = max(width, len(plan.Traffic[i].Listener))
	}
	fmt.Fprintf(p, "\nEffect on traffic (%s)\n", method)
	for i := range plan.Traffic {
		t := &plan.Traffic[i]
		c := changes[t.Listener]
		mark := ""
		if t.Method != method && t.Method != "exact" {
			mark = "  (" + t.Method + ")"
		}
		fmt.Fprintf(p, "  %-*s  %-12s  %s%s\n", width, t.Listener, schedulers(c), connections(t, c, changes[spec.Parent(t.Listener)]), mark)
		if c == nil || c.Action != Delete {
			isNew := c != nil && c.Action == Create
			p.shares(t, isNew)
			p.consequences(t, isNew)
		}
	}
}

// schedulers names a listener's scheduler, or the change of it.
func schedulers(c *Change) string {
	if c == nil {
		return ""
	}
	of := func(attributes map[string]any) string {
		s, _ := attributes["scheduler"].(string)
		return s
	}
	switch {
	case c.Before == nil:
		return of(c.After.Attributes)
	case c.After == nil:
		return of(c.Before.Attributes)
	case of(c.Before.Attributes) != of(c.After.Attributes):
		return of(c.Before.Attributes) + " -> " + of(c.After.Attributes)
	}
	return of(c.After.Attributes)
}

// connections says what becomes of those that are open.
func connections(t *sim.Traffic, c, balancer *Change) string {
	if c == nil {
		return "in place"
	}
	if c.Before == nil {
		return "new"
	}
	end := ending(c)
	if c.After == nil {
		return "goes; its connections " + end
	}
	if moved(balancer) {
		return "moves to " + inline(balancer.After.Attributes["address"]) + "; its connections " + end
	}
	var leaving []string
	for _, b := range t.Backends {
		if b.ShareBefore > 0 && b.ShareAfter == 0 {
			leaving = append(leaving, b.Address)
		}
	}
	switch {
	case len(leaving) == 0:
		return "in place, no connection closed"
	case len(leaving) > 3:
		return fmt.Sprintf("in place; connections to %d servers %s", len(leaving), end)
	}
	return "in place; connections to " + strings.Join(leaving, ", ") + " " + end
}

// ending is how the connections of what goes away end.
func ending(c *Change) string {
	drain, _ := c.Before.Attributes["drain"].(string)
	if drain == "" || drain == "0s" {
		return "are closed"
	}
	return "drain for up to " + drain
}

// moved says whether a balancer gets another address.
func moved(lb *Change) bool {
	return lb != nil && lb.Before != nil && lb.After != nil &&
		!equal(lb.Before.Attributes["address"], lb.After.Attributes["address"])
}

func (p *printer) shares(t *sim.Traffic, isNew bool) {
	shown := t.Backends[:min(len(t.Backends), shownShares)]
	width := 0
	for _, b := range shown {
		width = max(width, len(b.Address))
	}
	for _, b := range shown {
		if isNew {
			fmt.Fprintf(p, "    %-*s  %6s\n", width, b.Address, percent(b.ShareAfter))
			continue
		}
		fmt.Fprintf(p, "    %-*s  %6s -> %s\n", width, b.Address, percent(b.ShareBefore), percent(b.ShareAfter))
	}
	if more := len(t.Backends) - len(shown); more > 0 {
		fmt.Fprintf(p, "    and %d more\n", more)
	}
}

// consequences sums up what moves and what the listener will survive.
func (p *printer) consequences(t *sim.Traffic, isNew bool) {
	var parts []string
	if !isNew {
		parts = append(parts, percent(t.TrafficMoved)+" of traffic moves")
		if t.ClientsMoved != nil {
			text := percent(*t.ClientsMoved) + " of clients change their server"
			if t.ClientsMovedMin != nil {
				text += " (the least possible is " + percent(*t.ClientsMovedMin) + ")"
			}
			parts = append(parts, text)
		}
	}
	servers, fatal := 0, 0
	var zones []string
	last := ""
	for _, s := range t.Survives {
		name, isZone := strings.CutPrefix(s.Loss, "zone=")
		switch {
		case isZone:
			zones = append(zones, "loss of zone "+name+": "+s.Detail)
		case s.OK:
			servers++
		default:
			servers++
			fatal++
			last = "loss of " + s.Loss + ": " + s.Detail
		}
	}
	switch {
	case servers > 0 && fatal == 0:
		parts = append(parts, "survives the loss of any one server")
	case fatal == 1:
		parts = append(parts, last)
	case fatal > 1:
		parts = append(parts, fmt.Sprintf("does not survive the loss of any of %d servers", fatal))
	}
	parts = append(parts, zones...)
	if len(parts) > 0 {
		p.WriteString("    " + strings.Join(parts, "; ") + "\n")
	}
}

// percent writes a share from 0 to 1 with one decimal.
func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }
