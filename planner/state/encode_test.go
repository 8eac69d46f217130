package state

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"

	"slbctl/spec"
)

// TestEncodeAsJSONDoes compares resources with what encoding/json makes of them.
func TestEncodeAsJSONDoes(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "30s", "<&>", "\u2028\x00\x7f\"\\", "\xff", "é"}))
	number := rapid.OneOf(rapid.Float64Range(-1e300, 1e300), rapid.SampledFrom([]float64{
		0, math.Copysign(0, -1), 80, -1, 0.5, 1e-7, 1e20, 1e21, 1<<53 - 1, 1 << 53, 1 << 62, -(1 << 63), math.MaxFloat64}))
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		leaves := rapid.OneOf(rapid.Just[any](nil), rapid.Map(text, func(s string) any { return s }),
			rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Map(number, func(f float64) any { return f }))
		if depth == 0 {
			return leaves
		}
		return rapid.OneOf(leaves,
			rapid.Map(rapid.SliceOfN(value(depth-1), 0, 3), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(text, value(depth-1), 0, 3), func(m map[string]any) any { return m }))
	}
	rapid.Check(t, func(t *rapid.T) {
		r := spec.Resource{
			Address: text.Draw(t, "address"), Kind: text.Draw(t, "kind"), Name: text.Draw(t, "name"), ID: text.Draw(t, "id"),
			Replacements: rapid.Int().Draw(t, "replacements"), Refs: rapid.SliceOfN(text, 0, 3).Draw(t, "refs"),
			PreventDestroy: rapid.Bool().Draw(t, "protected"), Forgotten: rapid.Bool().Draw(t, "forgotten"),
		}
		if !rapid.Bool().Draw(t, "bare") {
			r.Attributes = rapid.MapOfN(text, value(3), 0, 5).Draw(t, "attributes")
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(&r); err != nil {
			t.Fatal(err)
		}
		got, err := encodeResources(nil, []spec.Resource{r})
		if err != nil || string(got) != "\n    "+want.String() {
			t.Fatalf("%s, %v\nwant\n%s", got, err, want.String())
		}
	})
}

func TestEncodeRefusesWhatJSONDoes(t *testing.T) {
	for _, v := range []any{math.Inf(1), math.NaN(), func() {}} {
		if _, err := encodeResources(nil, []spec.Resource{{Attributes: map[string]any{"a": v}}}); err == nil {
			t.Errorf("%v is written", v)
		}
	}
}
