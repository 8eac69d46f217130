package http1

// kind is what a field means to a proxy.
type kind uint8

const (
	plain kind = iota // nothing: passed on
	host
	contentLength
	transferEncoding
	connection
	upgrade
	expect
	cookie
	setCookie
	authorization
	trailer
	hop     // of one connection only (RFC 9110 section 7.6.1): never passed on
	claimed // what only a balancer may say of a client: X-Forwarded-*, Forwarded, SLB-*
	route   // X-Forwarded-For: who the request has come by, of which the balancer tells the last
	twin    // a framing field spelled with "_"
	etag
	vary
	acceptRanges
	contentEncoding
	kinds
)

// classify tells the kind of a field. A name with "_" for "-" is the same
// field to some servers, so it counts as hop or claimed just as well, and is
// refused where it could change the framing; others are plain.
func classify(name []byte) kind {
	k := plain
	switch len(name) {
	case 2:
		k = is(name, "te", hop)
	case 4:
		switch name[0] | 0x20 {
		case 'h':
			k = is(name, "host", host)
		case 'e':
			k = is(name, "etag", etag)
		case 'v':
			k = is(name, "vary", vary)
		}
	case 6:
		switch name[0] | 0x20 {
		case 'c':
			k = is(name, "cookie", cookie)
		case 'e':
			k = is(name, "expect", expect)
		case 's':
			if hasFold(name, "slb-id") || hasFold(name, "slb-ip") {
				return claimed
			}
		}
	case 7:
		switch name[0] | 0x20 {
		case 'u':
			k = is(name, "upgrade", upgrade)
		case 't':
			k = is(name, "trailer", trailer)
		}
	case 9:
		k = is(name, "forwarded", claimed)
	default:
		return classifyLong(name)
	}
	return k
}

// classifyLong is classify for names of 10 letters and more.
func classifyLong(name []byte) kind {
	k := plain
	switch len(name) {
	case 10:
		switch name[0] | 0x20 {
		case 'c':
			k = is(name, "connection", connection)
		case 'k':
			k = is(name, "keep-alive", hop)
		case 's':
			k = is(name, "set-cookie", setCookie)
		}
	case 13:
		if name[1]|0x20 == 'u' {
			k = is(name, "authorization", authorization)
		} else {
			k = is(name, "accept-ranges", acceptRanges)
		}
	case 14:
		if name[0]|0x20 == 'h' {
			k = is(name, "http2-settings", hop)
		} else {
			k = is(name, "content-length", contentLength)
		}
	case 16:
		if name[0]|0x20 == 'p' {
			k = is(name, "proxy-connection", hop)
		} else {
			k = is(name, "content-encoding", contentEncoding)
		}
	case 15:
		k = is(name, "x-forwarded-for", route)
	case 17:
		k = is(name, "transfer-encoding", transferEncoding)
	}
	if k == plain && folded[name[0]] == 'x' && hasFold(name, "x-forwarded-") {
		return claimed
	}
	return k
}

// is returns k if the name is lower, or what a twin of it is.
func is(name []byte, lower string, k kind) kind {
	if !hasFold(name, lower) {
		return plain
	}
	for _, c := range name {
		if c != '_' {
			continue
		}
		switch k {
		case contentLength, transferEncoding:
			return twin
		case hop, claimed:
			return k
		case route:
			return claimed
		}
		return plain
	}
	return k
}

// field is one field line: offsets into the head, which has 32 KiB at most.
type field struct {
	name, colon, value, end uint16 // end of the value; the line's CR LF follows if tidy
	kind                    kind
	tidy                    bool // the line is already "Name: value" CR LF
}

// head is the part that requests and responses have in common: the field lines.
type head struct {
	b      []byte // the buffer it was parsed from
	fields []field
	seen   uint32 // kinds that are there, a bit for each
	twice  uint32 // kinds that are there more than once
	first  [kinds]uint8
}

func (h *head) reset(b []byte) {
	h.b, h.fields, h.seen, h.twice = b, h.fields[:0], 0, 0
}

func (h *head) has(k kind) bool { return h.seen&(1<<k) != 0 }

func (h *head) name(f *field) []byte  { return h.b[f.name:f.colon] }
func (h *head) value(f *field) []byte { return h.b[f.value:f.end] }

// valueOf returns the value of the first field of a kind that is there.
func (h *head) valueOf(k kind) []byte { return h.value(&h.fields[h.first[k]]) }

// header returns the value of the first field of a name in lower case.
func (h *head) header(name string) ([]byte, bool) {
	for i := range h.fields {
		if f := &h.fields[i]; equalFold(h.name(f), name) {
			return h.value(f), true
		}
	}
	return nil, false
}

// parse reads field lines from i up to and with the empty line. It returns where
// the head ends, 0 while there is more to come.
func (h *head) parse(b []byte, i int) (int, *Error) {
	for i < len(b) {
		c := b[i]
		if classes[c]&tokenChar == 0 {
			return h.endOfFields(b, i)
		}
		if len(h.fields) == MaxFields {
			return 0, errManyFields
		}
		colon := i + 1
		for colon < len(b) && classes[b[colon]]&tokenChar != 0 {
			colon++
		}
		if colon == len(b) {
			break
		}
		if b[colon] != ':' {
			return 0, errFieldName
		}
		start := colon + 1
		for start < len(b) && isBlank(b[start]) {
			start++
		}
		stop := endOfValue(b, start)
		if stop+1 >= len(b) && (stop == len(b) || b[stop] == '\r') {
			break
		}
		if b[stop] != '\r' || b[stop+1] != '\n' {
			return 0, badValue(b[stop])
		}
		end := stop
		for end > start && isBlank(b[end-1]) {
			end--
		}
		h.add(field{uint16(i), uint16(colon), uint16(start), uint16(end), classify(b[i:colon]),
			end == stop && start == colon+2 && b[colon+1] == ' '})
		i = stop + 2
	}
	return 0, nil
}

// badValue tells which refusal a byte in a value is.
func badValue(c byte) *Error {
	if c == '\n' || c == '\r' {
		return errLineEnd
	}
	return errFieldValue
}

// endOfFields looks at a line that does not start with a name.
func (h *head) endOfFields(b []byte, i int) (int, *Error) {
	switch c := b[i]; {
	case c == '\r' && i+1 == len(b):
		return 0, nil
	case c == '\r' && b[i+1] == '\n':
		return i + 2, nil
	case c == '\r' || c == '\n':
		return 0, errLineEnd
	case isBlank(c):
		return 0, errFolded
	}
	return 0, errFieldName
}

func (h *head) add(f field) {
	bit := uint32(1) << f.kind
	if h.seen&bit != 0 {
		h.twice |= bit
	} else {
		h.seen |= bit
		h.first[f.kind] = uint8(len(h.fields))
	}
	h.fields = append(h.fields, f)
}

// appendField writes a line in its plainest form.
func (h *head) appendField(dst []byte, f *field) []byte {
	dst = append(dst, h.name(f)...)
	dst = append(dst, ": "...)
	dst = append(dst, h.value(f)...)
	return append(dst, "\r\n"...)
}
