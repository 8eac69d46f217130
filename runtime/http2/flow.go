package http2

import (
	"encoding/binary"
	"slices"

	h2 "golang.org/x/net/http2"
)

// takeData takes DATA (RFC 9113 section 6.1). All of its payload counts against both
// windows, whatever becomes of it; what nobody will read is given back at once.
func (c *Conn) takeData(f *frame) *ConnError {
	if c.idle(f.id) {
		return errIdle
	}
	n := int64(len(f.payload))
	if n > c.recv {
		return errOverWindow
	}
	c.recv -= n
	data, err := f.unpad()
	if err != nil {
		return err
	}
	end := f.flags.Has(h2.FlagDataEndStream)
	if len(data) == 0 && !end {
		if err := c.charge(); err != nil {
			return err
		}
	}
	s := c.find(f.id)
	if s == nil || s.err != nil {
		c.owe(n)
		return c.late(f.id)
	}
	if refused, code := s.refuses(data, n); refused != "" {
		c.owe(n)
		return c.fault(s, code, refused)
	}
	s.recv -= n
	s.giveBack(int(n) - len(data))
	s.takeData(data)
	if end {
		return s.endRemote(nil)
	}
	return nil
}

// late answers a frame for a stream that has ended. What was reset here may not know
// it yet (RFC 9113 section 5.1).
func (c *Conn) late(id uint32) *ConnError {
	if slices.Contains(c.recent[:], id) {
		return c.charge()
	}
	c.pool.Stats.StreamErrs++
	c.writeReset(id, h2.ErrCodeStreamClosed)
	return c.chargeReset()
}

// fault resets a stream for what the peer did.
func (c *Conn) fault(s *Stream, code ErrCode, reason string) *ConnError {
	c.pool.Stats.StreamErrs++
	c.writeReset(s.id, code)
	s.lose(&StreamError{code, false, reason})
	return c.chargeReset()
}

// malformed resets a stream for a malformed message (RFC 9113 section 8.1.1).
func (c *Conn) malformed(s *Stream, reason string) *ConnError {
	c.pool.Stats.Malformed++
	return c.fault(s, h2.ErrCodeProtocol, reason)
}

// owe gives bytes back to the connection's window, in halves of it.
func (c *Conn) owe(n int64) {
	c.owed += n
	if c.owed >= connWindow/2 && c.err == nil {
		c.writeWindowUpdate(0, c.owed)
		c.recv += c.owed
		c.owed = 0
	}
}

// giveBack gives bytes that were read, or thrown away, back to both windows.
func (s *Stream) giveBack(n int) {
	if n == 0 {
		return
	}
	s.conn.owe(int64(n))
	s.owed += int64(n)
	if s.owed >= streamWindow/2 && !s.remoteEnded && s.err == nil {
		s.conn.writeWindowUpdate(s.id, s.owed)
		s.recv += s.owed
		s.owed = 0
	}
}

// takeWindowUpdate takes WINDOW_UPDATE (RFC 9113 section 6.9). One that gives a window
// back costs nothing: a client that reads what it has got after a while sends
// thousands at once, and how many there can be is bounded by what a window may hold.
func (c *Conn) takeWindowUpdate(f *frame) *ConnError {
	n := int64(binary.BigEndian.Uint32(f.payload) & maxWindow)
	if n < freeIncrement {
		if err := c.charge(); err != nil {
			return err
		}
	}
	if f.id == 0 {
		switch c.window += n; {
		case n == 0:
			return errIncrement
		case c.window > maxWindow:
			return errWindow
		}
		c.wake()
		return nil
	}
	if c.idle(f.id) {
		return errIdle
	}
	s := c.find(f.id)
	if s == nil || s.err != nil {
		return c.charge()
	}
	switch s.window += n; {
	case n == 0:
		return c.fault(s, h2.ErrCodeProtocol, "the stream's window is increased by 0")
	case s.window > maxWindow:
		return c.fault(s, h2.ErrCodeFlowControl, "the stream's window is increased beyond 2^31-1")
	}
	if s.stalled != notStalled && s.mayGoOn() {
		c.queue(s)
	}
	return nil
}

// need is what a stream waits for that Write could not take all from.
type need uint8

const (
	notStalled  need = iota
	needsOut         // Out to be written
	needsWindow      // a window, or Out to be written
)

// stalledList holds the streams that wait, the one that has waited longest first.
// A stream keeps its place until it has written something, so that none starves
// when the window is small.
type stalledList struct{ first, last *Stream }

func (l *stalledList) remove(s *Stream) {
	if s.stalled == notStalled {
		return
	}
	if s.before == nil {
		l.first = s.after
	} else {
		s.before.after = s.after
	}
	if s.after == nil {
		l.last = s.before
	} else {
		s.after.before = s.before
	}
	s.before, s.after, s.stalled = nil, nil, notStalled
}

func (l *stalledList) add(s *Stream, why need) {
	s.before, s.stalled = l.last, why
	if l.last == nil {
		l.first = s
	} else {
		l.last.after = s
	}
	l.last = s
}

// wake gives Next the streams that may write again.
func (c *Conn) wake() {
	for s := c.stalled.first; s != nil; s = s.after {
		if s.mayGoOn() {
			c.queue(s)
		}
	}
}

// mayGoOn reports whether a stalled stream would now get further.
func (s *Stream) mayGoOn() bool {
	return !s.conn.full() && (s.stalled == needsOut || s.room() > 0)
}

// room is how many bytes of DATA may be written now.
func (s *Stream) room() int {
	c := s.conn
	return int(max(0, min(s.window, c.window, int64(outLimit-c.out.len()))))
}
