package http1

import (
	"errors"
	"strings"
	"testing"
)

// responses are heads with what they have to become for a client of HTTP/1.1; an
// empty want is a refusal, "…" an incomplete head.
var responses = []struct {
	name, head string
	toHead     bool
	want       string
	ends       string // how the body ends: length, chunked, close or none
	close      bool
}{
	{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "length", false},
	{"chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked", false},
	{"until close", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n", false, "HTTP/1.1 200 OK\r\nX: y\r\n\r\n", "close", true},
	{"hop-by-hop", "HTTP/1.1 200 OK\r\nConnection: close, X-A\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\nUpgrade: h2c\r\n\r\n", false,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "length", true},
	{"http 1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "length", true},
	{"http 1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", false, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "length", false},
	{"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", false, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "length", false},
	{"not even the space", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "length", false},
	{"to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "none", false},
	{"to HEAD, no length", "HTTP/1.1 200 OK\r\n\r\n", true, "HTTP/1.1 200 OK\r\n\r\n", "none", false},
	{"204", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, "HTTP/1.1 204 No Content\r\n\r\n", "none", false},
	{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n", false, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n", "none", false},
	{"100", "HTTP/1.1 100 Continue\r\n\r\n", false, "HTTP/1.1 100 Continue\r\n\r\n", "none", false},
	{"103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", false, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "none", false},
	{"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", false,
		"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "none", false},
	{"incomplete", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", false, "…", "", false},
	{"incomplete status line", "HTTP/1.1 20", false, "…", "", false},
	{"101 to nothing", "HTTP/1.1 101 Switching Protocols\r\n\r\n", false, "", "", false},
	{"length twice", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", false, "", "", false},
	{"length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", false, "", "", false},
	{"coding gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, "", "", false},
	{"coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "", "", false},
	{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", false, "", "", false},
	{"folded", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", false, "", "", false},
	{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", false, "", "", false},
	{"bare LF in fields", "HTTP/1.1 200 OK\r\nX: y\nContent-Length: 0\r\n\r\n", false, "", "", false},
	{"NUL", "HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n", false, "", "", false},
	{"NUL in the reason", "HTTP/1.1 200 \x00\r\n\r\n", false, "", "", false},
	{"space before colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", false, "", "", false},
	{"status 99", "HTTP/1.1 099 Low\r\n\r\n", false, "", "", false},
	{"status 600", "HTTP/1.1 600 High\r\n\r\n", false, "", "", false},
	{"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", false, "", "", false},
	{"http 2", "HTTP/2.0 200 OK\r\n\r\n", false, "", "", false},
	{"http 0.9", "<html>hello</html>", false, "", "", false},
	{"leading CR LF", "\r\nHTTP/1.1 200 OK\r\n\r\n", false, "", "", false},
	{"too large", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", MaxHead), false, "", "", false},
}

func TestResponses(t *testing.T) {
	var r Response
	for _, test := range responses {
		n, err := r.Parse([]byte(test.head), test.toHead)
		refused := new(Error)
		switch {
		case test.want == "":
			if !errors.As(err, &refused) || refused.Status != 502 || !strings.HasPrefix(err.Error(), "response refused with 502: ") {
				t.Errorf("%s: %d, %v; want 502", test.name, n, err)
			}
			continue
		case test.want == "…":
			if n != 0 || err != nil {
				t.Errorf("%s: %d, %v; want it incomplete", test.name, n, err)
			}
			continue
		}
		if n != len(test.head) || err != nil {
			t.Errorf("%s: %d, %v", test.name, n, err)
			continue
		}
		if got := string(r.AppendHead(nil, &Back{Minor: 1})); got != test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
		if got := endOf(&r); got != test.ends || r.Close != test.close {
			t.Errorf("%s: body ends by %s, close %v; want %s, %v", test.name, got, r.Close, test.ends, test.close)
		}
	}
}

func endOf(r *Response) string {
	var b Body
	b.OfResponse(r)
	switch {
	case b.Open():
		return "close"
	case r.NoBody:
		return "none"
	case r.Chunked:
		return "chunked"
	}
	return "length"
}

func TestBack(t *testing.T) {
	const page = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\nVary: Cookie\r\nSet-Cookie: id = own; Path=/\r\nSet-Cookie: other=id=1\r\nContent-Length: 5\r\n\r\n"
	const cookies = "Set-Cookie: id = own; Path=/\r\nSet-Cookie: other=id=1\r\n"
	const tags = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\nVary: Cookie\r\n"
	const streamed = "HTTP/1.1 200 OK\r\n\r\n"
	for _, test := range []struct {
		name, head string
		back       Back
		want       string
	}{
		{"close", streamed, Back{Minor: 1, Close: true}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
		{"old client", streamed, Back{Close: true}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
		{"old client that stays", page, Back{}, tags + cookies + "Content-Length: 5\r\nConnection: keep-alive\r\n\r\n"},
		{"lines", streamed, Back{Minor: 1, Lines: []byte("Set-Cookie: SERVERID=1\r\n")}, "HTTP/1.1 200 OK\r\nSet-Cookie: SERVERID=1\r\n\r\n"},
		{"cookie", page, Back{Minor: 1, Cookie: "id", CookiePrefix: []byte("s1|")},
			tags + "Set-Cookie: id = s1|own; Path=/\r\nSet-Cookie: other=id=1\r\nContent-Length: 5\r\n\r\n"},
		{"another cookie", page, Back{Minor: 1, Cookie: "Path", CookiePrefix: []byte("s1|")}, tags + cookies + "Content-Length: 5\r\n\r\n"},
		{"gzip", page, Back{Minor: 1, Gzip: true}, "HTTP/1.1 200 OK\r\nETag: W/\"a\"\r\nVary: Cookie\r\n" + cookies +
			"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"gzip of a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: W/\"a\"\r\n\r\n", Back{Minor: 1, Gzip: true},
			"HTTP/1.1 200 OK\r\nETag: W/\"a\"\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"gzip for an old client", page, Back{Gzip: true, Close: true}, "HTTP/1.1 200 OK\r\nETag: W/\"a\"\r\nVary: Cookie\r\n" + cookies +
			"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\nConnection: close\r\n\r\n"},
	} {
		var r Response
		if _, err := r.Parse([]byte(test.head), false); err != nil {
			t.Fatal(err)
		}
		if got := string(r.AppendHead(nil, &test.back)); got != test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
}
