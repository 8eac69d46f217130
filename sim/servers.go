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
	check   balance.Check
	stopped bool
	refuse  int // faults of each mode that it is under
	hang    int

	verdict balance.Verdict
	since   int64 // when the verdict last changed
	waiting bool  // a probe has got no answer so far
	asked   int64
}

// longAgo is before any time of a simulation.
const longAgo = math.MinInt64 / 2

// warmth is how many sixteenths of its weight a server has, and how long it keeps that.
func (s *server) warmth(p *balance.Pool, now int64) (step int, next int64) {
	step, wait := p.Warmth(time.Duration(now - s.since))
	return step, int64(wait)
}

type answer uint8

const (
	accepts answer = iota
	refuses
	silent
)

// answer is what a SYN gets. A server that hangs cannot even refuse.
func (s *server) answer() answer {
	switch {
	case s.hang > 0:
		return silent
	case s.refuse > 0 || s.stopped:
		return refuses
	}
	return accepts
}

// fault is one fault block and its window.
type fault struct {
	*spec.Fault
	servers []int
	over    bool  // the accident itself
	end     int64 // when it was over
	open    bool  // its window
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
	return hit
}

// settled reports whether the core sees the servers of a fault as it did before: the
// verdicts are back, and no probe is under way whose SYN the fault took.
func (f *fault) settled(servers []server) bool {
	if !f.over {
		return false
	}
	for k, i := range f.servers {
		s := &servers[i]
		if (s.verdict.Health() == balance.Normal) != f.well[k] || s.waiting && s.asked < f.end {
			return false
		}
	}
	return true
}

// happen applies one event and reports whether the tables are to be built anew.
func (r *run) happen(e event) (rebuild bool) {
	switch e.kind {
	case probeStarts:
		return r.probe(e.index)
	case probeEnds:
		r.servers[e.index].waiting = false
		return r.probed(e.index, false)
	case faultStarts, faultEnds:
		r.strike(r.faults[e.index], e.kind == faultStarts)
	case warmupEnds:
		r.warm = true
	case serverWarms:
		return e.at == r.warms // else a verdict has come before
	}
	r.moved = true
	return false
}

// probe sends one probe; unless the server is silent its result is there at once.
func (r *run) probe(i int) (verdict bool) {
	s := &r.servers[i]
	if s.answer() == silent {
		s.waiting, s.asked = true, r.now
		r.events.push(event{r.now + int64(s.check.Timeout), probeEnds, i})
		return false
	}
	return r.probed(i, s.answer() == accepts)
}

func (r *run) probed(i int, ok bool) (verdict bool) {
	s := &r.servers[i]
	r.events.push(event{r.now + int64(s.check.Interval), probeStarts, i})
	if verdict = s.verdict.Observe(ok, s.check); verdict {
		s.since = r.now
	}
	return verdict
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
		if f.Mode == spec.FaultHang {
			r.servers[i].hang += step
		} else {
			r.servers[i].refuse += step
		}
	}
}
