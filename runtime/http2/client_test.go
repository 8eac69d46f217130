package http2

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	h2 "golang.org/x/net/http2"
)

func TestClientWithGo(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		w.Header().Set("X-Te", r.Header.Get("Te"))
		w.Header().Set("X-Host", r.Host)
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		w.Header().Set("Trailer", "Grpc-Status")
		io.Copy(w, r.Body)
		w.Header().Set("Grpc-Status", r.Trailer.Get("Sum"))
	})
	mux.HandleFunc("/only", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		w.Header().Set("Grpc-Status", "12")
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		w.Header().Set("Content-Length", "2")
		w.WriteHeader(103)
		w.WriteHeader(413)
		io.WriteString(w, "no")
	})
	mux.HandleFunc("/204", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	mux.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })

	big := strings.Repeat("0123456789abcdef", 50_000)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, Protocols: withPriorKnowledge()}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	all := askAll(t, ours,
		"POST /echo HTTP/1.1\r\nHost: grpc.example:50051\r\nTE: trailers\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n"+
			"5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nSum: 7\r\n\r\n",
		fmt.Sprintf("PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(big), big),
		"GET /only HTTP/1.1\r\nHost: a\r\n\r\n",
		"HEAD /early HTTP/1.1\r\nHost: a\r\n\r\n",
		fmt.Sprintf("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(big), big),
		"GET /204 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /abort HTTP/1.1\r\nHost: a\r\n\r\n",
	)
	expect := func(i int, head, body string) {
		t.Helper()
		if all[i].err != nil {
			t.Errorf("%d: %v", i, all[i].err)
			return
		}
		gotHead, gotBody, _ := strings.Cut(string(all[i].in), "\r\n\r\n")
		if gotHead+"\r\n" != head || gotBody != body && decoded(t, all[i].in) != body {
			t.Errorf("%d: %q\n%.200q", i, gotHead, gotBody)
		}
	}
	expect(0, "HTTP/1.1 200 OK\r\ntrailer: Grpc-Status\r\nx-host: grpc.example:50051\r\nx-length: -1\r\nx-te: trailers\r\ncontent-type: text/plain; charset=utf-8\r\n"+
		"transfer-encoding: chunked\r\n", "6\r\nhello!\r\n0\r\ngrpc-status: 7\r\n\r\n")
	expect(1, "HTTP/1.1 200 OK\r\ntrailer: Grpc-Status\r\nx-host: a\r\nx-length: 800000\r\nx-te: trailers\r\ncontent-type: text/plain; charset=utf-8\r\n"+
		"transfer-encoding: chunked\r\n", big)
	expect(2, "HTTP/1.1 200 OK\r\ngrpc-status: 12\r\ncontent-length: 0\r\n", "")
	expect(3, "HTTP/1.1 103 Early Hints\r\n", "HTTP/1.1 413 Request Entity Too Large\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n\r\n")
	expect(4, "HTTP/1.1 103 Early Hints\r\n", "HTTP/1.1 413 Request Entity Too Large\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\n\r\nno")
	if in := string(all[5].in); !strings.HasPrefix(in, "HTTP/1.1 204 No Content\r\ndate: ") || !strings.HasSuffix(in, " GMT\r\n\r\n") {
		t.Errorf("%q", in)
	}
	if e, ok := all[6].err.(*StreamError); !ok || !e.Remote || e.Code != h2.ErrCodeInternal {
		t.Errorf("%v", all[6].err)
	}
}

// decoded returns the body of an answer as the standard library reads it.
func decoded(t testing.TB, answer []byte) string {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil {
		t.Errorf("%v: %.300q", err, answer)
		return ""
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("%v: %.300q", err, answer)
	}
	return string(b)
}

// TestEndStreamAlone holds that an answer whose end comes in a frame of its own is not
// reset when its owner, who counts bytes, is done before.
func TestEndStreamAlone(t *testing.T) {
	for _, more := range []func(w *wire){
		func(w *wire) { w.WriteData(1, true, nil) },
		func(w *wire) { w.headers(1, true, "x-sum: 1") },
		func(w *wire) { w.WriteRSTStream(1, h2.ErrCodeNo) },
	} {
		c, w := NewClient(NewPool(), 0), newWire()
		w.WriteSettings()
		s := c.Open()
		if _, err := s.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		w.headers(1, false, ":status: 200", "content-length: 2")
		w.WriteData(1, false, []byte("ok"))
		feed(t, c, w.sent())
		c.Advance(len(c.Out()))
		b := make([]byte, 100)
		if n := s.Read(b); string(b[:n]) != "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" || s.Ended() {
			t.Fatalf("%q", b[:n])
		}
		s.Close()
		more(w)
		feed(t, c, w.sent())
		if said := w.said(t, c); said != "" || c.Next() != nil || c.Streams() != 0 {
			t.Errorf("%s%d streams", said, c.Streams())
		}
		checkEmpty(t, c)
	}
}
