package spec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TestBothSyntaxes writes every configuration of testdata in HCL's JSON syntax too: a
// good one gives the same Config, a bad one is refused for the same reasons, each of
// them at a place in the file.
func TestBothSyntaxes(t *testing.T) {
	files, err := filepath.Glob("../testdata/*/*.slb.hcl")
	if err != nil || len(files) < 100 {
		t.Fatal(len(files), err)
	}
	same := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".slb.hcl")
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			inJSON, ok := toJSON(t, src)
			if !ok {
				return // it is about the native syntax
			}
			want, wantDiags := loadAs(t, name, "a.slb.hcl", src)
			got, diags := loadAs(t, name, "a.slb.json", inJSON)
			if diff := cmp.Diff(want, got, exact, cmpopts.IgnoreUnexported(Certificate{})); diff != "" {
				t.Errorf("-hcl +json:\n%s", diff)
			}
			diff := cmp.Diff(summariesOf(wantDiags), summariesOf(diags))
			if own := slices.Contains(native, name); own != (diff != "") {
				t.Errorf("-hcl +json:\n%s\n%s\n%s", diff, inJSON, render(diags))
			}
			for _, d := range diags {
				if d.Range != nil && filepath.Dir(d.Range.Filename) == name {
					continue // in the folder of a module
				}
				if problem := misplaced(d, "a.slb.json", string(inJSON)); problem != "" {
					t.Errorf("%s\n%s", problem, render(Diagnostics{d}))
				}
			}
			if want != nil {
				same++
			}
		})
	}
	t.Logf("%d configurations are the same in both syntaxes", same)
}

func loadAs(t *testing.T, example, name string, src []byte) (*Config, Diagnostics) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), src, 0o600); err != nil {
		t.Fatal(err)
	}
	withModules(t, example, dir)
	return Load(dir, Options{Now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)})
}

// native are files of testdata/bad about something that only the native syntax has, or
// that the JSON syntax says in other words: an argument that is no block, a label too
// few, a number where a name is read, two blocks of one list that lack the same.
var native = []string{
	"argument-as-block", "block-as-argument", "product-names", "extra-label", "missing-label", "missing-inner-label", "ignore-changes",
	"moved-incomplete", "module-arguments",
}

// summariesOf lists what is reported, as often as it is. The syntaxes do not tell apart
// in the same way whether a name should have been an argument or a block.
func summariesOf(diags Diagnostics) []string {
	var out []string
	for _, d := range diags {
		summary := d.Summary
		if summary == "Unsupported argument" || summary == "Unsupported block" {
			summary = "Unsupported name"
		}
		out = append(out, d.Severity+": "+summary)
	}
	slices.Sort(out)
	return out
}

// toJSON writes a file in the JSON syntax, if it can be read at all.
func toJSON(t *testing.T, src []byte) ([]byte, bool) {
	t.Helper()
	if _, limit := scan(src); limit != nil {
		return nil, false
	}
	file, diags := hclsyntax.ParseConfig(src, "", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, false
	}
	out, err := json.MarshalIndent(bodyToJSON(src, file.Body.(*hclsyntax.Body)), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return out, true
}

func bodyToJSON(src []byte, body *hclsyntax.Body) map[string]any {
	out := map[string]any{}
	for name, a := range body.Attributes {
		out[name] = expressionToJSON(src, a.Expr, static[name])
	}
	for _, b := range body.Blocks {
		var inner any = bodyToJSON(src, b.Body)
		for _, label := range slices.Backward(b.Labels) {
			inner = map[string]any{label: inner}
		}
		list, _ := out[b.Type].([]any)
		out[b.Type] = append(list, inner)
	}
	return out
}

// static are the arguments that are read rather than evaluated: the JSON syntax has
// their source itself.
var static = map[string]bool{"type": true, "from": true, "to": true, "ignore_changes": true}

func expressionToJSON(src []byte, expr hclsyntax.Expression, static bool) any {
	if list, ok := expr.(*hclsyntax.TupleConsExpr); ok {
		out := []any{}
		for _, e := range list.Exprs {
			out = append(out, expressionToJSON(src, e, static))
		}
		return out
	}
	source := string(expr.Range().SliceBytes(src))
	if _, quoted := expr.(*hclsyntax.TemplateExpr); static && !quoted {
		return source
	}
	if strings.HasPrefix(source, "<<") {
		source += "\n" // that ends the text
	}
	return "${" + source + "}"
}
