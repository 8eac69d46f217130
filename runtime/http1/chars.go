package http1

import (
	"encoding/binary"
	"math/bits"
)

// class is what a byte may be part of.
type class uint8

const (
	tokenChar  class = 1 << iota // RFC 9110 section 5.6.2: names, methods, options
	targetChar                   // visible ASCII without '#'
	valueChar                    // RFC 9110 section 5.5: HTAB, SP, visible ASCII, obs-text
	hostChar                     // a registered name as DNS has it, RFC 952 and "_"
	methodChar                   // upper case, "-" and "_"
)

// classes and folded are indexed by byte. folded is lower case, and "-" for "_":
// servers that hand fields to programs as variables cannot tell those apart.
var classes, folded = func() (of [256]class, fold [256]byte) {
	for i := range 256 {
		c := byte(i)
		fold[c] = c
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		digit := c >= '0' && c <= '9'
		if letter {
			fold[c] = c | 0x20
		}
		if letter || digit || isOneOf(c, "!#$%&'*+-.^_`|~") {
			of[c] |= tokenChar
		}
		if c > ' ' && c < 0x7f && c != '#' {
			of[c] |= targetChar
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			of[c] |= valueChar
		}
		if letter || digit || isOneOf(c, "-._") {
			of[c] |= hostChar
		}
		if c >= 'A' && c <= 'Z' || isOneOf(c, "-_") {
			of[c] |= methodChar
		}
	}
	fold['_'] = '-'
	return of, fold
}()

func isOneOf(c byte, set string) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

// endOfValue returns the index of the first byte of b at or after i that no field
// value has, len(b) if there is none. It looks at eight bytes at a time.
func endOfValue(b []byte, i int) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		d := w ^ 0x7f*low
		// The lowest marked byte is below 0x20 or 0x7f; marks above it may be borrowed.
		marks := ((w-0x20*low)&^w | (d-low)&^d) & high
		if marks == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(marks) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && classes[b[i]]&valueChar != 0 {
		i++
	}
	return i
}

// equalFold reports whether b is lower, which is in lower case, in any case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if lowerCase(c) != lower[i] {
			return false
		}
	}
	return true
}

// hasFold reports whether b starts with lower, "_" in b counting as "-".
func hasFold(b []byte, lower string) bool {
	if len(b) < len(lower) {
		return false
	}
	for i := range len(lower) {
		if folded[b[i]] != lower[i] {
			return false
		}
	}
	return true
}

func lowerCase(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// trim cuts the blanks around b.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// nextElement cuts the first element off a comma-separated list (RFC 9110 section 5.6.1).
func nextElement(list []byte) (element, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}

func isToken(b []byte) bool {
	for _, c := range b {
		if classes[c]&tokenChar == 0 {
			return false
		}
	}
	return len(b) > 0
}
