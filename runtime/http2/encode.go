package http2

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unsafe"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// startBlock starts a header block. The first tells the peer that its table for our
// fields is empty, and stays so (RFC 7541 section 6.3): fields are sent as literals
// or by the static table, so that nothing has to be kept for an idle connection.
func (c *Conn) startBlock() {
	c.pool.block.b = c.pool.block.b[:0]
	if !c.saidEmpty {
		c.saidEmpty = true
		c.pool.block.b = append(c.pool.block.b, 0x20)
	}
}

// encodeField adds a field. The encoder, whose table is empty, keeps neither name nor
// value.
func (c *Conn) encodeField(name, value string, secret bool) {
	if err := c.pool.encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: secret}); err != nil {
		panic(err) // a block takes everything
	}
}

// text is b as a string without a copy, for who does not keep it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (c *Conn) encodeStatus(status int) {
	c.pool.name = strconv.AppendInt(c.pool.name[:0], int64(status), 10)
	c.encodeField(":status", text(c.pool.name), false)
}

// encodeLines adds the fields of a head.
func (c *Conn) encodeLines(head []byte) {
	c.encodeFields(head[bytes.IndexByte(head, '\n')+1:])
}

// encodeFields adds the fields of lines up to an empty one, which package http1 has
// found to be fine. Those of a connection of HTTP/1.1 are left out (RFC 9113 section
// 8.2.2).
func (c *Conn) encodeFields(lines []byte) {
	for {
		colon := bytes.IndexByte(lines, ':')
		end := bytes.IndexByte(lines, '\r')
		if end <= 0 || colon < 0 || colon > end {
			return
		}
		value := lines[colon+1 : end]
		for len(value) > 0 && isBlank(value[0]) {
			value = value[1:]
		}
		for len(value) > 0 && isBlank(value[len(value)-1]) {
			value = value[:len(value)-1]
		}
		c.encodeLine(lines[:colon], value)
		lines = lines[end+len("\r\n"):]
	}
}

func (c *Conn) encodeLine(name, value []byte) {
	lower := c.pool.name[:0]
	for _, b := range name {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		lower = append(lower, b)
	}
	c.pool.name = lower
	secret := false
	switch string(lower) {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings", "host", "te":
		return
	case "authorization", "proxy-authorization", "cookie", "set-cookie":
		secret = true // never indexed, by whoever passes it on (RFC 7541 section 7.1.3)
	}
	c.encodeField(text(lower), text(value), secret)
}

// writeHeaders writes the block as HEADERS and as many CONTINUATION as it takes.
func (c *Conn) writeHeaders(id uint32, end bool) {
	kind, flags := h2.FrameHeaders, h2.Flags(0)
	if end {
		flags = h2.FlagHeadersEndStream
	}
	for b := c.pool.block.b; ; kind, flags = h2.FrameContinuation, 0 {
		k := min(len(b), MaxFrame)
		if k == len(b) {
			flags |= h2.FlagHeadersEndHeaders
		}
		c.writeFrame(kind, flags, id, b[:k])
		if b = b[k:]; len(b) == 0 {
			return
		}
	}
}

func (c *Conn) writeSettings(settings ...h2.Setting) {
	c.writeHeader(h2.FrameSettings, 0, 0, 6*len(settings))
	for _, s := range settings {
		c.out.reserve(c.pool, 6)
		c.out.b = binary.BigEndian.AppendUint16(c.out.b, uint16(s.ID))
		c.out.b = binary.BigEndian.AppendUint32(c.out.b, s.Val)
	}
}

func (c *Conn) writeWindowUpdate(id uint32, n int64) {
	c.writeHeader(h2.FrameWindowUpdate, 0, id, 4)
	c.appendUint32(uint32(n))
}

// writeReset resets a stream. What the peer still sends for it is ignored.
func (c *Conn) writeReset(id uint32, code ErrCode) {
	c.resetHere(id)
	c.writeHeader(h2.FrameRSTStream, 0, id, 4)
	c.appendUint32(uint32(code))
}

func (c *Conn) writeGoAway(last uint32, code ErrCode, reason string) {
	c.writeHeader(h2.FrameGoAway, 0, 0, 8+len(reason))
	c.appendUint32(last)
	c.appendUint32(uint32(code))
	c.out.append(c.pool, []byte(reason))
}

func (c *Conn) appendUint32(v uint32) {
	c.out.reserve(c.pool, 4)
	c.out.b = binary.BigEndian.AppendUint32(c.out.b, v)
}

func (c *Conn) writeFrame(kind h2.FrameType, flags h2.Flags, id uint32, payload []byte) {
	c.writeHeader(kind, flags, id, len(payload))
	c.out.append(c.pool, payload)
}

func (c *Conn) writeHeader(kind h2.FrameType, flags h2.Flags, id uint32, length int) {
	c.out.reserve(c.pool, headerLen)
	b := append(c.out.b, 0, 0, 0, byte(kind), byte(flags))
	b = binary.BigEndian.AppendUint32(b, id)
	putLength(b[len(b)-headerLen:], length)
	c.out.b = b
}

func putLength(header []byte, n int) {
	header[0], header[1], header[2] = byte(n>>16), byte(n>>8), byte(n)
}
