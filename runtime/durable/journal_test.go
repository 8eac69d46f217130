package durable_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"slbctl/runtime/durable"
	"slbctl/runtime/durable/durabletest"
)

func open(t testing.TB, fsys durable.FS, path string) *durable.Journal {
	t.Helper()
	j, err := durable.OpenJournal(fsys, path)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestJournalOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, durable.OS, path)
	if j.Exists() || len(j.Records()) != 0 {
		t.Fatal("a journal out of nothing")
	}
	want := [][]byte{[]byte("begin"), {}, []byte("a\nb\x00c")}
	for _, r := range want {
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, durable.OS, path)
	if !slices.EqualFunc(again.Records(), want, bytes.Equal) || again.Torn() != 0 {
		t.Fatalf("read %q, torn %d", again.Records(), again.Torn())
	}
	if err := again.Remove(); err != nil {
		t.Fatal(err)
	}
	if open(t, durable.OS, path).Exists() {
		t.Error("still there")
	}
	if err := again.Remove(); err != nil {
		t.Errorf("removing it twice: %v", err)
	}
}

// TestJournalCutAnywhere cuts a journal of three records at each byte, and flips
// each byte: what is read is always a prefix of what was written.
func TestJournalCutAnywhere(t *testing.T) {
	disk := durabletest.New()
	j := open(t, disk, "/j")
	records := [][]byte{[]byte("first"), []byte("second\n"), []byte("third")}
	ends := []int{0}
	for _, r := range records {
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
		data, _ := disk.ReadFile("/j")
		ends = append(ends, len(data))
	}
	whole, _ := disk.ReadFile("/j")
	check := func(data []byte, intact int) {
		t.Helper()
		d := durabletest.New()
		d.Put("/j", data)
		got := open(t, d, "/j")
		if !slices.EqualFunc(got.Records(), records[:intact], bytes.Equal) {
			t.Errorf("read %q, want the first %d", got.Records(), intact)
		}
		if got.Torn() != len(data)-ends[intact] {
			t.Errorf("torn %d, want %d", got.Torn(), len(data)-ends[intact])
		}
		if got.Torn() > 0 && got.Append([]byte("x")) == nil {
			t.Error("appended behind a torn record")
		}
	}
	before := func(n int) int { // whole records in the first n bytes
		return len(ends) - 1 - slices.IndexFunc([]int{ends[3], ends[2], ends[1], 0}, func(e int) bool { return e <= n })
	}
	for n := range len(whole) + 1 {
		check(whole[:n], before(n))
	}
	for i := range whole {
		for bit := range 8 {
			flipped := slices.Clone(whole)
			flipped[i] ^= 1 << bit
			check(flipped, before(i))
		}
	}
}

// TestJournalStoppedAnywhere stops an append at each operation: the records
// before it are always there, and the record itself once Append has returned.
func TestJournalStoppedAnywhere(t *testing.T) {
	for _, loss := range durabletest.Losses {
		for at, done := 1, false; !done; at++ {
			disk := durabletest.New()
			disk.ShortWrites(at)
			disk.StopAt(at, nil)
			j := open(t, disk, "/j")
			written := 0
			for _, r := range []string{"one", "two", "three"} {
				if j.Append([]byte(r)) != nil {
					break
				}
				written++
			}
			done = written == 3
			got := open(t, disk.Reboot(loss), "/j")
			if n := len(got.Records()); n != written && n != written+1 {
				t.Errorf("loss %d, stop at %d: %d records of %d", loss, at, n, written)
			}
		}
	}
}

func TestJournalOutOfSpace(t *testing.T) {
	disk := durabletest.New()
	j := open(t, disk, "/j")
	if err := j.Append([]byte("kept")); err != nil {
		t.Fatal(err)
	}
	disk.StopAt(2, syscall.ENOSPC)
	if err := j.Append([]byte("lost")); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	if err := j.Append([]byte("later")); err == nil {
		t.Error("appended behind a torn record")
	}
	again := open(t, disk, "/j")
	if len(again.Records()) != 1 || again.Torn() == 0 {
		t.Errorf("%d records, torn %d", len(again.Records()), again.Torn())
	}
}

func TestJournalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "records")
		disk := durabletest.New()
		j, err := durable.OpenJournal(disk, "/j")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range want {
			if err := j.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		again, err := durable.OpenJournal(disk, "/j")
		if err != nil || again.Torn() != 0 || !slices.EqualFunc(again.Records(), want, bytes.Equal) {
			t.Fatalf("read %q, torn %d, %v", again.Records(), again.Torn(), err)
		}
	})
}

// FuzzOpenJournal holds that no content makes the reader fail or invent bytes.
func FuzzOpenJournal(f *testing.F) {
	f.Add([]byte("00000005 364b3fb7 abcde\n"))
	f.Add([]byte("ffffffff 00000000 "))
	f.Fuzz(func(t *testing.T, data []byte) {
		disk := durabletest.New()
		disk.Put("/j", data)
		j := open(t, disk, "/j")
		size := j.Torn()
		for _, r := range j.Records() {
			size += len(r) + 19
		}
		if size != len(data) {
			t.Errorf("%d bytes of %d accounted for", size, len(data))
		}
	})
}
