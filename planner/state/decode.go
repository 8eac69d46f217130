package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"unicode/utf8"

	"slbctl/spec"
)

// decoder reads the resources of a document. It gives what encoding/json gives, at
// a third of its cost: strings are parts of the text, and values that occur again,
// as most do in thousands of resources alike, are one value. Nobody may change them.
type decoder struct {
	text  string
	at    int
	depth int
	pairs []pair // of the objects that are being read, innermost last
	seed  maphash.Seed
	seen  [1 << 8]seenValue
}

type pair struct {
	key   string
	value any
}

// seenValue is a short value and how it was written.
type seenValue struct {
	raw   string
	value any
}

// Bounds of what is read: deeper than any configuration, and longer than what is
// likely to occur again.
const (
	maxDepth = 200
	maxSeen  = 48
)

var errSyntax = errors.New("it is not JSON")

func newDecoder(text string) *decoder { return &decoder{text: text, seed: maphash.MakeSeed()} }

// document splits a document into its resources and the rest, which is JSON again.
func (d *decoder) document() (rest string, resources []spec.Resource, err error) {
	var parts []string
	err = d.object(func(key string) error {
		if key == "resources" {
			return d.array(func() error {
				resources = append(resources, spec.Resource{})
				return d.resource(&resources[len(resources)-1])
			})
		}
		raw, err := d.skip()
		quoted, _ := json.Marshal(key) // a string always encodes
		parts = append(parts, string(quoted)+":"+raw)
		return err
	})
	if d.peek(); err == nil && d.at < len(d.text) {
		err = errSyntax
	}
	return "{" + strings.Join(parts, ",") + "}", resources, err
}

func (d *decoder) resource(r *spec.Resource) error {
	return d.object(func(key string) (err error) {
		switch key {
		case "address":
			r.Address, err = d.string()
		case "kind":
			r.Kind, err = d.string()
		case "name":
			r.Name, err = d.string()
		case "id":
			r.ID, err = d.string()
		case "replacements":
			var raw string
			if raw, err = d.skip(); err == nil {
				r.Replacements, err = strconv.Atoi(raw)
			}
		case "prevent_destroy":
			r.PreventDestroy, err = expect[bool](d.value())
		case "forgotten":
			r.Forgotten, err = expect[bool](d.value())
		case "refs":
			err = d.array(func() error {
				ref, err := d.string()
				r.Refs = append(r.Refs, ref)
				return err
			})
		case "attributes":
			var v any
			if v, err = d.value(); err == nil && v != nil {
				r.Attributes, err = expect[map[string]any](v, nil)
			}
		default:
			_, err = d.skip()
		}
		if err != nil {
			return fmt.Errorf("resource %s: %s: %w", r.Address, key, err)
		}
		return nil
	})
}

func expect[T any](v any, err error) (T, error) {
	t, ok := v.(T)
	if err == nil && !ok {
		err = fmt.Errorf("it is a %T instead of a %T", v, t)
	}
	return t, err
}

// peek returns the next byte that is not white space, 0 at the end.
func (d *decoder) peek() byte {
	for ; d.at < len(d.text); d.at++ {
		switch c := d.text[d.at]; c {
		case ' ', '\n', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

func (d *decoder) take(c byte) bool {
	if d.peek() != c || d.at >= len(d.text) {
		return false
	}
	d.at++
	return true
}

// object calls member with each key, to read its value.
func (d *decoder) object(member func(key string) error) error {
	return d.list('{', '}', func() error {
		key, err := d.string()
		if err != nil || !d.take(':') {
			return errors.Join(err, errSyntax)
		}
		return member(key)
	})
}

// array calls element to read each of its elements.
func (d *decoder) array(element func() error) error { return d.list('[', ']', element) }

func (d *decoder) list(first, last byte, element func() error) error {
	if d.depth++; d.depth > maxDepth || !d.take(first) {
		return errSyntax
	}
	defer func() { d.depth-- }()
	if d.take(last) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if d.take(last) {
			return nil
		}
		if !d.take(',') {
			return errSyntax
		}
	}
}

// value reads any value.
func (d *decoder) value() (any, error) {
	c := d.peek()
	raw, short := d.extent()
	if !short {
		return d.fresh(c)
	}
	slot := &d.seen[maphash.String(d.seed, raw)%uint64(len(d.seen))]
	if slot.raw == raw {
		d.at += len(raw)
		return slot.value, nil
	}
	begin := d.at
	v, err := d.fresh(c)
	*slot = seenValue{d.text[begin:d.at], v}
	return v, err
}

// extent finds the end of a short value without reading it.
func (d *decoder) extent() (raw string, short bool) {
	rest := d.text[d.at:min(len(d.text), d.at+maxSeen)]
	open, quoted := 0, false
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			open++
		case c == '}' || c == ']':
			open--
		case c == ',' && open == 0:
			return rest[:i], i > 0
		}
		if open < 0 {
			return rest[:i], i > 0
		}
		if open == 0 && !quoted && strings.IndexByte(`"}]`, rest[i]) >= 0 {
			return rest[:i+1], true
		}
	}
	return "", false
}

func (d *decoder) fresh(c byte) (any, error) {
	switch c {
	case '"':
		return d.string()
	case '{':
		base := len(d.pairs)
		err := d.object(func(key string) error {
			v, err := d.value()
			d.pairs = append(d.pairs, pair{key, v})
			return err
		})
		m := make(map[string]any, len(d.pairs)-base)
		for _, p := range d.pairs[base:] {
			m[p.key] = p.value
		}
		d.pairs = d.pairs[:base]
		return m, err
	case '[':
		list := []any{}
		err := d.array(func() error {
			v, err := d.value()
			list = append(list, v)
			return err
		})
		return list, err
	}
	return d.literal()
}

// literal reads null, a boolean or a number.
func (d *decoder) literal() (any, error) {
	end := d.at
	for end < len(d.text) && strings.IndexByte(" \n\t\r,]}", d.text[end]) < 0 {
		end++
	}
	raw := d.text[d.at:end]
	d.at = end
	switch raw {
	case "null":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if !json.Valid([]byte(raw)) {
		return nil, errSyntax
	}
	return strconv.ParseFloat(raw, 64)
}

// string reads a string; one without escapes is a part of the text.
func (d *decoder) string() (string, error) {
	if d.peek() != '"' || d.at >= len(d.text) {
		return "", errSyntax
	}
	begin := d.at
	plain := true
	for d.at++; d.at < len(d.text); d.at++ {
		switch c := d.text[d.at]; {
		case c == '"':
			d.at++
			raw := d.text[begin:d.at]
			if plain || utf8.ValidString(raw) && !strings.Contains(raw, `\`) {
				return raw[1 : len(raw)-1], nil
			}
			var s string
			err := json.Unmarshal([]byte(raw), &s)
			return s, err
		case c == '\\':
			plain = false
			d.at++
		case c >= utf8.RuneSelf:
			plain = false
		case c < ' ':
			return "", errSyntax
		}
	}
	d.at = len(d.text) // not behind it, as after a backslash at the end
	return "", errSyntax
}

// skip returns a value as it is written.
func (d *decoder) skip() (string, error) {
	d.peek()
	begin := d.at
	_, err := d.fresh(d.peek())
	return d.text[begin:d.at], err
}
