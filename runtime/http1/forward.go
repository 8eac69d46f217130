package http1

// Forward is what a balancer has to add to a request.
type Forward struct {
	Client []byte // the client's address: the last value of X-Forwarded-For
	Lines  []byte // whole lines, each "Name: value\r\n", that are the same for all requests of a connection
	Close  bool   // ask the server to close the connection after its answer

	// Continue leaves Expect out: the client has already been told to go on.
	Continue bool

	// Cookie, when it is not empty, names a cookie whose value goes on as CookieValue.
	Cookie      string
	CookieValue []byte
}

// passed are the kinds of a request's fields whose line goes on as it came.
var passed = [kinds]bool{
	plain: true, host: true, cookie: true, setCookie: true, authorization: true, trailer: true,
	etag: true, vary: true, acceptRanges: true, contentEncoding: true,
}

// AppendHead writes the head as a server gets it: the target in origin-form, the
// version that the client speaks, one plain line for the framing, no field that
// was for this connection only, and of what is said about the client (X-Forwarded-*,
// Forwarded, SLB-*) just what f says.
func (r *Request) AppendHead(dst []byte, f *Forward) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.Target...)
	if r.Minor == 1 {
		dst = append(dst, " HTTP/1.1\r\n"...)
	} else {
		dst = append(dst, " HTTP/1.0\r\n"...)
	}
	if len(r.Authority) > 0 && !r.has(host) {
		dst = append(dst, "Host: "...)
		dst = append(dst, r.Authority...)
		dst = append(dst, "\r\n"...)
	}
	dst = r.appendFields(dst, f)
	if len(f.Client) > 0 {
		dst = r.appendRoute(dst, f.Client)
	}
	dst = append(dst, f.Lines...)
	switch {
	case r.Upgrade != nil:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, r.Upgrade...)
		dst = append(dst, "\r\n"...)
	case f.Close:
		dst = append(dst, "Connection: close\r\n"...)
	case r.Minor == 0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// appendRoute writes X-Forwarded-For: the client behind those that came by.
func (r *Request) appendRoute(dst, client []byte) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	if r.has(route) {
		for i := range r.fields {
			if l := &r.fields[i]; l.kind == route && l.value < l.end {
				dst = append(dst, r.value(l)...)
				dst = append(dst, ", "...)
			}
		}
	}
	dst = append(dst, client...)
	return append(dst, "\r\n"...)
}

// appendFields writes the field lines that go on. Lines that stay as they are
// and follow each other are copied in one go.
func (r *Request) appendFields(dst []byte, f *Forward) []byte {
	rewritten := false
	from, to := 0, 0
	for i := range r.fields {
		l := &r.fields[i]
		if passed[l.kind] && l.tidy && (l.kind != cookie || f.Cookie == "") {
			if from == to {
				from = int(l.name)
			}
			to = int(l.end) + len("\r\n")
			continue
		}
		dst = append(dst, r.b[from:to]...)
		from, to = 0, 0
		switch l.kind {
		case contentLength, transferEncoding:
			dst = appendFraming(dst, r.Length, r.Chunked)
		case expect:
			if r.Expect100 && !f.Continue && i == int(r.first[expect]) {
				dst = append(dst, "Expect: 100-continue\r\n"...)
			}
		case cookie:
			dst, rewritten = r.appendCookie(dst, l, f, rewritten)
		default:
			if passed[l.kind] {
				dst = r.appendField(dst, l)
			}
		}
	}
	return append(dst, r.b[from:to]...)
}
