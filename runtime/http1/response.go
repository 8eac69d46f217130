package http1

// Response is a response's head. Like a Request it points into the buffer it was
// parsed from.
type Response struct {
	Status int
	Minor  int // 1 or 0

	Length     int64  // of the body as Content-Length says it, -1 if it does not
	Chunked    bool   // the body is chunked
	UntilClose bool   // the body ends with the connection
	NoBody     bool   // there is none, whatever Length says: 1xx, 204, 304, and to HEAD
	Close      bool   // the server closes the connection after this
	Upgrade    []byte // with status 101 the protocol that follows

	head
	reason []byte // " OK": with the space before it, if there is one
}

// Parse reads the head at the start of b and returns its length, 0 while it is
// not all here. toHead says that it answers HEAD. The error, a *Error with
// status 502, means that the server cannot be understood.
func (r *Response) Parse(b []byte, toHead bool) (n int, err error) {
	n, refused := r.parse(b[:min(len(b), MaxHead)], toHead)
	if refused == nil && n == 0 && len(b) >= MaxHead {
		refused = errLargeHead
	}
	if refused != nil {
		return 0, refused.ofServer()
	}
	return n, nil
}

func (r *Response) parse(b []byte, toHead bool) (int, *Error) {
	r.reset(b)
	at, err := r.statusLine(b)
	if at == 0 || err != nil {
		return 0, err
	}
	n, err := r.head.parse(b, at)
	if n == 0 || err != nil {
		return 0, err
	}
	return n, r.understand(toHead)
}

// statusLine reads the first line (RFC 9112 section 4) and returns where the
// next one starts, 0 if it is not all here.
func (r *Response) statusLine(b []byte) (int, *Error) {
	const start = "HTTP/1.x ddd"
	for i := range min(len(b), len(start)) {
		c, ok := b[i], false
		switch start[i] {
		case 'x':
			ok = c == '0' || c == '1'
		case 'd':
			ok = c >= '0' && c <= '9'
		default:
			ok = c == start[i]
		}
		if !ok {
			return 0, errStatusLine
		}
	}
	if len(b) <= len(start) {
		return 0, nil
	}
	r.Minor = int(b[7] - '0')
	r.Status = int(b[9]-'0')*100 + int(b[10]-'0')*10 + int(b[11]-'0')
	end := endOfValue(b, len(start))
	switch {
	case r.Status < 100 || r.Status > 599 || b[len(start)] != ' ' && end > len(start):
		return 0, errStatusLine
	case end == len(b) || end+1 == len(b) && b[end] == '\r':
		return 0, nil
	case b[end] != '\r' || b[end+1] != '\n':
		return 0, badValue(b[end])
	}
	r.reason = b[len(start):end]
	return end + 2, nil
}

// understand draws the conclusions: where the body ends (RFC 9112 section 6.3) and
// whether the connection outlives it.
func (r *Response) understand(toHead bool) (err *Error) {
	if r.Length, r.Chunked, err = r.framing(r.Minor); err != nil {
		return err
	}
	o, err := r.options()
	if err != nil {
		return err
	}
	r.NoBody = toHead || r.bare() || r.Status == 304
	r.UntilClose = !r.NoBody && !r.Chunked && r.Length < 0
	r.Close = r.UntilClose || !o.stays(r.Minor)
	r.Upgrade = nil
	if r.Status == 101 {
		if !o.upgrade || !r.has(upgrade) {
			return errSwitch
		}
		r.Upgrade = r.valueOf(upgrade)
	}
	return nil
}

// bare reports whether the status has no body and no framing (RFC 9110 section
// 8.6, RFC 9112 section 6.1).
func (r *Response) bare() bool { return r.Status < 200 || r.Status == 204 }

// Header returns the value of the first field of a name, which is in lower case.
func (r *Response) Header(name string) (value []byte, ok bool) { return r.header(name) }
