package sim

import (
	"slices"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// server is what is true of a backend, and what its probes have made of it.
type server struct {
	stopped bool
	refuse  int // faults of each mode that it is under
	hang    int

	verdict balance.Verdict
	waiting bool // a probe has got no answer so far
	asked   int64
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

func newFault(f *spec.Fault, c *spec.Config, l *balance.Listener) *fault {
	hit := &fault{Fault: f}
	for i, b := range l.Backends {
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

// happen applies one event and reports whether a verdict changed.
func (r *run) happen(e event) (verdict bool) {
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
	}
	r.moved = true
	return false
}

// probe sends one probe; unless the server is silent its result is there at once.
func (r *run) probe(i int) (verdict bool) {
	s := &r.servers[i]
	if s.answer() == silent {
		s.waiting, s.asked = true, r.now
		r.events.push(event{r.now + int64(r.listener.Check.Timeout), probeEnds, i})
		return false
	}
	return r.probed(i, s.answer() == accepts)
}

func (r *run) probed(i int, ok bool) (verdict bool) {
	r.events.push(event{r.now + int64(r.listener.Check.Interval), probeStarts, i})
	return r.servers[i].verdict.Observe(ok, r.listener.Check)
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
