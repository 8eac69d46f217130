package planner

import (
	"fmt"
	"slices"

	"slbctl/planner/state"
	"slbctl/spec"
)

// Counts are how many resources there are after a step of a state's history, and how
// many it has added, changed and destroyed. A replacement is one added and one destroyed.
type Counts struct{ Resources, Added, Changed, Destroyed int }

// Between compares two recorded states; nil is nothing. A resource is the same one by its
// id, whatever its address.
func Between(before, after *state.State) Counts {
	byID := map[string]*spec.Resource{}
	if before != nil {
		for i := range before.Resources {
			byID[before.Resources[i].ID] = &before.Resources[i]
		}
	}
	n := Counts{Resources: len(after.Resources)}
	for i := range after.Resources {
		a := &after.Resources[i]
		b := byID[a.ID]
		delete(byID, a.ID)
		switch {
		case b == nil:
			n.Added++
		case a.Address != b.Address || a.Forgotten != b.Forgotten || len(changedPaths(b, a)) > 0:
			n.Changed++
		}
	}
	n.Destroyed = len(byID)
	return n
}

// Pushed returns the state that takes the place of the recorded one, which may be nil,
// and a *LossError where that would lose something: force says to do it nevertheless.
// Its serial is above all that the history knows; what runs is for the next plan.
func Pushed(given, recorded *state.State, last uint64, force bool) (*state.State, error) {
	if recorded != nil && recorded.Lineage == given.Lineage && recorded.Serial == given.Serial && same(recorded, given) {
		return recorded, nil
	}
	next := *given
	if recorded != nil && !force {
		switch {
		case recorded.Lineage != given.Lineage:
			return nil, &LossError{"it is of another lineage: " + given.Lineage + " instead of " + recorded.Lineage}
		case recorded.Serial > given.Serial:
			return nil, &LossError{serials(given.Serial, recorded.Serial, "is older than")}
		case recorded.Serial == given.Serial:
			return nil, &LossError{serials(given.Serial, recorded.Serial, "has another content than")}
		}
	}
	if recorded != nil {
		last = max(last, recorded.Serial)
		next.Generation = max(next.Generation, recorded.Generation)
	}
	next.Serial = max(next.Serial, last+1)
	next.ConfigHash = Digest(&next)
	if _, err := configOf(&next); err != nil {
		return nil, err
	}
	return &next, nil
}

func same(a, b *state.State) bool {
	return Digest(a) == Digest(b) && slices.EqualFunc(a.Outputs, b.Outputs, func(a, b spec.Output) bool {
		return a.Name == b.Name && equal(a.Value, b.Value)
	})
}

func serials(given, recorded uint64, is string) string {
	return fmt.Sprintf("its serial %d %s the recorded %d", given, is, recorded)
}

// LossError is a state that was not pushed, since it would take the place of another
// one that may be needed.
type LossError struct{ Why string }

func (e *LossError) Error() string {
	return "the given state is not recorded, because something would be lost: " + e.Why + "; give -force to do it nevertheless (the history keeps what is recorded now)"
}
