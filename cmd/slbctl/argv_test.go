package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testParser(t *testing.T) (*session, func(args, environ []string) ([]string, error)) {
	t.Helper()
	s := &session{ctx: context.Background(), stdout: io.Discard, stderr: io.Discard}
	k, _, err := newParser(s)
	if err != nil {
		t.Fatal(err)
	}
	return s, func(args, environ []string) ([]string, error) { return commandLine(k.Model.Node, args, environ) }
}

func TestCommandLine(t *testing.T) {
	_, normalise := testParser(t)
	for _, tt := range []struct {
		args    string
		environ []string
		want    string
	}{
		{args: "plan -out=x -detailed-exitcode", want: "plan --out=x --detailed-exitcode"},
		{args: "plan -out x --json", want: "plan --out x --json"},
		{args: "plan -h", want: "plan -h"},
		{args: "plan -help", want: "plan --help"},
		{args: "fmt -", want: "fmt -"},
		{args: "fmt -- -out", want: "fmt -- -out"},
		{args: "-chdir=d plan -refresh=false", want: "--chdir=d plan --refresh=false"},
		{args: "plan -autoaprove", want: "plan --autoaprove"},
		{args: "sim -seed -5", want: "sim --seed=-5"},
		{args: "plan --lock-timeout -1s -json", want: "plan --lock-timeout=-1s --json"},
		{args: "sim -seed=1 -5", want: "sim --seed=1 -5"},
		{args: "sim -5", want: "sim -5"},
		{args: "sim -- -seed -5", want: "sim -- -seed -5"},
		{args: "-version", want: "version"},
		{args: "--version", want: "version"},
		{args: "", want: ""},

		{args: "plan -json", environ: []string{"SLBCTL_CLI_ARGS=-no-color"}, want: "plan --no-color --json"},
		{args: "plan -json", environ: []string{"SLBCTL_CLI_ARGS_plan=-out=x", "SLBCTL_CLI_ARGS=-no-color"}, want: "plan --no-color --out=x --json"},
		{args: "apply p", environ: []string{"SLBCTL_CLI_ARGS_plan=-out=x"}, want: "apply p"},
		{args: "-chdir d state list a", environ: []string{"SLBCTL_CLI_ARGS_state_list=-json"}, want: "--chdir d state list --json a"},
		{args: "state list a", environ: []string{"SLBCTL_CLI_ARGS_state=-json"}, want: "state list a"},
		{args: "-chdir plan apply", environ: []string{"SLBCTL_CLI_ARGS_apply=-json"}, want: "--chdir plan apply --json"},
		{args: "-no-color plan", environ: []string{"SLBCTL_CLI_ARGS_plan=-json"}, want: "--no-color plan --json"},
		{args: "-help", environ: []string{"SLBCTL_CLI_ARGS=-json"}, want: "--help"},
		{args: "runtime run", environ: []string{"SLBCTL_CLI_ARGS=-auto-approve"}, want: "runtime run"},
		{args: "runtime instances", environ: []string{"SLBCTL_CLI_ARGS=-auto-approve"}, want: "runtime instances"},
		{args: "runtime status", environ: []string{"SLBCTL_CLI_ARGS=-json"}, want: "runtime status --json"},
	} {
		got, err := normalise(strings.Fields(tt.args), tt.environ)
		if err != nil || !slices.Equal(got, strings.Fields(tt.want)) {
			t.Errorf("%s with %q: %q, %v; want %q", tt.args, tt.environ, got, err, tt.want)
		}
	}
}

func TestCommandLineRefusesBrokenQuotes(t *testing.T) {
	_, normalise := testParser(t)
	_, err := normalise([]string{"plan"}, []string{"SLBCTL_CLI_ARGS_plan=-var 'a=b"})
	if err == nil || !strings.Contains(err.Error(), "SLBCTL_CLI_ARGS_plan") {
		t.Errorf("got %v, want an error that names the variable", err)
	}
}

func TestSplitWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                          nil,
		"  ":                        nil,
		" a  b ":                    {"a", "b"},
		`-var 'a=[1, 2]' -x`:        {"-var", "a=[1, 2]", "-x"},
		`-target "x[\"a b\"]"`:      {"-target", `x["a b"]`},
		`'' ""`:                     {"", ""},
		`a\ b`:                      {"a b"},
		`'a\b'`:                     {`a\b`},
		"a\tb\nc":                   {"a", "b", "c"},
		`x'y'"z"`:                   {"xyz"},
		`-target 'instance.w["a"]'`: {"-target", `instance.w["a"]`},
	} {
		got, err := splitWords(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("splitWords(%q): %v\n%s", text, err, diff)
		}
	}
	for _, text := range []string{`"a`, `a\`} {
		if got, err := splitWords(text); err == nil {
			t.Errorf("splitWords(%q) = %q, want an error", text, got)
		}
	}
}

// TestEveryLongFlag proves that one dash is as good as two for each flag there is.
func TestEveryLongFlag(t *testing.T) {
	s, normalise := testParser(t)
	k, _, err := newParser(s)
	if err != nil {
		t.Fatal(err)
	}
	flags := 0
	for _, leaf := range k.Model.Leaves(false) {
		for _, group := range leaf.AllFlags(false) {
			for _, f := range group {
				flags++
				args := append(strings.Fields(leaf.Path()), "-"+f.Name)
				for i, a := range args {
					if strings.HasPrefix(a, "<") || strings.HasPrefix(a, "[") {
						args = append(args[:i:i], "-"+f.Name)
						break
					}
				}
				got, err := normalise(args, nil)
				want := "--" + f.Name
				if len(f.Name) == 1 { // short by nature, which kong takes as it is
					want = "-" + f.Name
				}
				if err != nil || got[len(got)-1] != want {
					t.Errorf("%q became %q, %v", args, got, err)
				}
			}
		}
	}
	if flags < 60 {
		t.Errorf("the model showed only %d flags", flags)
	}
}
