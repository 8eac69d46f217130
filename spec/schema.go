package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// block is the one table of a block type: everything about its attributes and
// inner blocks that any part of this package needs to know.
type block struct {
	name       string
	labels     []attribute // each label is an attribute written in the header
	attributes []attribute
	blocks     []child
	later      []string          // words of the language that are not built yet
	hints      map[string]string // advice for names that people bring along from elsewhere
	// complete fills in the defaults that depend on other attributes, or on the
	// target of the block around it. What is set it leaves alone.
	complete func(owner, target any)
	// finish fills in what depends on several attributes and checks it.
	finish func(d *decoder, s *site, target any)
}

// variant says which targets of a table have an attribute or an inner block:
// those of which a word, such as the protocol, is one of a set.
type variant struct {
	words []string
	of    func(target any) string // empty while it is wrong or not known yet
	noun  string                  // what the words describe: listener, check
}

// has also holds where the word is not known: why is reported elsewhere.
func (v *variant) has(target any) bool {
	if v == nil {
		return true
	}
	word := v.of(target)
	return word == "" || slices.Contains(v.words, word)
}

// String names the targets: tcp and udp listeners.
func (v *variant) String() string { return strings.Join(v.words, " and ") + " " + v.noun + "s" }

// attribute binds one name of the language to one field.
type attribute struct {
	name     string
	typ      cty.Type
	schema   map[string]any
	required bool
	replaces bool     // a change makes a new resource
	computed bool     // recorded, but not accepted in a file
	repeats  bool     // count and for_each: read before the block itself
	alias    bool     // accepted in a file, recorded under another name
	fallback any      // the default, in recorded form
	kind     string   // of the resource that a reference names; then typ is unused
	names    bool     // an argument that lists names of attributes
	words    []string // that an argument may have instead of a reference; none but not nil = any text
	secret   bool     // never recorded nor shown: only a digest is
	sealable bool     // a text, or a map of texts: what is sensitive of it is as a secret
	spreads  bool     // a reference to a counted resource makes one block of each
	variant  *variant

	parse func(target any, v cty.Value) error
	get   func(target any) any          // to the recorded form
	put   func(target any, v any) error // from the recorded form
}

type option func(*attribute)

func required(a *attribute) { a.required = true }
func replaces(a *attribute) { a.replaces = true }
func computed(a *attribute) { a.computed = true }
func alias(a *attribute)    { a.alias = true }
func spreads(a *attribute)  { a.spreads = true }
func secret(a *attribute)   { a.secret = true }
func sealable(a *attribute) { a.sealable = true }
func names(a *attribute)    { a.names = true }

func fallback(v any) option       { return func(a *attribute) { a.fallback = v } }
func reference(k string) option   { return func(a *attribute) { a.kind = k } }
func orOne(words []string) option { return func(a *attribute) { a.words = words } }
func orText(a *attribute)         { a.words = []string{} }
func only(v *variant) option      { return func(a *attribute) { a.variant = v } }

// bind makes an attribute of a field and the codec of its type.
func bind[T, V any](name string, c codec[V], field func(*T) *V, options ...option) attribute {
	a := attribute{
		name: name, typ: c.typ, schema: c.schema,
		parse: func(target any, v cty.Value) error {
			parsed, err := c.parse(v)
			if err == nil {
				*field(target.(*T)) = parsed
			}
			return err
		},
		get: func(target any) any { return c.encode(*field(target.(*T))) },
		put: func(target any, v any) error {
			decoded, err := c.decode(v)
			if err == nil {
				*field(target.(*T)) = decoded
			}
			return err
		},
	}
	for _, o := range options {
		o(&a)
	}
	return a
}

// child is a block inside another one.
type child struct {
	*block
	single bool
	least  int
	// resource says that these blocks have addresses of their own, so they are
	// not part of what is recorded of their parent.
	resource bool
	// unrecorded blocks are about the resource's record, not part of it.
	unrecorded bool
	variant    *variant
	// meta and identity are of blocks that are resources: identity makes the name
	// out of the labels and the arguments that naming lists.
	meta     func(target any) *Meta
	naming   []string
	identity func(target any) string

	grow   func(parent any) any // makes room for one more and returns it
	repeat func(parent any) any // makes one more like the last and returns it
	drop   func(parent any)     // takes the last one away
	all    func(parent any) []any
}

// one is an inner block that stands at most once. Without it the defaults hold.
func one[T, C any](b *block, field func(*T) *C) child {
	return child{
		block: b, single: true,
		grow: func(parent any) any { return field(parent.(*T)) },
		all:  func(parent any) []any { return []any{field(parent.(*T))} },
	}
}

// perhaps is an inner block that stands at most once. Without it there is none.
func perhaps[T, C any](b *block, field func(*T) **C) child {
	return child{
		block: b, single: true,
		grow: func(parent any) any {
			p := field(parent.(*T))
			*p = new(C)
			return *p
		},
		all: func(parent any) []any {
			if p := *field(parent.(*T)); p != nil {
				return []any{p}
			}
			return nil
		},
	}
}

// many are inner blocks that make a list of values.
func many[T, C any](b *block, field func(*T) *[]C) child {
	return child{
		block: b,
		grow: func(parent any) any {
			list := field(parent.(*T))
			*list = append(*list, *new(C))
			return &(*list)[len(*list)-1]
		},
		repeat: func(parent any) any {
			list := field(parent.(*T))
			*list = append(*list, (*list)[len(*list)-1])
			return &(*list)[len(*list)-1]
		},
		drop: func(parent any) {
			list := field(parent.(*T))
			*list = (*list)[:len(*list)-1]
		},
		all: func(parent any) []any {
			list := *field(parent.(*T))
			out := make([]any, len(list))
			for i := range list {
				out[i] = &list[i]
			}
			return out
		},
	}
}

// resources are inner blocks with addresses of their own.
func resources[T, C any](b *block, field func(*T) *[]*C, meta func(*C) *Meta, identity func(*C) string) child {
	return child{
		block: b, resource: true,
		meta:     func(target any) *Meta { return meta(target.(*C)) },
		identity: func(target any) string { return identity(target.(*C)) },
		grow: func(parent any) any {
			list := field(parent.(*T))
			*list = append(*list, new(C))
			return (*list)[len(*list)-1]
		},
		all: func(parent any) []any {
			list := *field(parent.(*T))
			out := make([]any, len(list))
			for i := range list {
				out[i] = list[i]
			}
			return out
		},
	}
}

func atLeastOne(c child) child {
	c.least = 1
	return c
}

func (c child) only(v *variant) child {
	c.variant = v
	return c
}

// reset fills in the defaults of a new target, whose labels are set.
func (b *block) reset(target any) {
	for i := range b.attributes {
		a := &b.attributes[i]
		if a.fallback != nil && a.variant.has(target) {
			if err := a.put(target, a.fallback); err != nil {
				panic("spec: default of " + b.name + "." + a.name + ": " + err.Error())
			}
		}
	}
	for _, c := range b.blocks {
		if c.single && c.variant.has(target) {
			for _, inner := range c.all(target) {
				c.reset(inner)
			}
		}
	}
}

// settle completes a target and the inner blocks that stand at most once.
func (b *block) settle(owner, target any) {
	for _, c := range b.blocks {
		if c.single && c.variant.has(target) {
			for _, inner := range c.all(target) {
				c.settle(target, inner)
			}
		}
	}
	if b.complete != nil {
		b.complete(owner, target)
	}
}

func (b *block) attribute(name string) *attribute {
	for i := range b.attributes {
		if a := &b.attributes[i]; a.name == name && !a.computed {
			return a
		}
	}
	return nil
}

func (b *block) child(name string) *child {
	if i := b.childIndex(name); i >= 0 {
		return &b.blocks[i]
	}
	return nil
}

func (b *block) childIndex(name string) int {
	for i := range b.blocks {
		if b.blocks[i].name == name {
			return i
		}
	}
	return -1
}

// encode gives the recorded form of a target: labels, attributes and inner
// blocks that are not resources of their own.
func (b *block) encode(target any) map[string]any {
	out := make(map[string]any, len(b.labels)+len(b.attributes)+len(b.blocks))
	for _, list := range [][]attribute{b.labels, b.attributes} {
		for i := range list {
			if a := &list[i]; a.recorded() && a.variant.has(target) {
				out[a.name] = a.get(target)
			}
		}
	}
	for _, c := range b.blocks {
		if c.resource || c.unrecorded || !c.variant.has(target) {
			continue
		}
		all := c.all(target)
		if c.single {
			out[c.name] = nil
			for _, inner := range all {
				out[c.name] = c.encode(inner)
			}
			continue
		}
		encoded := make([]any, len(all))
		for i, t := range all {
			encoded[i] = c.encode(t)
		}
		out[c.name] = encoded
	}
	return out
}

// decode is the inverse of encode. What an older version did not record keeps its default.
func (b *block) decode(owner, target any, from map[string]any) error {
	if err := putAll(b.labels, target, from); err != nil {
		return err
	}
	b.reset(target)
	if err := putAll(b.attributes, target, from); err != nil {
		return err
	}
	for _, c := range b.blocks {
		v, ok := from[c.name]
		if !ok || c.resource || c.unrecorded || v == nil && c.single {
			continue
		}
		elements := []any{v}
		if !c.single {
			var err error
			if elements, err = recorded[[]any](v); err != nil {
				return nested(c.name, err)
			}
		}
		for _, e := range elements {
			attributes, err := recorded[map[string]any](e)
			if err == nil {
				err = c.decode(target, c.grow(target), attributes)
			}
			if err != nil {
				return nested(c.name, err)
			}
		}
	}
	b.settle(owner, target)
	return nil
}

func putAll(list []attribute, target any, from map[string]any) error {
	for i := range list {
		v, ok := from[list[i].name]
		if !ok || !list[i].recorded() {
			continue
		}
		if err := list[i].put(target, v); err != nil {
			return nested(list[i].name, err)
		}
	}
	return nil
}

func (a *attribute) recorded() bool { return !a.alias && !a.repeats }

func nested(name string, err error) error { return fmt.Errorf("%s: %w", name, err) }

// header is what hcl needs to know to read the block's body.
func (b *block) header() *hcl.BodySchema {
	s := &hcl.BodySchema{}
	for i := range b.attributes {
		if !b.attributes[i].computed {
			s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: b.attributes[i].name})
		}
	}
	for _, name := range b.later {
		s.Attributes = append(s.Attributes, hcl.AttributeSchema{Name: name})
	}
	for _, c := range b.blocks {
		s.Blocks = append(s.Blocks, hcl.BlockHeaderSchema{Type: c.name, LabelNames: c.labelNames()})
	}
	return s
}

func (b *block) labelNames() []string {
	names := make([]string, len(b.labels))
	for i, l := range b.labels {
		names[i] = l.name
	}
	return names
}
