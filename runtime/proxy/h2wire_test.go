//go:build linux

package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Vector is one request of HTTP/2 that may mean another thing to a server of HTTP/1.1
// than to the client's side.
type h2Vector struct {
	name     string
	fields   []string // name and value in turn, after those of base that they do not replace
	bare     bool     // the fields are all that there are
	data     []string // DATA frames; nil = the request ends with its head
	trailers []string
	open     bool // the trailers do not end the request

	passes bool     // it reaches the server, once; otherwise it does not, and is reset or answered 4xx
	has    []string // what the server gets
	lacks  []string
}

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

// h2Vectors are what HTTP/2 can carry and HTTP/1.1 cannot (RFC 9113, 8.2, 8.3 and 10.3).
func h2Vectors() []h2Vector {
	var all []h2Vector
	bad := func(name string, fields ...string) { all = append(all, h2Vector{name: name, fields: fields}) }
	bare := func(name string, fields ...string) {
		all = append(all, h2Vector{name: name, fields: fields, bare: true})
	}
	body := func(v h2Vector) { all = append(all, v) }

	for _, c := range []string{"\r\n", "\n", "\r", "\x00", "\r\n ", "\r\n\r\n" + smuggled} {
		for _, name := range []string{":method", ":scheme", ":authority", ":path"} {
			value := map[string]string{":method": "GET", ":scheme": "https", ":authority": "h", ":path": "/"}[name]
			bad(fmt.Sprintf("%s ends with %q", name, c), name, value+c)
			bad(fmt.Sprintf("%s has %q inside", name, c), name, value+c+"x")
		}
		bad(fmt.Sprintf("a value with %q", c), "x-value", "a"+c+"b")
		bad(fmt.Sprintf("a value that ends with %q", c), "x-value", "a"+c)
		bad(fmt.Sprintf("a value of only %q", c), "x-value", c)
		bad(fmt.Sprintf("a cookie with %q", c), "cookie", "a=1"+c+"b=2")
		bad(fmt.Sprintf("a name with %q", c), "x-na"+c+"me", "a")
		bad(fmt.Sprintf("host with %q", c), "host", "h"+c)
	}
	for _, c := range []string{" ", "\t", "\x7f", "\"", "<", "\\", "^", "`", "{", "\x0b", "\x0c"} {
		bad(fmt.Sprintf("a method with %q", c), ":method", "GE"+c+"T")
		if !strings.Contains("\"<\\^`{", c) { // of which browsers send some, and servers take them
			bad(fmt.Sprintf("a path with %q", c), ":path", "/a"+c+"b")
		}
		bad(fmt.Sprintf("an authority with %q", c), ":authority", "h"+c+"x")
	}
	bad("a request line in the path", ":path", "/ HTTP/1.1\r\nHost: h\r\n\r\n"+smuggled)
	bad("a version in the path", ":path", "/smuggled HTTP/1.1")
	bad("a request line in the method", ":method", "GET /smuggled HTTP/1.1\r\nX: ")
	bad("a path without its slash", ":path", "smuggled")
	bad("an empty path", ":path", "")
	bad("a path of a star", ":path", "*")
	bad("an absolute path", ":path", "http://other/smuggled")
	bad("an empty method", ":method", "")
	bad("the preface's method", ":method", "PRI", ":path", "*")
	bad("a method in lower case", ":method", "get")
	bad("TRACE", ":method", "TRACE")
	bad("user information", ":authority", "user@h")
	bad("a path in the authority", ":authority", "h/smuggled")
	bad("two authorities", ":authority", "h", ":authority", "h")
	bad("host is another than the authority", "host", "other")
	bad("two hosts", "host", "h", "host", "h")
	bad("a bad scheme", ":scheme", "https://other/")

	for name, value := range map[string]string{
		"transfer-encoding": "chunked", "connection": "close", "keep-alive": "timeout=5",
		"proxy-connection": "close", "upgrade": "websocket", "te": "gzip",
	} {
		bad(name+" is not HTTP/2's", name, value)
	}
	bad("te with more than trailers", "te", "trailers, chunked")
	bad("transfer-encoding that is none", "transfer-encoding", "identity")
	bad("connection that lists a field", "connection", "x-forwarded-for")
	for _, name := range []string{"X-Upper", "x-uppeR", "x:y", "x ", " x", "x y", "", ":", "x\t", "x\x80", "x(", "x,y", "x/y", "transfer-encoding ", "transfer-encoding:", "content-length:"} {
		bad(fmt.Sprintf("the name %q", name), name, "chunked")
	}
	bad("a value that begins with a space", "x-value", " a")
	bad("a value that ends with a tab", "x-value", "a\t")
	bad("a pseudo-header that is none", ":other", "x")
	bad("a pseudo-header of answers", ":status", "200")
	bad("a pseudo-header twice", ":path", "/", ":path", "/smuggled")
	bad("a protocol for a connection that is not to be made", ":protocol", "websocket")
	bare("a pseudo-header after a field", ":method", "GET", ":scheme", "https", "x", "y", ":path", "/", ":authority", "h")
	bare("no path", ":method", "GET", ":scheme", "https", ":authority", "h")
	bare("no method", ":scheme", "https", ":authority", "h", ":path", "/")
	bare("no scheme", ":method", "GET", ":authority", "h", ":path", "/")
	bare("no authority and no host", ":method", "GET", ":scheme", "https", ":path", "/")
	bare("nothing")
	bare("CONNECT", ":method", "CONNECT", ":authority", "h:443")
	bare("CONNECT with a protocol", ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "h", ":path", "/")

	for _, length := range []string{"5", "2", "+3", "-3", "0x3", "3,3", "3 ", "03a", "", "99999999999999999999", "18446744073709551619"} {
		body(h2Vector{name: "content-length " + length + " of 3 bytes", fields: []string{"content-length", length}, data: []string{"abc"}, lacks: []string{"\r\n\r\nabc\r\n"}})
	}
	body(h2Vector{name: "two lengths", fields: []string{"content-length", "3", "content-length", "40"}, data: []string{"abc"}})
	body(h2Vector{name: "a length and no body", fields: []string{"content-length", "3"}})
	body(h2Vector{name: "a request behind the body", fields: []string{"content-length", "3"}, data: []string{"abc", smuggled}})
	body(h2Vector{name: "a request behind no body", fields: []string{"content-length", "0"}, data: []string{smuggled}})
	trailers := func(name string, fields ...string) {
		body(h2Vector{name: "trailers: " + name, data: []string{"abc"}, trailers: fields})
	}
	trailers("a pseudo-header", ":path", "/smuggled")
	trailers("a status", ":status", "200")
	trailers("a line break", "x", "a\r\n\r\n"+smuggled)
	trailers("a name in upper case", "X", "a")
	trailers("a name with a line break", "x\r\n\r\n"+smuggled, "a")
	trailers("transfer-encoding", "transfer-encoding", "chunked")
	trailers("connection", "connection", "close")
	body(h2Vector{name: "trailers that do not end it", data: []string{"abc"}, trailers: []string{"x", "y"}, open: true})

	good := func(v h2Vector) { v.passes = true; all = append(all, v) }
	good(h2Vector{name: "plain", has: []string{"POST / HTTP/1.1\r\n", "Host: h\r\n"}, lacks: []string{"ransfer-"}})
	good(h2Vector{name: "a body that looks like chunks", data: []string{"0\r\n\r\n", smuggled}, has: []string{"ransfer-Encoding: chunked\r\n"}})
	good(h2Vector{name: "a body that looks like a request", fields: []string{"content-length", fmt.Sprint(len(smuggled))}, data: []string{smuggled}, has: []string{"ontent-Length: " + fmt.Sprint(len(smuggled)) + "\r\n"}, lacks: []string{"ransfer-"}})
	good(h2Vector{name: "a host that is the authority", fields: []string{"host", "h"}, has: []string{"Host: h\r\n"}})
	good(h2Vector{name: "crumbs of a cookie", fields: []string{"cookie", "a=1", "cookie", "b=2"}, has: []string{"ookie: a=1; b=2\r\n"}})
	good(h2Vector{name: "te: trailers", fields: []string{"te", "trailers"}})
	good(h2Vector{name: "a value with bytes of no text", fields: []string{"x-value", "\xff\xfe"}, has: []string{": \xff\xfe\r\n"}})
	good(h2Vector{name: "two bodies in frames", data: []string{"ab", "", "c"}, has: []string{"abc"}})
	good(h2Vector{name: "a path that is escaped", fields: []string{":path", "/a%20HTTP/1.1"}, has: []string{"POST /a%20HTTP/1.1 HTTP/1.1\r\n"}})
	return all
}

// base are the pseudo-headers of a request that says nothing else.
var base = []string{":method", "POST", ":scheme", "https", ":authority", "h", ":path", "/"}

// head is the vector's fields: those of base come first, replaced as they are named.
func (v *h2Vector) head() []string {
	if v.bare {
		return v.fields
	}
	rest := slices.Clone(v.fields)
	var all []string
	for i := 0; i < len(base); i += 2 {
		value := base[i+1]
		for j := 0; j < len(rest); j += 2 {
			if rest[j] == base[i] {
				value = rest[j+1]
				rest = slices.Delete(rest, j, j+2)
				break
			}
		}
		all = append(all, base[i], value)
	}
	// Pseudo-headers come before the others, also those that are too many.
	var regular []string
	for i := 0; i < len(rest); i += 2 {
		if strings.HasPrefix(rest[i], ":") {
			all = append(all, rest[i:i+2]...)
		} else {
			regular = append(regular, rest[i:i+2]...)
		}
	}
	return append(all, regular...)
}

// write adds the vector's frames, on a stream.
func (v *h2Vector) write(f *frames, id uint32) {
	f.headers(id, v.data == nil && v.trailers == nil, block(v.head()...))
	for i, b := range v.data {
		f.WriteData(id, v.trailers == nil && i == len(v.data)-1, []byte(b))
	}
	if v.trailers != nil {
		f.headers(id, !v.open, block(v.trailers...))
	}
}

// TestHTTP2Vectors sends every vector to a live listener, and a plain request behind it on
// the same connection. What reaches the server is that one, and the vector once or not at all.
func TestHTTP2Vectors(t *testing.T) {
	backend := new(recorder)
	k, h, config := secured(t, 1, httpsListenerOf(startBackend(t, backend.serve)), "h2")
	config.NextProtos = []string{"h2"}
	vectors := h2Vectors()
	refused := map[string]int{}
	for _, v := range vectors {
		backend.take()
		c := handshake(t, k, config)
		f := hello()
		v.write(f, 1)
		f.headers(3, true, getBlock("/last"))
		if _, err := c.Write(f.Bytes()); err != nil {
			t.Fatal(err)
		}
		in := h2.NewFramer(nil, c)
		in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		outcome := map[uint32]string{}
		over := map[uint32]bool{}
		for !over[1] || !over[3] {
			got, err := in.ReadFrame()
			if err != nil {
				outcome[1] = cmp.Or(outcome[1], "the connection ended")
				break
			}
			id := got.Header().StreamID
			over[id] = over[id] || got.Header().Flags.Has(h2.FlagDataEndStream) && got.Header().Type != h2.FrameSettings
			switch got := got.(type) {
			case *h2.MetaHeadersFrame:
				outcome[id] = cmp.Or(outcome[id], got.PseudoValue("status"))
			case *h2.RSTStreamFrame:
				outcome[id] = cmp.Or(outcome[id], got.ErrCode.String())
				over[id] = true
			}
		}
		c.Close()
		settled(t, h)
		want := 0
		if v.passes {
			want++
		}
		if outcome[3] == "200" {
			want++
		} else if outcome[1] != "the connection ended" {
			t.Errorf("%s: the request behind it: %q", v.name, outcome[3])
		}
		for end := time.Now().Add(patience); backend.count() < want && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if n := backend.count(); n != want {
			t.Errorf("%s: %d requests reached the server, want %d; outcome %q", v.name, n, want, outcome[1])
		}
		seen := backend.take()
		if passed := outcome[1] == "200"; passed != v.passes || !passed && (outcome[1] < "400" || outcome[1] >= "500") &&
			outcome[1] != "PROTOCOL_ERROR" && outcome[1] != "the connection ended" {
			t.Errorf("%s: outcome %q", v.name, outcome[1])
		}
		refused[outcome[1]]++
		for _, s := range v.has {
			if !strings.Contains(seen, s) {
				t.Errorf("%s: the server was not told %q but\n%q", v.name, s, seen)
			}
		}
		for _, s := range v.lacks {
			if strings.Contains(seen, s) {
				t.Errorf("%s: the server was told %q", v.name, s)
			}
		}
		if !v.passes && strings.Contains(seen, "smuggled") {
			t.Errorf("%s: the server was told\n%q", v.name, seen)
		}
	}
	t.Logf("%d vectors: %v", len(vectors), refused)
	if n := atRest(t, h); n.Backends["a"].Errors != 0 {
		t.Errorf("clients' mistakes count against the server: %+v", n)
	}
}
