package http2

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
	"pgregory.net/rapid"

	"slbctl/runtime/http1"
)

// TestRequests holds what a request becomes: what is read of its stream, or the code
// of its reset.
func TestRequests(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n"
	start := []string{":method: GET", ":scheme: https", ":path: /", ":authority: a"}
	with := func(lines ...string) []string { return append(start[:4:4], lines...) }
	without := func(i int, lines ...string) []string { return append(append(start[:i:i], start[i+1:]...), lines...) }
	for _, test := range []struct {
		name   string
		fields []string
		want   string // "" = malformed
	}{
		{"plain", start, get + "\r\n"},
		{"fields", with("accept: */*", "x-empty: ", "x-blanks: a \t b", "x-text: \xe4\xff"),
			get + "accept: */*\r\nx-empty: \r\nx-blanks: a \t b\r\nx-text: \xe4\xff\r\n\r\n"},
		{"cookies", with("cookie: a=1", "x: 1", "cookie: b=2", "cookie: c=3"), get + "x: 1\r\ncookie: a=1; b=2; c=3\r\n\r\n"},
		{"te", with("te: trailers"), get + "te: trailers\r\n\r\n"},
		{"empty length", with("content-length: 0"), get + "content-length: 0\r\n\r\n"},
		{"expect", with("expect: 100-continue"), get + "expect: 100-continue\r\n\r\n"},
		{"host alone", without(3, "host: b"), "GET / HTTP/1.1\r\nHost: b\r\n\r\n"},
		{"host as authority", with("host: A"), get + "\r\n"},
		{"host not authority", with("host: b"), ""},
		{"host twice", with("host: a", "host: a"), ""},
		{"no authority", without(3), "GET / HTTP/1.1\r\n\r\n"},
		{"user information", without(3, ":authority: me@a"), ""},
		{"authority with a space", without(3, ":authority: a b"), ""},
		{"authority with a slash", without(3, ":authority: a/b"), ""},
		{"authority with CRLF", without(3, ":authority: a\r\nX: 1"), ""},
		{"options", append([]string{":method: OPTIONS", ":path: *"}, ":scheme: http", ":authority: a"), "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"asterisk", without(2, ":path: *"), ""},
		{"empty path", without(2, ":path: "), ""},
		{"absolute path", without(2, ":path: http://b/"), ""},
		{"path with a space", without(2, ":path: / HTTP/1.1"), ""},
		{"path with CRLF", without(2, ":path: /\r\nX: 1"), ""},
		{"path with NUL", without(2, ":path: /\x00"), ""},
		{"no path", without(2), ""},
		{"no method", without(0), ""},
		{"method with a space", without(0, ":method: GET /x"), ""},
		{"no scheme", without(1), ""},
		{"another scheme", without(1, ":scheme: ftp"), ""},
		{"pseudo twice", with(":path: /"), ""},
		{"pseudo late", without(2, "x: 1", ":path: /"), ""},
		{"pseudo unknown", with(":x: 1"), ""},
		{"pseudo of an answer", with(":status: 200"), ""},
		{"extended CONNECT", with(":protocol: websocket"), ""},
		{"connect", []string{":method: CONNECT", ":authority: a:443"}, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"},
		{"connect with a path", []string{":method: CONNECT", ":authority: a:443", ":path: /"}, ""},
		{"connect to nowhere", []string{":method: CONNECT"}, ""},
		{"upper case", with("X: 1"), ""},
		{"name with a space", with("x y: 1"), ""},
		{"name with CR", with("x\r: 1"), ""},
		{"name with a colon", with("x:y: 1"), ""},
		{"name of obs-text", with("x\xe4: 1"), ""},
		{"empty name", with("\x00: 1"), ""},
		{"value with CRLF", with("x: 1\r\nHost: b"), ""},
		{"value with LF", with("x: 1\n"), ""},
		{"value with NUL", with("x: \x00"), ""},
		{"value with DEL", with("x: \x7f"), ""},
		{"value after a blank", with("x:  1"), ""},
		{"value before a blank", with("x: 1\t"), ""},
		{"connection", with("connection: close"), ""},
		{"keep-alive", with("keep-alive: 1"), ""},
		{"proxy-connection", with("proxy-connection: close"), ""},
		{"transfer-encoding", with("transfer-encoding: chunked"), ""},
		{"upgrade", with("upgrade: h2c"), ""},
		{"te gzip", with("te: gzip"), ""},
		{"te both", with("te: trailers, gzip"), ""},
		{"length without a body", with("content-length: 1"), ""},
		{"length twice", with("content-length: 0", "content-length: 0"), ""},
		{"length signed", with("content-length: +0"), ""},
		{"length negative", with("content-length: -0"), ""},
		{"length list", with("content-length: 0, 0"), ""},
		{"length empty", with("content-length: "), ""},
		{"length huge", with("content-length: 9999999999999999999"), ""},
		{"length with underscores", with("content-length: 0_0"), ""},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			c, w := greeted(t)
			w.headers(1, true, test.fields...)
			feed(t, c, w.sent())
			got, said := heard(c), w.said(t, c)
			if test.want == "" {
				if got != "" || said != "RST_STREAM 1 PROTOCOL_ERROR\n" || c.pool.Stats.Malformed != 1 {
					t.Errorf("%s%s", got, said)
				}
				return
			}
			if want := fmt.Sprintf("1 %q END\n", test.want); got != want || said != "" {
				t.Errorf("%s%swant %s", got, said, want)
			}
		})
	}
}

// TestRefusals holds that what only package http1 refuses gets its status, and that nothing follows
// the head it refuses.
func TestRefusals(t *testing.T) {
	long := strings.Repeat("x", http1.MaxTarget)
	for _, test := range []struct {
		name   string
		fields []string
		status int
	}{
		{"target", []string{":method: GET", ":scheme: http", ":path: /" + long, ":authority: a"}, 414},
		{"target beyond all", []string{":method: GET", ":scheme: http", ":path: /" + strings.Repeat(long, 5), ":authority: a"}, 414},
		{"fields", append([]string{":method: GET", ":scheme: http", ":path: /x", ":authority: a"}, many(100)...), 431},
		{"list", []string{":method: GET", ":scheme: http", ":path: /x", ":authority: a", "x: " + strings.Repeat(long, 4)}, 431},
		{"cookies", append([]string{":method: GET", ":scheme: http", ":path: /x", ":authority: a"}, strings.Split(strings.Repeat("cookie: a=b;", 999)+"x: 1", ";")...), 431},
		{"authority", []string{":method: GET", ":scheme: http", ":path: /x", ":authority: " + strings.Repeat(long, 5)}, 431},
		{"CONNECT", []string{":method: CONNECT", ":authority: a"}, 405},
		{"TRACE", []string{":method: TRACE", ":scheme: http", ":path: /x", ":authority: a"}, 405},
		{"PRI", []string{":method: PRI", ":scheme: http", ":path: /x", ":authority: a"}, 400},
		{"method in lower case", []string{":method: get", ":scheme: http", ":path: /x", ":authority: a"}, 400},
		{"fragment", []string{":method: GET", ":scheme: http", ":path: /x#y", ":authority: a"}, 400},
		{"authority no name", []string{":method: GET", ":scheme: http", ":path: /x", ":authority: a..b"}, 400},
		{"no host", []string{":method: GET", ":scheme: http", ":path: /x"}, 400},
		{"expect", []string{":method: GET", ":scheme: http", ":path: /x", ":authority: a", "expect: more"}, 417},
		{"twin", []string{":method: GET", ":scheme: http", ":path: /x", ":authority: a", "content_length: 1"}, 400},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			for _, end := range []bool{true, false} {
				c, w := greeted(t)
				block := w.fields(test.fields...)
				first := block[:min(len(block), MaxFrame)]
				w.WriteRawFrame(1, b2f(end)|b2f(len(first) == len(block))<<2, 1, first)
				for block = block[len(first):]; len(block) > 0; block = block[len(first):] {
					first = block[:min(len(block), MaxFrame)]
					w.WriteContinuation(1, len(first) == len(block), first)
				}
				if !end {
					w.WriteData(1, true, []byte("GET /next HTTP/1.1\r\nHost: a\r\n\r\n"))
				}
				feed(t, c, w.sent())
				s := c.Next()
				if s == nil {
					t.Fatal(w.said(t, c))
				}
				b := make([]byte, 64<<10)
				n := s.Read(b)
				var r http1.Request
				if strings.Contains(string(b[:n]), "\r\n\r\nGET /next") {
					t.Errorf("what follows is not thrown away: %.200q", b[:n])
				}
				used, err := r.Parse(b[:n])
				var refused *http1.Error
				if !errors.As(err, &refused) || refused.Status != test.status {
					t.Fatalf("%d of %d, %v", used, n, err)
				}
				answer := http1.AppendError(nil, refused.Status, 1, true)
				if n, err := s.Write(answer); n != len(answer) || err != nil || !s.WriteEnded() {
					t.Fatal(n, err)
				}
				s.Close()
				if said := w.said(t, c); !strings.Contains(said, fmt.Sprintf("HEADERS 1 :status=%d ", test.status)) {
					t.Error(said)
				}
				checkEmpty(t, c)
			}
		})
	}
}

func b2f(b bool) h2.Flags {
	if b {
		return 1
	}
	return 0
}

// TestRenderedAsOne is the property that no request smuggles another: whatever a header list
// is, http1 reads what is rendered as the same one request, or refuses it.
func TestRenderedAsOne(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[a-z0-9 \r\n\t:/?*@#.,;=_A-Z\x00\x7f\xe4-]{0,12}`),
		rapid.SampledFrom([]string{"/", "*", "a", "GET", "POST", "OPTIONS", "CONNECT", "https", "0", "3", "chunked", "trailers", "close", "100-continue", "/a b"}))
	name := rapid.OneOf(rapid.StringMatching(`:?[a-z0-9 \r\n:_A-Z-]{1,10}`), rapid.SampledFrom([]string{
		":method", ":scheme", ":path", ":authority", ":status", "host", "content-length", "content_length", "transfer-encoding",
		"transfer_encoding", "connection", "te", "trailer", "cookie", "expect", "upgrade", "x-forwarded-for", "x"}))
	rapid.Check(t, func(t *rapid.T) {
		fields := []string{":method: GET", ":scheme: https", ":path: /a", ":authority: shop.example"}
		for range rapid.IntRange(0, 5).Draw(t, "changes") {
			line := name.Draw(t, "name") + ": " + text.Draw(t, "value")
			if at := rapid.IntRange(0, len(fields)).Draw(t, "at"); at < len(fields) && rapid.Bool().Draw(t, "replace") {
				fields[at] = line
			} else {
				fields = append(fields[:at:at], append([]string{line}, fields[at:]...)...)
			}
		}
		body := rapid.SampledFrom([]string{"", "abc", "0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"}).Draw(t, "body")
		trailers := rapid.Bool().Draw(t, "trailers")
		c, w := NewServer(NewPool(), 0), client()
		w.headers(1, body == "", fields...)
		if body != "" {
			w.WriteData(1, !trailers, []byte(body))
			if trailers {
				w.headers(1, true, "x-sum: 1")
			}
		}
		if _, err := c.Feed(w.sent(), 0); err != nil {
			t.Fatal(err)
		}
		s := c.Next()
		if s == nil || s.Err() != nil {
			return // malformed
		}
		b := make([]byte, 64<<10)
		n := s.Read(b)
		if !s.Ended() {
			t.Fatal("it has not ended")
		}
		f := parseFields(fields)
		var r http1.Request
		head, err := r.Parse(b[:n])
		if err != nil {
			return // refused with a status
		}
		if head == 0 {
			t.Fatalf("half a head: %q", b[:n])
		}
		if string(r.Method) != f[":method"] || string(r.Target) != f[":path"] || !strings.EqualFold(string(r.Authority), f.authority()) || r.Minor != 1 ||
			r.Upgrade != nil || r.Close {
			t.Fatalf("%q is read as %+v", b[:n], r)
		}
		for name, value := range f {
			switch name {
			case ":method", ":path", ":authority", ":scheme", "host", "content-length":
				continue
			}
			if got, _ := r.Header(name); string(got) != value {
				t.Fatalf("%s is %q, not %q", name, got, value)
			}
		}
		var content []byte
		var of http1.Body
		for of.OfRequest(&r); !of.Done(); {
			data, k, _, err := of.Next(b[head:n])
			if err != nil || k == 0 {
				t.Fatalf("%q: %v", b[:n], err)
			}
			content = append(content, data...)
			head += k
		}
		if head != n || string(content) != body {
			t.Fatalf("%q has the body %q, %d bytes are left", b[:n], content, n-head)
		}
	})
}

// fieldMap is the first value of each field, all of cookie's.
type fieldMap map[string]string

func parseFields(lines []string) fieldMap {
	f := fieldMap{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line[1:], ": ")
		name = line[:1] + name
		if old, ok := f[name]; name == "cookie" && old != "" {
			f[name] = old + "; " + value
		} else if !ok || name == "cookie" {
			f[name] = value
		}
	}
	return f
}

func (f fieldMap) authority() string {
	if a, ok := f[":authority"]; ok {
		return a
	}
	return f["host"]
}
