//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// results are the samples of a row by program, one per round, or why there are none.
type results struct {
	row     row
	samples map[string][]sample
	invalid map[string]error
}

// ratio is a program's value over the better peer's, the one with the better median:
// the median of the rounds' ratios, because what disturbs the machine disturbs all
// programs of a round. ok is false where a program of the ratio has no valid samples.
func (r results) ratio(program string) (ratio float64, ok bool) {
	return r.ratioOf(program, r.row.metric.value)
}

// kernelRatio is what of the ratio is due to the kernel: less it cannot be, with the same
// calls. Rows that are not about processor time have none.
func (r results) kernelRatio(program string) (ratio float64, ok bool) {
	if !r.row.metric.cpu {
		return 0, false
	}
	return r.ratioOf(program, func(s sample) float64 {
		s.CPU = s.Kernel
		return r.row.metric.value(s)
	})
}

func (r results) ratioOf(program string, value func(sample) float64) (ratio float64, ok bool) {
	if !r.valid(program) {
		return 0, false
	}
	better, best := "", math.NaN()
	for _, peer := range r.row.metric.against {
		if !r.valid(peer) {
			return 0, false
		}
		if v := r.median(peer, r.row.metric.value); better == "" || r.row.metric.better(v, best) {
			better, best = peer, v
		}
	}
	if better == "" {
		return 0, false
	}
	var ratios []float64
	for round, s := range r.samples[program] {
		ratios = append(ratios, value(s)/r.row.metric.value(r.samples[better][round]))
	}
	return median(ratios), true
}

// valid tells whether a program has a sample of every round.
func (r results) valid(program string) bool {
	return len(r.samples[program]) > 0 && r.invalid[program] == nil
}

// verdict holds the subject against the goal: "0.85 ok", "0.85 missed" or "" without one.
func (r results) verdict() string {
	result, ok := r.ratio(subject)
	if len(r.row.metric.against) == 0 && r.valid(subject) {
		result, ok = r.median(subject, r.row.metric.value), true
	}
	switch {
	case r.row.goal == 0:
		return ""
	case !ok:
		return fmt.Sprintf("%.2f", r.row.goal)
	case r.row.metric.better(result, r.row.goal):
		return fmt.Sprintf("%.2f ok", r.row.goal)
	}
	return fmt.Sprintf("%.2f missed", r.row.goal)
}

func (r results) median(program string, of func(sample) float64) float64 {
	var vs []float64
	for _, s := range r.samples[program] {
		vs = append(vs, of(s))
	}
	return median(vs)
}

func median(vs []float64) float64 {
	if len(vs) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(vs))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// write prints the row's table.
func (r results) write(w io.Writer, programs []string) error {
	m := r.row.metric
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\t%s\t%s\tgoal\tkernel\t%s\tp50 us\tp99 us\tPSS MiB\t\n", m.column, m.ratio, m.rate)
	for _, program := range programs {
		r.writeProgram(t, program)
	}
	fmt.Fprintf(w, "\n%s: %s\n", r.row.name, r.row.title)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, program := range programs {
		if err := r.invalid[program]; err != nil {
			fmt.Fprintf(w, "  %s is invalid: %v\n", program, err)
		}
	}
	return nil
}

func (r results) writeProgram(w io.Writer, program string) {
	if !r.valid(program) {
		fmt.Fprintf(w, "%s\tinvalid\t\t\t\t\t\t\t\t\n", program)
		return
	}
	goal, ratio, kernel := "", "", ""
	if v, ok := r.ratio(program); ok {
		ratio = fmt.Sprintf("%.2f", v)
	}
	if v, ok := r.kernelRatio(program); ok {
		kernel = fmt.Sprintf("%.2f", v)
	}
	if program == subject {
		goal = r.verdict()
	}
	number := func(of func(sample) float64) string { return short(r.median(program, of)) }
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", program, number(r.row.metric.cost), ratio, goal, kernel, number(perSecond),
		number(func(s sample) float64 { return s.P50 }), number(func(s sample) float64 { return s.P99 }),
		number(func(s sample) float64 { return s.Memory / 1024 }))
}

// short writes three digits and no fractions of large numbers; nothing for what was
// not measured.
func short(v float64) string {
	switch {
	case v == 0 || math.IsNaN(v):
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
