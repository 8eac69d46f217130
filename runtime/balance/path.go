package balance

import (
	"bytes"
	"errors"
	"fmt"
)

// NormalPath brings a request target in origin form (RFC 9112 section 3.2.1) to
// the form in which rules compare URLs, so that no spelling of a path gets round a
// rule: percent-encoded bytes are decoded, except %25 and %3F, which would read as
// something else, and stay with upper-case digits; runs of slashes are one; what
// follows "?" stays as it is.
//
// It refuses (ok is false) what a server might understand otherwise: a target that
// does not begin with "/", dot segments and backslashes, spelled out or encoded,
// control bytes, and a "%" without two hexadecimal digits.
//
// A target that is normal already is returned itself. Otherwise the path is
// written to dst, from its beginning; it is never longer than target.
func NormalPath(dst, target []byte) (path []byte, ok bool) {
	if len(target) == 0 || target[0] != '/' {
		return nil, false
	}
	plain, query := target, []byte(nil)
	if q := bytes.IndexByte(target, '?'); q >= 0 {
		plain, query = target[:q], target[q:]
	}
	for _, c := range query {
		if isControl(c) {
			return nil, false
		}
	}
	path = plain
	if needsWork(plain) {
		if path, ok = decode(dst[:0], plain); !ok {
			return nil, false
		}
	}
	if !cleanSegments(path) {
		return nil, false
	}
	if len(path) == len(plain) && &path[0] == &plain[0] {
		return target, true
	}
	return append(path, query...), true
}

// needsWork reports whether decode would change or refuse a path.
func needsWork(path []byte) bool {
	var last byte
	for _, c := range path {
		if c == '%' || c == '\\' || isControl(c) || c == '/' && last == '/' {
			return true
		}
		last = c
	}
	return false
}

// decode appends a path to dst, each byte in the one spelling that it has in a
// normal path.
func decode(dst, path []byte) ([]byte, bool) {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) {
				return nil, false
			}
			hi, lo := hexDigit(path[i+1]), hexDigit(path[i+2])
			if hi > 15 || lo > 15 {
				return nil, false
			}
			i += 2
			switch c = hi<<4 | lo; c {
			case '%':
				dst = append(dst, "%25"...)
				continue
			case '?':
				dst = append(dst, "%3F"...)
				continue
			}
		}
		if c == '\\' || isControl(c) {
			return nil, false
		}
		if c == '/' && len(dst) > 0 && dst[len(dst)-1] == '/' {
			continue
		}
		dst = append(dst, c)
	}
	return dst, true
}

// cleanSegments reports whether no segment of a decoded path is "." or "..".
func cleanSegments(path []byte) bool {
	for i := 0; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		dots := i + 1
		for dots < len(path) && path[dots] == '.' {
			dots++
		}
		if n := dots - i - 1; (n == 1 || n == 2) && (dots == len(path) || path[dots] == '/') {
			return false
		}
	}
	return true
}

func isControl(c byte) bool { return c < ' ' || c == 0x7f }

// hexDigit is the value of a hexadecimal digit, above 15 for anything else.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// normalURL is the normal form of a rule's URL.
func normalURL(url string) (string, error) {
	if url == "" {
		return "", nil
	}
	path, ok := NormalPath(nil, []byte(url))
	if !ok {
		return "", fmt.Errorf("url %q: %w", url, errNotNormal)
	}
	return string(path), nil
}

var errNotNormal = errors.New("no request can have it; write it with a leading slash, without dot segments, backslashes and stray %")
