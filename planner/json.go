package planner

import (
	"encoding/json"
	"fmt"
	"io"

	"slbctl/sim"
)

// FormatVersion is that of the plan document and of saved plans.
const FormatVersion = "1.0"

// planDocument is `plan -json`. Its keys are a contract.
type planDocument struct {
	FormatVersion string           `json:"format_version"`
	Summary       summaryDocument  `json:"summary"`
	Changes       []changeDocument `json:"changes"`
	Traffic       []sim.Traffic    `json:"traffic"`
	Expectations  []sim.Promise    `json:"expectations"`
	Runtime       RuntimeChange    `json:"runtime"`
	Outputs       []OutputChange   `json:"outputs"`
	Warnings      []string         `json:"warnings"`
	Notes         []string         `json:"notes"`
}

type summaryDocument struct {
	Create  int `json:"create"`
	Update  int `json:"update"`
	Replace int `json:"replace"`
	Delete  int `json:"delete"`
}

type changeDocument struct {
	Address string         `json:"address"`
	Kind    string         `json:"kind"`
	Name    string         `json:"name"`
	Action  Action         `json:"action"`
	Reason  string         `json:"reason"`
	Before  map[string]any `json:"before"`
	After   map[string]any `json:"after"`
	Changed []string       `json:"changed"`
	// From is there where a resource is recorded under another address.
	From string `json:"previous_address,omitempty"`
}

// WriteJSON writes the plan as one document; equal plans are equal bytes.
func (p *Plan) WriteJSON(w io.Writer) error {
	doc := planDocument{
		FormatVersion: FormatVersion,
		Summary:       summaryDocument{p.Count(Create), p.Count(Update), p.Count(Replace), p.Count(Delete)},
		Changes:       make([]changeDocument, 0, len(p.Changes)),
		Traffic:       orEmpty(p.Traffic),
		Expectations:  orEmpty(p.Promises),
		Runtime:       p.Runtime,
		Outputs:       orEmpty(p.Outputs),
		Warnings:      orEmpty(p.Warnings),
		Notes:         orEmpty(p.Notes),
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		d := changeDocument{Address: c.Address, Kind: c.Kind, Name: c.Name, Action: c.Action, Reason: c.Reason, Changed: orEmpty(c.Changed), From: c.From}
		if c.Before != nil {
			d.Before = withID(c.Before)
		}
		if c.After != nil {
			d.After = withID(c.After)
		}
		doc.Changes = append(doc.Changes, d)
	}
	doc.Runtime.Settings = orEmpty(p.Runtime.Settings)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("plan: write JSON: %w", err)
	}
	return nil
}

// orEmpty makes JSON say [] rather than null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
