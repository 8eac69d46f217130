package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"slbctl/planner"
	"slbctl/runtime/control"
	"slbctl/runtime/loadgen"
	"slbctl/sim"
	"slbctl/spec"
)

// liveFlags are those of a simulation that sends real traffic.
type liveFlags struct {
	Live    bool          `help:"Send it to what runs and compare, in real time."`
	Workers int           `default:"1024" placeholder:"N" help:"Live: requests under way at once, at most (1024)."`
	Lag     patienceValue `default:"10ms" placeholder:"TIME" help:"Live: p99 by which they may be sent late (10ms)."`
	Longest patienceValue `default:"10m" placeholder:"TIME" help:"Live: refuse what takes longer (10m)."`
}

// checkLive refuses what is not to be had of real traffic.
func (c *simRunCmd) checkLive() error {
	detail := ""
	switch {
	case !c.Live:
	case len(c.Compare) > 0:
		detail = "-compare supposes other schedulers, and -live has the one that runs: leave one of them out"
	case len(c.Without) > 0:
		detail = "-without supposes a loss, and -live supposes nothing: write a fault block"
	case c.Replicas != nil || c.HTML != "":
		detail = "-replicas and -html are of virtual time, and -live is not: leave one of them out"
	case c.Workers < 1:
		detail = fmt.Sprintf("-workers=%d sends nothing", c.Workers)
	}
	if detail == "" {
		return nil
	}
	return &usageError{detail: detail, command: "sim"}
}

// live sends each simulation's traffic and reports what was foretold and what was observed.
func (c *simRunCmd) live(s *session, config *spec.Config, names []string) ([]*sim.Result, error) {
	client, err := control.Dial(workingFolder)
	if err != nil {
		return nil, err
	}
	var results []*sim.Result
	for _, name := range names {
		r, err := c.liveOne(s, client, config, name)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// liveOne sends the traffic of one.
func (c *simRunCmd) liveOne(s *session, client *control.Client, config *spec.Config, name string) (r *sim.Result, err error) {
	k := slices.IndexFunc(config.Simulations, func(x *spec.Simulation) bool { return x.Name == name })
	l := &liveRun{cmd: c, client: client, config: config, sim: config.Simulations[k]}
	if len(l.sim.Changes) > 0 {
		unlock, planErr := l.planChange(s)
		if planErr != nil {
			return nil, planErr
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	return l.perform(s)
}

// liveRun is one simulation whose traffic is sent.
type liveRun struct {
	cmd      *simRunCmd
	client   *control.Client
	config   *spec.Config
	sim      *spec.Simulation
	listener *spec.Listener
	before   *control.Standing
	forecast *sim.Forecast
	start    time.Time
	operator operator
	attempt  *planner.Request // of a change; nil = there is none, or it changes nothing that runs
	after    *spec.Config     // what it makes of the configuration
}

func (l *liveRun) perform(s *session) (*sim.Result, error) {
	if most := time.Duration(l.cmd.Longest); l.sim.Duration > most {
		return nil, fmt.Errorf("simulation %q lasts %s, and live that is real time: -longest=%s lets it", l.sim.Name, l.sim.Duration, l.sim.Duration)
	}
	lb := l.config.LoadBalancer(l.sim.Target)
	l.listener = lb.Listeners[slices.IndexFunc(lb.Listeners, func(x *spec.Listener) bool { return x.Name == l.sim.Listener })]
	if err := l.foretell(s.ctx); err != nil {
		return nil, err
	}
	if l.after == nil && !alike(lb, l.before.Config.LoadBalancer(lb.Address)) {
		s.note("%s runs otherwise than it is configured, which `slbctl plan` shows; the prediction is about what runs.", lb.Address)
	}
	if err := l.unharmed(s.ctx); err != nil {
		return nil, err
	}
	end := s.progress(func() string {
		return fmt.Sprintf("simulation %q, live: %s of %s", l.sim.Name, max(0, time.Since(l.start)).Round(time.Second), l.sim.Duration)
	})
	defer end()
	what := "connection"
	if spec.L7(l.listener.Protocol) {
		what = "request"
	}
	s.note("Sending %s in %s to %s.", count(int64(len(l.forecast.Calls)), what), l.sim.Duration, l.listener.Address)
	report, err := l.send(s)
	if err != nil {
		return nil, err
	}
	end()
	after, err := l.client.Standing(s.ctx, l.listener.Address)
	if err != nil {
		return nil, err
	}
	replies := repliesOf(report)
	result, err := l.forecast.Compare(replies, sim.Aftermath{
		Generator: l.generator(report), Pools: after.Pools, ActLag: l.operator.lag,
		Moved: after.Generation != l.before.Generation || !slices.Equal(after.Drained, l.before.Drained),
	})
	if err != nil {
		return nil, err
	}
	result.WallSeconds = time.Since(l.start).Seconds()
	if l.cmd.Record != "" {
		err = l.forecast.Record(l.cmd.Record, replies)
	}
	return result, err
}

// The time between asking how the listener stands and the first request: a prediction has to
// be made meanwhile.
const (
	shortestLead = 300 * time.Millisecond
	longestLead  = time.Minute
)

// foretell asks how the listener stands and predicts how it goes on from there.
func (l *liveRun) foretell(ctx context.Context) error {
	for lead := shortestLead; ; lead *= 3 {
		asked := time.Now()
		var err error
		if l.before, err = l.client.Standing(ctx, l.listener.Address); err != nil {
			return err
		}
		status, err := l.client.Status(ctx)
		if err != nil {
			return err
		}
		running, err := l.harmedBy(status, l.before.Config)
		if err != nil {
			return err
		}
		after, err := l.harmedBy(status, l.after)
		if err != nil {
			return err
		}
		l.forecast, err = sim.Foretell(running, l.sim.Name, sim.LiveOptions{
			Seed: l.cmd.Seed, Drained: l.before.Drained, Pools: l.before.Pools, Lead: lead, Patience: l.patience(), After: after, Context: ctx, Salt: uint64(asked.UnixNano()),
		})
		if err != nil {
			return err
		}
		if l.start = asked.Add(lead); time.Now().Before(l.start) {
			return nil
		}
		if lead > longestLead {
			return fmt.Errorf("simulation %q: the prediction takes longer than %s: send fewer requests", l.sim.Name, lead)
		}
	}
}

// harmedBy is a configuration with the faults by hand, and with the simulations of the files; nil of none.
func (l *liveRun) harmedBy(status *control.Status, config *spec.Config) (*spec.Config, error) {
	if config == nil {
		return nil, nil
	}
	c := *config
	c.Simulations, c.Instances = l.config.Simulations, slices.Clone(c.Instances)
	for _, i := range status.Instances {
		k := slices.IndexFunc(c.Instances, func(x *spec.Instance) bool { return x.Address == i.Address })
		runs := l.before.Config.Instance(i.Address)
		if k < 0 || runs == nil || i.Fault == "" || i.Fault == runs.Fault.String() {
			continue
		}
		fault, err := spec.ParseFault(i.Fault)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", i.Address, err)
		}
		harmed := *c.Instances[k]
		harmed.Fault = fault
		c.Instances[k] = &harmed
	}
	return &c, nil
}

// alike reports whether two balancers are configured alike.
func alike(a, b *spec.LoadBalancer) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errors.Join(errX, errY) == nil && bytes.Equal(x, y)
}

// unharmed sees to it that no fault by hand is on an instance that is to have one for the
// simulation, which would end it.
func (l *liveRun) unharmed(ctx context.Context) error {
	harmed := l.harmed()
	if len(harmed) == 0 {
		return nil
	}
	status, err := l.client.Status(ctx)
	if err != nil {
		return err
	}
	for _, i := range status.Instances {
		configured := ""
		if f := l.before.Config.Instance(i.Address).Fault.String(); f != "none" {
			configured = f
		}
		if slices.Contains(harmed, i.Address) && i.Fault != configured {
			return fmt.Errorf("%s has a fault by hand (%s): `slbctl fault %s none` takes it back", i.Address, i.Fault, i.Address)
		}
	}
	return nil
}

// answerPatience is how long a connection on L4 may take.
const answerPatience = 30 * time.Second

// datagramPatience is when a datagram, or its answer, is taken for lost.
const datagramPatience = 2 * time.Second

// patience is how long a client of the listener waits for an answer.
func (l *liveRun) patience() time.Duration {
	switch {
	case l.listener.Protocol == spec.ProtocolUDP:
		return datagramPatience
	case spec.L7(l.listener.Protocol):
		return l.listener.RequestTimeout + l.listener.ConnectTimeout + 5*time.Second
	}
	return answerPatience
}

// send sends the traffic, and does what happens beside it.
func (l *liveRun) send(s *session) (*loadgen.Report, error) {
	target := loadgen.Target{
		Endpoint: l.forecast.Listener.Endpoint, Web: spec.L7(l.listener.Protocol), Secure: l.listener.Protocol == spec.ProtocolHTTPS,
		Echo: l.forecast.Echo, Herald: l.listener.AcceptProxyProtocol, Patience: l.patience(), Datagram: l.listener.Protocol == spec.ProtocolUDP,
	}
	calls := make([]loadgen.Call, len(l.forecast.Calls))
	for k, x := range l.forecast.Calls {
		calls[k] = loadgen.Call{At: x.At, Source: x.Source, Host: x.Host, Path: x.Path, Visitor: x.Visitor, Cookies: x.Cookies, First: x.First, Last: x.Last}
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	acted := make(chan error)
	go func() {
		err := l.operate(ctx, s)
		if err != nil {
			cancel(err)
		}
		acted <- err
	}()
	report := loadgen.Run(ctx, target, calls, loadgen.Options{Start: l.start, Workers: l.cmd.Workers})
	err := context.Cause(s.ctx)
	cancel(nil)
	return report, errors.Join(err, <-acted, l.heal())
}

// generator tells how the generator did.
func (l *liveRun) generator(r *loadgen.Report) sim.Generator {
	limit := time.Duration(l.cmd.Lag)
	return sim.Generator{
		AtOnce: r.AtOnce, Hung: r.Hung, Unsent: r.Unsent, Waited: r.Waited, Workers: l.cmd.Workers,
		Lag: sim.Lag{Limit: limit.Seconds(), Max: r.Lag.Max.Seconds(), P50: r.Lag.P50.Seconds(), P99: r.Lag.P99.Seconds()},
	}
}

// repliesOf are the generator's replies in the simulator's words.
func repliesOf(r *loadgen.Report) []sim.Reply {
	out := make([]sim.Reply, len(r.Replies))
	for k, x := range r.Replies {
		out[k] = sim.Reply{
			Done: x.Done, Source: x.Source, Server: x.Server, Unsent: x.Fate == loadgen.Unsent, Silent: x.Fate == loadgen.Silent, Err: x.Err,
		}
		if x.Fate == loadgen.Answered {
			out[k].Status = cmp.Or(x.Status, http.StatusOK)
		}
	}
	return out
}
