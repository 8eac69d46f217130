package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slbctl/sim"
	"slbctl/spec"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fenced returns the blocks of a markdown text between ```LANGUAGE and ```.
func fenced(text, language string) (blocks []string) {
	for _, part := range strings.Split(text, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		blocks = append(blocks, block+"\n")
	}
	return blocks
}

// TestReadme holds README to what the program does: the tutorial is the one that
// init writes, and the simulation's numbers are those that sim prints.
func TestReadme(t *testing.T) {
	readme := read(t, "../../README.md")
	_, tutorial, _ := strings.Cut(read(t, "../../testdata/quickstart/quickstart.slb.hcl"), "\n\n")
	hcl := fenced(readme, "hcl")
	if len(hcl) != 6 {
		t.Fatalf("README has %d blocks of HCL, want the tutorial, events of a simulation, expectations of its balancer, a test, a web listener and HTTPS", len(hcl))
	}
	if diff := cmp.Diff(tutorial, hcl[0]); diff != "" {
		t.Errorf("README's tutorial is not that of init:\n%s", diff)
	}

	folder := t.TempDir()
	servers := "\ninstance \"a\" {}\n"
	for _, group := range []string{"TOM", "JERRY"} {
		servers += "server_group \"" + group + "\" {\n  backend { instance = instance.a }\n}\n"
	}
	expecting := strings.Replace(tutorial, "  listener", hcl[2]+"\n  listener", 1)
	const simulated = `
instance "web" { count = 2 }
load_balancer "lb" {
  backend { instance = instance.web }
  listener "tcp" "80" {}
}
simulation "s" {
  target   = load_balancer.lb
  duration = "10m"
  traffic "t" { rate = 100 }
`
	for _, example := range []string{simulated + hcl[1] + "}\n", expecting, hcl[3] + hcl[4] + servers, hcl[5] + servers} {
		if err := os.WriteFile(filepath.Join(folder, "web.slb.hcl"), []byte(example), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, diags := spec.Load(folder, spec.Options{}); diags.HasErrors() {
			t.Errorf("README's example: %v\n%s", diags, example)
		}
	}

	config, diags := spec.Load("../../testdata/quickstart", spec.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	result, err := sim.Run(config, "ecs02-dies", sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var report bytes.Buffer
	if err := sim.WriteText(&report, []*sim.Result{result}, false); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, block := range fenced(readme, "") {
		if !strings.Contains(block, "nobody-notices") {
			continue
		}
		for line := range strings.Lines(block) {
			if !strings.Contains("\n"+report.String(), "\n"+line) {
				t.Errorf("README shows %q, which sim does not print", line)
			}
			compared++
		}
	}
	if compared == 0 {
		t.Error("README shows no simulation")
	}
}

// TestReadmeExitCodes holds README's table to the enum.
func TestReadmeExitCodes(t *testing.T) {
	readme := read(t, "../../README.md")
	for _, code := range []exitCode{exitOK, exitError, exitChanges, exitFailed, exitInconclusive, exitLocked, exitStale, exitInterrupted, exitUsage} {
		if row := "\n| " + number(int64(code)) + " | "; !strings.Contains(readme, row) {
			t.Errorf("README's table has no row for exit code %d", code)
		}
	}
}

// TestReadmePolicies holds README's table to the language: what it says Go lacks is
// refused in a policy, the rest of the product's suites is not.
func TestReadmePolicies(t *testing.T) {
	readme := read(t, "../../README.md")
	refused := func(suite, version string) bool {
		dir := t.TempDir()
		source := fmt.Sprintf("tls_cipher_policy \"p\" {\n tls_versions = [%q]\n ciphers = [%q]\n}\n", version, suite)
		if err := os.WriteFile(filepath.Join(dir, "p.slb.hcl"), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		_, found := spec.Load(dir, spec.Options{})
		return strings.Contains(fmt.Sprint(found), "does not have")
	}
	product := "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-SHA256 ECDHE-ECDSA-AES256-SHA384 ECDHE-ECDSA-AES128-SHA " +
		"ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-SHA256 ECDHE-RSA-AES256-SHA384 ECDHE-RSA-AES128-SHA " +
		"ECDHE-RSA-AES256-SHA AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA256 AES256-SHA256 AES128-SHA AES256-SHA DES-CBC3-SHA " +
		"TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_CCM_SHA256 TLS_AES_128_CCM_8_SHA256"
	for suite := range strings.FieldsSeq(product) {
		version := "TLSv1.2"
		if strings.HasPrefix(suite, "TLS_") {
			version = "TLSv1.3"
		}
		if told := strings.Contains(readme, "`"+suite+"`"); told != refused(suite, version) {
			t.Errorf("README calls %s absent: %v", suite, told)
		}
	}
	var c spec.Config
	for _, name := range []string{"1_0", "1_1", "1_2", "1_2_strict", "1_2_strict_with_1_3"} {
		p := c.CipherPolicy("tls_cipher_policy_" + name)
		versions := strings.ReplaceAll(strings.Join(p.Versions, ", "), "TLSv", "")
		if !strings.Contains(readme, "| `tls_cipher_policy_"+name+"` | "+versions+" |") && !strings.Contains(readme, "| `tls_cipher_policy_"+name+"` (default here) | "+versions+" |") {
			t.Errorf("README has no row for %s with versions %s", name, versions)
		}
	}
}
