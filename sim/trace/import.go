package trace

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/gzip"
)

// Options of ImportFile and Open. The zero value finds the format out and keeps addresses.
// A log may have 16,777,216 clients, 4,194,304 targets of 512 MiB together, and 65,536
// servers.
type Options struct {
	Format       string // one of Formats; empty = by the first lines
	AnonymizeKey []byte // hashes client addresses, which stay in their network; nil = as they are
}

// Summary tells what a log had in it.
type Summary struct {
	Footer
	Clients  int
	Targets  int
	Problems []Problem // in the order in which they were met
}

// Problem is one reason why entries could not be read.
type Problem struct {
	Reason  string
	Entries int64
	Lines   []int64 // the first few of them; in a HAR, numbers of entries
}

// shownLines is how many places a problem names.
const shownLines = 3

// ImportFile makes a trace of a log. The trace is there whole or not at all, and only its
// owner can read it.
func ImportFile(ctx context.Context, log, out string, opt Options) (s *Summary, err error) {
	in, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	dir, name := filepath.Split(out)
	temp, err := os.CreateTemp(orHere(dir), "."+name+".*")
	if err != nil {
		return nil, err
	}
	err = commit(temp, out, func(w io.Writer) (err error) {
		if s, err = importLog(ctx, in, w, orHere(dir), opt); err != nil {
			err = fmt.Errorf("%s: %w", log, err)
		}
		return err
	})
	return s, err
}

// commit writes a file and gives it its name; if that fails nothing is left of it.
func commit(temp *os.File, name string, write func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(temp, 256<<10)
	err := write(buffered)
	for _, step := range []func() error{buffered.Flush, temp.Sync} {
		if err == nil {
			err = step()
		}
	}
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(temp.Name()) // what went wrong first says it all
	}
	return err
}

func orHere(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

// importLog reads a log and writes a trace; runs wait in dir.
func importLog(ctx context.Context, log io.Reader, out io.Writer, dir string, opt Options) (*Summary, error) {
	src, name, err := open(log, opt.Format)
	if err != nil {
		return nil, err
	}
	im := importer{source: src, names: newNames(opt.AnonymizeKey), sorter: sorter{dir: dir, size: runSize}}
	defer im.sorter.close()
	if err := im.read(ctx); err != nil {
		return nil, err
	}
	return im.write(ctx, out, name)
}

// open finds out what a log is.
func open(log io.Reader, name string) (source, string, error) {
	in := bufio.NewReaderSize(log, headSize)
	if head, _ := in.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, "", fmt.Errorf("gzip: %w", err)
		}
		in = bufio.NewReaderSize(gunzip{z}, headSize)
	}
	if mark, _ := in.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3) // it has been seen
	}
	head, err := in.Peek(headSize)
	switch {
	case err != nil && err != io.EOF:
		return nil, "", err
	case len(bytes.TrimSpace(head)) == 0 && err == io.EOF:
		return nil, "", errors.New("the log is empty")
	case bytes.HasPrefix(head, []byte(magic)):
		return nil, "", errors.New("this is a trace already")
	}
	f, err := formatOf(name, head)
	if err != nil {
		return nil, "", err
	}
	return f.open(in), f.name, nil
}

// gunzip says of its errors where they come from.
type gunzip struct{ in *gzip.Reader }

func (g gunzip) Read(b []byte) (int, error) {
	n, err := g.in.Read(b)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("gzip: %w", err)
	}
	return n, err
}

// importer makes a trace of the entries of a log.
type importer struct {
	source   source
	names    *names
	sorter   sorter
	unread   int64
	problems []Problem
}

// read reads all entries.
func (im *importer) read(ctx context.Context) error {
	var e entry
	var r Request
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := im.source.next(&e)
		if err == nil {
			err = e.check()
		}
		if why, ok := err.(reason); ok {
			im.problem(why)
			continue
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := im.names.number(&e, &r); err != nil {
			return fmt.Errorf("line %d: %w", im.source.place(), err)
		}
		r.fill(&e)
		if err := im.sorter.add(&r); err != nil {
			return err
		}
	}
}

func (im *importer) problem(why reason) {
	im.unread++
	k := slices.IndexFunc(im.problems, func(p Problem) bool { return p.Reason == string(why) })
	if k < 0 {
		k = len(im.problems)
		im.problems = append(im.problems, Problem{Reason: string(why)})
	}
	p := &im.problems[k]
	if p.Entries++; len(p.Lines) < shownLines {
		p.Lines = append(p.Lines, im.source.place())
	}
}

// write writes the trace.
func (im *importer) write(ctx context.Context, out io.Writer, format string) (*Summary, error) {
	if len(im.names.targets) == 0 {
		if len(im.problems) == 0 {
			return nil, errors.New("the log has no entries")
		}
		p := im.problems[0]
		return nil, fmt.Errorf("line %d: %s; none of the %d entries of this log can be read as %s", p.Lines[0], p.Reason, im.unread, format)
	}
	w := newWriter(out)
	w.footer.Format, w.footer.Unread, w.footer.Disordered = format, im.unread, im.sorter.disordered
	err := im.sorter.each(func(r *Request) error {
		if w.add(r); w.footer.Requests%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return w.err
	})
	if err != nil {
		return nil, err
	}
	if err := w.close(im.names); err != nil {
		return nil, err
	}
	return &Summary{w.footer, len(im.names.addresses), len(im.names.targets), im.problems}, nil
}
