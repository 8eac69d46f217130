package http2

import (
	"errors"

	h2 "golang.org/x/net/http2"
)

// ErrCode is why a stream or a connection ends (RFC 9113 section 7).
type ErrCode = h2.ErrCode

// ConnError ends a connection (RFC 9113 section 5.4.1). The GOAWAY that says so is
// in Out already.
type ConnError struct {
	Code   ErrCode
	Reason string // for a log
}

// Flood reports whether the peer was cut off because it cost too much.
func (e *ConnError) Flood() bool { return e.Code == h2.ErrCodeEnhanceYourCalm }

func (e *ConnError) Error() string {
	return "HTTP/2 connection ended with " + e.Code.String() + ": " + e.Reason
}

// StreamError has ended a stream (RFC 9113 section 5.4.2).
type StreamError struct {
	Code   ErrCode
	Remote bool   // the peer has reset it
	Reason string // for a log
}

func (e *StreamError) Error() string {
	who := "here"
	if e.Remote {
		who = "by the peer"
	}
	return "HTTP/2 stream reset " + who + " with " + e.Code.String() + ": " + e.Reason
}

// Retry reports whether the peer has said that it did nothing of the request (RFC
// 9113 section 8.7).
func (e *StreamError) Retry() bool { return e.Remote && e.Code == h2.ErrCodeRefusedStream }

// ErrGone is the error of every stream whose connection has ended.
var ErrGone = errors.New("the HTTP/2 connection has ended")

// What the writer of a stream does wrong.
var (
	errExcess   = errors.New("bytes after the end of an HTTP/2 stream's message")
	errSwitched = errors.New("HTTP/2 has no status 101")
	errCutShort = errors.New("an HTTP/2 stream's message was not finished")
)

func connError(code ErrCode, reason string) *ConnError { return &ConnError{code, reason} }

// Connection errors are made once: a storm of them allocates nothing.
var (
	errPreface       = connError(h2.ErrCodeProtocol, "the connection preface is not HTTP/2's")
	errFirstFrame    = connError(h2.ErrCodeProtocol, "the first frame is not SETTINGS")
	errFrameSize     = connError(h2.ErrCodeFrameSize, "a frame is larger than announced")
	errLength        = connError(h2.ErrCodeFrameSize, "a frame has not the length of its type")
	errOrder         = connError(h2.ErrCodeProtocol, "a header block is interrupted, or continued where there is none")
	errNoStream      = connError(h2.ErrCodeProtocol, "a frame of a stream has none")
	errOnStream      = connError(h2.ErrCodeProtocol, "a frame of the connection has a stream")
	errIdle          = connError(h2.ErrCodeProtocol, "a frame is for a stream that was never opened")
	errStreamID      = connError(h2.ErrCodeProtocol, "a stream's number is not one that the peer may open")
	errClosed        = connError(h2.ErrCodeStreamClosed, "HEADERS for a stream that has ended")
	errPadding       = connError(h2.ErrCodeProtocol, "padding is longer than its frame")
	errDependsOnSelf = connError(h2.ErrCodeProtocol, "a stream depends on itself")
	errPush          = connError(h2.ErrCodeProtocol, "PUSH_PROMISE was not allowed")
	errSetting       = connError(h2.ErrCodeProtocol, "a setting has a value that it cannot have")
	errWindowSetting = connError(h2.ErrCodeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large")
	errIncrement     = connError(h2.ErrCodeProtocol, "the connection's window is increased by 0")
	errWindow        = connError(h2.ErrCodeFlowControl, "the connection's window is increased beyond 2^31-1")
	errOverWindow    = connError(h2.ErrCodeFlowControl, "more DATA than the connection's window")
	errCompression   = connError(h2.ErrCodeCompression, "a header block cannot be decoded")

	errRapidReset   = connError(h2.ErrCodeEnhanceYourCalm, "too many streams were reset before their answer")
	errControlFlood = connError(h2.ErrCodeEnhanceYourCalm, "too many frames that move nothing")
	errHeaderFlood  = connError(h2.ErrCodeEnhanceYourCalm, "a header block is too large")
	errOutputFlood  = connError(h2.ErrCodeEnhanceYourCalm, "replies are not read")
)
