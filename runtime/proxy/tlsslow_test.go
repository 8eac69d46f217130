//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestTLSSlowReaders has three hundred clients ask for 16 MiB each and read nothing of it.
// What each of them costs is bounded, and others go on.
func TestTLSSlowReaders(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	c := startSecuredChild(t, startSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/large" {
			io.WriteString(w, "ok")
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(size))
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	c.dial("http/1.1", tls.VersionTLS13).Close() // the loop gets what handshakes share
	for protocol, ask := range map[string]func(*tls.Conn){
		"http/1.1": func(conn *tls.Conn) { io.WriteString(conn, getLine("/large")) },
		"h2": func(conn *tls.Conn) {
			f := hello()
			f.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1 << 30})
			f.WriteWindowUpdate(0, 1<<30)
			f.headers(1, true, getBlock("/large"))
			conn.Write(f.Bytes())
		},
		"h2, closed windows": func(conn *tls.Conn) {
			f := hello()
			f.headers(1, true, getBlock("/large"))
			conn.Write(f.Bytes())
		},
	} {
		t.Run(protocol, func(t *testing.T) {
			clients := int64(100)
			if raceDetector {
				clients = 40
			}
			before := c.spent()
			var conns []*tls.Conn
			for range clients {
				conn := c.dial(strings.Split(protocol, ",")[0], tls.VersionTLS13)
				ask(conn)
				conns = append(conns, conn)
			}
			eventually(t, "all answers are under way and stand still", func() bool {
				seen := c.spent().Counts
				time.Sleep(100 * time.Millisecond)
				after := c.spent().Counts
				return after.Backends["a"].Requests-before.Counts.Backends["a"].Requests >= clients && after.BytesOut-seen.BytesOut < 64<<10
			})
			during := c.spent()
			asking := startAsking(t, c.k, "http/1.1", "h2")
			eventually(t, "others are answered", func() bool { return asking.count() >= 100 || t.Failed() })
			n, most := asking.end()
			each := (during.Heap - before.Heap) / clients
			t.Logf("%d KiB of memory for each, %d KiB taken from the server; of %d others 99%% within %v",
				each>>10, (during.Counts.BytesOut-before.Counts.BytesOut)/clients>>10, n, most)
			if each > 320<<10 || most > othersWait() {
				t.Errorf("%d bytes for each client that does not read; of %d others 99%% within %v", each, n, most)
			}
			// They are let go in the time of a request, without anybody's error. A connection of
			// HTTP/2 that reads what is not part of an answer may go on asking, and so may one
			// whose last bytes the kernel has taken meanwhile.
			eventually(t, "the slow ones have gone", func() bool {
				time.Sleep(50 * time.Millisecond)
				n := c.spent().Counts
				return n.Backends["a"].Connections == 0 && (protocol == "h2, closed windows" || n.Connections <= clients/20)
			})
			if after := c.spent(); after.Counts.Errors != before.Counts.Errors || after.Counts.TimedOut-before.Counts.TimedOut < clients {
				t.Errorf("counted %+v, before %+v", after.Counts, before.Counts)
			}
			for _, conn := range conns {
				conn.NetConn().Close()
			}
		})
	}
}

// TestTLSSlowRequests has clients that do not finish what they ask: they are answered 408
// in their time, which is that of a request.
func TestTLSSlowRequests(t *testing.T) {
	t.Parallel()
	const each = 100
	c := startSecuredChild(t, startSite(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok")
	}))
	type slow struct {
		name string
		conn *tls.Conn
	}
	var all []slow
	began := time.Now()
	for name, send := range map[string]string{
		"a head":        "GET / HTTP/1.1\r\nHost: h\r\nX-Ti",
		"a body":        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
		"a body of h2":  "",
		"a chunk":       "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"a block of h2": "",
	} {
		for range each {
			protocol := "http/1.1"
			if strings.HasSuffix(name, "h2") {
				protocol = "h2"
			}
			conn := c.dial(protocol, tls.VersionTLS13)
			f := hello()
			switch name {
			case "a body of h2":
				f.headers(1, false, block(":method", "POST", ":scheme", "https", ":authority", "h", ":path", "/"))
				f.WriteData(1, false, []byte("abc"))
				conn.Write(f.Bytes())
			case "a block of h2":
				f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: getBlock("/"), EndStream: true})
				conn.Write(f.Bytes())
			default:
				io.WriteString(conn, send)
			}
			all = append(all, slow{name, conn})
		}
	}
	asking := startAsking(t, c.k, "http/1.1", "h2")
	for _, s := range all {
		switch s.name {
		case "a block of h2": // no request yet: its connection may be idle as long as any
			s.conn.NetConn().Close()
		case "a body of h2":
			if status := firstStatus(t, s.conn); status != "408" {
				t.Fatalf("%s: %s", s.name, status)
			}
			s.conn.NetConn().Close()
		default:
			res, err := http.ReadResponse(bufio.NewReaderSize(s.conn, 64), nil)
			if err != nil || res.StatusCode != 408 {
				t.Fatalf("%s: %v, %v", s.name, res, err)
			}
			s.conn.NetConn().Close()
		}
	}
	eventually(t, "others are answered", func() bool { return asking.count() >= 100 || t.Failed() })
	n, most := asking.end()
	t.Logf("all were gone after %v; of %d others 99%% within %v", time.Since(began), n, most)
	if n < 100 || most > othersWait() {
		t.Errorf("%d others were answered, 99%% within %v", n, most)
	}
	eventually(t, "all have gone", func() bool { return c.spent().Counts.Connections == 0 })
}

// firstStatus reads the status of the first answer on a connection of HTTP/2.
func firstStatus(t testing.TB, c net.Conn) string {
	t.Helper()
	in := h2.NewFramer(nil, c)
	in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := in.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := f.(*h2.MetaHeadersFrame); ok {
			return f.PseudoValue("status")
		}
	}
}

// TestTLSHellosInMasses has a thousand clients that say ClientHello and nothing more: they
// cost little, go after the time of a handshake, and others do not notice them.
func TestTLSHellosInMasses(t *testing.T) {
	t.Parallel()
	c := startSecuredChild(t, startBackend(t, serveFast))
	clients, limit := int64(1000), int64(64<<10)
	if raceDetector {
		clients, limit = 200, 256<<10
	}
	var text bytes.Buffer
	client := tls.Client(hears{&text}, &tls.Config{InsecureSkipVerify: true})
	if client.Handshake() == nil {
		t.Fatal("a handshake with nobody")
	}
	before := c.spent()
	for range clients {
		conn := connect(t, c.k)
		conn.Write(text.Bytes())
		if _, err := io.ReadFull(conn, make([]byte, 6)); err != nil { // of a ServerHello
			t.Fatal(err)
		}
	}
	began := time.Now()
	asking := startAsking(t, c.k, "http/1.1", "h2")
	during := c.spent()
	eventually(t, "they have gone", func() bool {
		time.Sleep(50 * time.Millisecond)
		return c.spent().Counts.Secure.HandshakesTimedOut == clients
	})
	if d := time.Since(began); d > handshakeTime+5*time.Second {
		t.Errorf("they were gone after %v", d)
	}
	eventually(t, "others are answered", func() bool { return asking.count() >= 100 || t.Failed() })
	n, most := asking.end()
	each := (during.Heap - before.Heap) / clients
	t.Logf("%d KiB of memory and %v of CPU for each; of %d others 99%% within %v", each>>10, (during.CPU-before.CPU)/time.Duration(clients), n, most)
	if each > limit || n < 100 || most > othersWait() {
		t.Errorf("%d bytes for each; %d others, 99%% within %v", each, n, most)
	}
}

// hears is a connection that notes what is said and never answers.
type hears struct{ said *bytes.Buffer }

func (h hears) Write(b []byte) (int, error)      { return h.said.Write(b) }
func (h hears) Read([]byte) (int, error)         { return 0, io.EOF }
func (h hears) Close() error                     { return nil }
func (h hears) LocalAddr() net.Addr              { return nil }
func (h hears) RemoteAddr() net.Addr             { return nil }
func (h hears) SetDeadline(time.Time) error      { return nil }
func (h hears) SetReadDeadline(time.Time) error  { return nil }
func (h hears) SetWriteDeadline(time.Time) error { return nil }
