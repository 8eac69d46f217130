package planner_test

import (
	"fmt"
	"testing"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/spec"
)

// TestDigestTellsApart gives every pair of different states another digest.
func TestDigestTellsApart(t *testing.T) {
	of := func(a attrs) *state.State {
		return &state.State{Resources: []spec.Resource{{Address: "a", Attributes: a}}}
	}
	two := of(nil)
	two.Resources = append(two.Resources, spec.Resource{Address: "b"})
	seeded, shifted := of(nil), of(nil)
	seeded.Seed, shifted.Runtime.PortOffset = 1, 1
	protected, replaced, referring := of(nil), of(nil), of(nil)
	protected.Resources[0].PreventDestroy = true
	replaced.Resources[0].Replacements = 1
	referring.Resources[0].Refs = []string{"b"}
	seen := map[string]string{}
	for i, s := range []*state.State{
		{}, of(nil), two, seeded, shifted, protected, replaced, referring,
		of(attrs{"x": nil}), of(attrs{"x": ""}), of(attrs{"x": 0.0}), of(attrs{"x": false}), of(attrs{"x": true}), of(attrs{"x": []any{}}),
		of(attrs{"x": attrs{}}), of(attrs{"x": []any{""}}), of(attrs{"x": "1"}), of(attrs{"x": 1.0}), of(attrs{"x": 16.0}),
		of(attrs{"x": []any{"ab", "c"}}), of(attrs{"x": []any{"a", "bc"}}), of(attrs{"x": []any{"a"}, "y": "b"}), of(attrs{"x": []any{"a", "b"}}),
		of(attrs{"x": attrs{"y": 1.0}, "z": 2.0}), of(attrs{"x": attrs{"y": 1.0, "z": 2.0}}), of(attrs{"y": nil}),
	} {
		d := planner.Digest(s)
		if other, ok := seen[d]; ok {
			t.Errorf("state %d has the digest of %s", i, other)
		}
		seen[d] = fmt.Sprintf("state %d", i)
		if planner.Digest(s) != d {
			t.Errorf("state %d has two digests", i)
		}
	}
}
