//go:build linux

package proxy

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/klauspost/compress/gzip"

	"slbctl/runtime/http1"
)

const (
	gzipLevel = 4       // about nginx's cost and ratio at its default of 1 to 5
	gzipLeast = 1 << 10 // a shorter body would hardly shrink
	keptGzip  = 16      // idle compressors a loop keeps, of some 300 KiB each
)

// gzipTypes are the media types that the product compresses.
var gzipTypes = map[string]bool{
	"text/xml": true, "text/plain": true, "text/css": true,
	"application/javascript": true, "application/x-javascript": true,
	"application/rss+xml": true, "application/atom+xml": true, "application/xml": true,
}

// compressor turns the body of one answer into gzip, in chunked framing.
type compressor struct {
	writer *gzip.Writer
	packed bytes.Buffer // what the writer has made of one read
	frame  []byte
	made   int64 // bytes of the body so far, without the framing
}

// compressible reports whether an answer should be compressed for this client.
func (c *httpConn) compressible(r *http1.Response) bool {
	if !c.gzips || r.NoBody || r.Length >= 0 && r.Length < gzipLeast || r.Status == http.StatusPartialContent {
		return false
	}
	if v, ok := r.Header("content-encoding"); ok && !bytes.EqualFold(v, []byte("identity")) {
		return false
	}
	if v, ok := r.Header("cache-control"); ok && bytes.Contains(bytes.ToLower(v), []byte("no-transform")) {
		return false
	}
	v, _ := r.Header("content-type")
	v, _, _ = bytes.Cut(v, []byte(";"))
	return gzipTypes[string(bytes.ToLower(bytes.TrimSpace(v)))]
}

// acceptsGzip reads an Accept-Encoding field (RFC 9110, 12.5.3).
func acceptsGzip(field []byte) bool {
	for field != nil {
		var item []byte
		item, field, _ = bytes.Cut(field, []byte(","))
		coding, weight, _ := bytes.Cut(item, []byte(";"))
		if !bytes.EqualFold(bytes.TrimSpace(coding), []byte("gzip")) {
			continue
		}
		_, q, weighted := bytes.Cut(weight, []byte("="))
		return !weighted || len(bytes.Trim(q, " 0.")) > 0
	}
	return false
}

// compressor lends one, empty.
func (w *worker) compressor() *compressor {
	p := &w.http
	if n := len(p.compressors); n > 0 {
		z := p.compressors[n-1]
		p.compressors = p.compressors[:n-1]
		return z
	}
	z := &compressor{}
	z.writer, _ = gzip.NewWriterLevel(&z.packed, gzipLevel) // the level is valid
	return z
}

// returnCompressor takes one back, whatever it was in the middle of.
func (w *worker) returnCompressor(z *compressor) {
	if z == nil || len(w.http.compressors) >= keptGzip {
		return
	}
	z.packed.Reset()
	z.writer.Reset(&z.packed)
	z.made = 0
	w.http.compressors = append(w.http.compressors, z)
}

// pack compresses what b has of the server's body, and returns the chunks that makes,
// perhaps none; done is true at the body's end. What came without a length is passed
// on as it comes, the rest when the compressor likes. The result is valid until the
// next call.
func (z *compressor) pack(body *http1.Body, b []byte, stream bool) (chunks []byte, used int, done bool, err error) {
	for used < len(b) && !done && err == nil {
		var data []byte
		var n int
		data, n, done, err = body.Next(b[used:])
		used += n
		_, _ = z.writer.Write(data) // packed takes everything
	}
	if err == nil {
		z.frameUp(done || body.Done(), stream)
	}
	return z.frame, used, done || body.Done(), err
}

// end returns the chunks that end a body which ended with its connection.
func (z *compressor) end() []byte {
	z.frameUp(true, false)
	return z.frame
}

// frameUp makes a chunk of what the writer has given, and the last one at the end.
func (z *compressor) frameUp(last, flush bool) {
	if last {
		_ = z.writer.Close()
	} else if flush {
		_ = z.writer.Flush()
	}
	z.frame = z.frame[:0]
	if n := z.packed.Len(); n > 0 {
		z.made += int64(n)
		z.frame = strconv.AppendUint(z.frame, uint64(n), 16)
		z.frame = append(z.frame, "\r\n"...)
		z.frame = append(z.frame, z.packed.Bytes()...)
		z.frame = append(z.frame, "\r\n"...)
		z.packed.Reset()
	}
	if last {
		z.frame = append(z.frame, "0\r\n\r\n"...)
	}
}

// answerPacked passes on the head of an answer and compresses what has come of its
// body.
func (c *httpConn) answerPacked(back *http1.Back, body []byte) {
	w, s := c.worker, c.server
	back.Gzip = true
	c.packer = w.compressor()
	c.streams = w.http.response.Length < 0
	w.http.head = w.http.response.AppendHead(w.http.head[:0], back)
	chunks, used, done, err := c.packer.pack(&s.body, body, c.streams)
	if err != nil {
		c.badAnswer()
		return
	}
	s.ends = s.ends || used < len(body)
	w.http.head = append(w.http.head, chunks...)
	c.passAnswer(w.http.head, done)
}

// bodyPacked compresses more of the body.
func (c *httpConn) bodyPacked(b []byte) {
	s := c.server
	chunks, used, done, err := c.packer.pack(&s.body, b, c.streams)
	if err != nil {
		s.over(false)
		return
	}
	s.ends = s.ends || used < len(b)
	c.progress()
	c.passedOut(len(chunks))
	if (len(chunks) == 0 || c.send(chunks)) && done {
		c.finish()
	}
}
