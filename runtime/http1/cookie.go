package http1

// Cookie returns the value of the first cookie of a name (RFC 6265 section 5.4),
// as sent; names differ by case.
func (r *Request) Cookie(name string) (value []byte, ok bool) {
	if !r.has(cookie) {
		return nil, false
	}
	for i := range r.fields {
		if f := &r.fields[i]; f.kind == cookie {
			if from, to, ok := findCookie(r.value(f), name); ok {
				return r.value(f)[from:to], true
			}
		}
	}
	return nil, false
}

// findCookie returns where the value of a name is in "a=b; c=d".
func findCookie(list []byte, name string) (from, to int, ok bool) {
	for i := 0; i < len(list); {
		for i < len(list) && isBlank(list[i]) {
			i++
		}
		end, equals := i, -1
		for ; end < len(list) && list[end] != ';'; end++ {
			if list[end] == '=' && equals < 0 {
				equals = end
			}
		}
		if equals >= 0 && string(list[i:equals]) == name {
			to = end
			for to > equals+1 && isBlank(list[to-1]) {
				to--
			}
			return equals + 1, to, true
		}
		i = end + 1
	}
	return 0, 0, false
}

// appendCookie writes a Cookie line, the value of f's cookie exchanged where it
// is found first in the request.
func (r *Request) appendCookie(dst []byte, l *field, f *Forward, rewritten bool) ([]byte, bool) {
	value := r.value(l)
	from, to, ok := 0, 0, false
	if f.Cookie != "" && !rewritten {
		from, to, ok = findCookie(value, f.Cookie)
	}
	if !ok {
		return r.appendField(dst, l), rewritten
	}
	dst = append(dst, r.name(l)...)
	dst = append(dst, ": "...)
	dst = append(dst, value[:from]...)
	dst = append(dst, f.CookieValue...)
	dst = append(dst, value[to:]...)
	return append(dst, "\r\n"...), true
}
