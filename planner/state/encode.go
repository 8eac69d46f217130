package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"slbctl/spec"
)

// encoder writes the resources of a document, one a line: short to write, easy to compare.
// It writes what encoding/json does, at a third of its cost: most values in thousands of
// resources are plain text and whole numbers.
type encoder struct {
	out  []byte
	keys []string // sorted, of the objects that are being written, innermost last
	err  error    // the first value that JSON has no form for
}

// typicalResource is about what a resource takes, in bytes.
const typicalResource = 512

func encodeResources(head []byte, resources []spec.Resource) ([]byte, error) {
	e := &encoder{out: append(slices.Grow(head, typicalResource*len(resources)), '\n')}
	for i := range resources {
		e.out = append(e.out, "    "...)
		e.resource(&resources[i])
		if e.err != nil {
			return nil, fmt.Errorf("state: encode %s: %w", resources[i].Address, e.err)
		}
		if i < len(resources)-1 {
			e.out = append(e.out, ',')
		}
		e.out = append(e.out, '\n')
	}
	return e.out, nil
}

// resource writes the keys in the order of the fields of spec.Resource.
func (e *encoder) resource(r *spec.Resource) {
	e.text(`{"address":`, r.Address)
	e.text(`,"kind":`, r.Kind)
	e.text(`,"name":`, r.Name)
	e.text(`,"id":`, r.ID)
	e.out = strconv.AppendInt(append(e.out, `,"replacements":`...), int64(r.Replacements), 10)
	for i, ref := range r.Refs {
		before := ","
		if i == 0 {
			before = `,"refs":[`
		}
		e.text(before, ref)
	}
	if len(r.Refs) > 0 {
		e.out = append(e.out, ']')
	}
	e.out = strconv.AppendBool(append(e.out, `,"prevent_destroy":`...), r.PreventDestroy)
	if r.Forgotten {
		e.out = append(e.out, `,"forgotten":true`...)
	}
	e.out = append(e.out, `,"attributes":`...)
	if r.Attributes == nil {
		e.out = append(e.out, "null"...)
	} else {
		e.value(r.Attributes)
	}
	e.out = append(e.out, '}')
}

// value writes a value of those that encoding/json decodes.
func (e *encoder) value(v any) {
	switch v := v.(type) {
	case string:
		e.text("", v)
	case bool:
		e.out = strconv.AppendBool(e.out, v)
	case float64:
		const exact = 1 << 53
		if n := int64(v); float64(n) == v && -exact < n && n < exact && (n != 0 || !math.Signbit(v)) {
			e.out = strconv.AppendInt(e.out, n, 10)
			return
		}
		e.any(v)
	case []any:
		e.out = append(e.out, '[')
		for i, element := range v {
			if i > 0 {
				e.out = append(e.out, ',')
			}
			e.value(element)
		}
		e.out = append(e.out, ']')
	case map[string]any:
		e.object(v)
	default:
		e.any(v)
	}
}

func (e *encoder) object(v map[string]any) {
	base := len(e.keys)
	for key := range v {
		e.keys = append(e.keys, key)
	}
	slices.Sort(e.keys[base:])
	before := "{"
	for i := range len(v) {
		key := e.keys[base+i]
		e.text(before, key)
		e.out = append(e.out, ':')
		e.value(v[key])
		before = ","
	}
	e.keys = e.keys[:base]
	if len(v) == 0 {
		e.out = append(e.out, '{')
	}
	e.out = append(e.out, '}')
}

// text writes a string, and something before it.
func (e *encoder) text(before, s string) {
	e.out = append(e.out, before...)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			e.any(s)
			return
		}
	}
	e.out = append(append(append(e.out, '"'), s...), '"')
}

// any leaves a value to encoding/json.
func (e *encoder) any(v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		if e.err == nil {
			e.err = err
		}
		return
	}
	e.out = append(e.out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
