package main

import (
	"context"
	"errors"
	"fmt"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/sim"
)

// exitCode is what the process tells its caller; scripts depend on each value.
type exitCode int

const (
	exitOK           exitCode = 0
	exitError        exitCode = 1
	exitChanges      exitCode = 2  // plan -detailed-exitcode, fmt -check
	exitFailed       exitCode = 3  // an expectation failed; a change was rolled back
	exitInconclusive exitCode = 4  // not enough data to say
	exitLocked       exitCode = 5  // another process holds the state's lock
	exitStale        exitCode = 6  // a saved plan does not fit any more
	exitInterrupted  exitCode = 7  // stopped by a signal, nothing lost
	exitUsage        exitCode = 64 // unknown command, flag or argument
)

// outcome ends a command that has said all there is to say.
type outcome exitCode

func (o outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }

// usageError is a command line that does not parse.
type usageError struct {
	detail  string
	command string // whose help to read; "" is slbctl's own
}

func (e *usageError) Error() string { return e.detail }

// errInterrupted is the cause of a context that a signal has cancelled.
var errInterrupted = errors.New("interrupted")

// errCancelled is a question that was not answered with yes.
var errCancelled = errors.New("the answer was not 'yes': nothing was changed")

// codeOf maps an error to its exit code.
func codeOf(err error) exitCode {
	var (
		end    outcome
		usage  *usageError
		verify *planner.VerifyError
		locked *state.LockedError
		stale  *planner.StaleError
		broken *planner.ExpectationError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &end):
		return exitCode(end)
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &verify):
		return exitFailed
	case errors.As(err, &broken) && broken.Verdict() == sim.Inconclusive:
		return exitInconclusive
	case errors.As(err, &broken):
		return exitFailed
	case errors.As(err, &locked):
		return exitLocked
	case errors.As(err, &stale):
		return exitStale
	}
	return exitError
}
