package http2

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	h2 "golang.org/x/net/http2"
	"pgregory.net/rapid"

	"slbctl/runtime/http1"
)

// content is n bytes that differ from stream to stream and place to place.
func content(seed, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(seed*31 + i + i>>8)
	}
	return b
}

// chunked frames a body in chunks of a size.
func chunked(body []byte, size int, trailers string) []byte {
	var b []byte
	for len(body) > 0 {
		k := min(len(body), size)
		b = append(fmt.Appendf(b, "%x\r\n", k), body[:k]...)
		b = append(b, "\r\n"...)
		body = body[k:]
	}
	return append(b, "0\r\n"+trailers+"\r\n"...)
}

// drawn is a body and how it is framed, with the lines for the head.
type drawn struct {
	content  []byte
	lines    string
	framed   []byte
	trailers string
	closes   bool
}

func drawBody(t *rapid.T, seed, most int, answer bool) drawn {
	d := drawn{content: content(seed, rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(0, most)).Draw(t, "length"))}
	switch kind := rapid.IntRange(0, 2).Draw(t, "framing"); {
	case kind == 0:
		d.lines, d.framed = fmt.Sprintf("Content-Length: %d\r\n", len(d.content)), d.content
	case kind == 1 && answer:
		d.framed, d.closes = d.content, true
	default:
		if rapid.Bool().Draw(t, "trailers") {
			d.trailers = "x-sum: 7\r\nx-more: a b\r\n"
		}
		d.lines, d.framed = "Transfer-Encoding: chunked\r\n", chunked(d.content, rapid.SampledFrom([]int{1, 100, 5000, 70_000}).Draw(t, "chunk"), d.trailers)
	}
	return d
}

// windowed checks the DATA of a server against windows that it keeps itself.
type windowed struct {
	t      *rapid.T
	c      *Conn
	w      *wire
	seen   int // bytes of Out that were looked at
	conn   int64
	first  int64
	stream map[uint32]int64
	got    map[uint32][]byte
	ended  map[uint32]int
}

// look reads the frames that were written since the last time.
func (v *windowed) look() {
	v.w.in.Write(v.c.Out()[v.seen:])
	v.seen = len(v.c.Out())
	for {
		f, err := v.w.ReadFrame()
		if err == io.EOF {
			return
		}
		if err != nil {
			v.t.Fatal(err)
		}
		id := f.Header().StreamID
		if f.Header().Flags.Has(h2.FlagDataEndStream) && (f.Header().Type == h2.FrameData || f.Header().Type == h2.FrameHeaders) {
			v.ended[id]++
		}
		switch f := f.(type) {
		case *h2.DataFrame:
			n := int64(len(f.Data()))
			v.conn -= n
			v.stream[id] -= n
			if n > 0 && (v.conn < 0 || v.stream[id] < 0) || n > MaxFrame {
				v.t.Fatalf("%d bytes of DATA on stream %d leave %d of the connection's window and %d of its own", n, id, v.conn, v.stream[id])
			}
			v.got[id] = append(v.got[id], f.Data()...)
		case *h2.RSTStreamFrame, *h2.GoAwayFrame:
			v.t.Fatal(v.w.describe(nil, f))
		}
	}
}

// TestWindows is the property that no window is exceeded, whatever the client does to
// them, and that nothing of an answer is lost, doubled or left when there is room.
func TestWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, w := NewServer(NewPool(), 0), newWire()
		v := &windowed{t: t, c: c, w: w, conn: defaultWindow, first: int64(rapid.SampledFrom([]int{0, 1, 100, 65535, 1 << 20}).Draw(t, "window")),
			stream: map[uint32]int64{}, got: map[uint32][]byte{}, ended: map[uint32]int{}}
		w.out.WriteString(h2.ClientPreface)
		w.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: uint32(v.first)})
		answers := map[uint32]drawn{}
		streams := rapid.IntRange(1, 5).Draw(t, "streams")
		for i := range streams {
			id := uint32(1 + 2*i)
			answers[id] = drawBody(t, i, 100_000, true)
			v.stream[id] = v.first
			w.get(id, true)
		}
		owner := func() {
			for s := c.Next(); s != nil; s = c.Next() {
				d := answers[s.ID()]
				if s.User == nil {
					s.User = &exchange{out: append([]byte("HTTP/1.1 200 OK\r\n"+d.lines+"\r\n"), d.framed...)}
				}
				x := s.User.(*exchange)
				for len(x.out) > 0 {
					k := min(len(x.out), rapid.SampledFrom([]int{1, 50, 10_000, 1 << 20}).Draw(t, "write"))
					n, err := s.Write(x.out[:k])
					if err != nil {
						t.Fatal(err)
					}
					x.out = x.out[n:]
					if n < k {
						break
					}
					v.look()
				}
				if len(x.out) == 0 {
					if d.closes {
						s.CloseWrite()
					}
					s.Close()
				}
				v.look()
			}
		}
		give := func() {
			frames := w.sent()
			if n, err := c.Feed(frames, 0); n != len(frames) || err != nil {
				t.Fatal(n, err)
			}
			v.look()
			owner()
		}
		give()
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			n := int64(rapid.OneOf(rapid.IntRange(1, 30), rapid.IntRange(1, 50_000)).Draw(t, "n"))
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				v.conn += n
				w.WriteWindowUpdate(0, uint32(n))
			case 1:
				id := uint32(1 + 2*rapid.IntRange(0, streams-1).Draw(t, "stream"))
				v.stream[id] += n
				w.WriteWindowUpdate(id, uint32(n))
			case 2:
				for id := range v.stream {
					v.stream[id] += n - v.first
				}
				v.first = n
				w.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: uint32(n)})
			default:
				k := min(int(n), len(c.Out()))
				c.Advance(k)
				v.seen -= k
				owner()
			}
			give()
		}
		v.conn += 1 << 20
		w.WriteWindowUpdate(0, 1<<20)
		for id := range v.stream {
			v.stream[id] += 1 << 20
			w.WriteWindowUpdate(id, 1<<20)
		}
		for give(); len(c.Out()) > 0; owner() {
			k := len(c.Out())
			c.Advance(k)
			v.seen -= k
		}
		for id, d := range answers {
			if !bytes.Equal(v.got[id], d.content) || v.ended[id] != 1 {
				t.Fatalf("stream %d: %d of %d bytes, %d ends", id, len(v.got[id]), len(d.content), v.ended[id])
			}
		}
		if c.Streams() != 0 || c.first != nil || c.stalled.first != nil || c.out.b != nil {
			t.Fatalf("not empty: %+v", c)
		}
	})
}

// TestConserved is the property that what goes into one role comes out of the other, however the
// bytes between them are cut and however much either owner takes at a time.
func TestConserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		client, server := NewClient(NewPool(), 0), NewServer(NewPool(), 0)
		var toServer, toClient []byte
		read := make([]byte, 1<<20)
		draws := map[string][2]drawn{}
		streams := rapid.IntRange(1, 5).Draw(t, "streams")
		taken := map[string]bool{}
		pump := func(s *Stream, x *exchange) {
			size := rapid.SampledFrom([]int{16, 100, 5000, 1 << 20}).Draw(t, "read")
			for n := s.Read(read[:size]); n > 0; n = s.Read(read[:size]) {
				x.in = append(x.in, read[:n]...)
			}
			n, err := s.Write(x.out)
			if err != nil {
				t.Fatal(err)
			}
			x.out = x.out[n:]
		}
		check := func(name, line string, in []byte, d drawn) {
			t.Helper()
			var got []byte
			var body http1.Body
			var n int
			if line != "" {
				var r http1.Request
				n, _ = r.Parse(in)
				body.OfRequest(&r)
			} else {
				var r http1.Response
				n, _ = r.Parse(in, false)
				body.OfResponse(&r)
			}
			for n < len(in) {
				data, k, _, err := body.Next(in[n:])
				if err != nil || k == 0 {
					t.Fatalf("%s: %v", name, err)
				}
				got = append(got, data...)
				n += k
			}
			if !body.Done() || !bytes.Equal(got, d.content) || !bytes.HasSuffix(in, []byte(d.trailers+"\r\n")) && d.trailers != "" {
				t.Fatalf("%s: %d of %d bytes, done %v", name, len(got), len(d.content), body.Done())
			}
			taken[name] = true
		}
		events := func() {
			for s := server.Next(); s != nil; s = server.Next() {
				if s.Err() != nil {
					t.Fatal(s.Err())
				}
				if s.User == nil {
					s.User = &exchange{}
				}
				x := s.User.(*exchange)
				pump(s, x)
				if !s.Ended() {
					continue
				}
				var r http1.Request
				if _, err := r.Parse(x.in); err != nil {
					t.Fatalf("%v: %.200q", err, x.in)
				}
				name := string(r.Target)
				d := draws[name]
				if !taken["request "+name] {
					check("request "+name, "GET", x.in, d[0])
					x.out = append([]byte("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"+d[1].lines+"\r\n"), d[1].framed...)
					pump(s, x)
				}
				if len(x.out) == 0 {
					if d[1].closes {
						s.CloseWrite()
					}
					s.Close()
				}
			}
			for s := client.Next(); s != nil; s = client.Next() {
				if s.Err() != nil {
					t.Fatal(s.Err())
				}
				x := s.User.(*named)
				pump(s, &x.exchange)
				if s.Ended() {
					const hints = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
					if !bytes.HasPrefix(x.in, []byte(hints)) {
						t.Fatalf("%.100q", x.in)
					}
					check("answer "+x.name, "", x.in[len(hints):], draws[x.name][1])
					s.Close()
				}
			}
		}
		for i := range streams {
			name := fmt.Sprintf("/%d", i)
			d := [2]drawn{drawBody(t, i, 200_000, false), drawBody(t, i+10, 200_000, true)}
			draws[name] = d
			s := client.Open()
			x := &named{name: name}
			x.out = append([]byte("POST "+name+" HTTP/1.1\r\nHost: shop.example\r\n"+d[0].lines+"\r\n"), d[0].framed...)
			s.User = x
			pump(s, &x.exchange)
		}
		cut := rapid.SampledFrom([]int{1, 10, 1000, 20_000, 1 << 20})
		for range 1_000_000 {
			if len(client.Out())+len(server.Out())+len(toServer)+len(toClient) == 0 {
				break
			}
			size := cut.Draw(t, "cut")
			if size < 1000 && len(toServer)+len(toClient) > 10_000 {
				size = 1000 // else this takes long
			}
			move(t, client, server, &toServer, size)
			events()
			move(t, server, client, &toClient, size)
			events()
		}
		if len(taken) != 2*streams {
			t.Fatalf("only %d of %d messages came through", len(taken), 2*streams)
		}
		checkEmptied(t, client)
		checkEmptied(t, server)
	})
}

type named struct {
	exchange
	name string
}

// move takes what one side has written and gives up to n bytes to the other.
func move(t *rapid.T, from, to *Conn, between *[]byte, n int) {
	*between = append(*between, from.Out()...)
	from.Advance(len(from.Out()))
	for len(*between) > 0 {
		used, err := to.Feed((*between)[:min(n, len(*between))], 0)
		if err != nil {
			t.Fatal(err)
		}
		if used > 0 || n >= len(*between) {
			*between = (*between)[used:]
			return
		}
		n *= 2 // less than a frame
	}
}

func checkEmptied(t *rapid.T, c *Conn) {
	if c.streams != nil || c.unnumbered != nil || c.first != nil || c.stalled.first != nil || c.out.b != nil {
		t.Fatalf("not empty: %+v", c)
	}
	if open := c.recv + c.owed; open != connWindow {
		t.Fatalf("of the connection's window %d are left", open)
	}
}
