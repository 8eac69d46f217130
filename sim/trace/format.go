package trace

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// format is one that logs are written in.
type format struct {
	name string
	open func(io.Reader) source
	fits func(head []byte) bool
}

// formats are tried in this order.
var formats = []format{
	{"har", func(in io.Reader) source { return newHAR(in) }, harFits},
	{"gor", func(in io.Reader) source { return newGor(in) }, gorFits},
	{"slb", func(in io.Reader) source { return newLines(in, &separated{}) }, separatedFits},
	ofLines("json", func() lineParser { return &jsonLines{} }),
	ofLines("haproxy", func() lineParser { return &haproxy{} }),
	ofLines("combined", func() lineParser { return &combined{} }),
}

// Formats are the names of the formats that logs are read in: har, gor (goreplay), slb
// (SLB's layer-7 log, "||" between the fields, their names in the first line), json (slbctl's,
// and SLB's and ALB's from the log service), haproxy, and combined (slbctl, nginx, Apache).
func Formats() (names []string) {
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// headSize is how much of a log is looked at to find out what it is.
const headSize = 64 << 10

// ofLines is a format whose lines stand for themselves: it fits a log if it reads one of
// the first lines.
func ofLines(name string, parser func() lineParser) format {
	return format{name, func(in io.Reader) source { return newLines(in, parser()) }, func(head []byte) bool {
		p, tries := parser(), 0
		for line := range bytes.Lines(head) {
			if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
				continue
			}
			e := entry{}
			if p.parse(bytes.Clone(line), &e) == nil && e.check() == nil {
				return true
			}
			if tries++; tries == 20 {
				return false
			}
		}
		return false
	}}
}

func harFits(head []byte) bool {
	head, ok := bytes.CutPrefix(bytes.TrimLeft(head, "\xef\xbb\xbf \t\r\n"), []byte("{"))
	key, found := bytes.CutPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte(`"log"`))
	return ok && found && bytes.HasPrefix(bytes.TrimLeft(key, " \t\r\n"), []byte(":"))
}

func gorFits(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	_, _, ok := gorHeader(line)
	return ok
}

func separatedFits(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return bytes.Contains(line, []byte("client_ip")) && bytes.Contains(line, separator)
}

// formatOf finds the format of a log by its name, or by its first lines.
func formatOf(name string, head []byte) (format, error) {
	for _, f := range formats {
		if name == f.name || name == "" && f.fits(head) {
			return f, nil
		}
	}
	if name != "" {
		return format{}, fmt.Errorf("there is no format %q: it is one of %s", name, strings.Join(Formats(), ", "))
	}
	first, _, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte("\n"))
	const shown = 60
	if len(first) > shown {
		first = append(bytes.Clone(first[:shown]), "..."...)
	}
	return format{}, fmt.Errorf("line 1: a log in none of the known formats (%s), whose first line is %q", strings.Join(Formats(), ", "), first)
}
