package spec

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// reference evaluates an argument that names whole resources.
func (d *decoder) reference(b *block, a *attribute, attr *hcl.Attribute, target any, s *site) {
	v, ok := d.l.evalIdentity(attr.Expr, d.scope)
	if !ok {
		d.ok = false
		return
	}
	if v.IsNull() {
		d.null(b, a, attr, s)
		return
	}
	if a.words != nil && v.Type() == cty.String {
		d.value(b, a, v, attr.Expr.Range(), attr.Expr, target)
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
	} else if v.Type() == cty.String && !v.IsNull() && d.scope.module.definitions[a.kind][v.AsString()] != nil {
		hint = fmt.Sprintf("Write %s = %s.", a.name, formatAddress(a.kind, v.AsString()))
	}
	d.errorf(expr.Range(), "Wrong type", hint, "%s must be a whole %s, not %s.", a.name, a.kind, article(v.Type().FriendlyName()))
}
