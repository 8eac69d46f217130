package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"slbctl/sim"
	"slbctl/sim/htmlreport"
	"slbctl/spec"
)

// draw writes the page that -html asks for: each simulation by itself; where something is lost, beside
// what it is with all that there is.
func (c *simRunCmd) draw(s *session, whole *spec.Config, results []*sim.Result) error {
	if c.HTML == "" {
		return nil
	}
	var sections []htmlreport.Section
	for _, r := range results {
		section := htmlreport.Section{{Result: r}}
		if len(c.Without) > 0 {
			recorded, err := c.before(s, whole, []string{r.Name}, nil)
			if err != nil {
				return err
			}
			before, err := sim.Run(whole, r.Name, recorded.under(r.Name, sim.Options{Seed: c.Seed, Context: s.ctx, Timeline: true}))
			if err != nil {
				return err
			}
			section = htmlreport.Section{{Label: "as configured", Result: before}, {Label: "without " + strings.Join(c.Without, ", "), Result: r}}
		}
		sections = append(sections, section)
	}
	return writePage(c.HTML, sections)
}

// drawCompared writes the page of what -compare compares.
func (c *simRunCmd) drawCompared(all []*sim.Comparison) error {
	if c.HTML == "" {
		return nil
	}
	var sections []htmlreport.Section
	for _, compared := range all {
		var section htmlreport.Section
		for k, r := range compared.Results {
			section = append(section, htmlreport.Run{Label: compared.Alternatives[k].Scheduler, Result: r})
		}
		sections = append(sections, section)
	}
	return writePage(c.HTML, sections)
}

func writePage(file string, sections []htmlreport.Section) error {
	var b bytes.Buffer
	err := htmlreport.Write(&b, sections)
	if err == nil {
		err = os.WriteFile(file, b.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("-html: %w", err)
	}
	return nil
}
