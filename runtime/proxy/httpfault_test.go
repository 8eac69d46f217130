//go:build linux

package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slbctl/testdata/wire"
)

// Ways in which a server harms its answers.
var toxics = []struct {
	name string
	harm func(c *net.TCPConn, r *rand.Rand, answer []byte)
}{
	{"whole", func(c *net.TCPConn, _ *rand.Rand, b []byte) { c.Write(b) }},
	{"slow", func(c *net.TCPConn, r *rand.Rand, b []byte) { inPieces(c, r, b) }},
	{"ends early", func(c *net.TCPConn, r *rand.Rand, b []byte) { c.Write(b[:r.IntN(len(b))]) }},
	{"is reset", func(c *net.TCPConn, r *rand.Rand, b []byte) {
		c.Write(b[:r.IntN(len(b))])
		c.SetLinger(0)
	}},
	{"stops", func(c *net.TCPConn, r *rand.Rand, b []byte) {
		c.Write(b[:r.IntN(len(b))])
		io.Copy(io.Discard, c)
	}},
	{"is half open", func(c *net.TCPConn, r *rand.Rand, b []byte) {
		c.CloseRead()
		c.Write(b[:r.IntN(len(b))])
		c.CloseWrite()
	}},
	{"says too much", func(c *net.TCPConn, _ *rand.Rand, b []byte) { c.Write(append(b, b...)) }},
	{"is damaged", func(c *net.TCPConn, r *rand.Rand, b []byte) {
		b[r.IntN(bytes.Index(b, endOfHead))] = byte(r.IntN(9)) // no tab, which may stand in the hash
		c.Write(b)
	}},
}

// toxicAnswer is an answer in some framing whose head has the hash of its body.
func toxicAnswer(r *rand.Rand, gzips bool) []byte {
	body := randomBytes(r)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Hash: %x\r\n", sha256.Sum256(body))
	if gzips {
		head += "Content-Type: text/plain\r\n"
	}
	if r.IntN(2) == 0 {
		return append([]byte(head+"Transfer-Encoding: chunked\r\n\r\n"), chunked(r, body)...)
	}
	return append(fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n", head, len(body)), body...)
}

// TestHTTPToxicServers asks servers that break off, stall and talk nonsense at random
// places. Whatever a client takes for a whole answer is one: its hash is right.
func TestHTTPToxicServers(t *testing.T) {
	requests := 8 * 1000
	if testing.Short() || raceDetector {
		requests = 8 * 100
	}
	var turn atomic.Uint64
	backend := startBackend(t, func(c *net.TCPConn) {
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		n := turn.Add(1)
		r := rand.New(rand.NewPCG(n, 4))
		toxics[n%uint64(len(toxics))].harm(c, r, toxicAnswer(r, req.URL.Path == "/gzip"))
	})
	l := httpListenerOf(backend)
	l.Gzip, l.UpstreamKeepalive, l.RequestTimeout = true, false, 100*time.Millisecond
	_, k, h := web(t, 2, l)
	var whole, broken, refused atomic.Int64
	var left atomic.Int64
	left.Store(int64(requests))
	var running sync.WaitGroup
	for client := range 32 {
		c := browser(t)
		running.Go(func() {
			defer c.CloseIdleConnections()
			for left.Add(-1) >= 0 {
				path := []string{"/plain", "/gzip"}[client%2]
				req, _ := http.NewRequest("GET", urlOf(k, path), nil)
				if path == "/gzip" {
					req.Header.Set("Accept-Encoding", "gzip")
				}
				res, err := c.Do(req)
				if err != nil {
					broken.Add(1)
					continue
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				switch {
				case err != nil:
					broken.Add(1)
					continue
				case res.StatusCode == 502 || res.StatusCode == 504:
					refused.Add(1)
					continue
				}
				if res.Header.Get("Content-Encoding") == "gzip" {
					z, err := gzip.NewReader(bytes.NewReader(body))
					if err == nil {
						body, err = io.ReadAll(z)
					}
					if err != nil {
						t.Errorf("an answer that ended well: %v", err)
						continue
					}
				}
				// What damages the head may have hit the hash.
				if sum := res.Header.Get("X-Hash"); len(sum) == 64 && sum != fmt.Sprintf("%x", sha256.Sum256(body)) {
					t.Errorf("%d bytes were taken for a whole answer", len(body))
				}
				whole.Add(1)
			}
		})
	}
	running.Wait()
	atRest(t, h)
	t.Logf("of %d answers %d were whole, %d broken, %d replaced", requests, whole.Load(), broken.Load(), refused.Load())
	if int(whole.Load()) < requests/4 || int(broken.Load()) < requests/20 || int(refused.Load()) < requests/10 {
		t.Errorf("of %d answers %d were whole, %d broken, %d replaced", requests, whole.Load(), broken.Load(), refused.Load())
	}
}

// TestHTTPHangingServer accepts and is silent. Every client is told after the time of a
// request, whatever the others do, or has an answer from another server.
func TestHTTPHangingServer(t *testing.T) {
	const clients, requestTime = 100, time.Second
	hung := startBackend(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	for status, l := range map[int]bool{504: false, 200: true} {
		listener := httpListenerOf(hung)
		if l {
			listener = httpListenerOf(hung, always(t, ok))
			listener.Retry.Timeout = true
		}
		listener.RequestTimeout = requestTime
		_, k, h := web(t, 2, listener)
		took := make([]time.Duration, clients)
		var running sync.WaitGroup
		for i := range took {
			c := talkTo(t, k)
			running.Go(func() {
				start := time.Now()
				io.WriteString(c, getLine("/"))
				res, err := http.ReadResponse(c.r, nil)
				if took[i] = time.Since(start); err != nil || res.StatusCode != status {
					t.Errorf("%v, %v, want %d", res, err, status)
				}
				c.Close()
			})
		}
		running.Wait()
		atRest(t, h)
		slices.Sort(took)
		t.Logf("%d after %v to %v", status, took[0], took[clients-1])
		// A tenth more is the promise; the machine may stand still for seconds.
		if p99 := took[clients*99/100-1]; p99 > requestTime+patience/3 {
			t.Errorf("%d after %v, want %v", status, p99, requestTime)
		}
	}
}

// TestHTTPMalformedStorm sends what has to be refused, many times: no server is blamed, and
// no answer is another than the one that is due.
func TestHTTPMalformedStorm(t *testing.T) {
	vectors, err := wire.Vectors()
	if err != nil {
		t.Fatal(err)
	}
	vectors = slices.DeleteFunc(vectors, func(v wire.Vector) bool {
		return len(v.Statuses) != 1 || v.Statuses[0] < 400 || v.Open || len(v.Bytes) > 16<<10
	})
	storm := 10_000
	if testing.Short() || raceDetector {
		storm = 2000
	}
	backend := new(recorder)
	_, k, h := web(t, 2, httpListenerOf(startBackend(t, backend.serve)))
	var next atomic.Int64
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for i := next.Add(1); i <= int64(storm); i = next.Add(1) {
				v := vectors[int(i)%len(vectors)]
				c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
				if err != nil {
					t.Error(err)
					return
				}
				c.SetDeadline(time.Now().Add(patience))
				c.Write(v.Bytes)
				answer := make([]byte, len("HTTP/1.1 400"))
				if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 "+strconv.Itoa(v.Statuses[0]) {
					t.Errorf("%s: %q, %v", v.Name, answer, err)
				}
				c.Close()
			}
		})
	}
	running.Wait()
	n := atRest(t, h)
	if b := n.Backends["a"]; b.Errors != 0 || b.TimedOut != 0 || n.Errors != 0 || n.Requests != int64(storm) {
		t.Errorf("%d vectors: counted %+v", len(vectors), n)
	}
	if got := backend.count(); got != 0 {
		t.Errorf("the server got %d of them", got)
	}
	c := talkTo(t, k)
	c.say(getLine("/"))
	c.want(200, "ok")
	c.Close()
	atRest(t, h)
}

// TestHTTPLargeBodiesTakeNoMemory sends and fetches more than a small machine has.
func TestHTTPLargeBodiesTakeNoMemory(t *testing.T) {
	size := int64(256 << 20)
	if testing.Short() || raceDetector {
		size = 64 << 20
	}
	_, k, h := web(t, 1, httpListenerOf(startSite(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Got", fmt.Sprint(n))
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			io.CopyN(w, zeros{}, size)
		}
	})))
	c := browser(t)
	get(t, &http.Client{Transport: headOnly{c.Transport}, Timeout: patience}, urlOf(k, "/")) // what is made once
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c.Timeout = time.Minute
	res, err := c.Post(urlOf(k, "/"), "text/plain", io.LimitReader(zeros{}, size))
	if err != nil || res.Header.Get("X-Got") != fmt.Sprint(size) {
		t.Fatalf("%v, %v", res, err)
	}
	res.Body.Close()
	if res, err = c.Get(urlOf(k, "/")); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	res.Body.Close()
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 8<<20 { // the client's and the server's as well
		t.Errorf("%d bytes more for bodies of %d", grown, size)
	}
	c.CloseIdleConnections()
	atRest(t, h)
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// headOnly asks for heads only.
type headOnly struct{ http.RoundTripper }

func (h headOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Method = http.MethodHead
	return h.RoundTripper.RoundTrip(r)
}

// TestHTTPEndlessHeads never come to their end: they are refused while they are short.
func TestHTTPEndlessHeads(t *testing.T) {
	_, k, h := web(t, 1, httpListenerOf(always(t, ok)))
	for start, status := range map[string]int{
		"GET /":                            414,
		"GET / HTTP/1.1\r\nHost: h\r\nX: ": 431,
		"GET / HTTP/1.1\r\nHost: h\r\n":    431,
	} {
		c := talkTo(t, k)
		c.say(start)
		go func() {
			filler := strings.Repeat("x", 1000)
			if strings.HasSuffix(start, "\r\n") {
				filler = "X: y\r\n"
			}
			for {
				if _, err := io.WriteString(c, filler); err != nil {
					return
				}
			}
		}()
		res, err := http.ReadResponse(c.r, nil)
		if err != nil || res.StatusCode != status {
			t.Errorf("%q was answered %v, %v; want %d", start, res, err, status)
		}
		c.Close()
	}
	if n := atRest(t, h); n.Backends["a"].Requests != 0 {
		t.Errorf("counted %+v", n)
	}
}

// TestManyConnectionsTakeLittle holds connections of TCP open that have had something to
// say, and closes them.
func TestManyConnectionsTakeLittle(t *testing.T) {
	const connections = 2000
	_, k, h := balanced(t, 2, listenerOf(startBackend(t, echo)))
	exchange(t, connect(t, k), "warm")
	files := openFiles(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all []*net.TCPConn
	for range connections {
		c := connect(t, k)
		exchange(t, c, "hello")
		all = append(all, c)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// The client's and the server's ends, and the server's goroutine, are in this as well.
	if each := int64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse) / connections; each > 16<<10 {
		t.Errorf("%d bytes for each connection", each)
	}
	for _, c := range all {
		c.Close()
	}
	eventually(t, "all have ended", func() bool { return h.Counters().Connections == 1 })
	eventually(t, "the descriptors are free", func() bool { return openFiles(t) <= files+3 })
	all = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > connections*(4<<10) { // the test keeps something, too
		t.Errorf("%d bytes are kept of connections that have ended", kept)
	}
}
