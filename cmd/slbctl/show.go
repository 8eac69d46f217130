package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"slbctl/planner"
	"slbctl/planner/state"
	"slbctl/runtime/durable"
	"slbctl/spec"
)

// showCmd renders the state or a saved plan.
type showCmd struct {
	PlanFile string `arg:"" optional:"" name:"planfile" help:"A plan saved by plan -out; without it the state."`
	JSON     bool   `name:"json" help:"Print one JSON document."`
}

func (c *showCmd) Run(s *session) error {
	if c.PlanFile != "" {
		saved, err := planner.ReadSaved(durable.OS, c.PlanFile)
		if err != nil {
			return err
		}
		return s.show(saved.Plan, c.JSON)
	}
	st, err := s.recorded()
	if err != nil {
		return err
	}
	if st == nil {
		st = &state.State{}
		if !c.JSON {
			s.note("No state: nothing has been applied in this folder yet.")
			return nil
		}
	}
	if c.JSON {
		return writeState(s.stdout, st)
	}
	return writeResources(s.stdout, st)
}

// writeState prints the state's own document.
func writeState(w io.Writer, st *state.State) error {
	data, err := st.Encode()
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func writeResources(w io.Writer, st *state.State) error {
	for i := range st.Resources {
		if err := writeResource(w, &st.Resources[i]); err != nil {
			return err
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	if len(st.Outputs) == 0 {
		return nil
	}
	if _, err := io.WriteString(w, "Outputs:\n\n"); err != nil {
		return err
	}
	return writeOutputs(w, st.Outputs)
}

// writeResource lists the attributes that are not at their default.
func writeResource(w io.Writer, r *spec.Resource) error {
	var names []string
	width := len("id")
	for _, name := range slices.Sorted(maps.Keys(r.Attributes)) {
		if !spec.IsDefault(r.Kind, name, r.Attributes[name]) {
			names = append(names, name)
			width = max(width, len(name))
		}
	}
	var b strings.Builder
	heading := r.Address
	if r.Forgotten {
		heading += "   # forgotten: it runs on, and no plan is about it"
	}
	fmt.Fprintf(&b, "%s\n    %-*s = %q\n", heading, width, "id", r.ID)
	for _, name := range names {
		value, err := marshal(r.Attributes[name], "")
		if err != nil {
			return fmt.Errorf("%s: %w", r.Address, err)
		}
		fmt.Fprintf(&b, "    %-*s = %s\n", width, name, value)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
