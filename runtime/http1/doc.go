// Package http1 frames HTTP/1.1 for a proxy, strictly (RFC 9110, RFC 9112): it
// reads a head, says where the body ends and writes the head that goes on.
//
//	n, err := request.Parse(buffer)
//	switch {
//	case err != nil: // a *Error: answer with its status and close
//	case n == 0: // not all here: look again when Grown says so
//	default:
//		out = request.AppendHead(out, &http1.Forward{Client: address, Lines: lines})
//		body.OfRequest(&request)
//		used, done, err := body.Feed(buffer[n:])
//	}
//
// One reading of every message: whatever two servers could read differently is
// refused, not repaired, and what goes on is written from what was understood.
// So framing fields are written in their plainest form, the blanks around a
// value become one, and neither a body nor a chunk can end elsewhere for the
// next server than it did here.
//
// The package moves no bytes itself, keeps no clock and imports nothing of this
// module. A Request and a Response point into the buffer they were parsed from:
// they are good until it changes. Both are made to be used again; in steady
// state neither parsing nor writing allocates.
package http1

// What a head may take. More is refused as soon as it is seen, also when the
// head is not complete.
const (
	MaxTarget = 8 << 10  // bytes of a request target: 414
	MaxHead   = 32 << 10 // bytes of a head with its empty line: 431
	MaxFields = 100      // field lines of a head: 431

	maxMethod = 32 // bytes of a method
	maxNamed  = 16 // fields that Connection may name
)

// Grown reports whether a head that was incomplete at old bytes is worth parsing
// again: a line has ended since, something came that no head has, or a limit
// has come in reach. Asking first keeps a client that sends a head byte by byte
// from having it read each time: at most twice for each line. The next time old
// is len(b), whatever the answer was; 0 means that nobody has looked yet.
func Grown(b []byte, old int) bool {
	if old == 0 || b[old-1] == '\r' {
		return true
	}
	for _, c := range b[old:] {
		if classes[c]&valueChar == 0 {
			return true
		}
	}
	for _, limit := range limits {
		if old <= limit && len(b) > limit {
			return true
		}
	}
	return false
}

// limits are the lengths from which on an incomplete head has a method, a target
// behind the longest method, or all in all more than it may have.
var limits = [...]int{maxMethod + len("\r\n"), len("\r\n") + maxMethod + len(" ") + MaxTarget, MaxHead - 1}
