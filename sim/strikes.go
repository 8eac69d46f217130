package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"slbctl/spec"
)

// Strike is what a live run does to an instance, and for how long.
type Strike struct {
	At, For  time.Duration
	Instance string // resource address
	Fault    spec.InstanceFault
}

func (s *Strike) end() time.Duration { return s.At + s.For }

// strikes are the faults of a simulation as they can be done to what runs, in their order.
// An instance has one fault at a time: of several together, what all of them do.
func strikes(r *run) ([]Strike, error) {
	struck := map[string][]Strike{}
	for _, f := range r.faults {
		spans, err := f.spans(r.sim.Duration)
		if err != nil {
			return nil, err
		}
		done := map[string]bool{}
		for _, i := range f.servers {
			if instance := r.servers[i].Instance; !done[instance] {
				done[instance] = true
				struck[instance] = append(struck[instance], spans...)
			}
		}
	}
	var out []Strike
	for _, instance := range slices.Sorted(maps.Keys(struck)) {
		of, err := together(instance, struck[instance])
		if err != nil {
			return nil, err
		}
		out = append(out, of...)
	}
	slices.SortStableFunc(out, func(a, b Strike) int { return int(a.At - b.At) })
	return out, nil
}

// spans are the times in which a fault's servers do something wrong.
func (f *fault) spans(end time.Duration) (list []Strike, err error) {
	over := end
	if f.For > 0 {
		over = f.At + f.For
	}
	switch f.Mode {
	case spec.FaultRefuse:
		return []Strike{{At: f.At, For: over - f.At, Fault: spec.InstanceFault{Refuse: true}}}, nil
	case spec.FaultErrors:
		return []Strike{{At: f.At, For: over - f.At, Fault: spec.InstanceFault{ErrorRate: f.ErrorRate, Status: spec.FaultStatus}}}, nil
	case spec.FaultFlap:
		for at := f.At; at < over; at += f.Period {
			list = append(list, Strike{At: at, For: min(f.Period/2, over-at), Fault: spec.InstanceFault{Refuse: true}})
		}
		return list, nil
	}
	return nil, fmt.Errorf("fault %q: the mode %s cannot be done to what runs; live runs have refuse, errors and flap", f.Name, f.Mode)
}

// together is what an instance does wrong from moment to moment.
func together(instance string, spans []Strike) (out []Strike, err error) {
	var moments []time.Duration
	for _, s := range spans {
		moments = append(moments, s.At, s.end())
	}
	slices.Sort(moments)
	moments = slices.Compact(moments)
	for k := range max(len(moments)-1, 0) {
		one := Strike{At: moments[k], For: moments[k+1] - moments[k], Instance: instance}
		erring := 0
		for _, s := range spans {
			if s.At > one.At || s.end() <= one.At {
				continue
			}
			one.Fault.Refuse = one.Fault.Refuse || s.Fault.Refuse
			if s.Fault.ErrorRate > 0 {
				one.Fault.ErrorRate, one.Fault.Status = s.Fault.ErrorRate, s.Fault.Status
				erring++
			}
		}
		last := len(out) - 1
		switch {
		case erring > 1:
			return nil, fmt.Errorf("%s is to fail requests by two faults at once, which cannot be done to what runs", instance)
		case one.Fault == spec.InstanceFault{}:
		case last >= 0 && out[last].Fault == one.Fault && out[last].end() == one.At:
			out[last].For += one.For
		default:
			out = append(out, one)
		}
	}
	return out, nil
}
