package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestChecklist holds testdata/product/checklist.txt to what there is: every feature of
// the product has a line, in order, and every piece of evidence exists.
func TestChecklist(t *testing.T) {
	const root, features = "../..", 150
	readme := strings.Join(strings.Fields(read(t, filepath.Join(root, "README.md"))), " ")
	tests := map[string]map[string]bool{} // of a package, by name
	n := 0
	for line := range strings.Lines(read(t, filepath.Join(root, "testdata/product/checklist.txt"))) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		n++
		cells := strings.SplitN(line, " | ", 3)
		if len(cells) != 3 || cells[0] != strconv.Itoa(n) || cells[1] == "" {
			t.Fatalf("%q is not row %d: number | feature | evidence", line, n)
		}
		for _, e := range strings.Split(cells[2], "; ") {
			word, rest, _ := strings.Cut(e, " ")
			kind, name, _ := strings.Cut(e, "/")
			switch {
			case strings.TrimRight(word, ",") == "later" && rest != "":
			case word == "readme":
				if text, err := strconv.Unquote(rest); err != nil || !strings.Contains(readme, text) {
					t.Errorf("row %d: README does not say %s", n, rest)
				}
			case kind == "script":
				exists(t, n, filepath.Join(root, "testdata/script", name+".txtar"))
			case kind == "bad":
				exists(t, n, filepath.Join(root, "testdata/bad", name+".golden"))
			default:
				at, test, _ := strings.Cut(e, ".")
				if tests[at] == nil {
					tests[at] = testsOf(t, filepath.Join(root, at))
				}
				if !tests[at][test] {
					t.Errorf("row %d: package %s has no %s", n, at, test)
				}
			}
		}
	}
	if n != features {
		t.Errorf("%d rows, want %d", n, features)
	}
}

func exists(t *testing.T, row int, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("row %d: %v", row, err)
	}
}

// testsOf lists the tests of a folder's package.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}
