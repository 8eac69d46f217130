package spec

import (
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// scope is what an expression sees besides variables, locals and resources.
type scope struct {
	object *object         // whose count and each; nil outside of resources
	refs   map[string]bool // collects the addresses of the resources that were used
}

func newScope(o *object) *scope { return &scope{object: o, refs: map[string]bool{}} }

// eval evaluates an expression. It reports what is wrong and then returns false.
func (l *loader) eval(expr hcl.Expression, s *scope) (cty.Value, bool) {
	return l.evalWith(expr, s, true)
}

// evalIdentity evaluates an expression of which only the identity of resources
// is of interest, so that naming an instance does not evaluate it.
func (l *loader) evalIdentity(expr hcl.Expression, s *scope) (cty.Value, bool) {
	return l.evalWith(expr, s, false)
}

func (l *loader) evalWith(expr hcl.Expression, s *scope, whole bool) (cty.Value, bool) {
	ctx, ok := l.context(expr.Variables(), expr, s, whole)
	if !ok {
		return cty.DynamicVal, false
	}
	v, diags := expr.Value(ctx)
	l.reports.hcl(diags)
	return l.traced(v, s), !diags.HasErrors()
}

// context builds what hcl looks references up in, holding just the named ones.
// The value of a block with count is built once and shared, so that a reference
// costs the same however many resources stand behind it.
func (l *loader) context(variables []hcl.Traversal, expr hcl.Expression, s *scope, whole bool) (*hcl.EvalContext, bool) {
	if len(variables) == 0 {
		return l.base, true
	}
	groups := map[string]map[string]cty.Value{}
	add := func(root, name string, v cty.Value) {
		if groups[root] == nil {
			groups[root] = map[string]cty.Value{}
		}
		groups[root][name] = v
	}
	ok := true
	needs := map[*definition]need{}
	var inner []lookup // references to listeners and records
	for _, t := range variables {
		ref, found := l.resolve(t)
		if found && ref.def == nil {
			var v cty.Value
			if v, found = l.plainValue(ref, s); found {
				add(ref.root, ref.name, v)
			}
		} else if found {
			if found = l.expand(ref.def, ref.rng); found {
				l.followIndex(&ref, expr, s)
				found = l.checkReference(&ref)
			}
			if found {
				all := ref.attr == "" && whole || ref.attr != "" && !ref.def.kind.isEarly(ref.attr)
				needs[ref.def] = need{ref.rng, needs[ref.def].all || all, needs[ref.def].traced || ref.computed}
				l.use(s, &ref)
				if ref.innerName() != "" {
					inner = append(inner, ref)
				}
			}
		}
		ok = ok && found
	}
	for def, need := range needs {
		v, found := l.value(def, need.all, need.rng)
		ok = ok && found
		if found && need.traced {
			v = def.tracedValue(v, need.all)
		}
		add(def.kind.name, def.name, v)
	}
	for i := range inner {
		ok = ok && l.checkInner(&inner[i], groups)
	}
	ctx := l.base.NewChild()
	ctx.Variables = make(map[string]cty.Value, len(groups))
	for root, group := range groups {
		ctx.Variables[root] = cty.ObjectVal(group)
	}
	return ctx, ok
}

// need says whether an expression needs a block's resources whole or only what
// is known of them early.
type need struct {
	rng hcl.Range
	all bool
	// traced values carry the address that they came from, for an index that only
	// the evaluation knows.
	traced bool
}

// origin marks a value with the address of the resource that it came from.
type origin string

// tracedValue marks every resource in the value of a block.
func (def *definition) tracedValue(v cty.Value, whole bool) cty.Value {
	cached := &def.traced[0]
	if whole {
		cached = &def.traced[1]
	}
	if *cached == cty.NilVal {
		values := make([]cty.Value, len(def.objects))
		for i, o := range def.objects {
			key := o.key
			if def.forEach != nil {
				values[i] = v.GetAttr(key.AsString()).Mark(origin(o.address))
			} else {
				values[i] = v.Index(key).Mark(origin(o.address))
			}
		}
		*cached = def.shape(values)
	}
	return *cached
}

// traced takes the origins off a value and records them as used.
func (l *loader) traced(v cty.Value, s *scope) cty.Value {
	if !v.ContainsMarked() {
		return v
	}
	v, paths := v.UnmarkDeepWithPaths()
	for i, p := range paths {
		kept := cty.ValueMarks{}
		for m := range p.Marks {
			if address, ok := m.(origin); !ok {
				kept[m] = struct{}{}
			} else if s != nil && s.refs != nil {
				s.refs[string(address)] = true
			}
		}
		paths[i].Marks = kept
	}
	paths = slices.DeleteFunc(paths, func(p cty.PathValueMarks) bool { return len(p.Marks) == 0 })
	return v.MarkWithPaths(paths)
}

// isEarly reports whether an attribute is known without evaluating the block.
func (k *kind) isEarly(attr string) bool {
	return attr == "id" || attr == "name" || slices.Contains(k.early, attr)
}

// use records a reference: destroying what it refers to takes the user along.
func (l *loader) use(s *scope, ref *lookup) {
	if s == nil || s.refs == nil || ref.computed {
		return
	}
	for _, o := range ref.def.objects {
		if o != s.object && (ref.key == cty.NilVal || keyEquals(o.key, ref.key)) {
			s.refs[o.address] = true
		}
	}
}

// plainValue is the value of a variable, a local, count or each.
func (l *loader) plainValue(ref lookup, s *scope) (cty.Value, bool) {
	switch ref.root {
	case "var":
		v := l.variables[ref.name]
		return v.value, v.ok
	case "local":
		return l.local(ref.name, ref.rng, s)
	}
	if s == nil || s.object == nil || s.object.key == cty.NilVal {
		l.reports.error(ref.rng, "No "+ref.root+" here", "This stands in no block with "+repeatWord(ref.root)+".", "")
		return cty.DynamicVal, false
	}
	o := s.object
	counted := o.def.count != nil
	switch {
	case counted != (ref.root == "count"):
		l.reports.error(ref.rng, "No "+ref.root+" here", "This block has "+repeatWord(map[bool]string{true: "count", false: "each"}[counted])+
			", not "+repeatWord(ref.root)+".", "")
		return cty.DynamicVal, false
	case ref.name == "value":
		if !o.each.IsWhollyKnown() && l.allocated {
			l.rebind(o.def)
		}
		return o.each, true
	}
	return o.key, true
}

func repeatWord(root string) string {
	if root == "each" {
		return "for_each"
	}
	return "count"
}

// value is what a block stands for in an expression: one object, a tuple of them
// with count, an object of them with for_each. Not whole, the objects have only
// what is known of them early.
func (l *loader) value(def *definition, whole bool, rng hcl.Range) (cty.Value, bool) {
	if !l.expand(def, rng) {
		return cty.DynamicVal, false
	}
	cached := &def.identity
	switch {
	case !l.allocated:
		cached = &def.pending
	case whole:
		cached = &def.whole
	}
	if *cached != cty.NilVal {
		return *cached, true
	}
	values := make([]cty.Value, len(def.objects))
	for i, o := range def.objects {
		v, ok := l.objectValue(o, whole, rng)
		if !ok {
			return cty.DynamicVal, false
		}
		values[i] = v
	}
	*cached = def.shape(values)
	return *cached, true
}

// shape arranges the values of a block's resources.
func (def *definition) shape(values []cty.Value) cty.Value {
	switch {
	case def.forEach != nil:
		attrs := make(map[string]cty.Value, len(values))
		for i, o := range def.objects {
			attrs[o.key.AsString()] = values[i]
		}
		return cty.ObjectVal(attrs)
	case def.count != nil:
		return cty.TupleVal(values)
	}
	return values[0]
}

func (l *loader) objectValue(o *object, whole bool, rng hcl.Range) (cty.Value, bool) {
	attrs := map[string]cty.Value{"id": cty.StringVal(o.id), "name": cty.StringVal(o.def.name)}
	k := o.def.kind
	switch {
	case !l.allocated:
		for _, name := range k.valueNames() {
			if _, known := attrs[name]; !known {
				attrs[name] = cty.DynamicVal
			}
		}
	case !whole:
		for _, name := range k.early {
			attrs[name] = cty.StringVal(o.ip.String())
		}
	default:
		if !l.evaluateFor(o, rng) {
			return cty.DynamicVal, false
		}
		maps.Copy(attrs, l.resourceValue(k, nil, o.target))
	}
	return cty.ObjectVal(attrs), true
}

// resourceValue gives every attribute of an evaluated resource, inner resources
// in an object by name.
func (l *loader) resourceValue(k *kind, parent, target any) map[string]cty.Value {
	attrs := map[string]cty.Value{}
	for name, v := range k.encode(target) {
		attrs[name] = toCty(v)
	}
	meta := k.meta(target)
	attrs["id"], attrs["name"] = cty.StringVal(meta.ID), cty.StringVal(meta.Name)
	if k.derive != nil {
		maps.Copy(attrs, k.derive(l, parent, target))
	}
	for _, c := range k.children() {
		inner := map[string]cty.Value{}
		for _, t := range c.list(target) {
			inner[c.meta(t).Name] = cty.ObjectVal(l.resourceValue(c, target, t))
		}
		attrs[c.name] = cty.ObjectVal(inner)
	}
	return attrs
}

// valueNames lists the attributes that an expression can use of a resource.
func (k *kind) valueNames() []string {
	names := []string{"id", "name"}
	for _, list := range [][]attribute{k.labels, k.attributes} {
		for i := range list {
			if list[i].recorded() {
				names = append(names, list[i].name)
			}
		}
	}
	for _, c := range k.blocks {
		if !c.unrecorded {
			names = append(names, c.name)
		}
	}
	return names
}
