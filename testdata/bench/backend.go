//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

const (
	smallBody = 128
	largeBody = 64 << 10
	chunk     = 1 << 20 // what a long body is sent from
)

// serveBackend is the server behind the proxies: one loop that answers every GET and
// HEAD with as many bytes as the last part of the path says (128 without a number),
// keeps connections alive unless "Connection: close" is asked for, and does nothing
// that would make it the slowest part. Two paths are for the driver:
//
//	/counters   {"accepted":1,"requests":1}
//	/…/head     the head of the request, as the server got it
//
// It ends when its standard input does, and so never outlives the driver.
func serveBackend(listen []string) error {
	loop, end, err := freeLoop()
	if err != nil {
		return err
	}
	defer end()
	server := newBackend(loop)
	failed := make(chan error, len(listen))
	for _, text := range listen {
		ep, err := netip.ParseAddrPort(text)
		if err != nil {
			return err
		}
		fds, _, err := netloop.Listen(ep, 1)
		if err != nil {
			return err
		}
		loop.Post(func() { failed <- loop.Add(fds[0], &door{server, fds[0]}) })
	}
	for range listen {
		if err := <-failed; err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// backend is what the connections of the server share, all on its one loop.
type backend struct {
	loop     *netloop.Loop
	answers  map[int][]byte // complete responses by size of the body, made at first use
	block    []byte
	counters counters
}

func newBackend(loop *netloop.Loop) *backend {
	return &backend{loop: loop, answers: map[int][]byte{}, block: make([]byte, chunk)}
}

// counters say how a proxy talks to its servers.
type counters struct {
	Accepted int64 `json:"accepted"`
	Requests int64 `json:"requests"`
}

// since is what has been counted after an earlier reading.
func (c counters) since(earlier counters) counters {
	return counters{c.Accepted - earlier.Accepted, c.Requests - earlier.Requests}
}

// door is a listening socket.
type door struct {
	backend *backend
	fd      int
}

func (d *door) Ready(netloop.Events) {
	for {
		fd, _, errno := netloop.Accept(d.fd)
		if errno != 0 {
			return
		}
		d.backend.counters.Accepted++
		if err := d.backend.loop.Add(fd, &backendConn{backend: d.backend, fd: fd}); err != nil {
			unix.Close(fd)
		}
	}
}

// backendConn is one connection. What does not fit into the socket waits in unsent,
// or as a number of bytes of a long body.
type backendConn struct {
	backend *backend
	fd      int
	held    []byte // received, not answered yet
	unsent  []byte
	body    int64
	last    bool // close when all is sent
}

func (c *backendConn) Ready(netloop.Events) {
	for c.flush() {
		if c.last {
			c.close()
			return
		}
		if c.answerHeld() {
			continue
		}
		scratch := c.backend.loop.Scratch()
		n, errno := netloop.Recv(c.fd, scratch)
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 || n == 0 {
			c.close()
			return
		}
		c.received(scratch[:n])
	}
}

func (c *backendConn) close() { c.backend.loop.Close(c.fd) }

// received answers the first request of b without a copy, the common case, and holds the rest.
func (c *backendConn) received(b []byte) {
	if len(c.held) == 0 {
		b = b[c.answer(b):]
	}
	c.held = append(c.held, b...)
}

func (c *backendConn) answerHeld() bool {
	n := c.answer(c.held)
	c.held = append(c.held[:0], c.held[n:]...)
	return n > 0
}

// answer queues the response to the request that b begins with and returns the
// request's length, 0 if it is not complete.
func (c *backendConn) answer(b []byte) int {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0
	}
	end += 4
	head := b[:end]
	c.backend.counters.Requests++
	c.last = bytes.Contains(head, []byte("onnection: close"))
	c.unsent, c.body = c.backend.respond(head)
	return end
}

// respond makes the response to a request: bytes to send and, of a long body, how
// many more follow them.
func (s *backend) respond(head []byte) (first []byte, more int64) {
	_, target, _ := bytes.Cut(head, []byte(" "))
	target, _, _ = bytes.Cut(target, []byte(" "))
	name := target[bytes.LastIndexByte(target, '/')+1:]
	switch string(name) {
	case "counters":
		b, _ := json.Marshal(s.counters) // two numbers: cannot fail
		return response(b), 0
	case "head":
		return response(head), 0
	}
	size, err := strconv.ParseInt(string(name), 10, 64)
	if err != nil {
		size = smallBody
	}
	if head[0] == 'H' {
		return responseHead(size), 0
	}
	if size > largeBody {
		return responseHead(size), size
	}
	answer, ok := s.answers[int(size)]
	if !ok {
		answer = response(bytes.Repeat([]byte("x"), int(size)))
		s.answers[int(size)] = answer
	}
	return answer, 0
}

func responseHead(size int64) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
}

func response(body []byte) []byte { return append(responseHead(int64(len(body))), body...) }

// flush sends what is queued; false if the socket takes no more now, or is gone.
func (c *backendConn) flush() bool {
	for len(c.unsent) > 0 || c.body > 0 {
		if len(c.unsent) == 0 {
			n := min(c.body, chunk)
			c.unsent = c.backend.block[:n]
			c.body -= n
		}
		n, errno := netloop.Send(c.fd, c.unsent)
		if errno == unix.EAGAIN {
			return false
		}
		if errno != 0 {
			c.close()
			return false
		}
		c.unsent = c.unsent[n:]
	}
	return true
}
