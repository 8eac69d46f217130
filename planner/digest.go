package planner

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strconv"

	"slbctl/planner/state"
)

// Digest is that of the configuration that a state describes: what two states
// with the same digest ask of the runtime is the same.
func Digest(s *state.State) string {
	h := sha256.New()
	var keys sorter
	b := strconv.AppendUint(nil, s.Seed, 16)
	for _, setting := range settingsOf(s.Runtime) {
		b = keys.appendValue(appendText(b, setting.name), setting.value)
	}
	for i := range s.Resources {
		r := &s.Resources[i]
		for _, text := range []string{r.Address, r.Kind, r.Name, r.ID} {
			b = appendText(b, text)
		}
		b = strconv.AppendInt(b, int64(r.Replacements), 16)
		b = keys.appendValue(b, r.PreventDestroy)
		for _, ref := range r.Refs {
			b = appendText(b, ref)
		}
		b = keys.appendValue(b, r.Attributes)
		h.Write(b)
		b = b[:0]
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// appendText writes a string so that nothing else reads the same.
func appendText(b []byte, s string) []byte {
	b = append(b, 's')
	b = strconv.AppendInt(b, int64(len(s)), 16)
	b = append(b, ':')
	return append(b, s...)
}

// sorter holds the sorted keys of the maps that are being written, innermost last:
// one list for all of them, because a large configuration has ten thousands of maps.
type sorter []string

// appendValue writes a value of those that encoding/json decodes, each kind with
// a letter of its own, lists and maps with their lengths in front.
func (keys *sorter) appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendText(b, v)
	case float64:
		return strconv.AppendUint(append(b, 'f'), math.Float64bits(v), 16)
	case bool:
		return strconv.AppendBool(b, v)
	case []any:
		b = strconv.AppendInt(append(b, 'l'), int64(len(v)), 16)
		for _, e := range v {
			b = keys.appendValue(b, e)
		}
		return b
	case map[string]any:
		b = strconv.AppendInt(append(b, 'm'), int64(len(v)), 16)
		base := len(*keys)
		for key := range v {
			*keys = append(*keys, key)
		}
		slices.Sort((*keys)[base:])
		for i := range len(v) {
			key := (*keys)[base+i]
			b = keys.appendValue(appendText(b, key), v[key])
		}
		*keys = (*keys)[:base]
		return b
	}
	return append(b, 'n')
}
