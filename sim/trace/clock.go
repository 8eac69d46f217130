package trace

import (
	"bytes"
	"time"
)

// clock reads the times of a log, which are the same for many lines in a row.
type clock struct {
	seen [32]byte // what was read last, down to the second and with its zone
	size int
	at   int64 // ns since 1970
}

// read returns a time, in ns since 1970, that is written with a layout of whole seconds;
// 0 if it is not.
func (c *clock) read(layout string, text []byte) int64 {
	if len(text) > 0 && bytes.Equal(c.seen[:c.size], text) {
		return c.at
	}
	t, err := time.Parse(layout, string(text))
	if err != nil || t.Year() < 1970 || t.Year() > 2100 {
		return 0
	}
	c.size = copy(c.seen[:], text)
	c.at = t.UnixNano()
	return c.at
}

const (
	clfTime     = "02/Jan/2006:15:04:05 -0700" // Apache, nginx
	haproxyTime = "02/Jan/2006:15:04:05"       // HAProxy; of no zone, so UTC is assumed
	isoTime     = "2006-01-02T15:04:05Z07:00"
)

// iso reads RFC 3339 with a fraction of any length.
func (c *clock) iso(text []byte) int64 {
	const whole = len("2006-01-02T15:04:05")
	if len(text) <= whole || len(text) > 48 {
		return 0
	}
	var plain [48]byte
	n := copy(plain[:], text[:whole])
	plain[10] = 'T' // some write a blank
	rest, fraction := text[whole:], int64(0)
	if rest[0] == '.' {
		end := 1
		for end < len(rest) && '0' <= rest[end] && rest[end] <= '9' {
			end++
		}
		fraction, rest = nanos(rest[1:end]), rest[end:]
	}
	if len(rest) == 5 && rest[0] != 'Z' { // +0800
		n += copy(plain[n:], rest[:3])
		plain[n] = ':'
		n++
		rest = rest[3:]
	}
	n += copy(plain[n:], rest)
	if at := c.read(isoTime, plain[:n]); at > 0 {
		return at + fraction
	}
	return 0
}

// haproxy reads HAProxy's time, which has milliseconds.
func (c *clock) haproxy(text []byte) int64 {
	whole, fraction, _ := bytes.Cut(text, []byte("."))
	if at := c.read(haproxyTime, whole); at > 0 {
		return at + nanos(fraction)
	}
	return 0
}
