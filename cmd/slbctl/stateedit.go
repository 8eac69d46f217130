package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/runtime/durable"
	"slbctl/spec"
)

// lockFlags are those of commands that change the record and plan nothing.
type lockFlags struct {
	LockTimeout patienceValue `default:"0s" placeholder:"TIME" help:"Wait so long for another process that holds the state."`
}

// stateMvCmd records a resource under another address.
type stateMvCmd struct {
	From string `arg:"" name:"from" help:"The address that is recorded, such as instance.ECS01."`
	To   string `arg:"" name:"to" help:"The address that the configuration has for it."`
	lockFlags
}

func (c *stateMvCmd) Run(s *session) error {
	move, err := spec.NewMove(c.From, c.To)
	if err != nil {
		return &usageError{command: "state mv", detail: err.Error()}
	}
	plan, err := s.edit(c.lockFlags, func(in *planner.Input) { in.Moves = []spec.Move{move} })
	if err != nil {
		return err
	}
	var b strings.Builder
	for i := range plan.Changes {
		if ch := &plan.Changes[i]; ch.From != "" {
			fmt.Fprintf(&b, "%s is %s now.\n", ch.From, ch.Address)
		}
	}
	b.WriteString("Rename its block likewise, and what refers to it: then a plan has no changes.\n")
	if plan.RecordOnly {
		b.WriteString("The runtime did not hear of it: the next apply tells it.\n")
	}
	_, err = io.WriteString(s.stdout, b.String())
	return err
}

// stateRmCmd forgets resources.
type stateRmCmd struct {
	Addresses []string `arg:"" name:"addr" help:"What to forget, with what lies inside it."`
	lockFlags
}

func (c *stateRmCmd) Run(s *session) error {
	for i, a := range c.Addresses {
		address, _, err := spec.CanonicalAddress(a)
		if err != nil {
			return &usageError{command: "state rm", detail: err.Error()}
		}
		c.Addresses[i] = address
	}
	plan, err := s.edit(c.lockFlags, func(in *planner.Input) { in.Forget = c.Addresses })
	if err != nil {
		return err
	}
	var b strings.Builder
	for i := range plan.Changes {
		if ch := &plan.Changes[i]; ch.Forgets {
			fmt.Fprintf(&b, "%s is forgotten.\n", ch.Address)
		}
	}
	b.WriteString("What is forgotten runs on as it is: no plan changes it or ends it. If the configuration has it, the next\n" +
		"plan adds it, and apply takes it over as it runs; `slbctl destroy ADDR` ends it.\n")
	_, err = io.WriteString(s.stdout, b.String())
	return err
}

// edit changes what is recorded, as one transaction like an apply.
func (s *session) edit(f lockFlags, ask func(*planner.Input)) (plan *planner.Plan, err error) {
	g, err := s.prepare(variableFlags{}, f.LockTimeout, unused)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.unlock()) }()
	if g.state == nil {
		return nil, errNoState
	}
	in := planner.Input{State: g.state, Observed: g.seen, SkipTraffic: true}
	if in.LastSerial, err = g.store.LastSerial(); err != nil {
		return nil, err
	}
	ask(&in)
	if plan, err = planner.Make(in); err != nil {
		return nil, err
	}
	if err := planner.Apply(s.ctx, plan, g.store, g.runtime, planner.ApplyOptions{Wait: planner.WaitNone}, func(planner.Event) {}); err != nil {
		return nil, s.failed(g, plan, err)
	}
	return plan, nil
}

// statePushCmd records a document that state pull has printed.
type statePushCmd struct {
	File  string `arg:"" name:"file" help:"The document; - is standard input."`
	Force bool   `help:"Record it though it is of another lineage or older than what is recorded."`
	lockFlags
}

func (c *statePushCmd) Run(s *session) (err error) {
	given, err := s.readState(c.File)
	if err != nil {
		return err
	}
	g, err := s.prepare(variableFlags{}, c.LockTimeout, unused)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.unlock()) }()
	last, err := g.store.LastSerial()
	if err != nil {
		return err
	}
	next, err := planner.Pushed(given, g.state, last, c.Force)
	if err != nil {
		return err
	}
	if next == g.state {
		_, err := fmt.Fprintf(s.stdout, "This is what is recorded already, as serial %d.\n", next.Serial)
		return err
	}
	if err := g.record(next); err != nil {
		return err
	}
	lacking, err := g.store.Lacks(next)
	if err != nil {
		return err
	}
	for _, address := range lacking {
		s.note("Warning: what %s keeps secret is not here: an apply brings it.", address)
	}
	_, err = fmt.Fprintf(s.stdout, "The state is recorded, as serial %d. Nothing that runs has changed: `slbctl plan` shows what an apply would.\n", next.Serial)
	return err
}

func (s *session) readState(file string) (*state.State, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(s.stdin)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read the state to push: %w", err)
	}
	st, err := state.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s is not a whole state: %w", file, err)
	}
	return st, nil
}

// record makes a state the recorded one, by the journal.
func (g *ground) record(next *state.State) error {
	base := state.Base{Generation: g.seen.Generation, Hash: g.seen.Hash}
	if g.state != nil {
		base.Serial, base.Lineage = g.state.Serial, g.state.Lineage
	}
	if err := g.store.Begin(next, base); err != nil {
		return err
	}
	durable.Failpoint("record-begun")
	err := g.store.Commit()
	if err == nil {
		return nil
	}
	if _, outcome, recoverErr := g.store.Recover(live); recoverErr == nil && outcome == state.Dropped {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return fmt.Errorf("the state is taken, and the next command finishes its record: %w", err)
}
