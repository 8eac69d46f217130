package trace

import (
	"bufio"
	"bytes"
	"io"
)

// gorEnd parts the payloads of a file of goreplay.
var gorEnd = []byte("\U0001F435\U0001F648\U0001F649")

// gor reads files of goreplay (--output-file): a line "1 ID NANOSECONDS …", a request as it
// was on the wire, and a line that ends it. Answers are passed over.
type gor struct {
	lines *lines
	head  int64
}

func newGor(in io.Reader) *gor {
	return &gor{lines: &lines{in: bufio.NewReaderSize(in, longestLine)}}
}

func (g *gor) place() int64 { return g.head }

func (g *gor) next(e *entry) error {
	for {
		*e = entry{}
		line, err := g.lines.read()
		if g.head = g.lines.line; err != nil {
			return err
		}
		if len(line) == 0 {
			continue
		}
		kind, at, ok := gorHeader(line)
		if !ok {
			if err := g.pass(); err != nil && err != io.EOF {
				return err
			}
			return badHeader
		}
		if kind != '1' {
			if err := g.pass(); err == io.EOF {
				return noSeparator
			} else if err != nil {
				return err
			}
			continue
		}
		e.at, e.client = at, unknownClient
		return g.request(e)
	}
}

// gorHeader reads the line before a payload.
func gorHeader(line []byte) (kind byte, at int64, ok bool) {
	what, rest := word(line)
	id, rest := word(rest)
	stamp, _ := word(rest)
	// ns have 19 digits, one more than digits reads.
	if len(what) != 1 || what[0] < '1' || what[0] > '3' || len(id) == 0 || len(stamp) != 19 {
		return 0, 0, false
	}
	high, ok1 := digits(stamp[:18])
	low, ok2 := digits(stamp[18:])
	if at = high*10 + low; !ok1 || !ok2 || at < 0 {
		return 0, 0, false
	}
	return what[0], at, true
}

// request reads the head of a request and passes its body.
func (g *gor) request(e *entry) error {
	line, err := g.lines.read()
	if err != nil {
		return cut(err)
	}
	if bytes.Equal(line, gorEnd) {
		return noRequest
	}
	bad := e.requestLine(bytes.Clone(line))
	for {
		if line, err = g.lines.read(); err == tooLong {
			bad = tooLong
			continue
		} else if err != nil {
			return cut(err)
		}
		if bytes.Equal(line, gorEnd) {
			return bad
		}
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok {
			e.header(name, bytes.TrimSpace(value))
		}
	}
	if err := g.pass(); err != nil {
		return cut(err)
	}
	return bad
}

// header takes what a header says of the request, in a copy.
func (e *entry) header(name, value []byte) {
	switch {
	case bytes.EqualFold(name, []byte("host")) && len(e.host) == 0:
		e.host = bytes.Clone(value)
	case bytes.EqualFold(name, []byte("user-agent")):
		e.agent = bytes.Clone(value)
	case bytes.EqualFold(name, []byte("x-forwarded-for")):
		first, _, _ := bytes.Cut(value, []byte(","))
		if a := address(bytes.TrimSpace(first)); a.IsValid() {
			e.client = a
		}
	}
}

// pass reads up to the end of a payload.
func (g *gor) pass() error {
	for {
		line, err := g.lines.read()
		if err != nil && err != tooLong {
			return err
		}
		if bytes.HasSuffix(line, gorEnd) {
			return nil
		}
	}
}

// cut says that a log ends in the middle of something.
func cut(err error) error {
	if err == io.EOF {
		return noSeparator
	}
	return err
}
