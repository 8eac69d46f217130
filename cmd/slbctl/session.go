package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"slbctl/planner"
	"slbctl/spec"
)

// session is what a command works with: streams, the global flags, and the
// working folder, which is always the current one.
type session struct {
	ctx       context.Context
	stdin     io.Reader
	stdout    io.Writer // results
	stderr    io.Writer // progress, warnings, questions, errors
	command   string
	statePath string
	ask       bool // there is somebody to ask
	colorOut  bool // of stdout
	colorErr  bool // of stderr
	live      bool // stderr is a terminal on which a line can be written anew
	width     int  // columns of the terminal; 0 = there is none, and lines stay whole
}

func newSession(ctx context.Context) *session {
	return &session{
		ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		ask:      term.IsTerminal(int(os.Stdin.Fd())),
		colorOut: wantColor(os.Stdout, os.Getenv), colorErr: wantColor(os.Stderr, os.Getenv),
		live:  os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stderr.Fd())),
		width: columns(os.Stdout, os.Stderr),
	}
}

// adopt takes over the global flags and the command's name.
func (s *session) adopt(g *grammar, command string) {
	s.command = command
	s.statePath = g.State
	s.ask = s.ask && g.Input
	s.colorOut = s.colorOut && !g.NoColor
	s.colorErr = s.colorErr && !g.NoColor
}

// wantColor says whether a stream gets colours: only a terminal that can show
// them, and not against the user's will (https://no-color.org).
func wantColor(f *os.File, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// columns is the width of the first of the files that is a terminal, else 0.
func columns(files ...*os.File) int {
	for _, f := range files {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 0
}

// explain tells the user what went wrong, in the shape that mistakes in the
// configuration have.
func (s *session) explain(err error) {
	var end outcome
	if errors.As(err, &end) {
		return
	}
	var diags spec.Diagnostics
	if !errors.As(err, &diags) {
		diags = spec.Diagnostics{s.diagnostic(err)}
	}
	if err := diags.WriteText(s.stderr, s.colorErr, s.width); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// diagnostic is an error as one box.
func (s *session) diagnostic(err error) spec.Diagnostic {
	d := spec.Diagnostic{Severity: spec.SeverityError, Detail: sentence(err.Error())}
	var broken *planner.ExpectationError
	if errors.As(err, &broken) {
		d.Summary = "Expectations not kept"
		return d
	}
	switch codeOf(err) {
	case exitUsage:
		d.Summary = "Wrong usage"
		command := "slbctl"
		var usage *usageError
		if errors.As(err, &usage) && usage.command != "" {
			command += " " + usage.command
		}
		d.Hint = "Run `" + command + " -help` for what there is."
	case exitFailed:
		d.Summary = "Verification failed"
	case exitLocked:
		d.Summary = "State is locked"
	case exitStale:
		d.Summary = "Plan is stale"
	case exitInterrupted:
		d.Summary = "Interrupted"
	default:
		d.Summary = strings.TrimSpace("slbctl "+s.command) + " failed"
	}
	return d
}

// sentence ends an error's text as prose does, unless it ends in something to copy.
func sentence(text string) string {
	if text == "" || strings.ContainsAny(text[len(text)-1:], ".?!:`'\"/") || strings.Contains(text, "\n") {
		return text
	}
	return text + "."
}

// warn tells about something that is no error.
func (s *session) warn(diags spec.Diagnostics) {
	var warnings spec.Diagnostics
	for _, d := range diags {
		if d.Severity == spec.SeverityWarning {
			warnings = append(warnings, d)
		}
	}
	_ = warnings.WriteText(s.stderr, s.colorErr, s.width) // stderr is gone if this fails
}

// note is a line of progress.
func (s *session) note(format string, args ...any) {
	fmt.Fprintf(s.stderr, format+"\n", args...)
}
