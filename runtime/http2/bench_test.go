package http2

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
)

const smallAnswer = "HTTP/1.1 200 OK\r\nServer: test\r\nDate: Sat, 28 Nov 2026 03:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

// asker is a client whose requests are HEADERS that were made before, so that what is
// measured is the server.
type asker struct {
	frames []byte
	ids    []int // where in frames the streams' numbers are
	next   uint32
}

func newAsker(t testing.TB, c *Conn, w *wire, streams int) *asker {
	browser := []string{"user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "accept: */*",
		"accept-encoding: gzip, deflate, br", "cookie: session=0123456789abcdef"}
	w.get(1, true, browser...) // fills the table
	feed(t, c, w.sent())
	a := &asker{next: 3}
	for range streams {
		at := w.out.Len()
		w.get(1, true, browser...)
		a.ids = append(a.ids, at+5)
	}
	a.frames = w.sent()
	return a
}

// ask returns the frames with numbers of their own.
func (a *asker) ask() []byte {
	for _, at := range a.ids {
		binary.BigEndian.PutUint32(a.frames[at:], a.next)
		a.next += 2
	}
	return a.frames
}

// answerAll answers each request at once.
func answerAll(t testing.TB, c *Conn, scratch, answer []byte) (answered int) {
	for s := c.Next(); s != nil; s = c.Next() {
		if n := s.Read(scratch); n == 0 || !s.Ended() {
			t.Fatal("no request")
		}
		if n, err := s.Write(answer); n != len(answer) || err != nil {
			t.Fatal(n, err)
		}
		s.Close()
		answered++
	}
	c.Advance(len(c.Out()))
	return answered
}

func TestNoAllocations(t *testing.T) {
	c, w := greeted(t)
	a := newAsker(t, c, w, 100)
	scratch, answer := make([]byte, 4<<10), []byte(smallAnswer)
	w.WriteWindowUpdate(0, 500)
	update := w.sent()
	answerAll(t, c, scratch, answer)
	round := func() {
		feed(t, c, a.ask())
		if n := answerAll(t, c, scratch, answer); n != 100 {
			t.Fatal(n)
		}
		feed(t, c, update)
	}
	if n := testing.AllocsPerRun(50, round); n != 0 {
		t.Errorf("%v allocations for 100 requests", n)
	}
	checkEmpty(t, c)

	// Both roles, with bodies both ways.
	client, server := NewClient(NewPool(), 0), NewServer(NewPool(), 0)
	request := []byte("POST / HTTP/1.1\r\nHost: shop.example\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\r\n\r\n")
	answer = []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nGrpc-Status: 0\r\n\r\n")
	round = func() {
		for range 10 {
			if n, err := client.Open().Write(request); n != len(request) || err != nil {
				t.Fatal(n, err)
			}
		}
		feed(t, server, client.Out())
		client.Advance(len(client.Out()))
		for s := server.Next(); s != nil; s = server.Next() {
			for s.Read(scratch) > 0 {
			}
			if n, err := s.Write(answer); n != len(answer) || err != nil {
				t.Fatal(n, err)
			}
			s.Close()
		}
		feed(t, client, server.Out())
		server.Advance(len(server.Out()))
		for s := client.Next(); s != nil; s = client.Next() {
			for s.Read(scratch) > 0 {
			}
			if !s.Ended() {
				t.Fatal("no answer", s.Err())
			}
			s.Close()
		}
	}
	// The peer indexes nothing: each name and value of its header fields that the static
	// table does not have is a string of hpack's.
	names := testing.AllocsPerRun(50, round) / 10
	if names > 12 {
		t.Errorf("%v allocations for a request through both roles", names)
	}
	t.Logf("%v allocations for a request through both roles", names)
	checkEmpty(t, client)
	checkEmpty(t, server)
}

func TestIdleIsSmall(t *testing.T) {
	const conns = 2000
	pool := NewPool()
	measure := func(use func(c *Conn, w *wire)) int {
		var before, after runtime.MemStats
		all := make([]*Conn, conns)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range all {
			c, w := NewServer(pool, 0), client()
			feed(t, c, w.sent())
			w.said(t, c)
			use(c, w)
			all[i] = c
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		for _, c := range all {
			checkEmpty(t, c)
		}
		return int(after.HeapAlloc-before.HeapAlloc) / conns
	}
	scratch, answer := make([]byte, 4<<10), []byte(smallAnswer)
	fresh := measure(func(*Conn, *wire) {})
	used := measure(func(c *Conn, w *wire) {
		newAsker(t, c, w, 0)
		answerAll(t, c, scratch, answer)
	})
	t.Logf("%d bytes for an idle connection, %d after a request whose fields were indexed", fresh, used)
	if raced {
		return
	}
	if fresh > 1<<10 || used > 2<<10 {
		t.Errorf("an idle connection takes %d bytes, after a request %d", fresh, used)
	}
}

// BenchmarkServer is 100 concurrent small requests, as a browser makes them, from the
// first frame to the last; figures are for one.
func BenchmarkServer(b *testing.B) {
	c, w := greeted(b)
	a := newAsker(b, c, w, 100)
	scratch, answer := make([]byte, 4<<10), []byte(smallAnswer)
	w.WriteWindowUpdate(0, 500)
	update := w.sent()
	b.ReportAllocs()
	for n := 0; n < b.N; n += 100 {
		feed(b, c, a.ask())
		answerAll(b, c, scratch, answer)
		feed(b, c, update)
		if a.next > maxID/2 {
			c, w = greeted(b)
			a = newAsker(b, c, w, 100)
		}
	}
}

// BenchmarkData is a long answer, in pieces of 16 KiB.
func BenchmarkData(b *testing.B) {
	c, w := greeted(b)
	w.get(1, true)
	w.WriteWindowUpdate(0, 1<<30)
	w.WriteWindowUpdate(1, 1<<30)
	feed(b, c, w.sent())
	s := c.Next()
	if _, err := s.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); err != nil {
		b.Fatal(err)
	}
	w.WriteWindowUpdate(0, MaxFrame)
	w.WriteWindowUpdate(1, MaxFrame)
	update := w.sent()
	piece := bytes.Repeat([]byte("x"), MaxFrame)
	b.SetBytes(MaxFrame)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := s.Write(piece); n != MaxFrame || err != nil {
			b.Fatal(n, err)
		}
		c.Advance(len(c.Out()))
		feed(b, c, update)
	}
}
