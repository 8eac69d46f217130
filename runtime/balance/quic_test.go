package balance

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"slbctl/spec"
)

func TestQUICConnectionID(t *testing.T) {
	for _, c := range []struct {
		name, datagram string
		length         int
		want           string // "" = none
	}{
		// The client's Initial of RFC 9001 appendix A.2 after header protection.
		{"initial", "c000000001088394c8f03e5157080000449e7b9aec34", 4, "8394c8f03e515708"},
		{"longer than version 1 allows", "c0deadbeef15" + strings.Repeat("ab", 21) + "00", 4, strings.Repeat("ab", 21)},
		{"version negotiation", "80000000000411223344", 8, "11223344"},
		{"long, empty id", "c00000000100", 8, ""},
		{"long, cut off", "c00000000108112233", 8, ""},
		{"long, nothing behind the version", "c000000001", 8, ""},
		{"short", "4011223344556677889900", 8, "1122334455667788"},
		{"short, fixed bit greased", "0011223344", 4, "11223344"},
		{"short, the id fills it", "4011223344", 4, "11223344"},
		{"short, cut off", "40112233", 4, ""},
		{"short, servers choose empty ids", "4011223344", 0, ""},
		{"nothing", "", 4, ""},
	} {
		datagram, err := hex.DecodeString(c.datagram)
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := QUICConnectionID(datagram, c.length); ok != (c.want != "") || hex.EncodeToString(id) != c.want {
			t.Errorf("%s: %x (%v), want %q", c.name, id, ok, c.want)
		}
	}
}

func FuzzQUICConnectionID(f *testing.F) {
	f.Add([]byte{0xc0, 0, 0, 0, 1, 2, 8, 9, 0}, 4)
	f.Add([]byte{0x40, 1, 2, 3}, 3)
	f.Fuzz(func(t *testing.T, datagram []byte, length int) {
		id, ok := QUICConnectionID(datagram, length)
		if ok != (len(id) > 0) || !bytes.Contains(datagram, id) {
			t.Fatalf("%x of %x (%v)", id, datagram, ok)
		}
		if ok && datagram[0] < 0x80 && len(id) != length {
			t.Fatalf("%x has %d bytes, want %d", id, len(id), length)
		}
	})
}

// A connection that moves to another address keeps its server; a datagram without
// id goes by its source, as under sch.
func TestQCH(t *testing.T) {
	l := group(spec.SchedulerQCH, repeat(8, 100)...)
	table, s := l.Table(well), NewState(&l.Pool, nil)
	bySource := group(spec.SchedulerSCH, repeat(8, 100)...)
	sources, sourceState := bySource.Table(well), NewState(&bySource.Pool, nil)
	seen := map[int]bool{}
	for k := range 200 {
		c, elsewhere := clientAt(k), clientAt(k+5000)
		c.QUIC = []byte{byte(k), 1, 2, 3}
		elsewhere.QUIC = c.QUIC
		i, _ := table.Pick(s, c, nil)
		if j, _ := table.Pick(s, elsewhere, nil); i != j {
			t.Errorf("connection %d went to %d and, moved, to %d", k, i, j)
		}
		seen[i] = true
		c.QUIC = nil
		i, _ = table.Pick(s, c, nil)
		if j, _ := sources.Pick(sourceState, c, nil); i != j {
			t.Errorf("without id client %d went to %d, want %d", k, i, j)
		}
	}
	if len(seen) != 8 {
		t.Errorf("200 connections went to %d of 8 servers", len(seen))
	}
}
