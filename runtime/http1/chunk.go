package http1

// step takes one byte of a chunked body's framing.
func (b *Body) step(c byte) *Error {
	switch b.state {
	case chunkSize:
		return b.sizeByte(c)
	case chunkLineEnd:
		return b.expect(c, '\n', b.afterLine(), errChunkSize)
	case chunkDataCR:
		return b.expect(c, '\r', chunkDataLF, errChunkEnd)
	case chunkDataLF:
		b.digit = 0
		return b.expect(c, '\n', chunkSize, errChunkEnd)
	case trailerStart, trailerName, trailerValue, trailerLineEnd, lastLF:
		return b.trailerByte(c)
	}
	return b.extensionByte(c)
}

// expect goes on to the next state if c is the byte that has to come.
func (b *Body) expect(c, want byte, next state, err *Error) *Error {
	if c != want {
		return err
	}
	b.state = next
	return nil
}

// afterLine is the state after a chunk's line: the last chunk has size 0.
func (b *Body) afterLine() state {
	b.count = 0
	if b.left == 0 {
		return trailerStart
	}
	return chunkData
}

// sizeByte takes a byte of the size or the one after it.
func (b *Body) sizeByte(c byte) *Error {
	v := hexDigit(c)
	switch {
	case v >= 0 && b.digit < maxChunkDigits:
		if b.digit == 0 {
			b.left = 0
		}
		b.digit++
		b.left = b.left<<4 | int64(v)
	case b.digit == 0 || v >= 0:
		return errChunkSize
	case c == '\r':
		b.state = chunkLineEnd
	case c == ';':
		b.state, b.count, b.name = extensionName, 1, 0
	default:
		return errChunkSize
	}
	return nil
}

// extensionByte takes a byte of ";name", ";name=token" or `;name="quoted"` (RFC
// 9112 section 7.1.1), repeated. No blanks: nobody sends them, and servers
// differ about them. name counts the bytes of the token so far.
func (b *Body) extensionByte(c byte) *Error {
	if b.count++; b.count > maxChunkLine {
		return errChunkLine
	}
	token := classes[c]&tokenChar != 0
	switch b.state {
	case extensionName, extensionToken:
		switch {
		case token:
			b.name = 1
			return nil
		case b.name == 0:
			return errChunkLine
		case c == '=' && b.state == extensionName:
			b.state, b.name = extensionValue, 0
			return nil
		}
		return b.extensionEnd(c)
	case extensionValue:
		switch {
		case token:
			b.state, b.name = extensionToken, 1
			return nil
		case c == '"':
			b.state = extensionQuoted
			return nil
		}
	case extensionQuoted:
		switch {
		case c == '"':
			b.state = extensionDone
			return nil
		case c == '\\':
			b.state = extensionEscaped
			return nil
		case classes[c]&valueChar != 0:
			return nil
		}
	case extensionEscaped:
		if classes[c]&valueChar != 0 {
			b.state = extensionQuoted
			return nil
		}
	case extensionDone:
		return b.extensionEnd(c)
	}
	return errChunkLine
}

// extensionEnd takes the byte after a whole extension.
func (b *Body) extensionEnd(c byte) *Error {
	switch c {
	case ';':
		b.state, b.name = extensionName, 0
	case '\r':
		b.state = chunkLineEnd
	default:
		return errChunkLine
	}
	return nil
}

// trailerByte takes a byte of the trailers and of the empty line that ends them.
func (b *Body) trailerByte(c byte) *Error {
	if b.count++; b.count > maxTrailers {
		return errTrailer
	}
	switch b.state {
	case trailerStart:
		if c == '\r' {
			b.state = lastLF
			return nil
		}
		b.state, b.name, b.hash = trailerName, 0, noHash
		return b.nameByte(c)
	case trailerName:
		return b.nameByte(c)
	case trailerValue:
		if c == '\r' {
			b.state = trailerLineEnd
			return nil
		}
		if classes[c]&valueChar == 0 {
			return errTrailer
		}
		return nil
	case trailerLineEnd:
		return b.expect(c, '\n', trailerStart, errTrailer)
	}
	return b.expect(c, '\n', ended, errTrailer)
}

// nameByte takes a byte of a trailer's name or the colon after it. Names are
// compared by hash, so that nothing of them has to be kept.
func (b *Body) nameByte(c byte) *Error {
	if c == ':' && b.name > 0 {
		if forbidden[b.hash] {
			return errTrailerName
		}
		b.state = trailerValue
		return nil
	}
	if classes[c]&tokenChar == 0 || b.name == 255 {
		return errTrailer
	}
	b.name++
	b.hash = hashByte(b.hash, c)
	if b.hash == forwardedPrefix {
		return errTrailerName
	}
	return nil
}

// hashByte adds a byte to an FNV-1a hash of a name, case and "_" aside.
func hashByte(h uint64, c byte) uint64 { return (h ^ uint64(folded[c])) * 1099511628211 }

func hashName(name string) uint64 {
	h := uint64(noHash)
	for i := range len(name) {
		h = hashByte(h, name[i])
	}
	return h
}

var forwardedPrefix = hashName("x-forwarded-")

// forbidden are the fields that a trailer must not be (RFC 9110 section 6.5.1):
// those that frame or route a message, say who asks, or how the content is to be
// read. A server that merges trailers into the head would be told otherwise.
var forbidden = func() map[uint64]bool {
	m := make(map[uint64]bool)
	for _, name := range []string{
		"content-length", "transfer-encoding", "trailer", "te", "connection", "keep-alive", "proxy-connection", "upgrade",
		"http2-settings", "host", "forwarded", "slb-id", "slb-ip", "x-real-ip",
		"authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "cookie", "set-cookie",
		"content-encoding", "content-type", "content-range", "cache-control", "expect", "max-forwards", "pragma", "range",
		"age", "date", "expires", "location", "retry-after", "vary",
		"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range",
	} {
		m[hashName(name)] = true
	}
	return m
}()
