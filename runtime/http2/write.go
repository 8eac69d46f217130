package http2

import (
	"bytes"
	"net/http"

	h2 "golang.org/x/net/http2"
)

// Write takes bytes of a message as HTTP/1.1 and returns how many: as many as
// the windows and Out have room for. Next gives the stream again when there may
// be room for more. An error means that the stream has been reset, by the peer or
// because the bytes are no message; what Read has is not affected.
func (s *Stream) Write(b []byte) (n int, err error) {
	if s.err != nil {
		return 0, s.err
	}
	s.frame = -1
	for n < len(b) {
		if s.localEnded {
			return n, errExcess
		}
		k, why, err := s.write(b[n:])
		if err != nil {
			return n, s.broken(err)
		}
		n += k
		if why != notStalled {
			s.stall(why, n > 0)
			return n, nil
		}
	}
	s.conn.stalled.remove(s)
	return n, nil
}

// write takes the next piece of a message.
func (s *Stream) write(p []byte) (n int, why need, err error) {
	if s.inHead {
		return s.writeHead(p)
	}
	return s.writeBody(p)
}

// CloseWrite ends a message as closing a connection of HTTP/1.1 would: that is its
// end only if it has no other, and an error otherwise.
func (s *Stream) CloseWrite() error {
	switch {
	case s.err != nil:
		return s.err
	case s.localEnded:
		return nil
	case s.inHead || !s.body.Open():
		return s.broken(errCutShort)
	}
	s.frame = -1
	s.endBody()
	return nil
}

// broken resets a stream for what its owner wrote.
func (s *Stream) broken(err error) error {
	if s.id != 0 {
		s.conn.writeReset(s.id, h2.ErrCodeInternal)
	}
	s.lose(err)
	return err
}

func (s *Stream) stall(why need, moved bool) {
	l := &s.conn.stalled
	if s.stalled == notStalled || moved {
		l.remove(s)
		l.add(s, why)
	}
	s.stalled = why
}

// writeHead takes bytes of a head. They are kept until it is complete.
func (s *Stream) writeHead(p []byte) (n int, why need, err error) {
	c := s.conn
	if c.full() {
		return 0, needsOut, nil
	}
	head, before := p, s.part.len()
	if before > 0 {
		s.part.append(c.pool, p)
		head = s.part.bytes()
	}
	if c.client {
		n, err = s.writeRequest(head)
	} else {
		n, err = s.writeResponse(head)
	}
	if err != nil {
		return 0, notStalled, err
	}
	if n == 0 {
		if before == 0 {
			s.part.append(c.pool, p)
		}
		return len(p), notStalled, nil
	}
	s.part.release(c.pool)
	return n - before, notStalled, nil
}

func (s *Stream) writeResponse(b []byte) (n int, err error) {
	r := &s.conn.pool.response
	if n, err = r.Parse(b, s.toHead); n == 0 || err != nil {
		return 0, err
	}
	if r.Status == http.StatusSwitchingProtocols {
		return 0, errSwitched
	}
	c := s.conn
	c.startBlock()
	c.encodeStatus(r.Status)
	c.encodeLines(b[:n])
	if r.Status < http.StatusOK {
		c.writeHeaders(s.id, false)
		return n, nil
	}
	s.inHead = false
	s.body.OfResponse(r)
	c.writeHeaders(s.id, s.body.Done())
	if s.body.Done() {
		s.endLocal()
	}
	return n, nil
}

func (s *Stream) writeRequest(b []byte) (n int, err error) {
	c := s.conn
	r := &c.pool.request
	if n, err = r.Parse(b); n == 0 || err != nil {
		return 0, err
	}
	c.number(s)
	c.startBlock()
	c.encodeField(":method", text(r.Method), false)
	c.encodeField(":scheme", "http", false)
	if len(r.Authority) > 0 {
		c.encodeField(":authority", text(r.Authority), false)
	}
	c.encodeField(":path", text(r.Target), false)
	c.encodeField("te", "trailers", false) // what Read gives has a place for them; servers of gRPC insist
	c.encodeLines(b[:n])
	s.inHead, s.toHead = false, r.Head
	s.body.OfRequest(r)
	c.writeHeaders(s.id, s.body.Done())
	if s.body.Done() {
		s.endLocal()
	}
	return n, nil
}

// number gives a client's stream its number, now that its HEADERS are the next to go.
func (c *Conn) number(s *Stream) {
	for i, other := range c.unnumbered {
		if other == s {
			c.unnumbered = append(c.unnumbered[:i], c.unnumbered[i+1:]...)
			break
		}
	}
	s.id = c.nextID
	c.nextID += 2
	s.window = c.peerWindow
	c.insert(s)
}

// writeBody takes bytes of a body up to and with the next piece of content.
func (s *Stream) writeBody(p []byte) (n int, why need, err error) {
	body := s.body
	data, n, done, err := body.Next(p)
	if err != nil {
		return 0, notStalled, err
	}
	if len(data) > 0 {
		return s.writeContent(p[:n], len(data), done)
	}
	if !done {
		s.part.append(s.conn.pool, p[:n])
		s.body = body
		return n, notStalled, nil
	}
	// A body whose length is known ends with its content: this is the end of a chunked
	// one, with its trailers.
	if s.conn.full() {
		return 0, needsOut, nil
	}
	s.body = body
	framing := p[:n]
	if s.part.len() > 0 {
		s.part.append(s.conn.pool, framing)
		framing = s.part.bytes()
	}
	s.endChunked(framing)
	s.part.release(s.conn.pool)
	return n, notStalled, nil
}

// writeContent takes p, which is framing and then content of a length; as much of
// that as there is room for.
func (s *Stream) writeContent(p []byte, content int, done bool) (n int, why need, err error) {
	framing := len(p) - content
	room := s.room()
	if content > room {
		done = false
	}
	content = min(content, room)
	s.part.release(s.conn.pool)
	// Both calls take just what the one before has shown to be there.
	if framing > 0 {
		if _, _, _, err := s.body.Next(p[:framing]); err != nil {
			return 0, notStalled, err
		}
	}
	if content == 0 {
		return framing, needsWindow, nil
	}
	n = framing + content
	if _, _, _, err := s.body.Next(p[framing:n]); err != nil {
		return 0, notStalled, err
	}
	s.writeData(p[framing:n])
	if done {
		s.endBody()
	}
	return n, notStalled, nil
}

// endChunked ends a message with the framing that ends a chunked body: the end of
// the last chunk, the line of the empty one, trailers, an empty line.
func (s *Stream) endChunked(framing []byte) {
	framing = bytes.TrimPrefix(framing, []byte("\r\n"))
	lines := framing[bytes.IndexByte(framing, '\n')+1:]
	if len(lines) == len("\r\n") {
		s.endBody()
		return
	}
	c := s.conn
	c.startBlock()
	c.encodeFields(lines)
	c.writeHeaders(s.id, true)
	s.endLocal()
}

// writeData writes DATA for which there is room. What follows DATA of the same
// Write joins its frame.
func (s *Stream) writeData(data []byte) {
	c := s.conn
	s.window -= int64(len(data))
	c.window -= int64(len(data))
	c.pay(framePays+int32(len(data)>>10), 0)
	for len(data) > 0 {
		at := c.out.off + int(s.frame)
		size := 0
		if s.frame >= 0 {
			size = len(c.out.b) - at - headerLen
		}
		if s.frame < 0 || size == MaxFrame {
			s.frame = int32(c.out.len())
			c.writeHeader(h2.FrameData, 0, s.id, 0)
			continue
		}
		k := min(len(data), MaxFrame-size)
		c.out.append(c.pool, data[:k])
		at = c.out.off + int(s.frame)
		putLength(c.out.b[at:], size+k)
		data = data[k:]
	}
}

// endBody ends a message with the last DATA frame of this Write, or with an empty one.
func (s *Stream) endBody() {
	c := s.conn
	if s.frame >= 0 {
		c.out.b[c.out.off+int(s.frame)+4] |= byte(h2.FlagDataEndStream)
	} else {
		c.writeHeader(h2.FrameData, h2.FlagDataEndStream, s.id, 0)
	}
	s.endLocal()
}

func (s *Stream) endLocal() {
	s.localEnded = true
	if !s.conn.client {
		s.conn.pay(streamPays, 1)
	}
}
