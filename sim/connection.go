package sim

import (
	"slices"
	"time"

	"slbctl/runtime/balance"
)

// connection is one that looks for a server.
type connection struct {
	client  balance.Client
	came    int64
	stretch int // that counts it: the one it came in
	tried   balance.Tried
	on      int   // the silent server it waits for
	due     int64 // until when
}

// arrive is the fast path: nearly every connection is served by its first server.
func (r *run) arrive(k int, a *arrivals) {
	r.requests++
	s := &r.stretches[len(r.stretches)-1]
	s.requests++
	var c connection
	if r.clients != nil {
		c.client = balance.Client{Source: r.clients[k].source(a.index), Destination: r.listener.Endpoint}
	}
	c.came, c.stretch, c.tried = r.now, len(r.stretches)-1, r.scratch[:0]
	r.try(&c)
	r.scratch = c.tried
}

// try takes a connection from server to server until one takes it, one is silent, or
// none is left.
func (r *run) try(c *connection) {
	for r.listener.Serving && len(c.tried) < r.table.MaxTries() {
		i, ok := r.table.Pick(r.state, c.client, c.tried)
		if !ok {
			break
		}
		switch r.servers[i].answer() {
		case accepts:
			r.state.Done(i)
			r.stretches[c.stretch].served[i]++
			r.tell(c, r.listener.Backends[i].Name)
			return
		case refuses:
			r.state.Done(i)
			c.tried.Add(i)
		case silent:
			c.on, c.due = i, r.now+int64(connectTimeout)
			waits := *c
			waits.tried = slices.Clone(c.tried)
			r.waiting.push(waits)
			return
		}
	}
	r.stretches[c.stretch].errors++
	r.tell(c, "")
}

// timeout lets the connection that waited longest give its server up.
func (r *run) timeout() {
	c := r.waiting.pop()
	r.state.Done(c.on)
	c.tried.Add(c.on)
	r.try(&c)
}

func (r *run) tell(c *connection, backend string) {
	if r.observe != nil {
		r.observe(Pick{At: time.Duration(c.came), Client: c.client, Backend: backend, OK: backend != ""})
	}
}

// queue holds connections that wait for a silent server. All wait equally long, so
// first in is first out. It is a ring that grows.
type queue struct {
	ring        []connection
	first, size int
}

func (q *queue) empty() bool       { return q.size == 0 }
func (q *queue) head() *connection { return &q.ring[q.first] }

func (q *queue) push(c connection) {
	if q.size == len(q.ring) {
		grown := make([]connection, max(64, 2*q.size))
		n := copy(grown, q.ring[q.first:])
		copy(grown[n:], q.ring[:q.first])
		q.ring, q.first = grown, 0
	}
	q.ring[(q.first+q.size)%len(q.ring)] = c
	q.size++
}

func (q *queue) pop() connection {
	c := q.ring[q.first]
	q.ring[q.first] = connection{}
	q.first = (q.first + 1) % len(q.ring)
	q.size--
	return c
}
