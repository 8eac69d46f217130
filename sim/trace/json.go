package trace

import (
	"bytes"
	"unicode/utf8"
)

// jsonLines reads slbctl's own log, and that of SLB and ALB as the log service gives it
// (topic slb_layer7_access_log): an object a line, with the same names. nginx logs that
// are written as JSON under nginx's own names are read as well.
type jsonLines struct {
	fields  fields
	scratch []byte // texts that had escapes
}

func (p *jsonLines) parse(line []byte, e *entry) error {
	p.fields.reset()
	p.scratch = p.scratch[:0]
	line = bytes.TrimSpace(line)
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' {
		return noObject
	}
	s := scanner{text: line[1:]}
	for s.skip() != '}' {
		key, ok := p.text(&s)
		if !ok || s.skip() != ':' {
			return noObject
		}
		s.at++
		value, ok := p.value(&s)
		if !ok {
			return noObject
		}
		p.fields.set(string(key), value, e)
		switch s.skip() {
		case ',':
			s.at++
		case '}':
		default:
			return noObject
		}
	}
	if s.at != len(s.text)-1 {
		return noObject
	}
	return p.fields.finish(e)
}

// value returns a text without its quotes, and anything else as it stands.
func (p *jsonLines) value(s *scanner) (v []byte, ok bool) {
	switch s.skip() {
	case '"':
		return p.text(s)
	case '{', '[':
		return nil, s.over()
	}
	from := s.at
	for s.at < len(s.text) && s.text[s.at] != ',' && s.text[s.at] != '}' && s.text[s.at] > ' ' {
		s.at++
	}
	return s.text[from:s.at], s.at > from
}

// text reads a text, from its quote on.
func (p *jsonLines) text(s *scanner) (v []byte, ok bool) {
	if s.skip() != '"' {
		return nil, false
	}
	v, rest, ok := quoted(s.text[s.at+1:])
	if !ok {
		return nil, false
	}
	s.at = len(s.text) - len(rest)
	if bytes.IndexByte(v, '\\') < 0 {
		return v, true
	}
	from := len(p.scratch)
	p.scratch = unescape(p.scratch, v)
	return p.scratch[from:len(p.scratch):len(p.scratch)], true
}

// unescape appends what a text means that has the escapes of JSON, or \xHH, as nginx writes
// it in the combined format.
func unescape(b, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b = append(b, text[i])
			continue
		}
		i++
		switch c := text[i]; c {
		case 'n':
			b = append(b, '\n')
		case 't':
			b = append(b, '\t')
		case 'r':
			b = append(b, '\r')
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'u', 'x':
			size := 4
			if c == 'x' {
				size = 2
			}
			r, ok := hex(text[i+1:], size)
			switch {
			case !ok:
				b = append(b, '\\', c)
				continue
			case c == 'x':
				b = append(b, byte(r))
			default:
				b = utf8.AppendRune(b, r) // half of a surrogate pair is U+FFFD
			}
			i += size
		default:
			b = append(b, c)
		}
	}
	return b
}

// hex reads so many hexadecimal digits.
func hex(b []byte, size int) (r rune, ok bool) {
	if len(b) < size {
		return 0, false
	}
	for _, c := range b[:size] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// scanner is a place in a line.
type scanner struct {
	text []byte
	at   int
}

// skip passes blanks and returns what comes next, 0 at the end.
func (s *scanner) skip() byte {
	for ; s.at < len(s.text); s.at++ {
		if c := s.text[s.at]; c != ' ' && c != '\t' {
			return c
		}
	}
	return 0
}

// over passes an object or list, of which nothing is asked.
func (s *scanner) over() bool {
	for depth := 0; s.at < len(s.text); {
		switch s.text[s.at] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.at++
				return true
			}
		case '"':
			_, rest, ok := quoted(s.text[s.at+1:])
			if !ok {
				return false
			}
			s.at = len(s.text) - len(rest)
			continue
		}
		s.at++
	}
	return false
}
