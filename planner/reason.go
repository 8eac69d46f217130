package planner

import (
	"fmt"
	"strings"

	"slbctl/spec"
)

// kindWords turns load_balancer into words for a sentence.
func kindWords(kind string) string { return strings.ReplaceAll(kind, "_", " ") }

// form is how the wanted configuration writes a block.
type form struct{ single, counted, keyed bool }

// forms summarises the wanted blocks by their address without index.
func (g *ground) forms() map[string]form {
	all := map[string]form{}
	for a := range g.wanted {
		if module := spec.Module(a); module != "" {
			all[module] = form{single: true}
		}
		block := spec.BlockOf(a)
		if block == "" {
			all[a] = form{single: true}
			continue
		}
		f := all[block]
		isKey := strings.HasPrefix(a, block+`["`)
		f.counted, f.keyed = f.counted || !isKey, f.keyed || isKey
		all[block] = f
	}
	return all
}

// goneBecause says why a recorded resource is not to be any more.
func (g *ground) goneBecause(r *spec.Resource, o *outcome) string {
	if p := spec.Parent(r.Address); p != "" && o.next[p] == nil && g.recorded[p] != nil {
		return "its " + kindWords(g.recorded[p].Kind) + " is destroyed"
	}
	block, index := r.Address, ""
	if b := spec.BlockOf(r.Address); b != "" {
		block, index = b, strings.TrimPrefix(r.Address, b)
	}
	if module := spec.Module(r.Address); module != "" && g.blocks[module] == (form{}) {
		return module + " is not in configuration"
	}
	now, wanted := g.blocks[block]
	isKey := strings.HasPrefix(index, `["`)
	switch {
	case !wanted:
		return "not in configuration"
	case index == "":
		return "its block has count or for_each now"
	case now.single:
		return "its block has no count or for_each any more"
	case isKey && now.keyed:
		return "key " + index + " is not in for_each"
	case isKey:
		return "its block has count instead of for_each now"
	case now.counted:
		return "index " + index + " is out of range for count"
	}
	return "its block has for_each instead of count now"
}

// protected refuses a change that would end a protected resource. A recorded
// protection holds until an apply has taken it away.
func (g *ground) protected(c Change) error {
	if c.Action != Delete && c.Action != Replace {
		return nil
	}
	for _, r := range []*spec.Resource{g.recorded[c.Address], g.wanted[c.Address]} {
		if r == nil {
			continue
		}
		if by := protection(r); by != "" {
			return fmt.Errorf("%s is protected and may not be %sd (%s): %s is true; set it to false and apply that first", c.Address, c.Action, c.Reason, by)
		}
	}
	return nil
}

// protection names the attribute that protects r, or "".
func protection(r *spec.Resource) string {
	if r.PreventDestroy {
		return preventDestroyPath
	}
	for _, key := range []string{"deletion_protection", "delete_protection"} {
		if on, _ := r.Attributes[key].(bool); on {
			return key
		}
	}
	return ""
}

const preventDestroyPath = "lifecycle.prevent_destroy"
