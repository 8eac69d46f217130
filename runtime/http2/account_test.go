package http2

import (
	"fmt"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
)

// TestAccounts holds that whatever becomes of DATA, the connection's window gets it back.
func TestAccounts(t *testing.T) {
	body := []byte(strings.Repeat("x", 1000))
	for name, send := range map[string]func(c *Conn, w *wire){
		"padding": func(c *Conn, w *wire) {
			w.WriteDataPadded(1, true, body, make([]byte, 200))
			feed(t, c, w.sent())
			heard(c)
		},
		"nobody reads it": func(c *Conn, w *wire) { w.WriteData(1, false, body) },
		"it is lost with its stream": func(c *Conn, w *wire) {
			w.WriteData(1, false, body)
			w.WriteRSTStream(1, h2.ErrCodeCancel)
		},
		"its stream has ended": func(c *Conn, w *wire) {
			c.find(1).Close()
			w.WriteData(1, false, body)
			w.WriteDataPadded(1, true, body, make([]byte, 9))
		},
		"it comes after the end": func(c *Conn, w *wire) {
			w.WriteData(1, true, body)
			w.WriteData(1, true, body)
		},
		"its request is refused": func(c *Conn, w *wire) {
			w.get(3, false, many(120)...)
			for range 100 {
				w.WriteData(3, false, body)
			}
		},
	} {
		c, w := greeted(t)
		w.get(1, false)
		feed(t, c, w.sent())
		heard(c)
		send(c, w)
		feed(t, c, w.sent())
		if strings.Contains(name, "refused") {
			if said := w.said(t, c); !strings.Contains(said, "WINDOW_UPDATE 3 +") {
				t.Errorf("%s: %q", name, said)
			}
		}
		heard(c)
		for len(c.streams) > 0 {
			c.streams[0].Close()
		}
		c.Advance(len(c.Out()))
		t.Log(name)
		checkEmpty(t, c)
	}
}

// TestConnectionWindow holds that all streams together may not send more than it.
func TestConnectionWindow(t *testing.T) {
	c, w := greeted(t)
	for i := range uint32(connWindow/streamWindow + 1) {
		w.get(1+2*i, false)
		for range streamWindow / MaxFrame {
			w.WriteData(1+2*i, false, make([]byte, MaxFrame))
		}
	}
	if _, err := c.Feed(w.sent(), 0); err != errOverWindow {
		t.Error(err)
	}
}

// TestTableStays holds that a header block of which nothing is wanted still counts for
// those after it.
func TestTableStays(t *testing.T) {
	for name, nothing := range map[string]func(c *Conn, w *wire){
		"refused": func(c *Conn, w *wire) {
			c.leaving = true
			w.get(3, true, "x-new: value")
			feed(t, c, w.sent())
			c.leaving = false
		},
		"late": func(c *Conn, w *wire) {
			c.find(1).Close()
			w.headers(1, true, "x-new: value")
		},
		"malformed": func(c *Conn, w *wire) { w.get(3, true, "X: 1", "x-new: value") },
		"large":     func(c *Conn, w *wire) { w.get(3, true, append(many(200), "x-new: value")...) },
	} {
		c, w := greeted(t)
		w.get(1, false)
		feed(t, c, w.sent())
		heard(c)
		nothing(c, w)
		w.get(5, true, "x-new: value")
		feed(t, c, w.sent())
		if got := heard(c); !strings.Contains(got, `5 "GET / HTTP/1.1\r\nHost: shop.example\r\nx-new: value\r\n\r\n" END`) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestNothingIsIndexed holds that the first header block says that the table is empty, as
// a peer whose SETTINGS_HEADER_TABLE_SIZE is 0 demands (RFC 7541 section 4.2), and that
// secrets are marked.
func TestNothingIsIndexed(t *testing.T) {
	c, w := greeted(t)
	w.WriteSettings(h2.Setting{ID: h2.SettingHeaderTableSize, Val: 0})
	w.get(1, true)
	w.get(3, true)
	feed(t, c, w.sent())
	w.said(t, c)
	for s := c.Next(); s != nil; s = c.Next() {
		if _, err := s.Write([]byte("HTTP/1.1 204 No Content\r\nSet-Cookie: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	w.in.Write(c.Out())
	for _, want := range []string{"\x20\x89\x1f\x28\x01a", "\x89\x1f\x28\x01a"} {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(f.(*h2.HeadersFrame).HeaderBlockFragment()); got != want {
			t.Errorf("%x, want %x", got, want)
		}
	}
}

// TestStalledAndClosed holds that a stream whose owner gives up while it waits is not woken.
func TestStalledAndClosed(t *testing.T) {
	c, w := greeted(t)
	w.get(1, true)
	feed(t, c, w.sent())
	s := c.Next()
	if n, err := s.Write([]byte("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 70_000))); n >= 70_000 || s.stalled == notStalled || err != nil {
		t.Fatal(n, err)
	}
	s.Close()
	c.Advance(len(c.Out()))
	w.WriteWindowUpdate(0, 1000)
	feed(t, c, w.sent())
	if c.Next() != nil {
		t.Error("it is woken")
	}
	checkEmpty(t, c)
}

// TestSettingWakes holds that a larger SETTINGS_INITIAL_WINDOW_SIZE lets streams go on.
func TestSettingWakes(t *testing.T) {
	c, w := greeted(t)
	w.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 0})
	w.get(1, true)
	feed(t, c, w.sent())
	s := c.Next()
	if n, err := s.Write([]byte("HTTP/1.1 200 OK\r\n\r\nx")); n != 19 || err != nil || c.Next() != nil {
		t.Fatal(n, err)
	}
	w.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1})
	feed(t, c, w.sent())
	if c.Next() != s {
		t.Error("it is not woken")
	}
}

// TestRepliesAreBounded holds that a peer which asks slowly, but never reads, is cut off.
func TestRepliesAreBounded(t *testing.T) {
	c, w := greeted(t)
	w.WritePing(false, [8]byte{})
	ping := w.sent()
	for i := range int64(100_000) {
		if _, err := c.Feed(ping, i*int64(1e9)); err != nil {
			if err != errOutputFlood || len(c.Out()) > outMost+1000 || c.pool.Stats.OutputFloods != 1 {
				t.Errorf("%v with %d bytes", err, len(c.Out()))
			}
			return
		}
	}
	t.Error("never cut off")
}

// TestAnswerBeforeItsRequest: a client that is answered before it has sent everything is
// told to stop, and that not in one piece with the answer, which it might throw away then.
func TestAnswerBeforeItsRequest(t *testing.T) {
	c, w := greeted(t)
	for _, id := range []uint32{1, 3} {
		w.get(id, false)
		w.WriteData(id, false, make([]byte, 100))
	}
	feed(t, c, w.sent())
	for s := c.Next(); s != nil; s = c.Next() {
		if _, err := s.Write([]byte("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 2\r\n\r\nno")); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	const answer = "HEADERS %d :status=405 content-length=2\nDATA %d \"no\" END\n"
	for _, want := range []string{
		fmt.Sprintf(answer, 1, 1), "RST_STREAM 1 NO_ERROR\n" + fmt.Sprintf(answer, 3, 3), "RST_STREAM 3 NO_ERROR\n", "",
	} {
		if said := w.said(t, c); said != want {
			t.Errorf("said %q, want %q", said, want)
		}
	}
	checkEmpty(t, c)
}
