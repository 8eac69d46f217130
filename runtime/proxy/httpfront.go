//go:build linux

package proxy

import (
	"strconv"
	"sync/atomic"

	"slbctl/runtime/balance"
	"slbctl/runtime/http1"
)

// httpFront is what an HTTP listener's requests have in common.
type httpFront struct {
	lines   []byte      // what the servers are told of the listener, as header lines
	srcPort bool        // and of the client's port
	closing atomic.Bool // the listener goes: every answer ends its connection
	log     *AccessLog  // nil = none
}

// LogTo makes the Handler of an HTTP listener write its exchanges to a log. Call it
// before the first Serve.
func (h *Handler) LogTo(log *AccessLog) { h.http.log = log }

func newHTTPFront(l *balance.Listener) *httpFront {
	f := &httpFront{srcPort: l.Forwarded.ClientSrcPort}
	add := func(on bool, name, value string) {
		if on {
			f.lines = append(f.lines, name+": "+value+"\r\n"...)
		}
	}
	add(l.Forwarded.Proto, "X-Forwarded-Proto", l.Protocol)
	add(l.Forwarded.SLBID, "SLB-ID", l.SLBID)
	add(l.Forwarded.SLBIP, "SLB-IP", l.Endpoint.Addr().String())
	add(l.Forwarded.SLBPort, "X-Forwarded-Port", strconv.Itoa(int(l.Port)))
	return f
}

// appendLines appends the header lines for a client at a port.
func (f *httpFront) appendLines(b []byte, port uint16) []byte {
	b = append(b, f.lines...)
	if f.srcPort {
		b = append(b, "X-Forwarded-Client-srcport: "...)
		b = strconv.AppendUint(b, uint64(port), 10)
		b = append(b, "\r\n"...)
	}
	return b
}

// httpScratch is what a loop needs while it looks at one message. Nothing in it
// outlives a call of Ready.
type httpScratch struct {
	request  http1.Request
	response http1.Response
	unread   http1.Request // says nothing
	head     []byte        // the head on its way
	path     []byte
	client   []byte
	lines    []byte
	line     []byte

	smalls      [][]byte // buffers for requests that may be sent again
	entries     []*logEntry
	compressors []*compressor
}

// entry lends an empty logEntry.
func (p *httpScratch) entry() *logEntry {
	if n := len(p.entries); n > 0 {
		e := p.entries[n-1]
		p.entries = p.entries[:n-1]
		*e = logEntry{prefix: e.prefix[:0], suffix: e.suffix[:0]}
		return e
	}
	return &logEntry{}
}

// returnEntry takes an entry back, unless its request was a large one.
func (p *httpScratch) returnEntry(e *logEntry) {
	if len(p.entries) < keptSmall && cap(e.prefix)+cap(e.suffix) <= 2*smallSize {
		p.entries = append(p.entries, e)
	}
}

const (
	smallSize = 2 << 10
	keptSmall = 1024
)

// small lends an empty buffer.
func (w *worker) small() []byte {
	p := &w.http
	if n := len(p.smalls); n > 0 {
		b := p.smalls[n-1]
		p.smalls = p.smalls[:n-1]
		return b
	}
	return make([]byte, 0, smallSize)
}

// releaseSmall takes a buffer back, unless it has grown.
func (w *worker) releaseSmall(b []byte) {
	if p := &w.http; cap(b) == smallSize && len(p.smalls) < keptSmall {
		p.smalls = append(p.smalls, b[:0])
	}
}
