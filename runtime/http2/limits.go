package http2

import (
	"time"

	"slbctl/runtime/http1"
)

// What a peer may take. Streams beyond MaxStreams are refused, larger or more fields
// than http1 takes get 431; the rest ends the connection with ENHANCE_YOUR_CALM.
const (
	MaxStreams = 128               // at once on a connection
	MaxFrame   = 16 << 10          // bytes of a frame's payload, the least that RFC 9113 section 4.2 allows
	MaxUnread  = 9 + MaxFrame      // bytes that Feed may leave: less than a whole frame
	MaxList    = http1.MaxHead     // bytes of a header list as RFC 9113 section 6.5.2 counts them
	MaxFields  = http1.MaxFields   // field lines of a header list
	maxBlock   = 64 << 10          // bytes of a header block, as it is encoded
	maxParts   = 32                // frames of a header block
	maxInterim = 2 * http1.MaxHead // bytes of informational answers that nobody has read

	tableSize    = 4 << 10   // bytes of the table for header fields that the peer may index
	streamWindow = 64 << 10  // bytes of a body that nobody has read
	connWindow   = 512 << 10 // the same of all streams together

	// Answers go out as long as less than outLimit waits to be written. More is only
	// control frames, and one header block.
	outLimit = 64 << 10
	outMost  = outLimit + 2*http1.MaxHead

	// Frames that move nothing (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA …)
	// and streams that end without an answer are paid out of what time and work
	// bring in.
	maxControl    = 1000
	maxResets     = 400
	refillEvery   = int64(100 * time.Millisecond)
	refillControl = 1
	refillResets  = 2
	streamPays    = 32      // control frames that a finished stream pays
	freeIncrement = 1 << 10 // bytes from which on a WINDOW_UPDATE costs nothing
	framePays     = 2       // that a DATA frame sent pays, and one more for each KiB
)

// Stats counts what happened on the connections of a Pool.
type Stats struct {
	Connections uint64
	Streams     uint64 // opened by either side
	Refused     uint64 // beyond MaxStreams or after GOAWAY
	Malformed   uint64 // messages that RFC 9113 section 8.1.1 calls so
	TooLarge    uint64 // requests that get 414 or 431
	Resets      uint64 // streams that the peer has reset
	StreamErrs  uint64 // streams that this side has reset for an error of the peer's
	ConnErrs    uint64 // connections that ended with an error of the peer's

	// Of ConnErrs those with ENHANCE_YOUR_CALM, by reason.
	RapidResets   uint64
	ControlFloods uint64
	HeaderFloods  uint64
	OutputFloods  uint64
}
