package spec

import (
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// maxResources bounds count and for_each of all blocks together.
const maxResources = 100_000

// repeated is a block that count or for_each may repeat.
type repeated struct {
	module  *module // where it stands
	address string  // without count.index or each.key
	block   *hcl.Block
	count   hcl.Expression
	forEach hcl.Expression

	state  progress // of the expansion
	turns  []*turn
	places map[string]int  // of the keys of for_each, made when first asked for
	waits  bool            // some values of for_each are not known before addresses are
	refs   map[string]bool // of count and for_each
}

// find is the place of a known key among the turns, or -1.
func (r *repeated) find(key cty.Value) int {
	switch {
	case r.count != nil && key.Type() == cty.Number:
		i, exact := key.AsBigFloat().Int64()
		if exact == big.Exact && 0 <= i && i < int64(len(r.turns)) {
			return int(i)
		}
	case r.forEach != nil && key.Type() == cty.String:
		if r.places == nil {
			r.places = make(map[string]int, len(r.turns))
			for i, t := range r.turns {
				r.places[t.key.AsString()] = i
			}
		}
		if i, ok := r.places[key.AsString()]; ok {
			return i
		}
	}
	return -1
}

// turn is one of what such a block stands for.
type turn struct {
	of   *repeated
	key  cty.Value // count.index or each.key, NilVal without
	each cty.Value // each.value
}

// definition is one top-level block of resources in the source.
type definition struct {
	repeated
	kind    *kind
	name    string
	dynamic bool // the body has dynamic blocks, or is JSON
	broken  bool // the body cannot be decoded
	read    any  // what it says, if that was read ahead: the body is gone then
	objects []*object
	ports   hcl.Range // where these are written; none when they are not

	// What the block stands for in expressions, built when first asked for:
	// before addresses are allocated, early attributes only, everything.
	pending, identity, whole cty.Value
	traced                   [2]cty.Value // identity and whole
}

// portsAt is the place of the ports of an instance.
func (def *definition) portsAt() hcl.Range {
	if def.ports.Empty() {
		return def.block.DefRange
	}
	return def.ports
}

// object is one resource.
type object struct {
	turn
	def     *definition
	address string
	id      string
	// replacements is how often it was replaced: a part of what the id is made of.
	replacements int
	ip           netip.Addr
	pinned       bool

	state  progress
	target any
}

// scope is what the expressions of a resource see.
func (o *object) scope() *scope { return &scope{module: o.def.module, turn: &o.turn} }

// progress of something that is evaluated when first needed.
type progress uint8

const (
	untouched progress = iota
	underway           // asking for it again is a cycle
	done
	failed
)

// expand evaluates count or for_each of a block and makes its resources.
func (l *loader) expand(def *definition, from hcl.Range) bool {
	return l.repeat(&def.repeated, &l.resources, from, func(key, each cty.Value) *turn { return l.makeObject(def, key, each) })
}

// repeat evaluates count or for_each of a block, once, and makes what it stands for.
func (l *loader) repeat(r *repeated, b *bound, from hcl.Range, grow func(key, each cty.Value) *turn) bool {
	switch r.state {
	case done:
		return true
	case failed:
		return false
	}
	leave, ok := l.enter(&r.state, r.address, from)
	if !ok {
		return false
	}
	ok = l.repeatAll(r, b, grow)
	leave(ok)
	return ok
}

func (l *loader) repeatAll(r *repeated, b *bound, grow func(key, each cty.Value) *turn) bool {
	s := &scope{module: r.module}
	defer func() { r.refs = s.refs }()
	switch {
	case r.count != nil && r.forEach != nil:
		l.reports.error(r.forEach.Range(), "count and for_each", "A block has at most one of them.", "")
		return false
	case r.count != nil:
		n, ok := l.countOf(r, s)
		if !ok || !l.take(b, n, r.count.Range()) {
			return false
		}
		r.turns = make([]*turn, n)
		for i := range n {
			r.turns[i] = grow(cty.NumberIntVal(int64(i)), cty.NilVal)
		}
		return true
	case r.forEach != nil:
		v, ok := l.collectionOf(r, s)
		if !ok || !l.take(b, v.LengthInt(), r.forEach.Range()) {
			return false
		}
		r.turns, r.waits = make([]*turn, 0, v.LengthInt()), !v.IsWhollyKnown()
		for it := v.ElementIterator(); it.Next(); {
			key, value := it.Element()
			if v.Type().IsListType() {
				key = value
			}
			if !l.validKey(key, r.forEach.Range()) {
				return false
			}
			r.turns = append(r.turns, grow(key, value))
		}
		return true
	}
	if !l.take(b, 1, r.block.DefRange) {
		return false
	}
	r.turns = []*turn{grow(cty.NilVal, cty.NilVal)}
	return true
}

// bound is how many of something a configuration has, and may have.
type bound struct {
	what       string
	used, most int
	over       bool // which is reported once
}

func (l *loader) take(b *bound, n int, rng hcl.Range) bool {
	if b.used += n; b.used <= b.most {
		return true
	}
	if !b.over {
		l.reports.error(rng, "Too many "+b.what, fmt.Sprintf("A configuration has at most %d %s.", b.most, b.what), "")
	}
	b.used -= n
	b.over = true
	return false
}

func (l *loader) makeObject(def *definition, key, each cty.Value) *turn {
	o := &object{turn: turn{of: &def.repeated, key: key, each: each}, def: def, address: def.address}
	if key != cty.NilVal {
		o.address += formatKey(key)
	}
	o.id, o.replacements = l.identity(o.address)
	def.objects = append(def.objects, o)
	l.objects[o.address] = o
	l.byID[o.id] = o
	return &o.turn
}

func formatKey(key cty.Value) string {
	if key.Type() == cty.Number {
		return "[" + key.AsBigFloat().Text('f', -1) + "]"
	}
	if key.Type() == cty.String {
		return fmt.Sprintf("[%q]", key.AsString())
	}
	return "[?]"
}

func (r *repeated) exampleKey() string {
	if len(r.turns) > 0 {
		return formatKey(r.turns[0].key)
	}
	return "[0]"
}

func (l *loader) countOf(r *repeated, s *scope) (int, bool) {
	rng := r.count.Range()
	v, ok := l.eval(r.count, s)
	if !ok || !l.usable(v, "count", rng, s) {
		return 0, false
	}
	number, err := convert.Convert(v, cty.Number)
	if err != nil {
		l.reports.error(rng, "Wrong type", "count must be a number, not "+article(v.Type().FriendlyName())+".", "")
		return 0, false
	}
	n, err := integer[int](0, 1e9).parse(number)
	if err != nil {
		l.reports.error(rng, "Invalid value", fmt.Sprintf("count %v.", err), "")
		return 0, false
	}
	return n, true
}

// collectionOf gives the map that for_each is, or the list of the elements of the set.
func (l *loader) collectionOf(r *repeated, s *scope) (cty.Value, bool) {
	rng := r.forEach.Range()
	v, ok := l.eval(r.forEach, s)
	if !ok {
		return v, false
	}
	t := v.Type()
	switch {
	case t.IsMapType() || t.IsObjectType():
		// The values may wait for addresses, the keys may not.
		if v.IsKnown() && !v.IsNull() && !v.IsMarked() {
			return v, true
		}
		return v, l.usable(v, "for_each", rng, s)
	case t.IsSetType() && t.ElementType() == cty.String || t.IsSetType() && v.IsKnown() && !v.IsNull() && v.LengthInt() == 0:
		if v.IsKnown() && !v.IsNull() && !v.IsMarked() && v.LengthInt() > 0 {
			v = cty.ListVal(v.AsValueSlice()) // a set sorts its elements at every look
		}
		return v, l.usable(v, "for_each", rng, s)
	}
	if !l.usable(v, "for_each", rng, s) {
		return v, false
	}
	hint := ""
	if t.IsTupleType() || t.IsListType() || t.IsSetType() {
		hint = "Write toset([...]), or { for x in ... : x.name => x }."
	}
	l.reports.error(rng, "Wrong type", "for_each must be a map or a set of strings, not "+article(t.FriendlyName())+".", hint)
	return v, false
}

// usable refuses values that cannot say how many resources there are.
func (l *loader) usable(v cty.Value, name string, rng hcl.Range, s *scope) bool {
	switch {
	case v.ContainsMarked():
		l.reports.error(rng, "Sensitive "+name, "The addresses of resources would show it.", "")
	case !v.IsWhollyKnown():
		used := strings.Join(sortedKeys(s.refs), ", ")
		l.reports.error(rng, "Not known yet",
			fmt.Sprintf("%s depends on attributes of %s, but it is evaluated before addresses are allocated.", name, used),
			"Use variables, locals, or the names and ids of resources.")
	case v.IsNull():
		l.reports.error(rng, "Invalid value", name+" is null.", "")
	default:
		return true
	}
	return false
}

func (l *loader) validKey(key cty.Value, rng hcl.Range) bool {
	k := key.AsString()
	bad := k == "" || len(k) > 200 || strings.Contains(k, "${") || strings.Contains(k, "%{") ||
		strings.ContainsFunc(k, func(r rune) bool { return !unicode.IsPrint(r) })
	if bad {
		l.reports.error(rng, "Invalid key", fmt.Sprintf("The key %q cannot stand in a resource address.", k), "")
	}
	return !bad
}

// rebind evaluates for_each again once addresses are allocated, for values that
// had to wait for them. The keys are the same: they were known.
func (l *loader) rebind(r *repeated) {
	r.waits = false
	v, ok := l.eval(r.forEach, &scope{module: r.module})
	if !ok {
		return
	}
	values := v.AsValueMap()
	for _, t := range r.turns {
		t.each = values[t.key.AsString()]
	}
}

// enter begins the evaluation of something. Entering it again is a cycle, which
// is reported at the reference that closes it.
func (l *loader) enter(state *progress, name string, from hcl.Range) (leave func(ok bool), ok bool) {
	if *state == underway {
		cycle := append(slices.Clone(l.stack[slices.Index(l.stack, name):]), name)
		l.reports.error(from, "Reference cycle", strings.Join(cycle, " -> ")+".", "One of them must not refer to the next.")
		return nil, false
	}
	const deepest = 1000
	if len(l.stack) >= deepest {
		l.reports.error(from, "Reference chain too long", fmt.Sprintf("References may follow each other %d levels deep.", deepest), "")
		return nil, false
	}
	*state = underway
	l.stack = append(l.stack, name)
	return func(ok bool) {
		l.stack = l.stack[:len(l.stack)-1]
		*state = done
		if !ok {
			*state = failed
		}
	}, true
}

// evaluate decodes a resource; evaluateFor does so for a reference at from.
func (l *loader) evaluate(o *object) bool { return l.evaluateFor(o, o.def.block.DefRange) }

func (l *loader) evaluateFor(o *object, from hcl.Range) bool {
	switch o.state {
	case done:
		return true
	case failed:
		return false
	}
	leave, ok := l.enter(&o.state, o.address, from)
	if !ok {
		return false
	}
	ok = l.decodeObject(o)
	leave(ok)
	return ok
}

func (l *loader) decodeObject(o *object) bool {
	def := o.def
	if def.broken {
		return false
	}
	scope, ok := o.scope(), true
	if o.target = def.read; o.target == nil {
		scope.refs = maps.Clone(def.refs)
		o.target, ok = l.decodeBlock(def, o.address, scope)
	}
	meta := def.kind.meta(o.target)
	meta.ID, meta.Replacements = o.id, o.replacements
	meta.Refs = sortedKeys(scope.refs)
	if def.kind.ip != nil {
		ip, pinned := def.kind.ip(o.target)
		*ip, *pinned = o.ip, o.pinned
	}
	if ok && len(def.turns) == 1 && def.module == l.root {
		def.block.Body = hcl.EmptyBody() // what is written out takes more memory than what it says
	}
	return ok
}

// decodeBlock makes the resource with this address of its block.
func (l *loader) decodeBlock(def *definition, address string, s *scope) (target any, ok bool) {
	target = def.kind.make()
	meta := def.kind.meta(target)
	meta.Address, meta.Name = address, def.name
	d := &decoder{l: l, scope: s, parent: address, owner: def.name, ok: true}
	body, ok := d.expanded(def.kind.block, def.block.Body, def.dynamic)
	if !ok {
		return target, false
	}
	d.block(def.kind.block, body, nil, target, def.block.DefRange, def.block.LabelRanges)
	return target, d.ok
}
