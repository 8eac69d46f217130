package spec

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outputs loads src and gives its outputs as JSON by name.
func outputs(t *testing.T, src string, opts ...func(*Options)) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range mustLoadErrors(t, src, opts...).Outputs {
		text, err := json.Marshal(o.Value)
		if err != nil {
			t.Fatal(err)
		}
		out[o.Name] = string(text)
	}
	return out
}

// wantSummary expects exactly one error and its summary.
func wantSummary(t *testing.T, diags Diagnostics, summary, part string) {
	t.Helper()
	if len(diags) != 1 || diags[0].Summary != summary || !strings.Contains(diags[0].Detail, part) {
		t.Errorf("want %q (%s), got:\n%s", summary, part, render(diags))
	}
}

func TestVariables(t *testing.T) {
	const src = `
variable "text" { default = "default" }
variable "number" {
  type    = number
  default = 1
}
variable "list" {
  type    = list(string)
  default = ["d"]
}
variable "object" {
  type    = object({ a = string, b = optional(number, 7) })
  default = { a = "x" }
}
variable "strict" {
  type     = string
  nullable = false
  default  = "kept"
}
output "text" { value = var.text }
output "number" { value = var.number }
output "list" { value = var.list }
output "object" { value = var.object }
output "strict" { value = var.strict }
`
	dir := t.TempDir()
	varFile := filepath.Join(dir, "x.vars")
	jsonFile := filepath.Join(dir, "x.json")
	for path, content := range map[string]string{
		varFile:  "text = \"file\"\nlist = [\"f\", 2]\nstrict = null\n",
		jsonFile: `{"text": "json", "object": {"a": "j", "b": 1}}`,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	environ := []string{"SLBCTL_VAR_text=environ", "SLBCTL_VAR_number=2", "SLBCTL_VAR_unknown=1", "PATH=/bin"}
	defaults := map[string]string{"text": `"default"`, "number": "1", "list": `["d"]`, "object": `{"a":"x","b":7}`, "strict": `"kept"`}
	for name, c := range map[string]struct {
		opt  Options
		want map[string]string
	}{
		"defaults":    {Options{}, nil},
		"environment": {Options{Environ: environ}, map[string]string{"text": `"environ"`, "number": "2"}},
		"file wins":   {Options{Environ: environ, VarFiles: []string{varFile}}, map[string]string{"text": `"file"`, "number": "2", "list": `["f","2"]`}},
		"later file":  {Options{VarFiles: []string{varFile, jsonFile}}, map[string]string{"text": `"json"`, "list": `["f","2"]`, "object": `{"a":"j","b":1}`}},
		"var wins": {Options{Environ: environ, VarFiles: []string{varFile}, Vars: []string{"text=a=b", `list=["v"]`, "number=3", "number=4"}},
			map[string]string{"text": `"a=b"`, "list": `["v"]`, "number": "4"}},
		"not an expression": {Options{Vars: []string{"text=${local.x}[", `object={ a = "y" }`}},
			map[string]string{"text": `"${local.x}["`, "object": `{"a":"y","b":7}`}},
	} {
		want := map[string]string{}
		for k, v := range defaults {
			want[k] = v
		}
		for k, v := range c.want {
			want[k] = v
		}
		got := outputs(t, src, func(o *Options) { *o = c.opt })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestVariableErrors(t *testing.T) {
	const src = `
variable "count" { type = number }
variable "key" {
  type      = list(string)
  sensitive = true
  default   = []
}
`
	for name, c := range map[string]struct {
		opt           Options
		summary, part string
	}{
		"missing":       {Options{}, "Variable without value", "var.count"},
		"wrong type":    {Options{Vars: []string{"count=many"}}, "Wrong type", "a number is required"},
		"unknown":       {Options{Vars: []string{"count=1", "cuont=1"}}, "No such variable", "cuont"},
		"no value":      {Options{Vars: []string{"count=1", "key"}}, "Invalid -var", "key"},
		"no expression": {Options{Vars: []string{"count=1", "key=[hunter2"}}, "Invalid value", "var.key"},
		"deep":          {Options{Vars: []string{"count=1", "key=" + strings.Repeat("[", 200)}}, "Nested too deeply", "var.key"},
		"long":          {Options{Vars: []string{"count=1", "key=" + strings.Repeat(" ", maxFileSize+1)}}, "Value too long", "var.key"},
		"no file":       {Options{Vars: []string{"count=1"}, VarFiles: []string{"missing"}}, "Unreadable variable file", "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			c2, diags := load(t, src, func(o *Options) { *o = c.opt })
			wantSummary(t, diags, c.summary, c.part)
			if c2 != nil || strings.Contains(render(diags), "hunter2") {
				t.Errorf("config %v, secret shown in:\n%s", c2, render(diags))
			}
		})
	}
}

// A value never leaves a sensitive variable by way of a message, whatever goes wrong.
func TestSensitiveValuesAreNotShown(t *testing.T) {
	for name, use := range map[string]string{
		"operand":       `output "x" { value = var.key + 1 }`,
		"part":          `output "x" { value = "a${var.key}" }`,
		"call":          `output "x" { value = cidrhost(var.key, 1) }`,
		"index":         `output "x" { value = { a = 1 }[var.key] }`,
		"count":         "instance \"a\" {\n count = length(var.key)\n}",
		"for_each":      "instance \"a\" {\n for_each = toset([var.key])\n}",
		"attribute":     "instance \"a\" {\n zone = var.key\n}",
		"number":        "instance \"a\" {\n ports = [var.key]\n}",
		"reference":     "server_group \"g\" {\n backend { instance = var.key }\n}",
		"dynamic":       "instance \"a\" {\n dynamic \"page\" {\n for_each = [var.key]\n labels = [page.value]\n content {}\n }\n}",
		"local":         "locals { a = var.key }\noutput \"x\" { value = local.a }",
		"validation":    "variable \"v\" {\n default = 1\n validation {\n condition = false\n error_message = \"no ${var.key}\"\n }\n}",
		"file":          "instance \"a\" {\n page \"/\" { file = var.key }\n}",
		"header":        "instance \"a\" {\n page \"/\" { headers = { X = \"${var.key}\\n\" } }\n}",
		"command":       "instance \"a\" {\n command = [var.key]\n}",
		"literal":       "instance \"a\" {\n page \"/\" { headers = { X = sensitive(\"hunter2\"), Y = nobody } }\n}",
		"two":           "instance \"a\" {\n page \"/\" { headers = { X = sensitive(\"hunter2\"), Y = sensitive(var.key), Z = nobody } }\n}",
		"inside":        "instance \"a\" {\n page \"/\" { content = sensitive(join(\"\", [(\"hunter2\"), nobody])) }\n}",
		"heredoc":       "instance \"a\" {\n page \"/\" {\n content = sensitive(<<EOT\n hunter2 (${nobody}\nEOT\n)\n}\n}",
		"back":          "instance \"a\" {\n page \"/\" { content = var.key }\n}\noutput \"x\" { value = instance.a.page[0].content }",
		"back again":    "instance \"a\" {\n command = [\"/bin/sh\"]\n env = { K = var.key }\n}\ninstance \"b\" {\n zone = instance.a.env[\"K\"]\n}",
		"whole":         "instance \"a\" {\n page \"/\" { content = var.key }\n}\noutput \"x\" { value = jsonencode(instance.a) }",
		"simulation":    "simulation \"s\" {\n target = var.key\n duration = 1\n traffic \"t\" { rate = 1 }\n}",
		"runtime":       "runtime {\n network = var.key\n}",
		"not supported": "acl \"x\" {\n entries = [var.key]\n}",
	} {
		t.Run(name, func(t *testing.T) {
			_, diags := load(t, "variable \"key\" { sensitive = true }\n"+use+"\n",
				func(o *Options) { o.Vars = []string{"key=hunter2"} })
			text, err := json.Marshal(diags)
			if err != nil {
				t.Fatal(err)
			}
			if !diags.HasErrors() || strings.Contains(render(diags)+string(text), "hunter2") {
				t.Errorf("%s", render(diags))
			}
		})
	}
}

func TestFunctions(t *testing.T) {
	for expr, want := range map[string]string{
		`abs(-3)`: "3", `ceil(1.2)`: "2", `max(1, 5, 2)`: "5", `parseint("ff", 16)`: "255", `pow(2, 10)`: "1024", `sum([1, 2.5])`: "3.5",
		`chomp("a\n")`: `"a"`, `format("%s-%02d", "a", 7)`: `"a-07"`, `join(",", ["a", "b"])`: `"a,b"`, `lower("A")`: `"a"`,
		`replace("a.b.c", ".", "-")`: `"a-b-c"`, `replace("abc", "/b+/", "x")`: `"axc"`, `split(",", "a,b")`: `["a","b"]`,
		`substr("hello", 1, 3)`: `"ell"`, `title("a b")`: `"A B"`, `trimspace(" a ")`: `"a"`, `startswith("abc", "ab")`: "true",
		`endswith("abc", "ab")`: "false", `strcontains("abc", "bc")`: "true", `regex("[0-9]+", "a12b")`: `"12"`,
		`coalesce(null, "a")`: `"a"`, `compact(["", "a"])`: `["a"]`, `concat([1], [2])`: "[1,2]", `contains(["a"], "a")`: "true",
		`distinct([1, 1])`: "[1]", `element(["a", "b"], 3)`: `"b"`, `flatten([[1], [[2]]])`: "[1,2]", `index(["a", "b"], "b")`: "1",
		`keys({ b = 1, a = 2 })`: `["a","b"]`, `length("añb")`: "3", `length({ a = 1 })`: "1", `length([1, 2])`: "2",
		`lookup({ a = 1 }, "b", 9)`: "9", `merge({ a = 1 }, { b = 2 })`: `{"a":1,"b":2}`, `one([5])`: "5", `one([])`: "null",
		`one(toset(["x"]))`: `"x"`, `range(3)`: "[0,1,2]", `reverse([1, 2])`: "[2,1]", `slice([1, 2, 3], 1, 2)`: "[2]", `sort(["b", "a"])`: `["a","b"]`,
		`setproduct(["a"], ["x", "y"])`: `[["a","x"],["a","y"]]`, `setunion(["a"], ["b"])`: `["a","b"]`, `values({ a = 1 })`: "[1]",
		`zipmap(["a"], [1])`: `{"a":1}`, `alltrue([true, false])`: "false", `anytrue([true, false])`: "true", `alltrue([])`: "true",
		`tobool("true")`: "true", `tonumber("5")`: "5", `tostring(5)`: `"5"`, `toset(["b", "a", "b"])`: `["a","b"]`, `tolist(toset(["a"]))`: `["a"]`,
		`try({ a = 1 }.b, "no")`: `"no"`, `can({ a = 1 }.b)`: "false", `csvdecode("a,b\n1,2")`: `[{"a":"1","b":"2"}]`,
		`jsondecode("{\"a\": [1]}")`: `{"a":[1]}`, `jsonencode({ a = 1 })`: `"{\"a\":1}"`, `yamldecode("a: [1, b]")`: `{"a":[1,"b"]}`,
		`base64encode("hi")`: `"aGk="`, `base64decode("aGk=")`: `"hi"`, `md5("")`: `"d41d8cd98f00b204e9800998ecf8427e"`,
		`sha1("abc")`:                    `"a9993e364706816aba3e25717850c26c9cd0d89d"`,
		`sha256("abc")`:                  `"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`,
		`cidrhost("127.10.0.0/16", 258)`: `"127.10.1.2"`, `cidrhost("127.10.0.0/16", -2)`: `"127.10.255.254"`, `cidrhost("fd00::/8", 1)`: `"fd00::1"`,
		`cidrnetmask("127.10.0.0/12")`: `"255.240.0.0"`, `cidrsubnet("127.10.0.0/16", 8, 3)`: `"127.10.3.0/24"`,
		`nonsensitive(sensitive("a"))`: `"a"`, `templatefile("t.txt", { name = "x" })`: `"hi x\n"`, `file("t.txt")`: `"hi ${name}\n"`,
		`[for x in [1, 2] : x * 2 if x > 1]`: "[4]", `{ for k in ["a"] : k => upper(k) }`: `{"a":"A"}`, `[{ a = 1 }][*].a`: "[1]",
		`true ? "a" : "b"`: `"a"`, "\"%{ if true }a%{ else }b%{ endif }\"": `"a"`, `null`: "null",
	} {
		dir := t.TempDir()
		for name, content := range map[string]string{"a.slb.hcl": "output \"x\" { value = " + expr + " }\n", "t.txt": "hi ${name}\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, diags := Load(dir, Options{})
		if diags.HasErrors() {
			t.Errorf("%s: %s", expr, render(diags))
			continue
		}
		if got, _ := json.Marshal(c.Outputs[0].Value); string(got) != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
}

func TestFunctionErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "deep.txt"), []byte("${"+strings.Repeat("[", 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "again.txt"), []byte("${templatefile(\"again.txt\", {})}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for expr, part := range map[string]string{
		`timestamp()`: "no function", `uuid()`: "no function", `env("HOME")`: "no function", `bcrypt("x")`: "no function",
		`file("link")`: "outside", `file("/etc/hostname")`: "relative", `file("../x")`: "outside", `file(".")`: "not a regular file",
		`file("missing")`: "no such file", `templatefile("deep.txt", {})`: "levels deep", `templatefile("again.txt", {})`: "templatefile",
		`one([1, 2])`: "at most one", `cidrhost("x", 1)`: "x", `cidrsubnet("127.0.0.0/30", 3, 0)`: "no room", `cidrsubnet("127.0.0.0/8", 2, 4)`: "do not hold",
		`cidrnetmask("::/0")`: "IPv4", `base64decode("%")`: "base64", `format("%99999d", 1)`: "3 digits", `pow(2, 100000)`: "exponent",
		`indent(100000, "x\ny")`: "1000 spaces", `setproduct(range(1000), range(1000))`: "100000",
		`replace("` + strings.Repeat("a", 3000) + `", "a", "` + strings.Repeat("b", 3000) + `")`: "bytes",
		`jsondecode("` + strings.Repeat("[", 5000) + `")`:                                        "levels deep", `yamldecode("` + strings.Repeat("[", 5000) + `")`: "levels deep",
		`sum([null])`: "null", `join("", [for i in range(1000) : format("%999d%999d%999d%999d%999d%999d%999d%999d%999d", i, i, i, i, i, i, i, i, i)])`: "bytes", `length(5)`: "string, list",
	} {
		if err := os.WriteFile(filepath.Join(dir, "a.slb.hcl"), []byte("output \"x\" { value = "+expr+" }\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, diags := Load(dir, Options{})
		if !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(render(diags), "│", "")), " "), part) || !diags.HasErrors() {
			t.Errorf("%s: no %q in\n%s", expr, part, render(diags))
		}
	}
}

func TestReferences(t *testing.T) {
	const src = `
instance "one" {
  zone = "z1"
  page "/" { content = "see ${load_balancer.lb.listener["tcp:80"].url}" }
}
instance "web" {
  count = 12
  zone  = count.index % 2 == 0 ? "even" : "odd"
  page "/" { content = "next is ${instance.web[(count.index + 1) % 12].address}" }
}
instance "color" {
  for_each = { blue = 1, green = 2 }
  zone     = "${each.key}-${each.value}"
}
server_group "g" {
  backend { 
    instance = instance.color["green"] 
    port     = 80
  }
}
load_balancer "lb" {
  backend { instance = instance.web }
  backend { instance = [instance.one, instance.color] }
  listener "tcp" "80" {}
  listener "tcp" "8080" { server_group = server_group.g }
  listener "tcp" "9000" { server_group = server_group.foreign }
}
server_group "foreign" {
  backend {
    address = "127.0.0.1"
    port    = 9
  }
}
dns_zone "a.test" {
  record "www" "A" { values = instance.web[*].address }
}
locals {
  twice = "${local.once}${local.once}"
  once  = instance.one.address
}
output "address" { value = instance.one.address }
output "zone" { value = instance.color["green"].zone }
output "indexed" { value = instance.web[10].address }
output "splat" { value = length(instance.web[*].address) }
output "zones" { value = distinct(instance.web[*].zone) }
output "computed" { value = instance.web[2 + 3].zone }
output "local" { value = local.twice }
output "url" { value = load_balancer.lb.listener["tcp:80"].url }
output "url8080" { value = load_balancer.lb.listener["tcp:8080"].url }
output "foreign" { value = load_balancer.lb.listener["tcp:9000"].url }
output "port" { value = load_balancer.lb.listener["tcp:8080"].port }
output "listener" { value = load_balancer.lb.listener["tcp:80"].address }
output "ttl" { value = dns_zone["a.test"].record["www:A"].ttl }
output "ids" { value = length(distinct(concat(instance.web[*].id, [instance.one.id]))) }
output "all" { value = [for k, i in instance.color : "${k}=${i.name}"] }
`
	got := outputs(t, src)
	want := map[string]string{
		"address": `"127.10.0.4"`, "zone": `"green-2"`, "indexed": `"127.10.0.15"`, "splat": "12", "zones": `["even","odd"]`,
		"computed": `"odd"`, "local": `"127.10.0.4127.10.0.4"`, "url": `"http://127.10.0.17"`, "url8080": `"http://127.10.0.17:8080"`,
		"foreign": `"tcp://127.10.0.17:9000"`, "port": "8080", "listener": `"127.10.0.17"`, "ttl": "600", "ids": "13",
		"all": `["blue=color","green=color"]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c := mustLoadErrors(t, src)
	if got := c.Instance("instance.web[11]").Pages[0].Content; got != "next is 127.10.0.5" {
		t.Errorf("page of web[11]: %q", got)
	}
	var order []string
	for _, b := range c.LoadBalancers[0].Backends {
		order = append(order, strings.TrimPrefix(b.Instance, "instance."))
	}
	if got, want := strings.Join(order, " "), `web[0] web[1] web[2] web[3] web[4] web[5] web[6] web[7] web[8] web[9] web[10] web[11] one color["blue"] color["green"]`; got != want {
		t.Errorf("backends %s", got)
	}
}

// Refs are exact also where the index is computed: destroying one instance must
// not take the records of the others along.
func TestRefs(t *testing.T) {
	c := mustLoadErrors(t, `
instance "web" { count = 3 }
instance "shy" {}
locals { shy = instance.shy.address }
load_balancer "lb" {
  backend { instance = instance.web[1] }
  listener "tcp" "80" { description = local.shy }
}
dns_zone "a.test" {
  record "const" "A" { value = instance.web[2].address }
  record "all" "A" { values = instance.web[*].address }
  dynamic "record" {
    for_each = range(2)
    labels   = ["h${record.value}", "A"]
    content { value = instance.web[record.value].address }
  }
}
server_group "each" {
  count = 3
  backend { instance = instance.web[count.index] }
}
`)
	want := map[string]string{
		"load_balancer.lb":                     "instance.web[1]",
		`load_balancer.lb.listener["tcp:80"]`:  "instance.shy",
		`dns_zone["a.test"].record["const:A"]`: "instance.web[2]",
		`dns_zone["a.test"].record["all:A"]`:   "instance.web[0] instance.web[1] instance.web[2]",
		`dns_zone["a.test"].record["h0:A"]`:    "instance.web[0]",
		`dns_zone["a.test"].record["h1:A"]`:    "instance.web[1]",
		"server_group.each[0]":                 "instance.web[0]",
		"server_group.each[2]":                 "instance.web[2]",
		`dns_zone["a.test"]`:                   "",
		"instance.web[0]":                      "",
	}
	for _, r := range c.Resources() {
		if w, ok := want[r.Address]; ok && strings.Join(r.Refs, " ") != w {
			t.Errorf("%s refers to %v, want %s", r.Address, r.Refs, w)
		}
	}
}

// A backend whose instances are counted down to none is no member, so that blue
// and green can be switched by their counts.
func TestBackendOfNone(t *testing.T) {
	c := mustLoad(t, `
instance "blue" { count = 0 }
instance "green" { count = 2 }
load_balancer "lb" {
  backend { instance = instance.blue }
  backend { instance = instance.green }
  listener "tcp" "80" {}
}
`)
	if got := c.LoadBalancers[0].Backends; len(got) != 2 || got[0].Instance != "instance.green[0]" {
		t.Errorf("backends %v", got)
	}
}

// for_each may carry values that wait for addresses; only its keys may not.
func TestForEachWithAllocatedValues(t *testing.T) {
	c := mustLoad(t, `
instance "a" {}
dns_zone "a.test" {
  for_each = { x = instance.a.address }
  record "www" "A" { value = each.value }
}
`)
	if got := c.DNSZones[0].Records[0].Values[0]; got != "127.10.0.2" {
		t.Errorf("value %s", got)
	}
}

func TestDynamicBlocks(t *testing.T) {
	c := mustLoad(t, `
variable "pages" { default = { "/a" = "A", "/b" = "B" } }
instance "a" {
  count = 2
  dynamic "page" {
    for_each = var.pages
    labels   = [page.key]
    content { content = "${page.value} of ${count.index}" }
  }
}
load_balancer "lb" {
  dynamic "backend" {
    for_each = instance.a
    iterator = it
    content {
      instance = it.value
      weight   = 10 + it.key
    }
  }
  dynamic "listener" {
    for_each = [80, 81]
    labels   = ["tcp", listener.value]
    content {
      dynamic "health_check" {
        for_each = listener.value == 81 ? ["once"] : []
        content { enabled = false }
      }
    }
  }
}
`)
	lb := c.LoadBalancers[0]
	if p := c.Instances[1].Pages; len(p) != 2 || p[1].Path != "/b" || p[1].Content != "B of 1" {
		t.Errorf("pages %v", p)
	}
	if got := fmt.Sprint(lb.Backends); got != "[{instance.a[0] invalid IP 0 10 0 http1 } {instance.a[1] invalid IP 0 11 0 http1 }]" {
		t.Errorf("backends %v", got)
	}
	if len(lb.Listeners) != 2 || !lb.Listeners[0].HealthCheck.Enabled || lb.Listeners[1].HealthCheck.Enabled {
		t.Errorf("listeners %+v", lb.Listeners)
	}
}

func TestLongChains(t *testing.T) {
	chain := func(n int) string {
		var b strings.Builder
		b.WriteString("locals {\n a0 = 1\n")
		for i := range n {
			fmt.Fprintf(&b, " a%d = local.a%d\n", i+1, i)
		}
		fmt.Fprintf(&b, "}\noutput \"x\" { value = local.a%d }\n", n)
		return b.String()
	}
	if got := outputs(t, chain(500)); got["x"] != "1" {
		t.Errorf("got %v", got)
	}
	_, diags := load(t, chain(20000))
	if !slices.ContainsFunc(diags, func(d Diagnostic) bool { return d.Summary == "Reference chain too long" }) {
		t.Errorf("got %s", render(diags[:1]))
	}
}
