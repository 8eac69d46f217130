package spec

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// decoder fills a target from a block's body, evaluating as it goes.
type decoder struct {
	l     *loader
	scope *scope
	// owner is the name of the resource that inner resources belong to; parent
	// its address.
	owner, parent string
	ok            bool
	spread        []string // further instances that the backend under way stands for
	nobody        bool     // it stands for none: their count is 0
	identified    string   // address of the inner resource under way
}

// site remembers where a target was written, so that checks can point there.
type site struct {
	rng      hcl.Range
	labels   []hcl.Range
	native   *hclsyntax.Body
	attrs    hcl.Attributes // when the body is not native
	table    *block
	children [][]*site // by place of the inner block in the table
	refs     []string  // of an inner resource
}

// at is the place of an argument's value, or of the block where it is missing.
func (s *site) at(name string) hcl.Range {
	if a := s.attribute(name); a != nil {
		return a.Expr.Range()
	}
	return s.rng
}

func (s *site) has(name string) bool { return s.attribute(name) != nil }

func (s *site) attribute(name string) *hcl.Attribute {
	if s.native == nil {
		return s.attrs[name]
	}
	if a := s.native.Attributes[name]; a != nil {
		return a.AsHCLAttribute()
	}
	return nil
}

func (s *site) label(i int) hcl.Range {
	if i < len(s.labels) {
		return s.labels[i]
	}
	return s.rng
}

// child is the place of the n-th inner block of a type.
func (s *site) child(name string, n int) *site {
	for i := range s.children {
		if s.table.blocks[i].name == name && n < len(s.children[i]) {
			return s.children[i][n]
		}
	}
	return &site{rng: s.rng}
}

func (d *decoder) errorf(rng hcl.Range, summary, hint, format string, args ...any) {
	d.ok = false
	d.l.reports.error(rng, summary, fmt.Sprintf(format, args...), hint)
}

// block decodes a body. Everything wrong in it is reported; d.ok tells whether
// anything was.
func (d *decoder) block(b *block, body hcl.Body, target any, rng hcl.Range, labels []hcl.Range) *site {
	s := &site{rng: rng, labels: labels, table: b}
	blocks := d.contents(b, body, s)
	b.reset(target)
	for i := range b.attributes {
		a := &b.attributes[i]
		if a.computed || a.repeats {
			continue
		}
		if attr := s.attribute(a.name); attr != nil {
			d.attribute(b, a, attr, target, s)
		} else if a.required {
			d.errorf(rng, "Missing argument", fmt.Sprintf("Write %s = ...", a.name), "%s needs the argument %s.", capital(article(b.name)), a.name)
		}
	}
	s.children = make([][]*site, len(b.blocks))
	for _, inner := range blocks {
		if i := b.childIndex(inner.Type); i >= 0 {
			d.inner(b, i, inner, target, s)
		}
	}
	for i := range b.blocks {
		if c := &b.blocks[i]; len(s.children[i]) < c.least {
			d.errorf(rng, "Missing block", fmt.Sprintf("Write %s { ... }.", c.name), "%s needs at least one %s.", capital(article(b.name)), c.name)
		}
	}
	if b.finish != nil {
		b.finish(d, s, target)
	}
	return s
}

// contents reads a body: directly where the syntax allows, else through hcl.
func (d *decoder) contents(b *block, body hcl.Body, s *site) hcl.Blocks {
	native, ok := body.(*hclsyntax.Body)
	if ok {
		s.native = native
		blocks := make(hcl.Blocks, len(native.Blocks))
		for i, inner := range native.Blocks {
			blocks[i] = inner.AsHCLBlock()
		}
		return blocks
	}
	content, _, diags := body.PartialContent(b.header())
	d.l.reports.hcl(diags)
	d.ok = d.ok && !diags.HasErrors()
	s.attrs = content.Attributes
	return content.Blocks
}

// expanded wraps a body so that its dynamic blocks are written out.
func (d *decoder) expanded(b *block, body hcl.Body, dynamic bool) (hcl.Body, bool) {
	if !dynamic {
		return body, true
	}
	variables := dynamicVariables(b, dynblock.WalkExpandVariables(body))
	ctx, ok := d.l.context(variables, nil, d.scope, true)
	return dynblock.Expand(body, ctx), ok
}

func hasDynamic(body *hclsyntax.Body) bool {
	for _, b := range body.Blocks {
		if b.Type == "dynamic" || hasDynamic(b.Body) {
			return true
		}
	}
	return false
}

// dynamicVariables lists what the for_each of dynamic blocks refers to.
func dynamicVariables(b *block, node dynblock.WalkVariablesNode) []hcl.Traversal {
	variables, children := node.Visit(b.header())
	for _, c := range children {
		if inner := b.child(c.BlockTypeName); inner != nil {
			variables = append(variables, dynamicVariables(inner.block, c.Node)...)
		}
	}
	return variables
}

// inner decodes one block inside another, the index-th of the table.
func (d *decoder) inner(parent *block, index int, inner *hcl.Block, target any, s *site) {
	c := &parent.blocks[index]
	if c.single && len(s.children[index]) > 0 {
		d.errorf(inner.DefRange, "Duplicate block", "", "%s has at most one %s block.", capital(article(parent.name)), c.name)
		return
	}
	if len(inner.Labels) != len(c.labels) {
		d.errorf(inner.DefRange, "Wrong number of labels", "", "%s block has %s, not %d.", capital(article(c.name)), labelCount(len(c.labels)), len(inner.Labels))
		return
	}
	grown := c.grow(target)
	outer := d.scope
	if c.resource {
		own := *d.scope
		own.refs = nil
		d.scope = &own
	}
	d.spread, d.nobody = nil, false
	for i := range c.labels {
		value := cty.StringVal(inner.Labels[i])
		d.value(c.block, &c.labels[i], value, inner.LabelRanges[i], grown)
	}
	place := d.block(c.block, inner.Body, grown, inner.DefRange, inner.LabelRanges)
	if c.resource {
		place.refs = sortedKeys(d.scope.refs)
		d.l.inner[d.identified] = place
		d.scope = outer
	}
	if d.nobody {
		d.nobody = false
		c.drop(target)
		return
	}
	times := 1
	for _, instance := range d.spread {
		copied := c.repeat(target)
		d.put(c.block.attribute("instance"), copied, instance)
		times++
	}
	d.spread = nil
	for range times {
		s.children[index] = append(s.children[index], place)
	}
}

// attribute evaluates one argument into its field. Null counts as left out.
func (d *decoder) attribute(b *block, a *attribute, attr *hcl.Attribute, target any, s *site) {
	if a.kind != "" {
		d.reference(b, a, attr, target)
		return
	}
	v, ok := d.l.eval(attr.Expr, d.scope)
	if !ok {
		d.ok = false
		return
	}
	if v.IsNull() {
		d.null(b, a, attr)
		return
	}
	if v.ContainsMarked() {
		d.errorf(attr.Expr.Range(), "Not supported yet", "If it may be shown and recorded, write nonsensitive(...).",
			"%s has a sensitive value. Resources are recorded in state, and this version cannot keep secrets there.", a.name)
		return
	}
	d.value(b, a, v, attr.Expr.Range(), target)
}

// null counts as left out.
func (d *decoder) null(b *block, a *attribute, attr *hcl.Attribute) {
	if a.required {
		d.errorf(attr.Expr.Range(), "Missing argument", "", "%s is null, but %s needs it.", a.name, article(b.name))
	}
}

// value converts and checks a value and puts it into the field.
func (d *decoder) value(b *block, a *attribute, v cty.Value, rng hcl.Range, target any) {
	if !v.IsWhollyKnown() {
		d.unknown(rng, a.name)
		return
	}
	converted, err := convert.Convert(v, a.typ)
	if err != nil {
		d.errorf(rng, "Wrong type", "", "%s must be %s, not %s.", a.name, article(a.typ.FriendlyName()), article(v.Type().FriendlyName()))
		return
	}
	err = a.parse(target, converted)
	var later laterError
	var hinted hintError
	switch {
	case err == nil:
	case errors.As(err, &later):
		d.ok = false
		d.l.notYet(rng, fmt.Sprintf("%s of %s", later.what, a.name))
	case errors.As(err, &hinted):
		d.errorf(rng, "Invalid value", hinted.hint, "%s %v.", a.name, err)
	default:
		d.errorf(rng, "Invalid value", "", "%s %v.", a.name, err)
	}
}

// unknown reports a value that depends on addresses before these are allocated.
// Later on a value is unknown only where an error was reported already.
func (d *decoder) unknown(rng hcl.Range, name string) {
	d.ok = false
	if !d.l.allocated {
		d.errorf(rng, "Not known yet", "Addresses are allocated after this is read. Use variables and locals here.",
			"%s depends on an attribute of a resource.", name)
	}
}

// reference evaluates an argument that names whole resources.
func (d *decoder) reference(b *block, a *attribute, attr *hcl.Attribute, target any) {
	v, ok := d.l.evalIdentity(attr.Expr, d.scope)
	if !ok {
		d.ok = false
		return
	}
	if v.IsNull() {
		d.null(b, a, attr)
		return
	}
	addresses, ok := d.addresses(a, attr.Expr, v, nil)
	if !ok {
		d.ok = false
		return
	}
	_, many := a.get(target).([]any)
	switch {
	case many:
		list := make([]any, len(addresses))
		for i, address := range addresses {
			list[i] = address
		}
		d.put(a, target, list)
	case len(addresses) == 0 && a.spreads:
		d.nobody = true
	case len(addresses) == 0:
		d.errorf(attr.Expr.Range(), "Nothing there", "", "%s refers to no %s: its count is 0.", a.name, a.kind)
	case len(addresses) > 1 && !a.spreads:
		d.errorf(attr.Expr.Range(), "Several resources", fmt.Sprintf("Choose one: %s.", addresses[0]),
			"%s refers to %d of them, but takes one.", a.name, len(addresses))
	default:
		d.put(a, target, addresses[0])
		d.spread = addresses[1:]
	}
}

func (d *decoder) put(a *attribute, target, value any) {
	if err := a.put(target, value); err != nil {
		panic("spec: " + a.name + ": " + err.Error())
	}
}

// addresses finds the resources that a value stands for: one object, or a list,
// set or map of them.
func (d *decoder) addresses(a *attribute, expr hcl.Expression, v cty.Value, found []string) ([]string, bool) {
	v, _ = v.Unmark()
	if !v.IsKnown() {
		if d.l.allocated {
			return nil, false
		}
		d.unknown(expr.Range(), a.name)
		return nil, false
	}
	if o := d.l.objectOf(v); o != nil {
		if o.def.kind.name != a.kind {
			d.errorf(expr.Range(), "Wrong kind", "", "%s must be %s, not %s.", a.name, article(a.kind), o.address)
			return nil, false
		}
		return append(found, o.address), true
	}
	t := v.Type()
	if v.IsNull() || !(t.IsTupleType() || t.IsListType() || t.IsSetType() || t.IsMapType() || t.IsObjectType() && !v.Type().HasAttribute("id")) {
		d.wrongReference(a, expr, v)
		return nil, false
	}
	for it := v.ElementIterator(); it.Next(); {
		_, element := it.Element()
		var ok bool
		if found, ok = d.addresses(a, expr, element, found); !ok {
			return nil, false
		}
	}
	return found, true
}

func (d *decoder) wrongReference(a *attribute, expr hcl.Expression, v cty.Value) {
	if v.Type() == cty.String && !v.IsNull() && strings.Contains(v.AsString(), "://") {
		d.ok = false
		d.l.notYet(expr.Range(), "A URL as "+a.name)
		return
	}
	hint := fmt.Sprintf("Write %s = %s.NAME.", a.name, a.kind)
	if vars := expr.Variables(); len(vars) == 1 && len(vars[0]) > 2 && vars[0].RootName() == a.kind {
		hint = fmt.Sprintf("Write %s = %s.", a.name, traversalText(vars[0][:2]))
	} else if v.Type() == cty.String && !v.IsNull() && d.l.definitions[a.kind][v.AsString()] != nil {
		hint = fmt.Sprintf("Write %s = %s.", a.name, formatAddress(a.kind, v.AsString()))
	}
	d.errorf(expr.Range(), "Wrong type", hint, "%s must be a whole %s, not %s.", a.name, a.kind, article(v.Type().FriendlyName()))
}

// identify gives an inner resource its name, address and id.
func (d *decoder) identify(m *Meta, name, kind string) {
	m.Name = name
	m.Address = fmt.Sprintf("%s.%s[%q]", d.parent, kind, name)
	m.Replacements = d.l.opt.Recorded.Replacements[m.Address]
	m.ID = NewID(m.Address, m.Replacements)
	d.identified = m.Address
}

func article(noun string) string {
	switch noun[0] {
	case 'a', 'e', 'i', 'o', 'u':
		return "an " + noun
	}
	return "a " + noun
}
