package spec

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// local is a named expression.
type local struct {
	lazy
	attr *hcl.Attribute
}

func (l *loader) declareLocals(m *module, block *hcl.Block) {
	attrs, diags := block.Body.JustAttributes()
	l.reports.hcl(diags)
	for _, name := range sortedKeys(attrs) {
		a := attrs[name]
		if earlier := m.locals[name]; earlier != nil {
			l.duplicate("local", name, a.NameRange, earlier.attr.NameRange)
			continue
		}
		m.locals[name] = &local{attr: a}
	}
}

// local gives the value of a local and its size, for a reference at from.
func (l *loader) local(x *local, from hcl.Range, s *scope) (v cty.Value, size int, ok bool) {
	r := l.force(&x.lazy, inside(s.module.address, "local."+x.attr.Name), x.attr.Expr.Range(), from, scope{module: s.module}, func(own *scope) (cty.Value, bool) {
		return l.eval(x.attr.Expr, own)
	})
	r.use(s)
	return r.value, r.size, r.state == done
}

// checkLocals evaluates the locals that nothing uses, so that their mistakes are
// found too.
func (l *loader) checkLocals(m *module) {
	for _, name := range sortedKeys(m.locals) {
		l.local(m.locals[name], m.locals[name].attr.NameRange, &scope{module: m})
	}
}

const nameHint = "Names begin with a letter or underscore and have only letters, digits, underscores and hyphens."

func (l *loader) duplicate(kind, name string, rng, earlier hcl.Range) {
	l.reports.error(rng, "Duplicate name", fmt.Sprintf("%s %q is already declared at %s line %d.", kind, name, earlier.Filename, earlier.Start.Line), "")
}
