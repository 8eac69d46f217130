package planner

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"slbctl/spec"
)

// value writes a value as the language does: on one line where it fits into the
// width from this column on, else with its elements indented below.
func (p *printer) value(v any, column, indent int) {
	if isText(v) {
		p.heredoc(v.(string), indent)
		return
	}
	one := inline(v)
	if column+len(one) <= p.style.Width && !(strings.Contains(one, `\n`) && holdsText(v)) {
		p.WriteString(one)
		return
	}
	pad := "\n" + strings.Repeat(" ", indent)
	switch v := v.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		width := 0
		for _, k := range keys {
			width = max(width, len(k))
		}
		p.WriteByte('{')
		for _, k := range keys {
			p.WriteString(pad + "  " + k + strings.Repeat(" ", width-len(k)) + " = ")
			p.value(v[k], indent+2+width+3, indent+2)
		}
		p.WriteString(pad + "}")
	case []any:
		p.WriteByte('[')
		for _, e := range v {
			p.WriteString(pad + "  ")
			p.value(e, indent+2, indent+2)
			p.WriteByte(',')
		}
		p.WriteString(pad + "]")
	default:
		p.WriteString(one)
	}
}

// heredoc shows a text of several lines as lines.
func (p *printer) heredoc(text string, indent int) {
	pad := "\n" + strings.Repeat(" ", indent)
	p.WriteString("<<EOT")
	for line := range strings.Lines(text) {
		p.WriteString(pad + "  " + visible(strings.TrimSuffix(line, "\n")))
	}
	p.WriteString(pad + "EOT")
}

// visible replaces what a terminal would act on: a page's content must not be
// able to rewrite the plan that it stands in.
func visible(line string) string {
	if !strings.ContainsFunc(line, isControl) {
		return line
	}
	var b strings.Builder
	for _, r := range line {
		if isControl(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isControl(r rune) bool { return r != '\t' && !strconv.IsPrint(r) }

func holdsText(v any) bool {
	found := false
	walkStrings(v, func(s string) { found = found || isText(s) })
	return found
}

// standIn is what is shown instead of a secret, of which only a digest is there, and
// of certificates, whose names and fingerprint stand beside them.
func standIn(s string) string {
	if spec.IsSecret(s) {
		return "(sensitive value)"
	}
	switch n := strings.Count(s, "-----BEGIN CERTIFICATE-----"); {
	case n == 0 || !strings.HasPrefix(s, "-----BEGIN "):
		return ""
	case n == 1:
		return "(PEM, 1 certificate)"
	default:
		return fmt.Sprintf("(PEM, %d certificates)", n)
	}
}

// inline writes a value on one line.
func inline(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		if short := standIn(v); short != "" {
			return short
		}
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = inline(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		if len(v) == 0 {
			return "{}"
		}
		parts := make([]string, 0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, k+" = "+inline(v[k]))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	text, _ := json.Marshal(v) // bool, and nothing else
	return string(text)
}

// withID is a resource's view with its id, as JSON shows it.
func withID(r *spec.Resource) map[string]any {
	v := maps.Clone(view(r))
	if v == nil {
		v = map[string]any{}
	}
	v["id"] = r.ID
	return v
}
