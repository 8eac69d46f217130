package spec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// maxSnippet bounds the source line that a diagnostic shows, in bytes.
const maxSnippet = 400

// snippet cuts the line of a range out of its file.
func (r *reports) snippet(rng hcl.Range) *Snippet {
	src := r.sources[rng.Filename]
	start := rng.Start.Byte
	if src == nil || start < 0 || start > len(src) {
		return nil
	}
	begin := bytes.LastIndexByte(src[:start], '\n') + 1
	end := len(src)
	if i := bytes.IndexByte(src[start:], '\n'); i >= 0 {
		end = start + i
	}
	hidden := slices.ContainsFunc(r.secret, func(s hcl.Range) bool {
		return s.Filename == rng.Filename && s.Start.Byte < end && s.End.Byte > begin
	}) || slices.ContainsFunc(r.written(rng.Filename), func(s [2]int) bool { return s[0] < end && s[1] > begin })
	if hidden || secretLine(src, begin, end) {
		return nil
	}
	from := max(begin, start-maxSnippet/2)
	to := min(end, from+maxSnippet)
	code := strings.ToValidUTF8(strings.TrimSuffix(string(src[from:to]), "\r"), "?")
	highlight := min(start-from, len(code))
	return &Snippet{
		Context:              r.context(rng),
		Code:                 code,
		StartLine:            rng.Start.Line,
		HighlightStartOffset: highlight,
		HighlightEndOffset:   max(highlight, min(rng.End.Byte-from, len(code))),
		Values:               []Value{},
	}
}

// spansWritten finds what is written out in the arguments of sensitive(...), in bytes: a
// source line that shows it must not be shown. References are not: they show nothing.
func spansWritten(name string, src []byte) (spans [][2]int) {
	const function = "sensitive"
	if !bytes.Contains(src, []byte(function+"(")) {
		return nil
	}
	if strings.HasSuffix(name, ".json") {
		return [][2]int{{0, len(src)}} // expressions are inside of strings there
	}
	type call struct {
		begin   int
		hides   bool // it is one of sensitive
		literal bool
	}
	var open []call
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOParen:
			open = append(open, call{begin: t.Range.Start.Byte, hides: i > 0 && tokens[i-1].Type == hclsyntax.TokenIdent && string(tokens[i-1].Bytes) == function})
		case hclsyntax.TokenCParen:
			if len(open) == 0 {
				continue
			}
			last := open[len(open)-1]
			open = open[:len(open)-1]
			if last.hides && last.literal {
				spans = append(spans, [2]int{last.begin, t.Range.End.Byte})
			}
			if len(open) > 0 && last.literal {
				open[len(open)-1].literal = true
			}
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit, hclsyntax.TokenNumberLit:
			if len(open) > 0 {
				open[len(open)-1].literal = true
			}
		}
	}
	for _, c := range open { // they do not end, and perhaps that is what is wrong
		if c.hides {
			spans = append(spans, [2]int{c.begin, len(src)})
		}
	}
	return spans
}

// written is spansWritten of a file, found once.
func (r *reports) written(name string) [][2]int {
	spans, known := r.spans[name]
	if !known {
		spans = spansWritten(name, r.sources[name])
		r.spans[name] = spans
	}
	return spans
}

// context names the top-level block around a range.
func (r *reports) context(rng hcl.Range) *string {
	places := r.places[rng.Filename]
	i, _ := slices.BinarySearchFunc(places, rng.Start.Byte+1, func(p place, at int) int { return p.begin - at })
	if i == 0 || places[i-1].end < rng.Start.Byte {
		return nil
	}
	title := places[i-1].kind
	for _, label := range places[i-1].labels {
		title += fmt.Sprintf(" %q", label)
	}
	return &title
}

// valuesOf tells what the references of a failed expression stood for.
func valuesOf(d *hcl.Diagnostic) []Value {
	if d.Expression == nil || d.EvalContext == nil {
		return nil
	}
	var values []Value
	for _, t := range d.Expression.Variables() {
		v, diags := t.TraverseAbs(d.EvalContext)
		statement := describe(v)
		if diags.HasErrors() || statement == "" {
			continue
		}
		value := Value{traversalText(t), statement}
		if !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	slices.SortFunc(values, func(a, b Value) int { return strings.Compare(a.Traversal, b.Traversal) })
	return values
}

// usesSecret reports whether a failed expression refers to a sensitive value.
func usesSecret(d *hcl.Diagnostic) bool {
	if d.Expression == nil || d.EvalContext == nil {
		return false
	}
	return slices.ContainsFunc(d.Expression.Variables(), func(t hcl.Traversal) bool {
		v, _ := t.TraverseAbs(d.EvalContext)
		return v.ContainsMarked()
	})
}

// describe says what a value is, in a few words. It says nothing of sensitive ones.
func describe(v cty.Value) string {
	switch {
	case v.ContainsMarked() || !v.IsKnown():
		return ""
	case v.IsNull():
		return "is null"
	case v.Type() == cty.Bool:
		return fmt.Sprintf("is %t", v.True())
	case v.Type() == cty.Number:
		return "is " + v.AsBigFloat().Text('g', 10)
	case v.Type() == cty.String && len(v.AsString()) <= 80:
		return fmt.Sprintf("is %q", v.AsString())
	case v.Type() == cty.String:
		return "is a string"
	case v.CanIterateElements() && v.Type().IsObjectType():
		return fmt.Sprintf("is object with %d attributes", v.LengthInt())
	case v.CanIterateElements():
		return fmt.Sprintf("is %s with %d elements", v.Type().FriendlyName(), v.LengthInt())
	}
	return ""
}

// traversalText writes a reference as its author would.
func traversalText(t hcl.Traversal) string {
	var b strings.Builder
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			b.WriteString(s.Name)
		case hcl.TraverseAttr:
			b.WriteString("." + s.Name)
		case hcl.TraverseIndex:
			switch {
			case s.Key.Type() == cty.String:
				fmt.Fprintf(&b, "[%q]", s.Key.AsString())
			case s.Key.Type() == cty.Number:
				b.WriteString("[" + s.Key.AsBigFloat().Text('f', -1) + "]")
			}
		case hcl.TraverseSplat:
			b.WriteString("[*]")
		}
	}
	return b.String()
}
