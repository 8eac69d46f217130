package trace

import "bytes"

// fields collects an entry of named values, under the names that SLB has for them.
type fields struct {
	clock               clock
	httpHost            []byte
	came                bool // the time is when it came; else when it ended
	requestTime, server int64
}

func (f *fields) reset() {
	f.httpHost, f.came, f.requestTime, f.server = nil, false, 0, 0
}

func (f *fields) set(name string, v []byte, e *entry) {
	switch name {
	case "time":
		e.at, f.came = f.clock.iso(v), true
	case "time_iso8601": // nginx
		e.at = f.clock.iso(v)
	case "__time__", "msec": // of the log service, and of nginx
		if e.at == 0 {
			e.at = epoch(v)
		}
	case "client_ip", "remote_addr":
		e.client = address(v)
	case "client_port", "remote_port":
		if n, ok := digits(v); ok && n < 1<<16 {
			e.port = uint16(n)
		}
	case "host":
		e.host = v
	case "http_host":
		f.httpHost = v
	case "request_method":
		e.method = v
	case "request_uri":
		e.target = v
	case "http_user_agent":
		e.agent = v
	case "status":
		if n, ok := digits(v); ok && n <= 999 {
			e.status = int(n)
		}
	case "body_bytes_sent":
		e.bytes, _ = digits(v)
	case "request_time":
		f.requestTime = seconds(v)
	case "upstream_response_time":
		f.server = seconds(lastOf(v))
	case "upstream_addr":
		e.server = lastOf(v)
	}
}

// epoch reads seconds since 1970.
func epoch(v []byte) int64 {
	whole, fraction, _ := bytes.Cut(v, []byte("."))
	n, ok := digits(whole)
	if !ok || n > 7e9 {
		return 0
	}
	return n*1e9 + nanos(fraction)
}

// finish makes an entry of the values.
func (f *fields) finish(e *entry) error {
	if e.at == 0 {
		return noTime
	}
	if len(e.host) == 0 {
		e.host = f.httpHost
	}
	if e.took = f.requestTime; f.server > 0 {
		e.took = f.server
	}
	if !f.came {
		e.at -= f.requestTime
	}
	return e.request(e.method, e.target)
}

// separated reads the layer-7 log of SLB with "||" between the fields, whose names are in
// the first line.
type separated struct {
	fields fields
	names  []string
}

var separator = []byte("||")

func (p *separated) parse(line []byte, e *entry) error {
	if p.names == nil {
		for name := range bytes.SplitSeq(line, separator) {
			p.names = append(p.names, string(bytes.TrimSpace(name)))
		}
		return errHeading
	}
	p.fields.reset()
	for k, name := range p.names {
		value, rest, more := bytes.Cut(line, separator)
		if !more && k < len(p.names)-1 {
			return notEnough
		}
		p.fields.set(name, bytes.TrimSpace(value), e)
		line = rest
	}
	return p.fields.finish(e)
}

// errHeading is a line that says what the others mean.
const errHeading = reason("heading")
