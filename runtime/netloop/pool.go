//go:build linux

package netloop

import (
	"slices"

	"golang.org/x/sys/unix"
)

const (
	keptBuffers = 64      // 4 MiB a loop stay allocated for the next slow reader
	keptPipes   = 4       // idle pipes a loop keeps open
	maxPipes    = 32      // a loop never has more; beyond that, bytes are copied
	pipeSize    = 1 << 20 // where the kernel's limit for the user allows it
)

// Buffer holds bytes that a socket did not take: a scratch buffer full, rarely more.
type Buffer struct {
	data       []byte
	start, end int
}

// Bytes is what waits to be sent.
func (b *Buffer) Bytes() []byte { return b.data[b.start:b.end] }

// Advance drops the first n bytes.
func (b *Buffer) Advance(n int) { b.start += n }

// Pipe holds bytes between two splices.
type Pipe struct {
	fd    [2]int
	Bytes int // inside
}

// Fill moves up to a pipe full from a socket.
func (p *Pipe) Fill(fd int) (int, unix.Errno) {
	n, e := splice(fd, p.fd[1], pipeSize)
	if e == 0 {
		p.Bytes += n
	}
	return n, e
}

// Drain moves what is inside to a socket, perhaps not all.
func (p *Pipe) Drain(fd int) (int, unix.Errno) {
	n, e := splice(p.fd[0], fd, p.Bytes)
	if e == 0 {
		p.Bytes -= n
	}
	return n, e
}

// pool lends buffers and pipes to the connections of one loop.
type pool struct {
	buffers []*Buffer
	pipes   []*Pipe
	open    int // pipes, idle and lent
}

// Keep returns a buffer of the pool that holds a copy of b.
func (l *Loop) Keep(b []byte) *Buffer {
	var buffer *Buffer
	if n := len(l.pool.buffers); n > 0 {
		buffer, l.pool.buffers = l.pool.buffers[n-1], l.pool.buffers[:n-1]
	} else {
		buffer = &Buffer{data: make([]byte, scratchSize)}
	}
	if len(b) > len(buffer.data) {
		l.Release(buffer)
		buffer = &Buffer{data: make([]byte, len(b))}
	}
	buffer.start, buffer.end = 0, copy(buffer.data, b)
	return buffer
}

// Append returns a buffer of the pool that holds what b does and then more; b is given
// back. The bytes move once more, so it is for what is rare.
func (l *Loop) Append(b *Buffer, more []byte) *Buffer {
	all := append(slices.Clone(b.Bytes()), more...)
	l.Release(b)
	return l.Keep(all)
}

// Release gives a buffer back.
func (l *Loop) Release(b *Buffer) {
	if len(l.pool.buffers) < keptBuffers && len(b.data) == scratchSize {
		l.pool.buffers = append(l.pool.buffers, b)
	}
}

// Pipe lends an empty pipe, or nil if there are none left.
func (l *Loop) Pipe() *Pipe {
	p := &l.pool
	if n := len(p.pipes); n > 0 {
		pipe := p.pipes[n-1]
		p.pipes = p.pipes[:n-1]
		return pipe
	}
	if p.open >= maxPipes {
		return nil
	}
	pipe := new(Pipe)
	if unix.Pipe2(pipe.fd[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return nil
	}
	if l.Scarce(pipe.fd[1]) {
		pipe.close()
		return nil
	}
	// A pipe that may not grow still works, in smaller steps.
	_, _ = unix.FcntlInt(uintptr(pipe.fd[1]), unix.F_SETPIPE_SZ, pipeSize)
	p.open++
	return pipe
}

// ReturnPipe takes a pipe back. One that still holds bytes is closed.
func (l *Loop) ReturnPipe(pipe *Pipe) {
	p := &l.pool
	if pipe.Bytes > 0 || len(p.pipes) >= keptPipes {
		pipe.close()
		p.open--
		return
	}
	p.pipes = append(p.pipes, pipe)
}

func (p *Pipe) close() {
	closeFD(p.fd[0])
	closeFD(p.fd[1])
}

func (p *pool) close() {
	for _, pipe := range p.pipes {
		pipe.close()
	}
	p.pipes = nil
}
