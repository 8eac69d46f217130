package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
		return c.one(s, st.Outputs)
	case c.JSON:
		return writeJSON(s.stdout, outputDocuments(st.Outputs))
	case len(st.Outputs) == 0:
		s.note("The configuration that was applied has no outputs.")
	}
	return writeOutputs(s.stdout, st.Outputs)
}

func (c *outputCmd) one(s *session, outputs []spec.Output) error {
	i := slices.IndexFunc(outputs, func(o spec.Output) bool { return o.Name == c.Name })
	if i < 0 {
		names := make([]string, len(outputs))
		for i, o := range outputs {
			names[i] = o.Name
		}
		return fmt.Errorf("output %q is not in the state%s", c.Name, didYouMean(c.Name, names))
	}
	o := outputs[i]
	switch {
	case !o.Sensitive && !c.Raw:
		return writeJSON(s.stdout, o.Value)
	case !c.Raw:
		return fmt.Errorf("output %q is sensitive: slbctl output -raw %s prints it nevertheless", c.Name, c.Name)
	case o.Sensitive:
		var err error
		if o.Value, err = s.secretOutput(o); err != nil {
			return err
		}
	}
	text, err := rawText(o.Value)
	if err != nil {
		return fmt.Errorf("output %q: %w", c.Name, err)
	}
	_, err = io.WriteString(s.stdout, text)
	return err
}

// secretOutput is the value of a sensitive output. It is shown to who asks for it by name
// and bare, and to nobody else.
func (s *session) secretOutput(o spec.Output) (value any, err error) {
	digest, _ := o.Value.(string)
	text, err := s.store().Secret(digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("output %q is sensitive, and its value is not in .slbctl/secrets: `slbctl apply` brings it back", o.Name)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return nil, fmt.Errorf("output %q: its value in .slbctl/secrets does not read: %w", o.Name, err)
	}
	if _, err := rawText(value); err != nil {
		return nil, fmt.Errorf("output %q is sensitive and neither a string, a number nor a boolean: write jsonencode(...) for -raw to print it", o.Name)
	}
	return value, nil
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
