package planner

import (
	"fmt"
	"net/netip"
	"strings"

	"slbctl/sim"
)

// access tells who may connect that might not before, and the other way round.
func (p *printer) access(c *sim.AccessChange) {
	if c != nil && len(c.Refused) > 0 {
		p.WriteString("    refused from now on: " + clients(c.Refused, c.RefusedIPv4) + "; who is connected stays\n")
	}
	if c != nil && len(c.Allowed) > 0 {
		p.WriteString("    let in from now on: " + clients(c.Allowed, c.AllowedIPv4) + "\n")
	}
}

// shownPrefixes is how many networks of clients are listed one by one.
const shownPrefixes = 4

func clients(networks []netip.Prefix, addresses uint64) string {
	names := make([]string, 0, shownPrefixes)
	for _, n := range networks[:min(len(networks), shownPrefixes)] {
		names = append(names, n.String())
	}
	text := strings.Join(names, ", ")
	if more := len(networks) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	switch addresses {
	case 0:
		return text
	case 1:
		return text + " (1 address of IPv4)"
	}
	return fmt.Sprintf("%s (%d addresses of IPv4)", text, addresses)
}

// check tells how soon it is noticed, at the latest, that a server is dead or back.
func (p *printer) check(c *sim.CheckChange) {
	switch {
	case c == nil:
	case c.After == nil:
		p.WriteString("    no health check any more: a dead server keeps its share until somebody acts; so far it " + dead(c.Before, c.Before) + "\n")
	case c.Before == nil:
		p.WriteString("    health check: a dead server " + dead(c.After, c.After) + ", " + back(c.After, c.After) + "; so far it keeps its share\n")
	default:
		p.WriteString("    health check: a dead server " + dead(c.Before, c.After) + ", " + back(c.Before, c.After) + "\n")
	}
}

func dead(before, after *sim.Noticing) string {
	return "is noticed within " + span(&before.DeadSeconds, &after.DeadSeconds) + " (a silent one: " + span(before.SilentSeconds, after.SilentSeconds) + ")"
}

func back(before, after *sim.Noticing) string {
	return "one that is back within " + span(&before.BackSeconds, &after.BackSeconds) + " (after silence: " + span(before.BackSilentSeconds, after.BackSilentSeconds) + ")"
}

// span is how long something takes, before and after a change; nil is for ever.
func span(before, after *float64) string {
	of := func(s *float64) string {
		if s == nil {
			return "never"
		}
		return fmt.Sprintf("%gs", *s)
	}
	if of(before) == of(after) {
		return of(after)
	}
	return of(before) + " -> " + of(after)
}
