package http1

import "strconv"

// Error is why a message is refused. The connection it came on has to be closed:
// where the next message starts is not known.
type Error struct {
	Status int    // what the client is answered; 502 when a server sent the message
	Reason string // for a log: what was wrong with it
}

func (e *Error) Error() string {
	who := "request"
	if e.Status == statusBadGateway {
		who = "response"
	}
	return who + " refused with " + strconv.Itoa(e.Status) + ": " + e.Reason
}

const (
	statusBadRequest  = 400
	statusBadGateway  = 502
	statusNoMethod    = 405
	statusLongTarget  = 414
	statusExpectation = 417
	statusLargeHead   = 431
)

func refusal(reason string) *Error { return &Error{statusBadRequest, reason} }

// Refusals are made once: a storm of bad requests allocates nothing.
var (
	errMethod       = refusal("the method is not a word in upper case")
	errRequestLine  = refusal("the request line is not method, target and version with one space between")
	errTarget       = refusal("the target has a character that no URL has")
	errForm         = refusal("the target is neither a path nor an http:// URL")
	errAsterisk     = refusal("only OPTIONS may ask for *")
	errVersion      = refusal("the version is neither HTTP/1.0 nor HTTP/1.1")
	errNoMethod     = &Error{statusNoMethod, "CONNECT and TRACE are not for a balancer"}
	errLongTarget   = &Error{statusLongTarget, "the target is longer than 8 KiB"}
	errLargeHead    = &Error{statusLargeHead, "the head is larger than 32 KiB"}
	errManyFields   = &Error{statusLargeHead, "the head has more than 100 fields"}
	errExpectation  = &Error{statusExpectation, "Expect asks for something other than 100-continue"}
	errLineEnd      = refusal("a line does not end with CR LF")
	errFolded       = refusal("a field is continued on the next line")
	errFieldName    = refusal("a field name is empty, not a token or not followed by a colon")
	errFieldValue   = refusal("a field value has a control character")
	errTwin         = refusal("a field name is a framing field's with _ for -")
	errNoHost       = refusal("an HTTP/1.1 request has no Host")
	errHosts        = refusal("Host is there twice")
	errHost         = refusal("Host is not a name or address with an optional port")
	errAuthority    = refusal("Host is not the authority of the target")
	errConnection   = refusal("Connection is not a list of tokens, or names too many fields")
	errLength       = refusal("Content-Length is not a number")
	errLengths      = refusal("Content-Length is there twice")
	errBothFramings = refusal("Content-Length and Transfer-Encoding are both there")
	errCoding       = refusal("Transfer-Encoding is not just chunked")
	errOldCoding    = refusal("Transfer-Encoding is not of HTTP/1.0")
	errStatusLine   = refusal("the status line is not version, status and reason")
	errSwitch       = refusal("status 101 names no protocol")
	errChunkSize    = refusal("a chunk size is not 1 to 15 hexadecimal digits")
	errChunkLine    = refusal("a chunk extension is malformed or longer than 256 bytes")
	errChunkEnd     = refusal("a chunk does not end with CR LF")
	errTrailer      = refusal("a trailer is malformed or the trailers are larger than 8 KiB")
	errTrailerName  = refusal("a trailer has the name of a field that belongs into the head")
)

// ofServer is the same refusal of what a server sent.
func (e *Error) ofServer() *Error {
	return &Error{statusBadGateway, e.Reason}
}
