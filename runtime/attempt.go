package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// attempt is a generation that is live for a while (control.Request.Try). No file has it: a daemon that is started
// anew has the one before, and so has whoever asks for the generation. Nothing else may change meanwhile but faults
// by hand and what is aside.
type attempt struct {
	before committed
	until  time.Time
	timer  *time.Timer // ends it
	stuck  error       // why going back has failed, which is tried again; only seen by who holds busy
}

// goBackAgain is how long after going back has failed it is tried again: what is in its way may have gone.
const goBackAgain = time.Second

// tried refuses what would be lost, or written down, while a generation is tried.
func (e *engine) tried() error {
	if e.attempt == nil {
		return nil
	}
	if e.attempt.stuck != nil {
		return &control.Error{Code: control.CodeRefused, Message: fmt.Sprintf(
			"the configuration that a simulation has tried stays as long as going back fails (%v); `slbctl runtime stop` and `start` bring back the one before", e.attempt.stuck)}
	}
	return &control.Error{Code: control.CodeRefused, Message: fmt.Sprintf(
		"a simulation tries another configuration on what runs, for %s more at most", time.Until(e.attempt.until).Round(time.Second))}
}

// mayTry says what keeps a change from being taken back without a trace.
func (e *engine) mayTry(req control.Request) error {
	var wrong []string
	if len(req.Canary) > 0 {
		wrong = append(wrong, "it goes in steps")
	}
	if len(req.Renamed) > 0 {
		wrong = append(wrong, "it moves what runs to other addresses")
	}
	if runtimeDiffers(e.current().Config, req.Config) {
		wrong = append(wrong, "it changes the runtime itself")
	}
	for address := range e.current().Stopped {
		wrong = append(wrong, address+" was stopped by hand, which an apply ends")
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return &control.Error{Code: control.CodeRefused, Message: "such a change cannot be tried: " + strings.Join(wrong, "; ")}
}

// runtimeDiffers reports whether the settings of the runtime itself do.
func runtimeDiffers(before, after *spec.Config) bool {
	return before != nil && before.Runtime != after.Runtime
}

// try begins an attempt, once its generation is live.
func (e *engine) try(c *change) {
	a := &attempt{before: c.before, until: time.Now().Add(c.req.Try)}
	a.timer = time.AfterFunc(c.req.Try, func() { e.endAttempt(a) })
	e.mu.Lock()
	e.attempt = a
	e.mu.Unlock()
}

// endAttempt goes back when the time is up, as soon as that can be done.
func (e *engine) endAttempt(a *attempt) {
	if e.hold(e.life) != nil {
		return // the daemon ends, and what comes back is what was before
	}
	defer e.release()
	if e.attempt != a {
		return
	}
	err := e.goBack(e.life)
	if err == nil {
		return
	}
	if a.stuck == nil || a.stuck.Error() != err.Error() {
		e.log.Error("the configuration that was tried stays, until going back succeeds; `slbctl runtime stop` and `start` bring back the one before", "error", err)
	}
	a.stuck = err
	e.mu.Lock()
	defer e.mu.Unlock()
	a.timer.Reset(goBackAgain)
}

// EndTry implements control.Engine: it ends an attempt before its time is up.
func (e *engine) EndTry(ctx context.Context) error {
	if err := e.hold(ctx); err != nil {
		return err
	}
	defer e.release()
	if e.attempt == nil {
		return nil
	}
	return e.goBack(ctx)
}

// goBack makes the generation live again that was before an attempt. It is not held up by servers that are ill.
func (e *engine) goBack(ctx context.Context) error {
	a := e.attempt
	c := e.newChange(control.Request{
		Generation: a.before.Generation, Hash: a.before.Hash, Config: a.before.Config,
		Wait: control.WaitNone, Timeout: stopPatience, IgnoreExpectations: true,
	}, a.before, func(control.Event) {})
	c.back = true
	if err := e.carryOut(ctx, c); err != nil {
		return err
	}
	a.timer.Stop()
	e.mu.Lock()
	e.attempt = nil
	e.mu.Unlock()
	e.log.Info("attempt over", "generation", a.before.Generation)
	e.settleSecurity(c.security)
	e.retire(c)
	return nil
}
