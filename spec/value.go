package spec

import (
	"cmp"
	"maps"
	"slices"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// toCty makes an expression's value of a recorded one.
func toCty(v any) cty.Value {
	switch v := v.(type) {
	case string:
		return cty.StringVal(v)
	case float64:
		return cty.NumberFloatVal(v)
	case bool:
		return cty.BoolVal(v)
	case []any:
		elements := make([]cty.Value, len(v))
		for i, e := range v {
			elements[i] = toCty(e)
		}
		return cty.TupleVal(elements)
	case map[string]any:
		attrs := make(map[string]cty.Value, len(v))
		for k, e := range v {
			attrs[k] = toCty(e)
		}
		return cty.ObjectVal(attrs)
	}
	return cty.NullVal(cty.DynamicPseudoType)
}

// convertTo is convert.Convert without what that spends on a tuple of n elements to
// become a list: it compares the types of all of them with each other, which takes
// minutes for an acl of 100,000 entries.
func convertTo(v cty.Value, t cty.Type) (cty.Value, error) {
	if !t.IsListType() || !t.ElementType().IsPrimitiveType() || !v.Type().IsTupleType() || v.IsMarked() ||
		!v.IsKnown() || v.IsNull() || v.LengthInt() == 0 {
		return convert.Convert(v, t)
	}
	elements := make([]cty.Value, 0, v.LengthInt())
	for it := v.ElementIterator(); it.Next(); {
		_, element := it.Element()
		converted, err := convert.Convert(element, t.ElementType())
		if err != nil {
			return v, err
		}
		elements = append(elements, converted)
	}
	return cty.ListVal(elements), nil
}

// fromCty makes what encoding/json would decode of a known, unmarked value.
func fromCty(v cty.Value) any {
	t := v.Type()
	switch {
	case v.IsNull():
		return nil
	case t == cty.String:
		return v.AsString()
	case t == cty.Number:
		f, _ := v.AsBigFloat().Float64()
		return f
	case t == cty.Bool:
		return v.True()
	case t.IsMapType() || t.IsObjectType():
		out := make(map[string]any, v.LengthInt())
		for it := v.ElementIterator(); it.Next(); {
			key, element := it.Element()
			out[key.AsString()] = fromCty(element)
		}
		return out
	}
	out := make([]any, 0, v.LengthInt())
	for it := v.ElementIterator(); it.Next(); {
		_, element := it.Element()
		out = append(out, fromCty(element))
	}
	return out
}

// marked is v.ContainsMarked() without a look at the elements of a set, which would sort
// them first: their marks are on the set.
func marked(v cty.Value) bool {
	if v.Type().IsSetType() {
		return v.IsMarked()
	}
	return v.ContainsMarked()
}

// sizeOf is about how many bytes of text and elements a value holds; counting
// stops at most.
func sizeOf(v cty.Value, most int) int {
	v, _ = v.Unmark()
	const element = 16
	switch {
	case !v.IsKnown() || v.IsNull():
		return element
	case v.Type() == cty.String:
		return element + len(v.AsString())
	case !v.CanIterateElements():
		return element
	}
	size := element
	for it := v.ElementIterator(); it.Next() && size <= most; {
		_, e := it.Element()
		size += sizeOf(e, most-size)
	}
	return size
}

// sortedKeys gives the keys of a map in order, and nil for an empty one.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
