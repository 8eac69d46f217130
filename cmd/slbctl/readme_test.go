package main

import (
	"bytes"
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
	if len(hcl) != 2 {
		t.Fatalf("README has %d blocks of HCL, want the tutorial and a web listener", len(hcl))
	}
	if diff := cmp.Diff(tutorial, hcl[0]); diff != "" {
		t.Errorf("README's tutorial is not that of init:\n%s", diff)
	}

	folder := t.TempDir()
	servers := "\ninstance \"a\" {}\n"
	for _, group := range []string{"TOM", "JERRY"} {
		servers += "server_group \"" + group + "\" {\n  backend { instance = instance.a }\n}\n"
	}
	if err := os.WriteFile(filepath.Join(folder, "web.slb.hcl"), []byte(hcl[1]+servers), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, diags := spec.Load(folder, spec.Options{}); diags.HasErrors() {
		t.Errorf("README's web listener: %v", diags)
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
