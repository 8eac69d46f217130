package http2

import (
	"errors"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
)

// TestGoAway holds that a server warns first, then refuses, and is idle when what it has
// accepted is done.
func TestGoAway(t *testing.T) {
	c, w := greeted(t)
	c.GoAway(true)
	w.get(1, true)
	feed(t, c, w.sent())
	s := c.Next()
	c.GoAway(false)
	c.GoAway(false)
	w.get(3, true)
	feed(t, c, w.sent())
	if said := w.said(t, c); said != "GOAWAY 2147483647 NO_ERROR\nGOAWAY 1 NO_ERROR\nRST_STREAM 3 REFUSED_STREAM\n" {
		t.Error(said)
	}
	if c.Next() != nil || c.Idle() {
		t.Error("the refused stream is there, or the other one not")
	}
	if _, err := s.Write([]byte(smallAnswer)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if c.Idle() {
		t.Error("idle with an answer to write")
	}
	if said := w.said(t, c); !strings.HasSuffix(said, "DATA 1 \"hello\" END\n") || !c.Idle() {
		t.Error(said)
	}
	if c.pool.Stats.Refused != 1 {
		t.Errorf("%+v", c.pool.Stats)
	}
}

// TestServerGoesAway holds that a client opens no more streams and knows which requests
// it may send elsewhere.
func TestServerGoesAway(t *testing.T) {
	c, w := NewClient(NewPool(), 0), newWire()
	w.WriteSettings(h2.Setting{ID: h2.SettingMaxConcurrentStreams, Val: 4})
	feed(t, c, w.sent())
	var streams [4]*Stream
	for i := range streams {
		streams[i] = c.Open()
		if i == 3 {
			break // without a number
		}
		if _, err := streams[i].Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	if c.Open() != nil {
		t.Error("more streams than the server takes")
	}
	// The second stream's owner is done with all but its end.
	w.headers(3, false, ":status: 200", "content-length: 0")
	feed(t, c, w.sent())
	streams[1].Read(make([]byte, 100))
	streams[1].Close()
	w.WriteGoAway(1, h2.ErrCodeNo, nil)
	w.headers(1, true, ":status: 204")
	feed(t, c, w.sent())
	if c.CanOpen() || c.Open() != nil {
		t.Error("a stream after GOAWAY")
	}
	if err := streams[0].Err(); err != nil {
		t.Error(err)
	}
	for _, i := range []int{2, 3} {
		var refused *StreamError
		if !errors.As(streams[i].Err(), &refused) || !refused.Retry() {
			t.Errorf("stream %d: %v", i, streams[i].Err())
		}
	}
	for s := c.Next(); s != nil; s = c.Next() {
		s.Close()
	}
	if c.Streams() != 0 {
		t.Errorf("%d streams are left", c.Streams())
	}
}

// TestConnectionLost holds that every stream hears of it, and nothing is kept.
func TestConnectionLost(t *testing.T) {
	c, w := greeted(t)
	w.get(1, true)
	w.get(3, false)
	feed(t, c, w.sent())
	known := c.Next()
	c.Close()
	if s := c.Next(); s != known || s.Err() != ErrGone {
		t.Error("the known stream does not hear of it")
	}
	if _, err := known.Write([]byte(smallAnswer)); err != ErrGone {
		t.Error(err)
	}
	known.Close()
	if c.Next() != nil {
		t.Error("a stream that nobody knew is given")
	}
	if n, err := c.Feed([]byte("x"), 0); n != 0 || err != ErrGone {
		t.Error(n, err)
	}
	checkEmpty(t, c)
}

// TestNoneStarves holds that streams share a small window of the connection.
func TestNoneStarves(t *testing.T) {
	c, w := greeted(t)
	got := map[uint32]int{}
	write := func() {
		for s := c.Next(); s != nil; s = c.Next() {
			if s.User == nil {
				s.User = true
				if _, err := s.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); err != nil {
					t.Fatal(err)
				}
			}
			n, err := s.Write(make([]byte, 1<<20))
			if err != nil {
				t.Fatal(err)
			}
			got[s.ID()] += n
			c.Advance(len(c.Out()))
		}
	}
	for i := range uint32(4) {
		w.get(1+2*i, true)
		w.WriteWindowUpdate(1+2*i, 1<<24)
	}
	w.WriteWindowUpdate(0, 1)
	feed(t, c, w.sent())
	write()
	clear(got)
	for range 100 {
		w.WriteWindowUpdate(0, 1000)
		feed(t, c, w.sent())
		write()
	}
	for i := range uint32(4) {
		if n := got[1+2*i]; n != 25_000 {
			t.Errorf("stream %d got %d bytes through", 1+2*i, n)
		}
	}
}

// TestBackpressure holds that a peer which does not read costs no more than Out may have.
func TestBackpressure(t *testing.T) {
	c, w := greeted(t)
	w.WriteWindowUpdate(0, 1<<30)
	for i := range uint32(MaxStreams) {
		w.get(1+2*i, true)
		w.WriteWindowUpdate(1+2*i, 1<<24)
	}
	feed(t, c, w.sent())
	taken := 0
	head := "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("#", 20_000) + "\r\n\r\n"
	for s := c.Next(); s != nil; s = c.Next() {
		n, err := s.Write([]byte(head + strings.Repeat("x", 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		taken += n
	}
	if len(c.Out()) > outMost || taken > outMost {
		t.Errorf("%d bytes are taken, %d wait to be written", taken, len(c.Out()))
	}
	c.Advance(len(c.Out()) - outLimit/2)
	if c.Next() != nil {
		t.Error("woken for little room")
	}
	c.Advance(1)
	woken := 0
	for c.Next() != nil {
		woken++
	}
	if woken != MaxStreams {
		t.Errorf("%d streams are woken", woken)
	}
}
