package spec

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// scope is what an expression sees.
type scope struct {
	module *module         // whose variables, locals and blocks
	turn   *turn           // whose count and each; nil outside of blocks that may have them
	refs   map[string]bool // collects the addresses of the resources that were used
	group  cty.Value       // what count or each stands for, built when first asked for
}

// repetition is what count or each stands for.
func (s *scope) repetition() cty.Value {
	switch t := s.turn; {
	case s.group != cty.NilVal:
	case t.of.count != nil:
		s.group = cty.ObjectVal(map[string]cty.Value{"index": t.key})
	default:
		s.group = cty.ObjectVal(map[string]cty.Value{"key": t.key, "value": t.each})
	}
	return s.group
}

// record adds a used resource.
func (s *scope) record(address string) {
	if s.refs == nil {
		s.refs = map[string]bool{}
	}
	s.refs[address] = true
}

// eval evaluates an expression. It reports what is wrong and then returns false.
func (l *loader) eval(expr hcl.Expression, s *scope) (cty.Value, bool) {
	return l.evalWith(expr, s, true)
}

// plainRoots begin references to what is at hand, which take no context to evaluate.
var plainRoots = map[string]bool{"var": true, "local": true, "count": true, "each": true}

// evalIdentity evaluates an expression of which only the identity of resources
// is of interest, so that naming an instance does not evaluate it.
func (l *loader) evalIdentity(expr hcl.Expression, s *scope) (cty.Value, bool) {
	return l.evalWith(expr, s, false)
}

func (l *loader) evalWith(expr hcl.Expression, s *scope, whole bool) (cty.Value, bool) {
	if literal, ok := expr.(*hclsyntax.TemplateExpr); ok && literal.IsStringLiteral() {
		v, _ := literal.Value(nil)
		return v, true
	}
	if t, ok := expr.(*hclsyntax.ScopeTraversalExpr); ok && len(t.Traversal) == 2 && plainRoots[t.Traversal.RootName()] {
		ref, ok := l.resolve(t.Traversal, s.module)
		if !ok {
			return cty.DynamicVal, false
		}
		v, _, ok := l.plainValue(ref, s)
		return v, ok
	}
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
	e := environment{l: l, scope: s, expr: expr, whole: whole, values: map[string]map[string]cty.Value{}}
	ok := true
	for _, t := range variables {
		ref, found := l.resolve(t, s.module)
		switch {
		case found && ref.def != nil:
			found = e.resource(ref)
		case found && ref.call != nil:
			found = e.module(ref)
		case found:
			found = e.plain(ref)
		}
		ok = ok && found
	}
	ok = e.fetch() && ok
	ctx := l.base.NewChild()
	ctx.Variables = make(map[string]cty.Value, len(e.values)+1)
	for root, group := range e.values {
		ctx.Variables[root] = cty.ObjectVal(group)
	}
	if e.repeats != "" {
		ctx.Variables[e.repeats] = s.repetition()
	}
	return ctx, ok
}

// environment collects what one expression refers to.
type environment struct {
	l     *loader
	scope *scope
	expr  hcl.Expression // nil when there is not just one
	whole bool           // naming a resource needs all of it, not only its identity
	needs []need
	inner []lookup // references to listeners and records
	calls []moduleNeed
	// repeats is the root of references to what repeats the block: count or each.
	repeats string
	size    int // of what is computed, as often as it is referred to
	values  map[string]map[string]cty.Value
}

// need says whether an expression needs a block's resources whole or only what
// is known of them early.
type need struct {
	def *definition
	rng hcl.Range
	all bool
	// traced values carry the address that they came from, for an index that only
	// the evaluation knows.
	traced bool
}

func (e *environment) add(root, name string, v cty.Value) {
	if e.values[root] == nil {
		e.values[root] = map[string]cty.Value{}
	}
	e.values[root][name] = v
}

func (e *environment) plain(ref lookup) bool {
	v, size, ok := e.l.plainValue(ref, e.scope)
	if !ok || !e.grow(size, ref.rng) {
		return false
	}
	if ref.root == "count" || ref.root == "each" {
		e.repeats = ref.root
	} else {
		e.add(ref.root, ref.name, v)
	}
	return true
}

// grow counts a value that is referred to. Locals that repeat each other grow
// exponentially; this is where it ends.
func (e *environment) grow(size int, rng hcl.Range) bool {
	if e.size += size; e.size <= 4*maxText {
		return true
	}
	e.l.reports.error(rng, "Value too large", fmt.Sprintf("The values in one expression hold more than %d MiB.", 4*maxText>>20), "")
	return false
}

func (e *environment) resource(ref lookup) bool {
	if !e.l.expand(ref.def, ref.rng) {
		return false
	}
	e.l.followIndex(&ref, e.expr, e.scope)
	if !e.l.checkReference(&ref) {
		return false
	}
	i := slices.IndexFunc(e.needs, func(n need) bool { return n.def == ref.def })
	if i < 0 {
		i = len(e.needs)
		e.needs = append(e.needs, need{def: ref.def, rng: ref.rng})
	}
	n := &e.needs[i]
	n.all = n.all || ref.attr == "" && e.whole || ref.attr != "" && !ref.def.kind.isEarly(ref.attr)
	n.traced = n.traced || ref.computed
	e.scope.use(&ref)
	if ref.innerName() != "" {
		e.inner = append(e.inner, ref)
	}
	return true
}

// fetch evaluates the blocks that are needed.
func (e *environment) fetch() bool {
	ok := true
	for _, n := range e.needs {
		v, found := e.l.value(n.def, n.all, n.rng)
		ok = ok && found
		if found && n.traced {
			v = n.def.tracedValue(v, n.all)
		}
		e.add(n.def.kind.name, n.def.name, v)
	}
	ok = e.fetchModules() && ok
	for i := range e.inner {
		ok = ok && e.l.checkInner(&e.inner[i], e.values)
	}
	return ok
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
	if !marked(v) {
		return v
	}
	v, paths := v.UnmarkDeepWithPaths()
	for i, p := range paths {
		kept := cty.ValueMarks{}
		for m := range p.Marks {
			if address, ok := m.(origin); !ok {
				kept[m] = struct{}{}
			} else {
				s.record(string(address))
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
func (s *scope) use(ref *lookup) {
	if ref.computed {
		return
	}
	objects := ref.def.objects
	if ref.key != cty.NilVal {
		at := ref.def.find(ref.key)
		objects = objects[max(at, 0) : at+1]
	}
	for _, o := range objects {
		if &o.turn != s.turn {
			s.record(o.address)
		}
	}
}

// plainValue is the value of a variable, a local, a path, count or each, and the size of
// what is computed.
func (l *loader) plainValue(ref lookup, s *scope) (v cty.Value, size int, ok bool) {
	switch ref.root {
	case "var":
		return l.variable(s.module.variables[ref.name], ref.rng, s)
	case "local":
		return l.local(s.module.locals[ref.name], ref.rng, s)
	case "path":
		return s.module.path(ref.name), 0, true
	}
	v, ok = l.repetition(ref, s.turn)
	return v, 0, ok
}

// repetition is the value of count.index, each.key or each.value.
func (l *loader) repetition(ref lookup, t *turn) (cty.Value, bool) {
	if t == nil || t.key == cty.NilVal {
		l.reports.error(ref.rng, "No "+ref.root+" here", "This stands in no block with "+repeatWord(ref.root)+".", "")
		return cty.DynamicVal, false
	}
	counted := t.of.count != nil
	switch {
	case counted != (ref.root == "count"):
		l.reports.error(ref.rng, "No "+ref.root+" here", "This block has "+repeatWord(map[bool]string{true: "count", false: "each"}[counted])+
			", not "+repeatWord(ref.root)+".", "")
		return cty.DynamicVal, false
	case counted:
		return t.key, true
	case t.of.waits && l.allocated: // before it gets into a group
		l.rebind(t.of)
	}
	if ref.name == "key" {
		return t.key, true
	}
	return t.each, true
}

func repeatWord(root string) string {
	if root == "each" {
		return "for_each"
	}
	return "count"
}
