package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteJSON writes the document of sim -json.
func WriteJSON(w io.Writer, results []*Result) error {
	document := struct {
		FormatVersion string    `json:"format_version"`
		Simulations   []*Result `json:"simulations"`
	}{"1.0", results}
	if results == nil {
		document.Simulations = []*Result{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(document)
}

// WriteText writes a report for people. It holds no time that passed outside the
// simulation, so that equal inputs give equal bytes.
func WriteText(w io.Writer, results []*Result, color bool) error {
	var b strings.Builder
	for i, r := range results {
		if i > 0 {
			b.WriteString("\n")
		}
		r.text(&b, color)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) text(b *strings.Builder, color bool) {
	fmt.Fprintf(b, "simulation %q  %s, seed %d\n", r.Name, seconds(r.VirtualSeconds), r.Seed)
	fmt.Fprintf(b, "  to %s, %s\n", r.listener.Address, r.listener.Scheduler)
	for _, t := range r.traffic {
		fmt.Fprintf(b, "  %s: %s connections/s, %s, from %s of %s\n", t.Name,
			number(t.Rate), t.Arrivals, count(t.Clients.Count, "client"), t.Clients.Network)
	}
	b.WriteString("\n")
	r.table(b)
	if len(r.Expectations) > 0 {
		b.WriteString("\n")
		r.expectations(b, color)
	}
}

// table lists the windows, and under each one its servers.
func (r *Result) table(b *strings.Builder) {
	rows := [][4]string{{"window", "connections", "share", "errors"}}
	for _, w := range r.Windows {
		rows = append(rows, [4]string{w.Name, strconv.FormatInt(w.Requests, 10), "", strconv.FormatInt(w.Errors, 10)})
		for _, s := range w.Backends {
			share := "-"
			if w.Requests > w.Errors {
				share = strconv.FormatFloat(100*s.Share, 'f', 2, 64) + "%"
			}
			rows = append(rows, [4]string{"  " + s.Address, strconv.FormatInt(s.Requests, 10), share, ""})
		}
	}
	var width [4]int
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		line := fmt.Sprintf("  %-*s  %*s  %*s  %*s", width[0], row[0], width[1], row[1], width[2], row[2], width[3], row[3])
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// expectations lists verdicts, what was observed and what was wanted.
func (r *Result) expectations(b *strings.Builder, color bool) {
	name := 0
	for _, e := range r.Expectations {
		name = max(name, utf8.RuneCountInString(e.Name))
	}
	for _, e := range r.Expectations {
		mark, code := "ok  ", "\x1b[32m"
		switch e.Verdict {
		case Fail:
			mark, code = "FAIL", "\x1b[31m"
		case Inconclusive:
			mark, code = "?   ", "\x1b[33m"
		}
		if color {
			mark = code + mark + "\x1b[0m"
		}
		fmt.Fprintf(b, "  %s  %-*s  wanted %s: %s\n", mark, name, e.Name, e.Wanted, e.Detail)
	}
}
