package durable_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"slbctl/runtime/durable"
	"slbctl/runtime/durable/durabletest"
)

// TestWriteFileStoppedAnywhere stops a replacement at each of its operations,
// loses what each kind of crash loses, and finds the old or the new content.
func TestWriteFileStoppedAnywhere(t *testing.T) {
	before, after := []byte("the old content"), []byte("the new content, which is longer")
	for _, loss := range durabletest.Losses {
		var seen [2]bool
		for at, done := 1, false; !done; at++ {
			disk := durabletest.New()
			disk.Put("/d/x.json", before)
			disk.ShortWrites(7)
			disk.StopAt(at, nil)
			err := durable.WriteFile(disk, "/d/x.json", after, 0o600)
			done = !disk.Stopped()
			if done != (err == nil) {
				t.Fatalf("stop at %d: error %v", at, err)
			}
			got, err := disk.Reboot(loss).ReadFile("/d/x.json")
			if err != nil {
				t.Fatalf("loss %d, stop at %d (%s): %v", loss, at, disk.Log[len(disk.Log)-1], err)
			}
			isOld, isNew := bytes.Equal(got, before), bytes.Equal(got, after)
			if !isOld && !isNew || done && !isNew {
				t.Errorf("loss %d, stop at %d (%s): found %q", loss, at, disk.Log[len(disk.Log)-1], got)
			}
			seen[0], seen[1] = seen[0] || isOld, seen[1] || isNew
		}
		if !seen[0] || !seen[1] {
			t.Errorf("loss %d: the stops never gave both contents: %v", loss, seen)
		}
	}
}

// TestWriteFileOutOfSpace fails each operation in turn without stopping: the
// old content stays and no temporary file does.
func TestWriteFileOutOfSpace(t *testing.T) {
	for at := 1; ; at++ {
		disk := durabletest.New()
		disk.Put("/d/x", []byte("old"))
		disk.StopAt(at, syscall.ENOSPC)
		err := durable.WriteFile(disk, "/d/x", []byte("new"), 0o600)
		if disk.Ops() < at {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("operation %d: %v", at, err)
		}
		if names := disk.Names(); len(names) != 1 {
			t.Errorf("operation %d left %v", at, names)
		}
		if failed := disk.Log[at-1]; !strings.HasPrefix(failed, "syncdir") {
			if got, _ := disk.ReadFile("/d/x"); string(got) != "old" {
				t.Errorf("%s failed, content is %q", failed, got)
			}
		}
	}
}

func TestWriteFileOnDisk(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, strings.Repeat("d", 150), strings.Repeat("e", 150))
	if err := durable.OS.MkdirAll(deep); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x", strings.Repeat("n", 255)} {
		path := filepath.Join(deep, name)
		for _, want := range []struct {
			data string
			perm fs.FileMode
		}{{"one", 0o600}, {"two", 0o644}} {
			if err := durable.WriteFile(durable.OS, path, []byte(want.data), want.perm); err != nil {
				t.Fatal(err)
			}
			got, err := durable.OS.ReadFile(path)
			if err != nil || string(got) != want.data {
				t.Fatalf("read %q, %v", got, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want.perm {
				t.Errorf("permissions %v, %v; want %v", info.Mode().Perm(), err, want.perm)
			}
		}
	}
	names, err := durable.OS.ReadDir(deep)
	if err != nil || len(names) != 2 {
		t.Errorf("folder holds %v, %v", names, err)
	}
}

func TestWriteFileNowhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent", "x")
	err := durable.WriteFile(durable.OS, path, nil, 0o600)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("got %v", err)
	}
}

func TestRemoveTemps(t *testing.T) {
	disk := durabletest.New()
	disk.Put("/d/x", []byte("old"))
	disk.Put("/d/.xy.1-1.tmp", nil)
	disk.StopAt(3, nil)
	if err := durable.WriteFile(disk, "/d/x", []byte("new"), 0o600); !errors.Is(err, durabletest.ErrStopped) {
		t.Fatal(err)
	}
	disk = disk.Reboot(durabletest.Nothing)
	if n := len(disk.Names()); n != 3 {
		t.Fatalf("%d files before", n)
	}
	if err := durable.RemoveTemps(disk, "/d/x"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(disk.Names(), " "); got != "/d/.xy.1-1.tmp /d/x" {
		t.Errorf("left %s", got)
	}
	if err := durable.RemoveTemps(disk, "/nowhere/x"); err != nil {
		t.Error(err)
	}
}
