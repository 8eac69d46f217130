package state

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"slbctl/spec"
)

// viaJSON is what encoding/json makes of a document.
func viaJSON(text string) ([]spec.Resource, error) {
	var doc struct {
		Resources []spec.Resource `json:"resources"`
	}
	err := json.Unmarshal([]byte(text), &doc)
	return doc.Resources, err
}

// FuzzDecoder holds the decoder to encoding/json: it reads any value alike, refuses
// what is no JSON, and does not panic on documents of any shape.
func FuzzDecoder(f *testing.F) {
	for _, text := range []string{
		`{"resources":[]}`, `{}`, `{"a":{"b":[1,"x",null,true]},"resources":[{"address":"a","attributes":{}}],"z":"\u00e4"}`,
		`{"resources":[{"replacements":3,"refs":["a","b"],"prevent_destroy":true,"attributes":{"p":[80],"q":[80],"r":[ 80 ],"t":{},"u":{"v":-1.5e3}}}]}`,
		`{"resources":[{"attributes":{"a":"\"","b":"\\","c":"é","d":"\ud800","e":"<&>","f":"}","g":"]","h":",","i":""}}]} `,
		`{"resources":[{"attributes":{"a":"x","b":"x","c":"xx","a":"twice"}}]}`,
		`{"resources":[{"attributes":{"long":"` + strings.Repeat("a", 100) + `","after":1}},{"attributes":{"list":[[],[[]],{"a":[{}]}]}}]}`,
		`{"resources":[{"attributes":{"a":01}}]}`, `{"resources":[{"attributes":{"a":1}}]`, `{"resources":[{"attributes":{"a":tru}}]}`,
		`{"resources":[{"attributes":{"a" 1}}]}`, `{"resources":[,]}`, `{"resources":[{}],}`, "{\"a\":\"\n\"}", `{"a":1}}`, "{\"a\":\"\xff\"}", "{\"a\":1}\x00",
		`{"resources":[{"attributes":null}]}`, `{"resources":[{"attributes":{"a":"x","b":"x` + "\x01" + `"}}]}`, `{"a":"\q"}`, `[]`, `"`, ``, `{"a":{"":"\`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, err := newDecoder(text).document(); err == nil && !json.Valid([]byte(text)) {
			t.Errorf("%q is not JSON and is read as a document", text)
		}
		var want any
		wantErr := json.Unmarshal([]byte(text), &want)
		d := newDecoder(text)
		got, err := d.value()
		if d.peek(); err == nil && d.at < len(text) {
			err = errSyntax
		}
		switch {
		case (err == nil) != (wantErr == nil) && strings.Count(text, "[")+strings.Count(text, "{") <= maxDepth:
			t.Errorf("%q: %v, encoding/json says %v", text, err, wantErr)
		case err == nil && !reflect.DeepEqual(got, want):
			t.Errorf("%q is read as %#v, want %#v", text, got, want)
		}
	})
}

// TestDecoderReadsWhatIsEncoded draws attributes of any shape.
func TestDecoderReadsWhatIsEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var value func(depth int) *rapid.Generator[any]
		value = func(depth int) *rapid.Generator[any] {
			return rapid.Custom(func(t *rapid.T) any {
				switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
				case kind == 0 && depth > 0:
					return rapid.SliceOfN(value(depth-1), 0, 4).Draw(t, "list")
				case kind == 1 && depth > 0:
					return rapid.MapOfN(rapid.String(), value(depth-1), 0, 10).Draw(t, "map")
				case kind == 2:
					return rapid.Float64().Draw(t, "number")
				case kind == 3:
					return rapid.SampledFrom([]any{nil, true, false, "running", 80.0}).Draw(t, "common")
				}
				return rapid.String().Draw(t, "text")
			})
		}
		s := &State{Lineage: "9f1c", Serial: 3, Resources: []spec.Resource{}}
		for range rapid.IntRange(0, 3).Draw(t, "resources") {
			s.Resources = append(s.Resources, spec.Resource{
				Address: rapid.String().Draw(t, "address"), Kind: "instance", Name: rapid.String().Draw(t, "name"), ID: "i-1",
				Replacements: rapid.IntRange(0, 9).Draw(t, "replacements"), PreventDestroy: rapid.Bool().Draw(t, "protected"),
				Refs:       rapid.SliceOfN(rapid.String(), 1, 3).Draw(t, "refs"),
				Attributes: rapid.MapOfN(rapid.String(), value(3), 0, 12).Draw(t, "attributes"),
			})
		}
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := viaJSON(string(data)); err != nil || len(want) > 0 && !reflect.DeepEqual(got.Resources, want) {
			t.Fatalf("%s\nis read as\n%+v\nwant\n%+v, %v", data, got.Resources, want, err)
		}
	})
}

// TestDecoderBoundsNesting: a document that fits its checksum is not deeper than a
// stack.
func TestDecoderBoundsNesting(t *testing.T) {
	deep := `{"a":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + "}"
	if _, _, err := newDecoder(deep).document(); err == nil {
		t.Error("a million brackets are read")
	}
}

// TestDecoderShares is what makes 5,000 resources small: equal short values are one.
func TestDecoderShares(t *testing.T) {
	line := `{"attributes":{"ports":[80,443],"tags":{},"zone":"b"}}`
	_, rs, err := newDecoder(`{"resources":[` + line + `,` + line + `]}`).document()
	if err != nil {
		t.Fatal(err)
	}
	a, b := rs[0].Attributes["ports"].([]any), rs[1].Attributes["ports"].([]any)
	if &a[0] != &b[0] {
		t.Error("equal lists are two")
	}
}
