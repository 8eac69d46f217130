package http1

// maxHost is what DNS allows (RFC 1035 section 2.3.4) with the trailing dot.
const maxHost = 254

// setHost checks an authority, "host" or "host:port" (RFC 3986 section 3.2
// without user information), and derives Host from it.
func (r *Request) setHost(authority []byte) *Error {
	name, port, ok := splitPort(authority)
	if !ok || !validPort(port) || len(name) > maxHost {
		return errHost
	}
	if len(name) > 0 && name[0] == '[' {
		if !validIPv6(name[1 : len(name)-1]) {
			return errHost
		}
	} else {
		if name = withoutDot(name); !validName(name) {
			return errHost
		}
	}
	r.Host = r.lower(name)
	return nil
}

// splitPort parts "host:port"; port is nil without a colon.
func splitPort(authority []byte) (name, port []byte, ok bool) {
	i := 0
	if len(authority) > 0 && authority[0] == '[' {
		for i < len(authority) && authority[i] != ']' {
			i++
		}
		if i == len(authority) {
			return nil, nil, false
		}
		i++
	} else {
		for i < len(authority) && authority[i] != ':' {
			i++
		}
	}
	if i == len(authority) {
		return authority, nil, true
	}
	return authority[:i], authority[i+1:], authority[i] == ':' && i+1 < len(authority)
}

// validPort reports whether a port, if there is one, is 1 to 65535.
func validPort(port []byte) bool {
	if port == nil {
		return true
	}
	n, ok := parseLength(port)
	return ok && len(port) <= 5 && n >= 1 && n <= 65535
}

func withoutDot(name []byte) []byte {
	if n := len(name); n > 0 && name[n-1] == '.' {
		return name[:n-1]
	}
	return name
}

// validName reports whether a name is labels with dots between.
func validName(name []byte) bool {
	last := byte('.')
	for _, c := range name {
		if classes[c]&hostChar == 0 || c == '.' && last == '.' {
			return false
		}
		last = c
	}
	return last != '.'
}

// validIPv6 reports whether b is eight groups of hexadecimal digits, "::" standing
// for one or more of zeros, the last two possibly an IPv4 address (RFC 4291
// section 2.2).
func validIPv6(b []byte) bool {
	groups, gap := 0, false
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = true, b[2:]
	}
	for len(b) > 0 {
		i := 0
		for i < len(b) && hexDigit(b[i]) >= 0 {
			i++
		}
		if i < len(b) && b[i] == '.' {
			groups += 2
			return validIPv4(b) && (groups == 8 || gap && groups < 8)
		}
		if i == 0 || i > 4 {
			return false
		}
		groups++
		b = b[i:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return false
		}
		b = b[1:]
		if b[0] == ':' {
			if gap {
				return false
			}
			gap, b = true, b[1:]
		}
	}
	return groups == 8 || gap && groups < 8
}

// validIPv4 reports whether b is four numbers up to 255 without leading zeros.
func validIPv4(b []byte) bool {
	for parts := 1; ; parts++ {
		i := 0
		for i < len(b) && b[i] != '.' {
			i++
		}
		n, ok := parseLength(b[:i])
		if !ok || i > 3 || n > 255 || i > 1 && b[0] == '0' {
			return false
		}
		if i == len(b) {
			return parts == 4
		}
		b = b[i+1:]
	}
}

// hexDigit returns the value of a hexadecimal digit, -1 for anything else.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// lower returns name in lower case: itself if it already is.
func (r *Request) lower(name []byte) []byte {
	for i, c := range name {
		if c < 'A' || c > 'Z' {
			continue
		}
		r.hostMemory = append(r.hostMemory[:0], name...)
		for ; i < len(name); i++ {
			r.hostMemory[i] = lowerCase(name[i])
		}
		return r.hostMemory
	}
	return name
}
