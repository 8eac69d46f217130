package sim

import (
	"math"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// server is what is true of a backend of a pool, and what its probes have made of it.
type server struct {
	*balance.Backend
	fine    bool     // it answers, and with no errors
	slow    int      // faults of each mode that it is under
	station *station // nil = work takes no time
	factor  float64  // how much longer its work takes under slow ones
	delay   int64    // before each answer, ns
	drag    int64    // that the body of an answer takes
	slack   int64    // by which the mean of its work is longer under slow ones
	refuse  int
	hang    int
	erring  []*erring
	stopped bool
	down    int // deployments that start it anew just now

	check   balance.Check
	probed  bool
	verdict balance.Verdict
	since   int64 // when the verdict last changed
	asked   int64 // when the last probe was
	until   int64 // when the probe ends that is under way; 0 = none is
	passing bool  // how
	hung    bool  // or with the hang, as a failure

	sessions int64 // until when it keeps its sticky sessions while its weight is 0
	// line is the first of those that have followed one another in its place, by index in run.servers; what was
	// there from cutFrom on, or before, is cut off at cutAt, which the first of them keeps: 0 = nothing is.
	line           int32
	cutFrom, cutAt int64
	heir           int // who has followed it, with the same check; -1 = nobody
}

// look finds out whether the server is fine, after what is true of it has changed.
func (s *server) look() { s.fine = s.answer() == accepts && s.erring == nil }

// longAgo is before any time of a simulation.
const longAgo = math.MinInt64 / 2

// warmth is how many sixteenths of its weight a server has, and how long it keeps that.
func (s *server) warmth(p *balance.Pool, now int64) (step int, next int64) {
	if s.Weight == 0 {
		if s.sessions > now {
			return balance.Warm, s.sessions - now
		}
		return 0, 0
	}
	step, wait := p.Warmth(time.Duration(now - s.since))
	return step, int64(wait)
}

type answer uint8

const (
	accepts answer = iota
	refuses
	mute // it accepts and says nothing
)

// answer is what a server gives whoever comes. One that is not there cannot hang.
func (s *server) answer() answer {
	switch {
	case s.refuse > 0 || s.stopped || s.down > 0:
		return refuses
	case s.hang > 0:
		return mute
	}
	return accepts
}

// answers is answer for a client: a server all of whose workers and queue are
// taken refuses, too. Probes take no place in it.
func (s *server) answers(now int64) answer {
	a := s.answer()
	if a == accepts && s.station != nil && s.station.full(now) {
		return refuses
	}
	return a
}

// fault is one fault block and its window.
type fault struct {
	*spec.Fault
	*episode
	servers []int
	over    bool  // the accident itself
	end     int64 // when it was over
	down    bool  // a flapping server, at the moment
	erring  map[string]*erring
	well    []bool
}

func newFault(f *spec.Fault, servers []server) *fault {
	hit := &fault{Fault: f}
	for i := range servers {
		b := servers[i].Backend
		if b.Instance == "" {
			continue
		}
		if slices.Contains(f.Targets, b.Instance) || f.Zone != "" && b.Zone == f.Zone {
			hit.servers = append(hit.servers, i)
		}
	}
	hit.erring = newErring(f, servers, hit.servers)
	return hit
}

// gone reports whether the core sees the servers of a fault as it did before: the verdicts are back,
// with all of the weight, and no probe is under way that it has slowed down.
func (f *fault) gone(r *run) bool {
	if !f.over || r.warms > r.now {
		return false
	}
	for k, i := range f.servers {
		s := &r.servers[i]
		if i < r.serving.first || i >= r.serving.first+r.serving.servers {
			continue
		}
		if (s.verdict.Health() == balance.Normal) != f.well[k] || s.until > 0 && s.asked < f.end {
			return false
		}
	}
	return true
}

// happen applies one event and reports whether the tables are to be built anew.
func (r *run) happen(e event) (rebuild bool) {
	r.looked = r.looked && (e.kind == probeStarts || e.kind == probeEnds)
	switch e.kind {
	case probeStarts:
		if i := r.heir(e.index); i >= 0 {
			return r.probe(i)
		}
		return false
	case probeEnds:
		if i := r.heir(e.index); i >= 0 && r.servers[i].until == e.at {
			r.servers[i].until = 0
			return r.probed(i, r.servers[i].passing)
		}
		return false
	case faultStarts, faultEnds:
		r.strike(r.faults[e.index], e.kind == faultStarts)
		if f := r.faults[e.index]; f.Mode == spec.FaultFlap && !f.over {
			r.events.push(event{r.now + int64(f.Period)/2, faultFlips, e.index})
		}
	case faultFlips:
		r.flip(e.index)
		return false
	case warmupEnds:
		r.warm = true
	case serverWarms:
		return e.at == r.warms // else a verdict has come before
	case stepEnds:
		r.stepped()
		return false
	default:
		return r.operate(e)
	}
	r.moved = true
	return false
}

// operate does what an operator does, and reports whether the tables are to be built anew.
func (r *run) operate(e event) (rebuild bool) {
	r.moved = true
	if e.kind == serverCuts {
		r.cut(int32(e.index))
		return false
	}
	r.acts = append(r.acts, r.now)
	switch e.kind {
	case changes:
		r.change()
	case drainStarts, drainEnds:
		d := r.drains[e.index]
		d.open, d.over = true, e.kind == drainEnds
		r.drain(d.instances, e.kind == drainStarts)
	case batchDrains:
		r.deploys[e.index].drainBatch(r, e.index)
	case batchStops:
		r.deploys[e.index].stopBatch(r, e.index)
		return false
	case batchStarts:
		r.deploys[e.index].startBatch(r)
	}
	return true
}

// strike begins or ends a fault.
func (r *run) strike(f *fault, begins bool) {
	step := 1
	if begins {
		f.open = true
		for _, i := range f.servers {
			f.well = append(f.well, r.servers[i].verdict.Health() == balance.Normal)
		}
	} else {
		f.over, f.end = true, r.now
		step = -1
	}
	for _, i := range f.servers {
		s := &r.servers[i]
		switch f.Mode {
		case spec.FaultHang:
			s.hang += step
		case spec.FaultSlow:
			s.slow += step
			r.slow(i)
		case spec.FaultErrors:
			s.err(f.erring[s.Instance], begins)
		case spec.FaultFlap:
			if begins || f.down {
				s.refuse += step
			}
		default:
			s.refuse += step
		}
		s.look()
	}
	f.down, r.woken = begins, true
}

// flip takes the servers of a flapping fault down, or brings them back, for half a period.
func (r *run) flip(k int) {
	f, step := r.faults[k], 1
	if f.over {
		return
	}
	if f.down {
		step = -1
	}
	for _, i := range f.servers {
		r.servers[i].refuse += step
		r.servers[i].look()
	}
	r.woken = true
	f.down = !f.down
	r.events.push(event{r.now + int64(f.Period)/2, faultFlips, k})
}

// slow finds out how slow a server is under all its faults.
func (r *run) slow(i int) {
	s := &r.servers[i]
	s.factor = 1
	for _, f := range r.faults {
		if f.Mode == spec.FaultSlow && f.open && !f.over && slices.Contains(f.servers, i) {
			s.factor *= f.Factor
		}
	}
	s.slack = int64(min(float64(r.meanWork())*(s.factor-1), math.MaxInt64/4)) // as effort has it
}
