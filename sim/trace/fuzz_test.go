package trace

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzImport: whatever a log has in it, under whatever format, it is read or refused, and
// what has been made of it can be replayed to its end, in order, and is not much larger.
func FuzzImport(f *testing.F) {
	samples, err := filepath.Glob(logs + "*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range samples {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for k := -1; k < len(formats); k++ {
			f.Add(text, k)
		}
	}
	f.Add([]byte("\x1f\x8b\x08\x00"), -1)
	f.Add([]byte("1 a 9223372036854775807\nGET / HTTP/1.1\n\n"+string(gorEnd)), 1)
	f.Add([]byte(`{"log":{"entries":[null,{"time":1e300},3,{"startedDateTime":"2026-11-28T08:14:00Z"}]}}`), 0)
	f.Add([]byte("client_ip||time\n||\n||||||"), 2)
	f.Fuzz(func(t *testing.T, text []byte, k int) {
		name := ""
		if k >= 0 {
			name = formats[k%len(formats)].name
		}
		var out bytes.Buffer
		s, err := importLog(context.Background(), bytes.NewReader(text), &out, "", Options{Format: name})
		if err != nil {
			return
		}
		x, err := newTrace(bytes.NewReader(out.Bytes()), int64(out.Len()), func() error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		var r, last Request
		n := int64(0)
		for x.Next(&r) {
			if n++; r.At < last.At {
				t.Fatalf("%v after %v", r.At, last.At)
			}
			last = r
		}
		if x.Err() != nil || n != s.Requests {
			t.Fatalf("%d of %d requests are replayed: %v", n, s.Requests, x.Err())
		}
		if !bytes.HasPrefix(text, []byte("\x1f\x8b")) && out.Len() > 64*len(text)+256 {
			t.Fatalf("%d bytes of log are a trace of %d", len(text), out.Len())
		}
	})
}

// FuzzTrace: whatever a trace has in it, it is replayed or refused.
func FuzzTrace(f *testing.F) {
	for _, name := range []string{"slbctl.log", "haproxy.log"} {
		log, err := os.ReadFile(logs + name)
		if err != nil {
			f.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := importLog(context.Background(), bytes.NewReader(log), &out, f.TempDir(), Options{}); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes(), false)
		f.Add(out.Bytes(), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, mend bool) {
		if mend {
			data = mended(data)
		}
		x, err := newTrace(bytes.NewReader(data), int64(len(data)), func() error { return nil })
		if err != nil {
			return
		}
		for r := (Request{}); x.Next(&r); {
			_, _, _ = x.Clients[r.Client], x.Targets[r.Target], x.Servers[r.Server]
		}
		if x.count > int64(len(data)) {
			t.Fatalf("%d requests in %d bytes", x.count, len(data))
		}
	})
}

// mended gives each block the checksum that it should have, so that what is behind the
// checksums is tried as well.
func mended(data []byte) []byte {
	data = bytes.Clone(data)
	for at := headerSize; at+blockHead <= len(data); {
		size := int(uint32(data[at+1]) | uint32(data[at+2])<<8 | uint32(data[at+3])<<16 | uint32(data[at+4])<<24)
		if size > len(data)-at-blockHead {
			break
		}
		sum := checksum(data[at], data[at+blockHead:at+blockHead+size])
		for k := range 4 {
			data[at+5+k] = byte(sum >> (8 * k))
		}
		at += blockHead + size
	}
	return data
}

// TestHostileLogs: memory stays bounded where a log never ends a line, a payload or a text.
func TestHostileLogs(t *testing.T) {
	for name, c := range map[string]struct{ head, body string }{
		"line":    {"", "x"},
		"lines":   {"", "203.0.113.9\n"},
		"json":    {"", "{\"a\":\"\n"},
		"payload": {"1 a 1795853640123456789\n", "GET / HTTP/1.1\n"},
		"field":   {"client_ip||time\n", "|"},
	} {
		t.Run(name, func(t *testing.T) {
			const size = 4 << 20
			for _, format := range Formats()[1:] {
				log := io.MultiReader(strings.NewReader(c.head), io.LimitReader(endless{c.body}, size))
				if _, err := importLog(context.Background(), log, io.Discard, t.TempDir(), Options{Format: format}); err == nil {
					t.Errorf("%s: no error", format)
				}
			}
		})
	}
}
