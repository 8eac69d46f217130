package spec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// local is a named expression. It is evaluated when first asked for, and again
// once addresses are allocated if it was asked for before and refers to a resource.
type local struct {
	attr    *hcl.Attribute
	results [2]localResult // before and after allocation
}

type localResult struct {
	state progress
	value cty.Value
	size  int
	refs  map[string]bool
}

func (l *loader) declareLocals(block *hcl.Block) {
	attrs, diags := block.Body.JustAttributes()
	l.reports.hcl(diags)
	for _, name := range sortedKeys(attrs) {
		a := attrs[name]
		if earlier := l.locals[name]; earlier != nil {
			l.duplicate("local", name, a.NameRange, earlier.attr.NameRange)
			continue
		}
		l.locals[name] = &local{attr: a}
	}
}

// local gives the value of a local, for a reference at from.
func (l *loader) local(name string, from hcl.Range, s *scope) (cty.Value, bool) {
	results := &l.locals[name].results
	r := &results[0]
	if l.allocated && (r.state != done || len(r.refs) > 0) {
		r = &results[1]
	}
	if r.state != done && r.state != failed {
		leave, ok := l.enter(&r.state, "local."+name, from)
		if !ok {
			return cty.DynamicVal, false
		}
		own := &scope{}
		r.value, ok = l.eval(l.locals[name].attr.Expr, own)
		r.refs = own.refs
		if r.size = sizeOf(r.value, maxText); r.size > maxText {
			l.reports.error(l.locals[name].attr.Expr.Range(), "Value too large", fmt.Sprintf("local.%s holds more than %d MiB.", name, maxText>>20), "")
			ok = false
		}
		leave(ok)
	}
	for address := range r.refs {
		s.record(address)
	}
	return r.value, r.state == done
}

// sizeOfLocal is the size of a local that was evaluated.
func (l *loader) sizeOfLocal(name string) int {
	results := &l.locals[name].results
	return max(results[0].size, results[1].size)
}

// checkLocals evaluates the locals that nothing uses, so that their mistakes are
// found too.
func (l *loader) checkLocals() {
	for _, name := range sortedKeys(l.locals) {
		l.local(name, l.locals[name].attr.NameRange, nil)
	}
}

var outputSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "value", Required: true}, {Name: "description"}, {Name: "sensitive"}},
}

func (l *loader) declareOutput(block *hcl.Block) {
	name := block.Labels[0]
	if earlier := l.outputs[name]; earlier != nil {
		l.duplicate("output", name, block.DefRange, earlier.DefRange)
		return
	}
	if !validIdentifier(name) {
		l.reports.error(block.LabelRanges[0], "Invalid name", fmt.Sprintf("%q is no name for an output.", name), nameHint)
		return
	}
	l.outputs[name] = block
}

const nameHint = "Names begin with a letter or underscore and have only letters, digits, underscores and hyphens."

func (l *loader) evaluateOutput(name string) (Output, bool) {
	out := Output{Name: name}
	content, diags := l.outputs[name].Body.Content(outputSchema)
	l.reports.hcl(diags)
	if diags.HasErrors() {
		return out, false
	}
	if a := content.Attributes["description"]; a != nil {
		out.Description = l.constantText(a)
	}
	if a := content.Attributes["sensitive"]; a != nil {
		out.Sensitive = l.constantBool(a)
	}
	expr := content.Attributes["value"].Expr
	v, ok := l.eval(expr, nil)
	if !ok || !v.IsWhollyKnown() {
		return out, false
	}
	v, marks := v.UnmarkDeep()
	if len(marks) > 0 && !out.Sensitive {
		l.reports.error(expr.Range(), "Sensitive output", fmt.Sprintf("The value of output.%s is sensitive.", name),
			"Write sensitive = true, or nonsensitive(...).")
		return out, false
	}
	if v.Type().IsCapsuleType() {
		l.reports.error(expr.Range(), "Wrong type", "An output cannot hold a type.", "")
		return out, false
	}
	out.Value = fromCty(v)
	return out, true
}

func (l *loader) duplicate(kind, name string, rng, earlier hcl.Range) {
	l.reports.error(rng, "Duplicate name", fmt.Sprintf("%s %q is already declared at %s line %d.", kind, name, earlier.Filename, earlier.Start.Line), "")
}
