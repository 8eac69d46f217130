package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// WriteReplicationsJSON writes the document of sim -replicas -json.
func WriteReplicationsJSON(w io.Writer, all []*Replication) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		FormatVersion string         `json:"format_version"`
		Replications  []*Replication `json:"replications"`
	}{"1.0", all})
}

// WriteReplications writes a report for people: means, and how far their truth may be from them.
func WriteReplications(w io.Writer, all []*Replication, color bool) error {
	var b strings.Builder
	for i, r := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		r.text(&b, color)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Replication) text(b *strings.Builder, color bool) {
	fmt.Fprintf(b, "simulation %q  %s, %d replicas, seeds %d to %d\n", r.Name, seconds(r.VirtualSeconds), r.Replicas, r.Seed, r.Seed+uint64(r.Replicas)-1)
	r.first.setting(b)
	rows := [][]string{{"window", r.first.What() + "s", "share", "errors"}}
	for k := range r.Windows {
		w := &r.Windows[k]
		rows = append(rows, []string{w.Name, w.Requests.text(tenths, 0.1), "", w.Errors.text(tenths, 0.1)})
		for _, s := range w.Backends {
			row := []string{"  " + s.Address, s.Requests.text(tenths, 0.1), "-"}
			if s.Share != nil {
				row[2] = s.Share.text(hundredths, 1e-4)
			}
			rows = append(rows, row)
		}
	}
	writeTable(b, rows)
	if r.first.service != nil {
		b.WriteString("\n")
		r.latencies(b)
	}
	fmt.Fprintf(b, "\n  mean over the replicas, ± the %s interval\n", percent(r.Confidence))
	if len(r.Expectations) > 0 {
		b.WriteString("\n")
		var told []Expectation
		for _, e := range r.Expectations {
			told = append(told, e.Told())
		}
		expectations(b, told, color)
	}
}

// Told is the expectation as one without replicas is told.
func (x *ReplicaExpectation) Told() Expectation {
	out := Expectation{Name: x.Name, Wanted: x.Wanted, Verdict: x.Verdict, Detail: x.Detail}
	if x.Observed != nil {
		out.Observed = &x.Observed.Mean
	}
	return out
}

// latencies lists what the windows say of time.
func (r *Replication) latencies(b *strings.Builder) {
	rows := [][]string{{"window", "p50", "p90", "p99", "p99.9", "max", "busiest server"}}
	for k := range r.Windows {
		w := &r.Windows[k]
		if w.Latency == nil {
			continue
		}
		row := []string{w.Name}
		for _, e := range []*Estimate{&w.Latency.P50, &w.Latency.P90, &w.Latency.P99, &w.Latency.P999, &w.Latency.Max} {
			row = append(row, e.text(Brief, 0))
		}
		busiest := -1
		for i, s := range w.Backends {
			if s.Utilisation != nil && (busiest < 0 || s.Utilisation.Mean > w.Backends[busiest].Utilisation.Mean) {
				busiest = i
			}
		}
		if busiest >= 0 {
			row = append(row, w.Backends[busiest].Address+" "+w.Backends[busiest].Utilisation.text(hundredths, 1e-4))
		}
		rows = append(rows, row)
	}
	writeTable(b, rows)
}

// text is the mean, and half of the interval where that is not nothing: not less than the unit that is
// told, for it must not look like nothing.
func (e *Estimate) text(value func(float64) string, unit float64) string {
	out := value(e.Mean)
	if half := e.High - e.Mean; half > 0 {
		out += " ±" + value(max(up2(half), unit))
	}
	return out
}

// up2 rounds up to two digits: an interval must not become narrower.
func up2(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Ceil(v/unit) * unit
}

func tenths(v float64) string { return number(math.Round(v*10) / 10) }

func hundredths(share float64) string { return strconv.FormatFloat(100*share, 'f', 2, 64) + "%" }
