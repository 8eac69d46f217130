//go:build linux

package proxy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestHalfClosePassesBothWays(t *testing.T) {
	t.Run("client ends first", func(t *testing.T) {
		_, k, h := balanced(t, 1, listenerOf(startBackend(t, func(c *net.TCPConn) {
			b, _ := io.ReadAll(c)
			fmt.Fprintf(c, "%d bytes: %s", len(b), b)
		})))
		c := connect(t, k)
		io.WriteString(c, "question")
		c.CloseWrite()
		if b, err := io.ReadAll(c); err != nil || string(b) != "8 bytes: question" {
			t.Fatalf("got %q, %v", b, err)
		}
		settled(t, h)
	})
	t.Run("server ends first", func(t *testing.T) {
		received := make(chan string, 1)
		_, k, h := balanced(t, 1, listenerOf(startBackend(t, func(c *net.TCPConn) {
			io.WriteString(c, "greeting")
			c.CloseWrite()
			b, _ := io.ReadAll(c)
			received <- string(b)
		})))
		c := connect(t, k)
		if b, err := io.ReadAll(c); err != nil || string(b) != "greeting" {
			t.Fatalf("got %q, %v", b, err)
		}
		for range 3 {
			io.WriteString(c, "late ")
		}
		c.CloseWrite()
		if got := <-received; got != "late late late " {
			t.Fatalf("server got %q", got)
		}
		settled(t, h)
	})
	t.Run("client ends before a server is there", func(t *testing.T) {
		s := startServer(t, 1)
		k, err := s.Bind(anyPort)
		if err != nil {
			t.Fatal(err)
		}
		c := connect(t, k)
		io.WriteString(c, "sent early")
		c.CloseWrite()
		k.Serve(handle(listenerOf(startBackend(t, echo)), nil))
		if b, err := io.ReadAll(c); err != nil || string(b) != "sent early" {
			t.Fatalf("got %q, %v", b, err)
		}
	})
}

func TestResetPasses(t *testing.T) {
	t.Run("from client to server", func(t *testing.T) {
		ended := make(chan error, 1)
		_, k, h := balanced(t, 1, listenerOf(startBackend(t, func(c *net.TCPConn) {
			_, err := io.Copy(c, c)
			ended <- err
		})))
		c := connect(t, k)
		exchange(t, c, "hello")
		abort(c)
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("server saw %v, want a reset", err)
		}
		settled(t, h)
	})
	// Where nothing will be read or written for a long time, the event alone tells.
	t.Run("from client that had ended its stream", func(t *testing.T) {
		eof, release := make(chan struct{}), make(chan struct{})
		_, k, h := balanced(t, 1, listenerOf(startBackend(t, func(c *net.TCPConn) {
			io.Copy(io.Discard, c)
			close(eof)
			<-release
		})))
		defer close(release)
		c := connect(t, k)
		c.CloseWrite()
		<-eof
		abort(c)
		settled(t, h)
	})
	t.Run("from client while the server does not read", func(t *testing.T) {
		release := make(chan struct{})
		_, k, h := balanced(t, 1, listenerOf(startBackend(t, func(*net.TCPConn) { <-release })))
		defer close(release)
		c := connect(t, k)
		c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		if n, err := c.Write(make([]byte, 64<<20)); !isTimeout(err) {
			t.Fatalf("wrote %d bytes to a server that does not read, %v", n, err)
		}
		abort(c)
		settled(t, h)
	})
	t.Run("from server to client", func(t *testing.T) {
		_, k, h := balanced(t, 1, listenerOf(startBackend(t, func(c *net.TCPConn) {
			io.ReadFull(c, make([]byte, 5))
			abort(c)
		})))
		c := connect(t, k)
		io.WriteString(c, "hello")
		wantReset(t, c)
		settled(t, h)
	})
	t.Run("from server at once", func(t *testing.T) {
		_, k, h := balanced(t, 1, listenerOf(startBackend(t, abort)))
		for range 50 {
			wantRefused(t, k)
		}
		if c := settled(t, h); c.Errors != 0 || c.Backends["a"].Requests != 50 {
			t.Errorf("counted %+v, want 50 requests and no error", c)
		}
	})
	t.Run("with bytes ahead of it", func(t *testing.T) {
		_, k, h := balanced(t, 1, listenerOf(startBackend(t, func(c *net.TCPConn) {
			io.ReadFull(c, make([]byte, 1))
			io.WriteString(c, "an early answer")
			abort(c) // the client's other bytes are unread
		})))
		c := connect(t, k)
		io.WriteString(c, "x and more")
		b, err := io.ReadAll(c)
		if string(b) != "an early answer" || !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("got %q, %v; want the answer, then a reset", b, err)
		}
		settled(t, h)
	})
}

func TestIdleConnectionIsResetOnBothEnds(t *testing.T) {
	inTime(t, 200*time.Millisecond, func(timeout time.Duration) bool { return idleConnectionIsReset(t, timeout) })
}

// idleConnectionIsReset says whether its client has sent in time what keeps it.
func idleConnectionIsReset(t *testing.T, timeout time.Duration) bool {
	ended := make(chan error, 1)
	l := listenerOf(startBackend(t, func(c *net.TCPConn) {
		_, err := io.Copy(c, c)
		ended <- err
	}))
	l.EstablishedTimeout = timeout
	_, k, h := balanced(t, 1, l)
	time.Sleep(2 * timeout) // so that the loop is older than the timeout
	start := time.Now()
	last := start
	c := connect(t, k)
	time.Sleep(timeout / 2) // silence counts from the connection's own beginning
	// Activity keeps it alive well past the timeout.
	for ; time.Since(start) < 4*timeout; time.Sleep(timeout / 5) {
		sent, text := time.Now(), []byte("still here")
		_, err := c.Write(text)
		if err == nil {
			_, err = io.ReadFull(c, text)
		}
		if time.Since(last) >= timeout {
			return false
		} else if err != nil {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		last = sent
	}
	wantReset(t, c)
	if idle := time.Since(last); idle < timeout {
		t.Errorf("reset after %v, before the timeout of %v", idle, timeout)
	}
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("server saw %v, want a reset", err)
	}
	if n := settled(t, h).TimedOut; n != 1 {
		t.Errorf("%d timeouts counted, want 1", n)
	}
	return true
}

// stream is n bytes that depend on the seed, and their hash.
func stream(seed uint64, n int64) (io.Reader, hash.Hash) {
	sum := sha256.New()
	return io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}), n), sum), sum
}

// sendStream writes a stream and ends it; the hash is complete when it returns.
func sendStream(c *net.TCPConn, seed uint64, n int64) ([]byte, error) {
	r, sum := stream(seed, n)
	// A plain writer: net.TCPConn would otherwise choose its own way to copy.
	if _, err := io.CopyBuffer(struct{ io.Writer }{c}, r, make([]byte, 128<<10)); err != nil {
		return nil, err
	}
	return sum.Sum(nil), c.CloseWrite()
}

func receive(c io.Reader) ([]byte, int64, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, c)
	return sum.Sum(nil), n, err
}

func TestBigTransfersBothWaysAtOnce(t *testing.T) {
	const size, clients = 24 << 20, 3
	type result struct {
		sum []byte
		err error
	}
	uploads := make(chan result, clients)
	_, k, h := balanced(t, 2, listenerOf(startBackend(t, func(c *net.TCPConn) {
		var sending sync.WaitGroup
		sending.Go(func() { sendStream(c, 7, size) })
		sum, _, err := receive(c)
		uploads <- result{sum, err}
		sending.Wait()
	})))
	r, wantDown := stream(7, size)
	io.Copy(io.Discard, r)
	r, wantUp := stream(9, size)
	io.Copy(io.Discard, r)

	var running sync.WaitGroup
	for range clients {
		c := connect(t, k)
		running.Go(func() { sendStream(c, 9, size) })
		running.Go(func() {
			if sum, n, err := receive(c); err != nil || !bytes.Equal(sum, wantDown.Sum(nil)) {
				t.Errorf("download: %d bytes of %d, %v", n, size, err)
			}
		})
	}
	running.Wait()
	for range clients {
		if up := <-uploads; up.err != nil || !bytes.Equal(up.sum, wantUp.Sum(nil)) {
			t.Errorf("upload: %v, or other bytes than were sent", up.err)
		}
	}
	counters := settled(t, h)
	if counters.BytesIn != clients*size || counters.BytesOut != clients*size {
		t.Errorf("counted %d in, %d out, want %d", counters.BytesIn, counters.BytesOut, clients*size)
	}
}

func TestSlowReaderHoldsBackItsServer(t *testing.T) {
	const size = 64 << 20
	var sent counter
	s, k, h := balanced(t, 1, listenerOf(startBackend(t, func(c *net.TCPConn) {
		chunk := make([]byte, 64<<10)
		for n := 0; n < size; n += len(chunk) {
			if _, err := c.Write(chunk); err != nil {
				return
			}
			sent.add(len(chunk))
		}
		echo(c)
	})))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const clients = 3
	var conns []*net.TCPConn
	for range clients {
		c := connect(t, k)
		conns = append(conns, c)
	}
	// The server must come to a halt, far from the end.
	last, since := sent.value(), time.Now()
	eventually(t, "the server is held back", func() bool {
		if n := sent.value(); n != last {
			last, since = n, time.Now()
		}
		return last > 0 && time.Since(since) > 200*time.Millisecond
	})
	if last >= clients*size/2 {
		t.Errorf("%d of %d bytes were taken though nobody reads", last, clients*size)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > clients*(256<<10) {
		t.Errorf("heap grew by %d bytes for %d slow readers", grown, clients)
	}
	spliced := 0
	eachConn(s, func(c *conn) {
		if c.client.pipe != nil {
			spliced++
		}
	})
	if spliced == 0 {
		t.Error("no bulk transfer is held back in a pipe, all are in user space")
	}
	for _, c := range conns {
		c.SetDeadline(time.Now().Add(patience))
		if n, err := io.CopyN(io.Discard, c, size); err != nil {
			t.Fatalf("read %d of %d, %v", n, size, err)
		}
		for range 2 { // the first may be spliced yet
			exchange(t, c, "small")
		}
	}
	eachConn(s, func(c *conn) {
		if c.server.fullReads != 0 || c.client.blocked() {
			t.Error("small messages did not end the bulk transfer")
		}
	})
	for _, c := range conns {
		c.Close()
	}
	settled(t, h)
}

// eachConn looks at the open connections from their loops.
func eachConn(s *Server, look func(*conn)) {
	var looking sync.WaitGroup
	for _, w := range s.workers {
		looking.Add(1)
		w.loop.Post(func() {
			defer looking.Done()
			for c := w.conns.next; c != &w.conns; c = c.next {
				look(c)
			}
		})
	}
	looking.Wait()
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add(n int)  { c.mu.Lock(); c.n += n; c.mu.Unlock() }
func (c *counter) value() int { c.mu.Lock(); defer c.mu.Unlock(); return c.n }

func TestUrgentBytesStayInTheStream(t *testing.T) {
	_, k, _ := balanced(t, 1, listenerOf(startBackend(t, echo)))
	c := connect(t, k)
	for range 100 {
		io.WriteString(c, "ab")
		sendUrgent(t, c)
		io.WriteString(c, "cd")
	}
	c.CloseWrite()
	got, err := io.ReadAll(c)
	if want := bytes.Repeat([]byte("ab!cd"), 100); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(want))
	}
}

// TestChaos runs many connections that end in every way at random moments. What
// arrives must be the beginning of what was sent, and all of it where both
// sides ended well.
func TestChaos(t *testing.T) {
	const connections, parallel = 400, 32
	_, k, h := balanced(t, 2, listenerOf(
		startBackend(t, chaosServer), closedPort(t), startBackend(t, chaosServer)))
	var running sync.WaitGroup
	tokens := make(chan struct{}, parallel)
	for seed := range uint64(connections) {
		tokens <- struct{}{}
		running.Go(func() {
			defer func() { <-tokens }()
			if err := chaosClient(k, seed); err != nil {
				t.Errorf("connection %d: %v", seed, err)
			}
		})
	}
	running.Wait()
	if c := settled(t, h); c.Errors != 0 || c.Requests != connections {
		t.Errorf("counted %+v, want %d requests and no error", c.Counts, connections)
	}
	for i := range h.pools[0].servers {
		if n := h.pools[0].state.Active(i); n != 0 {
			t.Errorf("backend %d: %d in flight after the end", i, n)
		}
	}
}

// A chaos connection's first bytes tell the server what to do: the seed and
// size of the stream to send, and after how much reading to abort, if not 0.
const chaosHead = 12

func chaosServer(c *net.TCPConn) {
	var head [chaosHead]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return
	}
	seed, size, abortAfter := decodeChaos(head)
	var sending sync.WaitGroup
	sending.Go(func() { sendStream(c, seed, size) })
	if abortAfter > 0 {
		io.CopyN(io.Discard, c, abortAfter)
		abort(c)
	} else {
		io.Copy(io.Discard, c)
	}
	sending.Wait()
}

func decodeChaos(b [chaosHead]byte) (seed uint64, size, abortAfter int64) {
	for i := range 4 {
		seed |= uint64(b[i]) << (8 * i)
		size |= int64(b[4+i]) << (8 * i)
		abortAfter |= int64(b[8+i]) << (8 * i)
	}
	return seed, size, abortAfter
}

func encodeChaos(seed uint64, size, abortAfter int64) (b [chaosHead]byte) {
	for i := range 4 {
		b[i], b[4+i], b[8+i] = byte(seed>>(8*i)), byte(size>>(8*i)), byte(abortAfter>>(8*i))
	}
	return b
}

func chaosClient(k *Socket, seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 1))
	size := func() int64 { return int64(1) << random.IntN(21) * int64(random.IntN(3)) }
	up, down := size(), size()
	var serverAborts, clientAborts int64
	switch random.IntN(4) {
	case 0:
		serverAborts = 1 + random.Int64N(up+1)
	case 1:
		clientAborts = 1 + random.Int64N(down+1)
	}
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(k.Endpoint()))
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	head := encodeChaos(seed, down, serverAborts)
	if _, err := c.Write(head[:]); err != nil {
		return err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { sendStream(c, seed+1, up) })
	want, _ := stream(seed, down)
	if clientAborts > 0 {
		err := sameBytes(io.LimitReader(c, clientAborts), want)
		abort(c)
		return err
	}
	err = sameBytes(c, want)
	if err == nil {
		if n, _ := io.Copy(io.Discard, want); n > 0 && serverAborts == 0 {
			err = fmt.Errorf("%d of %d bytes are missing", n, down)
		}
	} else if serverAborts > 0 && errors.Is(err, syscall.ECONNRESET) {
		err = nil
	}
	return err
}

// sameBytes reads got to its end and compares it with the beginning of want.
func sameBytes(got, want io.Reader) error {
	a, b := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		n, err := got.Read(a)
		if _, err := io.ReadFull(want, b[:n]); err != nil {
			return errors.New("more bytes than were sent")
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return errors.New("other bytes than were sent")
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// What is known to be the end of a stream costs no packet of its own: a server's last
// bytes and its end, both there when the loop comes by, reach the client as one. Urgent
// bytes among them are not overtaken by the end.
func TestLastBytesAndEndAreOnePacket(t *testing.T) {
	for name, test := range map[string]struct {
		answer  func(*net.TCPConn)
		want    string
		packets uint32 // to the client; 0 = as many as it takes
	}{
		"plain": {func(c *net.TCPConn) { io.WriteString(c, "answer") }, "answer", 1},
		"urgent": {func(c *net.TCPConn) {
			io.WriteString(c, "ans")
			sendUrgent(t, c)
			io.WriteString(c, "wer")
		}, "ans!wer", 0},
	} {
		t.Run(name, func(t *testing.T) {
			stopped, ended := make(chan bool), make(chan bool)
			s, k, h := balanced(t, 1, listenerOf(startBackend(t, func(c *net.TCPConn) {
				io.CopyN(c, c, 1)
				<-stopped
				test.answer(c)
				c.Close()
				close(ended)
			})))
			c := connect(t, k)
			exchange(t, c, "?")
			before := packetsIn(t, c)
			s.workers[0].loop.Post(func() { close(stopped); <-ended })
			if b, err := io.ReadAll(c); err != nil || string(b) != test.want {
				t.Fatalf("got %q, %v", b, err)
			}
			if n := packetsIn(t, c) - before; n != test.packets && test.packets > 0 {
				t.Errorf("%d packets, want %d", n, test.packets)
			}
			c.Close()
			settled(t, h)
		})
	}
}

// packetsIn is how many packets a connection has received.
func packetsIn(t *testing.T, c *net.TCPConn) (n uint32) {
	t.Helper()
	control(t, c, func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			n = info.Segs_in
		}
		return err
	})
	return n
}

func sendUrgent(t *testing.T, c *net.TCPConn) {
	control(t, c, func(fd int) error { return unix.Sendto(fd, []byte("!"), unix.MSG_OOB, nil) })
}

func control(t *testing.T, c *net.TCPConn, f func(fd int) error) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		if e := raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
			err = e
		}
	}
	if err != nil {
		t.Error(err)
	}
}
