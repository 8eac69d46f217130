//go:build linux

package proxy

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"slbctl/runtime/http1"
	"slbctl/runtime/netloop"
)

// logEntry is one exchange on its way to the access log. What the request says is
// written down when it comes, since nothing of it is kept.
type logEntry struct {
	log            *AccessLog
	prefix, suffix []byte
	upstream       netip.AddrPort // the server picked last; zero = none
	asked          int64          // when; times are the loop's nanoseconds
	upstreamStatus int            // 0 = no answer
	body           int64          // bytes of the answer's content as it goes to the client
	length         int64          // bytes of the request
	read           int64          // when all of the request had come; 0 = not yet
	answered       int64          // when the answer began to go to the client; 0 = not yet
}

// newLogEntry writes down a request.
func (c *httpConn) newLogEntry(r *http1.Request, head int) *logEntry {
	w := c.worker
	e := w.http.entry()
	e.log, e.length = c.handler.http.log, int64(head)
	if e.log.combined {
		e.combined(c, r)
	} else {
		e.json(c, r)
	}
	return e
}

// combined is the format of Apache's and nginx's logs.
func (e *logEntry) combined(c *httpConn, r *http1.Request) {
	b := c.source.Addr().AppendTo(e.prefix)
	b = append(b, " - - ["...)
	b = time.Now().AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, "] \""...)
	if len(r.Method) > 0 {
		b = appendQuoted(b, r.Method)
		b = append(b, ' ')
		b = appendQuoted(b, r.Target)
		b = append(b, ' ')
	}
	b = c.appendVersion(b, r)
	e.prefix = append(b, '"')
	b = append(e.suffix, " \""...)
	b = appendHeader(b, r, "referer")
	b = append(b, "\" \""...)
	b = appendHeader(b, r, "user-agent")
	e.suffix = append(b, "\"\n"...)
}

// appendVersion appends the version that a request was made in, "-" for what could not
// be read.
func (c *httpConn) appendVersion(b []byte, r *http1.Request) []byte {
	if len(r.Method) == 0 {
		return append(b, '-')
	}
	if c.stream != nil {
		return append(b, "HTTP/2.0"...)
	}
	b = append(b, "HTTP/1."...)
	return append(b, byte('0'+r.Minor))
}

func appendHeader(b []byte, r *http1.Request, name string) []byte {
	if v, ok := r.Header(name); ok {
		return appendQuoted(b, v)
	}
	return append(b, '-')
}

// json has the product's field names (access log, slb_layer7_access_log).
func (e *logEntry) json(c *httpConn, r *http1.Request) {
	l := c.handler.listener
	b := append(e.prefix, `{"time":"`...)
	b = time.Now().UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","client_ip":"`...)
	b = c.source.Addr().AppendTo(b)
	b = append(b, `","client_port":`...)
	b = strconv.AppendUint(b, uint64(c.source.Port()), 10)
	for _, f := range [...]struct {
		key   string
		value []byte
	}{{"host", r.Host}, {"http_host", r.Authority}, {"request_method", r.Method}, {"request_uri", r.Target}} {
		b = appendMember(b, f.key, f.value)
	}
	for _, f := range [...]struct{ key, name string }{
		{"http_referer", "referer"}, {"http_user_agent", "user-agent"},
		{"http_x_forwarded_for", "x-forwarded-for"}, {"http_x_real_ip", "x-real-ip"},
	} {
		v, _ := r.Header(f.name)
		b = appendMember(b, f.key, v)
	}
	b = append(b, `,"scheme":"`...)
	b = append(b, l.Protocol...)
	b = append(b, `","server_protocol":"`...)
	b = c.appendVersion(b, r)
	if t := c.session(); t != nil {
		cipher, version := t.spoken()
		b = append(append(b, `","ssl_cipher":"`...), cipher...)
		b = append(append(b, `","ssl_protocol":"`...), version...)
	}
	b = append(b, `","slb_vport":`...)
	b = strconv.AppendUint(b, uint64(l.Port), 10)
	b = append(b, `,"slbid":"`...)
	b = append(b, l.SLBID...)
	b = append(b, `","vip_addr":"`...)
	b = l.Endpoint.Addr().AppendTo(b)
	e.prefix = append(b, '"')
	e.suffix = append(e.suffix, "}\n"...)
}

func appendMember(b []byte, key string, value []byte) []byte {
	b = append(b, ',', '"')
	b = append(b, key...)
	b = append(b, `":"`...)
	b = appendQuoted(b, value)
	return append(b, '"')
}

// logged writes the line of an exchange that has ended.
func (c *httpConn) logged() {
	e := c.log
	c.log = nil
	if s := c.server; s != nil && s.answered {
		if e.body = s.body.Bytes; c.packer != nil {
			e.body = c.packer.made
		}
	}
	w := c.worker
	now := w.loop.Now()
	b := w.http.line[:0]
	if e.log.combined {
		b = append(b, ' ')
		b = strconv.AppendUint(b, uint64(c.status), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, e.body, 10)
	} else {
		b = e.outcome(b, c, now)
	}
	w.http.line = b
	e.log.lanes[w.loop.Index()].add(e.prefix, b, e.suffix)
	w.http.returnEntry(e)
}

// outcome appends what is known at the end only.
func (e *logEntry) outcome(b []byte, c *httpConn, now int64) []byte {
	name := func(key string) {
		b = append(b, ',', '"')
		b = append(b, key...)
		b = append(b, `":`...)
	}
	member := func(key string, n int64) {
		name(key)
		b = strconv.AppendInt(b, n, 10)
	}
	seconds := func(key string, nanos int64) {
		name(key)
		b = strconv.AppendFloat(b, float64(nanos)/1e9, 'f', 6, 64)
	}
	milliseconds := func(key string, nanos int64) {
		name(key)
		b = strconv.AppendFloat(b, float64(nanos)/1e6, 'f', 3, 64)
	}
	member("status", int64(c.status))
	member("body_bytes_sent", e.body)
	member("request_length", e.length)
	seconds("request_time", now-c.began)
	milliseconds("read_request_time", orNow(e.read, now)-c.began)
	milliseconds("write_response_time", now-orNow(e.answered, now))
	member("tcpinfo_rtt", int64(c.roundTrip()/time.Microsecond))
	if e.upstream.IsValid() {
		b = append(b, `,"upstream_addr":"`...)
		b = e.upstream.AppendTo(b)
		b = append(b, '"')
		seconds("upstream_response_time", now-e.asked)
	} else {
		b = append(b, `,"upstream_addr":"-"`...)
	}
	if e.upstreamStatus != 0 {
		member("upstream_status", int64(e.upstreamStatus))
	} else {
		b = append(b, `,"upstream_status":"-"`...)
	}
	return b
}

// roundTrip is the way to the client and back, 0 if it is not known any more.
func (c *httpConn) roundTrip() time.Duration {
	if c.h2 != nil {
		return netloop.RTT(c.h2.fd)
	}
	return netloop.RTT(c.fd)
}

// orNow is when something was, for what has not been yet: now.
func orNow(at, now int64) int64 {
	if at == 0 {
		return now
	}
	return at
}

// appendQuoted appends s as it may stand between quotes, in JSON and in a line of
// the combined format: nobody can forge a line or end a string.
func appendQuoted(b, s []byte) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); {
		switch ch := s[i]; {
		case ch == '"' || ch == '\\':
			b = append(b, '\\', ch)
			i++
		case ch < ' ' || ch == 0x7f:
			b = append(b, `\u00`...)
			b = append(b, hex[ch>>4], hex[ch&15])
			i++
		case ch < utf8.RuneSelf:
			b = append(b, ch)
			i++
		default:
			r, size := utf8.DecodeRune(s[i:])
			b = utf8.AppendRune(b, r) // U+FFFD for what is no UTF-8
			i += size
		}
	}
	return b
}
