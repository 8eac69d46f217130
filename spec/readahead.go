package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// readAhead reads a block of resources whose arguments are all written out, as soon as it
// is parsed: its syntax tree takes ten times the memory of what it says, and need not wait
// for that of all others. A block that anything is to be said about is left to be read in
// its turn: the trial loader's reports are nobody's.
func (l *loader) readAhead(def *definition) {
	if def.module != l.root || def.count != nil || def.forEach != nil || !def.kind.alone() || !isWrittenOut(def.block.Body) {
		return
	}
	if l.trial == nil {
		trial := *l
		trial.reports = newReports()
		l.trial = &trial
	}
	target, ok := l.trial.decodeBlock(def, def.address, &scope{module: def.module})
	if !ok || len(l.trial.reports.list) > 0 {
		l.trial.reports = newReports()
		return
	}
	def.read, def.block.Body = target, hcl.EmptyBody()
}

// alone reports whether reading a block of this kind depends on nothing but the block
// and the files that it names, and leaves nothing behind but the resource.
func (k *kind) alone() bool {
	return len(k.children()) == 0 && !slices.ContainsFunc(k.attributes, func(a attribute) bool { return a.secret })
}

// isWrittenOut reports whether a body has no expression that must be evaluated, and pins
// no address, which is checked when addresses are allocated.
func isWrittenOut(body hcl.Body) bool {
	native, ok := body.(*hclsyntax.Body)
	return ok && native.Attributes["address"] == nil && allWrittenOut(native)
}

func allWrittenOut(body *hclsyntax.Body) bool {
	for _, a := range body.Attributes {
		if !isLiteral(a.Expr) {
			return false
		}
	}
	return !slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == "dynamic" || !allWrittenOut(b.Body) })
}

func isLiteral(expr hclsyntax.Expression) bool {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.TemplateExpr:
		return !slices.ContainsFunc(e.Parts, func(part hclsyntax.Expression) bool { return !isLiteral(part) })
	case *hclsyntax.TupleConsExpr:
		return !slices.ContainsFunc(e.Exprs, func(element hclsyntax.Expression) bool { return !isLiteral(element) })
	case *hclsyntax.ObjectConsExpr:
		return !slices.ContainsFunc(e.Items, func(item hclsyntax.ObjectConsItem) bool {
			return !isLiteral(item.KeyExpr) || !isLiteral(item.ValueExpr)
		})
	case *hclsyntax.ObjectConsKeyExpr:
		return !e.ForceNonLiteral && hcl.ExprAsKeyword(e.Wrapped) != "" || isLiteral(e.Wrapped)
	}
	return false
}
