//go:build linux

package proxy

import (
	"golang.org/x/sys/unix"

	"slbctl/runtime/http2"
	"slbctl/runtime/netloop"
)

const h2Write = 64 << 10 // bytes of frames that are encrypted and sent at a time

// h2Link moves the frames of a connection of HTTP/2, of a client or to a server,
// between its socket and its machine. What its streams say in one turn of the loop
// leaves together.
type h2Link struct {
	owner  h2Owner
	worker *worker
	fd     int         // -1 = closed
	tls    *tlsSession // nil = in the clear
	conn   *http2.Conn
	in     []byte          // the beginning of a frame
	out    *netloop.Buffer // what the socket did not take

	readable bool
	partial  bool // a short read does not mean that nothing is left
	queued   bool // a turn was asked for
	serving  bool // what streams say is looked after already
	failed   bool // the peer has made an error; what is said of it is the last
}

// h2Owner is what makes the decisions for a link.
type h2Owner interface {
	netloop.Handler
	serve(s *http2.Stream) // something has happened to it
	moved()                // bytes have
	spoken()               // nothing waits to be written; the link may be closed
	broken()               // the connection has ended, and must be closed
}

// note takes what an event says of the socket.
func (l *h2Link) note(ev netloop.Events) {
	if ev == 0 {
		l.queued = false
	}
	if l.tls != nil {
		l.tls.ready(ev)
	}
	if ev&(netloop.In|netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		l.readable = true
	}
	if ev&(netloop.Urgent|netloop.PeerFin|netloop.Hup|netloop.Err) != 0 {
		l.partial = true
	}
}

// move moves what can be moved in both directions.
func (l *h2Link) move() {
	if l.fd < 0 || l.out != nil && !l.flush() {
		return
	}
	l.serving = true
	if l.receive() {
		l.speak()
	}
	l.serving = false
}

// receive reads frames and gives the streams what is in them. It reports whether the
// connection still stands.
func (l *h2Link) receive() bool {
	for turn := 0; l.readable && !l.failed; turn++ {
		if turn == readsPerTurn {
			l.again()
			break
		}
		scratch := l.worker.loop.Scratch()
		have := copy(scratch, l.in)
		n, errno := l.recv(scratch[have:])
		if errno == again {
			break
		} else if errno != 0 || n == 0 {
			l.owner.broken()
			return false
		}
		b := scratch[:have+n]
		used, err := l.conn.Feed(b, l.worker.loop.Now())
		if l.in = append(l.in[:0], b[used:]...); len(l.in) == 0 {
			l.in = nil
		}
		l.failed = err != nil
		l.owner.moved()
		l.serve()
	}
	return true
}

// recv reads what the peer has sent, and notes when nothing of it is left.
func (l *h2Link) recv(b []byte) (int, unix.Errno) {
	if l.tls == nil {
		n, errno := netloop.Recv(l.fd, b)
		if errno == again || n > 0 && n < len(b) && !l.partial {
			l.readable = false
		}
		return n, errno
	}
	n, dry, errno := l.tls.recv(b)
	if dry {
		l.readable = false
	}
	if sealed := l.worker.sealed; len(sealed) > 0 && !l.deliver(sealed) {
		return 0, unix.EPIPE
	}
	return n, errno
}

// serve gives every stream to which something has happened a turn.
func (l *h2Link) serve() {
	for s := l.conn.Next(); s != nil; s = l.conn.Next() {
		l.owner.serve(s)
	}
}

// speak sends what the streams have to say, as far as the peer takes it.
func (l *h2Link) speak() {
	for l.out == nil {
		frames := l.conn.Out()
		if len(frames) == 0 {
			break
		}
		frames = frames[:min(len(frames), h2Write)]
		n := len(frames)
		if l.tls != nil {
			frames = l.tls.seal(frames)
		}
		if frames == nil || !l.deliver(frames) {
			l.owner.broken()
			return
		}
		l.conn.Advance(n)
		l.serve() // there may be room again
	}
	if l.out == nil {
		l.owner.spoken()
	}
}

// deliver sends what is on its way and keeps what the socket does not take. It reports
// false when the connection has broken.
func (l *h2Link) deliver(b []byte) bool {
	if l.out != nil { // alerts and updates of keys
		l.out = l.worker.loop.Append(l.out, b)
		return len(l.out.Bytes()) <= owedBytes
	}
	n, errno := netloop.Send(l.fd, b)
	if errno == again {
		n = 0
	} else if errno != 0 {
		return false
	}
	if n < len(b) {
		l.out = l.worker.loop.Keep(b[n:])
		l.owner.moved()
	}
	return true
}

// flush writes what waits for the socket. It reports whether the connection still stands.
func (l *h2Link) flush() bool {
	for l.out != nil {
		n, errno := netloop.Send(l.fd, l.out.Bytes())
		if errno == again {
			return true
		} else if errno != 0 {
			l.owner.broken()
			return false
		}
		if l.out.Advance(n); len(l.out.Bytes()) == 0 {
			l.worker.loop.Release(l.out)
			l.out = nil
		}
		l.owner.moved()
	}
	return true
}

// touch makes what a stream has said leave at the end of the turn.
func (l *h2Link) touch() {
	if !l.serving {
		l.again()
	}
}

// again asks for another turn.
func (l *h2Link) again() {
	if !l.queued {
		l.queued = true
		l.worker.loop.Again(l.owner)
	}
}

// shut closes the socket, and ends the streams that are left.
func (l *h2Link) shut() {
	l.serving = true
	l.conn.Close()
	l.serve()
	l.worker.loop.Close(l.fd)
	l.fd = -1
	if l.out != nil {
		l.worker.loop.Release(l.out)
		l.out = nil
	}
}
