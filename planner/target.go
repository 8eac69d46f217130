package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"slbctl/spec"
)

// expand resolves addresses as a user gives them. The address of a block with
// count or for_each means all of its resources, that of a module all that there is in it.
func (g *ground) expand(flag string, asked []string) ([]string, error) {
	var found []string
	var wrong problems
	for _, a := range asked {
		before := len(found)
		for _, known := range g.addresses {
			if known == a || spec.BlockOf(known) == a || spec.InModule(known, a) {
				found = append(found, known)
			}
		}
		if len(found) == before {
			wrong.add(fmt.Errorf("%s %s: there is no such resource%s", flag, a, near(g.addresses, a)))
		}
	}
	slices.SortFunc(found, spec.CompareAddresses)
	return slices.Compact(found), wrong.err()
}

// near names the known addresses that look most like a, three at most.
func near(addresses []string, a string) string {
	best := max(2, len(a)/3)
	var names []string
	for _, known := range addresses {
		switch d := levenshtein.Distance(a, known, nil); {
		case d < best:
			best, names = d, []string{known}
		case d == best && len(names) < 3:
			names = append(names, known)
		}
	}
	if names == nil {
		return ""
	}
	return "; did you mean " + strings.Join(names, " or ") + "?"
}

// selectSome takes the targets, their children and what they need from what is
// wanted, and leaves the rest as it is recorded.
func (g *ground) selectSome(targets []string) *outcome {
	chosen := map[string]bool{}
	for _, t := range targets {
		g.choose(t, chosen)
		for _, a := range g.children[t] {
			g.choose(a, chosen)
		}
	}
	for {
		o := &outcome{next: map[string]*spec.Resource{}, why: map[string]string{}}
		for _, a := range g.addresses {
			from := g.recorded
			if chosen[a] {
				from = g.wanted
			}
			if r := from[a]; r != nil {
				o.next[a] = r
			}
		}
		// What stays as recorded may point at something that goes: then it has
		// to follow the configuration too, where nothing points at nothing.
		more := false
		for a, r := range o.next {
			if chosen[a] {
				continue
			}
			for _, ref := range g.pointers(r) {
				if o.next[ref] == nil {
					g.choose(a, chosen)
					more = true
					break
				}
			}
		}
		if !more {
			return o
		}
	}
}

// choose adds an address and all that its wanted form needs.
func (g *ground) choose(address string, chosen map[string]bool) {
	if chosen[address] {
		return
	}
	chosen[address] = true
	r := g.wanted[address]
	if r == nil {
		// It goes, and so does what lies inside it.
		for _, a := range g.children[address] {
			g.choose(a, chosen)
		}
		return
	}
	for _, ref := range g.pointers(r) {
		g.choose(ref, chosen)
	}
	for _, ref := range r.Refs {
		g.choose(ref, chosen)
	}
}

// pointers lists the resources that r cannot do without: its parent, and those
// whose addresses stand in its attributes.
func (g *ground) pointers(r *spec.Resource) []string {
	var found []string
	if p := spec.Parent(r.Address); p != "" {
		found = append(found, p)
	}
	walkStrings(r.Attributes, func(s string) {
		if s != r.Address && (g.recorded[s] != nil || g.wanted[s] != nil) {
			found = append(found, s)
		}
	})
	slices.Sort(found)
	return slices.Compact(found)
}

func walkStrings(v any, visit func(string)) {
	switch v := v.(type) {
	case string:
		visit(v)
	case []any:
		for _, e := range v {
			walkStrings(e, visit)
		}
	case map[string]any:
		for _, e := range v {
			walkStrings(e, visit)
		}
	}
}
