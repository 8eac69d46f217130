package runtime

import (
	"context"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/health"
	"slbctl/spec"
)

// Engine is the daemon's engine without its socket: the steps of an apply are told
// in the moment in which they are taken.
type Engine struct{ *engine }

// NewEngine makes an engine in a folder that exists.
func NewEngine(dir string, opt Options) (Engine, error) {
	ctx, cancel := context.WithCancel(context.Background())
	e, err := newEngine(ctx, dir, opt, cancel)
	return Engine{e}, err
}

// Close ends it as the daemon does.
func (e Engine) Close() error {
	e.shutdown()
	return e.close()
}

// Disconnect closes the connection to the instances' process; the next request makes
// another one.
func (e Engine) Disconnect() { e.fleet.child.Close() }

// Observe reports a verdict as the prober does.
func (e Engine) Observe(ev health.Event) { e.observe(ev) }

// InFlight is what the scheduler of a listener counts for a backend.
func (e Engine) InFlight(listener string, backend int) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listeners[listener].states[0].Active(backend)
}

// Share is a backend's part of new connections to a listener.
func (e Engine) Share(listener string, backend int) float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listeners[listener].tables[0].Shares()[backend]
}

// Persist makes one generation follow the other on disk, and tells which is there then.
func Persist(fsys durable.FS, dir string, before, after uint64) (there uint64, err error) {
	of := func(n uint64) committed { return newCommitted(control.Generation{Generation: n}, &spec.Config{}) }
	err = persist(fsys, dir, of(before), of(after))
	c, readErr := lookAtCommitted(fsys, dir)
	if readErr != nil {
		return 0, readErr
	}
	return c.Generation, err
}

// SetClock is what certificates are held against from now on.
func (e Engine) SetClock(now func() time.Time) { e.now = now }

// Renew looks at the certificates of the local CA, as the daemon does every hour.
func (e Engine) Renew() { e.renew() }
