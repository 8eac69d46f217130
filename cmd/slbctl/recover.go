package main

import (
	"errors"
	"fmt"

	"slbctl/planner/state"
	"slbctl/runtime"
	"slbctl/runtime/control"
)

// stateRecoverCmd makes a state where it is lost.
type stateRecoverCmd struct {
	lockFlags
}

func (c *stateRecoverCmd) Run(s *session) (err error) {
	g := &ground{store: s.store(), runtime: &daemon{}}
	if g.unlock, err = g.lock(s, c.LockTimeout); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.unlock()) }()
	var corrupt *state.CorruptError
	g.state, _, err = g.store.Recover(live)
	switch {
	case errors.As(err, &corrupt) && corrupt.Path == g.store.Path():
	case err != nil:
		return err
	case g.state != nil:
		return fmt.Errorf("there is a state, of serial %d: nothing to recover", g.state.Serial)
	}
	next, how, err := g.fromRuntime()
	if err != nil {
		return err
	}
	if corrupt != nil {
		aside, err := g.store.PutAside()
		if err != nil {
			return err
		}
		s.note("The state that does not read is kept as %s.", aside)
	}
	if err := g.record(next); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.stdout, "The state is recorded again, as serial %d with %s, %s.\n", next.Serial, count(int64(len(next.Resources)), "resource"), how)
	return err
}

// fromRuntime is the state of what the daemon has committed to: as the history has it,
// or else made from the daemon's own configuration.
func (g *ground) fromRuntime() (next *state.State, how string, err error) {
	config, runs, err := runtime.CommittedConfig(workingFolder)
	if err != nil {
		return nil, "", err
	}
	if config == nil {
		return nil, "", errors.New("nothing to recover from: no daemon has run anything in this folder")
	}
	last, err := g.store.LastSerial()
	if err != nil {
		return nil, "", err
	}
	kept, err := g.recordOf(runs)
	if err != nil {
		return nil, "", err
	}
	if kept != nil {
		how = fmt.Sprintf("as serial %d of the history has what runs", kept.Serial)
		same := *kept
		same.Serial = last + 1
		return &same, how, nil
	}
	// The lineage is that of what runs, so that two plans by it are of one state.
	return &state.State{
		Lineage: runs.Hash[:min(len(runs.Hash), 32)], Serial: last + 1, Generation: runs.Generation, ConfigHash: runs.Hash,
		Seed: config.Seed, Runtime: config.Runtime, Resources: config.Resources(),
	}, "as the daemon has it; the next apply brings the outputs", nil
}

// recordOf is the newest state of the history that a generation was recorded as, or nil.
func (g *ground) recordOf(runs control.Generation) (found *state.State, err error) {
	serials, err := g.store.History()
	if err != nil {
		return nil, err
	}
	for _, n := range serials {
		st, err := g.store.LoadHistory(n)
		var corrupt *state.CorruptError
		switch {
		case errors.As(err, &corrupt):
		case err != nil:
			return nil, err
		case st.Generation == runs.Generation && st.ConfigHash == runs.Hash:
			found = st
		}
	}
	return found, nil
}

// adopt goes by what runs where the state is gone: without it a plan would add what is
// there, and destroy would end nothing that it knows of. Nothing is written.
func (g *ground) adopt() (warning string, err error) {
	config, runs, err := runtime.CommittedConfig(workingFolder)
	var damaged *runtime.DamagedError
	if errors.As(err, &damaged) || err == nil && (config == nil || len(config.Resources()) == 0) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	next, how, err := g.fromRuntime()
	if err != nil {
		return "", err
	}
	next.Serial-- // nobody has recorded it yet
	g.state = next
	return fmt.Sprintf("%s is gone, and the runtime has generation %d: this goes by that, %s. An apply records it again, and so does `slbctl state recover`",
		g.store.Path(), runs.Generation, how), nil
}
