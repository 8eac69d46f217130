package trace

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A trace gives back what was written, however wide its numbers are and however many there are, at once or one by one.
func TestTraceKeepsRequests(t *testing.T) {
	n := &names{servers: []string{"", "a"}, targets: make([]Target, 300), addresses: make([]netip.Addr, 70000)}
	for k := range n.addresses {
		n.addresses[k] = netip.AddrFrom4([4]byte{10, byte(k >> 16), byte(k >> 8), byte(k)})
	}
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.IntRange(0, 62)
		up := func(name string, most uint64) uint64 { // numbers of every width are as likely
			return min(rapid.Uint64Range(0, 1<<shift.Draw(t, name+" bits")).Draw(t, name), most)
		}
		kinds := make([]Request, rapid.IntRange(1, 5).Draw(t, "kinds"))
		for k := range kinds {
			kinds[k] = Request{
				At: time.Duration(up("gap", 1<<48)), Client: uint32(up("client", 69999)), Port: uint16(up("port", 65535)), Target: uint32(up("target", 299)),
				Server: uint32(up("server", 1)), Status: uint16(up("status", 999)), Bytes: int64(up("bytes", latest)), Took: time.Duration(up("took", longestTime/1000)) * time.Microsecond,
			}
		}
		size := rapid.SampledFrom([]int{1, 2, blockRequests - 1, blockRequests, blockRequests + 1, 2*blockRequests + 7}).Draw(t, "requests")
		var out bytes.Buffer
		w, at, want := newWriter(&out), time.Duration(0), []Request(nil)
		for k := range size {
			r := kinds[k*k%len(kinds)]
			at += r.At * time.Duration(min(k, 1))
			r.At = at
			w.add(&r)
			want = append(want, r)
		}
		if err := w.close(n); err != nil {
			t.Fatal(err)
		}
		x, err := newTrace(bytes.NewReader(out.Bytes()), int64(out.Len()), func() error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		got := make([]Request, size+1)
		first := rapid.IntRange(0, size).Draw(t, "at once")
		read := x.Read(got[:first])
		for x.Next(&got[read]) {
			read++
		}
		if x.Err() != nil || !slices.Equal(got[:read], want) {
			t.Fatalf("%d of %d requests are read, others than were written: %v", read, size, x.Err())
		}
	})
}

// TestBadBlocks: a block whose checksum is right but which cannot be is refused.
func TestBadBlocks(t *testing.T) {
	const none = "\x00\x00" // a column of zeros
	rest := strings.Repeat(none, columns-1)
	for name, payload := range map[string]string{
		"nothing": "", "no requests": "\x00\x00\x01" + rest, "half a head": "\x01\x00\x01" + rest[1:], "too wide": "\x01\x00\x01\x00\xff" + rest[2:],
		"times of no width": "\x01" + none + rest, "too short": "\x02\x00\x01" + rest + "\x00", "too long": "\x01\x00\x01" + rest + "\x00\x00",
		"endless": "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x01" + rest + "\x00", "no such client": "\x01\x00\x01\x01\x00" + rest[2:] + "\x00",
		"a moment that never comes": "\x01\x00\x08" + rest + "\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			replay := func(payload string) (n int, err error) {
				var out bytes.Buffer
				w := newWriter(&out)
				w.block = append(w.block, payload...)
				w.flush(requestBlock, -1)
				w.footer.Requests, w.footer.Start = 1, time.Unix(0, 0)
				if err := w.close(&names{servers: []string{""}, targets: make([]Target, 1), addresses: []netip.Addr{netip.IPv4Unspecified()}}); err != nil {
					t.Fatal(err)
				}
				x, err := newTrace(bytes.NewReader(out.Bytes()), int64(out.Len()), func() error { return nil })
				if err != nil {
					t.Fatal(err)
				}
				return x.Read(make([]Request, 10)), x.Err()
			}
			if n, err := replay("\x01\x00\x01" + rest + "\x00"); n != 1 || err != nil {
				t.Fatalf("%d requests of a good one: %v", n, err)
			}
			if n, err := replay(payload); n > 0 || !errors.Is(err, errBroken) {
				t.Errorf("%d requests, error %v", n, err)
			}
		})
	}
}
