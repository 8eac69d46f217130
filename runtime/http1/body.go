package http1

// Body finds the end of what follows a head. The zero value is a body that is
// not there. It holds no bytes, so that any number of bodies may be on the way.
type Body struct {
	Bytes int64 // of content so far, without framing

	left  int64  // bytes of content up to the end of the body or chunk
	hash  uint64 // of the trailer's name so far
	count uint16 // bytes of the chunk line or of all trailers so far
	name  uint8  // bytes of the trailer's name so far, up to 255; of an extension's token 1 if there are any
	digit uint8  // digits of the chunk size so far
	state state
	side  int16 // status of an error: 400 or 502
}

// state is where in a body the next byte is.
type state uint8

const (
	ended   state = iota
	counted       // content of known length
	endless       // content until the connection closes

	chunkSize
	extensionName
	extensionValue
	extensionToken
	extensionQuoted
	extensionEscaped
	extensionDone // after a quoted string
	chunkLineEnd  // CR was seen
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerName
	trailerValue
	trailerLineEnd
	lastLF
)

const (
	maxChunkDigits = 15                   // fits int64 with room to spare
	maxChunkLine   = 256                  // bytes of a chunk's line after the size
	maxTrailers    = 8 << 10              // bytes of all trailers
	noHash         = 14695981039346656037 // FNV-1a of nothing
)

// Length makes it a body of n bytes.
func (b *Body) Length(n int64) {
	*b = Body{left: n, state: counted, side: b.side}
	if n == 0 {
		b.state = ended
	}
}

// Chunked makes it a chunked body (RFC 9112 section 7.1).
func (b *Body) Chunked() { *b = Body{state: chunkSize, hash: noHash, side: b.side} }

// UntilClose makes it a body that ends with the connection.
func (b *Body) UntilClose() { *b = Body{state: endless, side: b.side} }

// None makes it no body.
func (b *Body) None() { *b = Body{side: b.side} }

// OfRequest makes it the body that follows a request's head.
func (b *Body) OfRequest(r *Request) {
	b.side = statusBadRequest
	switch {
	case r.Chunked:
		b.Chunked()
	case r.Length > 0:
		b.Length(r.Length)
	default:
		b.None()
	}
}

// OfResponse makes it the body that follows a response's head.
func (b *Body) OfResponse(r *Response) {
	b.side = statusBadGateway
	switch {
	case r.NoBody:
		b.None()
	case r.Chunked:
		b.Chunked()
	case r.UntilClose:
		b.UntilClose()
	default:
		b.Length(r.Length)
	}
}

// Done reports whether the body has ended.
func (b *Body) Done() bool { return b.state == ended }

// Open reports whether only the connection's end is the end of the body.
func (b *Body) Open() bool { return b.state == endless }

// Feed takes the next bytes of the connection and returns how many of them are
// the body's, framing included, and whether the body ends there. It never
// takes a byte of what follows. With an error n bytes were still fine.
func (b *Body) Feed(p []byte) (n int, done bool, err error) {
	for {
		var k int
		_, k, done, err = b.Next(p[n:])
		n += k
		if done || err != nil || n == len(p) {
			return n, done, err
		}
	}
}

// Next is Feed up to the next piece of content, for who needs it without its
// framing: data is the last part of the n bytes taken, empty where they are
// all framing.
func (b *Body) Next(p []byte) (data []byte, n int, done bool, err error) {
	switch b.state {
	case ended:
		return nil, 0, true, nil
	case endless:
		b.Bytes += int64(len(p))
		return p, len(p), false, nil
	case counted:
		k := b.take(len(p))
		if b.left == 0 {
			b.state = ended
		}
		return p[:k], k, b.state == ended, nil
	}
	for n < len(p) {
		if b.state == chunkData {
			k := b.take(len(p) - n)
			if b.left == 0 {
				b.state = chunkDataCR
			}
			return p[n : n+k], n + k, false, nil
		}
		if refused := b.step(p[n]); refused != nil {
			if b.side == statusBadGateway {
				refused = refused.ofServer()
			}
			return nil, n, false, refused
		}
		n++
		if b.state == ended {
			return nil, n, true, nil
		}
	}
	return nil, n, false, nil
}

// take counts up to n bytes of content.
func (b *Body) take(n int) int {
	k := min(int64(n), b.left)
	b.left -= k
	b.Bytes += k
	return int(k)
}
