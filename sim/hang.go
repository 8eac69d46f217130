package sim

import (
	"math"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// A server that hangs takes connections and answers nothing on them (spec.InstanceFault), so that a check of TCP
// finds nothing wrong with it. What it has is in flight until the listener or the client has had enough, or until
// it comes to itself, or goes: then it closes it without a word.

// hang leaves a connection with server i of its pool.
func (r *run) hang(p *pool, c *connection, i int) {
	if r.listener.Protocol == spec.ProtocolUDP {
		r.drop(p, c, i)
		return
	}
	limit := r.listener.EstablishedTimeout
	if c.visits != nil {
		limit = r.listener.RequestTimeout
	}
	c.on, c.due, c.done, c.reached = i, min(r.now+int64(limit), r.givesUp(c)), r.now, true
	waits := *c
	waits.tried, waits.epoch = append(r.lend(), c.tried...), r.epoch
	r.waiting.insert(waits, func(other *connection) bool { return other.due > waits.due })
}

// drop loses a datagram to server i, of which nobody hears again.
func (r *run) drop(p *pool, c *connection, i int) {
	p.state.Done(i)
	c.reached, c.done = true, r.now
	r.finish(c, TimedOut, i)
}

// givesUp is when the client of a connection does.
func (r *run) givesUp(c *connection) int64 {
	if r.patience == 0 {
		return math.MaxInt64
	}
	return c.came + int64(r.patience)
}

// lend returns an empty list for a connection that waits.
func (r *run) lend() (tried balance.Tried) {
	if last := len(r.spare) - 1; last >= 0 {
		tried = r.spare[last]
		r.spare = r.spare[:last]
	}
	return tried
}

// timeout ends the patience with the connection that reaches its limit next; a listener of HTTP may have
// another server asked.
func (r *run) timeout() {
	c := r.waiting.pop()
	r.orAnother(&c, r.listener.Retry.Timeout && r.now < r.givesUp(&c), TimedOut)
}

// closed has a server close a connection that it has not answered. A request goes to another one then, though
// only once where the listener retries nothing but what did not connect.
func (r *run) closed(c *connection) {
	retry := &r.listener.Retry
	again := retry.Timeout || retry.Status5x
	if !again {
		again, c.lost = retry.Connect && !c.lost, true
	}
	r.orAnother(c, again, Failed)
}

// orAnother has another server asked instead of one that has not answered, if that may be and there is one.
func (r *run) orAnother(c *connection, again bool, o Outcome) {
	p := &r.pools[c.pool]
	p.state.Done(c.on)
	if again && c.visits != nil && len(c.tried)+1 < r.listener.Tries(p.table) {
		c.tried.Add(c.on)
		r.follow(c)
		r.try(c)
	} else {
		c.done = r.now
		r.finish(c, o, c.on)
	}
	r.spare = append(r.spare, c.tried[:0])
}

// wakeProbes ends the probes that servers have which hang no more, and reports whether a verdict has changed.
func (r *run) wakeProbes() (verdict bool) {
	for i := r.serving.first; i < r.serving.first+r.serving.servers; i++ {
		if s := &r.servers[i]; s.until > 0 && s.hung && s.answer() != mute {
			s.until = 0
			verdict = r.probed(i, false) || verdict
		}
	}
	return verdict
}

// wake has the servers that hang no more close the connections that they have.
func (r *run) wake() {
	r.woken = false
	for _, c := range r.takeHung(func(c *connection) bool { return r.holder(c).answer() != mute }) {
		r.closed(&c)
	}
}

// holder is the server that has a connection.
func (r *run) holder(c *connection) *server { return &r.servers[r.pools[c.pool].first+c.on] }

// takeHung takes some of the connections that hang away.
func (r *run) takeHung(which func(*connection) bool) (some []connection) {
	for range r.waiting.size {
		if c := r.waiting.pop(); which(&c) {
			some = append(some, c)
		} else {
			r.waiting.push(c)
		}
	}
	return some
}

// cutHung ends the connections that have come to a line of servers by a time and hang there.
func (r *run) cutHung(line int32, from int64) {
	for _, c := range r.takeHung(func(c *connection) bool { return c.done <= from && r.holder(c).line == line }) {
		r.pools[c.pool].state.Done(c.on)
		r.finish(&c, Cut, c.on)
		r.spare = append(r.spare, c.tried[:0])
	}
}
