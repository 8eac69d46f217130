package http2

import (
	"strconv"

	h2 "golang.org/x/net/http2"

	"slbctl/runtime/http1"
)

// Stream is one request and its answer. To its owner it is a connection of
// HTTP/1.1: of a server that gets one request and takes its answer; of a client
// that takes the request and gives the answer.
type Stream struct {
	User any // the owner's record

	conn          *Conn
	next          *Stream // of those that Next gives
	before, after *Stream // of those that are stalled
	err           error

	in       buffer // [heads as they are read][DATA][the end as it is read]
	verbatim int    // bytes of in that are read as they are before any DATA
	data     int    // bytes of DATA in it
	part     buffer // of what was written: an unfinished head, or framing of the body

	body   http1.Body // of what is written
	window int64      // bytes of DATA that the peer takes; it may be negative
	recv   int64      // bytes of DATA that the peer may send
	owed   int64      // bytes that were read and not yet given back to recv
	expect int64      // bytes of DATA that there have to be, -1 unknown
	got    int64      // bytes of DATA so far

	id    uint32
	frame int32 // where in out the last DATA frame of this Write starts, -1 nowhere

	stalled     need
	queued      bool // Next will give it
	known       bool // Next has given it, or its owner has opened it
	chunked     bool // what is read is chunked
	orphan      bool // its owner is done; only END_STREAM is missing
	discard     bool // DATA is thrown away: the request's head is refused
	inHead      bool // the head of what is written has not been taken
	toHead      bool // the request's method is HEAD
	headSeen    bool // the head of the answer has come
	remoteEnded bool // the peer has ended its message
	localEnded  bool // this side has ended its message
}

// ID returns the stream's number, 0 for a client's before its head was taken.
func (s *Stream) ID() uint32 { return s.id }

// Conn returns the connection it belongs to.
func (s *Stream) Conn() *Conn { return s.conn }

// Err returns why the stream has ended before its end: a *StreamError, or the
// connection's error. An answer that has come completely has none: it can be
// read whatever came after it (RFC 9113 section 8.1).
func (s *Stream) Err() error {
	if s.conn.client && s.remoteEnded {
		return nil
	}
	return s.err
}

// Readable reports whether Read has something.
func (s *Stream) Readable() bool { return s.in.len() > 0 }

// Ended reports whether the peer's message has been read to its end.
func (s *Stream) Ended() bool { return s.remoteEnded && s.in.len() == 0 }

// WriteEnded reports whether Write has taken a whole message.
func (s *Stream) WriteEnded() bool { return s.localEnded }

// minRead is the least that a chunk with its framing takes.
const minRead = len("ffffff\r\n") + 1 + len("\r\n")

// Read copies what has come of the peer's message, as HTTP/1.1, and gives it back
// to the windows (RFC 9113 section 5.2). dst must hold at least 16 bytes. 0 means that there is nothing
// now: see Ended and Err.
func (s *Stream) Read(dst []byte) (n int) {
	for s.in.len() > 0 {
		k := 0
		switch {
		case s.verbatim > 0:
			k = s.readBytes(dst[n:], s.verbatim)
			s.verbatim -= k
		case s.data == 0:
			k = s.readBytes(dst[n:], s.in.len())
		case s.chunked:
			k = s.readChunk(dst[n:])
		default:
			k = s.readBytes(dst[n:], s.data)
			s.data -= k
			s.giveBack(k)
		}
		if k == 0 {
			break
		}
		n += k
	}
	return n
}

// readBytes copies up to limit bytes as they are.
func (s *Stream) readBytes(dst []byte, limit int) int {
	n := copy(dst, s.in.bytes()[:limit])
	s.in.consume(s.conn.pool, n)
	return n
}

// readChunk copies DATA as one chunk, however many frames it came in.
func (s *Stream) readChunk(dst []byte) int {
	if len(dst) < minRead {
		return 0
	}
	k := min(s.data, len(dst)-minRead+1)
	out := strconv.AppendInt(dst[:0], int64(k), 16)
	out = append(out, "\r\n"...)
	out = append(out, s.in.bytes()[:k]...)
	out = append(out, "\r\n"...)
	s.in.consume(s.conn.pool, k)
	s.data -= k
	s.giveBack(k)
	return len(out)
}

// refuses tells why DATA of n bytes with its padding cannot be taken, and the error
// for the peer.
func (s *Stream) refuses(data []byte, n int64) (reason string, code ErrCode) {
	switch {
	case s.remoteEnded:
		return "DATA after the end of the stream", h2.ErrCodeStreamClosed
	case n > s.recv:
		return "more DATA than the stream's window", h2.ErrCodeFlowControl
	case s.conn.client && !s.headSeen:
		return "DATA before the answer's head", h2.ErrCodeProtocol
	case s.expect >= 0 && s.got+int64(len(data)) > s.expect && !s.discard:
		s.conn.pool.Stats.Malformed++
		return "more DATA than content-length", h2.ErrCodeProtocol
	}
	return "", h2.ErrCodeNo
}

// takeData keeps DATA until it is read.
func (s *Stream) takeData(data []byte) {
	if s.discard {
		s.giveBack(len(data))
		return
	}
	if len(data) == 0 {
		return
	}
	s.got += int64(len(data))
	s.data += len(data)
	s.in.append(s.conn.pool, data)
	s.conn.queue(s)
}

// endRemote takes the end of the peer's message, with the lines of its trailers.
// They are lost where HTTP/1.1 has no place for them: after a body with a
// content-length and no trailer field (RFC 9110 section 6.5.1).
func (s *Stream) endRemote(trailers []byte) *ConnError {
	if s.expect >= 0 && s.got != s.expect && !s.discard {
		return s.conn.malformed(s, "less DATA than content-length")
	}
	if s.chunked && !s.discard {
		p := s.conn.pool
		s.in.append(p, []byte("0\r\n"))
		s.in.append(p, trailers)
		s.in.append(p, []byte("\r\n"))
	}
	s.finishRemote()
	return nil
}

func (s *Stream) finishRemote() {
	s.remoteEnded = true
	if s.conn.client {
		s.conn.pay(streamPays, 0)
	}
	if s.orphan {
		s.free()
		return
	}
	s.conn.queue(s)
}

// lose ends a stream with an error. One that Next has not given yet is forgotten: that
// a client sends requests only to reset them costs no more than this.
func (s *Stream) lose(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	c := s.conn
	c.stalled.remove(s)
	s.part.release(c.pool)
	if !c.client || !s.remoteEnded {
		s.forget()
	}
	if !s.known || s.orphan {
		s.free()
		return
	}
	c.queue(s)
}

// forget throws away what nobody has read.
func (s *Stream) forget() {
	s.conn.owe(int64(s.data))
	s.data, s.verbatim = 0, 0
	s.in.release(s.conn.pool)
}

// Close is called when the owner is done with a stream, which must not be used
// after it: its record will be another's. What has not ended is reset; a request
// whose answer is complete, without an error (RFC 9113 section 8.1). An answer of
// which only the END_STREAM has not come is not reset: servers take that for an attack.
func (s *Stream) Close() {
	switch {
	case s.conn.client && s.err == nil && !s.remoteEnded && s.localEnded && s.headSeen && s.got == s.expect && s.in.len() == 0:
		s.conn.unqueue(s)
		s.User, s.orphan = nil, true
	case s.conn.client:
		s.Abort(h2.ErrCodeCancel)
	case s.localEnded:
		s.Abort(h2.ErrCodeNo)
	default:
		s.Abort(h2.ErrCodeInternal)
	}
}

// Abort is Close with the code for a stream that has not ended.
func (s *Stream) Abort(code ErrCode) {
	c := s.conn
	if s.err == nil && s.id != 0 && !(s.remoteEnded && s.localEnded) {
		// Clients that are still sending (curl 7.88) lose an answer that comes in one
		// piece with the reset behind it.
		if n := c.out.len(); code == h2.ErrCodeNo && n > 0 {
			c.apart = append(c.apart, n)
		}
		c.writeReset(s.id, code)
	}
	s.err = ErrGone
	s.forget()
	s.free()
}

// free gives the record back.
func (s *Stream) free() {
	c := s.conn
	c.unqueue(s)
	c.stalled.remove(s)
	if i, ok := c.search(s.id); ok && s.id != 0 {
		copy(c.streams[i:], c.streams[i+1:])
		c.streams[len(c.streams)-1] = nil
		c.streams = c.streams[:len(c.streams)-1]
	}
	for i, other := range c.unnumbered {
		if other == s {
			c.unnumbered = append(c.unnumbered[:i], c.unnumbered[i+1:]...)
			break
		}
	}
	c.leaveLists()
	c.pool.giveStream(s)
}

// Open returns a stream for a request, nil if the connection takes none now: see
// CanOpen. It gets its number when its head is complete (RFC 9113 section 5.1.1).
func (c *Conn) Open() *Stream {
	if !c.CanOpen() {
		return nil
	}
	s := c.pool.stream(c)
	s.window, s.recv, s.expect = c.peerWindow, streamWindow, -1
	s.inHead, s.known = true, true
	if c.unnumbered == nil {
		c.unnumbered = c.pool.list()
	}
	c.unnumbered = append(c.unnumbered, s)
	return s
}

// CanOpen reports whether a client may open another stream: the server has said
// neither GOAWAY nor that it takes fewer streams (RFC 9113 section 5.1.2), and there
// are numbers left.
func (c *Conn) CanOpen() bool {
	return c.client && c.err == nil && !c.left && !c.leaving &&
		uint32(c.Streams()) < min(c.peerMax, MaxStreams) && c.nextID <= maxID-2*MaxStreams
}
