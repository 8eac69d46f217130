package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// didYouMean suggests the nearest name, or says nothing when none is near.
func didYouMean(name string, names []string) string {
	near := nearest(name, names, 1)
	if len(near) == 0 {
		return ""
	}
	return fmt.Sprintf("Did you mean %q?", near[0])
}

// nearest gives at most n names, the nearest first, that name may be a slip of.
func nearest(name string, names []string, n int) []string {
	type candidate struct {
		name     string
		distance int
	}
	var near []candidate
	lower := strings.ToLower(name)
	for _, c := range names {
		if max(len(c)-len(name), len(name)-len(c)) > 1+len(name)/3 {
			continue
		}
		if d := levenshtein.Distance(lower, strings.ToLower(c), nil); d <= 1+len(name)/4 {
			near = append(near, candidate{c, d})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(a.distance-b.distance, commonPrefix(b.name, name)-commonPrefix(a.name, name), strings.Compare(a.name, b.name))
	})
	var out []string
	for _, c := range near[:min(n, len(near))] {
		out = append(out, c.name)
	}
	return out
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// checkNames reports every argument and block that the table does not have, in
// a block and all that it contains. It looks at the source, so a block with
// count is checked once. It returns false when the block cannot be decoded.
func (l *loader) checkNames(b *block, body hcl.Body) bool {
	native, ok := body.(*hclsyntax.Body)
	if !ok {
		return l.checkJSONNames(b, body)
	}
	for name, attr := range native.Attributes {
		l.checkArgument(b, name, attr.NameRange)
	}
	sound := true
	for _, inner := range native.Blocks {
		sound = l.checkInnerBlock(b, inner) && sound
	}
	return sound
}

func (l *loader) checkInnerBlock(b *block, inner *hclsyntax.Block) bool {
	name, rng, body := inner.Type, inner.TypeRange, inner.Body
	dynamic := name == "dynamic" && len(inner.Labels) == 1
	if dynamic {
		name, rng = inner.Labels[0], inner.LabelRanges[0]
		body = nil
		for _, content := range inner.Body.Blocks {
			if content.Type == "content" {
				body = content.Body
			}
		}
	}
	c := b.child(name)
	switch {
	case c == nil && b.attribute(name) != nil:
		l.reports.error(rng, "Unsupported block", fmt.Sprintf("%s is an argument of %s, not a block.", name, b.name),
			fmt.Sprintf("Write %s = ...", name))
		return true
	case c == nil:
		l.reports.error(rng, "Unsupported block", fmt.Sprintf("%s has no block %q.", capital(article(b.name)), name), b.advice(name))
		return true
	}
	if !dynamic && !l.checkLabels(c.name, c.labelNames(), inner) {
		return false
	}
	return body == nil || l.checkNames(c.block, body)
}

// checkLabels counts the labels of a block's header.
func (l *loader) checkLabels(name string, want []string, inner *hclsyntax.Block) bool {
	if len(inner.Labels) == len(want) {
		return true
	}
	example := name
	for _, label := range want {
		example += fmt.Sprintf(" %q", strings.ToUpper(label))
	}
	rng := inner.TypeRange
	if len(inner.Labels) > len(want) {
		rng = inner.LabelRanges[len(want)]
	}
	l.reports.error(rng, "Wrong number of labels",
		fmt.Sprintf("%s block has %s, not %d.", capital(article(name)), labelCount(len(want)), len(inner.Labels)), "Write "+example+" { ... }.")
	return false
}

func labelCount(n int) string {
	if n == 1 {
		return "1 label"
	}
	return fmt.Sprintf("%d labels", n)
}

func (l *loader) checkArgument(b *block, name string, rng hcl.Range) {
	switch {
	case b.attribute(name) != nil:
	case slices.Contains(b.later, name):
		l.notYet(rng, fmt.Sprintf("The argument %s of %s", name, b.name))
	case b.child(name) != nil:
		l.reports.error(rng, "Unsupported argument", fmt.Sprintf("%s is a block of %s, not an argument.", name, b.name),
			fmt.Sprintf("Write %s { ... } without the equals sign.", name))
	default:
		l.reports.error(rng, "Unsupported argument", fmt.Sprintf("%s has no argument %q.", capital(article(b.name)), name), b.advice(name))
	}
}

func (l *loader) notYet(rng hcl.Range, what string) {
	l.reports.error(rng, "Not supported yet", what+" is part of the language, but this version does not support it yet.", "")
}

// advice tells what to write instead of an unknown name.
func (b *block) advice(name string) string {
	if hint := cmp.Or(b.hints[name], anywhereHints[name]); hint != "" {
		return hint
	}
	names := slices.Clone(b.later)
	for _, a := range b.attributes {
		if !a.computed {
			names = append(names, a.name)
		}
	}
	for _, c := range b.blocks {
		names = append(names, c.name)
	}
	return didYouMean(name, names)
}

// checkJSONNames does the same for the JSON syntax, whose bodies tell their names
// only through a schema.
func (l *loader) checkJSONNames(b *block, body hcl.Body) bool {
	header := b.header()
	header.Blocks = append(header.Blocks, hcl.BlockHeaderSchema{Type: "dynamic", LabelNames: []string{"type"}})
	content, diags := body.Content(header)
	sound := l.jsonNames(diags, article(b.name), b.advice)
	for _, name := range b.later {
		if attr := content.Attributes[name]; attr != nil {
			l.notYet(attr.NameRange, fmt.Sprintf("The argument %s of %s", name, b.name))
		}
	}
	for _, inner := range content.Blocks {
		name, rng, bodies := inner.Type, inner.DefRange, []hcl.Body{inner.Body}
		if name == "dynamic" {
			name, rng, bodies = inner.Labels[0], inner.LabelRanges[0], dynamicContents(inner.Body)
		}
		c := b.child(name)
		if c == nil {
			l.unsupportedName(rng, article(b.name), name, b.advice)
			continue
		}
		for _, body := range bodies {
			sound = l.checkJSONNames(c.block, body) && sound
		}
	}
	return sound
}

// dynamicContents are the bodies that a dynamic block repeats.
func dynamicContents(body hcl.Body) []hcl.Body {
	content, _, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "content"}}})
	var out []hcl.Body
	for _, c := range content.Blocks {
		out = append(out, c.Body)
	}
	return out
}

// jsonNames reports what the JSON syntax has against a body: names that it does not know
// with the same advice as in the native syntax, and all else as it is. Without those
// names the body can be decoded; with all else it cannot, and the answer is false.
func (l *loader) jsonNames(diags hcl.Diagnostics, what string, advice func(name string) string) bool {
	sound := true
	for _, d := range diags {
		var name string
		if _, err := fmt.Sscanf(d.Detail, "No argument or block type is named %q.", &name); err != nil || d.Subject == nil {
			l.reports.hcl(hcl.Diagnostics{d})
			sound = false
			continue
		}
		l.unsupportedName(*d.Subject, what, name, advice)
	}
	return sound
}

func (l *loader) unsupportedName(rng hcl.Range, what, name string, advice func(name string) string) {
	l.reports.error(rng, "Unsupported name", fmt.Sprintf("%s has no argument or block %q.", capital(what), name), advice(name))
}
