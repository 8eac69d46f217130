package sim

import "slbctl/spec"

// stretch counts the connections that came while the same windows were open.
type stretch struct {
	windows  []int // indices into Result.Windows
	requests int64
	errors   int64
	served   []int64 // by backend
}

// openStretch begins counting anew if other windows are open than so far.
func (r *run) openStretch() {
	s := stretch{served: make([]int64, len(r.listener.Backends))}
	if r.warm {
		s.windows = append(s.windows, 0)
		for k, f := range r.faults {
			if f.open {
				s.windows = append(s.windows, firstFault+k)
			}
		}
		if len(s.windows) == 1 {
			s.windows = append(s.windows, 1)
		}
	}
	r.stretches = append(r.stretches, s)
}

// firstFault is where the windows of faults begin, after "all" and "steady".
const firstFault = 2

// windows adds the stretches up.
func (r *run) windows() []Window {
	names := []string{spec.DuringAll, spec.DuringSteady}
	for _, f := range r.faults {
		names = append(names, f.Name)
	}
	out := make([]Window, len(names))
	for w, name := range names {
		out[w].Name = name
		out[w].Backends = make([]Backend, len(r.listener.Backends))
		for i, b := range r.listener.Backends {
			out[w].Backends[i].Address = b.Name
			out[w].Backends[i].instance = b.Instance
		}
	}
	for _, s := range r.stretches {
		for _, w := range s.windows {
			out[w].Requests += s.requests
			out[w].Errors += s.errors
			for i, n := range s.served {
				out[w].Backends[i].Requests += n
			}
		}
	}
	for w := range out {
		served := out[w].Requests - out[w].Errors
		for i := range out[w].Backends {
			if b := &out[w].Backends[i]; served > 0 {
				b.Share = float64(b.Requests) / float64(served)
			}
		}
	}
	return out
}
