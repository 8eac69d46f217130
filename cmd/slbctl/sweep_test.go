package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"text/tabwriter"
)

// long has the crash tests go to every point that they know of, and the test of zero loss
// send all of its requests. Without it they go to a spread of them.
var long = flag.Bool("long", false, "sweep all points of the crash tests, which takes minutes, and send 100,000 requests")

// sweep counts how the cases of a crash test ended: as if nothing had happened, or with
// what was asked for done. There is no third way.
type sweep struct {
	t       *testing.T
	rows    []*tally
	skipped int
	draw    *rand.Rand
}

type tally struct {
	name                      string
	cases, before, after, bad int
}

func newSweep(t *testing.T) *sweep {
	s := &sweep{t: t, draw: rand.New(rand.NewPCG(uint64(len(t.Name())), 1))}
	t.Cleanup(s.print)
	return s
}

// skips says whether to leave a point out: all but one in n, unless -long is given. They
// are drawn from a seed, so a run that fails can be repeated.
func (s *sweep) skips(n int) bool {
	if *long || s.draw.IntN(n) == 0 {
		return false
	}
	s.skipped++
	return true
}

// most is a number of durable operations that is above that of every act, or without -long
// one near to it, so that most of what is drawn is a point.
func (s *sweep) most() int {
	if *long {
		return 200
	}
	return 24
}

// ended notes the end of a case.
func (s *sweep) ended(name string, end finish) {
	var row *tally
	for _, r := range s.rows {
		if r.name == name {
			row = r
		}
	}
	if row == nil {
		row = &tally{name: name}
		s.rows = append(s.rows, row)
	}
	row.cases++
	switch end {
	case endedBefore:
		row.before++
	case endedAfter:
		row.after++
	default:
		row.bad++
	}
}

type finish int

const (
	endedBadly finish = iota
	endedBefore
	endedAfter
)

func (s *sweep) print() {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\ncase\tcases\tended before\tended after\tbad\t")
	sum := tally{name: "all"}
	for _, r := range s.rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\n", r.name, r.cases, r.before, r.after, r.bad)
		sum.cases, sum.before, sum.after, sum.bad = sum.cases+r.cases, sum.before+r.before, sum.after+r.after, sum.bad+r.bad
	}
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t\n", sum.name, sum.cases, sum.before, sum.after, sum.bad)
	_ = w.Flush() // into memory
	if s.skipped > 0 {
		fmt.Fprintf(&b, "%d more with -long\n", s.skipped)
	}
	s.t.Log(b.String())
	if sum.cases == 0 {
		s.t.Error("no case at all")
	}
}
