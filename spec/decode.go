package spec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
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
}

// site remembers where a target was written, so that checks can point there.
type site struct {
	rng      hcl.Range
	labels   []hcl.Range
	native   *hclsyntax.Body
	attrs    hcl.Attributes // when the body is not native
	table    *block
	children [][]*site // by place of the inner block in the table
	nulls    []string  // arguments that are null, which counts as left out
	sealed   []*sealing
}

// seals says whether a text in an argument is sensitive.
func (s *site) seals(argument, name string) bool {
	return slices.ContainsFunc(s.sealed, func(x *sealing) bool { return x.name == argument && (x.names == nil || x.names[name]) })
}

// at is the place of an argument's value, or of the block where it is missing.
func (s *site) at(name string) hcl.Range {
	if a := s.attribute(name); a != nil {
		return a.Expr.Range()
	}
	return s.rng
}

func (s *site) has(name string) bool {
	return s.attribute(name) != nil && !slices.Contains(s.nulls, name)
}

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

// block decodes a body into a target, whose labels are set; owner is the target of
// the block around it, or nil. Everything wrong in it is reported; d.ok tells whether
// anything was.
func (d *decoder) block(b *block, body hcl.Body, owner, target any, rng hcl.Range, labels []hcl.Range) *site {
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
	b.settle(owner, target)
	d.checkVariant(b, s, target)
	if b.finish != nil {
		b.finish(d, s, target)
	}
	for _, secret := range s.sealed {
		d.l.conceal(secret, target)
	}
	return s
}

// checkVariant reports the arguments that only targets of another kind have.
func (d *decoder) checkVariant(b *block, s *site, target any) {
	for i := range b.attributes {
		if a := &b.attributes[i]; !a.variant.has(target) && s.has(a.name) {
			d.errorf(s.attribute(a.name).NameRange, "Unused argument", "Remove it.", "%s", a.variant.refusal(a.name, target))
		}
	}
}

func (v *variant) refusal(name string, target any) string {
	return fmt.Sprintf("%s is for %s; this %s is %s.", name, v, v.noun, v.of(target))
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
	if !c.variant.has(target) {
		d.errorf(inner.DefRange, "Unused block", "Remove it.", "%s", c.variant.refusal(c.name, target))
		return
	}
	grown := c.grow(target)
	d.spread, d.nobody = nil, false
	for i := range c.labels {
		value := cty.StringVal(inner.Labels[i])
		d.value(c.block, &c.labels[i], value, inner.LabelRanges[i], nil, grown)
	}
	var place *site
	if c.resource {
		place = d.resource(c, inner, target, grown)
	} else {
		place = d.block(c.block, inner.Body, target, grown, inner.DefRange, inner.LabelRanges)
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

// resource decodes an inner block that has an address: its references are its own,
// and it is the parent of the resources inside it.
func (d *decoder) resource(c *child, inner *hcl.Block, owner, target any) *site {
	scope, parent := d.scope, d.parent
	own := *d.scope
	own.refs = nil
	d.scope = &own
	m := c.meta(target)
	for _, name := range c.naming {
		if a := argument(inner.Body, name); a != nil {
			d.attribute(c.block, c.attribute(name), a, target, nil)
		}
	}
	m.Name = c.identity(target)
	m.Address = fmt.Sprintf("%s.%s[%q]", parent, c.name, m.Name)
	m.ID, m.Replacements = d.l.identity(m.Address)
	d.parent = m.Address
	place := d.block(c.block, inner.Body, owner, target, inner.DefRange, inner.LabelRanges)
	m.Refs = sortedKeys(d.scope.refs)
	d.l.inner[m.Address] = place
	d.scope, d.parent = scope, parent
	return place
}

// attribute evaluates one argument into its field. Null counts as left out.
func (d *decoder) attribute(b *block, a *attribute, attr *hcl.Attribute, target any, s *site) {
	if a.names {
		d.names(a, attr, target)
		return
	}
	if a.kind != "" {
		d.reference(b, a, attr, target, s)
		return
	}
	if a.secret && holdsText(attr.Expr) {
		d.l.reports.hide(attr)
	}
	v, ok := d.l.eval(attr.Expr, d.scope)
	if !ok {
		d.ok = false
		return
	}
	if v.IsNull() {
		d.null(b, a, attr, s)
		return
	}
	switch {
	case a.secret:
		v, _ = v.UnmarkDeep()
	case a.sealable && s != nil:
		if secret := sealingOf(a, v); secret != nil {
			s.sealed = append(s.sealed, secret)
			v, _ = v.UnmarkDeep()
		}
	}
	if v.ContainsMarked() {
		d.errorf(attr.Expr.Range(), "Sensitive value", sensitiveHint(b, a),
			"The value of %s is sensitive, and cannot be kept secret: plans, status and what runs show it.", a.name)
		return
	}
	d.value(b, a, v, attr.Expr.Range(), attr.Expr, target)
}

// sensitiveHint says where a secret can stand instead.
func sensitiveHint(b *block, a *attribute) string {
	switch {
	case b.name == "page" && a.name == "file":
		return "Write content = sensitive(file(...)): what is in the file is kept secret then."
	case a.name == "command":
		return "Give it to the program in env: a command line can be read by every user of the machine."
	}
	return "The content and headers of a page, env and private_key are kept secret. If this may be shown, write nonsensitive(...)."
}

// holdsText reports whether a source line with this expression may show what it
// stands for: a call and a reference do not.
func holdsText(expr hcl.Expression) bool {
	switch expr.(type) {
	case *hclsyntax.FunctionCallExpr, *hclsyntax.ScopeTraversalExpr:
		return false
	}
	return true
}

// null counts as left out. There is no site where one argument is read alone.
func (d *decoder) null(b *block, a *attribute, attr *hcl.Attribute, s *site) {
	if s != nil {
		s.nulls = append(s.nulls, a.name)
	}
	if a.required {
		d.errorf(attr.Expr.Range(), "Missing argument", "", "%s is null, but %s needs it.", a.name, article(b.name))
	}
}

// value converts and checks a value and puts it into the field. A label has no
// expression.
func (d *decoder) value(b *block, a *attribute, v cty.Value, rng hcl.Range, expr hcl.Expression, target any) {
	if !v.IsWhollyKnown() {
		d.unknown(rng, a.name)
		return
	}
	converted, err := convertTo(v, a.typ)
	if err != nil {
		d.errorf(rng, "Wrong type", "", "%s must be %s, not %s.", a.name, article(a.typ.FriendlyName()), article(v.Type().FriendlyName()))
		return
	}
	err = a.parse(target, converted)
	var hinted hintError
	var element elementError
	if errors.As(err, &element) {
		rng = elementRange(expr, element.index, rng)
	}
	switch {
	case err == nil:
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

// elementRange is the place of an element of a list, or all of the list where its
// elements are not written out.
func elementRange(expr hcl.Expression, index int, all hcl.Range) hcl.Range {
	elements, diags := hcl.ExprList(expr)
	if diags.HasErrors() || index >= len(elements) {
		return all
	}
	return elements[index].Range()
}

func article(noun string) string {
	switch noun[0] {
	case 'a', 'e', 'i', 'o', 'u':
		return "an " + noun
	}
	return "a " + noun
}
