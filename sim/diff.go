package sim

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// WriteDiff writes two results of each simulation side by side: what each window counts,
// what each server's share is, and what became of the expectations. What is in one of the
// two alone has a dash in the other's place.
func WriteDiff(w io.Writer, before, after []*Result) error {
	var b strings.Builder
	pairs := paired(before, after, func(r *Result) string { return r.Name })
	for k, p := range pairs {
		if k > 0 {
			b.WriteString("\n")
		}
		diffResults(&b, p[0], p[1])
	}
	if len(pairs) == 0 {
		b.WriteString("neither has a simulation\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// paired brings together what has one name; what b alone has comes last.
func paired[T any](a, b []T, name func(T) string) (pairs [][2]T) {
	for _, x := range a {
		p := [2]T{x}
		if i := slices.IndexFunc(b, func(y T) bool { return name(y) == name(x) }); i >= 0 {
			p[1] = b[i]
		}
		pairs = append(pairs, p)
	}
	for _, y := range b {
		if !slices.ContainsFunc(a, func(x T) bool { return name(x) == name(y) }) {
			var none T
			pairs = append(pairs, [2]T{none, y})
		}
	}
	return pairs
}

func diffResults(b *strings.Builder, x, y *Result) {
	switch {
	case x == nil:
		fmt.Fprintf(b, "simulation %q  only in the second\n", y.Name)
		return
	case y == nil:
		fmt.Fprintf(b, "simulation %q  only in the first\n", x.Name)
		return
	}
	fmt.Fprintf(b, "simulation %q  %s, seed %d\n", x.Name, seconds(x.VirtualSeconds), x.Seed)
	if x.Seed != y.Seed || x.VirtualSeconds != y.VirtualSeconds {
		fmt.Fprintf(b, "  the second  %s, seed %d\n", seconds(y.VirtualSeconds), y.Seed)
	}
	b.WriteString("\n")
	rows := [][]string{{"window", "first", "second", "difference"}}
	for _, p := range paired(pointers(x.Windows), pointers(y.Windows), func(w *Window) string { return w.Name }) {
		rows = append(rows, diffWindows(p[0], p[1])...)
	}
	writeTable(b, rows)
	diffExpectations(b, x, y)
}

func pointers[T any](list []T) (out []*T) {
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}

// diffWindows are the rows of a window: what it counts, where that is not nothing in both,
// and the shares of its servers.
func diffWindows(x, y *Window) (rows [][]string) {
	name := ""
	counts := func(what string, count func(*Window) int64, always bool) {
		var n [2]string
		var v [2]int64
		for k, w := range []*Window{x, y} {
			if n[k] = "-"; w != nil {
				name, v[k] = w.Name, count(w)
				n[k] = strconv.FormatInt(v[k], 10)
			}
		}
		if !always && v == [2]int64{} {
			return
		}
		difference := ""
		if x != nil && y != nil && v[0] != v[1] {
			difference = fmt.Sprintf("%+d", v[1]-v[0])
		}
		rows = append(rows, []string{what, n[0], n[1], difference})
	}
	counts("", func(w *Window) int64 { return w.Requests }, true)
	rows[0][0] = name
	counts("  errors", func(w *Window) int64 { return w.Errors }, true)
	counts("  dropped", func(w *Window) int64 { return w.Dropped }, false)
	counts("  denied", func(w *Window) int64 { return w.Denied }, false)
	counts("  unrouted", func(w *Window) int64 { return w.Unrouted }, false)
	counts("  redirected", func(w *Window) int64 { return w.Redirected }, false)
	var of [2][]*Backend
	for k, w := range []*Window{x, y} {
		if w != nil {
			of[k] = pointers(w.Backends)
		}
	}
	for _, p := range paired(of[0], of[1], func(s *Backend) string { return s.Address }) {
		rows = append(rows, diffShares(p[0], p[1]))
	}
	return rows
}

func diffShares(x, y *Backend) []string {
	row := []string{"", "-", "-", ""}
	for k, s := range []*Backend{x, y} {
		if s != nil {
			row[0], row[1+k] = "  "+s.Address, strconv.FormatFloat(100*s.Share, 'f', 2, 64)+"%"
		}
	}
	if x != nil && y != nil && row[1] != row[2] {
		row[3] = fmt.Sprintf("%+.2f%%", 100*(y.Share-x.Share))
	}
	return row
}

func diffExpectations(b *strings.Builder, x, y *Result) {
	pairs := paired(pointers(x.Expectations), pointers(y.Expectations), func(e *Expectation) string { return e.Name })
	if len(pairs) == 0 {
		return
	}
	rows := [][]string{{"expectation", "first", "second"}}
	for _, p := range pairs {
		row := []string{"", "-", "-"}
		for k, e := range p {
			if e != nil {
				row[0], row[1+k] = e.Name, string(e.Verdict)
			}
		}
		rows = append(rows, row)
	}
	b.WriteString("\n")
	writeTable(b, rows)
}
