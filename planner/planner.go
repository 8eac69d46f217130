// Package planner compares what is wanted, what is recorded and what runs, says
// what would change and what that does to traffic, and makes it so:
//
//	plan, err := planner.Make(planner.Input{Config: config, State: recorded, Observed: seen})
//	err = plan.WriteText(os.Stdout, planner.Style{})
//	err = planner.Apply(ctx, plan, store, runtime, planner.ApplyOptions{}, report)
//
// Making a plan is a function of its input: no clock, no randomness, no file.
// Everything in a plan is known; nothing waits for the apply.
package planner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"slbctl/planner/state"
	"slbctl/sim"
	"slbctl/spec"
)

// Input is all that a plan depends on.
type Input struct {
	// Config is what is wanted. With Destroy it may be nil; if it is there, its
	// references and protection count as well as the recorded ones.
	Config *spec.Config
	// State is what is recorded, nil = nothing.
	State *state.State
	// Lineage names a state that this plan would start; State's own wins.
	Lineage string
	// LastSerial is the highest that the history of the state knows: the next is
	// above it, whatever became of the states that had those.
	LastSerial uint64
	// Observed is what runs. With SkipRefresh it is not compared.
	Observed    Observed
	SkipRefresh bool
	// Drained lists the servers that were drained by hand: no plan is about that, and
	// each tells of it.
	Drained []string
	// Destroy plans to release the Targets, or everything without them.
	Destroy bool
	// Targets narrows the plan to these addresses and what they need.
	Targets []string
	// Replace lists resources to make anew though nothing in them asks for it.
	Replace []string
	// Earlier is a recorded configuration to go back to; it stands for Config.
	Earlier *state.State
	// RefreshOnly plans to record what runs, and to change nothing of it; Moves, to
	// record resources under other addresses; Forget, to have no plan be about these any
	// more. Each is about what is recorded, and stands for Config.
	RefreshOnly bool
	Moves       []spec.Move
	Forget      []string
	// SkipTraffic leaves the effect on traffic out.
	SkipTraffic bool
	// IgnoreExpectations has the plan applied though it fails expectations.
	IgnoreExpectations bool
	// Key keys the digests that stand for sensitive outputs.
	Key []byte
	// Warnings are those of the configuration, to be told with the plan; Notes likewise.
	Warnings, Notes []string

	recorded bool              // Config is what is recorded, now or before
	renames  map[string]string // instead of moves: new addresses by those that are recorded
}

// Observed is what the runtime reports.
type Observed struct {
	Running    bool   // the daemon answers
	Generation uint64 // committed, 0 = none
	Hash       string // digest of that generation's configuration
	// Instances tells running from stopped, by resource address.
	Instances map[string]string
	// Open has the connections that are open, by the resource address of the listener or
	// rule. Nil when the daemon does not run.
	Open map[string]Open
}

// Open is how many connections a listener has with its clients, and it, or a rule, to
// each of its servers by name.
type Open struct {
	Clients int64
	Servers map[string]int64
}

// Runtime is what makes a configuration real.
type Runtime interface {
	Observe(ctx context.Context) (Observed, error)
	// Apply moves the runtime from the request's base to its generation, and
	// returns nil only when it is committed and will survive a crash. After a
	// *VerifyError, *StaleError or *RefusedError it runs what it ran before;
	// after any other error it is for state.Store.Recover to find out.
	Apply(ctx context.Context, r Request, report func(Event)) error
}

// Request asks the runtime for a configuration.
type Request struct {
	Generation uint64
	Base       uint64 // the generation that must be running, 0 = none
	Hash       string // digest of Config, answered by Observe from then on
	Config     *spec.Config
	// Renamed has the new addresses of what goes on under another one; OnlyNames says
	// that nothing else changes, so that what was done by hand stays.
	Renamed   map[string]string
	OnlyNames bool
	// IgnoreExpectations leaves the live ones out of the verification.
	IgnoreExpectations bool
	Wait               string        // WaitVerified, WaitDrained or WaitNone
	Timeout            time.Duration // of the verification
	// Canary has the steps, in percent, in which traffic moves to the Config, and
	// CanaryPause is how long each is watched; without any it moves at once.
	Canary      []int
	CanaryPause time.Duration
	// Try makes the Config live for so long, at most, and keeps no record of it.
	Try time.Duration
}

// What an apply waits for.
const (
	WaitVerified = "verified"
	WaitDrained  = "drained"
	WaitNone     = "false"
)

// PhaseCanary is the phase of an apply in which its traffic moves in steps.
const PhaseCanary = "canary"

// Event is one step of an apply.
type Event struct {
	Phase   string // prepare, canary, commit, verify, drain, remove
	Address string // of a resource, or ""
	Message string
}

// VerifyError is a change that was made, did not work, and was taken back.
// Exit code 3.
type VerifyError struct {
	Problems []string // each names its resource
	Live     uint64   // the generation that runs again; 0 = nothing did
}

func (e *VerifyError) Error() string {
	now := fmt.Sprintf("generation %d runs, as before", e.Live)
	if e.Live == 0 {
		now = "nothing runs, as before"
	}
	return "verification failed and the change was rolled back, " + now + ": " + joinProblems(e.Problems)
}

// RefusedError is a change that the runtime could not prepare: nothing changed.
type RefusedError struct {
	Problems []string // each names its resource
}

func (e *RefusedError) Error() string {
	return "the runtime refused the change and nothing was changed: " + joinProblems(e.Problems)
}

// StaleError is a plan whose ground has moved. Exit code 6.
type StaleError struct {
	Moved []string // "the state: serial 4 when planned, 5 now"
}

func (e *StaleError) Error() string {
	return "the plan is stale: make a new one, because these have changed since: " + joinProblems(e.Moved)
}

func joinProblems(problems []string) string {
	if len(problems) == 1 {
		return problems[0]
	}
	text := ""
	for _, p := range problems {
		text += "\n  " + p
	}
	return text
}

// Action is what happens to a resource.
type Action string

// The actions, as in JSON.
const (
	Create  Action = "create"
	Update  Action = "update"
	Replace Action = "replace"
	Delete  Action = "delete"
	NoOp    Action = "no-op"
)

// Change is one resource's way from Before to After.
type Change struct {
	Address string
	Kind    string
	Name    string
	Action  Action
	// Reason says why, for a delete, a replace, and an update that the
	// configuration does not explain; else "".
	Reason  string
	Before  *spec.Resource // as it is; nil on create
	After   *spec.Resource // as it will be; nil on delete
	Changed []string       // paths inside Attributes that differ, on update and replace
	// From is the address under which it is recorded, where it moves to Address.
	From string
	// Forgets is set where it runs on as it is and no plan is about it any more.
	Forgets bool
}

// Stays says that neither the resource nor its record changes.
func (c *Change) Stays() bool { return c.Action == NoOp && c.From == "" && !c.Forgets }

// RuntimeChange is what happens to the runtime itself.
type RuntimeChange struct {
	Action   Action    `json:"action"` // Create: start it; Update: bring it to what is recorded; NoOp
	Reason   string    `json:"reason"`
	Settings []Setting `json:"changed"`
}

// Setting is one attribute of the runtime block.
type Setting struct {
	Name   string `json:"name"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

// OutputChange is one output's way. Values of sensitive ones are not in a plan.
type OutputChange struct {
	Name      string `json:"name"`
	Action    Action `json:"action"` // Create, Update or Delete
	Before    any    `json:"before"`
	After     any    `json:"after"`
	Sensitive bool   `json:"sensitive"`
}

// Plan is what an apply would do. It is not changed once made.
type Plan struct {
	Changes  []Change // every resource, by address; those that stay are NoOp
	Runtime  RuntimeChange
	Outputs  []OutputChange
	Warnings []string
	Notes    []string // what is so without being a change, and the user should know
	// RecordOnly plans change what is recorded and nothing that runs.
	RecordOnly bool
	Traffic    []sim.Traffic // one for each listener whose traffic changes
	// Promises are the expectations of the balancers, as the next state keeps them;
	// IgnoreExpectations says that nobody insists on them.
	Promises           []sim.Promise
	IgnoreExpectations bool
	// Canary is set where the change is made in steps.
	Canary *Canary
	// Next is the state after the apply.
	Next *state.State
	// Secrets are what digests in Next stand for, as far as the configuration has them.
	// No document of a plan has them.
	Secrets map[string]string
	// Base is what the plan starts from.
	Base state.Base

	config *spec.Config // see Config
}

// Count returns how many resources have this action.
func (p *Plan) Count(a Action) int {
	n := 0
	for i := range p.Changes {
		if p.Changes[i].Action == a {
			n++
		}
	}
	return n
}

// HasChanges says whether an apply would do anything at all.
func (p *Plan) HasChanges() bool {
	return p.asksRuntime() || len(p.Outputs) > 0 || slices.ContainsFunc(p.Changes, func(c Change) bool { return !c.Stays() })
}

// asksRuntime says whether the runtime has a part in it. What is forgotten runs on.
func (p *Plan) asksRuntime() bool {
	if p.RecordOnly {
		return false
	}
	return p.Runtime.Action != NoOp || len(p.Runtime.Settings) > 0 ||
		slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Action != NoOp || c.From != "" })
}

// problems collects what is wrong with a plan, to tell all of it at once.
type problems []error

func (p *problems) add(err error) { *p = append(*p, err) }

func (p problems) err() error { return errors.Join(p...) }
