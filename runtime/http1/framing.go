package http1

import "strconv"

// framing reads Content-Length and Transfer-Encoding (RFC 9112 section 6): the
// length, -1 if there is none, and whether the body is chunked.
func (h *head) framing(minor int) (length int64, chunked bool, err *Error) {
	const both = 1<<contentLength | 1<<transferEncoding
	switch h.seen & both {
	case 0:
		return -1, false, nil
	case both:
		return -1, false, errBothFramings
	case 1 << contentLength:
		if h.twice&both != 0 {
			return -1, false, errLengths
		}
		length, ok := parseLength(h.valueOf(contentLength))
		if !ok {
			return -1, false, errLength
		}
		return length, false, nil
	}
	if minor == 0 {
		return -1, false, errOldCoding
	}
	if h.twice&both != 0 || !equalFold(h.valueOf(transferEncoding), "chunked") {
		return -1, false, errCoding
	}
	return -1, true, nil
}

// parseLength reads 1 to 18 digits, so that nothing can overflow.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// appendFraming writes the framing in its plainest form.
func appendFraming(dst []byte, length int64, chunked bool) []byte {
	switch {
	case chunked:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	case length >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		return append(dst, "\r\n"...)
	}
	return dst
}

// options is what the Connection fields of a head say.
type options struct {
	close, keepAlive, upgrade bool
}

// options reads Connection and turns the fields it names into hop fields. What
// a head cannot be understood without, and who the client is, cannot be named
// away.
func (h *head) options() (o options, err *Error) {
	if !h.has(connection) {
		return o, nil
	}
	named := 0
	for i := range h.fields {
		if h.fields[i].kind != connection {
			continue
		}
		for list := h.value(&h.fields[i]); len(list) > 0; {
			var option []byte
			option, list = nextElement(list)
			switch {
			case len(option) == 0:
			case equalFold(option, "close"):
				o.close = true
			case equalFold(option, "keep-alive"):
				o.keepAlive = true
			case equalFold(option, "upgrade"):
				o.upgrade = true
			case !isToken(option) || named == maxNamed:
				return o, errConnection
			default:
				named++
				h.drop(option)
			}
		}
	}
	return o, nil
}

// drop makes every field of a name one that is not passed on.
func (h *head) drop(name []byte) {
	for i := range h.fields {
		f := &h.fields[i]
		switch f.kind {
		case plain, etag, vary, acceptRanges:
			if sameFold(h.name(f), name) {
				f.kind = hop
			}
		}
	}
}

// sameFold reports whether two byte strings are equal in any case.
func sameFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lowerCase(a[i]) != lowerCase(b[i]) {
			return false
		}
	}
	return true
}

// stays reports whether a connection of a version is kept after a message.
func (o options) stays(minor int) bool {
	return !o.close && (minor == 1 || o.keepAlive)
}
