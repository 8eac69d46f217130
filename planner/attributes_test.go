package planner_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slbctl/planner"
	"slbctl/spec"
)

// TestSecondPlanIsEmpty applies the configuration that has every block, changes each
// attribute, applies that and goes back: after every apply, the plan of the same files has
// nothing to do. A new attribute is in the examples, so here too.
func TestSecondPlanIsEmpty(t *testing.T) {
	var examples map[string]struct{ Replace [][2]string }
	data, err := os.ReadFile("../testdata/attributes/examples.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &examples); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../testdata/attributes/base.slb.hcl")
	if err != nil {
		t.Fatal(err)
	}
	base, w := string(source), newWorld()
	w.settles(t, "at first", base)
	for id, example := range examples {
		t.Run(id, func(t *testing.T) {
			changed := base
			for _, r := range example.Replace {
				changed = strings.Replace(changed, r[0], r[1], 1)
			}
			w.settles(t, "set", changed)
			w.settles(t, "unset", base)
		})
	}
}

// settles applies a configuration and plans it again.
func (w *world) settles(t *testing.T, when, source string) {
	t.Helper()
	in := w.input(t, w.load(t, source))
	in.IgnoreExpectations = true // an example may break them
	w.apply(t, in)
	again := mustMake(t, w.input(t, w.load(t, source)))
	if again.HasChanges() {
		var text strings.Builder
		if err := again.WriteText(&text, planner.Style{}); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s: the second plan is not empty:\n%s", when, text.String())
	}
}

// load reads a configuration beside the files that it refers to, with what is recorded.
func (w *world) load(t *testing.T, source string) *spec.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../testdata/certificates")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"main.slb.hcl": source, "page.txt": "from a file"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, found := spec.Load(dir, spec.Options{Recorded: w.recorded(t).Recorded()})
	if found.HasErrors() {
		t.Fatalf("%v\nin:\n%s", found, source)
	}
	return c
}
