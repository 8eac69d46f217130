package http2

import (
	"runtime"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// cpu returns the time that the thread has computed so far.
func cpu(t testing.TB) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// flood gives c what a peer sends until it is cut off, and returns how many of its
// pieces were taken and the time that took. The peer reads what it is sent only if it
// says so, and sends 1,000 pieces each millisecond, 16 KiB or a single one at a time.
func flood(t *testing.T, c *Conn, frames int, reads, single bool, next func(i int) []byte, owner func(s *Stream)) (taken int, took time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all []byte
	var ends []int
	for i := range frames {
		all = append(all, next(i)...)
		ends = append(ends, len(all))
	}
	began := cpu(t)
	most, used := 0, 0
	for used < len(all) && err == nil {
		var n int
		upTo := min(len(all), used+MaxFrame+headerLen)
		if single {
			upTo = ends[taken]
		}
		n, err = c.Feed(all[used:upTo], int64(taken)*int64(time.Microsecond))
		used += n
		for taken < len(ends) && ends[taken] <= used {
			taken++
		}
		for s := c.Next(); s != nil; s = c.Next() {
			owner(s)
		}
		most = max(most, len(c.Out()))
		if reads {
			c.Advance(len(c.Out()))
		}
	}
	took = cpu(t) - began
	if most > outMost+1<<10 {
		t.Errorf("%d bytes waited to be written", most)
	}
	return taken, took, err
}

func TestFloods(t *testing.T) {
	w := client()
	w.encoder.SetMaxDynamicTableSizeLimit(0) // so that the pieces fit together
	w.fields("x: 1")
	piece := func(write func()) []byte {
		write()
		return w.sent()
	}
	hello := w.sent()
	get := piece(func() { w.get(1, true) })
	open := piece(func() { w.get(1, false) })
	ping := piece(func() { w.WritePing(false, [8]byte{}) })
	settings := piece(func() { w.WriteSettings() })
	ack := piece(func() { w.WriteSettingsAck() })
	empty := piece(func() { w.WriteData(1, false, nil) })
	padded := piece(func() { w.WriteDataPadded(1, false, nil, make([]byte, 1)) })
	priority := piece(func() { w.WritePriority(9, h2.PriorityParam{}) })
	update := piece(func() { w.WriteWindowUpdate(0, 1) })
	unknown := piece(func() { w.WriteRawFrame(0x77, 0, 0, nil) })
	start := piece(func() { raw(w, 1, 0, "") })
	more := piece(func() { w.WriteContinuation(1, false, nil) })
	large := piece(func() { w.WriteContinuation(1, false, []byte(strings.Repeat("\x82", MaxFrame))) })
	// A header that is in the table, asked for over and over.
	bomb := piece(func() {
		raw(w, 1, h2.FlagHeadersEndHeaders|h2.FlagHeadersEndStream,
			string(newWire().fields("x: "+strings.Repeat("x", 4000)))+strings.Repeat("\xbe", 12<<10))
	})
	numbered := func(frame []byte, i int) []byte {
		b := append([]byte(nil), frame...)
		for at := 0; at < len(b); at += headerLen + int(b[at])<<16 + int(b[at+1])<<8 + int(b[at+2]) {
			id := uint32(1 + 2*i)
			b[at+5], b[at+6], b[at+7], b[at+8] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
		}
		return b
	}
	cancel := piece(func() { w.WriteRSTStream(1, h2.ErrCodeCancel) })
	reset := piece(func() { w.get(1, true); w.WriteRSTStream(1, h2.ErrCodeCancel) })
	each := func(frames []byte) func(int) []byte {
		return func(i int) []byte {
			if i == 0 {
				return append(append([]byte(nil), hello...), numbered(frames, i)...)
			}
			return numbered(frames, i)
		}
	}
	alternate := func(i int) []byte {
		if i%2 == 0 {
			return each(get)(i / 2)
		}
		return numbered(cancel, i/2)
	}
	refused := piece(func() { w.get(1, true, "x: \n") })
	broken := piece(func() { w.get(1, false); w.WriteWindowUpdate(1, 0) })

	keep := func(*Stream) {}
	drop := func(s *Stream) {
		if s.Err() != nil {
			s.Close()
		}
	}
	after := func(first, then []byte) func(int) []byte {
		return func(i int) []byte {
			if i == 0 {
				return append(append([]byte(nil), hello...), first...)
			}
			return then
		}
	}
	for _, test := range []struct {
		name  string
		count int
		most  int // pieces that are taken at most
		next  func(int) []byte
		owner func(*Stream)
		want  *ConnError
	}{
		{"rapid reset", 50_000, 500, each(reset), drop, errRapidReset},
		{"rapid reset after a look", 50_000, 1000, alternate, drop, errRapidReset},
		{"streams that have to be reset", 50_000, 500, each(broken), drop, errRapidReset},
		{"malformed requests", 50_000, 500, each(refused), drop, errRapidReset},
		{"too many streams", 50_000, 700, each(get), keep, errRapidReset},
		{"CONTINUATION", 200_000, 40, after(start, more), keep, errHeaderFlood},
		{"CONTINUATION of 16 KiB", 1000, 6, after(start, large), keep, errHeaderFlood},
		{"PING", 200_000, 1100, after(nil, ping), keep, errControlFlood},
		{"SETTINGS", 200_000, 1100, after(nil, settings), keep, errControlFlood},
		{"SETTINGS ACK", 200_000, 1100, after(nil, ack), keep, errControlFlood},
		{"PRIORITY", 200_000, 1100, after(nil, priority), keep, errControlFlood},
		{"WINDOW_UPDATE", 200_000, 1100, after(nil, update), keep, errControlFlood},
		{"unknown frames", 200_000, 1100, after(nil, unknown), keep, errControlFlood},
		{"empty DATA", 200_000, 1100, after(open, empty), keep, errControlFlood},
		{"padding", 200_000, 1100, after(open, padded), keep, errControlFlood},
		{"a table that expands", 2000, 500, each(bomb), keep, errRapidReset},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			for _, reads := range []bool{true, false} {
				c := NewServer(NewPool(), 0)
				taken, took, err := flood(t, c, test.count, reads, strings.HasSuffix(test.name, "look"), test.next, test.owner)
				if err != test.want || taken > test.most || c.pool.Stats.ConnErrs != 1 {
					t.Errorf("cut off after %d of %d: %v", taken, test.count, err)
				}
				// 12,288 fields in each block of the last take what hpack takes for them.
				limit := 50 * time.Millisecond
				if test.name == "a table that expands" {
					limit *= 6
				}
				if took > limit && !raced {
					t.Errorf("%v of CPU, more than %v", took, limit)
				}
				t.Logf("cut off after %d, %v of CPU", taken, took)
			}
		})
	}
}

// TestPatience holds that what peers do all day is no flood: a PING each second, and
// every frame of a long exchange acknowledged.
func TestPatience(t *testing.T) {
	c, w := greeted(t)
	for i := range int64(100_000) {
		w.WritePing(false, [8]byte{})
		if i%1000 == 0 {
			w.WriteSettings()
		}
		if _, err := c.Feed(w.sent(), i*int64(time.Second)); err != nil {
			t.Fatal(i, err)
		}
		c.Advance(len(c.Out()))
	}
	w.get(1, true)
	feed(t, c, w.sent())
	s := c.Next()
	if _, err := s.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		n, err := s.Write(make([]byte, 10_000))
		if err != nil || n == 0 {
			t.Fatal(i, n, err)
		}
		c.Advance(len(c.Out()))
		w.WriteWindowUpdate(0, uint32(n))
		w.WriteWindowUpdate(1, uint32(n))
		feed(t, c, w.sent())
	}
	// Ten thousand requests, one of ten given up.
	for i := range uint32(10_000) {
		id := 3 + 2*i
		w.get(id, true)
		if i%10 == 0 {
			w.WriteRSTStream(id, h2.ErrCodeCancel)
		}
		feed(t, c, w.sent())
		for s := c.Next(); s != nil; s = c.Next() {
			if s.ID() == 1 {
				continue
			}
			if _, err := s.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
		c.Advance(len(c.Out()))
	}
}
