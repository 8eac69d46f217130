package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"slbctl/planner/state"
	"slbctl/spec"
)

// renamed returns the recorded state with the moves made: what is recorded is found
// under the address that the configuration has for it.
func (g *ground) renamed(in Input) *state.State {
	if in.renames != nil {
		return g.under(in.State, in.renames)
	}
	moves := in.Moves
	if in.Config != nil && len(moves) == 0 {
		moves = in.Config.Moves
	}
	if in.State == nil || len(moves) == 0 {
		return in.State
	}
	return g.under(in.State, spec.Renames(addressesOf(in.State.Resources), moves))
}

// under is a state whose resources have other addresses.
func (g *ground) under(st *state.State, to map[string]string) *state.State {
	g.from = make(map[string]string, len(to))
	for old, address := range to {
		g.from[address] = old
	}
	same := *st
	same.Resources = spec.Rename(st.Resources, to)
	return &same
}

// ignore leaves attributes as they are recorded where lifecycle.ignore_changes says so.
func (g *ground) ignore() {
	for address, w := range g.wanted {
		r := g.recorded[address]
		if r == nil || len(w.IgnoreChanges) == 0 {
			continue
		}
		same := *w
		same.Attributes = maps.Clone(w.Attributes)
		for name := range w.Attributes {
			if v, known := r.Attributes[name]; known && ignores(w, name) {
				same.Attributes[name] = v
			}
		}
		g.wanted[address] = &same
	}
}

func ignores(r *spec.Resource, attribute string) bool {
	return slices.Contains(r.IgnoreChanges, attribute) || slices.Contains(r.IgnoreChanges, spec.IgnoreAll)
}

// keepForgotten adds to an outcome what runs on though no plan is about it: what was
// forgotten before, unless the configuration has it again or its end was asked for,
// and what a removed block wants forgotten.
func (g *ground) keepForgotten(o *outcome, in Input) {
	kept := map[string]*spec.Resource{}
	for address, r := range g.recorded {
		if o.next[address] != nil || in.Destroy && o.why[address] != "" {
			continue
		}
		switch removal := removalOf(address, in); {
		case r.Forgotten:
			kept[address] = r
		case removal == nil:
		case removal.Destroy:
			o.why[address] = "a removed block says so"
		default:
			same := *r
			same.Forgotten, same.PreventDestroy = true, false
			kept[address] = &same
		}
	}
	if len(kept) == 0 {
		return
	}
	maps.Copy(kept, o.next)
	o.next = kept
}

// removalOf is the removed block about a resource, or about one that it lies in.
func removalOf(address string, in Input) *spec.Removal {
	if in.Config == nil {
		return nil
	}
	var nearest *spec.Removal
	for i := range in.Config.Removals {
		if r := &in.Config.Removals[i]; spec.Within(address, r.From) && (nearest == nil || len(r.From) > len(nearest.From)) {
			nearest = r
		}
	}
	return nearest
}

// standing refuses to take from what is forgotten and runs on what it stands on.
func (g *ground) standing(o *outcome) error {
	var wrong problems
	for _, a := range g.addresses {
		r := o.next[a]
		if r == nil || !r.Forgotten {
			continue
		}
		for _, ref := range g.pointers(r) {
			if o.next[ref] == nil {
				wrong.add(fmt.Errorf("%s is forgotten and runs on, and it needs %s, which would be destroyed: end it first with slbctl destroy '%s'", a, ref, a))
			}
		}
	}
	return wrong.err()
}

// noteForgotten tells of what runs beside the configuration.
func (p *Plan) noteForgotten() {
	forgotten := map[string]bool{}
	var names []string
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.After == nil || !c.After.Forgotten {
			continue
		}
		forgotten[c.Address] = true
		if !c.Forgets && !forgotten[spec.Parent(c.Address)] {
			names = append(names, c.Address)
		}
	}
	if len(names) > 0 {
		p.Notes = append(p.Notes, strings.Join(names, ", ")+" runs on though it is forgotten: slbctl destroy ADDR ends it")
	}
}

// settled turns what stands for a configuration into one.
func (in Input) settled() (Input, error) {
	if in.State == nil && in.Earlier != nil {
		// The folder's state is gone; what comes back is the same one nevertheless.
		in.State = &state.State{Lineage: in.Earlier.Lineage, Seed: in.Earlier.Seed, Runtime: in.Earlier.Runtime}
	}
	switch {
	case in.Earlier != nil:
		return in.rolledBack()
	case in.State == nil:
	case in.RefreshOnly:
		return in.recordedAs(in.observed)
	case len(in.Moves) > 0:
		return in.recordedAs(in.movedByHand)
	case len(in.Forget) > 0:
		return in.recordedAs(in.forgotten)
	}
	return in, nil
}

// recordOnly says whether the runtime has no part in it. What has other names is told to
// a runtime that runs what is recorded.
func (in Input) recordOnly() bool {
	upToDate := in.Observed.Running && in.State != nil && in.Observed.Hash == in.State.ConfigHash
	return in.RefreshOnly || len(in.Forget) > 0 || len(in.Moves) > 0 && !upToDate
}

// rolledBack is the input for a plan of an earlier recorded configuration. What has got
// another address since, by its id, is moved back.
func (in Input) rolledBack() (Input, error) {
	now := map[string]bool{}
	for i := range in.State.Resources {
		now[in.State.Resources[i].Address] = true
	}
	earlier := *in.Earlier
	earlier.Resources = slices.DeleteFunc(slices.Clone(in.Earlier.Resources), func(r spec.Resource) bool {
		return r.Forgotten && !now[r.Address] // it has ended since
	})
	c, err := configOf(&earlier)
	if err != nil {
		return in, err
	}
	c.Outputs = earlier.Outputs
	in.Config, in.recorded = c, true
	in.renames = movedBack(in.State.Resources, earlier.Resources)
	return in, nil
}

// movedBack gives resources that are recorded now the addresses that they had earlier, by
// their ids, and what lies in them with them. An address that another one has now cannot
// be given: that one has to go first, and both are as if they had not been before.
func movedBack(now, earlier []spec.Resource) map[string]string {
	address, there := map[string]string{}, map[string]bool{}
	for i := range earlier {
		address[earlier[i].ID] = earlier[i].Address
	}
	for i := range now {
		there[now[i].Address] = true
	}
	renames := map[string]string{}
	for i := range now { // those that others lie in come first
		r := &now[i]
		to := address[r.ID]
		if p := spec.Parent(r.Address); to == "" && renames[p] != "" {
			to = renames[p] + strings.TrimPrefix(r.Address, p)
		}
		if to != "" && to != r.Address && !there[to] && (spec.Parent(to) == "" || there[spec.Parent(to)]) {
			renames[r.Address], there[to] = to, true
		}
	}
	return renames
}

// recordedAs is the input for a plan of what is recorded but for some resources.
func (in Input) recordedAs(change func([]spec.Resource) ([]spec.Resource, error)) (Input, error) {
	same := *in.State
	var err error
	if same.Resources, err = change(slices.Clone(in.State.Resources)); err != nil {
		return in, err
	}
	c, err := configOf(&same)
	if err != nil {
		return in, err
	}
	c.Outputs = in.State.Outputs
	in.Config, in.recorded, in.SkipRefresh = c, true, true
	return in, nil
}

// observed gives instances the status that they have.
func (in Input) observed(resources []spec.Resource) ([]spec.Resource, error) {
	for i := range resources {
		r := &resources[i]
		if seen, known := in.Observed.Instances[r.Address]; known && in.Observed.Running && seen != r.Attributes["status"] {
			r.Attributes = maps.Clone(r.Attributes)
			r.Attributes["status"] = seen
		}
	}
	return resources, nil
}

// movedByHand gives resources their new addresses, if there is anything to move and
// nothing at those addresses.
func (in Input) movedByHand(resources []spec.Resource) ([]spec.Resource, error) {
	addresses := addressesOf(resources)
	renamed := spec.Renames(addresses, in.Moves)
	var wrong problems
	for _, m := range in.Moves {
		moves := func(address string) bool {
			return address == m.From || spec.BlockOf(address) == m.From || spec.InModule(address, m.From)
		}
		i := slices.IndexFunc(addresses, moves)
		switch {
		case i < 0:
			wrong.add(fmt.Errorf("%s is not in the state%s", m.From, near(addresses, m.From)))
		case renamed[addresses[i]] == "":
			wrong.add(fmt.Errorf("%s is in the state already: %s cannot take its place", m.To, m.From))
		}
	}
	return spec.Rename(resources, renamed), wrong.err()
}

// forgotten marks resources, and what lies in them, as such.
func (in Input) forgotten(resources []spec.Resource) ([]spec.Resource, error) {
	var wrong problems
	for _, a := range in.Forget {
		known := false
		for i := range resources {
			r := &resources[i]
			if !r.Forgotten && spec.Within(r.Address, a) {
				r.Forgotten, r.PreventDestroy, known = true, false, true
			}
		}
		if !known {
			wrong.add(fmt.Errorf("%s is not in the state%s", a, near(addressesOf(resources), a)))
		}
	}
	return resources, wrong.err()
}

func addressesOf(resources []spec.Resource) []string {
	addresses := make([]string, len(resources))
	for i := range resources {
		addresses[i] = resources[i].Address
	}
	return addresses
}

// noteDrained tells of what gets no traffic whatever the configuration says.
func (p *Plan) noteDrained(in Input) {
	if len(in.Drained) > 0 {
		p.Notes = append(p.Notes, strings.Join(in.Drained, ", ")+" was drained by hand and stays so: slbctl undrain ADDR ends it")
	}
}

// drained is what was drained by hand, under the addresses that it will have.
func (g *ground) drained(in Input) []string {
	renamed := make(map[string]string, len(g.from))
	for to, from := range g.from {
		renamed[from] = to
	}
	out := make([]string, len(in.Drained))
	for i, a := range in.Drained {
		out[i] = spec.RenameServer(a, renamed)
	}
	return out
}
