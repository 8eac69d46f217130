package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slbctl/runtime/durable"
	"slbctl/runtime/durable/durabletest"
)

func TestSecretsOnDisk(t *testing.T) {
	folder := filepath.Join(t.TempDir(), ".slbctl")
	s := durable.SecretsIn(durable.OS, folder)
	if names, err := s.Names(); names != nil || err != nil {
		t.Errorf("before there are any: %v, %v", names, err)
	}
	if err := errors.Join(s.Remove("a"), s.Put("b", "B"), s.Put("a", "old"), s.Put("a", "A")); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]fs.FileMode{"": 0o700, "a": 0o600} {
		info, err := os.Stat(filepath.Join(folder, "secrets", file))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v %v", file, info.Mode(), err)
		}
	}
	left := filepath.Join(folder, "secrets", ".c.1-2.tmp")
	if err := os.WriteFile(left, []byte("C"), 0o600); err != nil {
		t.Fatal(err)
	}
	if names, err := s.Names(); !slices.Equal(names, []string{"a", "b", "c"}) || err != nil {
		t.Errorf("names %v, %v", names, err)
	}
	if err := s.Remove("a", "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is removed: %v", err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Error("what a killed writer left is there")
	}
	if text, err := s.Get("b"); text != "B" || err != nil {
		t.Errorf("%q %v", text, err)
	}
	for _, name := range []string{"", ".", "..", "../key", "/etc/passwd", ".b", "a\x00"} {
		if _, err := s.Get(name); err == nil || errors.Is(err, fs.ErrNotExist) || s.Put(name, "x") == nil {
			t.Errorf("%q is taken as a name", name)
		}
	}
}

// TestSecretsClearUp: who writes a secret clears away what a writer of it has left that was
// killed.
func TestSecretsClearUp(t *testing.T) {
	disk := durabletest.New()
	disk.Put("/d/secrets/.a.17-1.tmp", []byte("the sec"))
	disk.Put("/d/secrets/.b.17-1.tmp", []byte("another"))
	if err := durable.SecretsIn(disk, "/d").Put("a", "the secret"); err != nil {
		t.Fatal(err)
	}
	if names := disk.Names(); !slices.Equal(names, []string{"/d/secrets/.b.17-1.tmp", "/d/secrets/a"}) {
		t.Error(names)
	}
}

// TestSecretsStoppedAnywhere: a secret is whole or not there, whatever stops its writer.
func TestSecretsStoppedAnywhere(t *testing.T) {
	for _, loss := range durabletest.Losses {
		for at, done := 1, false; !done; at++ {
			disk := durabletest.New()
			disk.ShortWrites(3)
			disk.StopAt(at, nil)
			err := durable.SecretsIn(disk, "/d").Put("a", "the secret")
			done = !disk.Stopped()
			text, readErr := durable.SecretsIn(disk.Reboot(loss), "/d").Get("a")
			switch {
			case done && (err != nil || text != "the secret"):
				t.Fatalf("loss %d: %v, found %q", loss, err, text)
			case readErr != nil && !errors.Is(readErr, fs.ErrNotExist), readErr == nil && text != "the secret":
				t.Errorf("loss %d, stop at %d (%s): %q %v", loss, at, strings.Join(disk.Log, " "), text, readErr)
			}
		}
	}
}
