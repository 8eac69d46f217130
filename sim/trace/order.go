package trace

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"io"
	"os"
	"slices"
	"time"
)

// runSize is how many requests are sorted in memory at once: 24 MiB.
const runSize = 1 << 19

// sorter brings requests into the order of their times, equal ones in the order in which
// they are added: an external merge sort.
type sorter struct {
	dir  string // where runs wait; empty = the system's folder for such files
	size int    // of a run
	run  []Request
	file *os.File
	ends []int64 // of the runs in the file

	last       time.Duration
	disordered int64
}

func (s *sorter) add(r *Request) error {
	if s.run = append(s.run, *r); r.At < s.last {
		s.disordered++
	}
	s.last = r.At
	if len(s.run) >= s.size {
		return s.spill()
	}
	return nil
}

func (s *sorter) sort() {
	slices.SortStableFunc(s.run, func(a, b Request) int { return cmp.Compare(a.At, b.At) })
}

// spill writes a sorted run.
func (s *sorter) spill() (err error) {
	if s.file == nil {
		if s.file, err = nameless(s.dir); err != nil {
			return err
		}
	}
	s.sort()
	out := bufio.NewWriterSize(s.file, 256<<10)
	var b [waiting]byte
	for i := range s.run {
		s.run[i].put(&b)
		if _, err := out.Write(b[:]); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	var before int64
	if n := len(s.ends); n > 0 {
		before = s.ends[n-1]
	}
	s.ends = append(s.ends, before+int64(len(s.run))*waiting)
	s.run = s.run[:0]
	return nil
}

// nameless makes a file that is gone when it is closed, whatever ends the process.
func nameless(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "slbctl-*.sort")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close() // the first error says it all
		return nil, err
	}
	return f, nil
}

func (s *sorter) close() {
	if s.file != nil {
		_ = s.file.Close() // it has no name any more, so nothing can be lost
	}
}

// each calls f with all requests in their order.
func (s *sorter) each(f func(*Request) error) error {
	s.sort()
	if s.file == nil {
		for i := range s.run {
			if err := f(&s.run[i]); err != nil {
				return err
			}
		}
		return nil
	}
	var runs []*mergeRun
	var from int64
	for _, end := range s.ends {
		in := io.NewSectionReader(s.file, from, end-from)
		runs = append(runs, &mergeRun{in: bufio.NewReaderSize(in, 64<<10), left: (end - from) / waiting})
		from = end
	}
	runs = append(runs, &mergeRun{memory: s.run})
	return merge(runs, f)
}

// mergeRun is a sorted run that is being merged.
type mergeRun struct {
	head   Request
	in     *bufio.Reader
	left   int64
	memory []Request
}

// next moves on; ok is false at the end.
func (m *mergeRun) next() (ok bool, err error) {
	if m.in == nil {
		if len(m.memory) == 0 {
			return false, nil
		}
		m.head, m.memory = m.memory[0], m.memory[1:]
		return true, nil
	}
	if m.left == 0 {
		return false, nil
	}
	m.left--
	var b [waiting]byte
	if _, err := io.ReadFull(m.in, b[:]); err != nil {
		return false, err
	}
	m.head.get(&b)
	return true, nil
}

// merge takes the earliest head of all again and again, of equal ones that of the first
// run. A log of 100 million requests has 200 runs; few overlap, so the run that is being
// read usually goes on, and only when it passes the second best is the best looked for.
func merge(runs []*mergeRun, f func(*Request) error) error {
	var live []*mergeRun
	for _, r := range runs {
		ok, err := r.next()
		if err != nil {
			return err
		}
		if ok {
			live = append(live, r)
		}
	}
	for len(live) > 0 {
		best, second := 0, -1
		for k := 1; k < len(live); k++ {
			switch {
			case live[k].head.At < live[best].head.At:
				best, second = k, best
			case second < 0 || live[k].head.At < live[second].head.At:
				second = k
			}
		}
		r := live[best]
		for {
			if err := f(&r.head); err != nil {
				return err
			}
			ok, err := r.next()
			if err != nil {
				return err
			}
			if !ok {
				live = slices.Delete(live, best, best+1)
				break
			}
			if second >= 0 && (r.head.At > live[second].head.At || r.head.At == live[second].head.At && second < best) {
				break
			}
		}
	}
	return nil
}

// waiting is the size of a request in a run.
const waiting = 40

func (r *Request) put(b *[waiting]byte) {
	binary.LittleEndian.PutUint64(b[0:], uint64(r.At))
	binary.LittleEndian.PutUint64(b[8:], uint64(r.Took))
	binary.LittleEndian.PutUint64(b[16:], uint64(r.Bytes))
	binary.LittleEndian.PutUint32(b[24:], r.Client)
	binary.LittleEndian.PutUint32(b[28:], r.Target)
	binary.LittleEndian.PutUint32(b[32:], r.Server)
	binary.LittleEndian.PutUint16(b[36:], r.Status)
	binary.LittleEndian.PutUint16(b[38:], r.Port)
}

func (r *Request) get(b *[waiting]byte) {
	*r = Request{
		At: time.Duration(binary.LittleEndian.Uint64(b[0:])), Took: time.Duration(binary.LittleEndian.Uint64(b[8:])),
		Bytes: int64(binary.LittleEndian.Uint64(b[16:])), Client: binary.LittleEndian.Uint32(b[24:]),
		Target: binary.LittleEndian.Uint32(b[28:]), Server: binary.LittleEndian.Uint32(b[32:]),
		Status: binary.LittleEndian.Uint16(b[36:]), Port: binary.LittleEndian.Uint16(b[38:]),
	}
}
