package main

import (
	"errors"
	"fmt"
	"slices"

	"slbctl/planner"
	"slbctl/spec"
)

// stateCmd looks into the recorded state, or mends it.
type stateCmd struct {
	List    stateListCmd    `cmd:"" help:"List the recorded resources."`
	Show    stateShowCmd    `cmd:"" help:"Show one of them."`
	History stateHistoryCmd `cmd:"" help:"List what was recorded before."`
	Mv      stateMvCmd      `cmd:"" help:"Record a resource under another address."`
	Rm      stateRmCmd      `cmd:"" help:"Forget a resource without destroying it."`
	Pull    statePullCmd    `cmd:"" help:"Print the state document."`
	Push    statePushCmd    `cmd:"" help:"Record a state document."`
	Recover stateRecoverCmd `cmd:"" help:"Make the state anew from what the daemon runs."`
}

type stateListCmd struct {
	Addresses []string `arg:"" optional:"" name:"addr" help:"List only these and what lies inside them."`
	JSON      bool     `name:"json" help:"Print one JSON document."`
}

func (c *stateListCmd) Run(s *session) error {
	st, err := s.needState()
	if err != nil {
		return err
	}
	found := []string{}
	for _, r := range st.Resources {
		if !r.Forgotten && (len(c.Addresses) == 0 || within(r.Address, c.Addresses)) {
			found = append(found, r.Address)
		}
	}
	if len(found) == 0 && len(c.Addresses) > 0 {
		return notRecorded(c.Addresses[0], st.Resources)
	}
	if c.JSON {
		return writeJSON(s.stdout, struct {
			FormatVersion string   `json:"format_version"`
			Resources     []string `json:"resources"`
		}{planner.FormatVersion, found})
	}
	for _, a := range found {
		if _, err := fmt.Fprintln(s.stdout, a); err != nil {
			return err
		}
	}
	return nil
}

// within says whether a resource is one of the named ones, or inside one.
func within(address string, named []string) bool {
	return slices.ContainsFunc(named, func(n string) bool { return spec.Within(address, n) })
}

type stateShowCmd struct {
	Address string `arg:"" name:"addr" help:"The resource's address, such as instance.ECS01."`
	JSON    bool   `name:"json" help:"Print one JSON document."`
}

func (c *stateShowCmd) Run(s *session) error {
	st, err := s.needState()
	if err != nil {
		return err
	}
	for i := range st.Resources {
		r := &st.Resources[i]
		switch {
		case r.Address != c.Address:
		case c.JSON:
			return writeJSON(s.stdout, struct {
				FormatVersion string         `json:"format_version"`
				Resource      *spec.Resource `json:"resource"`
			}{planner.FormatVersion, r})
		default:
			return writeResource(s.stdout, r)
		}
	}
	return notRecorded(c.Address, st.Resources)
}

func notRecorded(address string, resources []spec.Resource) error {
	known := make([]string, len(resources))
	for i, r := range resources {
		known[i] = r.Address
	}
	return fmt.Errorf("%s is not in the state%s", address, didYouMean(address, known))
}

type statePullCmd struct{}

func (c *statePullCmd) Run(s *session) error {
	st, err := s.recorded()
	if err != nil {
		return err
	}
	if st == nil {
		return errors.New("no state")
	}
	return writeState(s.stdout, st)
}
