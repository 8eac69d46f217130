package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"slbctl/spec"
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
	live := ""
	if r.Live != nil {
		live = "live, "
	}
	fmt.Fprintf(b, "simulation %q  %s%s, seed %d\n", r.Name, live, seconds(r.VirtualSeconds), r.Seed)
	r.setting(b)
	if r.Live != nil {
		r.liveText(b, color)
	} else {
		r.table(b)
	}
	if r.Live == nil && len(r.Expectations) > 0 {
		b.WriteString("\n")
		expectations(b, r.Expectations, color)
	}
	for _, w := range r.Warnings {
		b.WriteString("\n  warning: " + w + "\n")
	}
}

// setting says to whom who sends what.
func (r *Result) setting(b *strings.Builder) {
	fmt.Fprintf(b, "  to %s, %s\n", r.Listener(), r.Scheduler())
	for _, line := range r.Setting() {
		b.WriteString("  " + line + "\n")
	}
	b.WriteString("\n")
}

// Setting says who sends what to the listener, what the servers do, and the operator; what belongs to the
// line before it is indented.
func (r *Result) Setting() (lines []string) {
	for _, t := range r.traffic {
		if t.Log != "" {
			lines = append(lines, fmt.Sprintf("%s: as in %s", t.Name, t.Log))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s %ss/s, %s, from %s of %s", t.Name,
			number(t.Rate), r.What(), t.Arrivals, count(t.Clients.Count, "client"), t.Clients.Network))
		if spec.L7(r.listener.Protocol) {
			lines = append(lines, "  "+session(&t.Session))
			lines = append(lines, requests(t.Mix)...)
		}
	}
	if r.service != nil {
		lines = append(lines, service(r.service))
	}
	return append(lines, r.operations()...)
}

// session says what clients do.
func session(s *spec.Session) string {
	cookies := "with cookies"
	if !s.Cookies {
		cookies = "without cookies"
	}
	if s.Requests == 0 {
		return "sessions without end, " + cookies
	}
	return fmt.Sprintf("sessions of %s, %s, on %s", count(s.Requests, "request"), cookies, count(max(s.Connections, 1), "connection"))
}

// service says what each server does.
func service(s *spec.Service) string {
	times := fmt.Sprintf("%s %s on average", s.Distribution, s.Time)
	if s.Log != "" {
		times = "times of " + s.Log
	}
	text := fmt.Sprintf("each server: %s, %s", times, count(s.Workers, "worker"))
	if s.Discipline == spec.DisciplinePS {
		return fmt.Sprintf("%s, shared by %d at most", text, s.Workers+s.Queue)
	}
	return fmt.Sprintf("%s, %d may wait", text, s.Queue)
}

// operations lists what an operator does.
func (r *Result) operations() (lines []string) {
	list := happenings(r.sim)[len(r.sim.Faults):]
	slices.SortStableFunc(list, func(a, b happening) int { return cmp.Compare(a.at, b.at) })
	for _, h := range list {
		lines = append(lines, fmt.Sprintf("at %s %s: %s", h.at, h.name, h.what))
	}
	return lines
}

// hit names what an event is about.
func hit(targets []string, zone string) string {
	switch {
	case zone != "":
		return "zone " + zone
	case len(targets) > 3:
		return count(len(targets), "server")
	}
	return strings.Join(targets, ", ")
}

// requests lists what is asked for.
func requests(mix []spec.Request) (lines []string) {
	total := 0
	for _, q := range mix {
		total += q.Weight
	}
	for _, q := range mix {
		lines = append(lines, fmt.Sprintf("  %s for %s%s", percent(float64(q.Weight)/float64(total)), q.Host, q.Path))
	}
	return lines
}

// column is what a window counts beside its requests.
type column struct {
	name  string
	count func(w *Window) int64
}

// columns are those that the windows are to have; except for the errors, only where there
// is something to count.
func (r *Result) columns() []column {
	all := []column{
		{"errors", func(w *Window) int64 { return w.Errors }},
		{"dropped", func(w *Window) int64 { return w.Dropped }},
		{"denied", func(w *Window) int64 { return w.Denied }},
		{"unrouted", func(w *Window) int64 { return w.Unrouted }},
		{"redirected", func(w *Window) int64 { return w.Redirected }},
	}
	shown := all[:1]
	for _, c := range all[1:] {
		if slices.ContainsFunc(r.Windows, func(w Window) bool { return c.count(&w) > 0 }) {
			shown = append(shown, c)
		}
	}
	return shown
}

// table lists the windows, and under each one its servers; under rules, where it has any.
func (r *Result) table(b *strings.Builder) {
	rows, columns := [][]string{{"window", what(r.listener) + "s", "share"}}, r.columns()
	for _, c := range columns {
		rows[0] = append(rows[0], c.name)
	}
	for k := range r.Windows {
		w := &r.Windows[k]
		row := []string{w.Name, strconv.FormatInt(w.Requests, 10), ""}
		for _, c := range columns {
			row = append(row, strconv.FormatInt(c.count(w), 10))
		}
		rows = append(rows, row)
		if len(w.Routes) < 2 {
			rows = append(rows, backends("  ", w.Backends)...)
			continue
		}
		for k := range w.Routes {
			rows = append(rows, r.route(&w.Routes[(k+1)%len(w.Routes)])...) // what no rule takes comes last
		}
	}
	writeTable(b, rows)
	if r.service != nil {
		b.WriteString("\n")
		r.latencies(b)
	}
}

// latencies lists what the windows say of time.
func (r *Result) latencies(b *strings.Builder) {
	rows := [][]string{{"window", "p50", "p90", "p99", "p99.9", "max", "busiest server"}}
	for _, w := range r.Windows {
		if w.Latency == nil {
			continue
		}
		l, busiest := w.Latency, Backend{}
		for _, s := range w.Backends {
			if s.Utilisation != nil && (busiest.Utilisation == nil || *s.Utilisation > *busiest.Utilisation) {
				busiest = s
			}
		}
		row := []string{w.Name, Brief(l.P50), Brief(l.P90), Brief(l.P99), Brief(l.P999), Brief(l.Max), ""}
		if busiest.Utilisation != nil {
			row[6] = fmt.Sprintf("%s %.1f%%", busiest.Address, 100**busiest.Utilisation)
		}
		rows = append(rows, row)
	}
	writeTable(b, rows)
}

// route is the rows of a rule, with its servers if anybody has asked for it.
func (r *Result) route(route *Route) [][]string {
	name := shortOf(route.Address, r.listener.Address)
	if name == "" {
		name = "no rule"
	}
	rows := [][]string{{"  " + name, strconv.FormatInt(route.Requests, 10), "", strconv.FormatInt(route.Errors, 10)}}
	if route.Requests > 0 {
		rows = append(rows, backends("    ", route.Backends)...)
	}
	return rows
}

// backends are the rows of servers.
func backends(indent string, list []Backend) (rows [][]string) {
	var served int64
	for _, s := range list {
		served += s.Requests
	}
	for _, s := range list {
		share := "-"
		if served > 0 {
			share = strconv.FormatFloat(100*s.Share, 'f', 2, 64) + "%"
		}
		rows = append(rows, []string{indent + s.Address, strconv.FormatInt(s.Requests, 10), share})
	}
	return rows
}

// writeTable writes rows, each at most as long as the first, with their columns in line.
func writeTable(b *strings.Builder, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		line := fmt.Sprintf("  %-*s", width[0], row[0])
		for i, cell := range row[1:] {
			line += fmt.Sprintf("  %*s", width[1+i], cell)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// expectations lists verdicts, what was observed and what was wanted.
func expectations(b *strings.Builder, list []Expectation, color bool) {
	name := 0
	for _, e := range list {
		name = max(name, utf8.RuneCountInString(e.Name))
	}
	for _, e := range list {
		fmt.Fprintf(b, "  %s  %-*s  wanted %s: %s\n", marked(e.Verdict, color), name, e.Name, e.Wanted, e.Detail)
	}
}
