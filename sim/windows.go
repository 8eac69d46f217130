package sim

import (
	"slbctl/runtime/balance"
	"slbctl/spec"
)

// stretch counts the connections, or requests, that came while the same windows were
// open.
type stretch struct {
	windows []int   // indices into Result.Windows
	served  []int64 // by server
	routes  []tally // by pool: what is not served
	lost    tally   // what never came to a pool
}

// tally counts outcomes.
type tally [outcomes]int64

func (t *tally) add(other *tally) {
	for o, n := range other {
		t[o] += n
	}
}

func (t *tally) requests() (n int64) {
	for _, some := range t {
		n += some
	}
	return n
}

func (t *tally) errors() int64   { return t[Failed] + t[Dropped] }
func (t *tally) unrouted() int64 { return t[NotFound] + t[Refused] }

// openStretch begins counting anew if other windows are open than so far.
func (r *run) openStretch() {
	s := stretch{served: make([]int64, len(r.servers)), routes: make([]tally, len(r.pools))}
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
	totals := make([]stretch, len(names))
	for w := range totals {
		totals[w] = stretch{served: make([]int64, len(r.servers)), routes: make([]tally, len(r.pools))}
	}
	for k := range r.stretches {
		for _, w := range r.stretches[k].windows {
			totals[w].add(&r.stretches[k])
		}
	}
	out := make([]Window, len(names))
	for w, name := range names {
		out[w] = r.window(name, &totals[w])
	}
	return out
}

func (s *stretch) add(other *stretch) {
	s.lost.add(&other.lost)
	for k := range s.routes {
		s.routes[k].add(&other.routes[k])
	}
	for i, n := range other.served {
		s.served[i] += n
	}
}

// window tells what was counted.
func (r *run) window(name string, total *stretch) Window {
	o := total.lost
	for k := range r.pools {
		route := total.route(&r.pools[k], k)
		o.add(&route)
	}
	w := Window{
		Name: name, Requests: o.requests(), Errors: o.errors(), Dropped: o[Dropped],
		Denied: o[Denied], Redirected: o[Redirected], Unrouted: o.unrouted(), Routes: []Route{},
	}
	backends, place := r.names()
	served := make([]int64, len(backends))
	for i, n := range total.served {
		served[place[i]] += n
	}
	w.Backends = shares(backends, served)
	if spec.L7(r.listener.Protocol) {
		for k := range r.pools {
			w.Routes = append(w.Routes, r.route(k, total))
		}
	}
	return w
}

// route is what was counted of pool k, with what its servers have served.
func (s *stretch) route(p *pool, k int) tally {
	t := s.routes[k]
	for _, n := range s.served[p.first : p.first+len(p.Backends)] {
		t[Served] += n
	}
	return t
}

// route tells what was counted of one pool.
func (r *run) route(k int, total *stretch) Route {
	p := &r.pools[k]
	o := total.route(p, k)
	backends := make([]*balance.Backend, len(p.Backends))
	for i := range backends {
		backends[i] = &p.Backends[i]
	}
	return Route{
		Address: p.Owner, Requests: o.requests(), Errors: o.errors(),
		Backends: shares(backends, total.served[p.first:p.first+len(backends)]),
	}
}

// shares are the parts of servers in what they have served together.
func shares(backends []*balance.Backend, served []int64) []Backend {
	var sum int64
	for _, n := range served {
		sum += n
	}
	out := make([]Backend, len(backends))
	for i, b := range backends {
		out[i] = Backend{Address: b.Name, Requests: served[i], instance: b.Instance}
		if sum > 0 {
			out[i].Share = float64(served[i]) / float64(sum)
		}
	}
	return out
}
