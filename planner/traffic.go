package planner

import (
	"fmt"
	"slices"
	"strings"

	"slbctl/planner/state"
	"slbctl/sim"
	"slbctl/spec"
)

// foresee fills in what the plan does to traffic. It is the only call: sim has
// the answer from the code that the live balancer decides with.
func (p *Plan) foresee(recorded *state.State, drained []string, seen Observed) error {
	before, err := configOf(recorded)
	if err != nil {
		return err
	}
	after, err := p.Config()
	if err != nil {
		return err
	}
	p.Traffic, err = sim.Foresee(before, after, drained...)
	if err != nil {
		return fmt.Errorf("plan: foresee the effect on traffic: %w", err)
	}
	p.countOpen(seen)
	return nil
}

// countOpen fills in how many connections the change would end now.
func (p *Plan) countOpen(seen Observed) {
	changes := p.byAddress()
	for i := range p.Traffic {
		t := &p.Traffic[i]
		open, ok := seen.Open[t.Listener]
		if !ok {
			continue
		}
		var n int64
		for _, name := range t.ConnectionsEnded {
			n += open.Servers[name]
		}
		for _, name := range stopping(t, changes) {
			n += open.Servers[name]
		}
		if ofRule := spec.Parent(spec.Parent(t.Listener)) != ""; t.AllEnd && !ofRule {
			n = open.Clients
		}
		t.ConnectionsOpen = &n
	}
}

func (p *Plan) byAddress() map[string]*Change {
	changes := make(map[string]*Change, len(p.Changes))
	for i := range p.Changes {
		changes[p.Changes[i].Address] = &p.Changes[i]
	}
	return changes
}

// shownShares is how many servers of a listener are listed one by one.
const shownShares = 20

// traffic renders the forecast.
func (p *printer) traffic(plan *Plan) {
	if len(plan.Traffic) == 0 {
		return
	}
	changes := plan.byAddress()
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
		offline := plan.Runtime.Action == Create
		fmt.Fprintf(p, "  %-*s  %-12s  %s%s\n", width, t.Listener, schedulers(c), connections(t, changes, offline), mark)
		stays, isNew := c == nil || c.Action != Delete, c != nil && c.Action == Create
		if stays {
			p.shares(t, isNew)
		}
		p.requests(t)
		if stays {
			p.consequences(t, isNew)
			p.access(t.Access)
			p.check(t.HealthCheck)
		}
	}
}

// schedulers names the scheduler of a listener or rule, or the change of it; a rule
// without one of its own has none to name.
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
func connections(t *sim.Traffic, changes map[string]*Change, offline bool) string {
	c, end := changes[t.Listener], "are closed"
	if t.DrainSeconds > 0 {
		end = fmt.Sprintf("drain for up to %gs", t.DrainSeconds)
	}
	switch balancer := changes[balancerOf(t.Listener)]; {
	case c != nil && c.Before == nil:
		return "new"
	case c != nil && c.After == nil:
		return "goes; its connections " + end + open(t, offline)
	case moved(balancer):
		return "moves to " + inline(balancer.After.Attributes["address"]) + "; its connections " + end + open(t, offline)
	}
	text := "in place"
	if len(t.ConnectionsEnded) > 0 {
		text += "; connections to " + servers(t.ConnectionsEnded) + " " + end
	}
	if stopping := stopping(t, changes); len(stopping) > 0 {
		text += "; stopping " + servers(stopping) + " closes what it has"
	}
	if text == "in place" {
		return text + ", no connection closed"
	}
	return text + open(t, offline)
}

// open says how many connections that is now, as far as anybody is there to ask.
func open(t *sim.Traffic, offline bool) string {
	switch {
	case t.ConnectionsOpen == nil && offline:
		return " (unknown how many: not running)"
	case t.ConnectionsOpen == nil:
		return ""
	case *t.ConnectionsOpen == 0:
		return " (none open)"
	}
	return fmt.Sprintf(" (%d open)", *t.ConnectionsOpen)
}

// requests tells of requests that another one answers than before, or nobody. What is new
// and listens where nobody did takes them from nobody.
func (p *printer) requests(t *sim.Traffic) {
	for _, r := range t.Requests {
		fresh := r.Before == "" || r.Before == sim.AnsweredRefused
		gone := r.After == sim.AnsweredRefused && t.AllEnd // as the line above says
		if r.Before == r.After || fresh && r.After == t.Listener || gone {
			continue
		}
		what := "requests for " + r.Pattern
		switch {
		case r.After == sim.AnsweredRefused || fresh:
			what = "connections"
		case r.Pattern == "*":
			what = "all other requests"
		}
		if fresh {
			fmt.Fprintf(p, "    %s: %s\n", what, answerer(r.After))
			continue
		}
		fmt.Fprintf(p, "    %s: %s -> %s\n", what, answerer(r.Before), answerer(r.After))
	}
}

// answerer names who answers requests, or how nobody does.
func answerer(outcome string) string {
	switch outcome {
	case sim.AnsweredRefused, sim.AnsweredNotFound, sim.AnsweredNoServer:
		return "nobody, " + outcome
	case sim.AnsweredRedirect:
		return outcome
	}
	return strings.TrimPrefix(outcome, spec.Parent(outcome)+".")
}

// servers names them, unless they are many.
func servers(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%d servers", len(names))
	}
	return strings.Join(names, ", ")
}

// stopping lists the servers of a listener that stay and whose instance is stopped: it
// is not the balancer that ends their connections, and nothing drains.
func stopping(t *sim.Traffic, changes map[string]*Change) (names []string) {
	stopped := func(r *spec.Resource) bool { return r.Attributes["status"] == spec.StatusStopped }
	for _, b := range t.Backends {
		c := changes[b.Address]
		if i := strings.LastIndexByte(b.Address, ':'); c == nil && i > 0 {
			c = changes[b.Address[:i]] // a server that is listed twice
		}
		if c == nil || c.Before == nil || c.After == nil || slices.Contains(t.ConnectionsEnded, b.Address) {
			continue
		}
		if stopped(c.After) && !stopped(c.Before) {
			names = append(names, b.Address)
		}
	}
	return names
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
		if t.ClientsMoved != nil && (t.SessionsLost == nil || *t.ClientsMoved != *t.SessionsLost) {
			text := percent(*t.ClientsMoved) + " of clients change their server"
			if t.ClientsMovedMin != nil {
				text += " (the least possible is " + percent(*t.ClientsMovedMin) + ")"
			}
			parts = append(parts, text)
		}
		if t.SessionsLost != nil {
			parts = append(parts, percent(*t.SessionsLost)+" of sessions lose their server")
		}
	}
	parts = append(parts, losses(t)...)
	if len(parts) > 0 {
		p.WriteString("    " + strings.Join(parts, "; ") + "\n")
	}
}

// losses says what the listener survives, and where that is not what it survived before.
func losses(t *sim.Traffic) (parts []string) {
	now, was := lossOfServer(t.Survives), lossOfServer(t.SurvivesBefore)
	if now != "" {
		if was == survivesAny && now != was {
			now += " (not before)"
		}
		parts = append(parts, now)
	}
	before := make(map[string]string, len(t.SurvivesBefore))
	for _, s := range t.SurvivesBefore {
		before[s.Loss] = s.Detail
	}
	for _, s := range t.Survives {
		name, isZone := strings.CutPrefix(s.Loss, "zone=")
		if !isZone {
			continue
		}
		text := "loss of zone " + name + ": " + s.Detail
		if was := before[s.Loss]; was != "" && was != s.Detail {
			text += " (before: " + was + ")"
		}
		parts = append(parts, text)
	}
	return parts
}

const survivesAny = "survives the loss of any one server"

// lossOfServer sums up what the loss of a single server does; "" where there is none.
func lossOfServer(survives []sim.Survival) string {
	servers, fatal, last := 0, 0, ""
	for _, s := range survives {
		if strings.HasPrefix(s.Loss, "zone=") {
			continue
		}
		servers++
		if !s.OK {
			fatal++
			last = "loss of " + s.Loss + ": " + s.Detail
		}
	}
	switch {
	case servers == 0:
		return ""
	case fatal == 0:
		return survivesAny
	case fatal == 1:
		return last
	}
	return fmt.Sprintf("does not survive the loss of any of %d servers", fatal)
}

// percent writes a share from 0 to 1 with one decimal.
func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }
