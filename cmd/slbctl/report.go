package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"slbctl/planner"
	"slbctl/sim"
	"slbctl/spec"
)

// report tells how an apply goes: as text, or as one JSON object per line.
type report interface {
	plan(*planner.Plan) error
	event(planner.Event)
	done(p *planner.Plan, destroys bool) error
	failed(error) // the error goes on to explain, which tells people
}

func (s *session) newReport(asJSON bool) report {
	if asJSON {
		return &jsonReport{out: s.stdout}
	}
	return &textReport{s}
}

// textReport puts the plan and the result on stdout, progress on stderr.
type textReport struct{ *session }

func (r *textReport) plan(p *planner.Plan) error {
	if err := r.show(p, false); err != nil {
		return err
	}
	if p.HasChanges() {
		r.note("")
	}
	return nil
}

func (r *textReport) event(e planner.Event) {
	r.note("%-8s %s", e.Phase, strings.TrimPrefix(e.Address+": "+e.Message, ": "))
}

func (r *textReport) done(p *planner.Plan, destroys bool) error {
	n := resultOf(p)
	text := fmt.Sprintf("\nApply complete! Resources: %d added, %d changed, %d destroyed.\n", n.Added, n.Changed, n.Destroyed)
	if destroys {
		text = fmt.Sprintf("\nDestroy complete! Resources: %d destroyed.\n", n.Destroyed)
	}
	if _, err := io.WriteString(r.stdout, text); err != nil {
		return err
	}
	if len(p.Next.Outputs) == 0 || destroys {
		return nil
	}
	if _, err := io.WriteString(r.stdout, "\nOutputs:\n\n"); err != nil {
		return err
	}
	return writeOutputs(r.stdout, p.Next.Outputs)
}

func (r *textReport) failed(error) {}

// result counts what an apply did. A replacement is one added and one destroyed.
type result struct {
	Added     int `json:"added"`
	Changed   int `json:"changed"`
	Destroyed int `json:"destroyed"`
}

func resultOf(p *planner.Plan) result {
	if p.RecordOnly {
		return result{} // nothing that runs
	}
	replaced := p.Count(planner.Replace)
	return result{
		Added: p.Count(planner.Create) + replaced, Changed: p.Count(planner.Update),
		Destroyed: p.Count(planner.Delete) + replaced,
	}
}

// jsonReport writes one object a line; "type" tells them apart. The last is of type
// "summary", or "error" when nothing was applied.
type jsonReport struct {
	out io.Writer
	err error // the first that a write met
}

func (r *jsonReport) write(v any) error {
	if r.err != nil {
		return r.err
	}
	e := json.NewEncoder(r.out)
	e.SetEscapeHTML(false)
	r.err = e.Encode(v)
	return r.err
}

func (r *jsonReport) plan(p *planner.Plan) error {
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Stays() {
			continue
		}
		line := struct {
			Type    string         `json:"type"`
			Action  planner.Action `json:"action"`
			Address string         `json:"address"`
			Reason  string         `json:"reason"`
		}{"change", c.Action, c.Address, c.Reason}
		if err := r.write(line); err != nil {
			return err
		}
	}
	for i := range p.Promises {
		line := struct {
			Type string `json:"type"`
			*sim.Promise
		}{"expectation", &p.Promises[i]}
		if err := r.write(line); err != nil {
			return err
		}
	}
	if p.Canary != nil {
		line := struct {
			Type    string       `json:"type"`
			Moving  []sim.Moving `json:"moving"`
			Seconds float64      `json:"step_seconds"`
			Steps   []float64    `json:"steps"` // parts of the traffic that moves, as shares are
		}{"canary", p.Canary.Moving, p.Canary.Pause.Seconds(), nil}
		if line.Moving == nil {
			line.Moving = []sim.Moving{}
		}
		for _, percent := range p.Canary.Percents {
			line.Steps = append(line.Steps, float64(percent)/100)
		}
		if err := r.write(line); err != nil {
			return err
		}
	}
	if err := r.messages("warning", p.Warnings); err != nil {
		return err
	}
	return r.messages("note", p.Notes)
}

func (r *jsonReport) messages(kind string, texts []string) error {
	for _, text := range texts {
		line := struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		}{kind, text}
		if err := r.write(line); err != nil {
			return err
		}
	}
	return nil
}

func (r *jsonReport) event(e planner.Event) {
	_ = r.write(struct { // done reports what went wrong here
		Type    string `json:"type"`
		Phase   string `json:"phase"`
		Address string `json:"address"`
		Message string `json:"message"`
	}{"event", e.Phase, e.Address, e.Message})
}

func (r *jsonReport) done(p *planner.Plan, _ bool) error {
	return r.write(struct {
		Type          string                    `json:"type"`
		FormatVersion string                    `json:"format_version"`
		Resources     result                    `json:"resources"`
		Outputs       map[string]outputDocument `json:"outputs"`
	}{"summary", planner.FormatVersion, resultOf(p), outputDocuments(p.Next.Outputs)})
}

func (r *jsonReport) failed(err error) {
	_ = r.write(struct { // stderr has the same, and the exit code
		Type     string   `json:"type"`
		ExitCode exitCode `json:"exit_code"`
		Message  string   `json:"message"`
	}{"error", codeOf(err), err.Error()})
}

// outputDocument is one output in JSON. A sensitive value is not recorded.
type outputDocument struct {
	Sensitive bool `json:"sensitive"`
	Value     any  `json:"value"`
}

func outputDocuments(outputs []spec.Output) map[string]outputDocument {
	docs := map[string]outputDocument{}
	for _, o := range outputs {
		d := outputDocument{Sensitive: o.Sensitive, Value: o.Value}
		if o.Sensitive {
			d.Value = nil
		}
		docs[o.Name] = d
	}
	return docs
}
