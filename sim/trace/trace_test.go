package trace

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const logs = "../../testdata/logs/"

// dump writes a summary and a trace down for people.
func dump(s *Summary, t *Trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d requests of %d clients for %d targets, from %s, %d out of order\n",
		s.Format, s.Requests, s.Clients, s.Targets, s.Start.Format(time.RFC3339Nano), s.Disordered)
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "unread: %d, %s: %v\n", p.Entries, p.Reason, p.Lines)
	}
	for r := (Request{}); t.Next(&r); {
		x := t.Targets[r.Target]
		fmt.Fprintf(&b, "%v  client %d = %s port %d  %s %q %s  status %d, %d bytes, %v, by %q\n",
			r.At, r.Client, t.Clients[r.Client], r.Port, x.Method, x.Host, x.Path, r.Status, r.Bytes, r.Took, t.Servers[r.Server])
	}
	if err := t.Err(); err != nil {
		fmt.Fprintln(&b, "error:", err)
	}
	return b.String()
}

// importFile imports a log into a trace of the test's own.
func importFile(t *testing.T, log string, opt Options) (*Summary, string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.trace")
	s, err := ImportFile(context.Background(), log, out, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s, out
}

func openTrace(t *testing.T, path string, opt Options) *Trace {
	t.Helper()
	x, err := Open(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// TestFormats: each sample is recognised and read as its golden file says, is read the same
// by its format's name, compressed, and without a trace file in between.
func TestFormats(t *testing.T) {
	samples, err := filepath.Glob(logs + "*")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, path := range samples {
		if strings.HasSuffix(path, ".golden") {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			s, out := importFile(t, path, Options{})
			read[s.Format] = true
			got := dump(s, openTrace(t, out, Options{}))
			golden := path + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			if direct := dump(s, openTrace(t, path, Options{Format: s.Format})); direct != got {
				t.Errorf("read without a file in between\n%sinstead of\n%s", direct, got)
			}
			if packed := dump(s, openTrace(t, packed(t, path), Options{})); packed != got {
				t.Errorf("read compressed\n%sinstead of\n%s", packed, got)
			}
		})
	}
	for _, name := range Formats() {
		if !read[name] {
			t.Errorf("there is no sample of %s", name)
		}
	}
}

// packed compresses a file.
func packed(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(text)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "log.gz")
	if err := os.WriteFile(out, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// combinedLines are lines of the combined format, some ms apart.
func combinedLines(n int, second func(i int) int) string {
	var b strings.Builder
	start := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	for i := range n {
		at := start.Add(time.Duration(second(i)) * time.Second)
		fmt.Fprintf(&b, "203.0.%d.%d - - [%s] \"GET /item/%d HTTP/1.1\" 200 612 \"-\" \"curl/8.5.0\"\n", i/250%250, i%250, at.Format(clfTime), i)
	}
	return b.String()
}

// TestOrder: what is out of order is sorted, equal times stay as they were, and a merge of
// many small runs gives what one sort in memory gives.
func TestOrder(t *testing.T) {
	log := combinedLines(10000, func(i int) int { return i*7919%1000 + i/100 })
	read := func(size int) (paths []string, last time.Duration) {
		src, _, err := open(strings.NewReader(log), "")
		if err != nil {
			t.Fatal(err)
		}
		im := importer{source: src, names: newNames(nil), sorter: sorter{dir: t.TempDir(), size: size}}
		defer im.sorter.close()
		if err := im.read(context.Background()); err != nil {
			t.Fatal(err)
		}
		if im.sorter.disordered == 0 {
			t.Error("nothing was out of order")
		}
		err = im.sorter.each(func(r *Request) error {
			if r.At < last {
				t.Fatalf("run size %d: %v after %v", size, r.At, last)
			}
			last = r.At
			paths = append(paths, im.names.targets[r.Target].Path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return paths, last
	}
	want, _ := read(1 << 20)
	for _, size := range []int{1, 7, 100, 9999, 10000} {
		if got, _ := read(size); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("runs of %d requests are merged into another order", size)
		}
	}
	if len(want) != 10000 {
		t.Errorf("%d requests", len(want))
	}
}

// TestCutTrace cuts a trace at every length, and changes every byte of it: neither is ever
// replayed as if it were whole.
func TestCutTrace(t *testing.T) {
	_, path := importFile(t, logs+"slbctl.log", Options{})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replay := func(data []byte) error {
		x, err := newTrace(bytes.NewReader(data), int64(len(data)), func() error { return nil })
		if err != nil {
			return err
		}
		for r := (Request{}); x.Next(&r); {
		}
		return x.Err()
	}
	if err := replay(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if replay(whole[:n]) == nil {
			t.Errorf("cut after %d of %d bytes it is replayed", n, len(whole))
		}
		changed := bytes.Clone(whole)
		changed[n] ^= 0x41
		if replay(changed) == nil {
			t.Errorf("with byte %d changed it is replayed", n)
		}
	}
	if replay(append(bytes.Clone(whole), 0)) == nil {
		t.Error("with a byte more it is replayed")
	}
}

// TestBadLogs: what cannot be imported is refused with its place, and leaves nothing behind.
func TestBadLogs(t *testing.T) {
	z := func(cut int) string {
		b, err := os.ReadFile(packed(t, logs+"combined.log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:len(b)-cut])
	}
	for name, c := range map[string]struct {
		log, format, want string
	}{
		"empty":           {"", "", "the log is empty"},
		"blank":           {"\n\n  \n", "", "the log is empty"},
		"garbage":         {"\x7fELF\x02\x01\x00\x00\xff\xfe", "", `line 1: a log in none of the known formats (har, gor, slb, json, haproxy, combined), whose first line is "\x7fELF\x02\x01\x00\x00\xff\xfe"`},
		"prose":           {"Dear diary,\n", "", `line 1: a log in none of the known formats (har, gor, slb, json, haproxy, combined), whose first line is "Dear diary,"`},
		"another":         {"{}\n\n{}\nx\n", "json", "line 1: no time that can be read; none of the 3 entries of this log can be read as json"},
		"no such format":  {"x\n", "iis", `there is no format "iis": it is one of har, gor, slb, json, haproxy, combined`},
		"one long line":   {strings.Repeat("x", 10<<20), "combined", "line 1: a line over 256 KiB; none of the 1 entries of this log can be read as combined"},
		"gzip cut":        {z(9), "", "gzip: unexpected EOF"},
		"gzip of nothing": {"\x1f\x8b", "", "gzip: unexpected EOF"},
		"har cut":         {`{"log":{"entries":[{"startedDateTime":"2026-11-28T08:14:00Z","request":{"method":"GET","url":"http://a/"}}`, "", "not a HAR: it ends in the middle"},
		"har without":     {`{"log":{"pages":[]}}`, "", `byte 18, after 0 entries: not a HAR: no "entries"`},
		"har of none":     {`{"log":{"entries":[]}}`, "", "the log has no entries"},
		"trace":           {magic + "\x01", "", "this is a trace already"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
			if err := os.WriteFile(in, []byte(c.log), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ImportFile(context.Background(), in, out, Options{Format: c.format})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), in+": ") {
				t.Errorf("error %v, want %s", err, c.want)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != 1 {
				t.Errorf("%v is left (%v), want only the log", left, err)
			}
		})
	}
}

// TestMixedLog: lines that cannot be read are counted with their places, and the others
// are read.
func TestMixedLog(t *testing.T) {
	good := strings.Split(combinedLines(5, func(i int) int { return i }), "\n")
	log := strings.Join([]string{
		good[0], "\x00\x00\x00\x00", "", good[1], strings.Repeat("y", 300<<10), good[2], "host.example " + good[2][10:],
		"\x00", "\x00", "\x00", good[3], strings.Replace(good[4], "[28/", "[32/", 1), strings.Replace(good[4], "200", "OK", 1),
	}, "\r\n")
	path := filepath.Join(t.TempDir(), "mixed.log")
	if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := importFile(t, path, Options{})
	want := []string{
		"fewer fields than the format has 4 [2 8 9]", "a line over 256 KiB 1 [5]", "no client address 1 [7]",
		"no time that can be read 1 [12]", "no status 1 [13]",
	}
	var got []string
	for _, p := range s.Problems {
		got = append(got, fmt.Sprint(p.Reason, " ", p.Entries, " ", p.Lines))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || s.Requests != 4 || s.Unread != 8 {
		t.Errorf("%d requests, %d unread:\n%s\nwant\n%s", s.Requests, s.Unread, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAnonymize: clients stay in their network and apart from each other; equal keys give
// equal addresses and other keys others.
func TestAnonymize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte(combinedLines(1000, func(i int) int { return i })), 0o600); err != nil {
		t.Fatal(err)
	}
	clients := func(key string) *Trace {
		opt := Options{}
		if key != "" {
			opt.AnonymizeKey = []byte(key)
		}
		return openTrace(t, path, opt)
	}
	plain, a, again, b := clients(""), clients("a"), clients("a"), clients("b")
	seen, same, alike := map[string]bool{}, 0, 0
	for i, c := range a.Clients {
		network, err := plain.Clients[i].Prefix(24)
		if err != nil || !network.Contains(c) {
			t.Fatalf("%s became %s, in another network", plain.Clients[i], c)
		}
		if c != again.Clients[i] {
			t.Fatalf("%s became %s and %s under one key", plain.Clients[i], c, again.Clients[i])
		}
		if seen[c.String()] = true; c == plain.Clients[i] {
			same++
		}
		if c == b.Clients[i] {
			alike++
		}
	}
	if len(seen) != 1000 || same > 30 || alike > 30 {
		t.Errorf("%d addresses of 1000 clients; %d stay as they are, %d are the same under another key", len(seen), same, alike)
	}
	v6 := newAnonymizer([]byte("a"))
	x, y := address([]byte("2001:db8:1::7")), address([]byte("2001:db8:1::8"))
	if p, _ := x.Prefix(48); !p.Contains(v6.of(x)) || v6.of(x) == x || v6.of(x) == v6.of(y) {
		t.Errorf("%s became %s, %s became %s", x, v6.of(x), y, v6.of(y))
	}
}

// TestCancelled: an import that is interrupted leaves nothing.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	if _, err := ImportFile(ctx, logs+"combined.log", filepath.Join(dir, "out"), Options{}); err != context.Canceled && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// endless is a log without end, of a line without end.
type endless struct{ text string }

func (e endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		n += copy(b[n:], e.text)
	}
	return n, nil
}

// TestLongHAR: an entry that is longer than memory should have is an error.
func TestLongHAR(t *testing.T) {
	h := newHAR(io.MultiReader(strings.NewReader(`{"log":{"entries":[{"request":{"url":"`), endless{strings.Repeat("x", 4096)}))
	h.limit = 1 << 20
	var e entry
	if err := h.next(&e); !errors.Is(err, errLongHAR) {
		t.Errorf("error %v", err)
	}
	if h.in.left > 0 {
		t.Errorf("%d bytes were left", h.in.left)
	}
}
