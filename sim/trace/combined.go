package trace

import "bytes"

// combined reads Apache's and nginx's format, which is slbctl's second one:
//
//	203.0.113.9 - - [28/Nov/2026:08:14:00 +0000] "GET / HTTP/1.1" 200 612 "-" "curl/8.5"
//
// What a site adds to it is understood where it says what it is: key=value, with the value
// in quotes or not (host, rt, urt and upstream, or nginx's own names for them), a server as
// IP:PORT, and two numbers with a point, which are request_time and upstream_response_time.
type combined struct {
	clock   clock
	scratch []byte // a request line that had escapes
}

func (p *combined) parse(line []byte, e *entry) error {
	client, rest, ok := bytes.Cut(line, []byte(" "))
	open := bytes.IndexByte(rest, '[')
	if !ok || open < 0 {
		return notEnough
	}
	e.client = address(client)
	stamp, rest, ok := bytes.Cut(rest[open+1:], []byte("] \""))
	if !ok {
		return notEnough
	}
	e.at = p.clock.read(clfTime, stamp)
	line, rest, ok = quoted(rest)
	if !ok {
		return notEnough
	}
	if bytes.IndexByte(line, '\\') >= 0 {
		p.scratch = unescape(p.scratch[:0], line)
		line = p.scratch
	}
	if err := e.requestLine(line); err != nil {
		return err
	}
	status, rest := word(rest)
	size, rest := word(rest)
	n, ok := digits(status)
	if !ok || n > 999 {
		return noStatus
	}
	e.status = int(n)
	e.bytes, _ = digits(size)
	p.more(rest, e)
	return nil
}

// more reads what comes after the size: referer, agent, and what a site has added.
func (p *combined) more(rest []byte, e *entry) {
	var total, upstream int64
	for texts, numbers := 0, 0; ; {
		rest = bytes.TrimLeft(rest, " ")
		switch {
		case len(rest) == 0:
			e.at -= total // the log's time is when it ended
			if e.took = total; upstream > 0 {
				e.took = upstream
			}
			return
		case rest[0] == '"':
			var text []byte
			if text, rest, _ = quoted(rest[1:]); texts == 1 {
				e.agent = text
			}
			texts++
			continue
		}
		if k := bytes.IndexAny(rest, "= "); k >= 0 && rest[k] == '=' {
			key, value := rest[:k], rest[k+1:]
			if len(value) > 0 && value[0] == '"' {
				value, rest, _ = quoted(value[1:])
			} else {
				value, rest, _ = bytes.Cut(value, []byte(" "))
			}
			p.named(string(key), value, e, &total, &upstream)
			continue
		}
		var token []byte
		token, rest = word(rest)
		switch token = bytes.TrimRight(token, ","); {
		case bytes.IndexByte(token, ':') > 0 && isEndpoint(token):
			e.server = token
		case bytes.IndexByte(token, '.') > 0:
			if n := seconds(token); numbers == 0 {
				total = n
			} else if numbers == 1 {
				upstream = n
			}
			numbers++
		}
	}
}

func (p *combined) named(key string, value []byte, e *entry, total, upstream *int64) {
	switch key {
	case "host", "http_host", "server_name":
		if len(e.host) == 0 {
			e.host = value
		}
	case "rt", "request_time":
		*total = seconds(value)
	case "urt", "upstream_response_time":
		*upstream = seconds(lastOf(value))
	case "upstream", "upstream_addr":
		e.server = lastOf(value)
	}
}

// isEndpoint reports whether a word is IP:PORT.
func isEndpoint(b []byte) bool {
	k := bytes.LastIndexByte(b, ':')
	_, ok := digits(b[k+1:])
	host := bytes.TrimSuffix(bytes.TrimPrefix(b[:k], []byte("[")), []byte("]"))
	return ok && address(host).IsValid()
}

// word cuts the first word of a line off.
func word(line []byte) (first, rest []byte) {
	line = bytes.TrimLeft(line, " ")
	if k := bytes.IndexByte(line, ' '); k >= 0 {
		return line[:k], line[k+1:]
	}
	return line, nil
}

// quoted cuts a text off up to its closing quote, before which no backslash stands.
func quoted(line []byte) (text, rest []byte, ok bool) {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return line[:i], line[i+1:], true
		}
	}
	return line, nil, false
}
