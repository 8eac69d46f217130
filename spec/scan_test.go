package spec

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// bracketsOfLexer gives the offsets of the brackets that the real lexer takes for
// code, not for text.
func bracketsOfLexer(src []byte) []int {
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	var out []int
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenCBrace, hclsyntax.TokenOBrack, hclsyntax.TokenCBrack,
			hclsyntax.TokenOParen, hclsyntax.TokenCParen:
			out = append(out, t.Range.Start.Byte)
		case hclsyntax.TokenTemplateSeqEnd:
			out = append(out, t.Range.End.Byte-1)
		}
	}
	return out
}

func bracketsOfScanner(src []byte) (out []int, refused bool) {
	s := &scanner{src: src, line: 1, begin: hcl.InitialPos}
	for s.pos < len(src) {
		code := len(s.modes) == 0 || s.modes[len(s.modes)-1].kind == 's'
		if code && strings.IndexByte("{}[]()", src[s.pos]) >= 0 {
			out = append(out, s.pos)
		}
		if s.step() != nil {
			return out, true
		}
	}
	return out, false
}

var scanSeeds = []string{
	"a = 1\n", "a = \"x${b}y\"\n", "a = \"$${b}$$${c}\"\n", "a = \"%%{if}\"\n", "a = \"\\${[\"\n", "a = \"\\\\${b}\"\n",
	"a = <<EOT\nx ${y}\n  EOT\nb = [1]\n", "a = <<-EOT\n%{ if x }[%{ endif }\nEOT\n", "a = \"${ \"${ {} }\" }\"\n",
	"# [\n// {\n/* ( */ a = (1)\n", "a = b[*].c\n", "x \"y\" {\n}\n", "a = \"${[}\"]\"\n", "a = \"$\"\n[", "a = \"%\"\n[",
	"a = <<A\n$\nA\n[", "a = \"x\n[\"", "a = '[\n]", "a = 5 /* [", "\xef\xbb\xbfa = [1]\n", "a = \"~}\" ~} [", "a = \"${~ b ~}[\"\n",
	"a = <<<A\n[\nA\n", "a = <<A B\n[\nA\n", "a = <<A\n\"${<<B\n[\nB\n}\"[\nA\n(", "a=\"\\\xff\"[", "a = \"$$\"[", "a=<<é\n[\né\n",
}

// FuzzScan holds the scanner to the lexer: what one takes for code the other does.
// If it did not, a file could hide its depth from the limits.
func FuzzScan(f *testing.F) {
	for _, seed := range scanSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if !utf8.Valid(src) {
			if _, limit := scan(src); limit == nil {
				t.Errorf("%q is accepted", src)
			}
			return
		}
		got, refused := bracketsOfScanner(src)
		want := bracketsOfLexer(src)
		if refused {
			want = want[:min(len(want), len(got))]
		}
		if !slices.Equal(got, want) {
			t.Errorf("scanner %v, lexer %v in %q", got, want, src)
		}
	})
}

func TestScanLimits(t *testing.T) {
	nest := func(open, closing string, n int) string {
		return "a = " + strings.Repeat(open, n) + "1" + strings.Repeat(closing, n) + "\n"
	}
	loop := func(n int) string { return nest("[for x in [1] : ", "]", n) }
	directive := func(n int) string {
		return "a = \"" + strings.Repeat("%{ for x in [1] }", n) + strings.Repeat("%{ endfor }", n) + "\"\n"
	}
	for name, c := range map[string]struct {
		src     string
		refused string
	}{
		"100 brackets":       {nest("[", "]", 100), ""},
		"101 brackets":       {nest("[", "]", 101), "Nested too deeply"},
		"101 parentheses":    {nest("(", ")", 101), "Nested too deeply"},
		"101 braces":         {nest("{ a = ", "}", 101), "Nested too deeply"},
		"101 calls":          {nest("f(", ")", 101), "Nested too deeply"},
		"101 templates":      {nest("\"${", "}\"", 101), "Nested too deeply"},
		"mixed":              {nest("[\"${", "}\"]", 51), "Nested too deeply"},
		"101 directives":     {"a = \"" + strings.Repeat("%{ if true }", 101) + "\"\n", "Nested too deeply"},
		"many, not deep":     {"a = [" + strings.Repeat("[1], ", 5000) + "]\n", ""},
		"brackets in text":   {"a = \"" + strings.Repeat("[", 500) + "\"\n", ""},
		"brackets in notes":  {"# " + strings.Repeat("[", 500) + "\n", ""},
		"brackets in docs":   {"a = <<EOT\n" + strings.Repeat("[", 500) + "\nEOT\n", ""},
		"closers in text":    {"a = " + strings.Repeat("[\"]\", ", 101), "Nested too deeply"},
		"2 loops":            {loop(2), ""},
		"3 loops":            {loop(3), "Expression too expensive"},
		"3 object loops":     {nest("{for x in [1] : x => ", "}", 3), "Expression too expensive"},
		"3 loops, newlines":  {nest("[\n# x\nfor x in [1] : ", "]", 3), "Expression too expensive"},
		"3 loops, templates": {nest("\"${[for x in [1] : ", "]}\"", 3), "Expression too expensive"},
		"3 loops in a row":   {strings.Repeat(loop(1), 3), ""},
		"2 directives":       {directive(2), ""},
		"3 directives":       {directive(3), "Expression too expensive"},
		"a block named for":  {"x {\n  for = 1\n}\n", ""},
		"for after the first": {
			"a = [x, [for_x, [for-y, [fork]]]]\n", ""},
		"999 operators":      {"a = 1" + strings.Repeat("+1", 999) + "\n", ""},
		"1002 operators":     {"a = 1" + strings.Repeat("+1", 1002) + "\n", "Expression too long"},
		"1002 minus":         {"a = " + strings.Repeat("-", 1002) + "1\n", "Expression too long"},
		"1002 indexes":       {"a = b" + strings.Repeat("[c]", 1002) + "\n", "Expression too long"},
		"operators in parts": {strings.Repeat("a = 1+1\n", 2000), ""},
		"over lines":         {"x {\n a = (1" + strings.Repeat("\n+1", 1002) + ")\n}\n", "Expression too long"},
		"endless comment":    {"a = 1\n/* x", "Comment without end"},
	} {
		_, limit := scan([]byte(c.src))
		got := ""
		if limit != nil {
			got = limit.summary
		}
		if got != c.refused {
			t.Errorf("%s: %q, want %q", name, got, c.refused)
		}
	}
}

func TestScanJSONLimits(t *testing.T) {
	for name, c := range map[string]struct {
		src     string
		refused bool
	}{
		"100":           {strings.Repeat("[", 100), false},
		"101":           {strings.Repeat("[", 101), true},
		"in a string":   {`{"a": "` + strings.Repeat("[", 101) + `"}`, false},
		"in a template": {`{"a": "${` + strings.Repeat("[", 101) + `}"}`, true},
		"escaped":       {`{"a": "\u0024{` + strings.Repeat("[", 101) + `}"}`, true},
		"escaped quote": {`{"a": "\"` + strings.Repeat("[", 101), false},
	} {
		if limit := scanJSON([]byte(c.src)); (limit != nil) != c.refused {
			t.Errorf("%s: %v", name, limit)
		}
	}
}

var chunkSeeds = []string{
	"a {\n}\nb {\n}\n", "\xef\xbb\xbfa {\r\n}\r\nb {\r\n  c = 1\r\n}\r\n", "a {\n  b = <<E\n}\nE\n}\nc {\n}\n", "a {\n  /* }\n}\n*/\n}\nb {\n}\n",
	"a {\n  b = \"${ { c = 1\n}\n}\"\n}\nd {\n}\n", "a = {\n}\nb {\n}\n", "a = [{\n}\n]\nb {\n}\n", "a {\n}\n}\nb {\n}\n", "a {\n  b = \"x\n}\n\"}\n",
	"a {\n  b = <<-E\n  ${c}\n}\n  E\n}\nd {\n}\n", "a {}\n# }\nb {}\n", "a \"b\" { c = 1 }\nd {\n  e = (\n1)\n}\n", "a {\n  b = <<E\n}\n", "a { /*\n*/ }\nb {\n}\n/*",
}

// FuzzChunks holds what chunks give, parsed one by one, to what the whole file gives: the
// very blocks and ranges where nothing is wrong, and a mistake where anything is. Only
// that two arguments outside of blocks have one name may be missed: none may stand there.
func FuzzChunks(f *testing.F) {
	for _, seed := range slices.Concat(scanSeeds, chunkSeeds) {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		chunks, limit := scanInto(src, 1)
		if limit != nil {
			return
		}
		whole, diags := hclsyntax.ParseConfig(src, "x", hcl.InitialPos)
		var got hclsyntax.Blocks
		attributes := hclsyntax.Attributes{}
		wrong := false
		for _, c := range chunks {
			part, diags := hclsyntax.ParseConfig(c.src, "x", c.start)
			wrong = wrong || diags.HasErrors()
			body := part.Body.(*hclsyntax.Body)
			got = append(got, body.Blocks...)
			maps.Copy(attributes, body.Attributes)
		}
		if wrong != diags.HasErrors() && !(len(attributes) > 0 && !wrong) {
			t.Fatalf("wrong in chunks: %v, in the file: %v in %q", wrong, diags, src)
		}
		want := whole.Body.(*hclsyntax.Body)
		if !wrong && !diags.HasErrors() && !(slices.EqualFunc(got, want.Blocks, func(a, b *hclsyntax.Block) bool { return reflect.DeepEqual(a, b) }) &&
			reflect.DeepEqual(attributes, want.Attributes)) {
			t.Fatalf("%d chunks differ from the file %q", len(chunks), src)
		}
	})
}

// Chunks parsed one by one must give the very blocks and ranges that the whole
// file gives.
func TestChunksParseLikeTheFile(t *testing.T) {
	sources := []string{blocks(200), strings.ReplaceAll(blocks(100), "\n", "\r\n"), strings.Join(scanSeeds, "\n")}
	heredoc := "instance \"h%d\" {\n  page \"/\" {\n    content = <<EOT\n}\n${var.x}\n}\nEOT\n  }\n}\n"
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, heredoc, i)
	}
	sources = append(sources, b.String())
	files, err := filepath.Glob("../testdata/*/*.slb.hcl")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, string(src))
	}
	for i, src := range sources {
		whole, _ := hclsyntax.ParseConfig([]byte(src), "x", hcl.InitialPos)
		chunks, limit := scan([]byte(src))
		if limit != nil {
			continue
		}
		if i < 2 && len(chunks) < 5 {
			t.Errorf("source %d: %d chunks", i, len(chunks))
		}
		var got []*hclsyntax.Block
		for _, c := range chunks {
			part, _ := hclsyntax.ParseConfig(c.src, "x", c.start)
			got = append(got, part.Body.(*hclsyntax.Body).Blocks...)
		}
		want := []*hclsyntax.Block(whole.Body.(*hclsyntax.Body).Blocks)
		if len(got) != len(want) {
			t.Fatalf("source %d: %d blocks, want %d", i, len(got), len(want))
		}
		for j := range want {
			if !reflect.DeepEqual(got[j], want[j]) {
				t.Fatalf("source %d: block %d differs: %v, want %v", i, j, got[j].Range(), want[j].Range())
			}
		}
	}
}
