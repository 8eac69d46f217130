package trace

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Recorder makes a trace of requests that do not come from a log.
type Recorder struct {
	out    *os.File
	path   string
	names  *names
	sorter sorter
	err    error
}

// Record is a request for a Recorder.
type Record struct {
	At     time.Duration // since the start
	Client netip.AddrPort
	Who    string // tells clients of one address apart
	Method string
	Host   string
	Path   string
	Server string // empty = none
	Status int    // 0 = not told
}

// NewRecorder begins a trace, which is there when Close has returned nil and not before.
func NewRecorder(path string) (*Recorder, error) {
	dir, name := filepath.Split(path)
	out, err := os.CreateTemp(orHere(dir), "."+name+".*")
	if err != nil {
		return nil, err
	}
	return &Recorder{out: out, path: path, names: newNames(nil), sorter: sorter{dir: orHere(dir), size: runSize}}, nil
}

// Add takes a request, in any order. Its error is told by Close.
func (r *Recorder) Add(x Record) {
	if r.err != nil {
		return
	}
	e := entry{
		client: x.Client.Addr(), port: x.Client.Port(), agent: []byte(x.Who), method: []byte(x.Method),
		host: []byte(x.Host), target: []byte(x.Path), server: []byte(x.Server), status: x.Status, at: int64(x.At),
	}
	var q Request
	if r.err = r.names.number(&e, &q); r.err == nil {
		q.fill(&e)
		r.err = r.sorter.add(&q)
	}
}

// Close writes the trace.
func (r *Recorder) Close() error {
	if r.err == nil {
		defer r.sorter.close()
		r.err = commit(r.out, r.path, func(out io.Writer) error {
			w := newWriter(out)
			w.footer.Format, w.footer.Start, w.started = "sim", time.Unix(0, 0), true
			err := r.sorter.each(func(q *Request) error {
				w.add(q)
				return w.err
			})
			return errors.Join(err, w.close(r.names))
		})
		return r.err
	}
	r.Abort()
	return r.err
}

// Abort gives the trace up.
func (r *Recorder) Abort() {
	r.sorter.close()
	_ = r.out.Close()
	_ = os.Remove(r.out.Name()) // the caller knows of what went wrong first
}
