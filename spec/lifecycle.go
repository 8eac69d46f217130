package spec

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// IgnoreAll in ignore_changes stands for every attribute.
const IgnoreAll = "all"

// names reads an argument that lists names of attributes, which are not evaluated:
// [zone, page], the same as texts, or the word all.
func (d *decoder) names(a *attribute, attr *hcl.Attribute, target any) {
	if hcl.ExprAsKeyword(attr.Expr) == IgnoreAll {
		d.put(a, target, []any{IgnoreAll})
		return
	}
	elements, diags := hcl.ExprList(attr.Expr)
	found := []any{}
	for _, e := range elements {
		name := hcl.ExprAsKeyword(e)
		if v, bad := e.Value(nil); name == "" && !bad.HasErrors() && v.Type() == text.typ && v.IsKnown() && !v.IsNull() {
			name = v.AsString()
		}
		if name == "" {
			d.errorf(e.Range(), "Invalid value", "Write its name, as in [zone].", "%s lists names of attributes.", a.name)
			return
		}
		found = append(found, name)
	}
	if diags.HasErrors() {
		d.errorf(attr.Expr.Range(), "Invalid value", "", "%s must be a list of names of attributes, such as [zone], or all.", a.name)
		return
	}
	d.put(a, target, found)
}

func finishLifecycle(d *decoder, s *site, target any) {
	m := target.(*Meta)
	k := rootKind(m.Address)
	for _, name := range m.IgnoreChanges {
		if known := k.recordedNames(); name != IgnoreAll && !slices.Contains(known, name) {
			d.errorf(s.at("ignore_changes"), "No such attribute", didYouMean(name, known), "%s has no attribute or block %q of its own that a change could be ignored of.", capital(article(k.name)), name)
		}
	}
}

// recordedNames lists the attributes and blocks that are recorded of a kind.
func (k *kind) recordedNames() (names []string) {
	for i := range k.attributes {
		if k.attributes[i].recorded() {
			names = append(names, k.attributes[i].name)
		}
	}
	for _, c := range k.blocks {
		if !c.resource && !c.unrecorded {
			names = append(names, c.name)
		}
	}
	return names
}
