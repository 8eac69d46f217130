package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"slbctl/runtime/control"
	"slbctl/runtime/expect"
	"slbctl/runtime/explain"
	"slbctl/runtime/trial"
	"slbctl/spec"
)

// testCmd runs the configuration's tests.
type testCmd struct {
	Names     []string `arg:"" optional:"" name:"name" help:"Run only these."`
	Live      bool     `help:"Send the requests to the running daemon."`
	JSON      bool     `name:"json" help:"Print one JSON document."`
	Junit     string   `name:"junit" placeholder:"FILE" help:"Write a JUnit report, too."`
	Cover     bool     `help:"List the rules that no test has reached."`
	FailUnder float64  `placeholder:"PERCENT" help:"Fail when the tests reach fewer of the rules; implies -cover."`
	variableFlags
}

func (c *testCmd) Run(s *session) error {
	if c.FailUnder < 0 || c.FailUnder > 100 {
		return &usageError{command: "test", detail: fmt.Sprintf("-fail-under=%g is not a percentage from 0 to 100", c.FailUnder)}
	}
	config, err := s.configured(c.variableFlags)
	if err != nil {
		return err
	}
	tests, err := c.chosen(config)
	if err != nil {
		return err
	}
	began := time.Now()
	results, err := c.run(s, config, tests)
	if err != nil {
		return err
	}
	report := &testReport{FormatVersion: trial.FormatVersion, Source: explain.FromConfiguration, Tests: results, took: time.Since(began)}
	if c.Live {
		report.Source = explain.FromRuntime
	}
	if c.Cover || c.FailUnder > 0 {
		cover := trial.Cover(config, results)
		report.Coverage = &cover
	}
	if err := c.write(s, report); err != nil {
		return err
	}
	return c.verdict(report)
}

// chosen are the tests that were named, or all.
func (c *testCmd) chosen(config *spec.Config) ([]*spec.Test, error) {
	var all []string
	for _, t := range config.Tests {
		all = append(all, t.Name)
	}
	for _, name := range c.Names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("test %q is not in the configuration%s", name, didYouMean(name, all))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the configuration has no test block: write test \"NAME\" { request { url = ... } expect { status = ... } }")
	}
	if len(c.Names) == 0 {
		return config.Tests, nil
	}
	return slices.DeleteFunc(slices.Clone(config.Tests), func(t *spec.Test) bool { return !slices.Contains(c.Names, t.Name) }), nil
}

func (c *testCmd) run(s *session, config *spec.Config, tests []*spec.Test) (results []*trial.Result, err error) {
	runner, err := c.runner(s.ctx, config)
	if err != nil {
		return nil, err
	}
	for _, t := range tests {
		if err := context.Cause(s.ctx); err != nil {
			return nil, err
		}
		r, err := runner.Run(t)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

func (c *testCmd) runner(ctx context.Context, config *spec.Config) (*trial.Runner, error) {
	if !c.Live {
		return trial.Offline(config)
	}
	client, err := control.Dial(workingFolder)
	if err != nil {
		return nil, err
	}
	ask := func(q explain.Question) (*explain.Explanation, error) { return client.Explain(ctx, q) }
	return trial.Live(ctx, config, ask), nil
}

func (c *testCmd) write(s *session, r *testReport) (err error) {
	if c.JSON {
		err = writeJSON(s.stdout, r)
	} else {
		_, err = io.WriteString(s.stdout, r.text(s.colorOut))
	}
	if err != nil {
		return err
	}
	return r.junit().write(c.Junit)
}

// verdict is the exit code that the tests deserve.
func (c *testCmd) verdict(r *testReport) error {
	switch worst := r.verdict(); {
	case worst == expect.Fail:
		return outcome(exitFailed)
	case r.Coverage != nil && r.Coverage.Percent < c.FailUnder:
		return outcome(exitFailed)
	case worst == expect.Inconclusive:
		return outcome(exitInconclusive)
	}
	return nil
}

// testReport is `test -json`.
type testReport struct {
	Coverage      *trial.Coverage `json:"coverage"` // null unless it was asked for
	FormatVersion string          `json:"format_version"`
	Source        string          `json:"source"` // as of explain: configuration or runtime
	Tests         []*trial.Result `json:"tests"`

	took time.Duration
}

func (r *testReport) verdict() expect.Verdict {
	worst := expect.Pass
	for _, t := range r.Tests {
		worst = worst.Worse(t.Verdict)
	}
	return worst
}

func (r *testReport) count(v expect.Verdict) (n int) {
	for _, t := range r.Tests {
		if t.Verdict == v {
			n++
		}
	}
	return n
}

// text lists every test, and of those that do not pass what was not met.
func (r *testReport) text(color bool) string {
	var b strings.Builder
	width := 0
	for _, t := range r.Tests {
		width = max(width, utf8.RuneCountInString(t.Name))
	}
	for _, t := range r.Tests {
		mark, code := "ok  ", "\x1b[32m"
		switch t.Verdict {
		case expect.Fail:
			mark, code = "FAIL", "\x1b[31m"
		case expect.Inconclusive:
			mark, code = "?   ", "\x1b[33m"
		}
		if color {
			mark = code + mark + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s  %-*s  %s from %s\n", mark, width, t.Name, strings.TrimSpace(t.Method+" "+t.URL), t.From)
		for _, c := range t.Checks {
			if c.Verdict != expect.Pass {
				b.WriteString("        " + checked(&c) + "\n")
			}
		}
	}
	where := "on the configuration"
	if r.Source == explain.FromRuntime {
		where = "on what runs"
	}
	fmt.Fprintf(&b, "\n%s: %d passed, %d failed, %d inconclusive\n", where, r.count(expect.Pass), r.count(expect.Fail), r.count(expect.Inconclusive))
	if r.Coverage != nil {
		r.coverage(&b)
	}
	return b.String()
}

// checked is a check in a line.
func checked(c *trial.Check) string {
	text := fmt.Sprintf("%s: wanted %s, got %s", c.Name, c.Wanted, c.Observed)
	if c.Observed == "" {
		text = fmt.Sprintf("%s: wanted %s, and nobody can say", c.Name, c.Wanted)
	}
	if c.Detail != "" {
		text += ": " + c.Detail
	}
	return text
}

func (r *testReport) coverage(b *strings.Builder) {
	c := r.Coverage
	if c.Rules == 0 {
		b.WriteString("the configuration has no rules to reach\n")
		return
	}
	fmt.Fprintf(b, "%d of %d rules reached, %s%%\n", c.Reached, c.Rules, strconv.FormatFloat(c.Percent, 'f', 1, 64))
	for _, address := range c.Unreached {
		b.WriteString("  never: " + address + "\n")
	}
}
