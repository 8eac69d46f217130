package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"slbctl/planner"
	"slbctl/sim"
	"slbctl/spec"
)

func TestExplain(t *testing.T) {
	mistakes := spec.Diagnostics{{Severity: spec.SeverityError, Summary: "Wrong type", Detail: "zone must be a string."}}
	for _, tt := range []struct {
		err  error
		want string // every line of it
	}{
		{outcome(exitChanges), ""},
		{errors.Join(outcome(exitFailed), nil), ""},
		{mistakes, "Error: Wrong type|zone must be a string."},
		{errors.New("output x: it is not there"), "Error: slbctl output failed|output x: it is not there."},
		{errors.New("run `slbctl init`"), "run `slbctl init`"},
		{&usageError{detail: "unknown flag -x"}, "Error: Wrong usage|unknown flag -x.|Run `slbctl -help`"},
		{&usageError{detail: "unknown flag -x", command: "state list"}, "Run `slbctl state list -help`"},
		{&planner.StaleError{Moved: []string{"the state"}}, "Error: Plan is stale"},
		{&planner.VerifyError{Problems: []string{"a", "b"}}, "Error: Verification failed|  a|  b"},
		{&planner.VerifyError{Problems: []string{"a"}, Live: 3}, "rolled back, generation 3 runs, as before: a."},
		{&planner.ExpectationError{Broken: []sim.Promise{{Name: "even", Wanted: "50%", Detail: "75%", Verdict: sim.Fail}}},
			"Error: Expectations not kept|expect \"even\": wanted 50%, but it would be 75%"},
		{errInterrupted, "Error: Interrupted"},
	} {
		var out bytes.Buffer
		s := &session{stderr: &out, command: "output"}
		s.explain(tt.err)
		if tt.want == "" && out.Len() > 0 {
			t.Errorf("%v: said\n%s", tt.err, &out)
		}
		for _, line := range strings.Split(tt.want, "|") {
			if !strings.Contains(out.String(), line) {
				t.Errorf("%v: no %q in\n%s", tt.err, line, &out)
			}
		}
	}
}

func TestWantColor(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	none := func(string) string { return "" }
	if wantColor(file, none) {
		t.Error("a file is given colours")
	}
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no terminal can be made here")
	}
	defer tty.Close()
	if !wantColor(tty, none) {
		t.Error("a terminal is not given colours")
	}
	for _, against := range []string{"NO_COLOR=1", "TERM=dumb"} {
		name, value, _ := strings.Cut(against, "=")
		getenv := func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		}
		if wantColor(tty, getenv) {
			t.Errorf("a terminal is given colours against %s", against)
		}
	}
}

func TestRawText(t *testing.T) {
	for want, v := range map[string]any{"x y": "x y", "true": true, "80": 80.0, "0.5": 0.5, "1000000000000": 1e12} {
		if got, err := rawText(v); err != nil || got != want {
			t.Errorf("rawText(%v) = %q, %v; want %q", v, got, err, want)
		}
	}
	for _, v := range []any{nil, []any{"a"}, map[string]any{}} {
		if got, err := rawText(v); err == nil {
			t.Errorf("rawText(%v) = %q, want an error", v, got)
		}
	}
}

func TestWarningLine(t *testing.T) {
	d := spec.Diagnostic{Summary: "One zone", Detail: "All backends are in b.", Range: &spec.Range{Filename: "a.slb.hcl", Start: spec.Pos{Line: 3}}}
	if got, want := warningLine(d), "One zone: All backends are in b. (a.slb.hcl line 3)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNewLog(t *testing.T) {
	for _, level := range []string{"", "debug", "INFO", "warn", "error"} {
		if _, err := newLog(os.Stderr, level); err != nil {
			t.Errorf("level %q: %v", level, err)
		}
	}
	if _, err := newLog(os.Stderr, "loud"); err == nil || !strings.Contains(err.Error(), "SLBCTL_LOG") {
		t.Errorf("level loud: %v", err)
	}
}
