package planner

import (
	"fmt"
	"slices"

	"slbctl/planner/state"
	"slbctl/spec"
)

// Make plans. Its errors name resources and say what to do about them.
func Make(in Input) (*Plan, error) {
	in, err := in.settled()
	if err != nil {
		return nil, err
	}
	ground, err := survey(in)
	if err != nil {
		return nil, err
	}
	target, err := ground.decide(in)
	if err != nil {
		return nil, err
	}
	p := &Plan{Runtime: ground.runtimeChange(in), Warnings: slices.Clone(in.Warnings), Notes: slices.Clone(in.Notes), RecordOnly: in.recordOnly()}
	if len(in.Targets) > 0 && !in.Destroy {
		p.Warnings = append(p.Warnings, "this plan covers the targets and what they need; the rest, and all outputs, stay as they are recorded")
	}
	var wrong problems
	p.Changes = make([]Change, 0, len(ground.addresses))
	for _, address := range ground.addresses {
		if ground.recorded[address] == nil && target.next[address] == nil {
			continue // wanted, but not selected
		}
		c := ground.change(address, target, in)
		if err := ground.protected(c); err != nil {
			wrong.add(err)
		}
		p.Changes = append(p.Changes, c)
	}
	if err := ground.standing(target); err != nil {
		wrong.add(err)
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	p.noteForgotten()
	p.noteDrained(in)
	if err := p.finish(in, ground); err != nil {
		return nil, err
	}
	if err := p.judge(in, ground); err != nil {
		return nil, err
	}
	return p, nil
}

// ground is the three-way comparison's material, by resource address.
type ground struct {
	recorded  map[string]*spec.Resource
	wanted    map[string]*spec.Resource
	addresses []string // of both, sorted
	children  map[string][]string
	blocks    map[string]form   // wanted ones
	ids       map[string]bool   // of recorded resources; nil until one is new or replaced
	from      map[string]string // where what moves is recorded, by its new address
}

func survey(in Input) (*ground, error) {
	g := &ground{wanted: map[string]*spec.Resource{}, children: map[string][]string{}}
	if in.Config != nil {
		resources := in.Config.Resources()
		g.wanted = make(map[string]*spec.Resource, len(resources))
		g.addresses = make([]string, 0, len(resources))
		for i := range resources {
			r := &resources[i]
			g.wanted[r.Address] = r
			g.addresses = append(g.addresses, r.Address)
		}
	}
	recorded, err := modernise(g.renamed(in), g.wanted)
	if err != nil {
		return nil, err
	}
	g.recorded = make(map[string]*spec.Resource, len(recorded))
	for i := range recorded {
		r := &recorded[i]
		g.recorded[r.Address] = r
		if g.wanted[r.Address] == nil {
			g.addresses = append(g.addresses, r.Address)
		}
	}
	slices.SortFunc(g.addresses, spec.CompareAddresses)
	for _, a := range g.addresses {
		if p := spec.Parent(a); p != "" {
			g.children[p] = append(g.children[p], a)
		}
	}
	g.ignore()
	g.blocks = g.forms()
	return g, nil
}

// outcome is which resources there are to be, and why others are not.
type outcome struct {
	next map[string]*spec.Resource
	why  map[string]string // reasons, by address; deletes without one get the usual
}

// decide turns the flags into an outcome.
func (g *ground) decide(in Input) (*outcome, error) {
	replaced, err := g.expand("-replace", in.Replace)
	if err != nil {
		return nil, err
	}
	targets, err := g.expand("target", in.Targets)
	if err != nil {
		return nil, err
	}
	var o *outcome
	switch {
	case in.Destroy && len(in.Targets) > 0:
		o, err = g.destroySome(targets)
	case in.Destroy:
		o = g.destroyAll()
	case len(in.Targets) > 0:
		o = g.selectSome(targets)
	default:
		o = &outcome{next: g.wanted, why: map[string]string{}}
	}
	if err != nil {
		return nil, err
	}
	g.keepForgotten(o, in)
	for _, a := range replaced {
		if g.recorded[a] != nil && o.next[a] != nil {
			o.why[a] = replaceAsked
		}
	}
	return o, nil
}

// change compares one resource's recorded and next form.
func (g *ground) change(address string, o *outcome, in Input) Change {
	before, after := g.recorded[address], o.next[address]
	switch {
	case before == nil || after != nil && before.Forgotten && !after.Forgotten:
		c := Change{Address: address, Kind: after.Kind, Name: after.Name, Action: Create}
		if before != nil {
			c.Reason = "it was forgotten and runs: it is taken over as it is"
			c.After = g.identified(after, before.ID, before.Replacements)
			return c
		}
		c.After = g.identified(after, "", after.Replacements)
		return c
	case after == nil:
		c := Change{Address: address, Kind: before.Kind, Name: before.Name, Action: Delete, Before: before}
		if c.Reason = o.why[address]; c.Reason == "" {
			c.Reason = g.goneBecause(before, o)
		}
		return c
	}
	c := g.revision(before, after, o.why[address], in)
	switch c.From, c.Forgets = g.from[address], after.Forgotten && !before.Forgotten; {
	case c.Forgets:
		c.Reason = "it is forgotten and runs on; no plan is about it any more"
	case c.Reason == "" && c.From != "":
		c.Reason = "it was " + c.From
	}
	return c
}

// revision is the change of a resource that was and will be.
func (g *ground) revision(before, after *spec.Resource, why string, in Input) Change {
	c := Change{Address: after.Address, Kind: after.Kind, Name: after.Name, Action: NoOp, Before: before}
	id, replacements := before.ID, before.Replacements
	if drifted, reason := g.drift(before, after, in); drifted != nil {
		c.Before, c.Reason = drifted, reason
	}
	c.Changed = changedPaths(c.Before, after)
	forced := ""
	if len(c.Changed) > 0 {
		forced = forcedBy(c.Before, after)
	}
	switch {
	case why == replaceAsked:
		c.Action, c.Reason = Replace, why
	case forced != "":
		c.Action, c.Reason = Replace, forced+" forces replacement"
	case len(c.Changed) > 0:
		c.Action = Update
		switch {
		case why != "":
			c.Reason = why
		case in.RefreshOnly:
			c.Reason = byHand(after.Attributes["status"])
		}
	}
	if c.Action == Replace {
		id = ""
		replacements++
	}
	c.After = g.identified(after, id, replacements)
	return c
}

const replaceAsked = "replacement was asked for"

// identified returns r with this id, or without one with that of its address and this
// count of replacements that no other resource has.
func (g *ground) identified(r *spec.Resource, id string, replacements int) *spec.Resource {
	if id == "" {
		if g.ids == nil {
			g.ids = make(map[string]bool, len(g.recorded))
			for _, known := range g.recorded {
				g.ids[known.ID] = true
			}
		}
		id, replacements = spec.FreeID(r.Address, replacements, g.ids)
	}
	if r.Replacements == replacements && r.ID == id {
		return r
	}
	same := *r
	same.Replacements, same.ID = replacements, id
	return &same
}

// drift returns an instance as it was observed, when somebody has stopped or
// started it against the configuration. Where the configuration wants by now
// what was done by hand, there is nothing to undo, only something to record.
func (g *ground) drift(recorded, wanted *spec.Resource, in Input) (observed *spec.Resource, reason string) {
	status, _ := recorded.Attributes["status"].(string)
	address := recorded.Address
	if from := g.from[address]; from != "" {
		address = from
	}
	seen, known := in.Observed.Instances[address]
	if in.SkipRefresh || !in.Observed.Running || !known || seen == status || seen == wanted.Attributes["status"] || ignores(wanted, "status") {
		return nil, ""
	}
	real := *recorded
	real.Attributes = make(map[string]any, len(recorded.Attributes))
	for k, v := range recorded.Attributes {
		real.Attributes[k] = v
	}
	real.Attributes["status"] = seen
	return &real, byHand(seen)
}

func byHand(status any) string {
	if status == spec.StatusRunning {
		return "started outside of the configuration"
	}
	return "stopped outside of the configuration"
}

// finish fills in the next state and what follows from it.
func (p *Plan) finish(in Input, g *ground) error {
	p.Base = state.Base{Generation: in.Observed.Generation, Hash: in.Observed.Hash}
	next := &state.State{Lineage: in.Lineage}
	if in.State != nil {
		*next = *in.State
		p.Base.Serial = in.State.Serial
	} else if in.Config != nil {
		next.Seed = in.Config.Seed
	}
	settings := wantedSettings(in)
	var err error
	if p.Outputs, next.Outputs, err = p.outputChanges(in); err != nil {
		return err
	}
	p.Next = next
	if !p.HasChanges() {
		p.keepSecrets(in.Config)
		return nil
	}
	next.Serial = max(next.Serial, in.LastSerial) + 1
	next.Runtime = settings
	next.Resources = nil
	for i := range p.Changes {
		if after := p.Changes[i].After; after != nil {
			next.Resources = append(next.Resources, *after)
		}
	}
	p.keepSecrets(in.Config)
	if !p.asksRuntime() {
		if len(in.Moves) > 0 {
			next.ConfigHash = Digest(next) // so that the next plan brings the runtime up to date
		}
		return nil
	}
	next.Generation = max(next.Generation, in.Observed.Generation) + 1
	next.ConfigHash = Digest(next)
	if in.SkipTraffic {
		return nil
	}
	return p.foresee(g.renamed(in), g.drained(in), in.Observed)
}

// keepSecrets takes from a configuration the secrets that the next state refers to. Those
// of outputs are there already.
func (p *Plan) keepSecrets(c *spec.Config) {
	if c == nil || len(c.Secrets) == 0 {
		return
	}
	for i := range p.Next.Resources {
		spec.EachSecret(p.Next.Resources[i].Attributes, func(digest string) {
			if text, ok := c.Secrets[digest]; ok {
				p.keep(digest, text)
			}
		})
	}
}

func (p *Plan) keep(digest, text string) {
	if p.Secrets == nil {
		p.Secrets = map[string]string{}
	}
	p.Secrets[digest] = text
}

// Config returns the configuration of a plan's next state, for the runtime. It is to be
// read only: it is made once.
func (p *Plan) Config() (c *spec.Config, err error) {
	if p.config == nil {
		p.config, err = configOf(p.Next)
	}
	return p.config, err
}

func configOf(s *state.State) (*spec.Config, error) {
	if s == nil {
		return &spec.Config{}, nil
	}
	c, err := spec.FromResources(s.Resources, s.Runtime, s.Seed)
	if err != nil {
		return nil, fmt.Errorf("plan: build the configuration: %w", err)
	}
	return c, nil
}
