package http1

// Request is a request's head. Its byte strings point into the buffer that was
// parsed, or into memory of its own which the next Parse overwrites.
type Request struct {
	Method    []byte
	Target    []byte // origin-form ("/path?query") or "*", whatever form it came in
	Authority []byte // host and port that were asked for, as sent; empty only in HTTP/1.0
	Host      []byte // Authority in lower case without port and trailing dot; an IPv6 address keeps its brackets
	Minor     int    // 1 or 0: the client speaks HTTP/1.1 or HTTP/1.0

	Length  int64 // of the body, -1 when no Content-Length says it
	Chunked bool  // the body is chunked; without this and with Length -1 there is none

	Close       bool   // the client wants, or by its version gets, no other answer on this connection
	KeepAlive10 bool   // an HTTP/1.0 client that asked for the connection to be kept
	Expect100   bool   // it waits for 100 (Continue) before it sends the body
	Head        bool   // the method is HEAD: its answer has no body
	Upgrade     []byte // protocol that the client asks to go on with; nil if none may be switched to

	head
	absolute     bool // the target was a URL
	hostMemory   []byte
	targetMemory []byte
}

// Parse reads the head at the start of b and returns its length, with the empty
// line and the empty line that may come before it (RFC 9112 section 2.2). 0
// means that it is not all here yet. What is refused comes back as a *Error.
func (r *Request) Parse(b []byte) (n int, err error) {
	n, refused := r.parse(b[:min(len(b), MaxHead)])
	if refused != nil {
		return 0, refused
	}
	if n == 0 && len(b) >= MaxHead {
		return 0, errLargeHead
	}
	return n, nil
}

func (r *Request) parse(b []byte) (int, *Error) {
	r.reset(b)
	start := 0
	if len(b) > 1 && b[0] == '\r' && b[1] == '\n' {
		start = 2
	} else if len(b) == 1 && b[0] == '\r' {
		return 0, nil
	}
	at, err := r.requestLine(b, start)
	if at == 0 || err != nil {
		return 0, err
	}
	n, err := r.head.parse(b, at)
	if n == 0 || err != nil {
		return 0, err
	}
	return n, r.understand()
}

// requestLine reads the line at i and returns where the next one starts, 0 if
// it is not all here.
func (r *Request) requestLine(b []byte, i int) (int, *Error) {
	start := i
	for i < len(b) && classes[b[i]]&methodChar != 0 {
		i++
	}
	if i-start > maxMethod {
		return 0, errMethod
	}
	if i == len(b) {
		return 0, nil
	}
	if b[i] != ' ' || i == start {
		return 0, errMethod
	}
	r.Method = b[start:i]
	i++
	start = i
	for i < len(b) && classes[b[i]]&targetChar != 0 {
		i++
	}
	if i-start > MaxTarget {
		return 0, errLongTarget
	}
	if i == len(b) {
		return 0, nil
	}
	if b[i] != ' ' || i == start {
		return 0, badTarget(b[i])
	}
	r.Target = b[start:i]
	return r.version(b, i+1)
}

// badTarget tells which refusal a byte is that ends a target.
func badTarget(c byte) *Error {
	if isBlank(c) || c == '\r' || c == '\n' {
		return errRequestLine
	}
	return errTarget
}

// version reads "HTTP/1.x" and the line end at i.
func (r *Request) version(b []byte, i int) (int, *Error) {
	const line = "HTTP/1.1\r\n"
	if rest := b[i:]; len(rest) >= len(line) && string(rest[:len(line)]) == line {
		r.Minor = 1
		return i + len(line), nil
	}
	for j := range len(line) {
		if i+j == len(b) {
			return 0, nil
		}
		if c := b[i+j]; c != line[j] && (j != 7 || c != '0') {
			return 0, badVersion(j, c)
		}
	}
	r.Minor = 0
	return i + len(line), nil
}

// badVersion tells which refusal a byte c is at offset j of a version.
func badVersion(j int, c byte) *Error {
	switch {
	case j == 0 && isBlank(c):
		return errRequestLine
	case j >= len("HTTP/1.1") && (c == '\r' || c == '\n'):
		return errLineEnd
	case j == len("HTTP/1.1") && isBlank(c):
		return errRequestLine
	}
	return errVersion
}

// understand draws the conclusions from what the lines say.
func (r *Request) understand() (err *Error) {
	if r.has(twin) {
		return errTwin
	}
	if err := r.method(); err != nil {
		return err
	}
	if r.Length, r.Chunked, err = r.framing(r.Minor); err != nil {
		return err
	}
	if err := r.target(); err != nil {
		return err
	}
	o, err := r.options()
	if err != nil {
		return err
	}
	r.Close = !o.stays(r.Minor)
	r.KeepAlive10 = r.Minor == 0 && !r.Close
	r.Upgrade = nil
	if o.upgrade && r.has(upgrade) {
		r.Upgrade = r.protocol()
	}
	return r.expectation()
}

func (r *Request) method() *Error {
	r.Head = string(r.Method) == "HEAD"
	switch string(r.Method) {
	case "CONNECT", "TRACE":
		return errNoMethod
	case "PRI": // RFC 9113 section 3.4 reserves it for the preface of HTTP/2
		return errMethod
	}
	return nil
}

// target brings the target into origin-form and finds the authority (RFC 9112
// section 3.2 and 3.3).
func (r *Request) target() *Error {
	r.absolute = false
	switch t := r.Target; {
	case t[0] == '/':
	case len(t) == 1 && t[0] == '*':
		if string(r.Method) != "OPTIONS" {
			return errAsterisk
		}
	case hasScheme(t):
		r.absolute = true
		r.split(t)
	default:
		return errForm
	}
	if !r.has(host) {
		switch {
		case r.Minor == 1:
			return errNoHost
		case r.absolute:
			return r.setHost(r.Authority)
		}
		r.Authority, r.Host = nil, nil
		return nil
	}
	if r.twice&(1<<host) != 0 {
		return errHosts
	}
	value := r.valueOf(host)
	if r.absolute && !sameFold(value, r.Authority) {
		return errAuthority
	}
	r.Authority = value
	return r.setHost(value)
}

const scheme = "http://"

func hasScheme(t []byte) bool {
	return len(t) >= len(scheme) && equalFold(t[:len(scheme)], scheme)
}

// split parts an absolute URL into authority and what is to be asked for: "/" for
// no path at all, and "*" when OPTIONS asks for the whole server.
func (r *Request) split(t []byte) {
	t = t[len(scheme):]
	i := 0
	for i < len(t) && t[i] != '/' && t[i] != '?' {
		i++
	}
	r.Authority = t[:i]
	switch {
	case i < len(t) && t[i] == '/':
		r.Target = t[i:]
		return
	case i == len(t) && string(r.Method) == "OPTIONS":
		r.targetMemory = append(r.targetMemory[:0], '*')
	default:
		r.targetMemory = append(append(r.targetMemory[:0], '/'), t[i:]...)
	}
	r.Target = r.targetMemory
}

// expectation reads Expect (RFC 9110 section 10.1.1), which HTTP/1.0 does not have.
func (r *Request) expectation() *Error {
	r.Expect100 = false
	if !r.has(expect) || r.Minor == 0 {
		return nil
	}
	for i := range r.fields {
		if f := &r.fields[i]; f.kind == expect && !equalFold(r.value(f), "100-continue") {
			return errExpectation
		}
	}
	r.Expect100 = r.Chunked || r.Length > 0
	return nil
}

// protocol returns what Upgrade asks for, nil if a proxy cannot just tunnel it:
// a list, a request with a body, and HTTP/2 or TLS, whose bytes would pass
// unread.
func (r *Request) protocol() []byte {
	p := r.valueOf(upgrade)
	if r.Minor == 0 || r.Chunked || r.Length > 0 || r.twice&(1<<upgrade) != 0 {
		return nil
	}
	name := p
	for i, c := range p {
		if c == '/' {
			if !isToken(p[i+1:]) {
				return nil
			}
			name = p[:i]
			break
		}
	}
	if !isToken(name) || equalFold(name, "h2c") || equalFold(name, "h2") || equalFold(name, "http") || equalFold(name, "tls") {
		return nil
	}
	return p
}

// Header returns the value of the first field of a name, which is in lower case.
func (r *Request) Header(name string) (value []byte, ok bool) { return r.header(name) }
