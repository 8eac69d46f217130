package spec

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

const badDir = "../testdata/bad"

// TestBad loads each file of testdata/bad as a configuration of its own and
// compares what it says with the .golden file beside it.
func TestBad(t *testing.T) {
	files, err := filepath.Glob(badDir + "/*.slb.*")
	if err != nil || len(files) < 60 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), src, 0o600); err != nil {
				t.Fatal(err)
			}
			withModules(t, name, dir)
			_, diags := Load(dir, Options{Now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)})
			if warning := strings.HasPrefix(name, "warn-"); diags.HasErrors() == warning || len(diags) == 0 {
				t.Errorf("errors: %v, want %v", diags.HasErrors(), !warning)
			}
			for _, d := range diags {
				if d.Range == nil {
					t.Errorf("%q has no place", d.Summary)
				}
			}
			got := []byte(render(diags))
			if bytes.Contains(got, []byte("hunter2")) {
				t.Error("a secret is shown")
			}
			golden := filepath.Join(badDir, name+".golden")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// withModules puts the folder that a bad file has beside it into its configuration's.
func withModules(t *testing.T, name, dir string) {
	t.Helper()
	modules := filepath.Join(badDir, name)
	if _, err := os.Stat(modules); err != nil {
		return // most have none
	}
	if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(modules)); err != nil {
		t.Fatal(err)
	}
}

// elsewhere lists summaries that no file alone can cause; other tests do.
var elsewhere = []string{
	"Internal error", "Unreadable folder", "No configuration", "Unreadable file", "File too large",
	"Invalid -var", "Value too long", "Unreadable variable file", "Invalid port offset", "Reference chain too long",
	"No such variable", "Modules nested too deeply", "Too many module folders", "Too many modules",
}

// TestEveryDiagnosticHasABadFile reads this package's source for the summaries
// that it can report, and looks for each of them in the golden files.
func TestEveryDiagnosticHasABadFile(t *testing.T) {
	goldens, err := filepath.Glob(badDir + "/*.golden")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, g := range goldens {
		text, err := os.ReadFile(g)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, summary := range summaries(t) {
		if !strings.Contains(all.String(), ": "+summary+"\n") && !slices.Contains(elsewhere, summary) {
			t.Errorf("no file of testdata/bad causes %q", summary)
		}
	}
}

// summaries finds the constant summaries in calls of the reporting functions.
func summaries(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	argument := map[string]int{"errorf": 1, "error": 1, "warn": 1, "general": 0, "limit": 0}
	var out []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			i, ok := argument[method.Sel.Name]
			if !ok || i >= len(call.Args) {
				return true
			}
			if text, ok := call.Args[i].(*ast.BasicLit); ok && text.Kind == token.STRING {
				if s, err := strconv.Unquote(text.Value); err == nil {
					out = append(out, s)
				}
			}
			return true
		})
	}
	if len(out) < 50 {
		t.Fatalf("only %d summaries found", len(out))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
