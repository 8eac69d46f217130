package sim

import (
	"slices"

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

	gauges []*gauge // that watch one of the windows

	// Of a service block.
	latency *histogram // of what was served
	span    int64      // how long it lasted, ns
	busy    []int64    // by server: what its workers have worked meanwhile, ns
	since   int64
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

func (t *tally) errors() int64   { return t[Failed] + t[TimedOut] + t[Errored] + t[Cut] + t[Dropped] }
func (t *tally) unrouted() int64 { return t[NotFound] + t[Refused] }

// openStretch counts from now on for the windows that are open. Windows that were open
// together before have their counts already, so that there are as many as combinations; a
// timeline tells all stretches apart.
func (r *run) openStretch() {
	r.closeStretch(r.now)
	var windows []int
	if r.warm {
		windows = append(windows, 0)
		for k, e := range r.episodes {
			if e.open {
				windows = append(windows, firstEpisode+k)
			}
		}
		if len(windows) == 1 {
			windows = append(windows, steadyWindow)
		}
	}
	k := slices.IndexFunc(r.stretches, func(s *stretch) bool { return slices.Equal(s.windows, windows) })
	if k < 0 || r.step > 0 {
		k = len(r.stretches)
		r.stretches = append(r.stretches, r.newStretch(windows))
	}
	r.stretch = r.stretches[k]
	r.stretch.since = r.now
	r.work(-1, r.now)
}

func (r *run) newStretch(windows []int) *stretch {
	s := &stretch{windows: windows, served: make([]int64, len(r.servers)), routes: make([]tally, len(r.pools))}
	for _, pair := range r.gauges {
		for _, g := range pair {
			if slices.Contains(windows, g.window) {
				s.gauges = append(s.gauges, g)
			}
		}
	}
	if r.service != nil || r.live {
		s.latency = &histogram{}
	}
	if r.sim.Service != nil && !r.live {
		s.busy = make([]int64, len(r.servers))
	}
	return s
}

// closeStretch ends the time of the stretch that is open.
func (r *run) closeStretch(now int64) {
	if r.stretch != nil {
		r.stretch.span += now - r.stretch.since
		r.work(1, now)
		r.stretch = nil
	}
}

// work adds what the servers have worked up to now to the open stretch, or takes it away.
func (r *run) work(sign, now int64) {
	for i := range r.stretch.busy {
		r.stretch.busy[i] += sign * r.servers[i].station.busy(now)
	}
}

// The windows are "all", "steady", and those of episodes.
const (
	steadyWindow = 1
	firstEpisode = 2
)

func (r *run) windowNames() []string {
	names := []string{spec.DuringAll, spec.DuringSteady}
	for _, e := range r.episodes {
		names = append(names, e.name)
	}
	return names
}

// windowIndex finds a window by its name; "all" stands for none.
func (r *run) windowIndex(name string) int { return max(0, slices.Index(r.windowNames(), name)) }

// windows adds the stretches up.
func (r *run) windows() []Window {
	totals, names := r.totals(), r.windowNames()
	out := make([]Window, len(names))
	for w, name := range names {
		out[w] = r.window(name, totals[w])
	}
	return out
}

// totals are the counts of each window.
func (r *run) totals() []*stretch {
	totals := make([]*stretch, len(r.windowNames()))
	for w := range totals {
		totals[w] = r.newStretch(nil)
	}
	for _, s := range r.stretches {
		for _, w := range s.windows {
			totals[w].add(s)
		}
	}
	return totals
}

func (s *stretch) add(other *stretch) {
	s.lost.add(&other.lost)
	for k := range s.routes {
		s.routes[k].add(&other.routes[k])
	}
	for i, n := range other.served {
		s.served[i] += n
	}
	if s.latency == nil {
		return
	}
	s.latency.add(other.latency)
	s.span += other.span
	for i, n := range other.busy {
		s.busy[i] += n
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
	if total.latency != nil {
		w.Latency = newLatency(total.latency)
		for i, n := range total.busy {
			w.Backends[place[i]].use(n, total.span*int64(r.sim.Service.Workers))
		}
	}
	if spec.L7(r.listener.Protocol) {
		w.Routes = r.routes(total)
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

// routes tells what was counted of each rule, which may have had other servers before a change.
func (r *run) routes(total *stretch) (routes []Route) {
	var owners []string
	for k := range r.pools {
		if owner := r.pools[k].Owner; !slices.Contains(owners, owner) {
			owners = append(owners, owner)
			routes = append(routes, r.route(owner, total))
		}
	}
	return routes
}

func (r *run) route(owner string, total *stretch) Route {
	var o tally
	var backends []*balance.Backend
	var served []int64
	for k := range r.pools {
		p := &r.pools[k]
		if p.Owner != owner {
			continue
		}
		some := total.route(p, k)
		o.add(&some)
		for i := range p.Backends {
			b, n := &p.Backends[i], total.served[p.first+i]
			at := slices.IndexFunc(backends, func(known *balance.Backend) bool { return known.Name == b.Name })
			if at < 0 {
				at, backends, served = len(backends), append(backends, b), append(served, 0)
			}
			served[at] += n
		}
	}
	return Route{Address: owner, Requests: o.requests(), Errors: o.errors(), Backends: shares(backends, served)}
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
