package trace

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// source gives the entries of a log.
type source interface {
	// next fills in the next entry. At the end it returns io.EOF. After a reason, which
	// says why an entry cannot be read, it goes on with the next one; after any other error
	// it does not.
	next(e *entry) error
	// place is the line of the entry that next looked at, from 1 on; of a HAR its number.
	place() int64
}

// lineParser reads a line of a log that has an entry in each.
type lineParser interface {
	parse(line []byte, e *entry) error
}

// lines gives the entries of a log of lines.
type lines struct {
	in     *bufio.Reader
	parser lineParser
	line   int64
}

func newLines(in io.Reader, p lineParser) *lines {
	return &lines{in: bufio.NewReaderSize(in, longestLine), parser: p}
}

func (l *lines) place() int64 { return l.line }

func (l *lines) next(e *entry) error {
	for {
		text, err := l.read()
		if err != nil {
			return err
		}
		if len(text) == 0 {
			continue
		}
		*e = entry{}
		if err = l.parser.parse(text, e); err == errHeading {
			continue
		}
		return err
	}
}

// read returns the next line, without what ends it. It is valid until the next read.
func (l *lines) read() ([]byte, error) {
	text, err := l.in.ReadSlice('\n')
	l.line++
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.in.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		return nil, tooLong
	case err == io.EOF && len(text) > 0:
	case err != nil:
		return nil, err
	}
	return bytes.TrimRight(text, "\r\n"), nil
}
