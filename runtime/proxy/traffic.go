//go:build linux

package proxy

import (
	"sync"
	"time"
)

// TimeBounds are the upper bounds of Exchanges.Times, each inclusive.
var TimeBounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 10 * time.Second,
}

// Exchanges are requests of HTTP that have ended, of a listener or a server.
type Exchanges struct {
	Nanos int64 `json:"nanos"` // that they took in all
	// Classes are by the status of the answer: 2xx to 5xx are 1 to 4, everything else is 0.
	// To a listener's clients that is what the access log says, 4xx for those who went
	// before their answer had. From a server it is 0 where none came.
	Classes [5]int64 `json:"classes"`
	// Times are by TimeBounds, the last is what took longer. A listener's are those of the
	// product's Rt, from a request's first byte to its answer's last, a server's those of
	// UpstreamRt, from when it was picked or a connection to it was begun.
	Times [len(TimeBounds) + 1]int64 `json:"times"`
}

// count adds one that took so many nanoseconds.
func (e *Exchanges) count(status uint16, took int64) {
	class := status/100 - 1
	if class > 4 {
		class = 0
	}
	e.Classes[class]++
	n := 0
	for n < len(TimeBounds) && took > int64(TimeBounds[n]) {
		n++
	}
	e.Times[n]++
	e.Nanos += took
}

// Count is how many they are.
func (e *Exchanges) Count() (n int64) {
	for _, class := range e.Classes {
		n += class
	}
	return n
}

// Traffic is what is counted besides Counts. Only the loop that counts looks at it, so
// that counting is a plain addition; Totals asks the loops.
type Traffic struct {
	Busy int64 `json:"-"` // listener of HTTP: connections in a request now, and tunnels
	Exchanges
	Accepted   int64 `json:"accepted"`    // listener of HTTP: connections
	OverLimit  int64 `json:"over_limit"`  // listener: connections, of UDP datagrams, beyond the balancer's spec; in Dropped, too
	OverQPS    int64 `json:"over_qps"`    // listener of HTTP: requests beyond a limit; in Dropped, too
	PacketsIn  int64 `json:"packets_in"`  // backend of UDP: datagrams from clients
	PacketsOut int64 `json:"packets_out"` // backend of UDP: datagrams from the server
}

func (t *Traffic) add(d *Traffic) { t.plus(d, 1) }

// minus is what was counted since it was d.
func (t Traffic) minus(d *Traffic) Traffic {
	t.plus(d, -1)
	return t
}

func (t *Traffic) plus(d *Traffic, sign int64) {
	for i, n := range d.Classes {
		t.Classes[i] += sign * n
	}
	for i, n := range d.Times {
		t.Times[i] += sign * n
	}
	t.Nanos += sign * d.Nanos
	t.Busy += sign * d.Busy
	t.Accepted += sign * d.Accepted
	t.OverLimit += sign * d.OverLimit
	t.OverQPS += sign * d.OverQPS
	t.PacketsIn += sign * d.PacketsIn
	t.PacketsOut += sign * d.PacketsOut
}

// Totals are what a Handler's loops have counted besides Counters.
type Totals struct {
	Front    Traffic // of the listener
	Upstream Traffic // of all its servers, also of those that have gone
	servers  map[backendKey]Traffic
}

// Server is what was counted of one backend of a pool.
func (t *Totals) Server(owner, name string) Traffic { return t.servers[backendKey{owner, name}] }

// Totals asks every loop, in a turn of its own.
func (h *Handler) Totals() Totals {
	tallies := append(h.tallies(), h.front)
	sums := make([]Traffic, len(tallies))
	for i, t := range tallies {
		sums[i] = t.beforeTraffic
	}
	if s := h.server.Load(); s != nil {
		for _, loop := range s.traffic(tallies) {
			for i := range loop {
				sums[i].add(&loop[i])
			}
		}
	}
	last := len(sums) - 1
	total := Totals{Front: sums[last], Upstream: h.goneTraffic, servers: make(map[backendKey]Traffic, last)}
	for i, t := range tallies[:last] {
		total.servers[t.backendKey] = sums[i]
		total.Upstream.add(&sums[i])
	}
	return total
}

// traffic is what each loop has counted.
func (s *Server) traffic(tallies []*tally) [][]Traffic {
	loops := make([][]Traffic, len(s.workers))
	var asked sync.WaitGroup
	for n, w := range s.workers {
		asked.Add(1)
		tell := func() {
			defer asked.Done()
			loops[n] = make([]Traffic, len(tallies))
			for i, t := range tallies {
				if t.lanes.Load() != nil {
					loops[n][i] = t.lane(n).Traffic
				}
			}
		}
		if !w.loop.Post(tell) {
			tell() // the loop has ended, so nobody else is on its lanes
		}
	}
	asked.Wait()
	return loops
}

// traffic is what was counted of a backend that has no flow any more: its loops are done
// with it.
func (t *tally) traffic() Traffic {
	sum := t.beforeTraffic
	if lanes := t.lanes.Load(); lanes != nil {
		for i := range *lanes {
			sum.add(&(*lanes)[i].Traffic)
		}
	}
	return sum
}
