package runtime

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/spec"
)

// aside is a server that gets nothing new for a while.
type aside struct {
	timer *time.Timer // lets it back
}

// SetAside implements control.Engine: it takes a server out softly for so long, at most, or with 0 lets it back.
// That is an experiment, as a fault by hand is, so that no file has it: it ends with the daemon.
func (e *engine) SetAside(ctx context.Context, address string, d time.Duration) error {
	if err := e.hold(ctx); err != nil {
		return err
	}
	defer e.release()
	if d == 0 {
		return e.letBack(address)
	}
	compiled, err := balance.Compile(e.current().Config)
	if err != nil {
		return err
	}
	if unknown := balance.Drained(compiled, []string{address}); unknown != nil {
		return &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("%s is behind no listener%s", address, listed("; what can be drained: ", serversOf(compiled)))}
	}
	a := &aside{}
	a.timer = time.AfterFunc(d, func() { e.endAside(a) })
	e.mu.Lock()
	if before := e.aside[address]; before != nil {
		before.timer.Stop()
	}
	if e.aside == nil {
		e.aside = map[string]*aside{}
	}
	e.aside[address] = a
	e.mu.Unlock()
	e.log.Info("set aside", "address", address, "for", d.String())
	return e.redrain()
}

// endAside lets a server back when its time is up, unless it has got more of it.
func (e *engine) endAside(a *aside) {
	if e.hold(e.life) != nil {
		return // the daemon ends
	}
	defer e.release()
	for address, now := range maps.Clone(e.aside) {
		if now != a {
			continue
		}
		if err := e.letBack(address); err != nil {
			e.log.Error("a server stays aside; the next apply tries again", "address", address, "error", err)
		}
	}
}

// letBack ends that a server is aside, if it is.
func (e *engine) letBack(address string) error {
	a := e.aside[address]
	if a == nil {
		return nil
	}
	a.timer.Stop()
	e.mu.Lock()
	delete(e.aside, address)
	e.mu.Unlock()
	e.log.Info("no more aside", "address", address)
	return e.redrain()
}

// redrain makes live what is drained now.
func (e *engine) redrain() error {
	compiled, err := balance.Compile(e.current().Config)
	if err != nil {
		return err
	}
	balance.Drained(compiled, e.out(e.drained, nil))
	e.followDrain(e.reweigh(compiled))
	return nil
}

// out lists what gets nothing new: what was drained by hand, and under the addresses that it will have, what is
// aside.
func (e *engine) out(drained []string, renamed map[string]string) []string {
	all := slices.Clone(drained)
	for address := range e.aside {
		all = append(all, spec.RenameServer(address, renamed))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// renameAside follows what is aside under another address.
func (e *engine) renameAside(renamed map[string]string) {
	if len(renamed) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for address, a := range maps.Clone(e.aside) {
		if now := spec.RenameServer(address, renamed); now != address {
			delete(e.aside, address)
			e.aside[now] = a
		}
	}
}

// stopExperiments stops what would still end by itself.
func (e *engine) stopExperiments() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range e.aside {
		a.timer.Stop()
	}
	if e.attempt != nil {
		e.attempt.timer.Stop()
	}
}
