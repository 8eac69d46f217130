package spec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestMain(m *testing.M) {
	recoverPanics = false // a bug must be seen
	os.Exit(m.Run())
}

// load loads one file's content.
func load(t testing.TB, src string, opts ...func(*Options)) (*Config, Diagnostics) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	var opt Options
	for _, o := range opts {
		o(&opt)
	}
	return Load(dir, opt)
}

func render(d Diagnostics) string {
	var b strings.Builder
	_ = d.WriteText(&b, false, 78)
	return b.String()
}

// mustLoad fails on any diagnostic, warnings too.
func mustLoad(t testing.TB, src string, opts ...func(*Options)) *Config {
	t.Helper()
	c, diags := load(t, src, opts...)
	if len(diags) > 0 {
		t.Fatalf("unexpected diagnostics:\n%s", render(diags))
	}
	return c
}

// mustLoadErrors fails on errors only.
func mustLoadErrors(t testing.TB, src string, opts ...func(*Options)) *Config {
	t.Helper()
	c, diags := load(t, src, opts...)
	if diags.HasErrors() {
		t.Fatalf("unexpected errors:\n%s", render(diags))
	}
	return c
}

func TestLoadQuickstart(t *testing.T) {
	c, diags := Load("../testdata/quickstart", Options{})
	if len(diags) > 0 {
		t.Fatal(render(diags))
	}
	if got, want := c.Outputs[0].Value, "http://127.10.0.4"; got != want {
		t.Errorf("output url = %v, want %v", got, want)
	}
	if got := c.DNSZones[0].Records[0].Values; len(got) != 1 || got[0] != c.LoadBalancers[0].IP.String() {
		t.Errorf("record = %v", got)
	}
	if got := c.DNSZones[0].Records[0].Refs; len(got) != 1 || got[0] != "load_balancer.SLB1" {
		t.Errorf("refs = %v", got)
	}
	if got := c.Simulations[0].Listener; got != "tcp:80" {
		t.Errorf("simulation listener = %q", got)
	}
}

// loadIn loads src in a folder that exists.
func loadIn(t testing.TB, dir, src string, opt Options) *Config {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	c, diags := Load(dir, opt)
	if diags.HasErrors() {
		t.Fatalf("%s\nin:\n%s", render(diags), src)
	}
	return c
}

// The example of rules says nothing that needs a warning, and its comment the truth.
func TestLoadRules(t *testing.T) {
	c, diags := Load("../testdata/rules", Options{})
	if len(diags) > 0 {
		t.Fatal(render(diags))
	}
	lb := c.LoadBalancers[0]
	if len(lb.Listeners[0].Rules) != 3 || lb.IP.String() != "127.10.0.6" {
		t.Errorf("%+v", lb)
	}
}

func TestLoadFolder(t *testing.T) {
	t.Run("empty", func(t *testing.T) {
		c, diags := Load(t.TempDir(), Options{})
		if c != nil || len(diags) != 1 || !strings.Contains(diags[0].Hint, "slbctl init") {
			t.Error(render(diags))
		}
	})
	t.Run("missing", func(t *testing.T) {
		if _, diags := Load(filepath.Join(t.TempDir(), "no"), Options{}); !diags.HasErrors() {
			t.Error("no error")
		}
	})
	t.Run("long path, several files", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), strings.Repeat("d", 150), strings.Repeat("e", 150))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{
			"a.slb.hcl":   "output \"x\" { value = instance.a.address }\n",
			"b.slb.hcl":   "instance \"a\" { zone = local.zone }\n",
			"c.slb.json":  `{"locals": {"zone": "z"}}`,
			".d.slb.hcl":  "not read",
			"e.hcl":       "not read",
			"f.slb.hcl~":  "not read",
			"page.txt":    "text",
			"g.slb.hcl":   "instance \"p\" {\n page \"/\" { file = \"page.txt\" }\n}\n",
			"sub/x.slb.h": "not read",
		} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, diags := Load(dir, Options{})
		if len(diags) > 0 || c.Instances[0].Zone != "z" || c.Instances[1].Pages[0].Content != "text" {
			t.Error(render(diags))
		}
	})
	t.Run("errors of all files", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"a.slb.hcl", "b.slb.hcl"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("instance \"x\" {\n zon = 1\n ports = [0]\n}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, diags := Load(dir, Options{})
		var places []string
		for _, d := range diags {
			places = append(places, d.Range.Filename+" "+d.Summary)
		}
		want := []string{"a.slb.hcl Unsupported argument", "a.slb.hcl Invalid value", "b.slb.hcl Duplicate name"}
		if strings.Join(places, "\n") != strings.Join(want, "\n") {
			t.Errorf("got %v", places)
		}
	})
	t.Run("too large", func(t *testing.T) {
		_, diags := load(t, strings.Repeat("#\n", maxFileSize))
		if !diags.HasErrors() || !strings.Contains(diags[0].Detail, "larger than 4 MiB") {
			t.Error(render(diags))
		}
	})
}

// Every broken file is reported, though they are parsed while others are still read.
func TestLoadBrokenFiles(t *testing.T) {
	dir := t.TempDir()
	const files = 50
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.slb.hcl", i)), []byte("instance \"a\" {\n  zone = \n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, diags := Load(dir, Options{})
	reported := map[string]bool{}
	for _, d := range diags {
		if d.Range == nil || d.Snippet == nil {
			t.Fatalf("no place: %s", render(Diagnostics{d}))
		}
		reported[d.Range.Filename] = true
	}
	if len(reported) != files {
		t.Errorf("%d of %d files are reported", len(reported), files)
	}
}

// The JSON syntax is the same language.
func TestLoadJSON(t *testing.T) {
	const src = `{
  "variable": {"n": {"default": 2}},
  "instance": {"web": {"count": "${var.n}", "zone": "z${count.index}", "page": {"/": {"content": "hi"}, "/b": {"status": 404}}}},
  "server_group": {"g": {"backend": [{"instance": "${instance.web[0]}"}, {"instance": "${instance.web[1]}", "weight": 5}]}},
  "load_balancer": {"lb": {
    "dynamic": {"backend": {"for_each": "${instance.web}", "content": {"instance": "${backend.value}"}}},
    "listener": {"tcp": {"80": {"server_group": "${server_group.g}", "health_check": {"interval": "1s"}}}}
  }},
  "dns_zone": {"a.test": {"record": {"www": {"A": {"values": "${instance.web[*].address}"}}}}},
  "output": {"url": {"value": "${load_balancer.lb.listener[\"tcp:80\"].url}"}}
}`
	const same = `
variable "n" { default = 2 }
instance "web" {
  count = var.n
  zone  = "z${count.index}"
  page "/" { content = "hi" }
  page "/b" { status = 404 }
}
server_group "g" {
  backend { instance = instance.web[0] }
  backend {
    instance = instance.web[1]
    weight   = 5
  }
}
load_balancer "lb" {
  backend { instance = instance.web }
  listener "tcp" "80" {
    server_group = server_group.g
    health_check { interval = "1s" }
  }
}
dns_zone "a.test" {
  record "www" "A" { values = instance.web[*].address }
}
output "url" { value = load_balancer.lb.listener["tcp:80"].url }
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.slb.json"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	got, diags := Load(dir, Options{})
	if len(diags) > 0 {
		t.Fatal(render(diags))
	}
	if diff := cmp.Diff(mustLoad(t, same), got, exact); diff != "" {
		t.Errorf("-hcl +json:\n%s", diff)
	}
}

func TestPortOffset(t *testing.T) {
	const src = "runtime { port_offset = 1 }\ninstance \"a\" {}\nload_balancer \"lb\" {\n backend { instance = instance.a }\n listener \"tcp\" \"80\" {}\n}\noutput \"url\" { value = load_balancer.lb.listener[\"tcp:80\"].url }\n"
	for offset, want := range map[int]string{0: "http://127.10.0.3", 8000: "http://127.10.0.3:8080"} {
		c := mustLoad(t, src, func(o *Options) { o.PortOffset = &offset })
		if c.Outputs[0].Value != want || c.Runtime.PortOffset != offset || c.LoadBalancers[0].Listeners[0].Port != 80 {
			t.Errorf("offset %d: %v", offset, c.Outputs[0].Value)
		}
	}
	bad := 70000
	_, diags := load(t, src, func(o *Options) { o.PortOffset = &bad })
	wantSummary(t, diags, "Invalid port offset", "70000")
}

// FuzzLoad gives Load any bytes, and as a module those behind a line that says so: it
// must answer, and with a config or with errors that each have a place in a file.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("../testdata/*/*.slb.hcl")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(src) < 1000 {
			f.Add(string(src), false)
		}
	}
	base, _ := attributeExamples(f)
	f.Add(base, false)
	for _, module := range []string{website, `output "x" { value = var.x }` + "\nmodule \"m\" {\n  source = \"../m\"\n}\n"} {
		f.Add("module \"m\" {\n  source = \"./m\"\n  count = 2\n  greeting = \"hi\"\n}\noutput \"x\" { value = module.m[*].addr }"+moduleLine+module, false)
		f.Add(`{"module": {"m": {"source": "./m", "for_each": "${toset([\"a\"])}", "x": 1}}, "output": {"x": {"value": "${module.m}"}}}`+moduleLine+module, true)
	}
	f.Add(`{"instance": {"a": {"page": {"/": {"content": "${count.index}"}}}}}`, true)
	dir := f.TempDir()
	module := filepath.Join(dir, "m", "main.slb.hcl")
	if err := os.Mkdir(filepath.Dir(module), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src string, isJSON bool) {
		native, jsonFile := filepath.Join(dir, "a.slb.hcl"), filepath.Join(dir, "a.slb.json")
		name := native
		if isJSON {
			name = jsonFile
		}
		_ = os.Remove(native)
		_ = os.Remove(jsonFile)
		src, inner, _ := strings.Cut(src, moduleLine)
		if err := errors.Join(os.WriteFile(name, []byte(src), 0o600), os.WriteFile(module, []byte(inner), 0o600)); err != nil {
			t.Fatal(err)
		}
		hang := time.AfterFunc(time.Minute, func() { panic("Load hangs") })
		c, diags := Load(dir, Options{})
		hang.Stop()
		if (c == nil) != diags.HasErrors() {
			t.Fatalf("config %v, diagnostics %v", c, diags)
		}
		_ = render(diags)
		for _, d := range diags {
			file, text := filepath.Base(name), src
			if d.Range != nil && d.Range.Filename == "m/main.slb.hcl" {
				file, text = d.Range.Filename, inner
			}
			if problem := misplaced(d, file, text); problem != "" {
				t.Errorf("%s\n%s", problem, render(Diagnostics{d}))
			}
		}
		if c == nil {
			return
		}
		if _, err := FromResources(c.Resources(), c.Runtime, 0); err != nil {
			t.Error(err)
		}
	})
}

// moduleLine ends the configuration and begins the module m.
const moduleLine = "\n# module m\n"

// misplaced says what is wrong with the place of a diagnostic about a file that is alone.
func misplaced(d Diagnostic, file, src string) string {
	switch r := d.Range; {
	case r == nil:
		return "no place"
	case r.Filename != file:
		return "in another file: " + r.Filename
	case r.Start.Byte < 0 || r.End.Byte < r.Start.Byte || r.End.Byte > len(src):
		return fmt.Sprintf("bytes %d to %d of %d", r.Start.Byte, r.End.Byte, len(src))
	case r.Start.Column < 1:
		return fmt.Sprintf("column %d", r.Start.Column)
	case r.Start.Line < 1 || r.Start.Line > 1+strings.Count(src, "\n"):
		return fmt.Sprintf("line %d", r.Start.Line)
	}
	return ""
}

// FuzzFormat holds fmt to changing nothing but space: every token stays, comments are
// some of them, and a second time there is nothing left to do.
func FuzzFormat(f *testing.F) {
	files, err := filepath.Glob("../testdata/*/*.slb.hcl")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte("# one\na=1 // two\nb {\n/* three */ c = [ # four\n1,\n]\n}\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		once, diags := Format("a.slb.hcl", src)
		if diags.HasErrors() {
			return
		}
		if diff := cmp.Diff(tokens(src), tokens(once)); diff != "" {
			t.Errorf("%q\n-before +after:\n%s", src, diff)
		}
		if twice, _ := Format("a.slb.hcl", once); string(twice) != string(once) {
			t.Errorf("%q\nbecomes %q\nand then %q", src, once, twice)
		}
	})
}

// tokens lists all that a file has besides space between it.
func tokens(src []byte) []string {
	list, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = t.Type.String() + " " + string(t.Bytes)
	}
	return out
}
