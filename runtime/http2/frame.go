package http2

import (
	"encoding/binary"

	h2 "golang.org/x/net/http2"
)

const headerLen = 9 // bytes of a frame's header (RFC 9113 section 4.1)

// frame is a frame as it was received.
type frame struct {
	kind    h2.FrameType
	flags   h2.Flags
	id      uint32
	payload []byte
}

// readFrame reads the frame at the start of b and returns its length, 0 while it is
// not all here.
func readFrame(b []byte) (f frame, n int, err *ConnError) {
	if len(b) < headerLen {
		return f, 0, nil
	}
	length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	if length > MaxFrame {
		return f, 0, errFrameSize
	}
	n = headerLen + length
	if len(b) < n {
		return f, 0, nil
	}
	return frame{
		kind: h2.FrameType(b[3]), flags: h2.Flags(b[4]),
		id: binary.BigEndian.Uint32(b[5:]) & maxID, payload: b[headerLen:n],
	}, n, nil
}

// frame takes the frame at the start of b and returns its length, 0 while it is
// not all here.
func (c *Conn) frame(b []byte) (int, *ConnError) {
	f, n, err := readFrame(b)
	if n == 0 || err != nil {
		return 0, err
	}
	if !c.started {
		if f.kind != h2.FrameSettings || f.flags.Has(h2.FlagSettingsAck) {
			return 0, errFirstFrame
		}
		c.started = true
	}
	if (c.partsOf != 0) != (f.kind == h2.FrameContinuation) || c.partsOf != 0 && f.id != c.partsOf {
		return 0, errOrder
	}
	if err := f.check(); err != nil {
		return 0, err
	}
	return n, c.take(&f)
}

// check looks at what a type demands of stream number and length.
func (f *frame) check() *ConnError {
	switch f.kind {
	case h2.FrameData, h2.FrameHeaders, h2.FramePriority, h2.FrameRSTStream, h2.FramePushPromise, h2.FrameContinuation:
		if f.id == 0 {
			return errNoStream
		}
	case h2.FrameSettings, h2.FramePing, h2.FrameGoAway:
		if f.id != 0 {
			return errOnStream
		}
	}
	n, ok := len(f.payload), true
	switch f.kind {
	case h2.FrameRSTStream, h2.FrameWindowUpdate:
		ok = n == 4
	case h2.FramePing:
		ok = n == 8
	case h2.FrameGoAway:
		ok = n >= 8
	case h2.FrameSettings:
		ok = n%6 == 0 && (n == 0 || !f.flags.Has(h2.FlagSettingsAck))
	}
	if !ok {
		return errLength
	}
	return nil
}

func (c *Conn) take(f *frame) *ConnError {
	switch f.kind {
	case h2.FrameData:
		return c.takeData(f)
	case h2.FrameHeaders:
		return c.takeHeaders(f)
	case h2.FrameContinuation:
		return c.takeContinuation(f)
	case h2.FrameRSTStream:
		return c.takeReset(f)
	case h2.FramePushPromise:
		return errPush
	case h2.FrameWindowUpdate:
		return c.takeWindowUpdate(f)
	}
	if err := c.charge(); err != nil {
		return err
	}
	switch f.kind {
	case h2.FrameSettings:
		return c.takeSettings(f)
	case h2.FramePriority:
		return c.takePriority(f)
	case h2.FramePing:
		if !f.flags.Has(h2.FlagPingAck) {
			c.writeFrame(h2.FramePing, h2.FlagPingAck, 0, f.payload)
		}
	case h2.FrameGoAway:
		c.takeGoAway(f)
	}
	return nil // types that are not known are ignored (RFC 9113 section 5.5)
}

// unpad returns a payload without its padding (RFC 9113 section 6.1).
func (f *frame) unpad() ([]byte, *ConnError) {
	p := f.payload
	if !f.flags.Has(h2.FlagDataPadded) {
		return p, nil
	}
	if len(p) == 0 {
		return nil, errLength
	}
	padding := int(p[0])
	if p = p[1:]; padding > len(p) {
		return nil, errPadding
	}
	return p[:len(p)-padding], nil
}

// takeReset takes RST_STREAM (RFC 9113 section 6.4).
func (c *Conn) takeReset(f *frame) *ConnError {
	if c.idle(f.id) {
		return errIdle
	}
	s := c.find(f.id)
	if s == nil {
		return c.charge()
	}
	c.pool.Stats.Resets++
	answered := s.remoteEnded && s.localEnded
	s.lose(&StreamError{h2.ErrCode(binary.BigEndian.Uint32(f.payload)), true, ""})
	if answered {
		return c.charge()
	}
	return c.chargeReset()
}

// takePriority checks PRIORITY, which is otherwise ignored (RFC 9113 section 5.3.2).
func (c *Conn) takePriority(f *frame) *ConnError {
	if len(f.payload) == 5 && binary.BigEndian.Uint32(f.payload)&maxID != f.id {
		return nil
	}
	s := c.find(f.id)
	switch {
	case len(f.payload) != 5 && s == nil:
		return errLength
	case len(f.payload) != 5:
		return c.fault(s, h2.ErrCodeFrameSize, "PRIORITY has not its length")
	case s == nil:
		return errDependsOnSelf
	}
	return c.fault(s, h2.ErrCodeProtocol, errDependsOnSelf.Reason)
}

// takeGoAway takes GOAWAY (RFC 9113 section 6.8): streams that the server will not
// look at can be tried elsewhere.
func (c *Conn) takeGoAway(f *frame) {
	c.left = true
	if !c.client {
		return
	}
	last := binary.BigEndian.Uint32(f.payload) & maxID
	for i := len(c.streams) - 1; i >= 0; i-- { // backwards: one may go
		if s := c.streams[i]; s.id > last {
			s.lose(errNotTaken)
		}
	}
	for _, s := range c.unnumbered {
		s.lose(errNotTaken)
	}
}

var errNotTaken = &StreamError{h2.ErrCodeRefusedStream, true, "the server goes away"}

// takeSettings takes SETTINGS (RFC 9113 section 6.5).
func (c *Conn) takeSettings(f *frame) *ConnError {
	if f.flags.Has(h2.FlagSettingsAck) {
		return nil
	}
	for p := f.payload; len(p) > 0; p = p[6:] {
		if err := c.set(h2.SettingID(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	c.writeFrame(h2.FrameSettings, h2.FlagSettingsAck, 0, nil)
	return nil
}

func (c *Conn) set(id h2.SettingID, v uint32) *ConnError {
	switch id {
	case h2.SettingEnablePush:
		if v > 1 || v == 1 && c.client {
			return errSetting
		}
	case h2.SettingMaxFrameSize:
		if v < MaxFrame || v > 1<<24-1 {
			return errSetting
		}
	case h2.SettingMaxConcurrentStreams:
		c.peerMax = v
	case h2.SettingInitialWindowSize:
		return c.setInitialWindow(v)
	}
	return nil // the table's size is always enough: nothing is indexed
}

// setInitialWindow changes the windows of all streams (RFC 9113 section 6.9.2).
func (c *Conn) setInitialWindow(v uint32) *ConnError {
	if v > maxWindow {
		return errWindowSetting
	}
	change := int64(v) - c.peerWindow
	c.peerWindow = int64(v)
	for _, s := range c.streams {
		if s.window += change; s.window > maxWindow {
			return errWindowSetting
		}
	}
	if change > 0 {
		c.wake()
	}
	return nil
}
