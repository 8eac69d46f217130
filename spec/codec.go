package spec

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// codec carries one type of value between the three forms it has: an expression's
// value, a field of a Config, and the recorded form (what encoding/json decodes).
type codec[V any] struct {
	typ    cty.Type                   // what an expression's value is converted to first
	parse  func(cty.Value) (V, error) // known and not null
	encode func(V) any                // to the recorded form
	decode func(any) (V, error)       // from the recorded form
	schema map[string]any             // JSON Schema
}

// hintError is an error with advice.
type hintError struct {
	error
	hint string
}

func recorded[V any](v any) (V, error) {
	typed, ok := v.(V)
	if !ok {
		return typed, fmt.Errorf("%T where %T is recorded", v, typed)
	}
	return typed, nil
}

func plain[V any](typ cty.Type, parse func(cty.Value) (V, error), schema map[string]any) codec[V] {
	return codec[V]{
		typ: typ, parse: parse, schema: schema,
		encode: func(v V) any { return v },
		decode: recorded[V],
	}
}

var (
	text = plain(cty.String, func(v cty.Value) (string, error) { return v.AsString(), nil },
		map[string]any{"type": "string"})
	boolean = plain(cty.Bool, func(v cty.Value) (bool, error) { return v.True(), nil },
		map[string]any{"type": "boolean"})
	port = integer[uint16](1, 65535)
)

// bounded is a text of at most limit bytes.
func bounded(limit int) codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		if s := v.AsString(); len(s) > limit {
			return "", fmt.Errorf("is %d bytes long, at most %d are allowed", len(s), limit)
		}
		return v.AsString(), nil
	}
	c.schema = map[string]any{"type": "string", "maxLength": limit}
	return c
}

// word is one of a fixed set; later lists those that are not built yet.
func word(words []string) codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) { return oneOf(v.AsString(), words) }
	c.schema = map[string]any{"enum": words}
	return c
}

func oneOf(s string, words []string) (string, error) {
	if slices.Contains(words, s) {
		return s, nil
	}
	err := fmt.Errorf("must be %s, not %q", either(words), s)
	return "", hintError{err, didYouMean(s, words)}
}

func either(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}

type integral interface{ ~int | ~uint16 | ~uint64 }

// integer is a whole number from low to high.
func integer[V integral](low, high float64) codec[V] {
	return codec[V]{
		typ: cty.Number,
		parse: func(v cty.Value) (V, error) {
			f, _ := v.AsBigFloat().Float64()
			if !v.AsBigFloat().IsInt() || f < low || f > high {
				return 0, fmt.Errorf("must be a whole number from %.0f to %.0f, not %s", low, high, v.AsBigFloat().Text('g', 12))
			}
			return V(f), nil
		},
		encode: func(v V) any { return float64(v) },
		decode: func(v any) (V, error) {
			f, err := recorded[float64](v)
			return V(f), err
		},
		schema: map[string]any{"type": "integer", "minimum": low, "maximum": high},
	}
}

// integerOf is one of a few whole numbers.
func integerOf(values ...float64) codec[int] {
	c := integer[int](values[0], values[len(values)-1])
	inRange := c.parse
	c.parse = func(v cty.Value) (int, error) {
		i, err := inRange(v)
		if err != nil || !slices.Contains(values, float64(i)) {
			words := make([]string, len(values))
			for n, value := range values {
				words[n] = decimal(value)
			}
			return 0, fmt.Errorf("must be one of %s, not %s", strings.Join(words, ", "), v.AsBigFloat().Text('g', 12))
		}
		return i, nil
	}
	c.schema = map[string]any{"enum": values}
	return c
}

// number is any number from low to high.
func number(low, high float64) codec[float64] {
	return plain(cty.Number, func(v cty.Value) (float64, error) {
		f, _ := v.AsBigFloat().Float64()
		if f < low || f > high {
			return 0, fmt.Errorf("must be a number from %s to %s, not %s", decimal(low), decimal(high), decimal(f))
		}
		return f, nil
	}, map[string]any{"type": "number", "minimum": low, "maximum": high})
}

func decimal(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%g", f)
}

// optional makes a pointer of a value, so that unset differs from zero.
func optional[V any](c codec[V]) codec[*V] {
	return codec[*V]{
		typ: c.typ, schema: c.schema,
		parse: func(v cty.Value) (*V, error) {
			parsed, err := c.parse(v)
			return &parsed, err
		},
		encode: func(v *V) any {
			if v == nil {
				return nil
			}
			return c.encode(*v)
		},
		decode: func(v any) (*V, error) {
			if v == nil {
				return nil, nil
			}
			decoded, err := c.decode(v)
			return &decoded, err
		},
	}
}

// duration is a string with a unit or a bare number of seconds.
func duration(low, high time.Duration) codec[time.Duration] {
	check := func(d time.Duration) (time.Duration, error) {
		if d < low || d > high {
			return 0, fmt.Errorf("must be from %s to %s, not %s", formatDuration(low), formatDuration(high), formatDuration(d))
		}
		return d, nil
	}
	return codec[time.Duration]{
		typ: cty.DynamicPseudoType,
		parse: func(v cty.Value) (time.Duration, error) {
			switch v.Type() {
			case cty.Number:
				seconds, _ := v.AsBigFloat().Float64()
				if math.Abs(seconds) > 1e9 {
					return 0, fmt.Errorf("must be from %s to %s, not %g seconds", formatDuration(low), formatDuration(high), seconds)
				}
				return check(time.Duration(math.Round(seconds * float64(time.Second))))
			case cty.String:
				d, err := time.ParseDuration(v.AsString())
				if err != nil {
					return 0, fmt.Errorf("must be a duration such as \"5s\", \"2m\" or a number of seconds, not %q", v.AsString())
				}
				return check(d)
			}
			return 0, fmt.Errorf("must be a duration such as \"5s\" or a number of seconds, not %s", v.Type().FriendlyName())
		},
		encode: func(d time.Duration) any { return formatDuration(d) },
		decode: func(v any) (time.Duration, error) {
			s, err := recorded[string](v)
			if err != nil {
				return 0, err
			}
			return time.ParseDuration(s)
		},
		schema: map[string]any{"type": []string{"string", "number"}},
	}
}

// formatDuration writes 15m, not 15m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parsed is a type with a text form: an address, a network, an endpoint. The
// zero value is recorded as the empty string.
func parsed[V comparable](what string, parse func(string) (V, error), format func(V) string) codec[V] {
	var zero V
	read := func(s string) (V, error) {
		v, err := parse(s)
		if err != nil {
			return v, fmt.Errorf("must be %s, not %q", what, s)
		}
		return v, nil
	}
	return codec[V]{
		typ:   cty.String,
		parse: func(v cty.Value) (V, error) { return read(v.AsString()) },
		encode: func(v V) any {
			if v == zero {
				return ""
			}
			return format(v)
		},
		decode: func(v any) (V, error) {
			s, err := recorded[string](v)
			if err != nil || s == "" {
				return zero, err
			}
			return read(s)
		},
		schema: map[string]any{"type": "string"},
	}
}

var (
	ipv4 = parsed("an IPv4 address such as \"127.10.0.5\"", func(s string) (netip.Addr, error) {
		a, err := netip.ParseAddr(s)
		if err == nil && (!a.Is4() || a.IsUnspecified() || a.IsMulticast()) {
			err = fmt.Errorf("not a usable IPv4 address")
		}
		return a, err
	}, netip.Addr.String)
	ip = parsed("an IP address such as \"127.10.0.5\" or \"::1\"", func(s string) (netip.Addr, error) {
		a, err := netip.ParseAddr(s)
		if err == nil && (a.IsUnspecified() || a.IsMulticast() || a.Is4In6() || a.Zone() != "") {
			err = fmt.Errorf("not a usable address")
		}
		return a, err
	}, netip.Addr.String)
	network4 = parsed("an IPv4 network such as \"127.10.0.0/16\"", func(s string) (netip.Prefix, error) {
		p, err := netip.ParsePrefix(s)
		if err == nil && !p.Addr().Is4() {
			err = fmt.Errorf("not IPv4")
		}
		return p.Masked(), err
	}, netip.Prefix.String)
	endpoint4 = parsed("an IP:PORT such as \"127.0.0.1:5353\"", func(s string) (netip.AddrPort, error) {
		e, err := netip.ParseAddrPort(s)
		if err == nil && (!e.Addr().Is4() || e.Port() == 0) {
			err = fmt.Errorf("not an IPv4 endpoint")
		}
		return e, err
	}, netip.AddrPort.String)
	endpointIP = parsed("an IP:PORT such as \"127.0.0.1:9100\" or \"[::1]:9100\"", func(s string) (netip.AddrPort, error) {
		e, err := netip.ParseAddrPort(s)
		if err == nil && (e.Addr().Is4In6() || e.Addr().Zone() != "" || e.Port() == 0) {
			err = fmt.Errorf("not a usable endpoint")
		}
		return e, err
	}, netip.AddrPort.String)
)
