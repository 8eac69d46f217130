package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/runtime/control"
	"slbctl/sim"
	"slbctl/spec"
)

// TestCodeOf holds the contract: scripts depend on these numbers.
func TestCodeOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want exitCode
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{spec.Diagnostics{{Severity: spec.SeverityError}}, 1},
		{&planner.RefusedError{}, 1},
		{errCancelled, 1},
		{outcome(exitChanges), 2},
		{outcome(exitFailed), 3},
		{&planner.VerifyError{}, 3},
		{asPlanned(&control.Error{Code: control.CodeVerify, Message: "x"}, 1), 3},
		{&planner.ExpectationError{Broken: []sim.Promise{{Verdict: sim.Inconclusive}, {Verdict: sim.Fail}}}, 3},
		{outcome(exitInconclusive), 4},
		{&planner.ExpectationError{Broken: []sim.Promise{{Verdict: sim.Inconclusive}}}, 4},
		{&state.LockedError{}, 5},
		{&planner.StaleError{}, 6},
		{asPlanned(&control.Error{Code: control.CodeStale, Message: "x"}, 1), 6},
		{asPlanned(&control.Error{Code: control.CodeRefused, Message: "x"}, 1), 1},
		{asPlanned(&control.Error{Code: control.CodeNotFound, Message: "x"}, 1), 1},
		{fmt.Errorf("somewhere: %w", errInterrupted), 7},
		{context.Canceled, 7},
		{&usageError{}, 64},
		{fmt.Errorf("while unlocking: %w", errors.Join(&state.LockedError{}, errors.New("other"))), 5},
		{errors.Join(errInterrupted, &planner.VerifyError{}), 7},
	} {
		if got := codeOf(tt.err); got != tt.want {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.want)
		}
	}
}
