package http2

import (
	"bytes"
	"slices"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Conn is one HTTP/2 connection. Without streams and with nothing to write it
// holds only itself and the table for header fields.
type Conn struct {
	User any // the owner's record

	pool    *Pool
	decoder *hpack.Decoder
	err     error

	streams    []*Stream // by number, until their owners close them
	unnumbered []*Stream // of a client, before their request's head is complete
	first      *Stream   // of those that Next gives
	last       *Stream
	stalled    stalledList

	out   buffer // frames to be written
	apart []int  // bytes of it after which there is to be a new write, ascending
	parts buffer // of a header block, while CONTINUATION is awaited

	recent    [16]uint32 // streams that were reset here: what is still on its way is ignored
	recentAt  uint8
	lastID    uint32 // highest number that the peer has opened
	nextID    uint32 // that a client opens next
	partsOf   uint32 // stream of the header block under way, 0 = none
	partsEnd  bool   // it ends the stream
	partCount uint8

	window     int64 // bytes of DATA that the peer takes
	peerWindow int64 // its SETTINGS_INITIAL_WINDOW_SIZE
	peerMax    uint32
	recv       int64 // bytes of DATA that the peer may send
	owed       int64 // bytes that were read and not yet given back to recv

	refilled int64
	control  int32 // frames that move nothing the peer may still send
	resets   int32
	refused  int

	client    bool
	preface   uint8 // bytes of the preface that have come
	saidEmpty bool  // a header block has told the peer that nothing is indexed
	started   bool  // the peer's first SETTINGS has come
	leaving   bool  // a last GOAWAY has gone
	left      bool  // the peer has sent GOAWAY
}

// NewServer returns the side of a connection that gets requests. now is in
// nanoseconds of any clock that does not go back.
func NewServer(p *Pool, now int64) *Conn {
	c := newConn(p, now)
	c.writeSettings(
		h2.Setting{ID: h2.SettingMaxConcurrentStreams, Val: MaxStreams},
		h2.Setting{ID: h2.SettingInitialWindowSize, Val: streamWindow},
		h2.Setting{ID: h2.SettingMaxHeaderListSize, Val: MaxList})
	c.writeWindowUpdate(0, connWindow-defaultWindow)
	return c
}

// NewClient returns the side of a connection that sends requests, with prior
// knowledge that the server speaks HTTP/2 (RFC 9113 section 3.3).
func NewClient(p *Pool, now int64) *Conn {
	c := newConn(p, now)
	c.client, c.nextID, c.preface = true, 1, uint8(len(h2.ClientPreface))
	c.out.append(p, []byte(h2.ClientPreface))
	c.writeSettings(
		h2.Setting{ID: h2.SettingEnablePush, Val: 0},
		h2.Setting{ID: h2.SettingInitialWindowSize, Val: streamWindow},
		h2.Setting{ID: h2.SettingMaxHeaderListSize, Val: MaxList})
	c.writeWindowUpdate(0, connWindow-defaultWindow)
	return c
}

const (
	defaultWindow = 65535 // RFC 9113 section 6.9.2
	maxWindow     = 1<<31 - 1
	maxID         = 1<<31 - 1
)

func newConn(p *Pool, now int64) *Conn {
	p.Stats.Connections++
	return &Conn{
		pool: p, decoder: hpack.NewDecoder(tableSize, p.emit),
		window: defaultWindow, peerWindow: defaultWindow, peerMax: MaxStreams, recv: connWindow,
		refilled: now, control: maxControl, resets: maxResets,
	}
}

// Feed takes what was received and returns how much of it: whole frames, so that
// less than MaxUnread bytes are left for the next time. Nothing of b is kept.
// After an error, a *ConnError, what is in Out is to be written and the
// connection closed.
func (c *Conn) Feed(b []byte, now int64) (used int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	c.refill(now)
	used, refused := c.takePreface(b)
	for refused == nil {
		var n int
		if n, refused = c.frame(b[used:]); n == 0 {
			break
		}
		used += n
		if refused == nil && c.out.len() > outMost {
			refused = errOutputFlood
		}
	}
	if refused != nil {
		c.fail(refused)
		return used, refused
	}
	return used, nil
}

// takePreface takes what a client says first (RFC 9113 section 3.4).
func (c *Conn) takePreface(b []byte) (int, *ConnError) {
	rest := h2.ClientPreface[c.preface:]
	n := min(len(b), len(rest))
	if !bytes.Equal(b[:n], []byte(rest[:n])) {
		return 0, errPreface
	}
	c.preface += uint8(n)
	return n, nil
}

// fail ends the connection for what the peer did.
func (c *Conn) fail(err *ConnError) {
	stats := &c.pool.Stats
	stats.ConnErrs++
	switch err {
	case errRapidReset:
		stats.RapidResets++
	case errControlFlood:
		stats.ControlFloods++
	case errHeaderFlood:
		stats.HeaderFloods++
	case errOutputFlood:
		stats.OutputFloods++
	}
	c.writeGoAway(c.lastID, err.Code, err.Reason)
	c.end(err)
}

// end fails all streams.
func (c *Conn) end(err error) {
	c.err = err
	c.parts.release(c.pool)
	for _, list := range [...][]*Stream{c.streams, c.unnumbered} {
		for i := len(list) - 1; i >= 0; i-- {
			list[i].lose(err)
		}
	}
}

// Close is called when the connection itself has gone. Every stream that is
// left is given by Next once more, with an error.
func (c *Conn) Close() {
	if c.err == nil {
		c.end(ErrGone)
	}
	c.out.release(c.pool)
	c.apart = nil
	c.leaveLists()
}

// leaveLists gives empty lists back.
func (c *Conn) leaveLists() {
	if len(c.streams) == 0 {
		c.pool.giveList(c.streams)
		c.streams = nil
	}
	if len(c.unnumbered) == 0 {
		c.pool.giveList(c.unnumbered)
		c.unnumbered = nil
	}
}

// Err returns why the connection has ended, nil while it has not.
func (c *Conn) Err() error { return c.err }

// Next returns a stream to which something has happened since it was last
// returned: it is new, there is something to read, there is room again for what
// Write did not take, or it was reset. It returns nil when there is none.
func (c *Conn) Next() *Stream {
	s := c.first
	if s == nil {
		return nil
	}
	if c.first = s.next; c.first == nil {
		c.last = nil
	}
	s.next, s.queued, s.known = nil, false, true
	return s
}

// queue makes Next give a stream.
func (c *Conn) queue(s *Stream) {
	if s.queued {
		return
	}
	s.queued = true
	if c.last == nil {
		c.first = s
	} else {
		c.last.next = s
	}
	c.last = s
}

// unqueue takes a stream off the list of Next.
func (c *Conn) unqueue(s *Stream) {
	if !s.queued {
		return
	}
	var before *Stream
	for at := c.first; at != s; at = at.next {
		before = at
	}
	if before == nil {
		c.first = s.next
	} else {
		before.next = s.next
	}
	if c.last == s {
		c.last = before
	}
	s.next, s.queued = nil, false
}

// Out returns the bytes to be written, which are not all where some are to go on their
// own: ask again after Advance. They are good until the next call of anything else.
func (c *Conn) Out() []byte {
	if len(c.apart) > 0 {
		return c.out.bytes()[:c.apart[0]]
	}
	return c.out.bytes()
}

// Advance notes that n bytes of Out were written. There may then be streams for
// Next that have room again.
func (c *Conn) Advance(n int) {
	full := c.out.len() >= outLimit/2
	c.out.consume(c.pool, n)
	for i := range c.apart {
		c.apart[i] -= n
	}
	if len(c.apart) > 0 && c.apart[0] <= 0 {
		c.apart = c.apart[1:]
	}
	if len(c.apart) == 0 {
		c.apart = nil // an idle connection holds nothing
	}
	if full && c.out.len() < outLimit/2 {
		c.wake()
	}
}

// full reports whether no message may be written before Advance.
func (c *Conn) full() bool { return c.out.len() >= outLimit }

// Streams returns how many streams there are, that their owners have not closed.
func (c *Conn) Streams() int { return len(c.streams) + len(c.unnumbered) }

// MidBlock reports whether a header block has begun and not ended (RFC 9113, section 4.3).
func (c *Conn) MidBlock() bool { return c.partsOf != 0 }

// Idle reports whether nothing is under way and nothing to be written.
func (c *Conn) Idle() bool { return c.Streams() == 0 && c.out.len() == 0 }

// GoAway tells the peer to open no more streams (RFC 9113 section 6.8). Graceful it is
// a warning, and streams that are on their way still count; otherwise the last
// word, after which they are refused. The connection may be closed when it is
// Idle.
func (c *Conn) GoAway(graceful bool) {
	switch {
	case c.err != nil || c.leaving:
	case graceful:
		c.writeGoAway(maxID, h2.ErrCodeNo, "")
	default:
		c.leaving = true
		c.writeGoAway(c.lastID, h2.ErrCodeNo, "")
	}
}

// Refused returns for how many of the peer's streams there was no place.
func (c *Conn) Refused() int { return c.refused }

// find returns the stream of a number, nil if its owner has closed it or it
// never was.
func (c *Conn) find(id uint32) *Stream {
	if i, ok := c.search(id); ok {
		return c.streams[i]
	}
	return nil
}

func (c *Conn) search(id uint32) (int, bool) {
	return slices.BinarySearchFunc(c.streams, id, func(s *Stream, id uint32) int { return int(s.id) - int(id) })
}

// insert adds a stream, whose number is the highest.
func (c *Conn) insert(s *Stream) {
	if c.streams == nil {
		c.streams = c.pool.list()
	}
	c.streams = append(c.streams, s)
}

// idle reports whether a stream of a number was never opened.
func (c *Conn) idle(id uint32) bool {
	if c.client {
		return id&1 == 0 || id >= c.nextID
	}
	return id&1 == 0 || id > c.lastID
}

// resetHere notes that a stream was reset on this side.
func (c *Conn) resetHere(id uint32) {
	c.recent[c.recentAt%uint8(len(c.recent))] = id
	c.recentAt++
}
