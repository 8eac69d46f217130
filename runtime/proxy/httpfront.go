//go:build linux

package proxy

import (
	"crypto/tls"
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
	tls     *tls.Config // nil = without TLS
	shakes  *balance.Rate
}

// LogTo makes the Handler of an HTTP listener write its exchanges to a log. Call it
// before the first Serve.
func (h *Handler) LogTo(log *AccessLog) { h.http.log = log }

// Secure makes the Handler of an HTTPS listener speak TLS. Connections that stand keep the
// configuration they have begun with. Call it before the first Serve.
func (h *Handler) Secure(config *tls.Config) { h.http.tls = config }

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

	kept        [len(keptSizes)][][]byte // free buffers for requests that may be sent again
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
	if len(p.entries) < keptBuffers && cap(e.prefix)+cap(e.suffix) <= 4<<10 {
		p.entries = append(p.entries, e)
	}
}

// Sizes of the buffers that requests are kept in. Nearly all fit the first, those of
// browsers with many cookies the second. They are sizes that the allocator has and no
// powers of two: at those all buffers would lie on the same few sets of the cache.
var keptSizes = [...]int{9 * 64, 42 * 64}

const keptBuffers = 1024 // of each size that a loop does not give back

// copyOf keeps a request in a buffer of the loop.
func (w *worker) copyOf(request []byte) []byte {
	for i, size := range keptSizes {
		if len(request) > size {
			continue
		}
		free := &w.http.kept[i]
		if n := len(*free); n > 0 {
			b := (*free)[n-1]
			*free = (*free)[:n-1]
			return append(b, request...)
		}
		return append(make([]byte, 0, size), request...)
	}
	return append([]byte(nil), request...)
}

// release takes the buffer of a request back, unless it was an unusual one.
func (w *worker) release(b []byte) {
	for i, size := range keptSizes {
		if free := &w.http.kept[i]; cap(b) == size && len(*free) < keptBuffers {
			*free = append(*free, b[:0])
		}
	}
}
