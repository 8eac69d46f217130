package runtime

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"slbctl/runtime/control"
	"slbctl/runtime/durable/durabletest"
	"slbctl/spec"
)

// TestDamagedCommittedGeneration looks at every kind of damage: looking changes
// nothing, and the daemon puts the file aside under a name that is free.
func TestDamagedCommittedGeneration(t *testing.T) {
	path := filepath.Join("/w", control.Folder, committedFile)
	disk := durabletest.New()
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := writeCommitted(disk, "/w", newCommitted(control.Generation{Generation: 4, Hash: "h"}, &spec.Config{})); err != nil {
		t.Fatal(err)
	}
	whole, _ := disk.ReadFile(path)
	if c, err := readCommitted(disk, "/w"); err != nil || c.Generation != 4 || c.Hash != "h" {
		t.Fatalf("a whole file: %+v, %v", c, err)
	}
	flipped := strings.Replace(string(whole), `"hash": "h"`, `"hash": "g"`, 1)
	for i, content := range []string{"", string(whole[:len(whole)/2]), flipped, `{"generation": 4}`, "\x00\x00"} {
		disk.Put(path, []byte(content))
		var damaged *DamagedError
		if _, err := lookAtCommitted(disk, "/w"); !errors.As(err, &damaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", content, err)
		}
		if kept, _ := disk.ReadFile(path); string(kept) != content {
			t.Errorf("%q: looking at it has changed it", content)
		}
		c, err := readCommitted(disk, "/w")
		if err != nil || c.Generation != 0 || c.Config == nil {
			t.Errorf("%q: %+v, %v, want generation 0", content, c, err)
		}
		aside := path + ".corrupt-" + string(rune('1'+i))
		if kept, err := disk.ReadFile(aside); err != nil || string(kept) != content {
			t.Errorf("%q: %s holds %q, %v", content, aside, kept, err)
		}
		if c, err := readCommitted(disk, "/w"); err != nil || c.Generation != 0 {
			t.Errorf("%q: the second time %+v, %v", content, c, err)
		}
	}
}

// TestCommittedByAnotherVersion is left alone: it is whole, and somebody's.
func TestCommittedByAnotherVersion(t *testing.T) {
	disk := durabletest.New()
	if err := disk.MkdirAll(filepath.Join("/w", control.Folder)); err != nil {
		t.Fatal(err)
	}
	c := newCommitted(control.Generation{Generation: 4}, &spec.Config{})
	c.FormatVersion = "9.0"
	if err := writeCommitted(disk, "/w", c); err != nil {
		t.Fatal(err)
	}
	if _, err := readCommitted(disk, "/w"); err == nil || !strings.Contains(err.Error(), "another slbctl") {
		t.Errorf("read: %v", err)
	}
	if names, _ := disk.ReadDir(filepath.Join("/w", control.Folder)); len(names) != 1 {
		t.Errorf("files %v, want the one", names)
	}
}
