package spec

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// loadFiles loads a folder of files; "../" leads to folders beside it.
func loadFiles(t testing.TB, files map[string]string, opts ...func(*Options)) (*Config, Diagnostics) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	for name, src := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var opt Options
	for _, o := range opts {
		o(&opt)
	}
	return Load(dir, opt)
}

func mustLoadFiles(t testing.TB, files map[string]string, opts ...func(*Options)) *Config {
	t.Helper()
	c, diags := loadFiles(t, files, opts...)
	if len(diags) > 0 {
		t.Fatalf("unexpected diagnostics:\n%s", render(diags))
	}
	return c
}

func addresses(c *Config) []string {
	var out []string
	for _, r := range c.Resources() {
		out = append(out, r.Address)
	}
	return out
}

// website is a module with everything that one has.
const website = `
variable "greeting" { type = string }
variable "servers" {
  type    = number
  default = 1
}
locals { pages = { for i in range(var.servers) : "s${i}" => "${var.greeting} ${i}" } }
instance "web" {
  for_each = local.pages
  page "/" { content = each.value }
}
load_balancer "lb" {
  backend { instance = instance.web }
  listener "tcp" "80" {
    health_check { enabled = false }
  }
}
output "addr" { value = load_balancer.lb.address }
output "servers" { value = { for k, i in instance.web : k => i.address } }
output "first" { value = instance.web["s0"] }
`

func TestModule(t *testing.T) {
	c := mustLoadFiles(t, map[string]string{
		"main.slb.hcl": `
module "web" {
  source   = "./modules/web"
  greeting = "hello"
  servers  = 2
}
dns_zone "a.test" {
  record "www" "A" { value = module.web.addr }
}
output "servers" { value = module.web.servers }
`,
		"modules/web/main.slb.hcl": website,
	})
	want := []string{
		`module.web.instance.web["s0"]`, `module.web.instance.web["s1"]`,
		`module.web.load_balancer.lb`, `module.web.load_balancer.lb.listener["tcp:80"]`,
		`dns_zone["a.test"]`, `dns_zone["a.test"].record["www:A"]`,
	}
	if diff := cmp.Diff(want, addresses(c)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	lb := c.LoadBalancer("module.web.load_balancer.lb")
	if got := c.DNSZones[0].Records[0].Values; len(got) != 1 || got[0] != lb.IP.String() {
		t.Errorf("record = %v, want %v", got, lb.IP)
	}
	if got := c.DNSZones[0].Records[0].Refs; len(got) != 1 || got[0] != lb.Address {
		t.Errorf("refs = %v", got)
	}
	if got := c.Instances[1].Pages[0].Content; got != "hello 1" {
		t.Errorf("page = %q", got)
	}
	if got := c.Outputs[0].Value.(map[string]any)["s1"]; got != c.Instances[1].IP.String() {
		t.Errorf("output = %v", got)
	}
	if got := c.Instances[0].Name; got != "web" {
		t.Errorf("name = %q", got)
	}
}

// What a module is asked for may be said by count and for_each, by resources, and by what
// other modules offer.
func TestModulesRepeat(t *testing.T) {
	c := mustLoadFiles(t, map[string]string{
		"main.slb.hcl": `
variable "sites" { default = { b = 2, a = 1 } }
module "site" {
  for_each = var.sites
  source   = "./web"
  greeting = each.key
  servers  = each.value
}
module "more" {
  count    = 2
  source   = "./web"
  greeting = "${count.index} of ${module.site["b"].servers["s1"]}"
}
server_group "all" {
  backend { instance = module.site["a"].first }
  backend { instance = module.more[1].first }
}
load_balancer "front" {
  listener "tcp" "80" { server_group = server_group.all }
}
output "all"   { value = module.more[*].addr }
output "named" { value = { for k, s in module.site : k => s.addr } }
output "group" { value = [for k in keys(var.sites) : module.site[k].addr] }
`,
		"web/main.slb.hcl": website,
	}, func(o *Options) {})
	want := []string{
		`module.more[0].instance.web["s0"]`, `module.more[1].instance.web["s0"]`,
		`module.site["a"].instance.web["s0"]`, `module.site["b"].instance.web["s0"]`, `module.site["b"].instance.web["s1"]`,
	}
	if diff := cmp.Diff(want, addresses(c)[:len(want)]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	more := c.Instance(`module.more[1].instance.web["s0"]`)
	if got, want := more.Pages[0].Content, "1 of "+c.Instance(`module.site["b"].instance.web["s1"]`).IP.String()+" 0"; got != want {
		t.Errorf("page = %q, want %q", got, want)
	}
	if got, want := more.Refs, []string{`module.site["b"].instance.web["s0"]`, `module.site["b"].instance.web["s1"]`}; !cmp.Equal(got, want) {
		t.Errorf("refs = %q, want %q", got, want)
	}
	if got := c.ServerGroups[0].Backends[1].Instance; got != more.Address {
		t.Errorf("backend = %q", got)
	}
	if got := fmt.Sprint(c.Outputs[1].Name, c.Outputs[1].Value); got != fmt.Sprintf("group[%s %s]",
		c.LoadBalancer(`module.site["a"].load_balancer.lb`).IP, c.LoadBalancer(`module.site["b"].load_balancer.lb`).IP) {
		t.Errorf("output = %s", got)
	}
}

// Modules stand in modules, take resources as arguments, and read files beside theirs,
// though these lie outside of the configuration's folder.
func TestModulesNested(t *testing.T) {
	c := mustLoadFiles(t, map[string]string{
		"main.slb.hcl": `
instance "a" {}
module "outer" {
  source  = "../shared/outer"
  servers = [instance.a]
}
output "text" { value = module.outer.text }
output "root" { value = "${path.root} ${path.module} ${file("${path.module}/own.txt")}" }
`,
		"own.txt": "mine",
		"../shared/outer/main.slb.hcl": `
variable "servers" { type = list(any) }
module "inner" {
  source = "../inner"
  count  = 2
  server = var.servers[0]
  port   = 8000 + count.index
}
output "text" { value = join(" ", concat(module.inner[*].text, [path.module])) }
`,
		"../shared/inner/main.slb.hcl": `
variable "server" { type = object({ id = string }) }
variable "port"   {}
load_balancer "lb" {
  backend { instance = var.server }
  listener "tcp" "80" {
    backend_port = 80
    health_check { enabled = false }
  }
}
output "text" { value = "${file("${path.module}/a.txt")}${var.port}" }
`,
		"../shared/inner/a.txt": "port",
	})
	want := []string{
		"instance.a", "module.outer.module.inner[0].load_balancer.lb", "module.outer.module.inner[1].load_balancer.lb",
		`module.outer.module.inner[0].load_balancer.lb.listener["tcp:80"]`, `module.outer.module.inner[1].load_balancer.lb.listener["tcp:80"]`,
	}
	if diff := cmp.Diff(want, addresses(c)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := c.LoadBalancers[1].Backends[0].Instance; got != "instance.a" {
		t.Errorf("backend = %q", got)
	}
	if got, want := c.Outputs[1].Value, "port8000 port8001 ../shared/outer"; got != want {
		t.Errorf("text = %v", got)
	}
	if got, want := c.Outputs[0].Value, ". . mine"; got != want {
		t.Errorf("root = %v", got)
	}
	if got, want := c.ModuleFolders, []string{"../shared/inner", "../shared/outer"}; !cmp.Equal(got, want) {
		t.Errorf("folders = %q, want %q", got, want)
	}
}

// Two modules may each use what the other offers, as long as no value needs itself.
func TestModulesOfEachOther(t *testing.T) {
	link := `
variable "value" {}
output "one" { value = "one" }
output "two" { value = "two of ${var.value}" }
`
	c := mustLoadFiles(t, map[string]string{
		"main.slb.hcl": `
module "a" {
  source = "./link"
  value  = module.b.one
}
module "b" {
  source = "./link"
  value  = module.a.two
}
output "x" { value = module.b.two }
`,
		"link/main.slb.hcl": link,
	})
	if got := c.Outputs[0].Value; got != "two of two of one" {
		t.Errorf("output = %v", got)
	}
	_, diags := loadFiles(t, map[string]string{
		"main.slb.hcl": `
module "a" {
  source = "./link"
  value  = module.a.two
}
`,
		"link/main.slb.hcl": link,
	})
	wantSummary(t, diags, "Reference cycle", "module.a.var.value -> module.a.output.two -> module.a.var.value")
}

// A module's variables have types, defaults, validations and secrets as any others.
func TestModuleVariables(t *testing.T) {
	const module = `
variable "size" {
  type = number
  validation {
    condition     = var.size < 3
    error_message = "Too big: ${var.size}."
  }
}
variable "word" {
  default  = "usual"
  nullable = false
}
variable "secret" {
  default   = "none"
  sensitive = true
}
instance "a" {
  count = var.size
  page "/" { content = var.secret }
}
output "word"   { value = var.word }
output "secret" { value = var.secret }
`
	load := func(args string) (*Config, Diagnostics) {
		return loadFiles(t, map[string]string{
			"main.slb.hcl": "module \"m\" {\n  source = \"./m\"\n" + args + "\n}\noutput \"word\" { value = module.m.word }\n", "m/main.slb.hcl": module,
		})
	}
	c, diags := load("size = \"2\"\nword = null\nsecret = \"hunter2\"")
	if len(diags) > 0 {
		t.Fatal(render(diags))
	}
	if len(c.Instances) != 2 || c.Outputs[0].Value != "usual" || !IsSecret(c.Instances[0].Pages[0].Content) {
		t.Errorf("%d instances, word %v, page %q", len(c.Instances), c.Outputs[0].Value, c.Instances[0].Pages[0].Content)
	}
	for args, want := range map[string][2]string{
		"size = 4":                            {"Invalid value for variable", "var.size: Too big: 4."},
		"size = [1]":                          {"Wrong type", "The value of var.size does not fit its type"},
		"":                                    {"Missing argument", "needs the variable size"},
		"size = 1\nsice = 2":                  {"Unsupported argument", `no variable "sice"`},
		"size = 1\nsecret = [\"hunter2\"][7]": {"Invalid index", ""},
	} {
		_, diags := load(args)
		wantSummary(t, diags, want[0], want[1])
		for _, d := range diags {
			if d.Range == nil || d.Range.Filename != "main.slb.hcl" {
				t.Errorf("%s: place %v", d.Summary, d.Range)
			}
		}
		if strings.Contains(render(diags), "hunter2") {
			t.Errorf("a secret is shown:\n%s", render(diags))
		}
	}
	_, diags = load("size = 1\n}\noutput \"x\" {\n  value = module.m.secret")
	wantSummary(t, diags, "Sensitive output", "")
}

// What a module is made from cannot wait for addresses, not even by way of a module.
func TestModuleCountNotKnown(t *testing.T) {
	_, diags := loadFiles(t, map[string]string{
		"main.slb.hcl": `
instance "a" {}
module "n" {
  source = "./n"
  text   = instance.a.address
}
module "m" {
  source   = "./n"
  for_each = toset([module.n.text])
  text     = "x"
}
`,
		"n/main.slb.hcl": "variable \"text\" {}\noutput \"text\" { value = var.text }\n",
	})
	wantSummary(t, diags, "Not known yet", "for_each depends on attributes of instance.a")
}

// Folders without end end: a link to what is around it, and modules that multiply.
func TestModuleLimits(t *testing.T) {
	files := map[string]string{"main.slb.hcl": "module \"a\" {\n  source = \"./m0\"\n}\n"}
	for i := range 30 {
		files[fmt.Sprintf("m%d/main.slb.hcl", i)] = fmt.Sprintf("module \"a\" {\n  source = \"../m%d\"\n}\n", i+1)
	}
	_, diags := loadFiles(t, files)
	wantSummary(t, diags, "Modules nested too deeply", "20 levels")

	files = map[string]string{"m6/main.slb.hcl": "instance \"x\" {}\n"}
	for i := range 6 {
		files[fmt.Sprintf("m%d/main.slb.hcl", i)] = fmt.Sprintf("module \"a\" {\n  source = \"../m%d\"\n  count = 10\n}\n", i+1)
	}
	files["main.slb.hcl"] = "module \"a\" {\n  source = \"./m0\"\n}\n"
	_, diags = loadFiles(t, files)
	wantSummary(t, diags, "Too many modules", "at most 10000 modules")

	var blocks strings.Builder
	files = map[string]string{}
	for i := range maxModuleFolders + 1 {
		fmt.Fprintf(&blocks, "module \"m%d\" {\n  source = \"./m%d\"\n}\n", i, i)
		files[fmt.Sprintf("m%d/main.slb.hcl", i)] = ""
	}
	files["main.slb.hcl"] = blocks.String()
	_, diags = loadFiles(t, files)
	wantSummary(t, diags, "Too many module folders", "1000")
}

func TestModuleAddresses(t *testing.T) {
	for _, c := range []struct{ address, module, block, around string }{
		{`instance.a`, "", "", ""},
		{`instance.a[0]`, "", "instance.a", ""},
		{`dns_zone["a.test"]`, "", "", ""},
		{`dns_zone["a.test"][0]`, "", `dns_zone["a.test"]`, ""},
		{`module.m`, "module.m", "", ""},
		{`module.m["x.y[\"]"]`, `module.m["x.y[\"]"]`, "module.m", ""},
		{`module.m["a"].module.n[1]`, `module.m["a"].module.n[1]`, `module.m["a"].module.n`, `module.m["a"]`},
		{`module.m["a.b"].instance.a["c"]`, `module.m["a.b"]`, `module.m["a.b"].instance.a`, `module.m["a.b"]`},
		{`module.m[0].dns_zone["a.test"]`, `module.m[0]`, "", `module.m[0]`},
		{`module.m.load_balancer.b.listener["tcp:80"]`, "module.m", "", "module.m"},
	} {
		if got := [3]string{Module(c.address), BlockOf(c.address), outer(c.address)}; got != [3]string{c.module, c.block, c.around} {
			t.Errorf("%s: module, block, outer = %q", c.address, got)
		}
		if address, _, err := CanonicalAddress(c.address); address != c.address && c.block != `dns_zone["a.test"]` {
			t.Errorf("CanonicalAddress(%s) = %s, %v", c.address, address, err)
		}
	}
	for of, want := range map[string][2]bool{ // within it, and in it as a module
		`module.m["a"].instance.web[0]`: {true, false}, `module.m["a"].instance.web`: {true, false},
		`module.m["a"]`: {true, true}, `module.m`: {true, true}, `module.m["b"]`: {false, false}, `module`: {true, false}, `module.m["a"].instance.we`: {false, false},
	} {
		const address = `module.m["a"].instance.web[0]`
		if got := [2]bool{Within(address, of), InModule(address, of)}; got != want {
			t.Errorf("%s within and in %s: %v", address, of, got)
		}
	}
	if NewID("module.m.load_balancer.b", 0)[:3] != "lb-" || NewID(`module.m.load_balancer.b.listener["tcp:80"]`, 0)[:3] != "ls-" {
		t.Error("ids do not begin as their kinds do")
	}
}

// What moves into a module and out of it takes its id and its address along.
func TestModuleMoves(t *testing.T) {
	before := mustLoadFiles(t, map[string]string{
		"main.slb.hcl":   "instance \"first\" {}\ninstance \"a\" {}\nmodule \"m\" {\n  source = \"./m\"\n  count = 2\n}\n",
		"m/main.slb.hcl": "instance \"x\" {}\n",
	})
	recorded := Recorded{Addresses: map[string]netip.Addr{}, IDs: map[string]string{}}
	for _, i := range before.Instances {
		recorded.Addresses[i.Address], recorded.IDs[i.Address] = i.IP, i.ID
	}
	after := mustLoadFiles(t, map[string]string{
		"main.slb.hcl": `
module "n" {
  source = "./m"
  for_each = toset(["a", "b"])
}
module "one" { 
  source = "./m"
}
moved {
  from = instance.a
  to   = module.n["a"].instance.x
}
moved {
  from = module.m[0]
  to   = module.n["b"]
}
moved {
  from = module.m[1]
  to   = module.one
}
removed { from = instance.first }
`,
		"m/main.slb.hcl": "instance \"x\" {}\n",
	}, func(o *Options) { o.Recorded = recorded })
	for from, to := range map[string]string{
		"instance.a": `module.n["a"].instance.x`, `module.m[0].instance.x`: `module.n["b"].instance.x`, `module.m[1].instance.x`: "module.one.instance.x",
	} {
		old, moved := before.Instance(from), after.Instance(to)
		if moved == nil || moved.ID != old.ID || moved.IP != old.IP {
			t.Errorf("%s is not what %s was: %+v", to, from, moved)
		}
	}
}
