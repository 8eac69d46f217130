// Package control is the daemon's API and its client: JSON over HTTP on the unix
// socket .slbctl/runtime.sock of a working folder.
//
//	client, err := control.Dial(dir)
//	if errors.Is(err, control.ErrNotRunning) { … }
//	status, err := client.Status(ctx)
//
// There is no TCP port: the socket is 0600 in a folder of 0700, and the peer's
// user id is checked on every connection, so neither another user nor a web page
// can reach it.
package control

import (
	"context"
	"errors"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/explain"
	"slbctl/spec"
)

// ErrNotRunning says that no daemon answers in the folder.
var ErrNotRunning = errors.New("the runtime is not running: start it with `slbctl apply` or `slbctl runtime start`")

// Engine is what the API serves; the daemon implements it.
type Engine interface {
	Status() *Status
	// Generation waits until no apply is under way, then tells what is live.
	Generation(ctx context.Context) (Generation, error)
	// Apply makes a configuration live in the phases of Event. It returns an
	// *Error; when it does, nothing has changed.
	Apply(ctx context.Context, req Request, emit func(Event)) error
	// SetInstance stops or starts one instance by hand.
	SetInstance(ctx context.Context, address string, running bool) error
	// SetDrained takes a server out softly by hand, or lets it back in.
	SetDrained(ctx context.Context, address string, drained bool) (DrainResult, error)
	// EndTry goes back to what was live before a Request with Try, if there was one.
	EndTry(ctx context.Context) error
	// SetAside takes a server out softly for so long, at most, or with 0 lets it back. It is an
	// experiment: no drain by hand, and not written down.
	SetAside(ctx context.Context, address string, d time.Duration) error
	// SetFault has an instance do something wrong instead of what its configuration says:
	// for so long, or with 0 until a nil fault takes it back.
	SetFault(ctx context.Context, address string, fault *spec.InstanceFault, d time.Duration) error
	// Explain tells why a request goes where it goes.
	Explain(q explain.Question) (*explain.Explanation, error)
	// Standing tells how a listener stands, by its resource address.
	Standing(listener string) (*Standing, error)
	// WaitDrained waits until nothing is draining, or with a server's address, as SetDrained
	// takes it, until nothing drains from that one.
	WaitDrained(ctx context.Context, server string) error
	// Upgrade has another process take over, of the program in a file. When it returns nil
	// that process serves, and this one only finishes what it has; after an error nothing
	// has changed. Once begun it does not end with its client.
	Upgrade(ctx context.Context, executable string) error
	// Shutdown asks the daemon to end; it returns at once.
	Shutdown()
}

// Standing is how a listener stands at a moment, and all that it takes to foretell what it
// will do: the live configuration, what was drained by hand or is aside, and its pools in the order of
// balance.Listener.Pools.
type Standing struct {
	Config     *spec.Config       `json:"config"`
	Drained    []string           `json:"drained"`
	Generation uint64             `json:"generation"`
	Pools      []balance.Standing `json:"pools"`
}

// DrainResult is what a drain by hand, or its end, has done.
type DrainResult struct {
	Backends int      `json:"backends"` // that get nothing new from now on, or get traffic again
	Unserved []string `json:"unserved"` // listeners and rules all of whose servers have weight 0 now
}

// Generation names a committed configuration.
type Generation struct {
	Generation uint64 `json:"generation"` // counts up from 1; 0 = nothing applied yet
	Hash       string `json:"hash"`       // digest of its configuration
}

// Request asks for one configuration to become live.
type Request struct {
	Generation uint64       `json:"generation"` // the new one
	Base       uint64       `json:"base"`       // the one it was planned on
	Hash       string       `json:"hash"`
	Config     *spec.Config `json:"config"`
	// Renamed has the new addresses of what goes on under another one. OnlyNames says
	// that nothing else changes: instances stopped by hand stay so.
	Renamed   map[string]string `json:"renamed,omitempty"`
	OnlyNames bool              `json:"only_names,omitempty"`
	// IgnoreExpectations sends no requests that live expectations are held to.
	IgnoreExpectations bool `json:"ignore_expectations,omitempty"`
	// Try makes it live for so long, at most, or until EndTry: an experiment that no file has, so that a daemon
	// which is started anew has the generation before. Nothing else can be applied meanwhile.
	Try time.Duration `json:"try,omitempty"`

	Wait    string        `json:"wait"`    // WaitVerified, WaitDrained, WaitNone
	Timeout time.Duration `json:"timeout"` // for the phases up to verify
	// Canary moves traffic in these steps, in percent, each of which is watched for
	// CanaryPause. It ends with its client: when that is gone, everything goes back.
	Canary      []int         `json:"canary,omitempty"`
	CanaryPause time.Duration `json:"canary_pause,omitempty"`
}

// How long an apply stays: until every instance of ours is well, until what it
// removed is drained and gone, or not at all.
const (
	WaitVerified = "verified"
	WaitDrained  = "drained"
	WaitNone     = "false"
)

// Event is one step of an apply.
type Event struct {
	Phase   string `json:"phase"` // prepare, canary, commit, verify, drain, remove
	Address string `json:"address,omitempty"`
	Message string `json:"message"`
}

// The phases of an apply, in order.
const (
	PhasePrepare = "prepare"
	PhaseCanary  = "canary"
	PhaseCommit  = "commit"
	PhaseVerify  = "verify"
	PhaseDrain   = "drain"
	PhaseRemove  = "remove"
)

// Error is a refusal by the daemon. After it the previous generation is live.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Codes of Error.
const (
	CodeRefused  = "refused"  // preparing failed: a port is taken, a file is missing
	CodeVerify   = "verify"   // the new configuration did not get well and was withdrawn
	CodeStale    = "stale"    // the base generation is not the live one
	CodeNotFound = "notfound" // no such resource
	CodeMoved    = "moved"    // another process has taken over meanwhile, which is to be asked
)

func (e *Error) Error() string { return e.Message }
