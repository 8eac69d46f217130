package http2

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"slbctl/runtime/http1"
)

// section is which header list is being read.
type section uint8

const (
	ofRequest section = iota
	ofResponse
	ofTrailers
	ofNothing // of a stream that is not there: only the table has to follow
)

// fieldList is a header list as it is decoded: the pseudo-header fields, and the
// other fields as lines of HTTP/1.1.
type fieldList struct {
	decoder *hpack.Decoder // that finds the fields
	section section
	bad     string // why the message is malformed, "" if it is not
	large   bool   // more than MaxList or MaxFields

	method, scheme, authority, path, status, host string
	has                                           pseudo
	hasHost                                       bool
	announces                                     bool  // trailers, which only a chunked body can have
	length                                        int64 // of the body, -1 unknown

	lines   []byte
	cookies []byte // of all cookie fields (RFC 9113 section 8.2.3)
	count   int    // of lines that there will be
	size    int    // of the list
	regular bool   // a field that is no pseudo-header field has come
}

// pseudo is a set of pseudo-header fields (RFC 9113 section 8.3).
type pseudo uint8

const (
	hasMethod pseudo = 1 << iota
	hasScheme
	hasAuthority
	hasPath
	hasStatus
)

func (f *fieldList) reset(s section, d *hpack.Decoder) {
	*f = fieldList{decoder: d, section: s, length: -1, lines: f.lines[:0], cookies: f.cookies[:0]}
}

// malformed notes the first reason that a message is malformed.
func (f *fieldList) malformed(reason string) {
	if f.bad == "" {
		f.bad = reason
	}
}

// add takes the next field. Beyond the limits it looks only for pseudo-header fields, which
// the refusal needs, and from the first other field on at nothing: a block may ask
// for a large field of the table thousands of times.
func (f *fieldList) add(h hpack.HeaderField) {
	f.size += int(h.Size())
	if f.size > MaxList {
		f.large = true
	}
	if strings.HasPrefix(h.Name, ":") {
		f.addPseudo(h.Name, h.Value)
		return
	}
	f.regular = true
	switch {
	case f.large || f.section == ofNothing || f.bad != "":
		f.decoder.SetEmitEnabled(false)
	case !validName(h.Name):
		f.malformed("a field name is no token in lower case")
	case !validValue(h.Value):
		f.malformed("a field value has a control character, or blanks around it")
	default:
		f.addField(h.Name, h.Value)
	}
}

func (f *fieldList) addPseudo(name, value string) {
	var bit pseudo
	var to *string
	switch name {
	case ":method":
		bit, to = hasMethod, &f.method
	case ":scheme":
		bit, to = hasScheme, &f.scheme
	case ":authority":
		bit, to = hasAuthority, &f.authority
	case ":path":
		bit, to = hasPath, &f.path
	case ":status":
		bit, to = hasStatus, &f.status
	}
	switch {
	case f.section == ofNothing || f.bad != "":
	case f.section == ofTrailers:
		f.malformed("trailers have a pseudo-header field")
	case f.regular:
		f.malformed("a pseudo-header field comes after other fields")
	case bit == 0 || (bit == hasStatus) != (f.section == ofResponse):
		f.malformed("a pseudo-header field is not one of this message")
	case f.has&bit != 0:
		f.malformed("a pseudo-header field is there twice")
	default:
		f.has |= bit
		*to = value
	}
}

// addField takes a valid field that is no pseudo-header field.
func (f *fieldList) addField(name, value string) {
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		f.malformed("a field is of one connection only") // RFC 9113 section 8.2.2
		return
	case "te":
		if !strings.EqualFold(value, "trailers") {
			f.malformed("TE is not just trailers")
			return
		}
	case "host":
		if f.section == ofRequest {
			if f.hasHost {
				f.malformed("host is there twice")
			}
			f.host, f.hasHost = value, true
			return
		}
	case "content-length":
		if f.section != ofTrailers {
			f.addLength(value)
			return
		}
	case "trailer":
		f.announces = true
	case "cookie":
		if f.section == ofRequest {
			f.addCookie(value)
			return
		}
	}
	if f.count++; f.count > MaxFields {
		f.large = true
		return
	}
	f.lines = append(f.lines, name...)
	f.lines = append(f.lines, ": "...)
	f.lines = append(f.lines, value...)
	f.lines = append(f.lines, "\r\n"...)
}

func (f *fieldList) addLength(value string) {
	n, err := strconv.ParseUint(value, 10, 63)
	switch {
	case f.length >= 0:
		f.malformed("content-length is there twice")
	case err != nil || len(value) > 18: // what http1 takes at most
		f.malformed("content-length is not a number")
	default:
		f.length = int64(n)
	}
}

func (f *fieldList) addCookie(value string) {
	if len(f.cookies) > 0 {
		f.cookies = append(f.cookies, "; "...)
	}
	f.cookies = append(f.cookies, value...)
}

// checkRequest looks at what the fields of a request are together (RFC 9113
// section 8.3.1).
func (f *fieldList) checkRequest() {
	switch {
	case !validToken(f.method):
		f.malformed(":method is missing or no token")
	case f.hasHost && f.has&hasAuthority != 0 && !strings.EqualFold(f.host, f.authority):
		f.malformed("host is not :authority")
	case f.hasHost && !validAuthority(f.host), !validAuthority(f.authority):
		f.malformed(":authority has a character that no authority has")
	case f.method == http.MethodConnect:
		if f.has&(hasScheme|hasPath) != 0 || f.authority == "" {
			f.malformed("CONNECT has :scheme or :path, or no :authority") // RFC 9113 section 8.5
		}
	case f.scheme != "http" && f.scheme != "https":
		f.malformed(":scheme is neither http nor https")
	case f.path == "" || f.path[0] != '/' && (f.path != "*" || f.method != http.MethodOptions):
		f.malformed(":path is no path")
	case !validPath(f.path):
		f.malformed(":path has a space or a control character")
	}
	if f.has&hasAuthority == 0 {
		f.authority = f.host
	}
}

// checkResponse does the same with a response (RFC 9113 section 8.3.2) and returns its
// status.
func (f *fieldList) checkResponse() (status int) {
	for i := range len(f.status) {
		if f.status[i] < '0' || f.status[i] > '9' {
			f.malformed(":status is not a number")
			return 0
		}
		status = status*10 + int(f.status[i]-'0')
	}
	if len(f.status) != 3 || status < 100 || status == http.StatusSwitchingProtocols {
		f.malformed(":status is not one of HTTP/2")
	}
	return status
}

// appendRequest renders a request. Of one that is too large it renders what package
// http1 refuses for the same reason: with its target and host, so that the
// refusal can be logged as any other.
func (f *fieldList) appendRequest(dst []byte, chunked bool) []byte {
	target := f.path
	if f.method == http.MethodConnect {
		target = f.authority
	}
	dst = append(dst, f.method...)
	dst = append(dst, ' ')
	dst = append(dst, target[:min(len(target), http1.MaxTarget+1)]...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	if f.large {
		if len(f.authority) <= maxLoggedHost {
			dst = appendLine(dst, "Host", f.authority)
		}
		for range http1.MaxFields + 1 {
			dst = append(dst, "X:\r\n"...)
		}
		return append(dst, "\r\n"...)
	}
	if f.hasHost || f.has&hasAuthority != 0 {
		dst = appendLine(dst, "Host", f.authority)
	}
	dst = append(dst, f.lines...)
	if len(f.cookies) > 0 {
		dst = append(dst, "cookie: "...)
		dst = append(dst, f.cookies...)
		dst = append(dst, "\r\n"...)
	}
	return appendFraming(dst, f.length, chunked)
}

// chunks reports whether a body that does not end with its head is chunked: its length
// is not known, or it is and would leave no place for trailers.
func (f *fieldList) chunks() bool { return f.length < 0 || f.announces }

const maxLoggedHost = 255

// appendResponse renders a response.
func (f *fieldList) appendResponse(dst []byte, status int, length int64, chunked bool) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, f.status...)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	dst = append(dst, "\r\n"...)
	dst = append(dst, f.lines...)
	return appendFraming(dst, length, chunked)
}

// appendFraming ends a head.
func appendFraming(dst []byte, length int64, chunked bool) []byte {
	switch {
	case chunked:
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	case length >= 0:
		dst = append(dst, "content-length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func appendLine(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// lineCount counts the field lines of a request as it is rendered.
func (f *fieldList) lineCount(chunked bool) int {
	n := f.count
	for _, there := range [...]bool{f.hasHost || f.has&hasAuthority != 0, len(f.cookies) > 0, f.length >= 0 || chunked} {
		if there {
			n++
		}
	}
	return n
}
