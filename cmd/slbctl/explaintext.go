package main

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"slbctl/runtime/explain"
)

// listedPicks is how many requests are listed one by one; of more they are counted.
const listedPicks = 20

// explained renders an answer. Lines are broken for a terminal of a width; 0 leaves them
// whole.
func explained(e *explain.Explanation, width int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s from %s\n", strings.TrimSpace(e.Method+" "+e.URL), e.From)
	switch e.Source {
	case explain.FromRuntime:
		fmt.Fprintf(&b, "on what runs, generation %d\n\n", e.Generation)
	default:
		b.WriteString("on the configuration: what runs is not asked, servers count as well\n\n")
	}
	writeSteps(&b, e.Steps, width)
	writeServers(&b, e)
	for _, note := range e.Notes {
		fmt.Fprintf(&b, "Note: %s.\n", note)
	}
	if len(e.Notes) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(ending(e) + "\n")
	writePicks(&b, e.Picks)
	return b.String()
}

func writeSteps(b *strings.Builder, steps []explain.Step, width int) {
	left := 0
	for _, s := range steps {
		left = max(left, len(s.Name))
	}
	if width > 0 {
		width = max(width-left-4, 20)
	}
	for _, s := range steps {
		fmt.Fprintf(b, "  %-*s  %s\n", left, s.Name, s.Result)
		lines := []string{s.Reason}
		if s.Otherwise != "" {
			lines = append(lines, "otherwise: "+s.Otherwise)
		}
		for _, line := range lines {
			if width > 0 {
				line = wrap(line, width)
			}
			for _, part := range strings.Split(line, "\n") {
				fmt.Fprintf(b, "  %-*s  %s\n", left, "", part)
			}
		}
	}
	b.WriteByte('\n')
}

func writeServers(b *strings.Builder, e *explain.Explanation) {
	if len(e.Servers) == 0 {
		return
	}
	rows := [][]cell{plain("server", "endpoint", "health", "weight", "share", "open", "new", "reason")}
	for _, s := range e.Servers {
		usable := "no"
		if s.Usable {
			usable = "yes"
		}
		rows = append(rows, plain(s.Address, s.Endpoint, s.Health, strconv.Itoa(s.Weight),
			strconv.FormatFloat(100*s.Share, 'f', 1, 64)+"%", number(s.Connections), usable, s.Reason))
	}
	writeTable(b, "  ", rows)
	b.WriteByte('\n')
}

// ending is what becomes of the request, in a line.
func ending(e *explain.Explanation) string {
	switch {
	case e.Outcome == explain.Served:
		for _, s := range e.Servers {
			if s.Address == e.Server {
				return fmt.Sprintf("It goes to %s at %s.", s.Address, s.Endpoint)
			}
		}
	case e.Outcome == explain.Redirected:
		return fmt.Sprintf("The balancer answers %d %s and sends the client to %s", e.Status, http.StatusText(e.Status), e.Location)
	case e.Status != 0:
		return fmt.Sprintf("The balancer answers %d %s.", e.Status, http.StatusText(e.Status))
	case e.Outcome == explain.Denied:
		return "The connection is reset: the access list denies it."
	case e.Outcome == explain.Failed:
		return "No server gets it."
	}
	return "It reaches no listener."
}

func writePicks(b *strings.Builder, picks []explain.Pick) {
	if len(picks) < 2 {
		return
	}
	fmt.Fprintf(b, "\nThe next %d, each when the one before has ended\n", len(picks))
	var rows [][]cell
	if len(picks) <= listedPicks {
		for i, p := range picks {
			kept := ""
			if p.Kept {
				kept = "kept"
			}
			rows = append(rows, plain(strconv.Itoa(i+1), cmp.Or(p.Server, "nobody"), kept))
		}
		writeTable(b, "  ", rows)
		return
	}
	counts, order := map[string]int{}, []string{}
	for _, p := range picks {
		if counts[p.Server] == 0 {
			order = append(order, p.Server)
		}
		counts[p.Server]++
	}
	for _, name := range order {
		rows = append(rows, plain(number(int64(counts[name])), cmp.Or(name, "nobody")))
	}
	writeTable(b, "  ", rows)
}
