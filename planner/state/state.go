// Package state records what slbctl has built, so that the next plan knows it:
//
//	store := state.Open(durable.OS, dir, "")
//	unlock, err := store.Lock(ctx, state.Self("apply"), 0)
//	defer unlock()
//	recorded, _, err := store.Recover(live)  // finishes what a killed apply left
//	err = store.Begin(next, base)            // then the runtime is asked to apply
//	err = store.Commit()
//
// A snapshot file is replaced in one step and carries a checksum; a journal says
// which change is under way. A process may be killed at any moment: the next one
// finds the state before the change or the one after it, never a mixture, and
// asks nobody.
package state

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"slbctl/runtime/durable"
	"slbctl/spec"
)

// FormatVersion is that of the state document. A reader ignores keys that it
// does not know and refuses another major version.
const FormatVersion = "1.0"

// State is everything recorded about one configuration's resources.
type State struct {
	// Lineage is drawn at random when the state is first made: two states with
	// another lineage have nothing to do with each other, whatever their serials.
	Lineage string
	// Serial counts the changes of this state.
	Serial uint64
	// Generation numbers the runtime's configuration that this state describes.
	Generation uint64
	// ConfigHash is the digest of that configuration.
	ConfigHash string
	// Seed keys the hashes of sch and tch.
	Seed      uint64
	Runtime   spec.Runtime
	Resources []spec.Resource
	// Outputs hold, in place of a sensitive value, only its keyed digest.
	Outputs []spec.Output
}

// NewLineage draws the name of a new state.
func NewLineage() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: it ends the process instead
	return hex.EncodeToString(b)
}

// document is a State on disk. The names of its keys are a contract of their own.
type document struct {
	FormatVersion string            `json:"format_version"`
	Checksum      string            `json:"checksum"`
	Lineage       string            `json:"lineage"`
	Serial        uint64            `json:"serial"`
	Generation    uint64            `json:"generation"`
	ConfigHash    string            `json:"config_hash"`
	Seed          string            `json:"seed"` // a string: other readers keep only 53 bits of a number
	Runtime       runtimeDocument   `json:"runtime"`
	Outputs       []outputDocument  `json:"outputs"`
	Resources     []json.RawMessage `json:"resources"`
}

type runtimeDocument struct {
	Network        netip.Prefix   `json:"network"`
	Loops          int            `json:"loops"`
	PortOffset     int            `json:"port_offset"`
	Expose         bool           `json:"expose"`
	DNSAddress     netip.AddrPort `json:"dns_address"`
	MetricsAddress netip.AddrPort `json:"metrics_address"`
}

type outputDocument struct {
	Name        string `json:"name"`
	Value       any    `json:"value"`
	Description string `json:"description,omitempty"`
	Sensitive   bool   `json:"sensitive,omitempty"`
}

// Encode returns the document of a state. Equal states have equal documents.
func (s *State) Encode() ([]byte, error) {
	head := document{
		FormatVersion: FormatVersion, Checksum: durable.NoChecksum, Lineage: s.Lineage,
		Serial: s.Serial, Generation: s.Generation, ConfigHash: s.ConfigHash,
		Seed: strconv.FormatUint(s.Seed, 10), Runtime: runtimeDocument(s.Runtime),
		Outputs: []outputDocument{}, Resources: []json.RawMessage{},
	}
	for _, o := range s.Outputs {
		head.Outputs = append(head.Outputs, outputDocument(o))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(head); err != nil {
		return nil, fmt.Errorf("state: encode: %w", err)
	}
	data := b.Bytes()
	if len(s.Resources) > 0 {
		var err error
		if data, err = encodeResources(data[:len(data)-len("]\n}\n")], s.Resources); err != nil {
			return nil, err
		}
		data = append(data, "  ]\n}\n"...)
	}
	durable.Seal(data)
	return data, nil
}

// Decode reads a document and refuses whatever Encode has not written. Resources
// share the values that they have in common: they are to be read only.
func Decode(data []byte) (*State, error) { return decode(data, string(data)) }

// decode reads a document that is there as bytes and as the text to keep.
func decode(data []byte, text string) (*State, error) {
	if err := durable.Unseal(data); err != nil {
		return nil, err
	}
	var doc document
	head, resources, err := newDecoder(text).document()
	if headErr := json.Unmarshal([]byte(head), &doc); err == nil {
		err = headErr
	}
	major, _, _ := strings.Cut(doc.FormatVersion, ".")
	if ours, _, _ := strings.Cut(FormatVersion, "."); major != ours {
		return nil, fmt.Errorf("its format version is %q and this slbctl reads %s: use a newer slbctl", doc.FormatVersion, FormatVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("it does not read: %w", err)
	}
	seed, err := strconv.ParseUint(doc.Seed, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("its seed does not read: %w", err)
	}
	s := &State{
		Lineage: doc.Lineage, Serial: doc.Serial, Generation: doc.Generation, ConfigHash: doc.ConfigHash,
		Seed: seed, Runtime: spec.Runtime(doc.Runtime), Resources: resources,
	}
	for _, o := range doc.Outputs {
		s.Outputs = append(s.Outputs, spec.Output(o))
	}
	return s, nil
}

// Digest tells this state from every other.
func (s *State) Digest() (string, error) {
	if s == nil {
		return "", nil
	}
	data, err := s.Encode()
	if err != nil {
		return "", err
	}
	return durable.Checksum(data), nil
}

// Recorded is what spec.Load must know of a state: a nil state knows nothing.
func (s *State) Recorded() spec.Recorded {
	r := spec.Recorded{Addresses: map[string]netip.Addr{}, Replacements: map[string]int{}, IDs: map[string]string{}}
	if s == nil {
		return r
	}
	r.Seed = s.Seed
	r.Replacements, r.IDs = make(map[string]int, len(s.Resources)), make(map[string]string, len(s.Resources))
	for _, res := range s.Resources {
		r.Replacements[res.Address], r.IDs[res.Address] = res.Replacements, res.ID
		text, _ := res.Attributes["address"].(string)
		if ip, err := netip.ParseAddr(text); err == nil {
			r.Addresses[res.Address] = ip
		}
	}
	return r
}
