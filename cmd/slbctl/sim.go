package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"slbctl/runtime"
	"slbctl/sim"
	"slbctl/spec"
)

// simCmd is about traffic in virtual time. `sim NAME` is `sim run NAME`.
type simCmd struct {
	Exec     simRunCmd      `cmd:"" name:"run" default:"withargs" hidden:"" help:"Replay traffic in virtual time and check expectations."`
	Import   simImportCmd   `cmd:"" help:"Make a trace of an access log."`
	Backtest simBacktestCmd `cmd:"" help:"Hold the balancer's choices against those of an access log."`
	Diff     simDiffCmd     `cmd:"" help:"Show two results of sim -json side by side."`
}

// simRunCmd replays the configuration's simulations.
type simRunCmd struct {
	Names    []string `arg:"" optional:"" name:"name" help:"Run only these."`
	JSON     bool     `name:"json" help:"Print one JSON document."`
	Seed     *uint64  `placeholder:"N" help:"Draw other random numbers."`
	Replicas *int     `placeholder:"N" help:"Run under N seeds; print means and intervals."`
	Record   string   `placeholder:"TRACE" help:"Keep the requests, and their servers, as a trace."`

	HTML    string   `name:"html" placeholder:"FILE" help:"Draw a page of it, too: one file for any browser."`
	Junit   string   `name:"junit" placeholder:"FILE" help:"Write a JUnit report of the expectations, too."`
	Compare []string `placeholder:"SCHEDULER,..." help:"Compare schedulers in one table."`
	Without []string `sep:"none" placeholder:"ADDR" help:"Suppose a lost instance, or zone=NAME. Repeatable."`
	liveFlags
	variableFlags
}

func (c *simRunCmd) Run(s *session) error {
	config, err := s.configured(c.variableFlags)
	if err != nil {
		return err
	}
	names, err := c.chosen(config)
	if err != nil {
		return err
	}
	before, err := c.before(s, config, names, c.Without)
	if err != nil {
		return err
	}
	whole := config
	if err := c.checkLive(); err != nil {
		return err
	}
	if config, err = sim.Without(config, c.Without...); err != nil {
		return fmt.Errorf("-without: %w", err)
	}
	if len(c.Compare) > 0 {
		return c.compare(s, config, before, names)
	}
	if c.Replicas != nil {
		return c.replicate(s, config, before, names)
	}
	if c.Record != "" && len(names) > 1 {
		return &usageError{detail: fmt.Sprintf("-record keeps one simulation, and there are %d: name it", len(names)), command: "sim"}
	}
	results, err := c.results(s, config, names, whole, before)
	if err != nil {
		return err
	}
	if c.JSON {
		err = sim.WriteJSON(s.stdout, results)
	} else {
		err = sim.WriteText(s.stdout, results, s.colorOut)
	}
	if err != nil {
		return err
	}
	if err := simJunit(results).write(c.Junit); err != nil {
		return err
	}
	return verdict(results)
}

// earlier is what there is before a change: the recorded configuration, and what was drained by hand in it, both
// under the addresses that the files have for it.
type earlier struct {
	config  *spec.Config // nil where nothing is recorded
	drained []string
	changes map[string]bool // simulations that have a change, by name
}

// before is what there is before simulations that have a change. Who is lost in the files is lost there, too, if it
// is there.
func (c *simRunCmd) before(s *session, config *spec.Config, names, losses []string) (*earlier, error) {
	b := &earlier{changes: map[string]bool{}}
	for _, x := range config.Simulations {
		b.changes[x.Name] = len(x.Changes) > 0 && slices.Contains(names, x.Name)
	}
	if !slices.Contains(slices.Collect(maps.Values(b.changes)), true) {
		return b, nil
	}
	st, err := s.recorded()
	if err != nil || st == nil {
		return b, err
	}
	var addresses []string
	for i := range st.Resources {
		addresses = append(addresses, st.Resources[i].Address)
	}
	renamed := spec.Renames(addresses, config.Moves)
	if b.config, err = spec.FromResources(spec.Rename(st.Resources, renamed), st.Runtime, st.Seed); err != nil {
		return b, fmt.Errorf("build the recorded configuration: %w", err)
	}
	drained, err := runtime.Drained(workingFolder)
	if err != nil {
		return b, err
	}
	for _, address := range drained {
		b.drained = append(b.drained, spec.RenameServer(address, renamed))
	}
	for _, loss := range losses {
		if lossy, err := sim.Without(b.config, loss); err == nil {
			b.config = lossy
		}
	}
	return b, nil
}

// under are the options of a simulation that goes on from what there is before.
func (b *earlier) under(name string, opt sim.Options) sim.Options {
	if b.changes[name] {
		opt.Before, opt.Drained = b.config, b.drained
	}
	return opt
}

// results runs the simulations, or sends their traffic. whole is the configuration without
// any loss, before the one that a change replaces.
func (c *simRunCmd) results(s *session, config *spec.Config, names []string, whole *spec.Config, before *earlier) (results []*sim.Result, err error) {
	if c.Live {
		return c.live(s, config, names)
	}
	var ran atomic.Int64
	end := s.progress(func() string { return fmt.Sprintf("%d of %s", ran.Load(), count(int64(len(names)), "simulation")) })
	defer end()
	for _, name := range names {
		if err := context.Cause(s.ctx); err != nil {
			return nil, err
		}
		r, err := sim.Run(config, name, before.under(name, sim.Options{Seed: c.Seed, Record: c.Record, Context: s.ctx, Timeline: c.HTML != ""}))
		if err != nil {
			return nil, err
		}
		results = append(results, r)
		ran.Add(1)
	}
	return results, c.draw(s, whole, results)
}

// simJunit has a case for each expectation.
func simJunit(results []*sim.Result) *junitSuite {
	j, took := &junitSuite{Name: "slbctl sim"}, 0.0
	for _, r := range results {
		took += r.WallSeconds
		for _, e := range r.Expectations {
			j.expectation(r.Name, e)
		}
		if r.Live != nil {
			j.add(r.Name, "prediction", r.Live.Verdict, append(r.Live.Broken(), r.Live.Notes...))
		}
	}
	j.Time = fmt.Sprintf("%.3f", took)
	return j
}

// expectation is the case of one.
func (j *junitSuite) expectation(simulation string, e sim.Expectation) {
	j.add(simulation, e.Name, e.Verdict, []string{fmt.Sprintf("wanted %s: %s", e.Wanted, e.Detail)})
}

// compare shows what other schedulers would make of the same traffic. It judges nothing.
func (c *simRunCmd) compare(s *session, config *spec.Config, before *earlier, names []string) error {
	if c.Record != "" || c.Junit != "" || c.Replicas != nil {
		return &usageError{detail: "-compare judges nothing, keeps nothing and has one run of each: leave out -record, -junit and -replicas", command: "sim"}
	}
	var all []*sim.Comparison
	for _, name := range names {
		compared, err := sim.Compare(config, name, c.Compare, before.under(name, sim.Options{Seed: c.Seed, Context: s.ctx, Timeline: c.HTML != ""}))
		if err != nil {
			return err
		}
		all = append(all, compared)
	}
	if err := c.drawCompared(all); err != nil {
		return err
	}
	if c.JSON {
		return sim.WriteComparisonsJSON(s.stdout, all)
	}
	return sim.WriteComparisons(s.stdout, all)
}

// chosen are the simulations that were named, or all.
func (c *simRunCmd) chosen(config *spec.Config) ([]string, error) {
	var all []string
	for _, x := range config.Simulations {
		all = append(all, x.Name)
	}
	for _, name := range c.Names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("simulation %q is not in the configuration%s", name, didYouMean(name, all))
		}
	}
	switch {
	case len(c.Names) > 0:
		return c.Names, nil
	case len(all) == 0:
		return nil, errors.New("the configuration has no simulation block: `slbctl init` in an empty folder writes one to look at")
	}
	return all, nil
}

// verdict is the exit code that all results together deserve.
func verdict[R interface{ Verdict() sim.Verdict }](results []R) error {
	var err error
	for _, r := range results {
		switch r.Verdict() {
		case sim.Fail:
			return outcome(exitFailed)
		case sim.Inconclusive:
			err = outcome(exitInconclusive)
		}
	}
	return err
}
