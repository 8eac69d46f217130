package trace

import (
	"bytes"
	"net/netip"
)

// entry is one request as a log tells it. Its bytes are valid until the next one.
type entry struct {
	at                   int64 // when it came, ns since 1970
	client               netip.Addr
	port                 uint16 // 0 = not told
	agent                []byte
	method, host, target []byte
	server               []byte // the last one that was asked, as the log calls it; empty = none
	status               int    // 0 = not told
	bytes                int64  // of the answer
	took                 int64  // ns, from the server's point of view where the log tells it; 0 = not told
}

// reason says why an entry cannot be read. The set is closed, so that they can be counted.
type reason string

func (r reason) Error() string { return string(r) }

const (
	noTime      = reason("no time that can be read")
	noClient    = reason("no client address")
	noRequest   = reason("no request")
	noStatus    = reason("no status")
	noObject    = reason("not a JSON object")
	notEnough   = reason("fewer fields than the format has")
	tooLong     = reason("a line over 256 KiB")
	longTarget  = reason("a request target over 16 KiB")
	noSeparator = reason("a request without end")
	badHeader   = reason("no header of a goreplay payload")
)

const (
	longestLine   = 256 << 10
	longestTarget = 16 << 10
	longestName   = 1 << 10 // of a host, method or server
)

// unknownClient stands for the client where a log does not tell it (RFC 5737).
var unknownClient = netip.AddrFrom4([4]byte{192, 0, 2, 1})

// request takes a target apart: host and path, if it has both.
func (e *entry) request(method, target []byte) error {
	if len(method) == 0 || len(target) == 0 || len(method) > longestName {
		return noRequest
	}
	e.method, e.target = method, target
	if target[0] == '/' {
		return nil
	}
	if _, rest, ok := bytes.Cut(target, []byte("://")); ok {
		host, path := rest, []byte("/")
		if k := bytes.IndexAny(rest, "/?"); k >= 0 {
			host, path = rest[:k], rest[k:]
		}
		e.host, e.target = host, path
	}
	return nil
}

// requestLine takes "GET /path HTTP/1.1" apart.
func (e *entry) requestLine(line []byte) error {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return noRequest
	}
	if k := bytes.LastIndexByte(rest, ' '); k >= 0 && bytes.HasPrefix(rest[k+1:], []byte("HTTP/")) {
		rest = rest[:k]
	}
	return e.request(method, rest)
}

// check is what all formats have in common: whether the entry says enough.
func (e *entry) check() error {
	switch {
	case e.at <= 0 || e.at > latest:
		return noTime
	case !e.client.IsValid():
		return noClient
	case len(e.method) == 0 || len(e.target) == 0 || len(e.host) > longestName || len(e.server) > longestName:
		return noRequest
	case len(e.target) > longestTarget:
		return longTarget
	}
	e.client = e.client.Unmap().WithZone("")
	e.host = plainHost(e.host)
	e.bytes, e.took = max(e.bytes, 0), min(max(e.took, 0), longestTime)
	return nil
}

// latest is as far as numbers of traces go, into the year 2116.
const latest = 1 << 62

// longestTime is more than any request takes: 2^50 ns, thirteen days.
const longestTime = 1 << 50

// plainHost is a host in the form that rules know: lower case, no port, no dot at the end.
// It changes the bytes.
func plainHost(host []byte) []byte {
	if k := bytes.LastIndexByte(host, ':'); k >= 0 && bytes.IndexByte(host[k:], ']') < 0 {
		host = host[:k]
	}
	host = bytes.TrimSuffix(host, []byte("."))
	for i, c := range host {
		if 'A' <= c && c <= 'Z' {
			host[i] = c + 'a' - 'A'
		}
	}
	if len(host) == 1 && host[0] == '-' {
		return nil
	}
	return host
}

// lastOf returns the last of several: servers that were asked one after the other stand
// in a row, parted by commas or, where one sent the request on, colons between blanks.
func lastOf(list []byte) []byte {
	if k := bytes.LastIndex(list, []byte(" : ")); k >= 0 {
		list = list[k+3:]
	}
	if k := bytes.LastIndexByte(list, ','); k >= 0 {
		list = list[k+1:]
	}
	list = bytes.TrimSpace(list)
	if len(list) == 1 && list[0] == '-' {
		return nil
	}
	return list
}

func address(b []byte) netip.Addr {
	a, err := netip.ParseAddr(string(b))
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// digits reads a whole number; ok is false for anything else.
func digits(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// seconds reads a number like 0.012 as ns; 0 for anything else.
func seconds(b []byte) int64 {
	whole, fraction, _ := bytes.Cut(b, []byte("."))
	s, ok := digits(whole)
	if !ok || s > longestTime/1_000_000_000 {
		return 0
	}
	return s*1e9 + nanos(fraction)
}

// nanos reads the digits after a point, as ns.
func nanos(fraction []byte) (n int64) {
	scale := int64(1e8)
	for _, c := range fraction {
		if c < '0' || c > '9' {
			break
		}
		n += int64(c-'0') * scale
		scale /= 10
	}
	return n
}
