package http1

import (
	"strings"
	"testing"
)

// Heads as wrk and a browser send them, and one as a server answers.
const (
	wrkHead = "GET /index.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: wrk/4.1.0\r\nAccept: */*\r\n\r\n"

	browserHead = "GET /shop/articles?category=17&page=2 HTTP/1.1\r\n" +
		"Host: www.example.com\r\n" +
		"Connection: keep-alive\r\n" +
		"Cache-Control: max-age=0\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Referer: https://www.example.com/shop/articles?category=17\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\n" +
		"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
		"Cookie: SERVERID=0123456789abcdef; session=4f9a1c7e5b2d8036; theme=dark\r\n" +
		"If-None-Match: \"5e8f-62ab\"\r\n" +
		"DNT: 1\r\n\r\n"

	serverHead = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 23 Nov 2026 07:00:00 GMT\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 128\r\nConnection: keep-alive\r\nETag: \"5e8f-62ab\"\r\n\r\n"
)

var (
	forward = &Forward{Client: []byte("192.0.2.7"), Lines: []byte("X-Forwarded-Proto: http\r\n")}
	back    = &Back{Minor: 1}
)

func BenchmarkRequest(b *testing.B) {
	for _, test := range []struct{ name, head string }{{"wrk", wrkHead}, {"browser", browserHead}} {
		b.Run(test.name, func(b *testing.B) {
			in, out, r := []byte(test.head), make([]byte, 0, 2048), new(Request)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := r.Parse(in); n != len(in) || err != nil {
					b.Fatal(n, err)
				}
				out = r.AppendHead(out[:0], forward)
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	in, out, r := []byte(serverHead), make([]byte, 0, 2048), new(Response)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := r.Parse(in, false); n != len(in) || err != nil {
			b.Fatal(n, err)
		}
		out = r.AppendHead(out[:0], back)
	}
}

// BenchmarkBody is a body of 64 KiB in chunks of 4 KiB, as many servers send it.
func BenchmarkBody(b *testing.B) {
	in := []byte(strings.Repeat("1000\r\n"+strings.Repeat("x", 4096)+"\r\n", 16) + "0\r\n\r\n")
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		var body Body
		body.Chunked()
		if n, done, err := body.Feed(in); n != len(in) || !done || err != nil {
			b.Fatal(n, done, err)
		}
	}
}
