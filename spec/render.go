package spec

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/mitchellh/go-wordwrap"
)

// The colours of a rendered diagnostic.
const (
	red       = "\x1b[31m"
	yellow    = "\x1b[33m"
	bold      = "\x1b[1m"
	underline = "\x1b[4m"
	plainText = "\x1b[0m"
)

// WriteText renders diagnostics for people, each in a box open to the right and
// wrapped at width columns (0 = not at all). Source lines are never wrapped.
func (d Diagnostics) WriteText(w io.Writer, color bool, width int) error {
	for i := range d {
		p := printer{color: color, width: width}
		p.diagnostic(&d[i])
		if _, err := io.WriteString(w, p.out.String()); err != nil {
			return err
		}
	}
	return nil
}

type printer struct {
	out   strings.Builder
	color bool
	width int
	rule  string // colour of the left rule
}

func (p *printer) diagnostic(d *Diagnostic) {
	word := "Error"
	p.rule = red
	if d.Severity == SeverityWarning {
		word, p.rule = "Warning", yellow
	}
	p.out.WriteString(p.paint(p.rule, "╷") + "\n")
	p.line(p.paint(p.rule+bold, word+": ") + p.paint(bold, d.Summary))
	if d.Range != nil {
		p.line("")
		p.source(d)
	}
	p.paragraph(d.Detail)
	p.paragraph(d.Hint)
	p.out.WriteString(p.paint(p.rule, "╵") + "\n")
}

func (p *printer) source(d *Diagnostic) {
	place := fmt.Sprintf("  on %s line %d, column %d", d.Range.Filename, d.Range.Start.Line, d.Range.Start.Column)
	s := d.Snippet
	if s == nil {
		p.line(place)
		return
	}
	if s.Context != nil {
		place += ", in " + *s.Context
	}
	p.line(place + ":")
	before, marked, after := s.Code[:s.HighlightStartOffset], s.Code[s.HighlightStartOffset:s.HighlightEndOffset], s.Code[s.HighlightEndOffset:]
	number := fmt.Sprintf("%4d: ", s.StartLine)
	p.line(number + printable(before) + p.paint(underline, printable(marked)) + printable(after))
	carets := strings.Repeat("^", max(1, utf8.RuneCountInString(marked)))
	p.line(strings.Repeat(" ", len(number)) + blank(before) + p.paint(p.rule, carets))
	for _, v := range s.Values {
		p.line("      " + v.Traversal + " " + v.Statement)
	}
}

// blank is as wide as s, and keeps its tabs.
func blank(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return '\t'
		}
		return ' '
	}, s)
}

// printable keeps a hostile source line from talking to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}

func (p *printer) paragraph(text string) {
	if text == "" {
		return
	}
	p.line("")
	if p.width > 2 {
		text = wordwrap.WrapString(text, uint(p.width-2))
	}
	for line := range strings.SplitSeq(text, "\n") {
		p.line(printable(line))
	}
}

func (p *printer) line(text string) {
	p.out.WriteString(strings.TrimRight(p.paint(p.rule, "│")+" "+text, " ") + "\n")
}

func (p *printer) paint(code, text string) string {
	if !p.color || text == "" {
		return text
	}
	return code + text + plainText
}
