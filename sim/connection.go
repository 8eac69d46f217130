package sim

import (
	"net/netip"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// connection is one that looks for a server; on HTTP, a request.
type connection struct {
	client  balance.Client
	came    int64
	stretch *stretch // that counts it: the one it came in
	demand  int64    // the work that it is, ns
	done    int64    // when that was done; without a service, when it came to a server
	pool    int      // that it is for, by index in run.pools; -1 = none, or not decided yet
	tried   balance.Tried
	on      int   // the server that hangs and has it, in its pool
	due     int64 // until when the listener waits for that one
	reached bool  // a server that did not answer has got it
	lost    bool  // one has closed it without a word
	leaves  bool  // the client's connection to the balancer ends with it
	epoch   int   // of run; of one that waits
	stream  int

	// Of HTTP.
	visits  *visits // nil on L4
	visitor uint64  // the client
	way     *way
	sticky  int  // the server that the client's cookie names
	kept    bool // it has gone there
	first   bool // of its session
	baked   bool // it has its cookie already
	last    bool // of its connection
}

// arrive lets a connection come on L4. It is the fast path: nearly every one is served
// by its first server.
func (r *run) arrive(k int, index uint64) {
	c := r.comes(k, index)
	c.pool = r.serving.base
	clients := r.clients[k]
	if clients != nil {
		c.visitor = clients.client(index)
		c.client.Source = netip.AddrPortFrom(clients.address(c.visitor), clients.port(index))
	}
	if r.limited {
		if o := r.admit(c); o != Served {
			r.finish(c, o, 0)
			return
		}
	}
	r.try(c)
}

// comes begins to count a connection, in the one record that all use while nothing makes
// them wait. What depends on the protocol, the caller fills in.
func (r *run) comes(k int, index uint64) *connection {
	c := &r.coming
	c.came, c.stretch, c.tried, c.leaves, c.stream = r.now, r.stretch, c.tried[:0], false, k
	c.reached, c.lost = false, false
	if r.demands != nil {
		c.demand = r.demands[k].draw(index)
	}
	return c
}

// admit asks the core whether a client may connect. Where it says first for whom it
// comes, it does so at once.
func (r *run) admit(c *connection) Outcome {
	source := c.client.Source.Addr()
	switch {
	case !r.listener.Serving:
		return Failed
	case r.listener.AcceptProxyProtocol && !r.listener.ACL.Allows(source):
		return Denied
	}
	switch r.listener.Admit(source, r.quota, r.now) {
	case balance.Denied:
		return Denied
	case balance.Dropped:
		return Dropped
	}
	c.leaves = true
	return Served
}

// try takes a connection from server to server until one takes it, or none is left.
func (r *run) try(c *connection) {
	p := &r.pools[c.pool]
	for r.listener.Serving && (len(c.tried) == 0 || len(c.tried) < r.listener.Tries(p.table)) {
		i, ok := r.pick(p, c)
		if !ok {
			break
		}
		s := &r.servers[p.first+i]
		if s.fine && (s.station == nil || !s.station.full(r.now)) {
			r.serve(p, c, i)
			return
		}
		switch s.answers(r.now) {
		case accepts:
			if status := s.errs(); status > 0 {
				if r.errored(p, c, i, status) {
					continue
				}
				return
			}
			r.serve(p, c, i)
			return
		case refuses:
			if r.listener.Protocol == spec.ProtocolUDP {
				r.drop(p, c, i)
				return
			}
			p.state.Done(i)
			c.tried.Add(i)
			if !reconnects(r.listener) {
				r.finish(c, Failed, 0)
				return
			}
		case mute:
			r.hang(p, c, i)
			return
		}
	}
	r.finish(c, Failed, 0)
}

// pick asks the core for a server. Without persistence PickClient is Pick; that way
// round saves one copy of the client.
func (r *run) pick(p *pool, c *connection) (i int, ok bool) {
	switch {
	case c.visits != nil:
		i, c.kept, ok = p.table.PickRequest(p.state, &c.client, c.sticky, c.tried)
		return i, ok
	case p.PersistenceTimeout > 0:
		return p.table.PickClient(p.state, &c.client, c.tried, r.now)
	}
	return p.table.Pick(p.state, &c.client, c.tried)
}

// finish ends a connection and counts what became of it; i is the server of its pool that served it.
func (r *run) finish(c *connection, o Outcome, i int) {
	s := c.stretch
	switch {
	case o == Served:
		p := &r.pools[c.pool]
		s.served[p.first+i]++
		if s.latency != nil {
			s.latency.record(c.done - c.came)
		}
		if c.visits != nil && !c.baked {
			if k := c.visits.cookie(c.visitor, c.way); k != nil {
				r.cookies.give(p, k, c, i, r.now)
			}
		}
		if r.moves != nil {
			r.moves.see(c, p.first+i)
		}
	case c.pool >= 0:
		s.routes[c.pool][o]++
	default:
		s.lost[o]++
	}
	for _, g := range s.gauges {
		server := 0
		if c.pool >= 0 {
			server = r.pools[c.pool].first + i
		}
		g.observe(o, server, c.done-c.came)
	}
	if c.leaves {
		r.quota.Connections.Leave()
	}
	if r.observe != nil {
		r.tell(c, o, i)
	}
}

func (r *run) tell(c *connection, o Outcome, i int) {
	p := Pick{At: time.Duration(c.came), Client: c.client, Outcome: o, First: c.first, Stream: c.stream, Visitor: c.visitor, conn: c, index: i}
	if o == Served {
		if c.stretch.latency != nil {
			p.Took = time.Duration(c.done - c.came)
		}
		p.Backend = r.pools[c.pool].Backends[i].Name
	}
	if c.pool >= 0 {
		p.Route = r.pools[c.pool].Owner
	}
	if c.way != nil {
		p.Host, p.Path = c.way.host, c.way.path
	}
	r.observe(p)
}
