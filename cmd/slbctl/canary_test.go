package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// The canaries of TestCanaries: whatever a configuration marks as sensitive, by where it
// comes from.
var canaries = map[string]string{
	"default":  "canary-default-3f9a",
	"file":     "canary\"of <a file> & more-77c1",
	"environ":  "canary-environ-0b2e",
	"line":     "canary-line-d41d",
	"written":  "canary-written-9c88",
	"kept":     "canary-kept-51ce\nin two lines",
	"guess":    "1234", // as easy to guess as secrets are
	"header":   "canary-header-aa07",
	"rotated":  "canary-rotated-e6b3",
	"mistaken": "canary-mistaken-c0de",
}

const canaryConfig = `
runtime {
  network     = "%s"
  port_offset = 8000
}
variable "default" {
  default   = "canary-default-3f9a"
  sensitive = true
}
variable "file" { sensitive = true }
variable "environ" { sensitive = true }
variable "line" { sensitive = true }
variable "guess" { sensitive = true }
variable "header" { sensitive = true }
locals {
  joined  = "Basic ${base64encode("user:${var.environ}")}"
  secrets = { LINE = var.line, PLAIN = "plain" }
}
instance "pages" {
  page "/" { content = "the default is ${var.default}" }
  page "/file" {
    content = var.file
    headers = { "X-Secret" = var.header, "X-Plain" = "plain", "Authorization" = local.joined }
  }
  page "/kept" { content = sensitive(file("kept.txt")) }
  page "/written" {
    content = sensitive("canary-written-9c88")
  }
  page "/guess" { content = var.guess }
  page "/plain" { content = "nothing to hide" }
}
instance "program" {
  command = ["sh", "-c", "exec sleep 1000"]
  env     = merge(local.secrets, { GUESS = var.guess })
}
certificate "own" {
  certificate = file("www.crt")
  private_key = file("www.key")
}
certificate "issued" { domains = ["issued.test"] }
load_balancer "lb" {
  backend { instance = instance.pages }
  listener "http" "80" {
    access_log {}
    health_check { interval = "50ms" }
  }
  listener "https" "443" {
    certificate = certificate.own
    additional_certificate "issued.test" { certificate = certificate.issued }
    health_check { interval = "50ms" }
  }
}
dns_zone "abc.test" {
  record "www" "A" { value = load_balancer.lb.address }
}
output "endpoint" { value = trimprefix(load_balancer.lb.listener["http:80"].url, "http://") }
output "environ" {
  value     = var.environ
  sensitive = true
}
output "all" {
  value     = { pages = instance.pages, guess = var.guess, program = instance.program.env }
  sensitive = true
}
simulation "s" {
  target   = load_balancer.lb
  listener = "http:80"
  duration = "1s"
  traffic "t" { rate = 10 }
}
`

// cage is a folder in which nothing may show a canary but the files that the user wrote,
// .slbctl/secrets and .slbctl/ca/root.key.
type cage struct {
	*folder
	signs map[string][]byte
	told  map[string]bool // once is enough
	env   []string
}

// plant adds what a text looks like where it is written, encoded or digested without a key.
func (c *cage) plant(name, text string) {
	sum := sha256.Sum256([]byte(text))
	for form, sign := range map[string]string{
		"sha256": hex.EncodeToString(sum[:]), "sha256 base64": base64.StdEncoding.EncodeToString(sum[:]),
		"nil key": spec.SecretName(spec.SecretDigest(nil, text)),
	} {
		c.signs[name+" as "+form] = []byte(sign)
	}
	if len(text) < 8 {
		return // it stands in many texts by chance
	}
	quoted := strings.Trim(fmt.Sprintf("%q", text), `"`)
	for form, sign := range map[string]string{
		"it is": text, "quoted": quoted, "JSON": strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(quoted),
		"URL": url.QueryEscape(text), "hex": hex.EncodeToString([]byte(text)), "reversed": reversed(text),
	} {
		c.signs[name+" as "+form] = []byte(sign)
	}
	for shift := range 3 { // base64 of a longer text that ends in it
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + text))
		c.signs[fmt.Sprintf("%s as base64 %d", name, shift)] = []byte(encoded[4 : len(encoded)-3])
	}
}

func reversed(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}

// search fails the test if a text shows a canary.
func (c *cage) search(where string, text []byte) {
	c.t.Helper()
	for name, sign := range c.signs {
		if bytes.Contains(text, sign) && !c.told[name] {
			c.told[name] = true
			c.t.Errorf("%s shows the canary %s", where, name)
		}
	}
}

// does runs a verb that ends with this exit code, and searches all that it prints and all
// that is written afterwards.
func (c *cage) does(want int, args ...string) string {
	c.t.Helper()
	return c.doesOneOf([]int{want}, args...)
}

func (c *cage) doesOneOf(want []int, args ...string) string {
	c.t.Helper()
	out, code := c.run(c.env, args...)
	if !slices.Contains(want, code) {
		c.t.Errorf("slbctl %s: exit %d, want %d\n%s", strings.Join(args, " "), code, want, out)
	}
	where := "slbctl " + strings.Join(args, " ")
	c.search(where, []byte(out))
	c.searchFiles(where)
	return out
}

// searchFiles searches everything below the working folder.
func (c *cage) searchFiles(after string) {
	c.t.Helper()
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what goes away meanwhile shows nothing
		}
		name, err := filepath.Rel(c.dir, path)
		if err != nil {
			return err
		}
		c.search("the name of "+name+" after "+after, []byte(name))
		top, _, _ := strings.Cut(name, string(filepath.Separator))
		switch {
		case filepath.Dir(name) == ".slbctl/secrets", name == ".slbctl/ca/root.key", top == "www.key", top == "kept.txt", top == "values", strings.HasSuffix(top, ".slb.hcl"):
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			c.search(name+" after "+after, data)
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// asks sends requests to every endpoint of the daemon's API, good ones and bad ones.
func (c *cage) asks() {
	c.t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return control.DialSocket(ctx, filepath.Join(c.dir, control.Folder), control.SocketName)
	}}}
	defer client.CloseIdleConnections()
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/v1/status", ""}, {"GET", "/v1/generation", ""}, {"GET", "/v1/drained", ""}, {"GET", "/v1/config", ""}, {"GET", "/", ""},
		{"POST", "/v1/explain", `{"URL":"http://www.abc.test/file","From":"203.0.113.9"}`},
		{"POST", "/v1/explain", `{"url":"http://www.abc.test/file","from":"203.0.113.9","count":3}`},
		{"POST", "/v1/instance", `{"address":"instance.program","running":false}`}, {"POST", "/v1/instance", `{"address":"instance.program","running":true}`},
		{"POST", "/v1/instance", `{"address":"instance.none","running":true}`},
		{"POST", "/v1/drain", `{"address":"instance.pages","drained":true}`}, {"POST", "/v1/drain", `{"address":"instance.pages","drained":false}`},
		{"POST", "/v1/fault", `{"address":"instance.program","fault":{"Hang":true}}`}, {"POST", "/v1/fault", `{"address":"instance.pages","fault":null}`},
		{"POST", "/v1/apply", `{"generation":1,"base":99}`}, {"POST", "/v1/apply", `{"generation":1,"base":`},
	} {
		req, err := http.NewRequest(r.method, "http://runtime"+r.path, strings.NewReader(r.body))
		if err != nil {
			c.t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			c.t.Fatalf("%s %s: %v", r.method, r.path, err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			c.t.Errorf("%s %s: %v", r.method, r.path, err)
		}
		c.search(r.method+" "+r.path, answer)
	}
	c.searchFiles("the API")
}

// TestCanaries plants secrets wherever a configuration can have them, has every verb do what
// it can, and searches every byte that is written or printed.
func TestCanaries(t *testing.T) {
	t.Parallel()
	f := newFolder(t, builtPlain, fmt.Sprintf(canaryConfig, network(t)))
	c := &cage{folder: f, signs: map[string][]byte{}, told: map[string]bool{}, env: []string{"SLBCTL_VAR_environ=" + canaries["environ"], "SLBCTL_VAR_header=" + canaries["header"], "SLBCTL_LOG=debug"}}
	for name, text := range canaries {
		c.plant(name, text)
	}
	f.copy("../../testdata/certificates/www.crt", "www.crt")
	f.copy("../../testdata/certificates/www.key", "www.key")
	for _, line := range strings.Split(f.file("www.key"), "\n") {
		if len(line) > 30 && !strings.HasPrefix(line, "-") {
			c.plant("private key", line)
		}
	}
	f.put("kept.txt", canaries["kept"])
	f.put("values", fmt.Sprintf("file = %q\nguess = %q\n", canaries["file"], canaries["guess"]))
	given := []string{"-var-file=values", "-var=line=" + canaries["line"]}
	with := func(args ...string) []string { return append(args, given...) }

	c.does(1, "validate")
	c.does(0, "fmt", "-check", "-diff")
	c.does(0, with("plan")...)
	c.does(2, with("plan", "-detailed-exitcode", "-json", "-out=first.plan")...)
	c.does(0, "show", "first.plan")
	c.does(0, "show", "-json", "first.plan")
	c.does(0, "apply", "-json", "first.plan")
	c.asks()
	c.serves(map[string]string{
		"/": "the default is " + canaries["default"], "/file": canaries["file"], "/kept": canaries["kept"],
		"/written": canaries["written"], "/guess": canaries["guess"],
	})
	for name, want := range map[string]string{"LINE": canaries["line"], "PLAIN": "plain", "GUESS": canaries["guess"]} {
		if got := c.programEnv(name); got != want {
			t.Errorf("the program has %s=%q, want %q", name, got, want)
		}
	}
	// A change shows that it is one, and nothing else.
	c.does(0, with("plan", "-detailed-exitcode")...)
	given[1] = "-var=line=" + canaries["rotated"]
	if out := c.does(2, with("plan", "-detailed-exitcode")...); !strings.Contains(out, "env.LINE = (sensitive value) -> (sensitive value)") ||
		!strings.Contains(out, "all = (sensitive value)") {
		t.Errorf("a plan with another secret:\n%s", out)
	}
	c.does(0, with("apply", "-auto-approve")...)
	if got := c.programEnv("LINE"); got != canaries["rotated"] {
		t.Errorf("the program has LINE=%q after the change", got)
	}
	for _, args := range [][]string{
		{"show"}, {"show", "-json"}, {"output"}, {"output", "-json"}, {"output", "-raw", "endpoint"}, {"status"}, {"status", "-json"},
		{"state", "list"}, {"state", "list", "-json"}, {"state", "show", "instance.pages"}, {"state", "show", "-json", "instance.program"},
		{"state", "show", "certificate.own"}, {"state", "pull"}, {"state", "history"}, {"state", "history", "-json"},
		{"runtime", "status"}, {"runtime", "status", "-json"}, {"ca", "print"}, {"schema"}, {"version", "-json"},
		{"drain", "instance.pages"}, {"undrain", "instance.pages"}, {"instance", "stop", "instance.program"}, {"instance", "start", "instance.program"},
		{"fault", "instance.pages", "delay=1ms"}, {"fault", "instance.pages", "none"},
		{"explain", "http://www.abc.test/file", "-from", "203.0.113.9"}, {"explain", "http://www.abc.test/file", "-json"},
		{"state", "mv", "instance.program", "instance.job"}, {"state", "mv", "instance.job", "instance.program"},
	} {
		c.does(0, args...)
	}
	for _, name := range []string{"environ", "all"} {
		c.does(1, "output", name)
		c.does(1, "output", "-json", name)
	}
	if out := f.must("output", "-raw", "environ"); out != canaries["environ"] { // who asks for it so wants it
		t.Errorf("output -raw: %q", out)
	}
	c.does(1, "output", "-raw", "all")
	for _, args := range [][]string{
		with("sim"), with("sim", "-json"), with("plan", "-destroy"), with("plan", "-refresh-only"), with("plan", "-replace=instance.pages"),
		with("plan", "-target=instance.program"), {"rollback", "-auto-approve"}, with("apply", "-auto-approve", "-json"),
	} {
		c.does(0, args...)
	}
	// A daemon that was killed comes back with its secrets.
	c.killAll()
	c.does(0, "runtime", "start")
	c.serves(map[string]string{"/file": canaries["file"]})
	// One that has lost them goes without what needs them, says so, and gets them back.
	c.killAll()
	if err := os.RemoveAll(filepath.Join(c.dir, ".slbctl", "secrets")); err != nil {
		t.Fatal(err)
	}
	c.does(0, "runtime", "start")
	for _, part := range []string{`instance.pages: page "/"`, "instance.program: env: ", "certificate.own: its private key"} {
		if out := c.does(0, "status"); !strings.Contains(out, part) {
			t.Errorf("status does not say what is missing: %s\n%s", part, out)
		}
	}
	c.does(1, "output", "-raw", "environ")
	c.does(0, with("apply", "-auto-approve")...)
	c.serves(map[string]string{"/file": canaries["file"]})
	if got := c.programEnv("LINE"); got != canaries["rotated"] {
		t.Errorf("the program has LINE=%q again", got)
	}
	if out := f.must("output", "-raw", "environ"); out != canaries["environ"] {
		t.Errorf("output -raw: %q", out)
	}
	c.does(0, "runtime", "stop")
	c.mistakes(with)
	f.write(fmt.Sprintf(canaryConfig, network(t)))                              // elsewhere, which replaces nothing but addresses
	c.doesOneOf([]int{1, 3}, with("apply", "-auto-approve", "-timeout=1ms")...) // 1: not even prepared by then
	c.does(0, with("destroy", "-auto-approve")...)
}

// mistakes has configurations that are wrong in a place where a secret stands.
func (c *cage) mistakes(with func(...string) []string) {
	c.t.Helper()
	right := c.file("main.slb.hcl")
	for _, wrong := range []string{
		`output "x" { value = var.guess }`,
		`output "x" { value = sensitive("canary-mistaken-c0de") + 1 }`,
		`output "x" { value = parseint(var.line, 10) }`,
		`output "x" { value = instance.pages.page[0].content }`,
		"variable \"v\" {\n  default = \"canary-mistaken-c0de\"\n  sensitive = true\n  validation {\n    condition     = var.v == \"\"\n    error_message = \"not ${var.v}\"\n  }\n}",
		"variable \"v\" {\n  type = number\n  default = \"canary-mistaken-c0de\"\n  sensitive = true\n}",
		"instance \"x\" {\n  page \"/\" { headers = { A = sensitive(\"canary-mistaken-c0de\\n\") } }\n}",
		"instance \"x\" {\n  page \"/\" { file = sensitive(\"canary-mistaken-c0de\") }\n}",
		"instance \"x\" {\n  command = [\"sh\", sensitive(\"canary-mistaken-c0de\")]\n}",
		"instance \"x\" {\n  command = [\"sh\"]\n  env = { \"A=B\" = sensitive(\"canary-mistaken-c0de\") }\n}",
		"instance \"x\" {\n  zone = sensitive(\"canary-mistaken-c0de\")\n}",
		"instance \"x\" {\n  for_each = sensitive(toset([\"canary-mistaken-c0de\"]))\n}",
		"instance \"x\" {\n  dynamic \"page\" {\n    for_each = { \"/\" = sensitive(\"canary-mistaken-c0de\") }\n    labels   = [page.value]\n    content {}\n  }\n}",
		"dns_zone \"x.test\" {\n  record \"a\" \"TXT\" { value = sensitive(\"canary-mistaken-c0de\") }\n}",
		"certificate \"x\" {\n  certificate = file(\"www.crt\")\n  private_key = sensitive(\"canary-mistaken-c0de\")\n}",
		"certificate \"x\" {\n  certificate = file(\"www.crt\")\n  private_key = replace(file(\"www.key\"), \"MIG\", var.line)\n}",
	} {
		c.write(right + wrong + "\n")
		c.does(1, with("apply", "-auto-approve", "-json")...)
	}
	c.does(1, with("plan")...)
	c.does(1, with("sim")...)
	c.does(1, with("validate", "-json")...)
	c.write(right)
	c.does(1, "plan", "-var=file=x", "-var=guess=[", "-var=line="+canaries["mistaken"], "-var=nobody="+canaries["line"])
	c.does(1, with("plan", "-target=instance."+"nobody")...)
}

// serves fetches pages.
func (c *cage) serves(pages map[string]string) {
	c.t.Helper()
	endpoint := c.must("output", "-raw", "endpoint")
	for path, want := range pages {
		resp, err := web(nil).Get("http://" + endpoint + path)
		if err != nil {
			c.t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != want {
			c.t.Errorf("%s is %q, %v, want %q", path, got, err, want)
		}
		if path != "/file" {
			continue
		}
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+canaries["environ"]))
		if h := resp.Header; h.Get("X-Secret") != canaries["header"] || h.Get("X-Plain") != "plain" || h.Get("Authorization") != basic {
			c.t.Errorf("headers %v", h)
		}
	}
	c.searchFiles("requests")
}

// programEnv is a variable of the program that the folder's instances have started.
func (c *cage) programEnv(name string) string {
	c.t.Helper()
	parent := strings.TrimSpace(c.file(".slbctl/instances.pid"))
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		processes, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			c.t.Fatal(err)
		}
		for _, process := range processes {
			stat, _ := os.ReadFile(process + "/stat") // one that has ended meanwhile has none
			_, after, _ := strings.Cut(string(stat), ") ")
			if fields := strings.Fields(after); len(fields) < 2 || fields[1] != parent {
				continue
			}
			environ, _ := os.ReadFile(process + "/environ") // likewise
			for _, v := range strings.Split(string(environ), "\x00") {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value
				}
			}
		}
	}
	c.t.Fatalf("no program has %s", name)
	return ""
}

// put writes a file into the folder.
func (f *folder) put(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}
