package http2

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"slbctl/runtime/http1"
)

// loop drives a Conn as an event loop does, over a connection that may block.
type loop struct {
	t       testing.TB
	conn    *Conn
	nc      net.Conn
	event   func(*Stream)
	unread  []byte
	scratch []byte
}

func newLoop(t testing.TB, conn *Conn, nc net.Conn, event func(*Stream)) *loop {
	return &loop{t: t, conn: conn, nc: nc, event: event, scratch: make([]byte, 4<<10)}
}

// run goes on until the connection ends.
func (l *loop) run() {
	defer func() {
		l.conn.Close()
		l.events()
		l.nc.Close()
	}()
	if !l.flush() {
		return
	}
	b := make([]byte, 20<<10)
	for {
		n, err := l.nc.Read(b)
		if err != nil {
			return
		}
		if !l.feed(b[:n]) {
			return
		}
	}
}

func (l *loop) feed(b []byte) bool {
	l.unread = append(l.unread, b...)
	used, err := l.conn.Feed(l.unread, 0)
	l.unread = l.unread[:copy(l.unread, l.unread[used:])]
	if err == nil && len(l.unread) >= MaxUnread {
		l.t.Errorf("%d bytes are left", len(l.unread))
	}
	return l.flush() && err == nil
}

func (l *loop) events() {
	for s := l.conn.Next(); s != nil; s = l.conn.Next() {
		l.event(s)
	}
}

// flush handles events and writes until there is nothing more of either.
func (l *loop) flush() bool {
	for l.events(); len(l.conn.Out()) > 0; l.events() {
		if len(l.conn.Out()) > outMost+64<<10 {
			l.t.Errorf("%d bytes wait to be written", len(l.conn.Out()))
		}
		n, err := l.nc.Write(l.conn.Out())
		if err != nil {
			return false
		}
		l.conn.Advance(n)
	}
	return true
}

// pair returns both ends of a connection on loopback.
func pair(t testing.TB) (a, b net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// exchange is a request that a handler answers, on a stream of the server role.
type exchange struct {
	in, out []byte
}

// answerWith returns what handles the events of the server role: each request, when it
// is complete, is answered with what a handler has for it.
func answerWith(t testing.TB, scratch []byte, handler func(request []byte) (answer []byte, close bool)) func(*Stream) {
	return func(s *Stream) {
		if s.Err() != nil {
			s.Close()
			return
		}
		if s.User == nil {
			s.User = &exchange{}
		}
		x := s.User.(*exchange)
		for n := s.Read(scratch); n > 0; n = s.Read(scratch) {
			x.in = append(x.in, scratch[:n]...)
		}
		closes := false
		if x.out == nil && complete(t, x.in) {
			x.out, closes = handler(x.in)
		}
		n, err := s.Write(x.out)
		if err != nil {
			t.Errorf("write: %v", err)
			s.Close()
			return
		}
		if x.out = x.out[n:]; closes && len(x.out) == 0 {
			if err := s.CloseWrite(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if s.WriteEnded() {
			s.Close()
		}
	}
}

// complete reports whether b is exactly one whole request.
func complete(t testing.TB, b []byte) bool {
	var r http1.Request
	n, err := r.Parse(b)
	if err != nil {
		return true
	}
	if n == 0 {
		return false
	}
	var body http1.Body
	body.OfRequest(&r)
	used, done, err := body.Feed(b[n:])
	if err != nil || done && n+used != len(b) {
		t.Errorf("not one request: %q, %v", b, err)
	}
	return done
}

// served answers by a handler of the standard library.
func served(h http.Handler) func([]byte) ([]byte, bool) {
	return func(request []byte) ([]byte, bool) {
		var parsed http1.Request
		if _, err := parsed.Parse(request); err != nil {
			return http1.AppendError(nil, err.(*http1.Error).Status, 1, true), false
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
		if err != nil {
			return http1.AppendError(nil, 400, 1, true), false
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		io.Copy(io.Discard, r.Body)
		result := w.Result()
		result.Request = r
		result.ProtoMajor, result.ProtoMinor = 1, 1
		if len(result.Trailer) > 0 || result.ContentLength < 0 {
			result.TransferEncoding, result.ContentLength = []string{"chunked"}, -1
		}
		var out bytes.Buffer
		if err := result.Write(&out); err != nil {
			return http1.AppendError(nil, 500, 1, true), false
		}
		return out.Bytes(), false
	}
}

// asked is a request on a stream of the client role, and its answer.
type asked struct {
	out  []byte
	in   []byte
	err  error
	done func(*asked)
}

// asking returns what handles the events of the client role.
func asking(t testing.TB, scratch []byte) func(*Stream) {
	return func(s *Stream) {
		a := s.User.(*asked)
		for n := s.Read(scratch); n > 0; n = s.Read(scratch) {
			a.in = append(a.in, scratch[:n]...)
		}
		if len(a.out) > 0 && s.Err() == nil {
			n, err := s.Write(a.out)
			if a.out = a.out[n:]; err != nil && !s.Ended() {
				t.Logf("write: %v", err)
				a.out = nil
			}
		}
		if a.err = s.Err(); a.err != nil || s.Ended() {
			s.Close()
			a.done(a)
		}
	}
}

// askAll sends requests at once and returns what became of them, the loop's
// connection having ended.
func askAll(t testing.TB, nc net.Conn, requests ...string) []*asked {
	l := newLoop(t, NewClient(NewPool(), 0), nc, nil)
	l.event = asking(t, l.scratch)
	l.feed(nil)
	var all []*asked
	left := len(requests)
	for _, request := range requests {
		s := l.conn.Open()
		if s == nil {
			t.Fatal("no stream")
		}
		a := &asked{out: []byte(request), done: func(*asked) {
			if left--; left == 0 {
				nc.Close()
			}
		}}
		s.User = a
		all = append(all, a)
		l.event(s)
	}
	l.run()
	if n := l.conn.Streams(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
	return all
}
