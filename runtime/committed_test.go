package runtime

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
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
	flipped := strings.Replace(string(whole), `"hash":"h"`, `"hash":"g"`, 1)
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

// TestKilledWriterOfCommitted: what it left goes when the next daemon comes up.
func TestKilledWriterOfCommitted(t *testing.T) {
	disk := durabletest.New()
	folder := filepath.Join("/w", control.Folder)
	if err := writeCommitted(disk, "/w", newCommitted(control.Generation{Generation: 4}, &spec.Config{})); err != nil {
		t.Fatal(err)
	}
	disk.Put(folder+"/."+committedFile+".17-1.tmp", []byte("half"))
	if _, err := lookAtCommitted(disk, "/w"); err != nil || len(disk.Names()) != 2 {
		t.Errorf("looking: %v, %v", err, disk.Names())
	}
	if c, err := readCommitted(disk, "/w"); err != nil || c.Generation != 4 || len(disk.Names()) != 1 {
		t.Errorf("coming up: %v, %v", err, disk.Names())
	}
}

// TestFullDiskIsToldOnce: the old generation that is still in place is not written again.
func TestFullDiskIsToldOnce(t *testing.T) {
	disk := durabletest.New()
	if there, err := Persist(disk, "/w", 0, 1); there != 1 || err != nil {
		t.Fatal(there, err)
	}
	disk.Fill()
	there, err := Persist(disk, "/w", 1, 2)
	if text := fmt.Sprint(err); there != 1 || !errors.Is(err, syscall.ENOSPC) || strings.Count(text, "no space") != 1 {
		t.Errorf("%d is there: %s", there, text)
	}
}
