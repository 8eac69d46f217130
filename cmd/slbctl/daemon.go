package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"slbctl/planner"
	"slbctl/runtime"
	"slbctl/runtime/control"
)

// daemon is the runtime of the working folder as the planner sees it.
type daemon struct {
	started bool   // by this process
	warning string // why what it ran last is not known; "" when it is
}

// Observe implements planner.Runtime. A daemon that does not run is observed as
// what it would come back with.
func (d *daemon) Observe(ctx context.Context) (planner.Observed, error) {
	seen, err := observe(ctx)
	if errors.Is(err, control.ErrNotRunning) {
		var g control.Generation
		g, d.warning, err = committed()
		return planner.Observed{Generation: g.Generation, Hash: g.Hash}, err
	}
	return seen, err
}

// observe asks the daemon, which may end at any moment: control.ErrNotRunning.
func observe(ctx context.Context) (planner.Observed, error) {
	client, err := control.Dial(workingFolder)
	if err != nil {
		return planner.Observed{}, err
	}
	g, err := client.Generation(ctx)
	if err != nil {
		return planner.Observed{}, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return planner.Observed{}, err
	}
	seen := planner.Observed{Running: true, Generation: g.Generation, Hash: g.Hash, Instances: map[string]string{}}
	if len(status.Runtime.Problems) > 0 {
		seen.Hash = "" // it runs less than that generation: something to bring up to date
	}
	for _, i := range status.Instances {
		seen.Instances[i.Address] = i.Status
	}
	seen.Open = openConnections(status)
	return seen, nil
}

func openConnections(status *control.Status) map[string]planner.Open {
	open := map[string]planner.Open{}
	add := func(owner string, clients int64, backends []control.Backend) {
		servers := make(map[string]int64, len(backends))
		for _, b := range backends {
			servers[b.Address] = b.Connections
		}
		open[owner] = planner.Open{Clients: clients, Servers: servers}
	}
	for _, lb := range status.LoadBalancers {
		for i := range lb.Listeners {
			l := &lb.Listeners[i]
			add(l.Address, l.Connections, l.Backends)
			for _, r := range l.Rules {
				add(r.Address, 0, r.Backends)
			}
		}
	}
	return open
}

// committed is what the daemon would come back with. That is nothing when the file
// that says so is damaged, which is a warning: the state knows what should run.
func committed() (g control.Generation, warning string, err error) {
	g, _, err = runtime.Committed(workingFolder)
	var damaged *runtime.DamagedError
	if errors.As(err, &damaged) {
		return control.Generation{}, fmt.Sprintf("%v. The runtime cannot come back with what it ran last: "+
			"it starts with nothing and keeps the file aside, and apply brings back what is recorded", damaged), nil
	}
	return g, "", err
}

// Apply implements planner.Runtime. It starts the daemon when none runs.
func (d *daemon) Apply(ctx context.Context, r planner.Request, report func(planner.Event)) error {
	client, err := d.start(ctx)
	if err != nil {
		return &planner.RefusedError{Problems: []string{err.Error()}}
	}
	err = client.Apply(ctx, asked(r), func(e control.Event) { report(planner.Event(e)) })
	return asPlanned(err, r.Base)
}

// asked is a planner's request in the daemon's words.
func asked(r planner.Request) control.Request {
	return control.Request{
		Generation: r.Generation, Base: r.Base, Hash: r.Hash,
		Config: r.Config, Renamed: r.Renamed, OnlyNames: r.OnlyNames, Wait: r.Wait, Timeout: r.Timeout,
		IgnoreExpectations: r.IgnoreExpectations,
		Canary:             r.Canary, CanaryPause: r.CanaryPause, Try: r.Try,
	}
}

func (d *daemon) start(ctx context.Context) (*control.Client, error) {
	client, err := runtime.Reach(ctx, workingFolder)
	if !errors.Is(err, control.ErrNotRunning) {
		return client, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("runtime: find this program's file: %w", err)
	}
	d.started = true
	return runtime.Start(ctx, workingFolder, exe)
}

// asPlanned turns the daemon's refusal into what the planner tells apart.
func asPlanned(err error, base uint64) error {
	var refusal *control.Error
	if !errors.As(err, &refusal) {
		return err
	}
	problems := strings.Split(strings.TrimSpace(refusal.Message), "\n")
	switch refusal.Code {
	case control.CodeVerify:
		return &planner.VerifyError{Problems: problems, Live: base}
	case control.CodeStale:
		return &planner.StaleError{Moved: problems}
	}
	return &planner.RefusedError{Problems: problems}
}
