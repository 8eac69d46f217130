//go:build linux

package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames are what a client of HTTP/2 sends, as bytes.
type frames struct {
	bytes.Buffer
	*h2.Framer
}

func newFrames() *frames {
	f := &frames{}
	f.Framer = h2.NewFramer(&f.Buffer, nil)
	f.AllowIllegalWrites = true
	return f
}

// hello is what such a client says first.
func hello() *frames {
	f := newFrames()
	f.WriteString(h2.ClientPreface)
	f.WriteSettings()
	return f
}

// block encodes fields, given as name and value in turn, without a table.
func block(fields ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSizeLimit(0)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

func getBlock(path string) []byte {
	return block(":method", "GET", ":scheme", "https", ":authority", "h", ":path", path)
}

func (f *frames) headers(id uint32, end bool, block []byte) {
	f.WriteHeaders(h2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: end, EndHeaders: true})
}

// floods are what a client can send to make a balancer work for nothing.
func floods() map[string]func() []byte {
	repeated := func(n int, first, each func(f *frames)) func() []byte {
		return func() []byte {
			f := hello()
			first(f)
			begin := f.Len()
			each(f)
			one := bytes.Clone(f.Bytes()[begin:])
			f.Write(bytes.Repeat(one, n-1))
			return f.Bytes()
		}
	}
	numbered := func(n int, each func(f *frames, id uint32)) func() []byte {
		return func() []byte {
			f := hello()
			for i := range n {
				each(f, uint32(1+2*i))
			}
			return f.Bytes()
		}
	}
	get := getBlock("/")
	none := func(*frames) {}
	opened := func(f *frames) { f.headers(1, false, get) }
	return map[string]func() []byte{
		"rapid reset": numbered(50_000, func(f *frames, id uint32) {
			f.headers(id, true, get)
			f.WriteRSTStream(id, h2.ErrCodeCancel)
		}),
		"made to reset": numbered(50_000, func(f *frames, id uint32) {
			f.headers(id, false, get)
			f.WriteWindowUpdate(id, 0)
		}),
		"malformed": numbered(50_000, func(f *frames, id uint32) { f.headers(id, true, block(":method", "GET")) }),
		"CONTINUATION": repeated(200_000, func(f *frames) {
			f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: get, EndStream: true})
		}, func(f *frames) { f.WriteContinuation(1, false, block("x", "y")) }),
		"PING":          repeated(200_000, none, func(f *frames) { f.WritePing(false, [8]byte{}) }),
		"SETTINGS":      repeated(200_000, none, func(f *frames) { f.WriteSettings() }),
		"PRIORITY":      repeated(200_000, none, func(f *frames) { f.WritePriority(9, h2.PriorityParam{}) }),
		"WINDOW_UPDATE": repeated(200_000, none, func(f *frames) { f.WriteWindowUpdate(0, 1) }),
		"empty DATA":    repeated(200_000, opened, func(f *frames) { f.WriteData(1, false, nil) }),
		"RST of closed streams": repeated(200_000, func(f *frames) {
			f.headers(1, true, get)
			f.WriteRSTStream(1, h2.ErrCodeCancel)
		}, func(f *frames) { f.WriteRSTStream(1, h2.ErrCodeCancel) }),
	}
}

// flooded is what a client has been told before it was cut off.
type flooded struct {
	goAway *h2.GoAwayFrame // nil = nothing; it may be lost if more than lingerBytes follow
	frames int
	err    error
}

// flood sends frames until the balancer has had enough.
func flood(c *tls.Conn, send []byte) flooded {
	var got flooded
	var told atomic.Bool
	var writing sync.WaitGroup
	writing.Go(func() {
		for b := range slices.Chunk(send, 16<<10) {
			if _, err := c.Write(b); err != nil || told.Load() {
				return
			}
		}
	})
	in := h2.NewFramer(nil, c)
	for got.err == nil {
		var f h2.Frame
		if f, got.err = in.ReadFrame(); got.err != nil {
			break
		}
		got.frames++
		if f, ok := f.(*h2.GoAwayFrame); ok {
			copied := *f
			got.goAway = &copied
			told.Store(true)
		}
	}
	c.NetConn().Close()
	writing.Wait()
	return got
}

// TestHTTP2Floods sends each flood to a live listener, which cuts it off early, for
// little, and counts it.
func TestHTTP2Floods(t *testing.T) {
	c := startSecuredChild(t, startBackend(t, serveFast))
	limit := 100 * time.Millisecond
	if raceDetector {
		limit *= 20
	}
	for name, send := range floods() {
		t.Run(name, func(t *testing.T) {
			text := send()
			conn := c.dial("h2", tls.VersionTLS13)
			before := c.spent()
			got := flood(conn, text)
			var after spent
			eventually(t, "the flood has been cut off and counted", func() bool {
				after = c.spent()
				return after.Counts.Connections == before.Counts.Connections-1
			})
			if n := after.Counts.Secure.FloodsCut - before.Counts.Secure.FloodsCut; n != 1 {
				t.Errorf("%d floods counted: %+v", n, after.Counts)
			}
			if took := after.CPU - before.CPU; took > limit {
				t.Errorf("%v of CPU, more than %v", took, limit)
			}
			if f := got.goAway; f != nil && (f.ErrCode != h2.ErrCodeEnhanceYourCalm || f.LastStreamID > 2*500) {
				t.Errorf("%v", f)
			}
			if got.goAway == nil && !errors.Is(got.err, io.EOF) && !isReset(got.err) {
				t.Errorf("ended with %v", got.err)
			}
			if got.frames > 2500 {
				t.Errorf("%d frames in answer", got.frames)
			}
			t.Logf("%v of CPU, %d frames in answer, %v", after.CPU-before.CPU, got.frames, got.goAway)
		})
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// TestHTTP2FloodIsToldWhy holds that what ends a connection reaches the client, though
// that goes on sending; then the connection ends cleanly.
func TestHTTP2FloodIsToldWhy(t *testing.T) {
	k, h, config := secured(t, 1, httpsListenerOf(startBackend(t, serveFast)), "h2")
	config.NextProtos = []string{"h2"}
	send := floods()["rapid reset"]()[:500<<10]
	for range 20 {
		c := handshake(t, k, config)
		if _, err := c.Write(send); err != nil {
			t.Fatalf("its connection was not left open: %v", err)
		}
		got := flood(c, nil)
		if f := got.goAway; f == nil || f.ErrCode != h2.ErrCodeEnhanceYourCalm || f.LastStreamID > 2*500 || got.err != io.EOF {
			t.Fatalf("told %v, then %v", f, got.err)
		}
	}
	if n := settled(t, h); n.Secure.FloodsCut != 20 || n.Errors != 20 {
		t.Errorf("counted %+v", n)
	}
}

// TestHTTP2Halves has clients that do not finish a header block, or a frame: they have the
// time of a request, however many bytes they add. Who says nothing has longer.
func TestHTTP2Halves(t *testing.T) {
	l := httpsListenerOf(startBackend(t, serveFast))
	l.RequestTimeout = time.Second
	k, _, config := secured(t, 1, l, "h2")
	config.NextProtos = []string{"h2"}
	head := getBlock("/" + strings.Repeat("x", 100))
	began := newFrames()
	began.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: head[:3], EndStream: true})
	added := newFrames()
	added.WriteContinuation(1, false, head[3:4])
	whole := newFrames()
	whole.headers(1, true, head)
	for _, c := range []struct {
		name         string
		first, added []byte
		stays        bool
	}{
		{"half a header block", began.Bytes(), nil, false},
		{"a block that grows", began.Bytes(), added.Bytes(), false},
		{"half a frame", whole.Bytes()[:20], nil, false},
		{"a frame that grows", whole.Bytes()[:20], head[11:12], false},
		{"nothing", nil, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn := handshake(t, k, config)
			conn.SetDeadline(time.Now().Add(patience))
			start := time.Now()
			conn.Write(append(hello().Bytes(), c.first...))
			if c.stays {
				conn.SetDeadline(start.Add(2 * l.RequestTimeout))
			}
			go func() {
				for err := error(nil); err == nil && len(c.added) > 0; _, err = conn.Write(c.added) {
					time.Sleep(l.RequestTimeout / 10)
				}
			}()
			got := flood(conn, nil)
			took := time.Since(start)
			if let := got.goAway != nil; let == c.stays || let && took < l.RequestTimeout*9/10 {
				t.Errorf("told %v, then %v, after %v", got.goAway, got.err, took)
			}
		})
	}
}

// TestHTTP2RefusedStreamsAreCounted opens more streams than a connection may have.
func TestHTTP2RefusedStreamsAreCounted(t *testing.T) {
	k, h, config := secured(t, 1, httpsListenerOf(startBackend(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })), "h2")
	config.NextProtos = []string{"h2"}
	c := handshake(t, k, config)
	f := hello()
	for i := range 150 {
		f.headers(uint32(1+2*i), true, getBlock("/"))
	}
	c.Write(f.Bytes())
	eventually(t, "streams beyond 128 are refused", func() bool { return h.Counters().Secure.StreamsRefused == 22 })
	if n := h.Counters(); n.Secure.FloodsCut != 0 || n.Connections != 1 {
		t.Errorf("counted %+v", n)
	}
}

// watched is a client's connection that counts whether the other side ended it first. The
// client may end one, too: of which it could not write a request quickly enough.
type watched struct {
	net.Conn
	ended *atomic.Int64
	once  sync.Once
}

// Close looks whether the end has come from the other side: with TLS, what says so comes
// just before it.
func (w *watched) Close() error {
	w.once.Do(func() {
		err := w.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		for err == nil {
			_, err = w.Read(make([]byte, 1024))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			w.ended.Add(1)
		}
	})
	return w.Conn.Close()
}

// asker asks over one connection, one request after the other with a pause between, until told to
// stop, and notes how long each took.
type asker struct {
	stop  chan struct{}
	group sync.WaitGroup
	mu    sync.Mutex
	took  []time.Duration
}

func startAsking(t testing.TB, k *Socket, protocols ...string) *asker {
	a := &asker{stop: make(chan struct{})}
	for _, p := range protocols {
		client := securedBrowser(t, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{p}})
		transport := client.Transport.(*http.Transport)
		transport.ForceAttemptHTTP2 = p == "h2"
		var dialled []net.Conn
		var ended atomic.Int64
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			c = &watched{Conn: c, ended: &ended}
			dialled = append(dialled, c)
			return c, nil
		}
		a.group.Go(func() {
			defer func() {
				for _, c := range dialled { // the transport may not take it for idle yet
					c.Close()
				}
				if n := ended.Load(); n > 0 {
					t.Errorf("%d connections of %s were ended", n, p)
				}
			}()
			for {
				began := time.Now()
				res, err := client.Get(origin(k))
				if err != nil {
					t.Errorf("%s: %v", p, err)
					return
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || string(b) != "ok" {
					t.Errorf("%s: %q, %v", p, b, err)
					return
				}
				a.mu.Lock()
				a.took = append(a.took, time.Since(began))
				a.mu.Unlock()
				select {
				case <-a.stop:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	return a
}

func (a *asker) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.took)
}

// end stops asking and returns how many requests were answered, and how long all but one
// of a hundred took at most.
func (a *asker) end() (int, time.Duration) {
	close(a.stop)
	a.group.Wait()
	slices.Sort(a.took)
	n := len(a.took)
	if n == 0 {
		return 0, math.MaxInt64
	}
	return n, a.took[n*99/100]
}

// TestHTTP2FloodsHurtNobodyElse has clients that ask properly while all floods go on,
// several at once.
func TestHTTP2FloodsHurtNobodyElse(t *testing.T) {
	c := startSecuredChild(t, startBackend(t, serveFast))
	quiet := startAsking(t, c.k, "http/1.1", "h2")
	eventually(t, "some hundred requests", func() bool { return quiet.count() >= 300 || t.Failed() })
	_, alone := quiet.end()

	var all [][]byte
	for _, send := range floods() {
		all = append(all, send())
	}
	rounds := 6
	if raceDetector {
		rounds = 2
	}
	asking := startAsking(t, c.k, "http/1.1", "h2")
	var flooding sync.WaitGroup
	var sent atomic.Int64
	for range 2 {
		flooding.Go(func() {
			for n := 0; (n < rounds || asking.count() < 100) && !t.Failed(); n++ {
				for _, send := range all {
					conn, err := tls.Dial("tcp", c.k.Endpoint().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
					if err != nil {
						t.Error(err)
						return
					}
					flood(conn, send)
					sent.Add(1)
				}
			}
		})
	}
	flooding.Wait()
	n, among := asking.end()
	t.Logf("%d requests; 99%% within %v alone, %v among floods", n, alone, among)
	if among > alone+othersWait() {
		t.Errorf("99%% within %v; alone within %v", among, alone)
	}
	if got := c.spent().Counts; got.Secure.FloodsCut != sent.Load() {
		t.Errorf("counted %+v, want %d floods", got, sent.Load())
	}
}
