package http1

// Back is what a balancer changes in a response.
type Back struct {
	Minor int    // version of the client: 1, or 0 for HTTP/1.0
	Close bool   // the connection to the client is closed after this response
	Lines []byte // whole lines to add, each "Name: value\r\n": a Set-Cookie for instance

	// Cookie, when it is not empty, names a cookie that the server may set: its
	// value gets CookiePrefix before it.
	Cookie       string
	CookiePrefix []byte

	// Gzip says that the body, a whole one without a coding, is compressed on the
	// way. Its length is then unknown: it has to be sent chunked, or until close to
	// an HTTP/1.0 client.
	Gzip bool
}

// returned are the kinds of a response's fields whose line goes on as it came.
var returned = [kinds]bool{
	plain: true, host: true, expect: true, cookie: true, authorization: true, trailer: true, claimed: true, route: true,
	twin: true, setCookie: true, etag: true, vary: true, acceptRanges: true, contentEncoding: true,
}

// changed are the kinds that compressing a body changes.
var changed = [kinds]bool{etag: true, acceptRanges: true, contentEncoding: true}

// AppendHead writes the head as the client gets it: the status as it is, the
// version this balancer speaks, no field that was for the server's connection only,
// one plain line for the framing.
func (r *Response) AppendHead(dst []byte, f *Back) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, r.b[9:12]...)
	if len(r.reason) == 0 {
		dst = append(dst, ' ') // RFC 9112 section 4: it is there even without a reason
	}
	dst = append(dst, r.reason...)
	dst = append(dst, "\r\n"...)
	dst = r.appendFields(dst, f)
	if f.Gzip {
		dst = append(dst, "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"...)
	}
	if !r.bare() && f.Gzip && f.Minor == 1 {
		dst = appendFraming(dst, 0, true)
	}
	dst = append(dst, f.Lines...)
	switch {
	case r.Upgrade != nil:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, r.Upgrade...)
		dst = append(dst, "\r\n"...)
	case r.Status < 200:
	case f.Close:
		dst = append(dst, "Connection: close\r\n"...)
	case f.Minor == 0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// appendFields writes the field lines that go on; see the Request's.
func (r *Response) appendFields(dst []byte, f *Back) []byte {
	from, to := 0, 0
	for i := range r.fields {
		l := &r.fields[i]
		if returned[l.kind] && l.tidy && !(f.Gzip && changed[l.kind]) && (l.kind != setCookie || f.Cookie == "") {
			if from == to {
				from = int(l.name)
			}
			to = int(l.end) + len("\r\n")
			continue
		}
		dst = append(dst, r.b[from:to]...)
		from, to = 0, 0
		switch {
		case l.kind == contentLength || l.kind == transferEncoding:
			if !r.bare() && !f.Gzip {
				dst = appendFraming(dst, r.Length, r.Chunked)
			}
		case l.kind == setCookie:
			dst = r.appendSetCookie(dst, l, f)
		case f.Gzip && changed[l.kind]:
			dst = r.appendChanged(dst, l)
		case returned[l.kind]:
			dst = r.appendField(dst, l)
		}
	}
	return append(dst, r.b[from:to]...)
}

// appendChanged writes what a field becomes when the body is compressed: a strong
// validator a weak one (RFC 9110 section 8.8.1), the others nothing.
func (r *Response) appendChanged(dst []byte, l *field) []byte {
	value := r.value(l)
	if l.kind != etag || len(value) == 0 {
		return dst
	}
	if value[0] != '"' {
		return r.appendField(dst, l)
	}
	dst = append(dst, "ETag: W/"...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// appendSetCookie writes a Set-Cookie line, f's cookie with the prefix.
func (r *Response) appendSetCookie(dst []byte, l *field, f *Back) []byte {
	value := r.value(l)
	at := valueOfSetCookie(value, f.Cookie)
	if f.Cookie == "" || at < 0 {
		return r.appendField(dst, l)
	}
	dst = append(dst, r.name(l)...)
	dst = append(dst, ": "...)
	dst = append(dst, value[:at]...)
	dst = append(dst, f.CookiePrefix...)
	dst = append(dst, value[at:]...)
	return append(dst, "\r\n"...)
}

// valueOfSetCookie returns where the value starts in "name=value; Attributes", -1
// if the cookie has another name.
func valueOfSetCookie(line []byte, name string) int {
	for i, c := range line {
		if c == ';' {
			return -1
		}
		if c == '=' {
			if string(trim(line[:i])) != name {
				return -1
			}
			for i++; i < len(line) && isBlank(line[i]); i++ {
			}
			return i
		}
	}
	return -1
}
