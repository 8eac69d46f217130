package sim

import (
	"net/netip"
	"slices"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// pool is one of the listener's pools as it is at the moment.
type pool struct {
	*balance.Pool
	state *balance.State
	table *balance.Table
	first int // index of its first server in run.servers
	size  int // how many it has there

	counts bool // what is in flight matters to it

	// known are the last tables of a hash, by who was how well and how warm: servers come back, and
	// such a table takes a millisecond. They are of this Pool, another of which has weights of its
	// own. nil = of no hash.
	known map[string]*balance.Table
}

// mostTables is how many tables a pool keeps.
const mostTables = 8

// addPools prepares the pools and servers of a generation.
func (r *run) addPools(g *generation) {
	g.base, g.first = len(r.pools), len(r.servers)
	wrong := map[string]*erring{}
	for _, p := range g.listener.Pools() {
		first := len(r.servers)
		r.pools = append(r.pools, pool{Pool: p, state: balance.NewState(p, nil), first: first, size: len(p.Backends), counts: inFlight(p), known: tablesOf(p)})
		for i, b := range p.Backends {
			s := server{Backend: &p.Backends[i], check: p.Check, since: longAgo, probed: p.Probed(i), line: int32(len(r.servers)), heir: -1}
			if b.Instance != "" {
				i := g.config.Instance(b.Instance)
				s.stopped = i.Status == spec.StatusStopped
				s.suffer(i, wrong)
			}
			s.look()
			r.servers = append(r.servers, s)
		}
	}
	g.pools, g.servers = len(r.pools)-g.base, len(r.servers)-g.first
}

// inFlight reports whether a pool chooses by what is in flight.
func inFlight(p *balance.Pool) bool {
	switch p.Scheduler {
	case spec.SchedulerWLC, spec.SchedulerP2C, spec.SchedulerLeast:
		return true
	}
	return slices.ContainsFunc(p.Backends, func(b balance.Backend) bool { return b.MaxConnections > 0 })
}

// addStations gives the servers of all pools their workers: those of one address have
// the same ones.
func (r *run) addStations() {
	if r.service == nil && slices.ContainsFunc(r.servers, func(s server) bool { return s.delay+s.drag > 0 }) {
		r.service = noWork
	}
	if r.service == nil {
		return
	}
	operated := len(r.sim.Changes)+len(r.sim.Drains)+len(r.sim.Deploys) > 0
	if r.service.Discipline == spec.DisciplinePS || operated || r.last.listener.Retry.Timeout {
		r.jobs = newJobs()
	}
	known := map[netip.AddrPort]*station{}
	for i := range r.servers {
		s := &r.servers[i]
		if known[s.Endpoint] == nil {
			known[s.Endpoint] = newStation(r.service)
			r.stations = append(r.stations, known[s.Endpoint])
		}
		s.station = known[s.Endpoint]
	}
}

// rebuild makes the tables of all pools, as the live balancer does at each verdict and
// at each step of a server that starts slowly.
func (r *run) rebuild() {
	r.looked = false
	next := int64(0)
	for k := r.serving.base; k < r.serving.base+r.serving.pools; k++ {
		p := &r.pools[k]
		servers := r.servers[p.first : p.first+len(p.Backends)]
		p.table = p.tableWarm(
			func(i int) balance.Health { return servers[i].verdict.Health() },
			func(i int) int {
				step, wait := servers[i].warmth(p.Pool, r.now)
				if wait > 0 && (next == 0 || wait < next) {
					next = wait
				}
				return step
			})
	}
	switch {
	case next == 0:
		r.warms = 0
	case r.warms != r.now+next:
		r.warms = r.now + next
		r.events.push(event{r.warms, serverWarms, 0})
	}
}

func tablesOf(p *balance.Pool) map[string]*balance.Table {
	switch p.Scheduler {
	case spec.SchedulerSCH, spec.SchedulerTCH, spec.SchedulerQCH:
		return map[string]*balance.Table{}
	}
	return nil
}

// tableWarm is [balance.Pool.TableWarm], made anew only where it is not known.
func (p *pool) tableWarm(health func(i int) balance.Health, warmth func(i int) int) *balance.Table {
	if p.known == nil {
		return p.TableWarm(health, warmth)
	}
	standing := make([]byte, 0, 2*len(p.Backends))
	for i := range p.Backends {
		standing = append(standing, byte(health(i)), byte(warmth(i)))
	}
	t := p.known[string(standing)]
	if t == nil {
		t = p.TableWarm(health, warmth)
		if len(p.known) == mostTables {
			clear(p.known)
		}
		p.known[string(standing)] = t
	}
	return t
}

// names lists the servers of all pools, each once, and where each server of run.servers
// stands in the list.
func (r *run) names() (names []*balance.Backend, place []int) {
	known := map[string]int{}
	for i := range r.servers {
		b := r.servers[i].Backend
		at, ok := known[b.Name]
		if !ok {
			at = len(names)
			known[b.Name] = at
			names = append(names, b)
		}
		place = append(place, at)
	}
	return slices.Clip(names), place
}
