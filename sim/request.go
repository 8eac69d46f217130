package sim

import (
	"net/netip"

	"slbctl/runtime/balance"
)

// ask lets the client of an arrival make a request, in the order in which the live
// balancer decides: who may connect, who may ask, which rule, which server.
func (r *run) ask(k int, index uint64) {
	v := r.visits[k]
	client, w := v.whose(index), v.asks(index)
	n := v.next(client)
	c := r.comes(k, index)
	c.pool, c.sticky, c.visits, c.visitor, c.way, c.first = -1, balance.NoBackend, v, client, w, v.made != nil && n == 0
	if r.observe != nil {
		c.last = v.ends(n)
		c.client.Source = netip.AddrPortFrom(v.address(client), v.port(index))
	}
	if o := r.question(v, c, n); o != Served {
		r.finish(c, o, 0)
		return
	}
	if cookie := v.cookie(client, w); cookie != nil {
		c.sticky = r.cookies.backend(w.route, cookie, r.now)
	}
	r.try(c)
}

// question is everything that is decided about the nth request of a session before a
// server is chosen; Served if one is to be.
func (r *run) question(v *visits, c *connection, n int) Outcome {
	if !r.listener.Serving {
		return Failed
	}
	a, ends := r.connect(v, c.visitor, n)
	switch a {
	case balance.Denied:
		return Denied
	case balance.Dropped:
		return Dropped
	}
	c.leaves = ends
	if !r.quota.MayAsk(r.share, r.now) {
		return Dropped
	}
	c.pool = c.way.route
	return c.way.outcome
}
