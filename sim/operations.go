package sim

import (
	"fmt"
	"slices"
	"time"

	"slbctl/runtime/balance"
)

// Drain is a drain of a simulation as it is done to what runs.
type Drain struct {
	At, Until time.Duration
	Instances []string // resource addresses
}

// Deployment is one of a simulation as it is done to what runs: a batch is drained, refuses everything while it
// starts, and is let back; the next one follows when Forecast.Well says so.
type Deployment struct {
	At      time.Duration
	Batches [][]string // resource addresses of instances
	Drain   time.Duration
	Startup time.Duration
	// Foretold is when each of its acts is predicted to be: three of each batch, and none after the traffic.
	Foretold []time.Duration
}

// operations are what an operator does in a simulation, before it is played.
func (f *Forecast) operations() error {
	r := f.run
	for _, c := range r.sim.Changes {
		f.Change = c.At
	}
	for _, d := range r.drains {
		one := Drain{At: d.At, Until: r.sim.Duration, Instances: d.instances}
		if d.For > 0 {
			one.Until = min(one.Until, d.At+d.For)
		}
		f.Drains = append(f.Drains, one)
	}
	if err := f.always(); err != nil {
		return err
	}
	taken := map[string]string{}
	for _, d := range r.deploys {
		one := Deployment{At: d.At, Drain: d.Drain, Startup: d.Startup, Batches: slices.Collect(slices.Chunk(d.left, d.Batch))}
		for _, address := range d.left {
			i := f.instance(address)
			struck := slices.ContainsFunc(f.Strikes, func(s Strike) bool { return s.Instance == address })
			switch {
			case struck:
				return fmt.Errorf("deploy %q: %s has a fault, too, and what runs has one at a time", d.Name, address)
			case taken[address] != "":
				return fmt.Errorf("deploy %q: %s is started anew by deploy %q, too", d.Name, address, taken[address])
			case len(i.Command) > 0:
				return fmt.Errorf("deploy %q: %s runs a program of yours, which slbctl does not start anew", d.Name, address)
			}
			taken[address] = d.Name
		}
		f.Deploys = append(f.Deploys, one)
	}
	return nil
}

// always sees to it that all to which something is done are there before and after a change.
func (f *Forecast) always() error {
	var all []string
	for _, s := range f.Strikes {
		all = append(all, s.Instance)
	}
	for _, d := range f.run.drains {
		all = append(all, d.instances...)
	}
	for _, d := range f.run.deploys {
		all = append(all, d.left...)
	}
	for _, address := range all {
		if f.before != nil && (f.before.Instance(address) == nil || f.config.Instance(address) == nil) {
			return fmt.Errorf("%s is there only before, or only after the change: nothing else can be done to it live", address)
		}
	}
	return nil
}

// foretellOperations notes when the acts of deployments are predicted, after it was played.
func (f *Forecast) foretellOperations() {
	for k, d := range f.run.deploys {
		for _, at := range d.acts {
			f.Deploys[k].Foretold = append(f.Deploys[k].Foretold, time.Duration(at))
		}
	}
}

// Well reports whether the checks say that instances are well behind the listener as it stands, as a deployment
// waits for it.
func (f *Forecast) Well(pools []balance.Standing, instances []string) bool {
	r := f.run
	for _, p := range pools {
		k := r.poolOf(r.serving, p.Owner)
		if k < 0 {
			continue
		}
		for i, known := range p.Servers {
			s := &r.servers[r.pools[k].first+i]
			if slices.Contains(instances, s.Instance) && s.probed && !s.stopped && known.Health != balance.Normal {
				return false
			}
		}
	}
	return true
}
