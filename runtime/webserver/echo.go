package webserver

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

const echoBuffer = 16 << 10 // bytes for each connection

// echoes is the connections of a tcp_echo instance. The zero value is ready.
type echoes struct {
	mu      sync.Mutex
	stopped bool
	open    map[net.Conn]struct{}
	running sync.WaitGroup
}

func (e *echoes) start(conn net.Conn, f *fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		conn.Close()
		return
	}
	if e.open == nil {
		e.open = make(map[net.Conn]struct{})
	}
	e.open[conn] = struct{}{}
	e.running.Go(func() {
		echo(conn, f)
		e.mu.Lock()
		delete(e.open, conn)
		e.mu.Unlock()
	})
}

// stop ends every connection once what it has read is sent back, or grace is over.
func (e *echoes) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	now := time.Now()
	for conn := range e.open {
		_ = conn.SetReadDeadline(now)
		_ = conn.SetWriteDeadline(now.Add(grace))
	}
}

func (e *echoes) wait() { e.running.Wait() }

// echo sends back what it receives until the client has sent its last byte.
func echo(conn net.Conn, f *fault) {
	defer conn.Close()
	if f != nil && f.Hang {
		f.swallow(conn)
		return
	}
	buffer := make([]byte, echoBuffer)
	for {
		n, err := conn.Read(buffer)
		if n > 0 {
			if f != nil && f.Delay > 0 {
				f.wait(context.Background(), f.Delay)
			}
			if _, err := conn.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// swallow takes what comes, until the client or the instance has had enough, or the fault is over.
func (f *fault) swallow(conn net.Conn) {
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-f.ended:
			_ = conn.SetReadDeadline(time.Unix(1, 0)) // a closed one needs none
		case <-over:
		}
	}()
	_, _ = io.Copy(io.Discard, conn)
}
