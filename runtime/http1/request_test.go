package http1

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func parsed(t interface{ Fatal(...any) }, head string) *Request {
	r := new(Request)
	if n, err := r.Parse([]byte(head)); n != len(head) || err != nil {
		t.Fatal(n, err, head)
	}
	return r
}

func TestNoAllocations(t *testing.T) {
	requests := [][]byte{[]byte(wrkHead), []byte(browserHead),
		[]byte("GET http://[::1]:8080?a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
		[]byte("POST / HTTP/1.1\r\nHost: SHOP.Example.\r\nConnection: x-a\r\nX-A: 1\r\nTransfer-Encoding: CHUNKED\r\nExpect: 100-continue\r\n\r\n")}
	bad := []byte("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
	answer := []byte(serverHead)
	body := []byte("5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
	out := make([]byte, 0, 4096)
	var r Request
	var s Response
	var b Body
	allocations := testing.AllocsPerRun(100, func() {
		for _, head := range requests {
			if _, err := r.Parse(head); err != nil {
				t.Fatal(err)
			}
			out = r.AppendHead(out[:0], &Forward{Client: forward.Client, Cookie: "session", CookieValue: forward.Client})
			r.Header("user-agent")
			r.Cookie("session")
			b.OfRequest(&r)
		}
		if _, err := r.Parse(bad); err == nil {
			t.Fatal("not refused")
		}
		if _, err := s.Parse(answer, false); err != nil {
			t.Fatal(err)
		}
		out = s.AppendHead(out[:0], back)
		out = AppendError(out[:0], 503, 1, true)
		b.Chunked()
		if _, done, err := b.Feed(body); !done || err != nil {
			t.Fatal(done, err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestRequest(t *testing.T) {
	for _, test := range []struct {
		head, authority, host string
		length                int64
		close, keep10, expect bool
		upgrade               string
	}{
		{"GET / HTTP/1.1\r\nHost: Shop.Example.:8080\r\n\r\n", "Shop.Example.:8080", "shop.example", -1, false, false, false, ""},
		{"GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n", "[2001:DB8::1]:80", "[2001:db8::1]", -1, false, false, false, ""},
		{"GET http://a.b HTTP/1.0\r\n\r\n", "a.b", "a.b", -1, true, false, false, ""},
		{"GET / HTTP/1.0\r\n\r\n", "", "", -1, true, false, false, ""},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "", "", -1, false, true, false, ""},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n", "", "", -1, true, false, false, ""},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nExpect: 100-Continue\r\n\r\n", "a", "a", 7, false, false, true, ""},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "a", "a", -1, true, false, false, ""},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n", "a", "a", -1, false, false, false, "WebSocket"},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: foo/2\r\n\r\n", "a", "a", -1, false, false, false, "foo/2"},
	} {
		r := parsed(t, test.head)
		if string(r.Authority) != test.authority || string(r.Host) != test.host || r.Length != test.length ||
			r.Close != test.close || r.KeepAlive10 != test.keep10 || r.Expect100 != test.expect || string(r.Upgrade) != test.upgrade {
			t.Errorf("%q: %q %q %d close %v keep %v expect %v upgrade %q", test.head,
				r.Authority, r.Host, r.Length, r.Close, r.KeepAlive10, r.Expect100, r.Upgrade)
		}
	}
}

// A request that is used again remembers nothing of the one before.
func TestRequestAgain(t *testing.T) {
	r := new(Request)
	for _, head := range []string{
		"HEAD http://HOST.example?a HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\nCookie: a=b\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		wrkHead,
	} {
		if _, err := r.Parse([]byte(head)); err != nil {
			t.Fatal(err)
		}
		fresh := parsed(t, head)
		got, want := r.AppendHead(nil, forward), fresh.AppendHead(nil, forward)
		_, cookie := r.Cookie("a")
		_, freshCookie := fresh.Cookie("a")
		if !bytes.Equal(got, want) || r.Head != fresh.Head || r.Close != fresh.Close || !bytes.Equal(r.Host, fresh.Host) ||
			r.Expect100 != fresh.Expect100 || r.KeepAlive10 != fresh.KeepAlive10 || cookie != freshCookie {
			t.Errorf("used again:\n%s\nfresh:\n%s", got, want)
		}
	}
}

func TestForward(t *testing.T) {
	const head = "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nCookie: x=1; id=s1|own ; y=2\r\nCookie: id=two\r\nContent-Length: 3\r\nCONNECTION: keep-alive\r\n\r\n"
	const start, cookies = "POST /a HTTP/1.1\r\nHost: a\r\n", "Cookie: x=1; id=s1|own ; y=2\r\nCookie: id=two\r\n"
	for _, test := range []struct {
		name    string
		forward Forward
		want    string
	}{
		{"nothing", Forward{}, start + "Expect: 100-continue\r\n" + cookies + "Content-Length: 3\r\n\r\n"},
		{"client and lines", Forward{Client: []byte("2001:db8::1"), Lines: []byte("SLB-ID: lb-1\r\n")},
			start + "Expect: 100-continue\r\n" + cookies + "Content-Length: 3\r\nX-Forwarded-For: 2001:db8::1\r\nSLB-ID: lb-1\r\n\r\n"},
		{"close", Forward{Close: true, Continue: true}, start + cookies + "Content-Length: 3\r\nConnection: close\r\n\r\n"},
		{"cookie", Forward{Cookie: "id", CookieValue: []byte("own"), Continue: true},
			start + "Cookie: x=1; id=own ; y=2\r\nCookie: id=two\r\nContent-Length: 3\r\n\r\n"},
		{"cookie that is not there", Forward{Cookie: "i", CookieValue: []byte("own"), Continue: true},
			start + cookies + "Content-Length: 3\r\n\r\n"},
	} {
		if got := string(parsed(t, head).AppendHead(nil, &test.forward)); got != test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
}

// TestForwardedFor has clients, and proxies before this one, say who they are.
func TestForwardedFor(t *testing.T) {
	for _, test := range []struct{ lines, want string }{
		{"", "192.0.2.7"},
		{"X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1, 192.0.2.7"},
		{"x-forwarded-for:198.51.100.1,  203.0.113.9 \r\n", "198.51.100.1,  203.0.113.9, 192.0.2.7"},
		{"X-Forwarded-For: a\r\nX-A: b\r\nX-FORWARDED-FOR: c\r\n", "a, c, 192.0.2.7"},
		{"X-Forwarded-For: \r\nX-Forwarded-For: a\r\n", "a, 192.0.2.7"},
		{"Connection: X-Forwarded-For\r\nX-Forwarded-For: a\r\n", "a, 192.0.2.7"},
		{"X_Forwarded_For: a\r\nX-Forwarded_For: a\r\nForwarded: for=a\r\nX-Forwarded-Host: a\r\nX-Forwarded-Fo: a\r\n", "192.0.2.7"},
	} {
		r := parsed(t, "GET / HTTP/1.1\r\nHost: h\r\n"+test.lines+"\r\n")
		want := "X-Forwarded-For: " + test.want + "\r\n\r\n"
		got := string(r.AppendHead(nil, &Forward{Client: []byte("192.0.2.7")}))
		if !strings.HasSuffix(got, want) || strings.Count(strings.ToLower(got), "orwarded") != 1 {
			t.Errorf("%q: got %q, want the one line %q", test.lines, got, want)
		}
	}
}

func TestCookie(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: a\r\nCookie: SERVERIDX=0; serverid=1;SERVERID=2 ; SERVERID=3; e=; q=\"a=b\"\r\ncookie: f; b = 4; last=5\r\n\r\n"
	r := parsed(t, head)
	for name, want := range map[string]string{"SERVERID": "2", "serverid": "1", "SERVERIDX": "0", "e": "", "q": `"a=b"`, "last": "5",
		"f": "-", "ServerID": "-", "b": "-", "": "-", "2": "-"} {
		value, ok := r.Cookie(name)
		if !ok {
			value = []byte("-")
		}
		if string(value) != want {
			t.Errorf("%q is %q, want %q", name, value, want)
		}
	}
	if value, ok := r.Header("host"); string(value) != "a" || !ok {
		t.Errorf("host is %q, %v", value, ok)
	}
	if _, ok := r.Header("hos"); ok {
		t.Error("a field that is not there was found")
	}
}

// Whatever fields a client sends and Connection names, those that belong to
// nobody else go on in order, with one space, and nothing else does.
func TestFieldsProperty(t *testing.T) {
	blank := rapid.StringMatching(`[ \t]{0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		in, want := "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"
		var named []string
		for range rapid.IntRange(0, 20).Draw(t, "fields") {
			name := rapid.StringMatching(`Y[a-zA-Z0-9_-]{0,20}`).Draw(t, "name")
			value := strings.Trim(rapid.StringMatching(`[ -~\t]{0,40}`).Draw(t, "value"), " \t")
			in += name + ":" + blank.Draw(t, "before") + value + blank.Draw(t, "after") + "\r\n"
			if rapid.IntRange(0, 3).Draw(t, "is named") == 0 && len(named) < maxNamed {
				named = append(named, strings.ToUpper(name))
			}
			want += name + ": " + value + "\r\n"
		}
		if len(named) > 0 {
			in += "Connection: " + strings.Join(named, blank.Draw(t, "between")+",") + "\r\n"
		}
		kept := strings.SplitAfter(want, "\r\n")
		want = ""
		for _, line := range kept {
			name, _, _ := strings.Cut(line, ":")
			drop := false
			for _, n := range named {
				drop = drop || strings.EqualFold(n, name)
			}
			if !drop {
				want += line
			}
		}
		if got := string(parsed(t, in+"\r\n").AppendHead(nil, &Forward{})); got != want+"\r\n" {
			t.Fatalf("in   %q\ngot  %q\nwant %q", in, got, want)
		}
	})
}

func TestEndOfValue(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			b := bytes.Repeat([]byte("\xffa\t ~"), 4)
			b[at] = byte(c)
			want := len(b)
			if c != '\t' && (c < ' ' || c == 0x7f) {
				want = at
			}
			if got := endOfValue(b, 0); got != want {
				t.Fatalf("byte %#x at %d: end at %d", c, at, got)
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	r := parsed(t, "GET http://Shop.example:80/a?b HTTP/1.0\r\nConnection: keep-alive\r\nHost: shop.example:80\r\n\r\n")
	for _, test := range []struct{ got, want string }{
		{string(AppendError(nil, 502, 1, false)), "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\n502 Bad Gateway\n"},
		{string(AppendErrorHead(nil, 502, 1, true)), "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 16\r\nConnection: close\r\n\r\n"},
		{string(AppendError(nil, 405, 0, false)), "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" +
			"Content-Type: text/plain\r\nContent-Length: 23\r\nConnection: keep-alive\r\n\r\n405 Method Not Allowed\n"},
		{string(AppendRedirect(nil, r, 302, "https", 8443, true)), "HTTP/1.1 302 Found\r\nLocation: https://shop.example:8443/a?b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{string(AppendRedirect(nil, r, 301, "https", 0, false)), "HTTP/1.1 301 Moved Permanently\r\nLocation: https://shop.example/a?b\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
	} {
		if test.got != test.want {
			t.Errorf("got  %q\nwant %q", test.got, test.want)
		}
	}
}

func TestBody(t *testing.T) {
	var b Body
	if n, done, err := b.Feed([]byte("GET")); n != 0 || !done || err != nil {
		t.Error("no body:", n, done, err)
	}
	b.Length(5)
	if n, done, _ := b.Feed([]byte("hel")); n != 3 || done {
		t.Error("half a body:", n, done)
	}
	if n, done, _ := b.Feed([]byte("loGET")); n != 2 || !done || b.Bytes != 5 {
		t.Error("the other half:", n, done, b.Bytes)
	}
	b.UntilClose()
	if n, done, _ := b.Feed([]byte("hello")); n != 5 || done || !b.Open() || b.Bytes != 5 {
		t.Error("until close:", n, done, b.Bytes)
	}
	b.OfResponse(&Response{Chunked: true})
	if _, _, err := b.Feed([]byte("x")); err == nil || err.(*Error).Status != 502 {
		t.Error("a server's chunk:", err)
	}
}
