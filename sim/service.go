package sim

import (
	"math"
	"math/bits"

	"slbctl/spec"
)

// demands draws how long connections, or requests, keep a worker. Demand number index of a stream
// is the same whichever server gets it, so that two configurations meet the same work.
type demands struct {
	*spec.Service
	source source
	mean   uint64 // ns
	logs   *[1<<logBits + 1]uint64
	powers *[1<<logBits + 1]float64
	times  *measured // instead, from a log
	own    *replay   // of the same log: each request has the time that it had
}

func newDemands(s *spec.Service, stream string, seed uint64) *demands {
	return &demands{Service: s, source: newSource(seed, "service "+stream), mean: uint64(s.Time), logs: logTable(), powers: powerTable()}
}

// draw returns the work of connection number index, ns.
func (d *demands) draw(index uint64) int64 {
	if d.times != nil {
		return d.recorded(index)
	}
	switch d.Distribution {
	case spec.ServiceConstant:
		return int64(d.mean)
	case spec.ServiceLognormal:
		x := float64(d.Sigma*normal(d.logs, d.source.draw(index))) - float64(d.Sigma*d.Sigma)/2
		return int64(float64(d.mean) * exp(d.powers, x))
	}
	hi, lo := bits.Mul64(exponential(d.logs, d.source.draw(index)), d.mean)
	return int64(hi<<(64-57) | lo>>57)
}

// recorded is a time of the log: the request's own, if it is replayed from it and the log tells.
func (d *demands) recorded(index uint64) int64 {
	if d.own != nil {
		if took := d.times.of(d.own.next); took > 0 {
			return took
		}
	}
	return d.times.draw(d.source.draw(index))
}

// station is what serves at one address: some workers and the queue before them. When
// what comes first is served first, the end of work is known when it comes.
type station struct {
	free   []int64      // when each worker is; a heap
	starts queue[int64] // when each of those who wait gets a worker
	room   int          // for so many
	work   int64        // all that it has taken, ns; when it shares, has done
	sharing
}

func newStation(s *spec.Service) *station {
	x := &station{room: s.Queue}
	if x.shares = s.Discipline == spec.DisciplinePS; x.shares {
		x.workers = s.Workers
		return x
	}
	x.free = make([]int64, s.Workers)
	return x
}

// full reports whether all workers have something to do and the queue is full.
func (s *station) full(now int64) bool {
	if s.shares {
		return len(s.parts) == s.workers+s.room
	}
	for !s.starts.empty() && *s.starts.head() <= now {
		s.starts.pop()
	}
	return s.free[0] > now && s.starts.size == s.room
}

// serve takes work, unless the station is full, and returns when it will be done.
func (s *station) serve(now, work int64) (done int64) {
	start := max(now, s.free[0])
	if start > now {
		s.starts.push(start)
	}
	s.work += work
	done = min(start+work, math.MaxInt64/4)
	s.occupy(done)
	return done
}

// occupy gives the worker that is free first something to do until then.
func (s *station) occupy(until int64) {
	h, k := s.free, 0
	for {
		child := 2*k + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if h[child] >= until {
			break
		}
		h[k] = h[child]
		k = child
	}
	h[k] = until
}

// clear takes all its work away, and returns that of those that shared it.
func (s *station) clear(now int64) []part {
	if s.shares {
		s.pass(now)
		gone := s.parts
		s.parts = nil
		s.foresee()
		return gone
	}
	for k, free := range s.free {
		s.work -= max(0, free-now)
		s.free[k] = min(free, now)
	}
	s.starts = queue[int64]{}
	return nil
}

// busy is how long its workers have worked up to now, added up: a worker that has
// something left to do has worked without a break since it got that.
func (s *station) busy(now int64) int64 {
	if s.shares {
		return s.work + (now-s.at)*int64(min(len(s.parts), s.workers))
	}
	left := int64(0)
	for _, free := range s.free {
		left += max(0, free-now)
	}
	return s.work - left
}

// departure is the end of a connection that somebody counts.
type departure struct {
	at     int64
	pool   int32
	server int32 // of the pool
	job    int32 // instead, from 1 on
	leaves bool  // the client's connection ends, too
}

// departures is a binary heap by time. What ends at one instant commutes.
type departures []departure

func (h *departures) push(d departure) {
	*h = append(*h, d)
	q := *h
	k := len(q) - 1
	for k > 0 && q[(k-1)/2].at > d.at {
		q[k] = q[(k-1)/2]
		k = (k - 1) / 2
	}
	q[k] = d
}

func (h *departures) pop() departure {
	q := *h
	first, last := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	*h = q
	if len(q) == 0 {
		return first
	}
	k := 0
	for {
		child := 2*k + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && q[child+1].at < q[child].at {
			child++
		}
		if q[child].at >= last.at {
			break
		}
		q[k] = q[child]
		k = child
	}
	q[k] = last
	return first
}

// depart ends what is over at the given time.
func (r *run) depart(now int64) {
	if len(r.departures) > 0 && r.departures[0].at <= now {
		r.leave(now)
	}
	if r.jobs != nil {
		r.progress(now)
	}
}

func (r *run) leave(now int64) {
	for len(r.departures) > 0 && r.departures[0].at <= now {
		d := r.departures.pop()
		if d.job > 0 {
			r.ended(d.job-1, d.at)
			continue
		}
		r.pools[d.pool].state.Done(int(d.server))
		if d.leaves {
			r.quota.Connections.Leave()
		}
	}
}

// serve has server i of a connection's pool do its work.
func (r *run) serve(p *pool, c *connection, i int) {
	if r.service == nil {
		p.state.Done(i)
		r.finish(c, Served, i)
		return
	}
	if r.jobs != nil {
		r.take(p, c, i)
		return
	}
	s, o := &r.servers[p.first+i], Served
	done := s.station.serve(r.now, s.effort(c.demand))
	if limit := int64(r.listener.RequestTimeout); c.visits != nil && done-r.now > limit {
		done, o = r.now+limit, TimedOut // the server works on, for nobody
	}
	c.done = done
	if p.counts || r.limited {
		r.departures.push(departure{at: done, pool: int32(c.pool), server: int32(i), leaves: c.leaves})
		c.leaves = false
	} else {
		p.state.Done(i)
	}
	r.finish(c, o, i)
}

// effort is how long the server takes for some work, which is longer under a fault.
func (s *server) effort(work int64) int64 {
	if s.slow == 0 {
		return work + s.delay + s.drag
	}
	return int64(min(float64(work)*s.factor, math.MaxInt64/4)) + s.delay + s.drag
}

// noWork is what servers do of which nothing is assumed, where some are told to answer late.
var noWork = &spec.Service{Distribution: spec.ServiceConstant, Discipline: spec.DisciplinePS, Workers: 1 << 30}

// meanWork is how long the work of a connection, or request, takes on average.
func (r *run) meanWork() int64 {
	switch {
	case r.times != nil:
		return r.times.mean()
	case r.service != nil:
		return int64(r.service.Time)
	}
	return 0
}
