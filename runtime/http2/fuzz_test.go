package http2

import (
	"bytes"
	"errors"
	"testing"

	h2 "golang.org/x/net/http2"

	"slbctl/runtime/http1"
)

// frameSeeds are frames of all kinds.
func frameSeeds(f *testing.F) {
	w := newWire()
	w.encoder.SetMaxDynamicTableSizeLimit(0)
	add := func(write func()) {
		write()
		f.Add(w.sent(), uint16(7))
	}
	add(func() { w.get(1, true); w.get(3, true, "cookie: a=1", "cookie: b=2"); w.WriteRSTStream(1, 8) })
	add(func() { w.get(1, false); w.WriteData(1, false, []byte("hello")); w.headers(1, true, "x-sum: 1") })
	add(func() {
		w.get(1, false, "content-length: 5")
		w.WriteDataPadded(1, true, []byte("hello"), make([]byte, 3))
	})
	add(func() { raw(w, 1, 0, "\x82"); w.WriteContinuation(1, true, []byte("\x86\x84\x41\x01a")) })
	add(func() { w.get(1, true, many(120)...) })
	add(func() {
		w.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 10}, h2.Setting{ID: h2.SettingHeaderTableSize})
	})
	add(func() {
		w.WriteSettingsAck()
		w.WritePing(false, [8]byte{1})
		w.WriteWindowUpdate(0, 9)
		w.WriteWindowUpdate(1, 9)
	})
	add(func() { w.WriteGoAway(0, 0, []byte("bye")); w.WritePriority(1, h2.PriorityParam{StreamDep: 3}) })
	add(func() {
		w.headers(1, false, ":status: 103", "link: x")
		w.headers(1, false, ":status: 200")
		w.WriteData(1, true, []byte("x"))
	})
	add(func() {
		w.headers(1, true, ":status: 200", "grpc-status: 0")
		w.headers(3, false, ":status: 304", "content-length: 9")
	})
}

// checkBounds expects a connection to hold no more than its limits say.
func checkBounds(t *testing.T, c *Conn) {
	if n := c.out.len(); n > outMost+2*http1.MaxHead {
		t.Fatalf("%d bytes wait to be written", n)
	}
	if n := c.parts.len(); n > maxBlock {
		t.Fatalf("%d bytes of a header block", n)
	}
	if len(c.streams) > MaxStreams {
		t.Fatalf("%d streams", len(c.streams))
	}
	for _, s := range c.streams {
		if s.data > streamWindow || s.in.len()-s.data > maxInterim+2*http1.MaxHead || s.part.len() > http1.MaxHead {
			t.Fatalf("a stream keeps %d bytes, %d of DATA, %d written", s.in.len(), s.data, s.part.len())
		}
	}
}

// checkSaid expects what a Conn writes to be frames that the Framer takes.
func checkSaid(t *testing.T, c *Conn, framer *h2.Framer, in *bytes.Buffer) {
	in.Write(c.Out())
	c.Advance(len(c.Out()))
	for in.Len() > 0 {
		if _, err := framer.ReadFrame(); err != nil {
			t.Fatalf("what is written is refused: %v", err)
		}
	}
}

// FuzzServer holds that no client breaks a server: what it reads of each stream is one
// request, what it writes are frames, and it keeps no more than the limits.
func FuzzServer(f *testing.F) {
	frameSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte, take uint16) {
		c := NewServer(NewPool(), 0)
		var in bytes.Buffer
		framer := h2.NewFramer(nil, &in)
		hello := client().sent()
		feed(t, c, hello)
		scratch := make([]byte, 16+int(take))
		for err := error(nil); err == nil; {
			var n int
			n, err = c.Feed(b, 0)
			b = b[n:]
			checkBounds(t, c)
			for s := c.Next(); s != nil; s = c.Next() {
				owner(t, s, scratch)
			}
			checkBounds(t, c)
			checkSaid(t, c, framer, &in)
			if n == 0 {
				break
			}
		}
		end(t, c)
	})
}

// owner reads all there is and answers when the request is complete or refused.
func owner(t *testing.T, s *Stream, scratch []byte) {
	if s.User == nil {
		s.User = &exchange{}
	}
	x := s.User.(*exchange)
	for n := s.Read(scratch); n > 0; n = s.Read(scratch) {
		x.in = append(x.in, scratch[:n]...)
	}
	if s.Err() != nil {
		s.Close()
		return
	}
	var r http1.Request
	n, err := r.Parse(x.in)
	var refused *http1.Error
	switch {
	case errors.As(err, &refused):
		x.out = http1.AppendError(nil, refused.Status, 1, true)
	case n == 0:
		t.Fatalf("half a head: %q", x.in)
	default:
		var body http1.Body
		body.OfRequest(&r)
		used, done, err := body.Feed(x.in[n:])
		if done && n+used != len(x.in) {
			t.Fatalf("more than one request: %q", x.in)
		}
		if err != nil {
			s.Abort(h2.ErrCodeInternal) // trailers that http1 refuses
			return
		}
		if s.Ended() && !done {
			t.Fatalf("ended %v, but http1 says %v: %q", s.Ended(), done, x.in)
		}
		if !done {
			return
		}
		x.out = []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-A: b\r\n\r\n")
	}
	if n, err := s.Write(x.out); err != nil || n < len(x.out) && s.stalled == notStalled {
		t.Fatal(n, err)
	}
	s.Close()
}

// end closes a connection and its streams, and expects nothing to be left.
func end(t *testing.T, c *Conn) {
	c.Close()
	for s := c.Next(); s != nil; s = c.Next() {
		s.Close()
	}
	for len(c.streams) > 0 {
		c.streams[0].Close()
	}
	checkEmpty(t, c)
}

// FuzzClient holds the same of a client: what is read of each stream is one answer.
func FuzzClient(f *testing.F) {
	frameSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte, take uint16) {
		c := NewClient(NewPool(), 0)
		var in bytes.Buffer
		framer := h2.NewFramer(nil, &in)
		c.Advance(len(h2.ClientPreface))
		w := newWire()
		w.WriteSettings()
		feed(t, c, w.sent())
		for _, request := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello"} {
			s := c.Open()
			s.User = &exchange{}
			if n, err := s.Write([]byte(request)); n != len(request) || err != nil {
				t.Fatal(n, err)
			}
		}
		scratch := make([]byte, 16+int(take))
		for err := error(nil); err == nil; {
			var n int
			n, err = c.Feed(b, 0)
			b = b[n:]
			checkBounds(t, c)
			for s := c.Next(); s != nil; s = c.Next() {
				hears(t, s, scratch)
			}
			checkSaid(t, c, framer, &in)
			if n == 0 {
				break
			}
		}
		end(t, c)
	})
}

// hears reads all there is of an answer.
func hears(t *testing.T, s *Stream, scratch []byte) {
	x := s.User.(*exchange)
	for n := s.Read(scratch); n > 0; n = s.Read(scratch) {
		x.in = append(x.in, scratch[:n]...)
	}
	if s.Err() != nil {
		s.Close()
		return
	}
	at := 0
	var r http1.Response
	for {
		n, err := r.Parse(x.in[at:], s.toHead)
		if err != nil {
			s.Close() // a status or a field that http1 refuses
			return
		}
		if n == 0 && at == len(x.in) {
			return
		}
		if n == 0 {
			t.Fatalf("half a head: %q", x.in[at:])
		}
		if at += n; r.Status >= 200 {
			break
		}
	}
	var body http1.Body
	body.OfResponse(&r)
	used, done, err := body.Feed(x.in[at:])
	if err != nil {
		s.Close()
		return
	}
	if s.Ended() && !done || done && at+used != len(x.in) {
		t.Fatalf("ended %v, but http1 says %v: %q", s.Ended(), done, x.in)
	}
	if done {
		s.Close()
	}
}

// FuzzFrame holds the reading of single frames against the Framer's.
func FuzzFrame(f *testing.F) {
	frameSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte, _ uint16) {
		mine, n, err := readFrame(b)
		if n == 0 && err == nil {
			return
		}
		if err == nil {
			err = mine.check()
		}
		framer := h2.NewFramer(nil, bytes.NewReader(b))
		framer.SetMaxReadFrameSize(MaxFrame)
		framer.AllowIllegalReads = true
		theirs, refused := framer.ReadFrame()
		switch mine.kind {
		case h2.FrameData, h2.FrameHeaders, h2.FramePriority, h2.FramePushPromise, h2.FrameWindowUpdate, h2.FramePriorityUpdate:
			return // what the Framer looks at further is looked at elsewhere here
		}
		if err == nil && mine.kind == h2.FrameSettings && refused == h2.ConnectionError(h2.ErrCodeFlowControl) {
			err = newConn(NewPool(), 0).takeSettings(&mine) // values are looked at there
		}
		if (err != nil) != (refused != nil) {
			t.Fatalf("%v, but the Framer says %v: %q", err, refused, b[:min(len(b), 40)])
		}
		if err == nil && (theirs.Header().Type != mine.kind || theirs.Header().StreamID != mine.id || int(theirs.Header().Length) != len(mine.payload) ||
			theirs.Header().Flags != mine.flags) {
			t.Fatalf("%+v, but the Framer says %v", mine, theirs)
		}
	})
}

// FuzzWrite holds that whatever an owner writes, the peer is told a message as http1 reads
// it, or that the stream is reset.
func FuzzWrite(f *testing.F) {
	for _, seed := range []string{smallAnswer, "HTTP/1.1 100 Continue\r\n\r\n" + smallAnswer, "HTTP/1.1 200 OK\r\n\r\nto the end",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"} {
		f.Add([]byte(seed), uint8(5))
	}
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		c, w := greeted(t)
		w.get(1, true)
		feed(t, c, w.sent())
		s := c.Next()
		var err error
		rest := b
		for err == nil && len(rest) > 0 {
			var n int
			k := min(len(rest), int(piece)+1)
			n, err = s.Write(rest[:k])
			if err == nil && n != k {
				t.Skip("more than the windows")
			}
			rest = rest[n:]
		}
		if err == nil {
			err = s.CloseWrite()
		}
		var said []byte
		ended := false
		w.in.Write(c.Out())
		for w.in.Len() > 0 {
			frame, err := w.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := frame.(*h2.DataFrame); ok {
				said = append(said, data.Data()...)
			}
			if k := frame.Header().Type; k == h2.FrameData || k == h2.FrameHeaders {
				if ended {
					t.Fatal("frames after the end")
				}
				ended = frame.Header().Flags.Has(h2.FlagDataEndStream)
			}
		}
		want, whole := answerOf(b)
		if whole && err == nil != ended {
			t.Fatalf("%q: ended %v, %v", b, ended, err)
		}
		if whole && !bytes.Equal(said, want) {
			t.Fatalf("%q: %q, want %q", b, said, want)
		}
		end(t, c)
	})
}

// answerOf returns the content of an answer as http1 reads it, and whether it is one.
func answerOf(b []byte) (content []byte, whole bool) {
	var r http1.Response
	for r.Status < 200 {
		n, err := r.Parse(b, false)
		if n == 0 || err != nil || r.Status == 101 {
			return nil, false
		}
		b = b[n:]
	}
	var body http1.Body
	body.OfResponse(&r)
	for len(b) > 0 && !body.Done() {
		data, n, _, err := body.Next(b)
		if err != nil {
			return nil, false
		}
		content = append(content, data...)
		b = b[n:]
	}
	return content, (body.Done() || body.Open()) && len(b) == 0
}
