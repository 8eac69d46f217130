package main

import (
	"strings"
	"unicode/utf8"
)

// cell is one field of a table; the colour does not count for its width.
type cell struct {
	text  string
	color string // SGR code, "" = none
}

// columnGap stands between two columns.
const columnGap = "  "

// writeTable aligns rows in columns. It leaves no blanks at the ends of lines.
func writeTable(b *strings.Builder, indent string, rows [][]cell) {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, r := range rows {
		line, pad := indent, ""
		for i, c := range r {
			line += pad + paint(c.color, c.text)
			pad = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)) + columnGap
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func paint(code, text string) string {
	if code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// plain makes a row without colours.
func plain(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i].text = t
	}
	return row
}
