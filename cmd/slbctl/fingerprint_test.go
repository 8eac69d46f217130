package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVariablesDigest(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "prod values.hcl")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := []byte("a key")
	take := func(environ []string, files ...string) string {
		t.Helper()
		sum, err := variablesDigest(key, environ, files)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	write("a = 1")
	environ := []string{"SLBCTL_VAR_a=1", "SLBCTL_VAR_b=2", "HOME=/root"}
	first := take(environ, file)

	same := map[string]string{
		"again":            take(environ, file),
		"another order":    take([]string{"SLBCTL_VAR_b=2", "SLBCTL_VAR_a=1"}, file),
		"another variable": take(append(environ, "LANG=C"), file),
	}
	for what, got := range same {
		if got != first {
			t.Errorf("%s: the digest is another", what)
		}
	}
	different := map[string]string{
		"another value": take([]string{"SLBCTL_VAR_a=2", "SLBCTL_VAR_b=2"}, file),
		"one fewer":     take([]string{"SLBCTL_VAR_a=1"}, file),
		"no file":       take(environ),
	}
	key = []byte("another key")
	different["another key"] = take(environ, file)
	key = []byte("a key")
	write("a = 2")
	different["another content"] = take(environ, file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	different["the file is gone"] = take(environ, file)
	for what, got := range different {
		if got == first {
			t.Errorf("%s: the digest is the same", what)
		}
	}

	files, err := following(first)
	if diff := cmp.Diff([]string{file}, files); err != nil || diff != "" {
		t.Errorf("following: %v\n%s", err, diff)
	}
	if files, err := following(take(nil)); err != nil || len(files) != 0 {
		t.Errorf("following without files: %q, %v", files, err)
	}
	if files, err := following(""); err != nil || len(files) != 0 {
		t.Errorf("following of nothing: %q, %v", files, err)
	}
	if _, err := following("sha256:0 %zz"); err == nil || !strings.Contains(err.Error(), "%zz") {
		t.Errorf("following of a broken name: %v", err)
	}
}

func TestDigestTellsNamesFromContents(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"a": "b", "ab": ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, err := digest(nil, []string{"a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := digest(nil, []string{"ab"}, nil)
	if err != nil || one == other {
		t.Errorf("files that differ have the digest %s, %v", other, err)
	}
	if _, err := digest(nil, []string{"."}, nil); err == nil {
		t.Error("a folder has a digest")
	}
}
