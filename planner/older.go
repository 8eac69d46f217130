package planner

import (
	"fmt"

	"slbctl/planner/state"
	"slbctl/spec"
)

// modernise returns the recorded resources as this version would record them: what
// an older one did not know has its default, so that another version of slbctl is
// no change in itself. That is done only where names of attributes give cause: the
// way through a configuration is the longest part of a plan.
func modernise(s *state.State, wanted map[string]*spec.Resource) ([]spec.Resource, error) {
	if s == nil {
		return nil, nil
	}
	for i := range s.Resources {
		r := &s.Resources[i]
		if w := wanted[r.Address]; w == nil || sameNames(r.Attributes, w.Attributes) {
			continue
		}
		c, err := spec.FromResources(s.Resources, s.Runtime, s.Seed)
		if err != nil {
			return nil, fmt.Errorf("plan: read what is recorded: %w", err)
		}
		return c.Resources(), nil
	}
	return s.Resources, nil
}

// sameNames says whether objects have the same attributes, whatever their values,
// and so have the objects inside. Elements of lists are compared in pairs: of those
// that one version has recorded, one is like the other.
func sameNames(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			return true
		}
		if len(a) != len(b) {
			return false
		}
		for name, v := range a {
			w, both := b[name]
			if !both || !sameNames(v, w) {
				return false
			}
		}
	case []any:
		b, _ := b.([]any)
		for i := range min(len(a), len(b)) {
			if !sameNames(a[i], b[i]) {
				return false
			}
		}
	}
	return true
}
