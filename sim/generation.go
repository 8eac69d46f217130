package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// generation is a configuration and the simulated listener in it. Its pools and servers have their places in
// those of the run from the start; which of them serve is what a change changes.
type generation struct {
	config   *spec.Config
	compiled []*balance.Listener
	listener *balance.Listener
	base     int // of its pools in run.pools
	pools    int
	first    int // of its servers in run.servers
	servers  int
}

// newGeneration compiles a configuration under what is drained by hand. Of a listener that is not there, which
// may be so before a change, it has one that does not serve.
func newGeneration(c *spec.Config, sim *spec.Simulation, drained []string, absent *balance.Listener) (*generation, error) {
	compiled, err := balance.Compile(c)
	if err != nil {
		return nil, err
	}
	balance.Drained(compiled, drained)
	g := &generation{config: c, compiled: compiled}
	if g.listener, err = target(c, sim, compiled); err == nil || absent == nil {
		return g, err
	}
	g.listener = &balance.Listener{
		Pool: balance.Pool{Owner: absent.Address}, Address: absent.Address, LoadBalancer: absent.LoadBalancer,
		Protocol: absent.Protocol, Endpoint: absent.Endpoint, Drain: absent.Drain,
	}
	g.compiled = append(g.compiled, g.listener)
	return g, g.listener.Prepare()
}

// current are the servers of the generation that serves.
func (r *run) current() []server {
	return r.servers[r.serving.first : r.serving.first+r.serving.servers]
}

// begin makes the first generation the one that serves.
func (r *run) begin(g *generation) {
	r.serving, r.listener = g, g.listener
	r.quotas = balance.NewQuotas(g.compiled, nil)
	r.limit(g)
	for _, l := range []*balance.Listener{g.listener, r.last.listener} {
		r.limited = r.limited || limits(l)
		r.counts = r.counts || l.CPS > 0 || l.MaxConnections > 0
	}
}

func (r *run) limit(g *generation) {
	r.quota = r.quotas[g.listener.LoadBalancer]
	r.share = r.quota.Listeners[g.listener.Address]
	r.coming.client.Destination = g.listener.Endpoint
}

// swap makes a generation serve, under what is drained by hand now, as the live balancer does: states,
// verdicts and quotas go on for what stays. It may be the one that serves already.
func (r *run) swap(g *generation) {
	next, err := newGeneration(g.config, r.sim, r.drained(), g.listener)
	if err != nil { // it compiled before
		r.broken = errors.Join(r.broken, err)
		return
	}
	before := r.serving
	g.compiled, g.listener = next.compiled, next.listener
	r.quotas = balance.NewQuotas(g.compiled, r.quotas)
	r.serving, r.listener = g, g.listener
	r.limit(g)
	r.epoch++
	for n, p := range g.listener.Pools() {
		k := g.base + n
		prev := r.poolOf(before, p.Owner)
		var state *balance.State
		if prev >= 0 {
			state = r.pools[prev].state
		}
		r.pools[k].Pool, r.pools[k].state, r.pools[k].known = p, balance.NewState(p, state), tablesOf(p)
		for i := range p.Backends {
			r.succeed(r.pools[k].first+i, r.serverOf(prev, &p.Backends[i]), &p.Backends[i])
		}
	}
}

// poolOf finds the pool of an owner in a generation; -1 if it has none.
func (r *run) poolOf(g *generation, owner string) int {
	for k := g.base; k < g.base+g.pools; k++ {
		if r.pools[k].Owner == owner {
			return k
		}
	}
	return -1
}

// serverOf finds the server of a pool that has the same name and endpoint, by which health checks know it.
func (r *run) serverOf(pool int, b *balance.Backend) int {
	if pool < 0 {
		return -1
	}
	p := &r.pools[pool]
	for i := p.first; i < p.first+p.size; i++ {
		if s := r.servers[i].Backend; s.Name == b.Name && s.Endpoint == b.Endpoint {
			return i
		}
	}
	return -1
}

// succeed makes server i serve as b, where old was before; -1 is nobody. It may be the same one, with
// another weight.
func (r *run) succeed(i, old int, b *balance.Backend) {
	s := &r.servers[i]
	var was balance.Backend
	sessions := int64(0)
	if old >= 0 {
		was, sessions = *r.servers[old].Backend, r.servers[old].sessions
	}
	s.Backend = b
	if s.sessions = 0; old >= 0 && b.Weight == 0 {
		if s.sessions = sessions; was.Weight > 0 {
			s.sessions = r.now + int64(r.listener.Drain)
		}
	}
	if old != i {
		r.replace(i, old)
	}
	switch {
	case old < 0 || was.Drained == b.Drained:
	case b.Drained:
		r.letGo(s.line, r.listener.Drain)
	default:
		r.servers[s.line].cutAt = 0
	}
}

// replace has server i begin, of another generation than old. One that is new, or was not asked about, is
// asked at once: an apply has the verdict before it commits. One that stays keeps its verdict, and its
// schedule if its check is the same.
func (r *run) replace(i, old int) {
	s := &r.servers[i]
	if old < 0 {
		s.since = r.now
		if s.probed && s.Instance != "" && !s.stopped && !s.fine {
			r.warned = append(r.warned, fmt.Sprintf("at %s %s does not answer as it should: an apply would not commit to it", time.Duration(r.now), s.Instance))
		}
		r.askNow(i)
		return
	}
	before := &r.servers[old]
	s.line = before.line
	s.verdict, s.since = before.verdict, before.since
	if s.stopped && !before.stopped {
		r.kill(s.line)
	}
	switch {
	case !s.probed:
	case before.probed && before.check == s.check:
		s.until, s.passing, s.hung, s.asked, before.heir = before.until, before.passing, before.hung, before.asked, i
	default:
		r.askNow(i)
	}
}

// askNow has a server probed now, if it is one that is probed.
func (r *run) askNow(i int) {
	if r.servers[i].probed {
		r.events.push(event{r.now, probeStarts, i})
	}
}

// heir is who answers for a server's probes: itself, or who has taken its place; -1 is nobody.
func (r *run) heir(i int) int {
	if i >= r.serving.first && i < r.serving.first+r.serving.servers {
		return i
	}
	return r.servers[i].heir
}

// drained lists what is drained by hand.
func (r *run) drained() []string {
	all := slices.Concat(r.always, r.hands)
	slices.Sort(all)
	return slices.Compact(all)
}

// drain drains instances by hand, or lets them back.
func (r *run) drain(instances []string, begins bool) {
	for _, address := range instances {
		if begins {
			r.hands = append(r.hands, address)
		} else if k := slices.Index(r.hands, address); k >= 0 {
			r.hands = slices.Delete(r.hands, k, k+1)
		}
	}
	r.swap(r.serving)
}

// instancesOf lists what an event is about, in order: the targets, or the instances of a zone that are behind
// the listener.
func (r *run) instancesOf(targets []string, zone string) []string {
	if zone == "" {
		return targets
	}
	var out []string
	for _, i := range r.last.config.Instances {
		behind := func(s server) bool { return s.Instance == i.Address }
		if i.Zone == zone && slices.ContainsFunc(r.servers, behind) {
			out = append(out, i.Address)
		}
	}
	return out
}
