package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "slbctl"

// house lists the packages below runtime in the order of the design: each may
// import those above it, and spec.
var house = []string{
	"runtime/durable", "runtime/balance", "runtime/expect", "runtime/localca", "runtime/tlsconf", "runtime/http1", "runtime/http2", "runtime/proxyproto", "runtime/webclient",
	"runtime/netloop", "runtime/proxy",
	"runtime/health", "runtime/webserver", "runtime/loadgen", "runtime/dns", "runtime/metrics", "runtime/explain", "runtime/trial", "runtime/control",
}

// mayImport says which of our packages each of them may import.
func mayImport() map[string][]string {
	allowed := map[string][]string{
		"spec":                        {},
		"testdata":                    {},
		"testdata/bench":              {"runtime/netloop"},
		"testdata/bench/simpy":        {"sim", "spec"},
		"testdata/certificates":       {},
		"testdata/client":             {},
		"testdata/wire":               {},
		"runtime/durable/durabletest": {"runtime/durable"},
		"sim":                         {"runtime/balance", "runtime/expect", "spec", "sim/trace"},
		"sim/htmlreport":              {"sim"},
		"sim/trace":                   {},
		"planner":                     {"sim", "spec", "planner/state", "runtime/durable"},
		"planner/state":               {"spec", "runtime/durable"},
		"runtime":                     append([]string{"spec"}, house...),
		"cmd/slbctl":                  append([]string{"spec", "sim", "sim/htmlreport", "sim/trace", "planner", "planner/state", "runtime", "testdata"}, house...),
	}
	for i, name := range house {
		allowed[name] = append([]string{"spec"}, house[:i]...)
	}
	allowed["runtime/durable"] = nil
	allowed["runtime/balance"] = []string{"spec"}
	allowed["runtime/expect"] = []string{"spec"}
	allowed["runtime/http1"] = nil
	allowed["runtime/http2"] = []string{"runtime/http1"}
	allowed["runtime/proxyproto"] = nil
	return allowed
}

// keptIn says in which of our packages a package from outside may appear.
var keptIn = map[string]string{
	"github.com/hashicorp/hcl/v2":     "spec",
	"github.com/zclconf/go-cty":       "spec",
	"github.com/alecthomas/kong":      "cmd",
	"github.com/smallstep/truststore": "cmd",
	"github.com/prometheus/":          "runtime/metrics",
	"github.com/google/go-cmp":        "only in tests",
	"github.com/rogpeppe/":            "only in tests",
	"pgregory.net/rapid":              "only in tests",
	"go.uber.org/goleak":              "only in tests",
}

// impure must not be imported by the decision core: time and randomness come in
// as arguments, and it opens nothing.
var impure = []string{"os", "net", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "syscall", "golang.org/x/sys/unix"}

func TestImports(t *testing.T) {
	allowed := mayImport()
	seen := map[string]bool{}
	walkImports(t, os.DirFS("../.."), func(pkg, file, imported string) {
		seen[pkg] = true
		for _, problem := range judgeImport(allowed, pkg, imported) {
			t.Errorf("%s imports %s: %s", file, imported, problem)
		}
	})
	for pkg := range allowed {
		// A package without any import would not be seen; there is none such here.
		if !seen[pkg] {
			t.Errorf("the table has %s, which is not there", pkg)
		}
	}
}

// TestImportsNotices proves that the judge objects to what the design forbids.
func TestImportsNotices(t *testing.T) {
	for _, arrow := range [][2]string{
		{"spec", "slbctl/sim"},
		{"sim", "slbctl/runtime"},
		{"sim/trace", "slbctl/spec"},
		{"planner", "slbctl/runtime"},
		{"planner", "slbctl/runtime/control"},
		{"runtime/balance", "slbctl/runtime/durable"},
		{"runtime/proxy", "slbctl/runtime/health"},
		{"runtime/control", "slbctl/runtime"},
		{"runtime", "slbctl/cmd/slbctl"},
		{"runtime", "slbctl/planner"},
		{"planner", "github.com/zclconf/go-cty/cty"},
		{"spec", "github.com/alecthomas/kong"},
		{"cmd/slbctl", "github.com/hashicorp/hcl/v2/hclsyntax"},
		{"planner", "github.com/google/go-cmp/cmp"},
		{"runtime/proxy", "github.com/prometheus/client_golang/prometheus"},
		{"runtime/balance", "net"},
		{"somewhere/new", "fmt"},
	} {
		if judgeImport(mayImport(), arrow[0], arrow[1]) == nil {
			t.Errorf("%s -> %s is not noticed", arrow[0], arrow[1])
		}
	}
}

func judgeImport(allowed map[string][]string, pkg, imported string) (problems []string) {
	mine, known := allowed[pkg]
	if !known {
		return []string{"package " + pkg + " is not in the table of who may import whom"}
	}
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok && !slices.Contains(mine, ours) {
		problems = append(problems, pkg+" may import only "+strings.Join(mine, ", "))
	}
	for prefix, where := range keptIn {
		if strings.HasPrefix(imported, prefix) && pkg != where && !strings.HasPrefix(pkg, where+"/") {
			problems = append(problems, "it belongs "+where)
		}
	}
	if pkg == "runtime/balance" && slices.Contains(impure, imported) {
		problems = append(problems, "the decision core is pure")
	}
	return problems
}

// walkImports visits every import of every file that is not a test.
func walkImports(t *testing.T, root fs.FS, visit func(pkg, file, imported string)) {
	files := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(files, name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			visit(path.Dir(name), name, imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
