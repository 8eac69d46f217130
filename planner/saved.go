package planner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"slbctl/planner/state"
	"slbctl/runtime/durable"
	"slbctl/sim"
	"slbctl/spec"
)

// Fingerprint is what a plan was made from, to tell later whether it still holds.
type Fingerprint struct {
	Configuration string `json:"configuration"` // digest of the configuration's files
	Variables     string `json:"variables"`     // digest of the variables' values
	Lineage       string `json:"lineage"`
	Serial        uint64 `json:"serial"`
	State         string `json:"state"` // digest of the recorded state
	Generation    uint64 `json:"generation"`
	Hash          string `json:"hash"` // digest of what the runtime runs
}

// Fingerprinted takes the digests of files and variables as the caller made them.
func Fingerprinted(configuration, variables string, st *state.State, o Observed) (Fingerprint, error) {
	f := Fingerprint{Configuration: configuration, Variables: variables, Generation: o.Generation, Hash: o.Hash}
	if st == nil {
		return f, nil
	}
	f.Lineage, f.Serial = st.Lineage, st.Serial
	var err error
	f.State, err = st.Digest()
	return f, err
}

// Check returns a *StaleError that says what has moved since, or nil.
func (f Fingerprint) Check(now Fingerprint) error {
	var moved []string
	if f.Configuration != now.Configuration {
		moved = append(moved, "the configuration's files")
	}
	if f.Variables != now.Variables {
		moved = append(moved, "the values of variables")
	}
	switch {
	case f.Lineage != now.Lineage && f.Lineage != "" && now.Lineage != "":
		moved = append(moved, "the state: it is another one altogether, of lineage "+now.Lineage)
	case f.Serial != now.Serial:
		moved = append(moved, fmt.Sprintf("the state: serial %d when planned, %d now", f.Serial, now.Serial))
	case f.State != now.State:
		moved = append(moved, fmt.Sprintf("the state: serial %d has another content now", f.Serial))
	}
	switch {
	case f.Generation != now.Generation:
		moved = append(moved, fmt.Sprintf("the runtime: generation %d when planned, %d now", f.Generation, now.Generation))
	case f.Hash != now.Hash:
		moved = append(moved, fmt.Sprintf("the runtime: its generation %d has another content now", f.Generation))
	}
	if moved == nil {
		return nil
	}
	return &StaleError{Moved: moved}
}

// Saved is a plan read back from a file.
type Saved struct {
	Plan        *Plan
	Fingerprint Fingerprint
}

// savedDocument is a plan file. What stays as it is appears once, in Next.
type savedDocument struct {
	FormatVersion string         `json:"format_version"`
	Checksum      string         `json:"checksum"`
	Fingerprint   Fingerprint    `json:"fingerprint"`
	Base          state.Base     `json:"base"`
	Changes       []savedChange  `json:"changes"`
	Runtime       RuntimeChange  `json:"runtime"`
	Outputs       []OutputChange `json:"outputs"`
	Warnings      []string       `json:"warnings"`
	Notes         []string       `json:"notes"`
	RecordOnly    bool           `json:"record_only,omitempty"`
	Traffic       []sim.Traffic  `json:"traffic"`
	Expectations  []sim.Promise  `json:"expectations,omitempty"`
	// IgnoreExpectations is what the plan was made with.
	IgnoreExpectations bool `json:"ignore_expectations,omitempty"`

	Next json.RawMessage `json:"next"` // the state's own document, quoted
}

type savedChange struct {
	Address string         `json:"address"`
	Kind    string         `json:"kind"`
	Name    string         `json:"name"`
	Action  Action         `json:"action"`
	Reason  string         `json:"reason,omitempty"`
	Changed []string       `json:"changed,omitempty"`
	From    string         `json:"previous_address,omitempty"`
	Forgets bool           `json:"forgets,omitempty"`
	Before  *spec.Resource `json:"before,omitempty"`
}

// Save writes the plan to a file that only its owner can read, and clears away what a writer
// of it that was killed has left.
func (p *Plan) Save(fsys durable.FS, path string, f Fingerprint) error {
	next, err := p.Next.Encode()
	if err != nil {
		return err
	}
	quoted, err := json.Marshal(string(next))
	if err != nil {
		return fmt.Errorf("plan %s: encode: %w", path, err)
	}
	doc := savedDocument{
		FormatVersion: FormatVersion, Checksum: durable.NoChecksum, Fingerprint: f, Base: p.Base,
		Runtime: p.Runtime, Outputs: p.Outputs, Warnings: p.Warnings, Notes: p.Notes, RecordOnly: p.RecordOnly, Traffic: p.Traffic, Next: quoted,
		Expectations: p.Promises, IgnoreExpectations: p.IgnoreExpectations,
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		s := savedChange{Address: c.Address, Kind: c.Kind, Name: c.Name, Action: c.Action, Reason: c.Reason, Changed: c.Changed, From: c.From, Forgets: c.Forgets}
		if !c.Stays() {
			s.Before = c.Before
		}
		doc.Changes = append(doc.Changes, s)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("plan %s: encode: %w", path, err)
	}
	durable.Seal(b.Bytes())
	if err := durable.RemoveTemps(fsys, path); err != nil {
		return fmt.Errorf("plan: save: %w", err)
	}
	if err := durable.WriteFile(fsys, path, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("plan: save: %w", err)
	}
	return nil
}

// ReadSaved reads a plan file and refuses one that is not whole.
func ReadSaved(fsys durable.FS, path string) (*Saved, error) {
	data, err := fsys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("plan %s: there is no such file: make one with slbctl plan -out=%s", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("plan %s: read: %w", path, err)
	}
	saved, err := decodeSaved(data)
	if err != nil {
		return nil, fmt.Errorf("plan %s is not usable: %w; make a new one with slbctl plan -out=%s", path, err, path)
	}
	return saved, nil
}

func decodeSaved(data []byte) (*Saved, error) {
	if err := durable.Unseal(data); err != nil {
		return nil, err
	}
	var doc savedDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("it is not a plan: %w", err)
	}
	major, _, _ := strings.Cut(doc.FormatVersion, ".")
	if ours, _, _ := strings.Cut(FormatVersion, "."); major != ours {
		return nil, fmt.Errorf("its format version is %q and this slbctl reads %s", doc.FormatVersion, FormatVersion)
	}
	var text string
	if err := json.Unmarshal(doc.Next, &text); err != nil {
		return nil, errors.New("it is not a plan: it has no next state")
	}
	next, err := state.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("its next state does not read: %w", err)
	}
	p := &Plan{
		Base: doc.Base, Runtime: doc.Runtime, Outputs: doc.Outputs, Warnings: doc.Warnings, Notes: doc.Notes, RecordOnly: doc.RecordOnly, Traffic: doc.Traffic, Next: next,
		Promises: doc.Expectations, IgnoreExpectations: doc.IgnoreExpectations,
	}
	after := make(map[string]*spec.Resource, len(next.Resources))
	for i := range next.Resources {
		after[next.Resources[i].Address] = &next.Resources[i]
	}
	for _, s := range doc.Changes {
		c := Change{Address: s.Address, Kind: s.Kind, Name: s.Name, Action: s.Action, Reason: s.Reason, Changed: s.Changed, From: s.From, Forgets: s.Forgets, Before: s.Before, After: after[s.Address]}
		if c.Stays() {
			c.Before = c.After
		}
		p.Changes = append(p.Changes, c)
	}
	return &Saved{Plan: p, Fingerprint: doc.Fingerprint}, nil
}
