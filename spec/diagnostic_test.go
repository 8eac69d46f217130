package spec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The keys are those that tools know from Terraform.
func TestDiagnosticJSON(t *testing.T) {
	_, diags := load(t, "variable \"n\" { default = \"x\" }\ninstance \"a\" {\n  zone = var.n + 1\n}\n")
	got, err := json.MarshalIndent(diags, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := `[
  {
    "severity": "error",
    "summary": "Invalid operand",
    "detail": "Unsuitable value for left operand: a number is required.",
    "range": {
      "filename": "main.slb.hcl",
      "start": {
        "line": 3,
        "column": 10,
        "byte": 55
      },
      "end": {
        "line": 3,
        "column": 15,
        "byte": 60
      }
    },
    "snippet": {
      "context": "instance \"a\"",
      "code": "  zone = var.n + 1",
      "start_line": 3,
      "highlight_start_offset": 9,
      "highlight_end_offset": 14,
      "values": [
        {
          "traversal": "var.n",
          "statement": "is \"x\""
        }
      ]
    }
  }
]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWriteText(t *testing.T) {
	code := "\tname = \"é\" # note"
	diags := Diagnostics{{
		Severity: SeverityWarning, Summary: "Summary", Detail: "A detail that is too long for one line.", Hint: "A hint.",
		Range:   &Range{Filename: "a.slb.hcl", Start: Pos{Line: 3, Column: 9}},
		Snippet: &Snippet{Code: code, StartLine: 3, HighlightStartOffset: 8, HighlightEndOffset: 12},
	}}
	var plain, colored strings.Builder
	if err := diags.WriteText(&plain, false, 30); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"╷", "│ Warning: Summary", "│", "│   on a.slb.hcl line 3, column 9:", "│    3: \tname = \"é\" # note", "│       \t       ^^^",
		"│", "│ A detail that is too long", "│ for one line.", "│", "│ A hint.", "╵", "",
	}, "\n")
	if diff := cmp.Diff(want, plain.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := diags.WriteText(&colored, true, 30); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(colored.String(), yellow) || !strings.Contains(colored.String(), underline+`"é"`+plainText) {
		t.Errorf("no colour in %q", colored.String())
	}
}

// One mistake in a block with count is one message.
func TestCountedMistakeIsReportedOnce(t *testing.T) {
	_, diags := load(t, "instance \"a\" {\n count = 500\n ports = [0]\n zone = \"x\" + 1\n}\n")
	if len(diags) != 2 {
		t.Errorf("%d diagnostics:\n%s", len(diags), render(diags[:min(5, len(diags))]))
	}
}

func TestFormat(t *testing.T) {
	got, diags := Format("a.slb.hcl", []byte("# about a\ninstance \"a\" {\nzone=\"z\" # here\n  ports   = [80,81]\n}\n"))
	want := "# about a\ninstance \"a\" {\n  zone  = \"z\" # here\n  ports = [80, 81]\n}\n"
	if len(diags) > 0 || string(got) != want {
		t.Errorf("%s%s", got, render(diags))
	}
	again, _ := Format("a.slb.hcl", got)
	if string(again) != want {
		t.Errorf("not stable: %s", again)
	}
	for _, bad := range []string{"a = [", strings.Repeat("[", 200), "\xff", strings.Repeat(" ", maxFileSize+1)} {
		if out, diags := Format("a.slb.hcl", []byte(bad)); out != nil || !diags.HasErrors() {
			t.Errorf("%.20q is formatted", bad)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"scheduler", "status", "drain", "wrr", "rr"}
	for name, want := range map[string]string{
		"schedular": `Did you mean "scheduler"?`, "Status": `Did you mean "status"?`, "wr": `Did you mean "wrr"?`, "colour": "", "": "",
	} {
		if got := didYouMean(name, names); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
