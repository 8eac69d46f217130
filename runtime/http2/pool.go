package http2

import (
	"golang.org/x/net/http2/hpack"

	"slbctl/runtime/http1"
)

// Pool holds what the connections of one loop share: free buffers and streams,
// and what is needed only while a message is looked at. Its zero value is not ready: see NewPool.
type Pool struct {
	Stats Stats

	free    [len(sizes)][][]byte
	streams []*Stream
	lists   [][]*Stream

	fields   fieldList
	emit     func(hpack.HeaderField)
	encoder  *hpack.Encoder
	block    block
	request  http1.Request
	response http1.Response
	name     []byte // a field's name in lower case
}

// sizes are those of the buffers that are kept, and how many of each.
var sizes = [...]struct{ bytes, kept int }{{1 << 10, 512}, {8 << 10, 128}, {32 << 10, 32}, {128 << 10, 16}}

const keptStreams = 1024

// NewPool returns a Pool for the connections of one loop.
func NewPool() *Pool {
	p := &Pool{}
	p.emit = p.fields.add
	p.encoder = hpack.NewEncoder(&p.block)
	// Nothing is indexed: see Conn.startBlock. Each connection says so itself.
	p.encoder.SetMaxDynamicTableSizeLimit(0)
	if err := p.encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"}); err != nil {
		panic(err) // a block takes everything
	}
	return p
}

// take returns an empty buffer for at least n bytes.
func (p *Pool) take(n int) []byte {
	for i := range sizes {
		if n > sizes[i].bytes {
			continue
		}
		free := &p.free[i]
		if last := len(*free) - 1; last >= 0 {
			b := (*free)[last]
			*free = (*free)[:last]
			return b
		}
		return make([]byte, 0, sizes[i].bytes)
	}
	return make([]byte, 0, n)
}

// give takes a buffer back.
func (p *Pool) give(b []byte) {
	for i := range sizes {
		if cap(b) == sizes[i].bytes && len(p.free[i]) < sizes[i].kept {
			p.free[i] = append(p.free[i], b[:0])
		}
	}
}

// stream returns a cleared record.
func (p *Pool) stream(c *Conn) *Stream {
	p.Stats.Streams++
	if last := len(p.streams) - 1; last >= 0 {
		s := p.streams[last]
		p.streams = p.streams[:last]
		s.conn = c
		return s
	}
	return &Stream{conn: c}
}

func (p *Pool) giveStream(s *Stream) {
	s.in.release(p)
	s.part.release(p)
	*s = Stream{}
	if len(p.streams) < keptStreams {
		p.streams = append(p.streams, s)
	}
}

// list returns an empty list of streams.
func (p *Pool) list() []*Stream {
	if last := len(p.lists) - 1; last >= 0 {
		l := p.lists[last]
		p.lists = p.lists[:last]
		return l
	}
	return make([]*Stream, 0, 16)
}

func (p *Pool) giveList(l []*Stream) {
	if l != nil && len(p.lists) < sizes[0].kept {
		p.lists = append(p.lists, l[:0])
	}
}

// buffer is a queue of bytes that has memory only while it has bytes.
type buffer struct {
	b   []byte
	off int // of b, has been taken
}

func (q *buffer) len() int      { return len(q.b) - q.off }
func (q *buffer) bytes() []byte { return q.b[q.off:] }

// reserve makes room for n more bytes at the end of q.b.
func (q *buffer) reserve(p *Pool, n int) {
	if cap(q.b)-len(q.b) >= n {
		return
	}
	if q.len()+n <= cap(q.b) && q.off >= q.len() {
		q.b = q.b[:copy(q.b, q.bytes())]
		q.off = 0
		return
	}
	grown := append(p.take(q.len()+n), q.bytes()...)
	p.give(q.b)
	q.b, q.off = grown, 0
}

func (q *buffer) append(p *Pool, b []byte) {
	if len(b) == 0 {
		return
	}
	q.reserve(p, len(b))
	q.b = append(q.b, b...)
}

// consume takes n bytes from the front.
func (q *buffer) consume(p *Pool, n int) {
	if q.off += n; q.off == len(q.b) {
		q.release(p)
	}
}

func (q *buffer) release(p *Pool) {
	if q.b != nil {
		p.give(q.b)
	}
	*q = buffer{}
}

// block is an encoded header block under way.
type block struct{ b []byte }

// Write takes what the encoder has.
func (k *block) Write(p []byte) (int, error) {
	k.b = append(k.b, p...)
	return len(p), nil
}
