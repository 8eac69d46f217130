package sim

import (
	"fmt"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// NothingRecorded is what a simulation with a change says where no configuration is recorded.
type NothingRecorded struct{ Change string }

func (e *NothingRecorded) Error() string {
	return fmt.Sprintf("change %q: nothing is recorded that the files could change: `slbctl apply` records what it applies; without the change block the files are simulated from the start", e.Change)
}

// earlier is the generation that a change changes; nil without a change.
func (r *run) earlier(before *spec.Config, drained []string) (*generation, error) {
	if len(r.sim.Changes) == 0 {
		return nil, nil
	}
	if before == nil {
		return nil, &NothingRecorded{r.sim.Changes[0].Name}
	}
	return newGeneration(before, r.sim, drained, r.last.listener)
}

func (r *run) addChange(n int) {
	c := &r.sim.Changes[n]
	e := r.addEpisode(c.Name, func() bool { return r.calm() && r.emptied(r.leaving) })
	r.taking = e
	r.events.push(event{int64(c.At), changes, n})
}

// change has the configuration of the files take over. Connections to what leaves have the time of a
// drain, and then are cut off (balance.Leaving).
func (r *run) change() {
	before := r.serving
	r.taking.open = true
	all, leavers := balance.Leaving(before.listener, r.last.listener)
	drain := before.listener.Drain
	r.swap(r.last)
	for k := before.base; k < before.base+before.pools; k++ {
		p := &r.pools[k]
		for i := p.first; i < p.first+p.size; i++ {
			s := &r.servers[i]
			leaves := slices.ContainsFunc(leavers, func(l balance.Leaver) bool { return l.Owner == p.Owner && l.Name == s.Name && l.Endpoint == s.Endpoint })
			if all || leaves {
				r.letGo(s.line, drain)
				r.leaving = append(r.leaving, s.line)
			}
		}
	}
	for _, v := range r.visits {
		v.ways, v.later = v.later, nil
		v.idle = int64(r.listener.IdleTimeout)
		if all {
			v.hangUp(r.quota)
		}
	}
	for _, f := range r.faults {
		f.inherit(r)
	}
}

// hangUp closes the connections of all clients.
func (v *visits) hangUp(q *balance.Quota) {
	for k := range v.lines {
		if l := &v.lines[k]; l.open {
			l.open = false
			q.Connections.Leave()
		}
	}
}

// inherit has a fault that is under way look at the servers that have taken the place of others.
func (f *fault) inherit(r *run) {
	if !f.open {
		return
	}
	well := map[int32]bool{}
	for k, i := range f.servers {
		if i < r.serving.first || i >= r.serving.first+r.serving.servers {
			well[r.servers[i].line] = f.well[k]
		}
	}
	for k, i := range f.servers {
		if i >= r.serving.first && i < r.serving.first+r.serving.servers {
			was, stays := well[r.servers[i].line]
			f.well[k] = was || !stays
		}
	}
}

// letGo gives the connections that a line of servers has now until the end of a drain.
func (r *run) letGo(line int32, drain time.Duration) {
	s := &r.servers[line]
	s.cutFrom, s.cutAt = r.now, r.now+int64(drain)
	r.events.push(event{s.cutAt, serverCuts, int(line)})
}

// cut ends what a line of servers had when it was drained.
func (r *run) cut(line int32) {
	if s := &r.servers[line]; s.cutAt == r.now {
		s.cutAt = 0
		r.cutOff(line, s.cutFrom)
	}
}

// follow has a connection that tries again do so among the servers of now.
func (r *run) follow(c *connection) {
	if c.epoch == r.epoch {
		return
	}
	if k := r.poolOf(r.serving, r.pools[c.pool].Owner); k >= 0 {
		c.pool, c.tried, c.sticky = k, c.tried[:0], balance.NoBackend
	}
}
