package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"slbctl/sim"
	"slbctl/spec"
)

// mostReplicas keep their results in memory at once.
const mostReplicas = 1000

// replicate shows how much of a result is a matter of chance: it runs each simulation under
// several seeds, the configuration's and those after it.
func (c *simRunCmd) replicate(s *session, config *spec.Config, before *earlier, names []string) error {
	switch {
	case *c.Replicas < 2 || *c.Replicas > mostReplicas:
		return &usageError{detail: fmt.Sprintf("-replicas takes 2 to %d", mostReplicas), command: "sim"}
	case c.Record != "" || c.HTML != "":
		return &usageError{detail: "-replicas has many runs to show, and -record and -html have one: leave them out", command: "sim"}
	}
	var all []*sim.Replication
	var ran atomic.Int64
	end := s.progress(func() string {
		return fmt.Sprintf("%d of %s", ran.Load(), count(int64(*c.Replicas*len(names)), "replica"))
	})
	defer end()
	for _, name := range names {
		results, err := c.replicas(s.ctx, config, before, name, &ran)
		if err != nil {
			return err
		}
		all = append(all, sim.Replicated(results))
	}
	end()
	var err error
	if c.JSON {
		err = sim.WriteReplicationsJSON(s.stdout, all)
	} else {
		err = sim.WriteReplications(s.stdout, all, s.colorOut)
	}
	if err != nil {
		return err
	}
	if err := replicasJunit(all).write(c.Junit); err != nil {
		return err
	}
	return verdict(all)
}

// replicas runs one simulation under its seeds, as many at a time as there are processors. Which
// comes first does not matter: none knows of another.
func (c *simRunCmd) replicas(ctx context.Context, config *spec.Config, before *earlier, name string, ran *atomic.Int64) ([]*sim.Result, error) {
	var first uint64
	for _, x := range config.Simulations {
		if x.Name == name {
			first = x.Seed
		}
	}
	if c.Seed != nil {
		first = *c.Seed
	}
	results := make([]*sim.Result, *c.Replicas)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for k := range results {
		group.Go(func() (err error) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			seed := first + uint64(k)
			results[k], err = sim.Run(config, name, before.under(name, sim.Options{Seed: &seed, Context: ctx}))
			ran.Add(1)
			return err
		})
	}
	return results, group.Wait()
}

// replicasJunit has a case for each expectation, whose verdict is that of all replicas.
func replicasJunit(all []*sim.Replication) *junitSuite {
	j, took := &junitSuite{Name: "slbctl sim"}, 0.0
	for _, r := range all {
		took += r.WallSeconds
		for k := range r.Expectations {
			j.expectation(r.Name, r.Expectations[k].Told())
		}
	}
	j.Time = fmt.Sprintf("%.3f", took)
	return j
}
