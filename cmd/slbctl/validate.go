package main

import (
	"errors"

	"slbctl/planner"
	"slbctl/spec"
)

// validateCmd reports every mistake and starts nothing.
type validateCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
	variableFlags
}

func (c *validateCmd) Run(s *session) error {
	_, diags, err := load(c.variableFlags, nil)
	var mistakes spec.Diagnostics
	if err != nil && !errors.As(err, &mistakes) {
		return err
	}
	if c.JSON {
		if err := writeJSON(s.stdout, validation(diags)); err != nil {
			return err
		}
		if err != nil {
			return outcome(exitError)
		}
		return nil
	}
	if err != nil {
		return err
	}
	s.warn(diags)
	_, err = s.stdout.Write([]byte("The configuration is valid.\n"))
	return err
}

// validationDocument is validate -json, with Terraform's keys.
type validationDocument struct {
	Diagnostics   spec.Diagnostics `json:"diagnostics"`
	ErrorCount    int              `json:"error_count"`
	FormatVersion string           `json:"format_version"`
	Valid         bool             `json:"valid"`
	WarningCount  int              `json:"warning_count"`
}

func validation(diags spec.Diagnostics) validationDocument {
	doc := validationDocument{Diagnostics: diags, FormatVersion: planner.FormatVersion, Valid: !diags.HasErrors()}
	if diags == nil {
		doc.Diagnostics = spec.Diagnostics{}
	}
	for _, d := range diags {
		if d.Severity == spec.SeverityError {
			doc.ErrorCount++
		} else {
			doc.WarningCount++
		}
	}
	return doc
}
