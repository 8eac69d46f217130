package sim

import (
	"math"
	"slices"
)

// jobs are the connections, or requests, that servers work on or have in their queues, where only time
// tells how they end: who comes later makes them slower, or their server may go away under them.
// Elsewhere a connection is counted as soon as a server takes it, for then its end is known.
type jobs struct {
	list  []job
	free  []int32  // places in the list
	timed chain    // those that have a request_timeout, the first to reach it first
	ready stations // that share their processors, by when the next of their jobs is done
}

// job is one of them.
type job struct {
	connection
	i          int   // its server, in its pool
	server     int32 // in run.servers
	began      int64
	due        int64 // when the client is answered 504
	over       bool  // for the client
	prev, next int32 // of the chain; none at its ends
}

const none = -1

// chain is a list of jobs in the order of due.
type chain struct{ first, last int32 }

func newJobs() *jobs { return &jobs{timed: chain{none, none}} }

// add keeps a connection that server i of its pool has taken.
func (js *jobs) add(c *connection, i int) int32 {
	if len(js.free) == 0 {
		js.free = append(js.free, int32(len(js.list)))
		js.list = append(js.list, job{})
	}
	k := js.free[len(js.free)-1]
	js.free = js.free[:len(js.free)-1]
	j := &js.list[k]
	*j = job{connection: *c, i: i, due: math.MaxInt64, prev: none, next: none}
	j.tried = nil // who is served tries nobody else, unless there are retries of what takes too long
	return k
}

// time puts a job into the chain. Nearly always that is its end, for the limit is seldom changed.
func (js *jobs) time(k int32, due int64) {
	j := &js.list[k]
	after := js.timed.last
	for after != none && js.list[after].due > due {
		after = js.list[after].prev
	}
	j.due, j.prev, j.next = due, after, js.timed.first
	if after != none {
		j.next = js.list[after].next
		js.list[after].next = k
	} else {
		js.timed.first = k
	}
	if j.next != none {
		js.list[j.next].prev = k
	} else {
		js.timed.last = k
	}
}

// untime takes a job out of the chain.
func (js *jobs) untime(k int32) {
	j := &js.list[k]
	if j.due == math.MaxInt64 {
		return
	}
	if j.prev != none {
		js.list[j.prev].next = j.next
	} else {
		js.timed.first = j.next
	}
	if j.next != none {
		js.list[j.next].prev = j.prev
	} else {
		js.timed.last = j.prev
	}
	j.due, j.prev, j.next = math.MaxInt64, none, none
}

// drop forgets a job that its server has done with.
func (js *jobs) drop(k int32) {
	js.list[k].over = true
	js.free = append(js.free, k)
}

// take has server i of a connection's pool do its work.
func (r *run) take(p *pool, c *connection, i int) {
	s := &r.servers[p.first+i]
	k, work := r.jobs.add(c, i), s.effort(c.demand)
	if r.listener.Retry.Timeout {
		r.jobs.list[k].tried, r.jobs.list[k].epoch = append(r.lend(), c.tried...), r.epoch
	}
	r.jobs.list[k].server, r.jobs.list[k].began = int32(p.first+i), r.now
	c.leaves = false
	limit := int64(math.MaxInt64)
	if c.visits != nil {
		limit = r.now + int64(r.listener.RequestTimeout)
	}
	if s.station.shares {
		s.station.share(r.now, work, k)
		r.jobs.ready.place(s.station)
		if c.visits != nil {
			r.jobs.time(k, limit)
		}
		return
	}
	done := s.station.serve(r.now, work)
	switch {
	case done > limit:
		r.jobs.list[k].due = limit // it is not in the chain: what ends it is known
	case c.visits != nil:
		r.bake(c, i, r.now)
	}
	r.jobs.list[k].baked = true
	r.departures.push(departure{at: min(done, limit), job: k + 1})
}

// end is what becomes of a job for its client.
func (r *run) end(k int32, o Outcome, at int64) {
	j := &r.jobs.list[k]
	j.over, j.done = true, at
	if j.tried != nil {
		r.spare, j.tried = append(r.spare, j.tried[:0]), nil
	}
	if o == Served && j.visits != nil && !j.baked {
		r.bake(&j.connection, j.i, at)
	}
	j.baked = true
	r.pools[j.pool].state.Done(j.i)
	r.finish(&j.connection, o, j.i)
}

// ended ends a job of a server that works on one after the other.
func (r *run) ended(k int32, at int64) {
	switch j := &r.jobs.list[k]; {
	case j.over:
	case at == j.due:
		r.expire(k, at)
	default:
		r.end(k, Served, at)
	}
	r.jobs.drop(k)
}

// expire ends the patience of a job's client, or has another server asked, where the listener retries what
// takes too long. The server works on, for nobody.
func (r *run) expire(k int32, at int64) {
	j := &r.jobs.list[k]
	if !r.listener.Retry.Timeout || len(j.tried)+1 >= r.listener.Tries(r.pools[j.pool].table) {
		r.end(k, TimedOut, at)
		return
	}
	j.over = true
	r.pools[j.pool].state.Done(j.i)
	c, now := j.connection, r.now
	j.tried, c.baked = nil, false
	c.tried.Add(j.i)
	r.now = at
	r.follow(&c)
	r.try(&c)
	r.now = now
	r.spare = append(r.spare, c.tried[:0])
}

// progress lets time pass for servers that share their processors among all their jobs.
func (r *run) progress(now int64) {
	for {
		done, due := r.jobs.ready.next(), int64(math.MaxInt64)
		if first := r.jobs.timed.first; first != none {
			due = r.jobs.list[first].due
		}
		switch {
		case done <= due && done <= now && done < math.MaxInt64:
			r.complete(r.jobs.ready[0], done)
		case due < done && due <= now:
			k := r.jobs.timed.first
			r.jobs.untime(k)
			r.expire(k, due)
		default:
			return
		}
	}
}

// complete ends the jobs of a station that are done at a time.
func (r *run) complete(s *station, now int64) {
	for k := s.done(now); k != none; k = s.done(now) {
		r.jobs.untime(k)
		if !r.jobs.list[k].over {
			r.end(k, Served, now)
		}
		r.jobs.drop(k)
	}
	r.jobs.ready.place(s)
}

// busyLine reports whether a line of servers has something to do that has begun by a time.
func (r *run) busyLine(line int32, from int64) bool {
	for k := range r.waiting.size {
		if c := r.waiting.at(k); c.done <= from && r.holder(c).line == line {
			return true
		}
	}
	return r.jobs != nil && slices.ContainsFunc(r.jobs.list, func(j job) bool {
		return !j.over && j.began <= from && r.servers[j.server].line == line
	})
}

// cutOff ends for their clients what a line of servers has to do that has begun by a time. The servers
// work on, for nobody.
func (r *run) cutOff(line int32, from int64) {
	r.cutHung(line, from)
	if r.jobs == nil {
		return
	}
	for k := range r.jobs.list {
		if j := &r.jobs.list[k]; !j.over && j.began <= from && r.servers[j.server].line == line {
			r.jobs.untime(int32(k))
			r.end(int32(k), Cut, r.now)
		}
	}
}

// kill ends all that a line of servers has to do, since they stop.
func (r *run) kill(line int32) {
	r.cutOff(line, r.now)
	if s := &r.servers[line]; s.station != nil {
		for _, p := range s.station.clear(r.now) {
			r.jobs.untime(p.job)
			if !r.jobs.list[p.job].over {
				r.end(p.job, Cut, r.now) // of another pool
			}
			r.jobs.drop(p.job)
		}
		if s.station.shares {
			r.jobs.ready.place(s.station)
		}
	}
}

// bake gives the client of a job the cookie of the server that takes it.
func (r *run) bake(c *connection, i int, at int64) {
	if k := c.visits.cookie(c.visitor, c.way); k != nil {
		r.cookies.give(&r.pools[c.pool], k, c, i, at)
	}
}
