package sim

import (
	"slbctl/runtime/balance"
	"slbctl/spec"
)

// drain is a drain block and its window.
type drain struct {
	*spec.SimulatedDrain
	*episode
	instances []string
	over      bool
}

func (r *run) addDrain(n int) {
	d := &drain{SimulatedDrain: &r.sim.Drains[n]}
	d.instances = r.instancesOf(d.Targets, d.Zone)
	d.episode = r.addEpisode(d.Name, func() bool { return (d.over || d.For == 0) && r.calm() && r.emptied(r.lines(d.instances)) })
	r.drains = append(r.drains, d)
	r.events.push(event{int64(d.At), drainStarts, n})
	if d.For > 0 {
		r.events.push(event{int64(d.At + d.For), drainEnds, n})
	}
}

// deployment is a deploy block, how far it has come, and its window.
type deployment struct {
	*spec.Deploy
	*episode
	left  []string // instances that are still to come
	batch []string // those whose turn it is
	up    bool     // the batch has started
	acts  []int64  // when what was done so far
	over  bool
}

func (r *run) addDeploy(n int) {
	d := &deployment{Deploy: &r.sim.Deploys[n]}
	d.left = r.instancesOf(d.Targets, d.Zone)
	d.episode = r.addEpisode(d.Name, func() bool { return d.over && r.calm() })
	r.deploys = append(r.deploys, d)
	r.events.push(event{int64(d.At), batchDrains, n})
}

// lines are those of instances.
func (r *run) lines(instances []string) (lines []int32) {
	for _, address := range instances {
		for i := range r.servers {
			if s := &r.servers[i]; s.Instance == address && s.line == int32(i) {
				lines = append(lines, s.line)
			}
		}
	}
	return lines
}

// drainBatch takes the next servers out softly.
func (d *deployment) drainBatch(r *run, n int) {
	d.open, d.up = true, false
	d.acts = append(d.acts, r.now)
	k := min(d.Batch, len(d.left))
	d.batch, d.left = d.left[:k], d.left[k:]
	r.drain(d.batch, true)
	r.events.push(event{r.now + int64(d.Drain), batchStops, n})
}

// stopBatch stops them, with what they have.
func (d *deployment) stopBatch(r *run, n int) {
	d.acts = append(d.acts, r.now)
	r.stop(d.batch, 1)
	for _, line := range r.lines(d.batch) {
		r.kill(line)
	}
	r.events.push(event{r.now + int64(d.Startup), batchStarts, n})
}

// startBatch has them answer again and lets them back: that nobody is sent there before they are
// well is for the health checks.
func (d *deployment) startBatch(r *run) {
	d.acts = append(d.acts, r.now)
	r.stop(d.batch, -1)
	r.drain(d.batch, false)
	d.up = true
}

// stop takes instances down, or up again.
func (r *run) stop(instances []string, step int) {
	for _, address := range instances {
		for i := range r.servers {
			if s := &r.servers[i]; s.Instance == address {
				s.down += step
				s.look()
			}
		}
	}
	r.woken = true
}

// goOn begins the next batches of deployments whose last one is well.
func (r *run) goOn() {
	for n, d := range r.deploys {
		if !d.up || d.over || !r.wellAgain(d.batch) {
			continue
		}
		if d.up = false; len(d.left) == 0 {
			d.over = true
			continue
		}
		r.events.push(event{r.now, batchDrains, n})
	}
}

// wellAgain reports whether the checks say that instances are well, where there are checks.
func (r *run) wellAgain(instances []string) bool {
	servers := r.current()
	for k := range servers {
		s := &servers[k]
		for _, address := range instances {
			if s.Instance == address && s.probed && !s.stopped && s.verdict.Health() != balance.Normal {
				return false
			}
		}
	}
	return true
}
