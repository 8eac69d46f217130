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
	if secretLine(src, begin, end) || sensitiveLine(src, begin, end) || slices.ContainsFunc(r.secret, func(s hcl.Range) bool {
		return s.Filename == rng.Filename && s.Start.Byte < end && s.End.Byte > begin
	}) {
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

// sensitiveLine reports whether a line of a source has an argument of sensitive(...) in it,
// or a part of one, that is more than a reference.
func sensitiveLine(src []byte, begin, end int) bool {
	const call = "sensitive("
	for at := bytes.LastIndex(src[:end], []byte(call)); at >= 0; at = bytes.LastIndex(src[:at], []byte(call)) {
		if at > 0 && src[at-1] == 'n' {
			continue // nonsensitive
		}
		length, literal := extentOfCall(src[at:min(len(src), at+maxSensitive)])
		if literal && at+length > begin {
			return true
		}
		if at < begin {
			return false // the calls before it end before it
		}
	}
	return false
}

// maxSensitive bounds how far the end of a call is looked for, in bytes.
const maxSensitive = 64 << 10

// extentOfCall finds the end of a function call, and whether anything is written out in
// its arguments.
func extentOfCall(src []byte) (length int, literal bool) {
	tokens, _ := hclsyntax.LexExpression(src, "", hcl.InitialPos)
	open := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOParen:
			open++
		case hclsyntax.TokenCParen:
			if open--; open == 0 {
				return t.Range.End.Byte, literal
			}
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit, hclsyntax.TokenNumberLit:
			literal = true
		}
	}
	return len(src), literal
}

// context names the top-level block around a range.
func (r *reports) context(rng hcl.Range) *string {
	places := r.places[rng.Filename]
	i, _ := slices.BinarySearchFunc(places, rng.Start.Byte+1, func(p place, at int) int { return p.block.DefRange.Start.Byte - at })
	if i == 0 || places[i-1].end < rng.Start.Byte {
		return nil
	}
	title := places[i-1].block.Type
	for _, label := range places[i-1].block.Labels {
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
