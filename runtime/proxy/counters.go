//go:build linux

package proxy

import (
	"sync/atomic"
	"unsafe"
)

// Counts is what is counted for a listener and for each backend.
type Counts struct {
	Connections int64 // open now
	Requests    int64 // listener: connections accepted, of HTTP requests; backend: connections established, of HTTP requests sent
	Errors      int64 // listener: clients that no server could be had for, of HTTP every 502 and 504 too; backend: failed connects and broken answers
	Failures    int64 // backend: answers of 5xx
	TimedOut    int64 // given up after the time without a byte
	Cut         int64 // reset at the deadline of a drain
	Denied      int64 // listener: clients that the access list keeps out
	Dropped     int64 // listener: clients beyond what the balancer's spec allows
	Shed        int64 // listener: clients of HTTP let go, since they asked nothing while descriptors were scarce
	BytesIn     int64 // from clients
	BytesOut    int64 // from servers
}

func (c *Counts) add(d Counts) {
	c.Connections += d.Connections
	c.Requests += d.Requests
	c.Errors += d.Errors
	c.Failures += d.Failures
	c.TimedOut += d.TimedOut
	c.Cut += d.Cut
	c.Denied += d.Denied
	c.Dropped += d.Dropped
	c.Shed += d.Shed
	c.BytesIn += d.BytesIn
	c.BytesOut += d.BytesOut
}

// minus is what was counted since it was d.
func (c Counts) minus(d Counts) Counts {
	return Counts{
		Connections: c.Connections - d.Connections, Requests: c.Requests - d.Requests, Errors: c.Errors - d.Errors,
		Failures: c.Failures - d.Failures, TimedOut: c.TimedOut - d.TimedOut, Cut: c.Cut - d.Cut,
		Denied: c.Denied - d.Denied, Dropped: c.Dropped - d.Dropped, Shed: c.Shed - d.Shed,
		BytesIn: c.BytesIn - d.BytesIn, BytesOut: c.BytesOut - d.BytesOut,
	}
}

// SecureCounts is what is counted of an HTTPS listener besides.
type SecureCounts struct {
	HandshakesFailed   int64 // also in Errors
	HandshakesTimedOut int64 // also in TimedOut
	HandshakesDropped  int64 // beyond the listener's rate; also in Dropped
	FloodsCut          int64 // connections of HTTP/2 that cost too much; also in Errors
	StreamsRefused     int64 // of HTTP/2, beyond those that a connection may have
}

// Counters are the totals of a listener and the numbers of each backend by name,
// also of those of earlier generations that still have connections: of its own
// pool, and of each rule's by the rule's address.
type Counters struct {
	Counts
	Secure   SecureCounts
	Backends map[string]Counts
	Rules    map[string]map[string]Counts
}

// Counters adds up what the loops have counted. Without traffic, Requests of
// the listener is the sum of its backends' Requests and its own Errors, except
// for clients that gave up while a server was being connected.
func (h *Handler) Counters() Counters {
	own := map[string]Counts{}
	total := Counters{Counts: h.gone, Backends: own, Rules: map[string]map[string]Counts{}}
	for _, t := range h.tallies() {
		counts := t.sum()
		total.add(counts)
		of := own
		if t.pool != h.listener.Owner {
			if of = total.Rules[t.pool]; of == nil {
				of = map[string]Counts{}
				total.Rules[t.pool] = of
			}
		}
		of[t.name] = counts
	}
	front := h.front.sum()
	front.BytesIn += total.BytesIn
	front.BytesOut += total.BytesOut
	front.TimedOut += total.TimedOut
	front.Cut += total.Cut
	total.Counts = front
	total.Secure = h.front.secure()
	return total
}

// backendKey names a backend: its pool's owner and its name there.
type backendKey struct{ pool, name string }

// tally is the counters of one backend, or of what concerns none. It outlives
// the Handler that made it: the next generation goes on with it.
type tally struct {
	backendKey
	// What a process before this one has counted; set before the first Serve.
	before        Counts
	beforeSecure  SecureCounts
	beforeTraffic Traffic
	lanes         atomic.Pointer[[]lane] // by loop; nil before the first Serve
}

// lane is what one loop counts. Only that loop writes it, so the atomics are
// never contended; being 3 * 128 bytes, it keeps loops out of each other's cache lines.
type lane struct {
	open, requests, errors, failures, timedOut, cut, denied, dropped, shed, in, out atomic.Int64
	unshaken, slowShakes, tooManyShakes, floods, refusedStreams                     atomic.Int64

	Traffic
	_ [256 - unsafe.Sizeof(Traffic{})]byte
}

func (t *tally) attach(loops int) {
	if t.lanes.Load() == nil {
		lanes := make([]lane, loops)
		t.lanes.Store(&lanes)
	}
}

func (t *tally) lane(loop int) *lane { return &(*t.lanes.Load())[loop] }

func (t *tally) sum() Counts {
	c := t.before
	lanes := t.lanes.Load()
	if lanes == nil {
		return c
	}
	for i := range *lanes {
		n := &(*lanes)[i]
		c.add(Counts{
			Connections: n.open.Load(), Requests: n.requests.Load(), Errors: n.errors.Load(), Failures: n.failures.Load(),
			TimedOut: n.timedOut.Load(), Cut: n.cut.Load(),
			Denied: n.denied.Load(), Dropped: n.dropped.Load(), Shed: n.shed.Load(), BytesIn: n.in.Load(), BytesOut: n.out.Load(),
		})
	}
	return c
}

func (t *tally) secure() SecureCounts {
	c := t.beforeSecure
	lanes := t.lanes.Load()
	if lanes == nil {
		return c
	}
	for i := range *lanes {
		n := &(*lanes)[i]
		c.HandshakesFailed += n.unshaken.Load()
		c.HandshakesTimedOut += n.slowShakes.Load()
		c.HandshakesDropped += n.tooManyShakes.Load()
		c.FloodsCut += n.floods.Load()
		c.StreamsRefused += n.refusedStreams.Load()
	}
	return c
}
