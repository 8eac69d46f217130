package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"slbctl/spec"
)

// outputCmd prints what the configuration tells its user.
type outputCmd struct {
	Name string `arg:"" optional:"" help:"Print only this one's value."`
	JSON bool   `name:"json" xor:"form" help:"Print JSON."`
	Raw  bool   `xor:"form" help:"Print the bare value of NAME, without quotes or a line's end."`
}

func (c *outputCmd) Run(s *session) error {
	if c.Raw && c.Name == "" {
		return &usageError{command: "output", detail: "-raw needs the name of one output"}
	}
	st, err := s.needState()
	if err != nil {
		return err
	}
	switch {
	case c.Name != "":
		return c.one(s.stdout, st.Outputs)
	case c.JSON:
		return writeJSON(s.stdout, outputDocuments(st.Outputs))
	case len(st.Outputs) == 0:
		s.note("The configuration that was applied has no outputs.")
	}
	return writeOutputs(s.stdout, st.Outputs)
}

func (c *outputCmd) one(w io.Writer, outputs []spec.Output) error {
	i := slices.IndexFunc(outputs, func(o spec.Output) bool { return o.Name == c.Name })
	if i < 0 {
		names := make([]string, len(outputs))
		for i, o := range outputs {
			names[i] = o.Name
		}
		return fmt.Errorf("output %q is not in the state%s", c.Name, didYouMean(c.Name, names))
	}
	o := outputs[i]
	if o.Sensitive {
		return fmt.Errorf("output %q is sensitive: only a digest of it is recorded", c.Name)
	}
	if !c.Raw {
		return writeJSON(w, o.Value)
	}
	text, err := rawText(o.Value)
	if err != nil {
		return fmt.Errorf("output %q: %w", c.Name, err)
	}
	_, err = io.WriteString(w, text)
	return err
}

// rawText is a value for a shell: only what is one word there.
func rawText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", errors.New("-raw prints a string, a number or a boolean; use -json for this one")
}

// writeOutputs lists outputs as they are written in a configuration.
func writeOutputs(w io.Writer, outputs []spec.Output) error {
	width := 0
	for _, o := range outputs {
		width = max(width, len(o.Name))
	}
	for _, o := range outputs {
		text := "(sensitive value)"
		if !o.Sensitive {
			value, err := marshal(o.Value, "")
			if err != nil {
				return fmt.Errorf("output %s: %w", o.Name, err)
			}
			text = string(value)
		}
		if _, err := fmt.Fprintf(w, "%-*s = %s\n", width, o.Name, text); err != nil {
			return err
		}
	}
	return nil
}

// writeJSON writes one document for people and programs alike.
func writeJSON(w io.Writer, v any) error {
	data, err := marshal(v, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// marshal encodes without turning <, > and & into escapes.
func marshal(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}
