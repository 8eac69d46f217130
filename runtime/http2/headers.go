package http2

import (
	"encoding/binary"
	"net/http"
	"slices"

	h2 "golang.org/x/net/http2"

	"slbctl/runtime/http1"
)

// takeHeaders takes HEADERS (RFC 9113 section 6.2).
func (c *Conn) takeHeaders(f *frame) *ConnError {
	p, err := f.unpad()
	if err != nil {
		return err
	}
	if f.flags.Has(h2.FlagHeadersPriority) {
		if len(p) < 5 {
			return errLength
		}
		if binary.BigEndian.Uint32(p)&maxID == f.id {
			return errDependsOnSelf
		}
		p = p[5:]
	}
	end := f.flags.Has(h2.FlagHeadersEndStream)
	if f.flags.Has(h2.FlagHeadersEndHeaders) {
		return c.headers(f.id, p, end)
	}
	c.partsOf, c.partsEnd, c.partCount = f.id, end, 1
	c.parts.append(c.pool, p)
	return nil
}

// takeContinuation takes CONTINUATION (RFC 9113 section 6.10).
func (c *Conn) takeContinuation(f *frame) *ConnError {
	if c.partCount++; c.partCount > maxParts || c.parts.len()+len(f.payload) > maxBlock {
		return errHeaderFlood
	}
	c.parts.append(c.pool, f.payload)
	if !f.flags.Has(h2.FlagContinuationEndHeaders) {
		return nil
	}
	id := c.partsOf
	c.partsOf = 0
	err := c.headers(id, c.parts.bytes(), c.partsEnd)
	c.parts.release(c.pool)
	return err
}

// headers takes a whole header block.
func (c *Conn) headers(id uint32, block []byte, end bool) *ConnError {
	s := c.find(id)
	switch {
	case s != nil && s.err == nil && !s.remoteEnded:
		if c.client && !s.headSeen {
			return c.response(s, block, end)
		}
		return c.trailers(s, block, end)
	case !c.idle(id):
		return c.lateHeaders(s, id, block)
	case c.client:
		return errIdle
	case id&1 == 0:
		return errStreamID
	}
	c.lastID = id
	if c.leaving || len(c.streams) >= MaxStreams {
		return c.refuse(id, block)
	}
	if err := c.decode(ofRequest, block); err != nil {
		return err
	}
	return c.open(id, end)
}

// decode reads a header block into the fields of the pool.
func (c *Conn) decode(s section, block []byte) *ConnError {
	c.pool.fields.reset(s, c.decoder)
	c.decoder.SetEmitEnabled(true)
	if _, err := c.decoder.Write(block); err != nil {
		return errCompression
	}
	if c.decoder.Close() != nil {
		return errCompression
	}
	return nil
}

// lateHeaders takes a header block of a stream that has ended, or that the peer has
// ended.
func (c *Conn) lateHeaders(s *Stream, id uint32, block []byte) *ConnError {
	if err := c.decode(ofNothing, block); err != nil {
		return err
	}
	switch {
	case slices.Contains(c.recent[:], id):
		return c.charge()
	case s != nil && s.err == nil:
		return c.fault(s, h2.ErrCodeStreamClosed, errClosed.Reason)
	}
	return errClosed
}

// refuse takes a request for which there is no place (RFC 9113 section 5.1.2).
func (c *Conn) refuse(id uint32, block []byte) *ConnError {
	if err := c.decode(ofNothing, block); err != nil {
		return err
	}
	c.pool.Stats.Refused++
	c.refused++
	c.writeReset(id, h2.ErrCodeRefusedStream)
	return c.chargeReset()
}

// open makes a stream of the request that was decoded.
func (c *Conn) open(id uint32, end bool) *ConnError {
	f, stats := &c.pool.fields, &c.pool.Stats
	f.checkRequest()
	if end && f.length > 0 {
		f.malformed("content-length is not that of the body")
	}
	if f.bad != "" {
		stats.Malformed++
		stats.StreamErrs++
		c.writeReset(id, h2.ErrCodeProtocol)
		return c.chargeReset()
	}
	chunked := !end && f.chunks()
	f.large = f.large || f.lineCount(chunked) > MaxFields
	if f.large || len(f.path) > http1.MaxTarget {
		f.large = true
		stats.TooLarge++
	}
	s := c.pool.stream(c)
	s.id, s.window, s.recv = id, c.peerWindow, streamWindow
	s.inHead = true
	s.toHead = f.method == http.MethodHead
	s.remoteEnded, s.expect, s.chunked = end, f.length, chunked
	// Nothing may follow a head that is refused: it would be the next request.
	s.discard = f.large || f.method == http.MethodConnect
	s.render(f, func(dst []byte) []byte { return f.appendRequest(dst, chunked && !s.discard) })
	c.insert(s)
	c.queue(s)
	return nil
}

// render adds a head to what can be read.
func (s *Stream) render(f *fieldList, head func([]byte) []byte) {
	const more = 640 // the rest of a head, that of a refused one included
	s.in.reserve(s.conn.pool, len(f.lines)+len(f.cookies)+len(f.path)+2*len(f.authority)+len(f.method)+more)
	before := len(s.in.b)
	s.in.b = head(s.in.b)
	s.verbatim += len(s.in.b) - before
}

// trailers takes the header block that ends a message (RFC 9113 section 8.1).
func (c *Conn) trailers(s *Stream, block []byte, end bool) *ConnError {
	if err := c.decode(ofTrailers, block); err != nil {
		return err
	}
	f := &c.pool.fields
	switch {
	case !end:
		return c.malformed(s, "HEADERS within a body do not end it")
	case f.bad != "":
		return c.malformed(s, f.bad)
	case f.large:
		return c.fault(s, h2.ErrCodeEnhanceYourCalm, "the trailers are too large")
	}
	return s.endRemote(f.lines)
}

// response takes the head of an answer, or an informational one before it.
func (c *Conn) response(s *Stream, block []byte, end bool) *ConnError {
	if err := c.decode(ofResponse, block); err != nil {
		return err
	}
	f := &c.pool.fields
	status := f.checkResponse()
	interim := status < http.StatusOK
	if interim && end {
		f.malformed("an informational answer ends the stream")
	}
	none := s.toHead || status == http.StatusNoContent || status == http.StatusNotModified
	if end && !none && f.length > 0 {
		f.malformed("content-length is not that of the body")
	}
	if f.bad != "" {
		return c.malformed(s, f.bad)
	}
	if f.large || f.count+1 > MaxFields || interim && s.verbatim > maxInterim {
		return c.fault(s, h2.ErrCodeEnhanceYourCalm, "the answer's head is too large")
	}
	length := f.length
	switch {
	case interim:
		length = -1
	case none:
		s.expect = 0
	case end:
		length = 0
		s.expect = 0
	default:
		s.expect = f.length
		s.chunked = f.chunks()
	}
	s.render(f, func(dst []byte) []byte { return f.appendResponse(dst, status, length, s.chunked) })
	c.queue(s)
	if interim {
		return c.charge()
	}
	s.headSeen = true
	if end {
		s.finishRemote()
	}
	return nil
}
