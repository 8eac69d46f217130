package spec

import (
	"slices"
	"time"
)

// The longest virtual time of a simulation.
const longest = 24 * time.Hour

var simulationBlock = &block{
	name:   "simulation",
	labels: []attribute{bind("name", text, func(s *Simulation) *string { return &s.Name })},
	attributes: []attribute{
		bind("target", text, func(s *Simulation) *string { return &s.Target }, reference("load_balancer"), required),
		bind("listener", text, func(s *Simulation) *string { return &s.Listener }, fallback("")),
		bind("duration", duration(shortest, longest), func(s *Simulation) *time.Duration { return &s.Duration }, required),
		bind("warmup", duration(0, longest), func(s *Simulation) *time.Duration { return &s.Warmup }, fallback("0s")),
		bind("seed", integer[uint64](0, 1<<53), func(s *Simulation) *uint64 { return &s.Seed }, fallback(0.0)),
	},
	blocks: []child{
		atLeastOne(many(trafficBlock, func(s *Simulation) *[]Traffic { return &s.Traffic })),
		perhaps(serviceBlock, func(s *Simulation) **Service { return &s.Service }),
		many(faultBlock, func(s *Simulation) *[]Fault { return &s.Faults }),
		many(changeBlock, func(s *Simulation) *[]SimulatedChange { return &s.Changes }),
		many(drainBlock, func(s *Simulation) *[]SimulatedDrain { return &s.Drains }),
		many(deployBlock, func(s *Simulation) *[]Deploy { return &s.Deploys }),
		many(expectBlock, func(s *Simulation) *[]Expect { return &s.Expects }),
	},
	finish: finishSimulation,
}

// finishSimulation checks what needs the whole block. The target is checked by
// checkSimulation, when the balancers are complete.
func finishSimulation(d *decoder, s *site, target any) {
	sim := target.(*Simulation)
	if sim.Warmup >= sim.Duration && sim.Duration > 0 {
		d.errorf(s.at("warmup"), "Out of range", "", "warmup %s must be shorter than duration %s.",
			formatDuration(sim.Warmup), formatDuration(sim.Duration))
	}
	d.needService(s, sim)
	windows := d.checkHappenings(s, sim)
	names := map[string]bool{}
	for n, e := range sim.Expects {
		place := s.child("expect", n)
		if names[e.Name] {
			d.errorf(place.label(0), "Duplicate name", "", "An expectation %q is there already.", e.Name)
		}
		names[e.Name] = true
		if !slices.Contains(windows, e.During) {
			d.errorf(place.at("during"), "Unknown window", didYouMean(e.During, windows),
				"during must be \"steady\", \"all\" or the name of a fault, change, drain or deploy, not %q.", e.During)
		}
	}
	names = map[string]bool{}
	for n, t := range sim.Traffic {
		if names[t.Name] {
			d.errorf(s.child("traffic", n).label(0), "Duplicate name", "", "Traffic %q is there already.", t.Name)
		}
		names[t.Name] = true
	}
}

// checkSimulation holds a simulation against the balancer that it aims at.
func (l *loader) checkSimulation(c *Config, sim *Simulation, s *site) {
	d := &decoder{l: l}
	lb := c.LoadBalancer(sim.Target)
	if lb == nil {
		return // reported where the reference stands
	}
	var names []string
	for _, listener := range lb.Listeners {
		names = append(names, listener.Name)
	}
	switch {
	case len(names) == 0:
		d.errorf(s.at("target"), "Nothing to send to", "Add a listener block.", "%s has no listener.", sim.Target)
		return
	case sim.Listener == "" && len(names) > 1:
		d.errorf(s.at("target"), "Which listener?", "Write listener = \""+names[0]+"\".", "%s has %d listeners.", sim.Target, len(names))
		return
	case sim.Listener == "":
		sim.Listener = names[0]
	}
	i := slices.Index(names, sim.Listener)
	if i < 0 {
		d.errorf(s.at("listener"), "No such listener", didYouMean(sim.Listener, names), "%s has no listener %q.", sim.Target, sim.Listener)
		return
	}
	if protocol := lb.Listeners[i].Protocol; !L7(protocol) {
		d.refuseHTTP(s, sim, protocol)
	}
	behind := c.servers(lb, lb.Listeners[i])
	for n, e := range sim.Expects {
		if e.Of != "" && !behind[e.Of] {
			d.errorf(s.child("expect", n).at("of"), "Not a backend", "", "%s is not behind %s.", e.Of, lb.Listeners[i].Address)
		}
	}
	d.checkTargets(c, s, sim, lb.Listeners[i].Address, behind)
}

// refuseHTTP reports what only simulations of listeners of HTTP can have.
func (d *decoder) refuseHTTP(s *site, sim *Simulation, protocol string) {
	for n := range sim.Traffic {
		for _, name := range []string{"session", "request"} {
			if place := s.child("traffic", n); place.has(name) {
				d.errorf(place.at(name), "Unused argument", "Remove it.", "%s is for %s; %s is %s.", name, l7, sim.Listener, protocol)
			}
		}
	}
	for n, e := range sim.Expects {
		if e.Metric == MetricUnrouted {
			d.errorf(s.child("expect", n).at("metric"), "Nothing to route", "Write metric = \"errors\".",
				"The metric unrouted is for %s; %s is %s.", l7, sim.Listener, protocol)
		}
	}
}

// group gives the named group, or the balancer's own backends as one.
func (c *Config) group(lb *LoadBalancer, name string) *ServerGroup {
	if g := c.ServerGroup(name); g != nil {
		return g
	}
	return &ServerGroup{Type: GroupVServer, Backends: lb.Backends}
}

// servers are the instances that a listener or one of its rules sends to.
func (c *Config) servers(lb *LoadBalancer, l *Listener) map[string]bool {
	groups := []*ServerGroup{c.group(lb, l.ServerGroup)}
	for _, r := range l.Rules {
		if r.Redirect == nil {
			groups = append(groups, c.group(lb, r.ServerGroup))
		}
	}
	instances := map[string]bool{}
	for _, g := range groups {
		for _, b := range g.Backends {
			instances[b.Instance] = true
		}
	}
	return instances
}
