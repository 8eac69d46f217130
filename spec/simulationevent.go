package spec

import (
	"slices"
	"time"
)

// changeBlock is the moment at which the configuration of the files takes over.
var changeBlock = &block{
	name:   "change",
	labels: []attribute{bind("name", text, func(c *SimulatedChange) *string { return &c.Name })},
	attributes: []attribute{
		bind("at", duration(0, longest), func(c *SimulatedChange) *time.Duration { return &c.At }, required),
	},
}

// drainBlock takes servers out softly, as `slbctl drain` does.
var drainBlock = &block{
	name:   "drain",
	labels: []attribute{bind("name", text, func(d *SimulatedDrain) *string { return &d.Name })},
	attributes: []attribute{
		bind("at", duration(0, longest), func(d *SimulatedDrain) *time.Duration { return &d.At }, required),
		bind("for", duration(0, longest), func(d *SimulatedDrain) *time.Duration { return &d.For }, fallback("0s")),
		bind("target", list(text, 1), func(d *SimulatedDrain) *[]string { return &d.Targets }, reference("instance"), fallback([]any{})),
		bind("zone", bounded(64), func(d *SimulatedDrain) *string { return &d.Zone }, fallback("")),
	},
	finish: func(d *decoder, s *site, target any) { d.checkTarget(s, "drain") },
}

// deployBlock starts servers anew, some at a time.
var deployBlock = &block{
	name:   "deploy",
	labels: []attribute{bind("name", text, func(d *Deploy) *string { return &d.Name })},
	attributes: []attribute{
		bind("at", duration(0, longest), func(d *Deploy) *time.Duration { return &d.At }, required),
		bind("target", list(text, 1), func(d *Deploy) *[]string { return &d.Targets }, reference("instance"), fallback([]any{})),
		bind("zone", bounded(64), func(d *Deploy) *string { return &d.Zone }, fallback("")),
		bind("batch", integer[int](1, 1<<16), func(d *Deploy) *int { return &d.Batch }, fallback(1.0)),
		bind("drain", duration(0, time.Hour), func(d *Deploy) *time.Duration { return &d.Drain }, fallback("30s")),
		bind("startup", duration(0, time.Hour), func(d *Deploy) *time.Duration { return &d.Startup }, fallback("10s")),
	},
	finish: func(d *decoder, s *site, target any) { d.checkTarget(s, "deploy") },
}

// checkTarget looks for what an event is about.
func (d *decoder) checkTarget(s *site, what string) {
	switch target, zone := s.has("target"), s.has("zone"); {
	case target && zone:
		d.errorf(s.at("zone"), "Two targets", "Keep one of them.", "A %s has a target or a zone.", what)
	case !target && !zone:
		d.errorf(s.rng, "No target", "Write target = instance.NAME, or zone = \"...\".", "A %s needs a target or a zone.", what)
	}
}

// happening is what a simulation's faults, changes, drains and deployments have in common.
type happening struct {
	block     string
	n         int // of its block
	name      string
	at, lasts time.Duration
	targets   []string
	zone      string
}

// happenings are in the order in which a result has their windows.
func (s *Simulation) happenings() (all []happening) {
	for n, f := range s.Faults {
		all = append(all, happening{"fault", n, f.Name, f.At, f.For, f.Targets, f.Zone})
	}
	for n, c := range s.Changes {
		all = append(all, happening{"change", n, c.Name, c.At, 0, nil, ""})
	}
	for n, x := range s.Drains {
		all = append(all, happening{"drain", n, x.Name, x.At, x.For, x.Targets, x.Zone})
	}
	for n, x := range s.Deploys {
		all = append(all, happening{"deploy", n, x.Name, x.At, 0, x.Targets, x.Zone})
	}
	return all
}

// checkHappenings looks at names and times, and returns the windows that there are.
func (d *decoder) checkHappenings(s *site, sim *Simulation) (windows []string) {
	windows = []string{DuringSteady, DuringAll}
	for _, h := range sim.happenings() {
		place := s.child(h.block, h.n)
		if slices.Contains(windows, h.name) {
			d.errorf(place.label(0), "Duplicate name", "", "%q is the name of a window already.", h.name)
		}
		windows = append(windows, h.name)
		if h.at >= sim.Duration {
			d.errorf(place.at("at"), "Out of range", "", "The %s begins at %s, the simulation ends at %s.",
				h.block, formatDuration(h.at), formatDuration(sim.Duration))
		} else if h.at+h.lasts > sim.Duration {
			d.errorf(place.at("for"), "Out of range", "Leave for out if it lasts to the end.", "The %s ends at %s, the simulation at %s.",
				h.block, formatDuration(h.at+h.lasts), formatDuration(sim.Duration))
		}
	}
	if len(sim.Changes) > 1 {
		d.errorf(s.child("change", 1).rng, "Second change", "Remove it.",
			"A simulation has one change: from what is recorded to what the files say.")
	}
	return windows
}

// checkTargets looks for the servers that events are about among those behind the listener.
func (d *decoder) checkTargets(c *Config, s *site, sim *Simulation, listener string, behind map[string]bool) {
	for _, h := range sim.happenings() {
		place := s.child(h.block, h.n)
		for _, t := range h.targets {
			if !behind[t] {
				d.errorf(place.at("target"), "Not a backend", "", "%s is not behind %s.", t, listener)
			}
		}
		inZone := func(x *Instance) bool { return x.Zone == h.zone && behind[x.Address] }
		if h.zone != "" && !slices.ContainsFunc(c.Instances, inZone) {
			d.errorf(place.at("zone"), "No such zone", "", "No backend of %s is in zone %q.", listener, h.zone)
		}
	}
	for n := range sim.Faults {
		d.checkErrors(c, behind, &sim.Faults[n], s.child("fault", n))
	}
}
