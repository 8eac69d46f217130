// Package loadgen sends a listener requests at the times that they are meant for, whatever
// becomes of those before (open loop):
//
//	report := loadgen.Run(ctx, loadgen.Target{Endpoint: endpoint, Patience: 10 * time.Second}, calls, loadgen.Options{Start: start, Workers: 1024})
//	for k, reply := range report.Replies {
//		latency := reply.Done - calls[k].At
//	}
//
// How long a request took is told from when it was meant to be sent, so one that was held
// up by others counts the time that it waited: a server that stalls for a second delays all
// who would have come in that second, and not just one (no coordinated omission). How late
// the generator itself was is told besides. Clients come from addresses of their own, keep
// connections and cookies from one request to the next, and ask who serves them
// (webserver.NameHeader).
package loadgen

import (
	"net/netip"
	"time"
)

// Target is who is asked.
type Target struct {
	Endpoint netip.AddrPort
	Web      bool // it speaks HTTP; else each call is a connection, over which a server is asked for a page
	Echo     bool // or one over which a server sends back what it gets
	Datagram bool // or a datagram of UDP that a server sends back
	Secure   bool // TLS
	Herald   bool // it takes the PROXY protocol
	// Patience is how long an answer may take from when the request was sent.
	Patience time.Duration
}

// Call is a request, or on L4 a connection.
type Call struct {
	At     time.Duration  // when it is to be sent, since the start; calls are in this order
	Source netip.AddrPort // who asks; port 0 = the kernel's choice
	Host   string
	Path   string // and query, sent as it is

	// Of HTTP.
	Visitor uint64 // whose it is: connections and cookies are a visitor's
	Cookies bool   // the visitor keeps them
	First   bool   // it begins a session: without cookies, on a connection of its own
	Last    bool   // the connection ends with it
}

// Fate is what became of a call.
type Fate uint8

// The fates.
const (
	Unsent   Fate = iota // this machine could not, or the run was over before its turn
	Answered             // by a server, or by the balancer itself
	Closed               // refused, or closed or reset before the first byte of an answer
	Silent               // no whole answer within the patience
	Broken               // what came is no whole answer
)

// Reply is what became of a call. Times are since the start.
type Reply struct {
	Fate   Fate
	Sent   time.Duration  // when its turn came in fact
	Done   time.Duration  // when the answer was there to its last byte, or the call was given up
	Status int            // of HTTP
	Server netip.AddrPort // who names himself in the answer; not valid = nobody does
	Source netip.AddrPort
	Err    error // nil if it was answered
}

// Options of Run.
type Options struct {
	Start   time.Time // that Call.At is counted from
	Workers int       // calls under way at once, at most
	Lines   int       // connections that clients keep open at once, at most; 0 = DefaultLines
}

// DefaultLines is how many idle connections are kept.
const DefaultLines = 8192

// Report is a run.
type Report struct {
	Replies []Reply // by call
	Unsent  int
	AtOnce  int // the most calls under way at one time
	Waited  int // calls whose turn came late because every worker was busy
	Hung    int // connections that were closed to stay within Options.Lines
	Lag     Lag
}

// Lag is how much later than meant calls were sent.
type Lag struct{ P50, P99, Max time.Duration }
