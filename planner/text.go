package planner

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"slbctl/spec"
)

// Style is how text is written.
type Style struct {
	Color bool
	Width int // columns; 0 = 80
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// printer gathers the text of a plan.
type printer struct {
	bytes.Buffer
	style Style
}

func (p *printer) paint(color, text string) string {
	if !p.style.Color || color == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// symbol is three columns wide, so that addresses stand below each other.
func (p *printer) symbol(a Action) string {
	switch a {
	case Create:
		return "  " + p.paint(green, "+")
	case Update:
		return "  " + p.paint(yellow, "~")
	case Delete:
		return "  " + p.paint(red, "-")
	case Replace:
		return p.paint(red, "-") + "/" + p.paint(green, "+")
	}
	return "   "
}

// WriteText renders the plan for people: first what changes, then how, then
// what that does.
func (p *Plan) WriteText(w io.Writer, style Style) error {
	if style.Width <= 0 {
		style.Width = 80
	}
	out := &printer{style: style}
	intro := "slbctl will make these changes:"
	if p.RecordOnly {
		intro = "slbctl will record what has changed outside of the configuration:"
	}
	out.list(intro, p.Changes)
	for i := range p.Changes {
		out.details(&p.Changes[i])
	}
	switch {
	case p.RecordOnly && !p.HasChanges():
		out.WriteString("No changes. What runs is as it is recorded.\n")
	case !p.HasChanges():
		out.WriteString("No changes. Everything is as the configuration says.\n")
	case p.RecordOnly:
		out.WriteString("Only the record changes; nothing that runs does.\n")
	default:
		fmt.Fprintf(out, "Plan: %d to add, %d to change, %d to destroy.\n",
			p.Count(Create)+p.Count(Replace), p.Count(Update), p.Count(Delete)+p.Count(Replace))
	}
	out.traffic(p)
	out.promises(p)
	out.canary(p.Canary)
	out.runtime(p.Runtime)
	out.outputs(p.Outputs)
	if len(p.Warnings)+len(p.Notes) > 0 {
		out.WriteByte('\n')
	}
	for _, warning := range p.Warnings {
		out.WriteString(out.paint(yellow, "Warning:") + " " + warning + "\n")
	}
	for _, note := range p.Notes {
		out.WriteString("Note: " + note + "\n")
	}
	_, err := out.WriteTo(w)
	return err
}

// list names every resource that changes, and why where that is not plain.
func (p *printer) list(intro string, changes []Change) {
	width := 0
	for i := range changes {
		if !changes[i].Stays() && changes[i].Reason != "" {
			width = max(width, len(changes[i].Address))
		}
	}
	first := true
	for i := range changes {
		c := &changes[i]
		if c.Stays() {
			continue
		}
		if first {
			p.WriteString(intro + "\n\n")
			first = false
		}
		line := p.symbol(c.Action) + " " + c.Address
		if c.Reason != "" {
			line += strings.Repeat(" ", max(0, width-len(c.Address))) + "   " + c.Reason
		}
		p.WriteString(line + "\n")
	}
	if !first {
		p.WriteByte('\n')
	}
}

// details shows the attributes of one change. A delete has said all in the list.
func (p *printer) details(c *Change) {
	var edits []edit
	hidden, note := 0, ""
	switch c.Action {
	case Create:
		edits, hidden = created(c.After)
		note = "default"
	case Update, Replace:
		edits = compare(detailed(c, c.Before), detailed(c, c.After))
		hidden, note = unchanged(c.Before, c.After), "unchanged"
	default:
		return
	}
	if len(edits) == 0 {
		return
	}
	p.WriteString(p.symbol(c.Action) + " " + c.Address + "\n")
	width := 0
	for _, e := range edits {
		if !strings.Contains(e.path, "[") { // elements of lists have long names
			width = max(width, len(e.path))
		}
	}
	for _, e := range edits {
		forces := c.Action == Replace && spec.ForcesReplacement(c.Kind, e.path)
		p.edit(e, width, c.Action == Create, forces)
	}
	switch {
	case hidden == 1:
		fmt.Fprintf(p, "        # 1 %s attribute hidden\n", note)
	case hidden > 1:
		fmt.Fprintf(p, "        # %d %s attributes hidden\n", hidden, note)
	}
	p.WriteByte('\n')
}

// detailed is what the text compares: a replaced resource has another id, too.
func detailed(c *Change, r *spec.Resource) map[string]any {
	if c.Action != Replace {
		return view(r)
	}
	return withID(r)
}

// created lists a new resource's attributes but those that say nothing.
func created(r *spec.Resource) (edits []edit, hidden int) {
	all := view(r)
	for _, key := range sortedKeys(all, nil) {
		if spec.IsDefault(r.Kind, key, all[key]) {
			hidden++
			continue
		}
		edits = compareValues(edits, key, absent, all[key])
	}
	return edits, hidden
}

// unchanged counts the attributes that an update leaves alone.
func unchanged(before, after *spec.Resource) int {
	n := 0
	for key := range after.Attributes {
		if equal(lookup(before.Attributes, key), lookup(after.Attributes, key)) {
			n++
		}
	}
	return n
}

// edit writes one attribute: "~ scheduler = "rr" -> "wrr"".
func (p *printer) edit(e edit, width int, whole, forces bool) {
	sign := p.paint(yellow, "~")
	switch {
	case e.before == absent:
		sign = p.paint(green, "+")
	case e.after == absent:
		sign = p.paint(red, "-")
	}
	p.WriteString("      " + sign + " " + e.path + strings.Repeat(" ", max(0, width-len(e.path))) + " = ")
	column := 8 + max(width, len(e.path)) + 3
	switch {
	case e.before == absent:
		p.value(brief(e.after), column, 8)
	case e.after == absent:
		p.value(brief(e.before), column, 8)
		if !whole && !isObject(e.before) {
			p.WriteString(" -> null")
		}
	case isText(e.before) && isText(e.after):
		p.textDiff(e.before.(string), e.after.(string))
	default:
		p.value(e.before, column, 8)
		p.WriteString(" -> ")
		p.value(e.after, column+len(inline(e.before))+4, 8)
	}
	if forces {
		p.WriteString(" " + p.paint(red, "# forces replacement"))
	}
	p.WriteByte('\n')
}

// brief leaves out of an element what its path tells already, and what it has
// not been given.
func brief(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	short := map[string]any{}
	for key, value := range object {
		named := nameOf(map[string]any{key: value}) != ""
		unset := isEmpty(value) || isUnset(key, value)
		if !named && !unset {
			short[key] = value
		}
	}
	return short
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// isText tells a text of several lines from a value of one.
func isText(v any) bool {
	s, ok := v.(string)
	return ok && strings.Contains(strings.TrimSuffix(s, "\n"), "\n") && standIn(s) == ""
}

// textDiff shows the lines of a text that differ, with a line around them.
func (p *printer) textDiff(before, after string) {
	p.WriteString("<<EOT")
	edits := udiff.Lines(before, after)
	unified, err := udiff.ToUnified("", "", before, edits, 1)
	if err != nil { // edits that do not fit the text they come from
		unified = "-" + before + "\n+" + after
	}
	for line := range strings.Lines(unified) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "+++ "), line == "":
		case strings.HasPrefix(line, "@@"):
			p.WriteString("\n          ...")
		case line[0] == '-':
			p.WriteString("\n        " + p.paint(red, "-") + " " + visible(line[1:]))
		case line[0] == '+':
			p.WriteString("\n        " + p.paint(green, "+") + " " + visible(line[1:]))
		default:
			p.WriteString("\n          " + visible(strings.TrimPrefix(line, " ")))
		}
	}
	p.WriteString("\n        EOT")
}

// runtime tells what happens to the daemon and its settings.
func (p *printer) runtime(c RuntimeChange) {
	if c.Action == NoOp && len(c.Settings) == 0 {
		return
	}
	p.WriteString("\nRuntime\n")
	switch c.Action {
	case Create:
		p.WriteString(p.symbol(Create) + " start it: " + c.Reason + "\n")
	case Update:
		p.WriteString(p.symbol(Update) + " bring it up to date: " + c.Reason + "\n")
	}
	width := 0
	for _, s := range c.Settings {
		width = max(width, len(s.Name))
	}
	for _, s := range c.Settings {
		fmt.Fprintf(p, "%s %-*s = %s -> %s\n", p.symbol(Update), width, s.Name, inline(s.Before), inline(s.After))
	}
}

// outputs tells which values the configuration's user will see anew.
func (p *printer) outputs(changes []OutputChange) {
	width := 0
	for _, c := range changes {
		width = max(width, len(c.Name))
	}
	for i, c := range changes {
		if i == 0 {
			p.WriteString("\nOutputs\n")
		}
		text := ""
		switch {
		case c.Sensitive:
			text = "(sensitive value)"
		case c.Action == Create:
			text = inline(c.After)
		case c.Action == Delete:
			text = inline(c.Before) + " -> null"
		case equal(c.Before, c.After):
			text = inline(c.After) + " (its description changes)"
		default:
			text = inline(c.Before) + " -> " + inline(c.After)
		}
		fmt.Fprintf(p, "%s %-*s = %s\n", p.symbol(c.Action), width, c.Name, text)
	}
}
