package http2

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// withPriorKnowledge makes the standard library speak HTTP/2 without TLS.
func withPriorKnowledge() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// dialer returns a client of the standard library whose connections a server of
// this package takes.
func dialer(t *testing.T, handler func([]byte) ([]byte, bool)) *http.Client {
	var loops sync.WaitGroup
	transport := &http.Transport{Protocols: withPriorKnowledge(), DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := pair(t)
		l := newLoop(t, NewServer(NewPool(), 0), ours, nil)
		l.event = answerWith(t, l.scratch, handler)
		loops.Go(func() {
			l.run()
			if stats := l.conn.pool.Stats; stats.ConnErrs+stats.StreamErrs > 0 {
				t.Errorf("%+v", stats)
			}
		})
		return theirs, nil
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		loops.Wait()
	})
	return &http.Client{Transport: transport}
}

func TestServerWithGo(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		w.Header().Set("X-Cookie", strings.Join(r.Header["Cookie"], "|"))
		w.Header().Set("X-Trailer", r.Trailer.Get("Sum"))
		w.Header().Set("Trailer", "Grpc-Status")
		w.Write(body)
		w.Header().Set("Grpc-Status", "0")
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	client := dialer(t, served(mux))
	big := bytes.Repeat([]byte("0123456789abcdef"), 100_000)

	var all sync.WaitGroup
	for i := range 100 {
		body := big[:i*i*100]
		all.Go(func() {
			r, err := http.NewRequest("POST", "http://shop.example/echo", io.MultiReader(bytes.NewReader(body)))
			if err != nil {
				t.Error(err)
				return
			}
			if i%2 == 0 {
				r.ContentLength = int64(len(body))
				r.Body = io.NopCloser(bytes.NewReader(body))
			} else {
				r.Trailer = http.Header{"Sum": {"7"}}
			}
			r.Header["Cookie"] = []string{"a=1; b=2"}
			answer, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			got, err := io.ReadAll(answer.Body)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d of %d bytes, %v", len(got), len(body), err)
			}
			if h := answer.Header; answer.StatusCode != 200 || h.Get("X-Cookie") != "a=1; b=2" || i%2 == 1 && h.Get("X-Trailer") != "7" {
				t.Errorf("%d %v", answer.StatusCode, answer.Header)
			}
			if answer.Trailer.Get("Grpc-Status") != "0" {
				t.Errorf("trailers %v", answer.Trailer)
			}
		})
	}
	all.Wait()
	for _, path := range []string{"/empty", "/nothing"} {
		answer, err := client.Head("http://shop.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
}
