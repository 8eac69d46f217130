package trace

import "bytes"

// haproxy reads HAProxy's HTTP log (option httplog), with a syslog prefix or without:
//
//	203.0.113.9:51234 [28/Nov/2026:08:14:00.123] web~ app/ECS01 0/0/1/8/9 200 612 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"
//
// The time is when it came. Where a host is captured first (capture request header Host),
// it is the request's.
type haproxy struct{ clock clock }

func (p *haproxy) parse(line []byte, e *entry) error {
	open := p.date(line)
	if open < 0 {
		return notEnough
	}
	before, rest := bytes.TrimRight(line[:open], " "), line[open+1:]
	client := before[bytes.LastIndexByte(before, ' ')+1:]
	colon := bytes.LastIndexByte(client, ':')
	if colon < 0 {
		return noClient
	}
	e.client = address(bytes.Trim(client[:colon], "[]"))
	if port, ok := digits(client[colon+1:]); ok && port < 1<<16 {
		e.port = uint16(port)
	}
	stamp, rest, _ := bytes.Cut(rest, []byte("]"))
	if e.at = p.clock.haproxy(stamp); e.at == 0 {
		return noTime
	}
	_, rest = word(rest) // the frontend
	path, rest := word(rest)
	times, rest := word(rest)
	status, rest := word(rest)
	size, rest := word(rest)
	_, server, ok := bytes.Cut(path, []byte("/"))
	if !ok || bytes.Count(times, []byte("/")) < 4 {
		return notEnough
	}
	if len(server) > 0 && server[0] != '<' { // <NOSRV>, <STATS>
		e.server = server
	}
	p.times(times, e)
	n, ok := digits(bytes.TrimPrefix(status, []byte("-")))
	if !ok || n > 999 {
		return noStatus
	}
	e.status = int(n)
	e.bytes, _ = digits(bytes.TrimPrefix(size, []byte("+")))
	return p.request(rest, e)
}

// date finds where "[28/Nov/2026:08:14:00.123]" begins: a syslog prefix may have brackets
// too, "haproxy[1234]:".
func (p *haproxy) date(line []byte) int {
	for from := 0; ; {
		k := bytes.IndexByte(line[from:], '[')
		if k < 0 {
			return -1
		}
		k += from
		if len(line) > k+21 && line[k+3] == '/' && line[k+7] == '/' && line[k+12] == ':' {
			return k
		}
		from = k + 1
	}
}

// times reads TR/Tw/Tc/Tr/Ta in ms: the answer's time, -1 for what did not happen.
func (p *haproxy) times(times []byte, e *entry) {
	for n := 0; n < 3; n++ {
		_, times, _ = bytes.Cut(times, []byte("/"))
	}
	answer, total, _ := bytes.Cut(times, []byte("/"))
	ms, ok := digits(answer)
	if !ok {
		ms, _ = digits(bytes.TrimPrefix(total, []byte("+")))
	}
	e.took = min(ms, longestTime/1_000_000) * 1_000_000
}

// request reads what comes after the size: the request line is the text in quotes.
func (p *haproxy) request(rest []byte, e *entry) error {
	before, line, ok := bytes.Cut(rest, []byte(` "`))
	if !ok {
		return noRequest
	}
	if k := bytes.LastIndexByte(line, '"'); k >= 0 {
		line = line[:k]
	}
	if err := e.requestLine(line); err != nil {
		return err
	}
	if _, captured, ok := bytes.Cut(before, []byte("{")); ok && len(e.host) == 0 {
		end := bytes.IndexAny(captured, "|}")
		if end > 0 && bytes.IndexByte(captured[:end], '.') > 0 && !bytes.ContainsAny(captured[:end], " /;,") {
			e.host = captured[:end]
		}
	}
	return nil
}
