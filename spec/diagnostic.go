package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The severities of a Diagnostic.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Diagnostic is one thing to say about a configuration, at its place in the
// source. The JSON keys are those of Terraform's validate, with hint beside them.
type Diagnostic struct {
	Severity string   `json:"severity"`
	Summary  string   `json:"summary"`
	Detail   string   `json:"detail"`
	Hint     string   `json:"hint,omitempty"` // what to write instead
	Range    *Range   `json:"range,omitempty"`
	Snippet  *Snippet `json:"snippet,omitempty"`
}

// Range is a part of a file; its name is relative to the folder that was loaded.
type Range struct {
	Filename string `json:"filename"`
	Start    Pos    `json:"start"`
	End      Pos    `json:"end"`
}

// Pos counts lines and columns from 1, columns in characters and bytes from 0.
type Pos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// Snippet is the source line of a Range.
type Snippet struct {
	Context              *string `json:"context"` // the block it is in: load_balancer "SLB1"
	Code                 string  `json:"code"`
	StartLine            int     `json:"start_line"`
	HighlightStartOffset int     `json:"highlight_start_offset"` // bytes into Code
	HighlightEndOffset   int     `json:"highlight_end_offset"`
	Values               []Value `json:"values"`
}

// Value is what a reference in the snippet stood for. Sensitive ones are left out.
type Value struct {
	Traversal string `json:"traversal"`
	Statement string `json:"statement"`
}

// Diagnostics is everything that is to be said about a configuration.
type Diagnostics []Diagnostic

// HasErrors reports whether any of them is an error.
func (d Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(d, func(x Diagnostic) bool { return x.Severity == SeverityError })
}

// Error makes diagnostics usable as an error: the first one and how many there are.
func (d Diagnostics) Error() string {
	for _, x := range d {
		if x.Severity == SeverityError {
			if x.Range == nil {
				return x.Summary + ": " + x.Detail
			}
			return x.Range.Filename + ": " + x.Summary + ": " + x.Detail
		}
	}
	return "no errors"
}

// reports collects diagnostics, from several goroutines while files are parsed.
type reports struct {
	mu      sync.Mutex
	list    []Diagnostic
	sources map[string][]byte
	places  map[string][]place // a file's top-level blocks, in order
	secret  []hcl.Range        // places whose source line must not be shown
	spans   map[string][][2]int
	errors  int
}

func newReports() *reports {
	return &reports{sources: map[string][]byte{}, places: map[string][]place{}, spans: map[string][][2]int{}}
}

// place is where a top-level block begins and ends, in bytes.
type place struct {
	kind       string
	labels     []string
	begin, end int
}

func (r *reports) place(file string, block *hcl.Block, end int) {
	r.places[file] = append(r.places[file], place{block.Type, block.Labels, block.DefRange.Start.Byte, end})
}

// hide keeps the source of a secret out of every snippet.
func (r *reports) hide(a *hcl.Attribute) {
	if a != nil {
		r.secret = append(r.secret, a.Range)
	}
}

// maxReports bounds what a broken configuration of thousands of resources says.
const maxReports = 1000

func (r *reports) add(d Diagnostic, rng *hcl.Range, values []Value) {
	if strings.Contains(d.Detail, keyMark) {
		d.Detail = "Why is not shown: a private key stands in it."
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.Severity == SeverityError {
		r.errors++
	}
	if len(r.list) >= maxReports {
		return
	}
	if rng != nil {
		rng := r.within(*rng)
		d.Range = &Range{rng.Filename, Pos(rng.Start), Pos(rng.End)}
		d.Snippet = r.snippet(rng)
		if d.Snippet != nil {
			d.Snippet.Values = append(d.Snippet.Values, values...)
		}
	}
	r.list = append(r.list, d)
}

// within cuts a place to what its file has: the JSON parser points behind the end for
// what is missing there.
func (r *reports) within(rng hcl.Range) hcl.Range {
	src, known := r.sources[rng.Filename]
	if !known {
		return rng
	}
	for _, p := range []*hcl.Pos{&rng.Start, &rng.End} {
		if over := p.Byte - len(src); over > 0 {
			p.Byte -= over
			p.Column = max(1, p.Column-over)
		}
	}
	return rng
}

// source makes a file's text known, while another may be parsed already.
func (r *reports) source(name string, src []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sources[name] = src
}

func (r *reports) error(rng hcl.Range, summary, detail, hint string) {
	r.add(Diagnostic{Severity: SeverityError, Summary: summary, Detail: detail, Hint: hint}, &rng, nil)
}

func (r *reports) warn(rng hcl.Range, summary, detail, hint string) {
	r.add(Diagnostic{Severity: SeverityWarning, Summary: summary, Detail: detail, Hint: hint}, &rng, nil)
}

// general reports what has no place in a file.
func (r *reports) general(summary, detail, hint string) {
	r.add(Diagnostic{Severity: SeverityError, Summary: summary, Detail: detail, Hint: hint}, nil, nil)
}

// hcl takes over what the parser or an expression reported.
func (r *reports) hcl(diags hcl.Diagnostics) {
	for _, d := range diags {
		out := Diagnostic{Severity: SeverityError, Summary: d.Summary, Detail: d.Detail, Hint: syntaxAdvice(d)}
		if d.Severity == hcl.DiagWarning {
			out.Severity = SeverityWarning
		}
		if call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d); ok && usesSecret(d) {
			out.Detail = fmt.Sprintf("Call to function %q failed. Why is not shown: it was called with a sensitive value.", call.CalledFunctionName())
		}
		r.add(out, d.Subject, valuesOf(d))
	}
}

// syntaxAdvice shows how to write what the parser only says cannot be written so:
// blocks in a line are the first thing that newcomers to the language try.
func syntaxAdvice(d *hcl.Diagnostic) string {
	switch d.Summary {
	case "Argument definition required":
		return "Put each inner block on a line of its own, and the closing brace of the outer one below."
	case "Invalid single-argument block definition":
		return "Put each argument on a line of its own, without commas, and the closing brace below."
	}
	return ""
}

func (r *reports) failed() bool { return r.count() > 0 }

// count is how many errors there are so far.
func (r *reports) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errors
}

// sorted gives them in the order of the source, each once: a block with count
// says the same for each of its instances.
func (r *reports) sorted() Diagnostics {
	list := slices.Clone(r.list)
	slices.SortStableFunc(list, func(a, b Diagnostic) int {
		ra, rb := a.Range, b.Range
		switch {
		case ra == nil && rb == nil:
			return 0
		case ra == nil:
			return -1
		case rb == nil:
			return 1
		}
		return cmp.Or(cmp.Compare(ra.Filename, rb.Filename), cmp.Compare(ra.Start.Byte, rb.Start.Byte))
	})
	type identity struct {
		place           Range
		summary, detail string
	}
	seen := map[identity]bool{}
	return slices.DeleteFunc(list, func(d Diagnostic) bool {
		if d.Range == nil {
			return false
		}
		id := identity{*d.Range, d.Summary, d.Detail}
		again := seen[id]
		seen[id] = true
		return again
	})
}
