package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// lookup is a reference that was found: var.name, local.name, path.module, count.index,
// each.key, or a block of resources or modules with what the expression uses of it.
type lookup struct {
	rng  hcl.Range
	root string
	name string
	def  *definition
	call *call
	key  cty.Value     // the constant index after the name, or NilVal
	rest hcl.Traversal // after name and index
	attr string        // what is used of the resource, or the module's output; "" = all of it
	many bool          // attr is of several resources
	// computed says that the index is known only when the expression is evaluated.
	computed bool
}

// resolve finds what a traversal begins with.
func (l *loader) resolve(t hcl.Traversal, m *module) (lookup, bool) {
	ref := lookup{rng: t.SourceRange(), root: t.RootName()}
	if len(t) > 1 {
		ref.name = stepName(t[1])
	}
	var found bool
	switch ref.root {
	case "var":
		found = m.variables[ref.name] != nil
	case "local":
		found = m.locals[ref.name] != nil
	case "count", "each", "path":
		found = slices.Contains(m.namesOf(ref.root), ref.name)
	case moduleRoot:
		ref.call = m.calls[ref.name]
		found = ref.call != nil
	default:
		if m.definitions[ref.root] == nil {
			l.unknownRoot(ref, m)
			return ref, false
		}
		ref.def = m.definitions[ref.root][ref.name]
		found = ref.def != nil
	}
	if !found || ref.name == "" { // a block may have no name, by mistake
		l.unknownName(ref, m)
		return ref, false
	}
	if ref.def != nil || ref.call != nil {
		ref.key, ref.rest = indexOf(t[2:])
		if len(ref.rest) > 0 {
			ref.attr = attrName(ref.rest[0])
		}
	}
	return ref, true
}

// block is the block that a reference leads to.
func (ref *lookup) block() *repeated {
	if ref.call != nil {
		return &ref.call.repeated
	}
	return &ref.def.repeated
}

// namesOf lists what can follow the root of a reference.
func (m *module) namesOf(root string) []string {
	switch root {
	case "var":
		return sortedKeys(m.variables)
	case "local":
		return sortedKeys(m.locals)
	case moduleRoot:
		return sortedKeys(m.calls)
	case "path":
		return []string{"module", "root"}
	case "count":
		return []string{"index"}
	case "each":
		return []string{"key", "value"}
	}
	return sortedKeys(m.definitions[root])
}

func (l *loader) unknownRoot(ref lookup, m *module) {
	roots := []string{"var", "local", "count", "each", "path", moduleRoot}
	for _, k := range resourceKinds {
		if k.parent == nil {
			roots = append(roots, k.name)
		}
	}
	hint := didYouMean(ref.root, roots)
	if near := m.anyNamed(ref.root); near != "" {
		hint = fmt.Sprintf("Did you mean %s?", near)
	}
	if slices.Contains(laterKinds, ref.root) {
		l.notYet(ref.rng, "A reference to "+ref.root)
		return
	}
	l.reports.error(ref.rng, "Reference to nothing",
		fmt.Sprintf("There is no %q. References begin with %s.", ref.root, strings.Join(roots, ", ")), hint)
}

// anyNamed finds a resource by its bare name.
func (m *module) anyNamed(name string) string {
	for _, k := range resourceKinds {
		if m.definitions[k.name][name] != nil {
			return formatAddress(k.name, name)
		}
	}
	return ""
}

func (l *loader) unknownName(ref lookup, m *module) {
	names := m.namesOf(ref.root)
	hint := known(ref.root, names)
	if ref.name == "" {
		l.reports.error(ref.rng, "Incomplete reference", fmt.Sprintf("After %s comes a name.", ref.root), hint)
		return
	}
	if near := nearest(ref.name, names, 3); len(near) > 0 {
		for i := range near {
			near[i] = formatAddress(ref.root, near[i])
		}
		hint = "Did you mean " + strings.Join(near, " or ") + "?"
	}
	if ref.root == "path" && ref.name == "cwd" {
		hint = "Write path.root: plans must not depend on where slbctl was called from."
	}
	l.reports.error(ref.rng, "Reference to nothing", fmt.Sprintf("There is no %s.", formatAddress(ref.root, ref.name)), hint)
}

// known lists a few of the names that there are.
func known(root string, names []string) string {
	if len(names) == 0 {
		return fmt.Sprintf("The configuration has no %s.", root)
	}
	const few = 5
	list := make([]string, 0, few+1)
	for _, n := range names[:min(few, len(names))] {
		list = append(list, formatAddress(root, n))
	}
	if len(names) > few {
		list = append(list, "...")
	}
	return "There is " + strings.Join(list, ", ") + "."
}

// checkReference checks index and attribute against the block that was found.
func (l *loader) checkReference(ref *lookup) bool {
	block := ref.block()
	address := block.address
	repeated := block.count != nil || block.forEach != nil
	switch {
	case !repeated && ref.key != cty.NilVal && !ref.many:
		l.reports.error(ref.rng, "No index here", fmt.Sprintf("%s has neither count nor for_each.", address), "Write "+address+".")
		return false
	case repeated && ref.key == cty.NilVal && ref.attr != "" && !ref.many:
		l.reports.error(ref.rng, "Missing index", fmt.Sprintf("%s stands for %d %s.", address, len(block.turns), ref.things()),
			fmt.Sprintf("Write %s%s.%s for one, %s[*].%s for all.", address, block.exampleKey(), ref.attr, address, ref.attr))
		return false
	case ref.key != cty.NilVal && !ref.many && block.find(ref.key) < 0:
		l.unknownKey(ref, address)
		return false
	}
	if ref.call != nil {
		return l.checkOutput(ref)
	}
	names := ref.def.kind.valueNames()
	if ref.attr != "" && !slices.Contains(names, ref.attr) {
		slices.Sort(names)
		hint := didYouMean(ref.attr, names)
		if hint == "" {
			hint = "It has " + strings.Join(names, ", ") + "."
		}
		l.reports.error(ref.rng, "No such attribute", fmt.Sprintf("%s has no attribute %q.", capital(article(ref.def.kind.name)), ref.attr), hint)
		return false
	}
	return true
}

// innerName is the name of the listener or record that a reference goes on to.
func (ref *lookup) innerName() string {
	if ref.computed || len(ref.rest) < 2 || kindNamed(ref.attr) == nil {
		return ""
	}
	return stepName(ref.rest[1])
}

// checkInner checks that the listener or record is there, and a rule inside of it.
// By then the block has its value.
func (l *loader) checkInner(ref *lookup, values map[string]map[string]cty.Value) bool {
	v, owner := values[ref.root][ref.name], ref.def.address
	if ref.key != cty.NilVal {
		owner += formatKey(ref.key)
		if v.IsKnown() && ref.def.forEach != nil {
			v = v.GetAttr(ref.key.AsString())
		} else if v.IsKnown() {
			v = v.Index(ref.key)
		}
	}
	for rest := ref.rest; len(rest) > 1; rest = rest[2:] {
		kind, name := attrName(rest[0]), stepName(rest[1])
		if kindNamed(kind) == nil || name == "" {
			return true
		}
		if v = attributeOf(v, kind); v == cty.NilVal {
			return true // an error was reported already, or hcl will
		}
		inner := attributeOf(v, name)
		if inner == cty.NilVal {
			l.unknownInner(ref, owner+"."+kind, name, sortedKeys(v.Type().AttributeTypes()))
			return false
		}
		v, owner = inner, fmt.Sprintf("%s.%s[%q]", owner, kind, name)
	}
	return true
}

// attributeOf gives an attribute of an object, or NilVal without one.
func attributeOf(v cty.Value, name string) cty.Value {
	v, _ = v.Unmark()
	if !v.IsKnown() || !v.Type().IsObjectType() || !v.Type().HasAttribute(name) {
		return cty.NilVal
	}
	return v.GetAttr(name)
}

func (l *loader) unknownInner(ref *lookup, owner, name string, names []string) {
	hint := didYouMean(name, names)
	if hint == "" && len(names) > 0 {
		hint = "There is " + strings.Join(names, ", ") + "."
	}
	l.reports.error(ref.rng, "Reference to nothing", fmt.Sprintf("There is no %s[%q].", owner, name), hint)
}

// things are what a reference to a block means.
func (ref *lookup) things() string {
	if ref.call != nil {
		return "modules"
	}
	return "resources"
}

func (l *loader) unknownKey(ref *lookup, address string) {
	block := ref.block()
	var names []string
	for _, t := range block.turns {
		if block.forEach != nil {
			names = append(names, t.key.AsString())
		}
	}
	hint := ""
	switch {
	case block.count != nil && len(block.turns) > 0:
		hint = fmt.Sprintf("The last one is %s[%d].", address, len(block.turns)-1)
	case block.count != nil:
		hint = "Its count is 0."
	case ref.key.Type() == cty.String:
		hint = didYouMean(ref.key.AsString(), names)
	}
	l.reports.error(ref.rng, "Reference to nothing", fmt.Sprintf("There is no %s%s.", address, formatKey(ref.key)), hint)
}

// followIndex completes a reference that ends at the name of a block, where the
// expression goes on with a computed index or a splat: instance.web[count.index].address.
func (l *loader) followIndex(ref *lookup, expr hcl.Expression, s *scope) {
	if expr == nil || ref.key != cty.NilVal || ref.attr != "" {
		return
	}
	native, ok := hcl.UnwrapExpression(expr).(hclsyntax.Expression)
	if !ok {
		return
	}
	hclsyntax.VisitAll(native, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n := n.(type) {
		case *hclsyntax.RelativeTraversalExpr:
			if index, ok := n.Source.(*hclsyntax.IndexExpr); ok && index.Collection.Range() == ref.rng {
				ref.attr = attrName(n.Traversal[0])
				ref.many = true
				l.constantKey(ref, index.Key, s)
			}
		case *hclsyntax.IndexExpr:
			if n.Collection.Range() == ref.rng {
				l.constantKey(ref, n.Key, s)
				ref.many = true
			}
		case *hclsyntax.SplatExpr:
			if each, ok := n.Each.(*hclsyntax.RelativeTraversalExpr); ok && n.Source.Range() == ref.rng {
				ref.attr = attrName(each.Traversal[0])
				ref.many = true
			}
		}
		return nil
	})
}

// constantKey narrows a reference to one resource when its index is count.index,
// each.key or a variable.
func (l *loader) constantKey(ref *lookup, key hclsyntax.Expression, s *scope) {
	ref.computed = l.allocated
	if s.turn == nil {
		return
	}
	values := map[string]map[string]cty.Value{"var": {}}
	for _, t := range key.Variables() {
		if !slices.Contains([]string{"count", "each", "var"}, t.RootName()) {
			return
		}
		found, ok := l.resolve(t, s.module)
		if !ok {
			return
		}
		if found.root == "var" {
			values["var"][found.name], _, _ = l.plainValue(found, s)
		}
	}
	if key := s.turn.key; key != cty.NilVal {
		values["count"], values["each"] = map[string]cty.Value{"index": key}, map[string]cty.Value{"key": key}
	}
	ctx := l.base.NewChild()
	ctx.Variables = map[string]cty.Value{}
	for root, group := range values {
		ctx.Variables[root] = cty.ObjectVal(group)
	}
	v, diags := key.Value(ctx)
	v, _ = v.Unmark()
	if !diags.HasErrors() && v.IsKnown() && !v.IsNull() && ref.block().find(v) >= 0 {
		ref.key, ref.computed = v, false
	}
}

func indexOf(t hcl.Traversal) (cty.Value, hcl.Traversal) {
	if len(t) > 0 {
		if index, ok := t[0].(hcl.TraverseIndex); ok {
			return index.Key, t[1:]
		}
	}
	return cty.NilVal, t
}

// stepName is the name in .name or ["name"].
func stepName(step hcl.Traverser) string {
	switch s := step.(type) {
	case hcl.TraverseAttr:
		return s.Name
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsNull() {
			return s.Key.AsString()
		}
	}
	return ""
}

func attrName(step hcl.Traverser) string {
	if s, ok := step.(hcl.TraverseAttr); ok {
		return s.Name
	}
	return ""
}
