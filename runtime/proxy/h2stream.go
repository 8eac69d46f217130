//go:build linux

package proxy

import (
	"golang.org/x/sys/unix"

	"slbctl/runtime/http2"
)

// An exchange speaks HTTP/1.1 on both sides. Where one is a stream of HTTP/2, package
// http2 translates: these are a socket's calls for it.

// readStream is [netloop.Recv] for a stream; readable tells whether more has come.
func readStream(s *http2.Stream, l *h2Link, b []byte) (n int, readable bool, errno unix.Errno) {
	n = s.Read(b)
	l.touch() // the peer may send more
	switch {
	case n > 0:
		return n, s.Readable(), 0
	case s.Err() != nil:
		return 0, false, unix.ECONNRESET
	}
	return 0, false, again
}

// writeStream is [netloop.Send] for a stream.
func writeStream(s *http2.Stream, l *h2Link, b []byte) (int, unix.Errno) {
	n, err := s.Write(b)
	l.touch()
	switch {
	case err != nil:
		return 0, unix.EPIPE
	case n == 0 && len(b) > 0:
		return 0, again
	}
	return n, 0
}

// closeStream ends a stream: reset, unless both its messages are whole.
func closeStream(s *http2.Stream, l *h2Link) {
	s.User = nil
	s.Close()
	l.touch()
}
