package spec

import (
	"maps"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// value is what a block stands for in an expression: one object, a tuple of them
// with count, an object of them with for_each. Not whole, the objects have only
// what is known of them early.
func (l *loader) value(def *definition, whole bool, rng hcl.Range) (cty.Value, bool) {
	if !l.expand(def, rng) {
		return cty.DynamicVal, false
	}
	cached := &def.identity
	switch {
	case !l.allocated:
		cached = &def.pending
	case whole:
		cached = &def.whole
	}
	if *cached != cty.NilVal {
		return *cached, true
	}
	values := make([]cty.Value, len(def.objects))
	for i, o := range def.objects {
		v, ok := l.objectValue(o, whole, rng)
		if !ok {
			return cty.DynamicVal, false
		}
		values[i] = v
	}
	*cached = def.shape(values)
	return *cached, true
}

// shape arranges the values of what a block stands for.
func (r *repeated) shape(values []cty.Value) cty.Value {
	switch {
	case r.forEach != nil:
		attrs := make(map[string]cty.Value, len(values))
		for i, t := range r.turns {
			attrs[t.key.AsString()] = values[i]
		}
		return cty.ObjectVal(attrs)
	case r.count != nil:
		return cty.TupleVal(values)
	}
	return values[0]
}

func (l *loader) objectValue(o *object, whole bool, rng hcl.Range) (cty.Value, bool) {
	attrs := map[string]cty.Value{"id": cty.StringVal(o.id), "name": cty.StringVal(o.def.name)}
	k := o.def.kind
	switch {
	case !l.allocated:
		for _, name := range k.valueNames() {
			if _, known := attrs[name]; !known {
				attrs[name] = cty.DynamicVal
			}
		}
	case !whole:
		for _, name := range k.early {
			attrs[name] = cty.StringVal(o.ip.String())
		}
	default:
		if !l.evaluateFor(o, rng) {
			return cty.DynamicVal, false
		}
		maps.Copy(attrs, l.resourceValue(k, nil, o.target))
	}
	return cty.ObjectVal(attrs), true
}

// resourceValue gives every attribute of an evaluated resource, inner resources
// in an object by name.
func (l *loader) resourceValue(k *kind, parent, target any) map[string]cty.Value {
	attrs := map[string]cty.Value{}
	for name, v := range k.encode(target) {
		if a := k.attribute(name); a == nil || !a.secret {
			attrs[name] = l.revealed(toCty(v))
		}
	}
	meta := k.meta(target)
	attrs["id"], attrs["name"] = cty.StringVal(meta.ID), cty.StringVal(meta.Name)
	if k.derive != nil {
		maps.Copy(attrs, k.derive(l, parent, target))
	}
	for _, c := range k.children() {
		inner := map[string]cty.Value{}
		for _, t := range c.list(target) {
			inner[c.meta(t).Name] = cty.ObjectVal(l.resourceValue(c, target, t))
		}
		attrs[c.name] = cty.ObjectVal(inner)
	}
	return attrs
}

// valueNames lists the attributes that an expression can use of a resource.
func (k *kind) valueNames() []string {
	names := []string{"id", "name"}
	for _, list := range [][]attribute{k.labels, k.attributes} {
		for i := range list {
			if list[i].recorded() && !list[i].secret {
				names = append(names, list[i].name)
			}
		}
	}
	for _, c := range k.blocks {
		if !c.unrecorded {
			names = append(names, c.name)
		}
	}
	return names
}
