package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// elementError says which element of a list is wrong.
type elementError struct {
	index int
	error
}

func (e elementError) Error() string { return fmt.Sprintf("element %d %v", e.index, e.error) }

func (e elementError) Unwrap() error { return e.error }

// list is a list of what another codec carries, with at least least elements.
func list[V any](c codec[V], least int) codec[[]V] {
	return codec[[]V]{
		typ: cty.List(c.typ),
		parse: func(v cty.Value) ([]V, error) {
			if v.LengthInt() < least {
				return nil, fmt.Errorf("must have at least %d element", least)
			}
			var out []V
			for it := v.ElementIterator(); it.Next(); {
				_, element := it.Element()
				if element.IsNull() {
					return nil, fmt.Errorf("must not contain null")
				}
				value, err := c.parse(element)
				if err != nil {
					return nil, elementError{len(out), err}
				}
				out = append(out, value)
			}
			return out, nil
		},
		encode: func(values []V) any {
			out := make([]any, len(values))
			for i, v := range values {
				out[i] = c.encode(v)
			}
			return out
		},
		decode: func(v any) ([]V, error) {
			elements, err := recorded[[]any](v)
			if err != nil {
				return nil, err
			}
			var out []V
			for _, e := range elements {
				value, err := c.decode(e)
				if err != nil {
					return nil, err
				}
				out = append(out, value)
			}
			return out, nil
		},
		schema: map[string]any{"type": "array", "items": c.schema},
	}
}

// objects is a list of objects, which need not have the same attributes as a list of
// the language does.
func objects[V any](c codec[V]) codec[[]V] {
	l := list(c, 1)
	l.typ = cty.DynamicPseudoType
	elements := l.parse
	l.parse = func(v cty.Value) ([]V, error) {
		if t := v.Type(); !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
			return nil, fmt.Errorf("must be a list of objects [{ name = value }], not %s", t.FriendlyName())
		}
		return elements(v)
	}
	return l
}

// single is a list written as its only element.
func single[V any](c codec[V]) codec[[]V] {
	l := list(c, 1)
	l.typ, l.schema = c.typ, c.schema
	l.parse = func(v cty.Value) ([]V, error) {
		value, err := c.parse(v)
		return []V{value}, err
	}
	return l
}

// texts is a map of strings. An empty one is nil, so that {} equals nothing.
var texts = codec[map[string]string]{
	typ: cty.Map(cty.String),
	parse: func(v cty.Value) (map[string]string, error) {
		var out map[string]string
		for it := v.ElementIterator(); it.Next(); {
			key, value := it.Element()
			if value.IsNull() {
				return nil, fmt.Errorf("must not contain null")
			}
			if out == nil {
				out = make(map[string]string, v.LengthInt())
			}
			out[key.AsString()] = value.AsString()
		}
		return out, nil
	},
	encode: func(m map[string]string) any {
		out := make(map[string]any, len(m))
		for k, v := range m {
			out[k] = v
		}
		return out
	},
	decode: func(v any) (map[string]string, error) {
		recordedMap, err := recorded[map[string]any](v)
		if err != nil || len(recordedMap) == 0 {
			return nil, err
		}
		out := make(map[string]string, len(recordedMap))
		for k, v := range recordedMap {
			if out[k], err = recorded[string](v); err != nil {
				return nil, err
			}
		}
		return out, nil
	},
	schema: map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}},
}

// tags are texts that keep to the product's rules.
var tags = func() codec[map[string]string] {
	c := texts
	c.parse = func(v cty.Value) (map[string]string, error) {
		m, err := texts.parse(v)
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if err := checkTag(key, m[key]); err != nil {
				return nil, err
			}
		}
		return m, err
	}
	return c
}()

const longestTag = 128 // characters of a key or a value

func checkTag(key, value string) error {
	inKey, inValue := utf8.RuneCountInString(key), utf8.RuneCountInString(value)
	link := func(s string) bool { return strings.Contains(s, "http://") || strings.Contains(s, "https://") }
	switch {
	case inKey < 1 || inKey > longestTag:
		return fmt.Errorf("must have keys of 1 to %d characters, not %d", longestTag, inKey)
	case inValue > longestTag:
		return fmt.Errorf("must have values of at most %d characters, but that of %q has %d", longestTag, key, inValue)
	case strings.HasPrefix(key, "aliyun") || strings.HasPrefix(key, "acs:"):
		return fmt.Errorf("must not have keys that begin with aliyun or acs:, which are reserved: %q", key)
	case link(key) || link(value):
		return fmt.Errorf("must not have http:// or https:// in them, as that of %q has", key)
	}
	return nil
}

// attributesOf is a value written as { name = value, ... } with the attributes of a table.
func attributesOf[V any](b *block) codec[V] {
	properties := map[string]any{}
	var names []string
	for _, a := range b.attributes {
		properties[a.name] = a.schema
		names = append(names, a.name)
	}
	return codec[V]{
		typ: cty.DynamicPseudoType,
		parse: func(v cty.Value) (V, error) {
			var out V
			b.reset(&out)
			if !v.Type().IsObjectType() && !v.Type().IsMapType() {
				return out, fmt.Errorf("must be an object { name = value }, not %s", v.Type().FriendlyName())
			}
			for it := v.ElementIterator(); it.Next(); {
				key, value := it.Element()
				a := b.attribute(key.AsString())
				if a == nil {
					err := fmt.Errorf("has no attribute %q", key.AsString())
					return out, hintError{err, didYouMean(key.AsString(), names)}
				}
				if value.IsNull() {
					continue
				}
				value, err := convert.Convert(value, a.typ)
				if err == nil {
					err = a.parse(&out, value)
				}
				if err != nil {
					return out, fmt.Errorf("attribute %s: %w", a.name, err)
				}
			}
			return out, nil
		},
		encode: func(v V) any { return b.encode(&v) },
		decode: func(v any) (V, error) {
			var out V
			from, err := recorded[map[string]any](v)
			if err != nil {
				return out, err
			}
			return out, b.decode(nil, &out, from)
		},
		schema: map[string]any{"type": "object", "properties": properties, "additionalProperties": false},
	}
}
