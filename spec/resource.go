package spec

import (
	"fmt"
	"reflect"
	"slices"
)

// Resource is one resource in the form in which it is planned, recorded and shown.
type Resource struct {
	Address        string   `json:"address"`
	Kind           string   `json:"kind"`
	Name           string   `json:"name"`
	ID             string   `json:"id"`
	Replacements   int      `json:"replacements"`
	Refs           []string `json:"refs,omitempty"`
	PreventDestroy bool     `json:"prevent_destroy"`
	// Forgotten is a resource that no plan is about any more and that runs on as it is
	// recorded, until the configuration has it again or it is destroyed by name.
	Forgotten     bool     `json:"forgotten,omitempty"`
	IgnoreChanges []string `json:"-"` // of the file that asks for this resource
	// Attributes are what encoding/json would decode: string, float64, bool, nil,
	// []any, map[string]any, by the language's names. Durations are "30s".
	Attributes map[string]any `json:"attributes"`
}

// Resources gives everything that has an address: in the fixed order of kinds,
// then by address.
func (c *Config) Resources() []Resource {
	var out []Resource
	for _, k := range resourceKinds {
		begin := len(out)
		for _, owner := range k.owners(c) {
			targets := k.list(owner)
			out = slices.Grow(out, len(targets))
			for _, target := range targets {
				out = append(out, k.resource(target))
			}
		}
		slices.SortFunc(out[begin:], func(a, b Resource) int { return CompareAddresses(a.Address, b.Address) })
	}
	return out
}

// owners are what holds the resources of a kind: the Config or the parents.
func (k *kind) owners(c *Config) []any {
	if k.parent == nil {
		return []any{c}
	}
	var out []any
	for _, owner := range k.parent.owners(c) {
		out = append(out, k.parent.list(owner)...)
	}
	return out
}

func (k *kind) resource(target any) Resource {
	m := k.meta(target)
	return Resource{
		Address: m.Address, Kind: k.name, Name: m.Name, ID: m.ID, Replacements: m.Replacements,
		Refs: m.Refs, PreventDestroy: m.PreventDestroy, Forgotten: m.Forgotten, IgnoreChanges: m.IgnoreChanges, Attributes: k.encode(target),
	}
}

// FromResources is the inverse of Resources: a Config without outputs and simulations.
func FromResources(rs []Resource, rt Runtime, seed uint64) (*Config, error) {
	c := &Config{Seed: seed, Runtime: rt}
	owners := map[string]any{"": c}
	for _, k := range resourceKinds {
		for i := range rs {
			if rs[i].Kind != k.name {
				continue
			}
			owner, ok := owners[Parent(rs[i].Address)]
			if !ok {
				return nil, fmt.Errorf("resource %s: there is no %s", rs[i].Address, Parent(rs[i].Address))
			}
			target := k.make()
			if err := k.decode(owner, target, rs[i].Attributes); err != nil {
				return nil, fmt.Errorf("resource %s: %w", rs[i].Address, err)
			}
			m := k.meta(target)
			m.Address, m.Name, m.ID = rs[i].Address, rs[i].Name, rs[i].ID
			m.Replacements, m.Refs, m.PreventDestroy, m.Forgotten = rs[i].Replacements, rs[i].Refs, rs[i].PreventDestroy, rs[i].Forgotten
			k.add(owner, target)
			owners[m.Address] = target
		}
	}
	for i := range rs {
		if kindNamed(rs[i].Kind) == nil {
			return nil, fmt.Errorf("resource %s: unknown kind %q", rs[i].Address, rs[i].Kind)
		}
	}
	c.sort()
	return c, nil
}

// ForcesReplacement reports whether a change of an attribute makes a new resource.
func ForcesReplacement(kind, attribute string) bool {
	a := recordedAttribute(kind, attribute)
	return a != nil && a.replaces
}

// IsDefault reports whether an attribute's recorded value is the one that it has
// when the file does not say: for some protocol, where the default depends on it.
func IsDefault(kind, attribute string, value any) bool {
	k := kindNamed(kind)
	return k != nil && slices.ContainsFunc(k.defaults, func(d map[string]any) bool {
		unset, ok := d[attribute]
		return ok && reflect.DeepEqual(value, unset)
	})
}

func recordedAttribute(kind, name string) *attribute {
	k := kindNamed(kind)
	if k == nil {
		return nil
	}
	for i := range k.attributes {
		if k.attributes[i].name == name && k.attributes[i].recorded() {
			return &k.attributes[i]
		}
	}
	return nil
}
