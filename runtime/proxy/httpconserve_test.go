//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whatever is in the answer to request n follows from n alone, so that both ends can
// make it for themselves.
func randomFor(n int) *rand.Rand { return rand.New(rand.NewPCG(uint64(n), 1)) }

func randomBytes(r *rand.Rand) []byte {
	size := r.IntN(64)
	switch r.IntN(8) {
	case 0:
		size = r.IntN(200_000)
	case 1, 2:
		size = r.IntN(5000)
	}
	b := make([]byte, size, size+8)
	for i := 0; i < size; i += 8 {
		binary.LittleEndian.PutUint64(b[i:i+8:cap(b)], r.Uint64())
	}
	return b
}

// chunked is a body in chunks of any size, with an extension and a trailer now and then.
func chunked(r *rand.Rand, body []byte) []byte {
	var out []byte
	for len(body) > 0 {
		n := 1 + r.IntN(len(body))
		out = fmt.Appendf(out, "%x", n)
		if r.IntN(8) == 0 {
			out = append(out, `;name="some value"`...)
		}
		out = fmt.Appendf(out, "\r\n%s\r\n", body[:n])
		body = body[n:]
	}
	out = append(out, "0\r\n"...)
	if r.IntN(4) == 0 {
		out = append(out, "X-Trailer: it\r\n"...)
	}
	return append(out, "\r\n"...)
}

// inPieces writes b in random segments.
func inPieces(w io.Writer, r *rand.Rand, b []byte) {
	for len(b) > 0 {
		n := len(b)
		if r.IntN(3) > 0 {
			n = 1 + r.IntN(min(n, 1<<r.IntN(18)))
		}
		if _, err := w.Write(b[:n]); err != nil {
			return
		}
		if b = b[n:]; r.IntN(8) == 0 {
			time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond) // other segments, perhaps
		}
	}
}

// randomAnswer is what the server says to request n with a method: in some framing, with
// the sum of the request's body.
func randomAnswer(n int, method string, sum string) (b []byte, ends bool) {
	r := randomFor(n)
	body := randomBytes(r)
	var interim string
	if r.IntN(8) == 0 {
		interim = strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 1+r.IntN(3))
	}
	head := fmt.Sprintf("X-Number: %d\r\nX-Sum: %s\r\n", n, sum)
	if r.IntN(10) == 0 {
		head, ends = head+"Connection: close\r\n", true
	}
	switch framing := r.IntN(4); {
	case framing == 0:
		head = "HTTP/1.1 204 No Content\r\n" + head
		return []byte(interim + head + "\r\n"), ends
	case framing == 1:
		head, body = "HTTP/1.1 200 OK\r\n"+head+"Transfer-Encoding: chunked\r\n", chunked(r, body)
	default:
		head = fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n", head, len(body))
	}
	b = []byte(interim + head + "\r\n")
	if method != "HEAD" {
		b = append(b, body...)
	}
	return b, ends
}

// serveRandomly answers by randomAnswer, in random segments.
func serveRandomly(c *net.TCPConn) {
	in := bufio.NewReader(c)
	r := rand.New(rand.NewPCG(rand.Uint64(), 2))
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		n, err := strconv.Atoi(req.URL.Path[1:])
		if err != nil {
			return
		}
		b, ends := randomAnswer(n, req.Method, fmt.Sprintf("%x", sha256.Sum256(body)))
		inPieces(c, r, b)
		if ends {
			return
		}
	}
}

// converse pipelines requests from number first on and checks what comes back.
func converse(k *Socket, first, count int) error {
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * patience))
	r := rand.New(rand.NewPCG(uint64(first), 3))
	var all []byte
	var methods, sums []string
	for n := first; n < first+count; n++ {
		method := []string{"GET", "HEAD", "POST", "PUT", "DELETE"}[r.IntN(5)]
		head, body := fmt.Sprintf("%s /%d HTTP/1.1\r\nHost: h\r\n", method, n), []byte(nil)
		if method == "POST" || method == "PUT" {
			body = randomBytes(r)
		}
		sums, methods = append(sums, fmt.Sprintf("%x", sha256.Sum256(body))), append(methods, method)
		switch {
		case body == nil:
		case r.IntN(2) == 0:
			head, body = head+"Transfer-Encoding: chunked\r\n", chunked(r, body)
		default:
			head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
		}
		all = append(append(all, head+"\r\n"...), body...)
	}
	var sending sync.WaitGroup
	sending.Go(func() { inPieces(conn, r, all) })
	defer sending.Wait()
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i, method := range methods {
		n := first + i
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		for err == nil && res.StatusCode == 103 {
			res, err = http.ReadResponse(in, &http.Request{Method: method})
		}
		if err != nil {
			return fmt.Errorf("%s %d: %w", method, n, err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil {
			return fmt.Errorf("%s %d: %w after %d bytes of the body", method, n, err, len(got))
		}
		text, _ := randomAnswer(n, method, sums[i])
		want, err := http.ReadResponse(skipInterim(text), &http.Request{Method: method})
		if err != nil {
			return err
		}
		wanted, err := io.ReadAll(want.Body)
		if err != nil {
			return err
		}
		switch {
		case res.StatusCode != want.StatusCode || res.Header.Get("X-Number") != fmt.Sprint(n):
			return fmt.Errorf("%s %d was answered %d with %v", method, n, res.StatusCode, res.Header)
		case res.Header.Get("X-Sum") != sums[i]:
			return fmt.Errorf("%s %d: the server got another body", method, n)
		case !bytes.Equal(got, wanted) || res.Trailer.Get("X-Trailer") != want.Trailer.Get("X-Trailer"):
			return fmt.Errorf("%s %d: %d bytes and %v came of %d and %v", method, n, len(got), res.Trailer, len(wanted), want.Trailer)
		case res.Close:
			return errors.New("the client's connection ends with the server's")
		}
	}
	return nil
}

func skipInterim(text []byte) *bufio.Reader {
	for bytes.HasPrefix(text, []byte("HTTP/1.1 103")) {
		_, text, _ = bytes.Cut(text, []byte("\r\n\r\n"))
	}
	return bufio.NewReader(bytes.NewReader(text))
}

// TestHTTPConserves sends random pipelines in random pieces to servers that answer in
// random framing and pieces: every byte arrives, and nothing else.
func TestHTTPConserves(t *testing.T) {
	const clients, pipeline = 4, 10
	rounds := 100
	if testing.Short() || raceDetector {
		rounds = 25
	}
	_, k, h := web(t, 2, httpListenerOf(startBackend(t, serveRandomly), startBackend(t, serveRandomly)))
	seed := int(time.Now().UnixNano() >> 10 & 0xffffffff)
	t.Logf("requests from number %d on", seed)
	var running sync.WaitGroup
	for client := range clients {
		running.Go(func() {
			for round := range rounds {
				if err := converse(k, seed+(client*rounds+round)*pipeline, pipeline); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	n := atRest(t, h)
	if got := n.Backends["a"].Requests + n.Backends["b"].Requests; got != n.Requests || n.Requests != clients*pipeline*int64(rounds) || n.Errors != 0 {
		t.Errorf("%d requests counted at the servers, %+v", got, n)
	}
}
