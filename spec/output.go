package spec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// output is what a configuration tells its user, or a module whoever calls it.
type output struct {
	lazy
	name        string
	block       *hcl.Block
	expr        hcl.Expression // nil when the block is wrong
	description string
	sensitive   bool
}

var outputSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "value", Required: true}, {Name: "description"}, {Name: "sensitive"}},
}

func (l *loader) declareOutput(m *module, block *hcl.Block) {
	name := block.Labels[0]
	if earlier := m.outputs[name]; earlier != nil {
		l.duplicate("output", name, block.DefRange, earlier.block.DefRange)
		return
	}
	if !validIdentifier(name) {
		l.reports.error(block.LabelRanges[0], "Invalid name", fmt.Sprintf("%q is no name for an output.", name), nameHint)
		return
	}
	out := &output{name: name, block: block}
	m.outputs[name] = out
	content, diags := block.Body.Content(outputSchema)
	l.reports.hcl(diags)
	if diags.HasErrors() {
		return
	}
	if a := content.Attributes["description"]; a != nil {
		out.description = l.constantText(a)
	}
	if a := content.Attributes["sensitive"]; a != nil {
		out.sensitive = l.constantBool(a)
	}
	out.expr = content.Attributes["value"].Expr
}

// output evaluates an output of a module, for a reference at from.
func (l *loader) output(m *module, out *output, from hcl.Range) *lazyResult {
	if out.expr == nil {
		return &lazyResult{state: failed, value: cty.DynamicVal}
	}
	return l.force(&out.lazy, inside(m.address, "output."+out.name), out.expr.Range(), from, scope{module: m}, func(own *scope) (cty.Value, bool) {
		v, ok := l.eval(out.expr, own)
		if out.sensitive {
			v = v.Mark(sensitive)
		}
		return v, ok
	})
}

// readOutput gives an output of the configuration itself as it is recorded.
func (l *loader) readOutput(out *output) (Output, bool) {
	known := Output{Name: out.name, Description: out.description, Sensitive: out.sensitive}
	r := l.output(l.root, out, out.block.DefRange)
	if r.state != done || !r.value.IsWhollyKnown() {
		return known, false
	}
	v, marks := r.value.UnmarkDeep()
	if len(marks) > 0 && !out.sensitive {
		l.reports.error(out.expr.Range(), "Sensitive output", fmt.Sprintf("The value of output.%s is sensitive.", out.name),
			"Write sensitive = true, or nonsensitive(...).")
		return known, false
	}
	if v.Type().IsCapsuleType() {
		l.reports.error(out.expr.Range(), "Wrong type", "An output cannot hold a type.", "")
		return known, false
	}
	known.Value = fromCty(v)
	return known, true
}
