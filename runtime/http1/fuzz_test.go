package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"slbctl/testdata/wire"
)

func seeds(f *testing.F) []wire.Vector {
	vectors, err := wire.Vectors()
	if err != nil {
		f.Fatal(err)
	}
	return slices.DeleteFunc(vectors, func(v wire.Vector) bool { return len(v.Bytes) > 2048 })
}

// FuzzRequest holds that the standard library, another reading of the same RFCs,
// understands what is accepted as this package does: as it came and as it goes
// on. It also holds that what goes on is final, and that no part of it is refused.
func FuzzRequest(f *testing.F) {
	for _, v := range seeds(f) {
		f.Add(v.Bytes)
	}
	f.Add([]byte(browserHead))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := new(Request)
		n, err := r.Parse(in)
		if err != nil || n == 0 {
			return
		}
		for i := range n {
			if n, err := new(Request).Parse(in[:i]); n != 0 || err != nil {
				t.Fatalf("%d of %d bytes: %d, %v", i, len(in), n, err)
			}
		}
		out := r.AppendHead(nil, &Forward{})
		again := new(Request)
		if n, err := again.Parse(out); n != len(out) || err != nil {
			t.Fatalf("what goes on is refused: %d of %d, %v\n%q", n, len(out), err, out)
		}
		if second := again.AppendHead(nil, &Forward{}); !bytes.Equal(out, second) {
			t.Fatalf("what goes on changes again:\n%q\n%q", out, second)
		}
		if !bytes.Equal(again.Host, r.Host) || again.Length != r.Length || again.Chunked != r.Chunked || !bytes.Equal(again.Upgrade, r.Upgrade) {
			t.Fatalf("read differently again: %+v\n%+v", r, again)
		}
		if _, err := url.ParseRequestURI(string(r.Target)); err != nil || r.has(trailer) {
			return // escapes and announced trailers are not this package's to judge
		}
		compareRequest(t, r, bytes.TrimPrefix(in[:n], []byte("\r\n")))
		compareFields(t, r, compareRequest(t, r, out).Header)
	})
}

// compareRequest compares with the standard library's reading of a head.
func compareRequest(t *testing.T, r *Request, head []byte) *http.Request {
	want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		t.Fatalf("net/http refuses: %v\n%q", err, head)
	}
	length := max(r.Length, 0)
	if r.Chunked {
		length = -1
	}
	if want.Method != string(r.Method) || !strings.EqualFold(want.Host, string(r.Authority)) || want.ContentLength != length ||
		slices.Equal(want.TransferEncoding, []string{"chunked"}) != r.Chunked || want.ProtoMinor != r.Minor {
		t.Fatalf("net/http: %s %s %d %q\nhere: %s %s %d\n%q", want.Method, want.Host, want.ContentLength, want.TransferEncoding,
			r.Method, r.Authority, length, head)
	}
	return want
}

// compareFields compares the fields that go on.
func compareFields(t *testing.T, r *Request, got http.Header) {
	want := make(http.Header)
	for i := range r.fields {
		if f := &r.fields[i]; passed[f.kind] && f.kind != host {
			want.Add(string(r.name(f)), string(r.value(f)))
		}
	}
	for _, name := range []string{"Content-Length", "Connection", "Upgrade", "Expect"} {
		got.Del(name)
	}
	if len(got) != len(want) {
		t.Fatalf("fields %v, want %v", got, want)
	}
	for name, values := range want {
		if !slices.Equal(got[name], values) {
			t.Fatalf("field %s: %q, want %q", name, got[name], values)
		}
	}
}

const chunkedHead = "POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n"

// FuzzBody holds that a chunked body that is accepted has the same content and the
// same end for the standard library, and that pieces make no difference.
func FuzzBody(f *testing.F) {
	for _, v := range seeds(f) {
		if strings.HasPrefix(v.Name, "chunked/") {
			f.Add(bytes.TrimPrefix(v.Bytes, []byte(chunkedHead)), uint8(3))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		var b Body
		b.Chunked()
		n, done, err := b.Feed(in)
		checkPieces(t, in, int(piece)+1, n, done, err)
		if !done {
			return
		}
		content := decode(t, in)
		if int64(len(content)) != b.Bytes {
			t.Fatalf("%d bytes counted, %d there", b.Bytes, len(content))
		}
		stream := bufio.NewReader(strings.NewReader(chunkedHead + string(in)))
		r, err := http.ReadRequest(stream)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(r.Body)
		if err != nil && strings.Contains(err.Error(), "too much non-data") {
			return // a budget for extensions, not another reading
		}
		if err != nil || !bytes.Equal(content, want) {
			t.Fatalf("net/http: %q, %v\nhere: %q", want, err, content)
		}
		if rest, _ := io.ReadAll(stream); !bytes.Equal(rest, in[n:]) {
			t.Fatalf("net/http leaves %q, here %q is left", rest, in[n:])
		}
	})
}

// checkPieces feeds in piece by piece and expects the outcome of all at once.
func checkPieces(t *testing.T, in []byte, piece, n int, done bool, err error) {
	var b Body
	b.Chunked()
	at := 0
	for at < len(in) {
		k, ended, refused := b.Feed(in[at:min(at+piece, len(in))])
		at += k
		if ended || refused != nil {
			if ended != done || refused != err || at != n {
				t.Fatalf("in pieces %d %v %v, at once %d %v %v", at, ended, refused, n, done, err)
			}
			return
		}
	}
	if done || err != nil || at != n {
		t.Fatalf("in pieces %d and no end, at once %d %v %v", at, n, done, err)
	}
}

// decode returns the content of a whole chunked body.
func decode(t *testing.T, in []byte) (content []byte) {
	var b Body
	b.Chunked()
	for {
		data, n, done, err := b.Next(in)
		if err != nil {
			t.Fatal(err)
		}
		content, in = append(content, data...), in[n:]
		if done {
			return content
		}
	}
}

// FuzzResponse is FuzzRequest for what servers send.
func FuzzResponse(f *testing.F) {
	f.Add([]byte(serverHead), false)
	for _, s := range responses {
		f.Add([]byte(s.head), s.toHead)
	}
	f.Fuzz(func(t *testing.T, in []byte, toHead bool) {
		r := new(Response)
		n, err := r.Parse(in, toHead)
		if err != nil || n == 0 {
			return
		}
		out := r.AppendHead(nil, &Back{Minor: 1})
		again := new(Response)
		if n, err := again.Parse(out, toHead); n != len(out) || err != nil {
			t.Fatalf("what goes on is refused: %d of %d, %v\n%q", n, len(out), err, out)
		}
		if second := again.AppendHead(nil, &Back{Minor: 1}); !bytes.Equal(out, second) {
			t.Fatalf("what goes on changes again:\n%q\n%q", out, second)
		}
		if !r.has(trailer) {
			compareResponse(t, r, in[:n])
			compareResponse(t, r, out)
		}
	})
}

// compareResponse compares with the standard library's reading of a response to GET.
func compareResponse(t *testing.T, r *Response, head []byte) {
	want, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		t.Fatalf("net/http refuses: %v\n%q", err, head)
	}
	chunked := slices.Equal(want.TransferEncoding, []string{"chunked"})
	if want.StatusCode != r.Status || !r.NoBody && (chunked != r.Chunked || want.ContentLength != r.Length) {
		t.Fatalf("net/http: %d %d %q\nhere: %d %d\n%q", want.StatusCode, want.ContentLength, want.TransferEncoding, r.Status, r.Length, head)
	}
}
