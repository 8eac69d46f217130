package http2

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wire makes the frames of a peer, also those that no peer should send, and reads
// those of a Conn.
type wire struct {
	*h2.Framer
	out     bytes.Buffer
	in      bytes.Buffer
	block   bytes.Buffer
	encoder *hpack.Encoder
	decoder *hpack.Decoder
}

func newWire() *wire {
	w := &wire{}
	w.Framer = h2.NewFramer(&w.out, &w.in)
	w.AllowIllegalWrites = true
	w.encoder = hpack.NewEncoder(&w.block)
	w.decoder = hpack.NewDecoder(4096, nil)
	return w
}

// client returns a wire that has said what a client says first.
func client() *wire {
	w := newWire()
	w.out.WriteString(h2.ClientPreface)
	w.WriteSettings()
	return w
}

// fields encodes "name: value" lines, a name starting with a colon as it is.
func (w *wire) fields(lines ...string) []byte {
	w.block.Reset()
	for _, line := range lines {
		name, value, _ := strings.Cut(line[1:], ": ")
		w.encoder.WriteField(hpack.HeaderField{Name: line[:1] + name, Value: value})
	}
	return w.block.Bytes()
}

func (w *wire) headers(id uint32, end bool, lines ...string) {
	w.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: w.fields(lines...), EndStream: end, EndHeaders: true})
}

// get asks for /.
func (w *wire) get(id uint32, end bool, more ...string) {
	w.headers(id, end, append([]string{":method: GET", ":scheme: https", ":path: /", ":authority: shop.example"}, more...)...)
}

// sent takes what was written.
func (w *wire) sent() []byte {
	b := bytes.Clone(w.out.Bytes())
	w.out.Reset()
	return b
}

// said takes what a Conn has to write and returns a line for each frame.
func (w *wire) said(t testing.TB, c *Conn) string {
	w.in.Write(c.Out())
	c.Advance(len(c.Out()))
	var lines strings.Builder
	for {
		f, err := w.ReadFrame()
		if err == io.EOF {
			return lines.String()
		}
		if err != nil {
			t.Fatalf("what was written is no frame: %v", err)
		}
		lines.WriteString(w.describe(t, f) + "\n")
	}
}

func (w *wire) describe(t testing.TB, f h2.Frame) string {
	h := f.Header()
	line := fmt.Sprintf("%v %d", h.Type, h.StreamID)
	switch f := f.(type) {
	case *h2.RSTStreamFrame:
		return line + " " + f.ErrCode.String()
	case *h2.GoAwayFrame:
		return fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.ErrCode)
	case *h2.WindowUpdateFrame:
		return fmt.Sprintf("%s +%d", line, f.Increment)
	case *h2.DataFrame:
		line = fmt.Sprintf("%s %.40q", line, f.Data())
		if f.StreamEnded() {
			line += " END"
		}
	case *h2.SettingsFrame:
		if f.IsAck() {
			return "SETTINGS ACK"
		}
		f.ForeachSetting(func(s h2.Setting) error {
			line += " " + s.String()
			return nil
		})
	case *h2.PingFrame:
		return fmt.Sprintf("PING %q ack=%v", f.Data, f.IsAck())
	case *h2.HeadersFrame:
		fields, err := w.decoder.DecodeFull(f.HeaderBlockFragment())
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range fields {
			line += fmt.Sprintf(" %s=%s", h.Name, h.Value)
		}
		if f.StreamEnded() {
			line += " END"
		}
	}
	return line
}

// greeted returns a server and a client that have greeted each other.
func greeted(t testing.TB) (*Conn, *wire) {
	c, w := NewServer(NewPool(), 0), client()
	feed(t, c, w.sent())
	const hello = "SETTINGS 0 [MAX_CONCURRENT_STREAMS = 128] [INITIAL_WINDOW_SIZE = 65536] [MAX_HEADER_LIST_SIZE = 32768]\n" +
		"WINDOW_UPDATE 0 +458753\nSETTINGS ACK\n"
	if said := w.said(t, c); said != hello {
		t.Fatal(said)
	}
	return c, w
}

// feed gives bytes that have to be taken.
func feed(t testing.TB, c *Conn, b []byte) {
	t.Helper()
	if n, err := c.Feed(b, 0); n != len(b) || err != nil {
		t.Fatalf("%d of %d bytes, %v", n, len(b), err)
	}
}

// heard returns what each stream has for its owner, who is done with those that ended.
func heard(c *Conn) string {
	var lines strings.Builder
	b := make([]byte, 64<<10)
	for s := c.Next(); s != nil; s = c.Next() {
		n := s.Read(b)
		fmt.Fprintf(&lines, "%d %q", s.ID(), b[:n])
		if s.Ended() {
			lines.WriteString(" END")
		}
		if err := s.Err(); err != nil {
			fmt.Fprintf(&lines, " %v", err)
			s.Close()
		}
		lines.WriteString("\n")
	}
	return lines.String()
}
