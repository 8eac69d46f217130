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
// An instance has one fault at a time: of several together, and of that in its block, what all of them do.
func (f *Forecast) strikes() ([]Strike, error) {
	r, struck := f.run, map[string][]Strike{}
	for _, f := range r.faults {
		spans, err := f.spans(r)
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
	for _, address := range slices.Sorted(maps.Keys(struck)) {
		of, err := together(f.instance(address), struck[address])
		if err != nil {
			return nil, err
		}
		out = append(out, of...)
	}
	slices.SortStableFunc(out, func(a, b Strike) int { return int(a.At - b.At) })
	return out, nil
}

// spans are the times in which a fault's servers do something wrong.
func (f *fault) spans(r *run) (list []Strike, err error) {
	over := r.sim.Duration
	if f.For > 0 {
		over = min(over, f.At+f.For)
	}
	one := Strike{At: f.At, For: over - f.At}
	switch f.Mode {
	case spec.FaultRefuse:
		one.Fault.Refuse = true
	case spec.FaultHang:
		one.Fault.Hang = true
	case spec.FaultErrors:
		one.Fault = spec.InstanceFault{ErrorRate: f.ErrorRate, Status: spec.FaultStatus}
	case spec.FaultSlow:
		if one.Fault.Delay = time.Duration(float64(r.meanWork()) * (f.Factor - 1)); one.Fault.Delay == 0 {
			return nil, nil
		}
	case spec.FaultFlap:
		for at := f.At; at < over; at += f.Period {
			list = append(list, Strike{At: at, For: min(f.Period/2, over-at), Fault: spec.InstanceFault{Refuse: true}})
		}
		return list, nil
	default:
		return nil, fmt.Errorf("fault %q: the mode %s cannot be done to what runs", f.Name, f.Mode)
	}
	return []Strike{one}, nil
}

// together is what an instance does wrong from moment to moment.
func together(instance *spec.Instance, spans []Strike) (out []Strike, err error) {
	var moments []time.Duration
	for _, s := range spans {
		moments = append(moments, s.At, s.end())
	}
	slices.Sort(moments)
	moments = slices.Compact(moments)
	for k := range max(len(moments)-1, 0) {
		one := Strike{At: moments[k], For: moments[k+1] - moments[k], Instance: instance.Address}
		erring, struck := 0, false
		add := func(f *spec.InstanceFault) {
			one.Fault.Refuse, one.Fault.Hang = one.Fault.Refuse || f.Refuse, one.Fault.Hang || f.Hang
			one.Fault.Delay, one.Fault.SlowBody = one.Fault.Delay+f.Delay, one.Fault.SlowBody+f.SlowBody
			if f.ErrorRate > 0 {
				one.Fault.ErrorRate, one.Fault.Status = f.ErrorRate, f.Status
				erring++
			}
		}
		if instance.Fault != nil {
			add(instance.Fault)
		}
		for _, s := range spans {
			if s.At <= one.At && s.end() > one.At {
				struck = true
				add(&s.Fault)
			}
		}
		// Who is not there does nothing else, nor does who hangs. What is the same goes on.
		switch {
		case one.Fault.Refuse:
			one.Fault = spec.InstanceFault{Refuse: true}
		case one.Fault.Hang:
			one.Fault = spec.InstanceFault{Hang: true}
		case erring > 1:
			return nil, fmt.Errorf("%s is to fail requests by two faults at once, which cannot be done to what runs", instance.Address)
		}
		if err := instance.CheckFault(&one.Fault); struck && err != nil {
			return nil, err
		}
		last := len(out) - 1
		switch {
		case !struck:
		case last >= 0 && out[last].Fault == one.Fault && out[last].end() == one.At:
			out[last].For += one.For
		default:
			out = append(out, one)
		}
	}
	return out, nil
}
