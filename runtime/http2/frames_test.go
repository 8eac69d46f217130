package http2

import (
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
)

// TestErrors holds what RFC 9113 says of frames that must not come, or not like this: sections
// in the names. want is what the server says, the last line first on a connection error.
func TestErrors(t *testing.T) {
	const protocol = "GOAWAY 1 PROTOCOL_ERROR\n"
	zero := string(make([]byte, 16))
	for _, test := range []struct {
		name string
		send func(w *wire)
		want string
	}{
		{"4.1 unknown types are ignored", func(w *wire) { w.WriteRawFrame(0xee, 0xff, 1, []byte("x")); w.WriteRawFrame(0xee, 0, 0, nil) }, ""},
		{"4.2 a frame too large", func(w *wire) { w.WriteRawFrame(h2.FrameData, 0, 1, make([]byte, MaxFrame+1)) }, "GOAWAY 1 FRAME_SIZE_ERROR\n"},
		{"4.3 a block that cannot be decoded", func(w *wire) { raw(w, 3, h2.FlagHeadersEndHeaders, "\xff\xff\xff\xff\xff\xff") },
			"GOAWAY 3 COMPRESSION_ERROR\n"},
		{"4.3 a block cut off", func(w *wire) { raw(w, 3, h2.FlagHeadersEndHeaders, "\x00\x05ab") }, "GOAWAY 3 COMPRESSION_ERROR\n"},
		{"4.3 a table larger than announced", func(w *wire) { raw(w, 3, h2.FlagHeadersEndHeaders, "\x3f\xff\x7f") }, "GOAWAY 3 COMPRESSION_ERROR\n"},
		{"4.3 another frame within a block", func(w *wire) { raw(w, 3, 0, ""); w.WritePing(false, [8]byte{}) }, protocol},
		{"5.1 DATA on an idle stream", func(w *wire) { w.WriteData(3, false, []byte("x")) }, protocol},
		{"5.1 RST_STREAM on an idle stream", func(w *wire) { w.WriteRSTStream(3, 0) }, protocol},
		{"5.1 WINDOW_UPDATE on an idle stream", func(w *wire) { w.WriteWindowUpdate(3, 1) }, protocol},
		{"5.1 CONTINUATION without a block", func(w *wire) { w.WriteContinuation(3, true, nil) }, protocol},
		{"5.1 DATA on a half-closed stream", func(w *wire) { w.get(3, true); w.WriteData(3, true, []byte("x")) },
			"RST_STREAM 3 STREAM_CLOSED\n"},
		{"5.1 HEADERS on a half-closed stream", func(w *wire) { w.get(3, true); w.get(3, true) }, "RST_STREAM 3 STREAM_CLOSED\n"},
		{"5.1 DATA after RST_STREAM", func(w *wire) { w.get(3, false); w.WriteRSTStream(3, 8); w.WriteData(3, true, []byte("x")) },
			"RST_STREAM 3 STREAM_CLOSED\n"},
		{"5.1 HEADERS after RST_STREAM", func(w *wire) { w.get(3, false); w.WriteRSTStream(3, 8); w.get(3, true) }, "GOAWAY 3 STREAM_CLOSED\n"},
		{"5.1 DATA after our RST_STREAM is ignored", func(w *wire) { w.get(3, false, "x: \n"); w.WriteData(3, true, []byte("x")) },
			"RST_STREAM 3 PROTOCOL_ERROR\n"},
		{"5.1 HEADERS after our RST_STREAM are ignored", func(w *wire) { w.get(3, false, "x: \n"); w.get(3, true) }, "RST_STREAM 3 PROTOCOL_ERROR\n"},
		{"5.1.1 an even number", func(w *wire) { w.get(2, true) }, protocol},
		{"5.1.1 a number that was passed over", func(w *wire) { w.get(5, true); w.get(3, true) }, "GOAWAY 5 STREAM_CLOSED\n"},
		{"5.1.2 too many streams", func(w *wire) {
			for i := range uint32(MaxStreams) {
				w.get(3+2*i, true)
			}
		}, "RST_STREAM 257 REFUSED_STREAM\n"},
		{"5.3.1 HEADERS that depend on themselves", func(w *wire) {
			w.WriteHeaders(h2.HeadersFrameParam{StreamID: 3, BlockFragment: w.fields(":method: GET"), EndHeaders: true,
				Priority: h2.PriorityParam{StreamDep: 3}})
		}, protocol},
		{"5.3.1 PRIORITY that depends on itself", func(w *wire) { w.WritePriority(1, h2.PriorityParam{StreamDep: 1}) },
			"RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"5.4.1 DATA without a stream", func(w *wire) { w.WriteRawFrame(h2.FrameData, 0, 0, []byte("x")) }, protocol},
		{"6.1 padding longer than the frame", func(w *wire) { w.WriteRawFrame(h2.FrameData, h2.FlagDataPadded, 1, []byte("\x02x")) }, protocol},
		{"6.1 padding without its length", func(w *wire) { w.WriteRawFrame(h2.FrameData, h2.FlagDataPadded, 1, nil) }, "GOAWAY 1 FRAME_SIZE_ERROR\n"},
		{"6.2 HEADERS without a stream", func(w *wire) { raw(w, 0, h2.FlagHeadersEndHeaders, "") }, protocol},
		{"6.2 HEADERS padded too far", func(w *wire) { raw(w, 3, h2.FlagHeadersEndHeaders|h2.FlagHeadersPadded, "\x05abcd") }, protocol},
		{"6.2 HEADERS without room for the priority", func(w *wire) { raw(w, 3, h2.FlagHeadersEndHeaders|h2.FlagHeadersPriority, "1234") },
			"GOAWAY 1 FRAME_SIZE_ERROR\n"},
		{"6.3 PRIORITY without a stream", func(w *wire) { w.WriteRawFrame(h2.FramePriority, 0, 0, []byte(zero[:5])) }, protocol},
		{"6.3 PRIORITY of another length", func(w *wire) { w.WriteRawFrame(h2.FramePriority, 0, 1, []byte(zero[:4])) }, "RST_STREAM 1 FRAME_SIZE_ERROR\n"},
		{"6.3 PRIORITY on an idle stream is ignored", func(w *wire) { w.WritePriority(9, h2.PriorityParam{StreamDep: 1}) }, ""},
		{"6.4 RST_STREAM without a stream", func(w *wire) { w.WriteRSTStream(0, 0) }, protocol},
		{"6.4 RST_STREAM of another length", func(w *wire) { w.WriteRawFrame(h2.FrameRSTStream, 0, 1, []byte(zero[:3])) }, "GOAWAY 1 FRAME_SIZE_ERROR\n"},
		{"6.5 SETTINGS on a stream", func(w *wire) { w.WriteRawFrame(h2.FrameSettings, 0, 1, nil) }, protocol},
		{"6.5 an ACK with settings", func(w *wire) { w.WriteRawFrame(h2.FrameSettings, h2.FlagSettingsAck, 0, []byte(zero[:6])) },
			"GOAWAY 1 FRAME_SIZE_ERROR\n"},
		{"6.5 SETTINGS of another length", func(w *wire) { w.WriteRawFrame(h2.FrameSettings, 0, 0, []byte(zero[:5])) }, "GOAWAY 1 FRAME_SIZE_ERROR\n"},
		{"6.5.2 ENABLE_PUSH", setting(h2.SettingEnablePush, 2), protocol},
		{"6.5.2 INITIAL_WINDOW_SIZE", setting(h2.SettingInitialWindowSize, 1<<31), "GOAWAY 1 FLOW_CONTROL_ERROR\n"},
		{"6.5.2 MAX_FRAME_SIZE too small", setting(h2.SettingMaxFrameSize, 16383), protocol},
		{"6.5.2 MAX_FRAME_SIZE too large", setting(h2.SettingMaxFrameSize, 1<<24), protocol},
		{"6.5.2 unknown settings are ignored", setting(0xee, 7), "SETTINGS ACK\n"},
		{"6.6 PUSH_PROMISE", func(w *wire) { w.WritePushPromise(h2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true}) }, protocol},
		{"6.7 PING on a stream", func(w *wire) { w.WriteRawFrame(h2.FramePing, 0, 1, []byte(zero[:8])) }, protocol},
		{"6.7 PING of another length", func(w *wire) { w.WriteRawFrame(h2.FramePing, 0, 0, []byte(zero[:7])) }, "GOAWAY 1 FRAME_SIZE_ERROR\n"},
		{"6.7 PING is answered, its ACK not", func(w *wire) { w.WritePing(true, [8]byte{1}); w.WritePing(false, [8]byte([]byte("12345678"))) },
			"PING \"12345678\" ack=true\n"},
		{"6.8 GOAWAY on a stream", func(w *wire) { w.WriteRawFrame(h2.FrameGoAway, 0, 1, []byte(zero[:8])) }, protocol},
		{"6.8 GOAWAY", func(w *wire) { w.WriteGoAway(0, 0, nil); w.get(3, true) }, ""},
		{"6.9 WINDOW_UPDATE of 0", func(w *wire) { w.WriteWindowUpdate(0, 0) }, protocol},
		{"6.9 WINDOW_UPDATE of 0 on a stream", func(w *wire) { w.WriteWindowUpdate(1, 0) }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"6.9 WINDOW_UPDATE of another length", func(w *wire) { w.WriteRawFrame(h2.FrameWindowUpdate, 0, 0, []byte(zero[:3])) },
			"GOAWAY 1 FRAME_SIZE_ERROR\n"},
		{"6.9.1 a window too large", func(w *wire) { w.WriteWindowUpdate(0, 1<<31-1) }, "GOAWAY 1 FLOW_CONTROL_ERROR\n"},
		{"6.9.1 a stream's window too large", func(w *wire) { w.WriteWindowUpdate(1, 1<<31-1) }, "RST_STREAM 1 FLOW_CONTROL_ERROR\n"},
		{"6.9.2 a setting that makes a window too large", func(w *wire) {
			w.WriteWindowUpdate(1, 1<<30)
			w.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1<<31 - 1})
		}, "GOAWAY 1 FLOW_CONTROL_ERROR\n"},
		{"6.9 more DATA than the stream's window", func(w *wire) {
			for range 5 {
				w.WriteData(1, false, make([]byte, MaxFrame))
			}
		}, "RST_STREAM 1 FLOW_CONTROL_ERROR\n"},
		{"6.10 CONTINUATION of another stream", func(w *wire) { raw(w, 3, 0, ""); w.WriteContinuation(5, true, nil) }, protocol},
		{"8.1 HEADERS within the body", func(w *wire) { w.headers(1, false, "x: 1") }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			c, w := greeted(t)
			w.get(1, false)
			feed(t, c, w.sent())
			heard(c)
			test.send(w)
			frames := w.sent()
			n, err := c.Feed(frames, 0)
			said := w.said(t, c)
			if said != test.want {
				t.Errorf("said %swant %s", said, test.want)
			}
			if (err != nil) != strings.HasPrefix(said, "GOAWAY") || err == nil && n != len(frames) {
				t.Errorf("%d of %d bytes, %v", n, len(frames), err)
			}
			if err != nil {
				if h := heard(c); !strings.Contains(h, `1 "" HTTP/2 connection ended with `) {
					t.Errorf("the stream hears %q", h)
				}
			}
			heard(c)
			for len(c.streams) > 0 {
				c.streams[0].Close()
			}
			c.Advance(len(c.Out()))
			checkEmpty(t, c)
			c.Close()
		})
	}
}

func raw(w *wire, id uint32, flags h2.Flags, block string) {
	w.WriteRawFrame(h2.FrameHeaders, flags, id, []byte(block))
}

func setting(id h2.SettingID, v uint32) func(w *wire) {
	return func(w *wire) { w.WriteSettings(h2.Setting{ID: id, Val: v}) }
}

// checkEmpty expects a connection without streams to hold nothing.
func checkEmpty(t testing.TB, c *Conn) {
	t.Helper()
	if c.streams != nil || c.unnumbered != nil || c.first != nil || c.last != nil || c.stalled.first != nil || c.stalled.last != nil ||
		c.out.b != nil || c.parts.b != nil {
		t.Errorf("not empty: %+v", c)
	}
	if open := c.recv + c.owed; c.err == nil && open != connWindow {
		t.Errorf("of the connection's window %d are left", open)
	}
}

func TestPreface(t *testing.T) {
	for _, hello := range []string{"GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nXM", h2.ClientPreface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"} {
		c, w := NewServer(NewPool(), 0), newWire()
		w.said(t, c)
		if _, err := c.Feed([]byte(hello), 0); err == nil {
			t.Errorf("%q is taken", hello)
		}
		if said := w.said(t, c); said != "GOAWAY 0 PROTOCOL_ERROR\n" {
			t.Error(said)
		}
	}
}

// TestClientErrors holds what a server must not do.
func TestClientErrors(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(w *wire)
		want string
	}{
		{"push", func(w *wire) { w.WritePushPromise(h2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true}) }, "GOAWAY 0 PROTOCOL_ERROR\n"},
		{"a setting to push", setting(h2.SettingEnablePush, 1), "GOAWAY 0 PROTOCOL_ERROR\n"},
		{"a stream of the server's", func(w *wire) { w.headers(2, true, ":status: 200") }, "GOAWAY 0 PROTOCOL_ERROR\n"},
		{"an idle stream", func(w *wire) { w.headers(3, true, ":status: 200") }, "GOAWAY 0 PROTOCOL_ERROR\n"},
		{"DATA first", func(w *wire) { w.WriteData(1, true, []byte("x")) }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"no status", func(w *wire) { w.headers(1, true, "x: 1") }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"a status of two digits", func(w *wire) { w.headers(1, true, ":status: 20") }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"101", func(w *wire) { w.headers(1, false, ":status: 101") }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"100 at the end", func(w *wire) { w.headers(1, true, ":status: 100") }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"a request", func(w *wire) { w.get(1, true) }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"connection", func(w *wire) { w.headers(1, true, ":status: 200", "connection: close") }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"more than content-length", func(w *wire) {
			w.headers(1, false, ":status: 200", "content-length: 1")
			w.WriteData(1, true, []byte("xy"))
		},
			"RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"less than content-length", func(w *wire) {
			w.headers(1, false, ":status: 200", "content-length: 3")
			w.WriteData(1, true, []byte("xy"))
		},
			"RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"content-length without a body", func(w *wire) { w.headers(1, true, ":status: 200", "content-length: 3") }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"a body to 204", func(w *wire) { w.headers(1, false, ":status: 204"); w.WriteData(1, true, []byte("x")) }, "RST_STREAM 1 PROTOCOL_ERROR\n"},
		{"many fields", func(w *wire) { w.headers(1, true, append([]string{":status: 200"}, many(100)...)...) }, "RST_STREAM 1 ENHANCE_YOUR_CALM\n"},
		{"endless 103", func(w *wire) {
			for range 20 {
				w.headers(1, false, ":status: 103", "link: "+strings.Repeat("x", 4000))
			}
		}, "RST_STREAM 1 ENHANCE_YOUR_CALM\n"},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			c, w := NewClient(NewPool(), 0), newWire()
			c.Advance(len(h2.ClientPreface))
			w.WriteSettings()
			feed(t, c, w.sent())
			s := c.Open()
			if n, err := s.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); n != 27 || err != nil {
				t.Fatal(n, err)
			}
			w.said(t, c)
			test.send(w)
			_, err := c.Feed(w.sent(), 0)
			said := w.said(t, c)
			if said != test.want || (err != nil) != strings.HasPrefix(said, "GOAWAY") {
				t.Errorf("said %s, %v; want %s", said, err, test.want)
			}
			if c.Next() != s || s.Err() == nil {
				t.Error("the stream has no error")
			}
			s.Close()
			c.Close()
			checkEmpty(t, c)
		})
	}
}

// many returns n fields.
func many(n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = "x: 1"
	}
	return lines
}
