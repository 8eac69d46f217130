package runtime

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/webserver"
	"slbctl/spec"
)

// faults are what instances do wrong by hand: instead of what the configuration says, until
// they are taken back, their time is up or the daemon ends. They are an experiment, so no
// generation has them.
type faults struct {
	mu sync.Mutex
	of map[string]*byHand // by instance
}

type byHand struct {
	fault spec.InstanceFault
	until time.Time   // zero = until it is taken back
	timer *time.Timer // takes it back; nil = nobody does so by itself
}

// set gives an instance a fault, or with nil takes it back, and returns what undoes that.
func (f *faults) set(address string, next *byHand) (undo func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.of[address]
	f.put(address, next)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.put(address, before)
	}
}

func (f *faults) put(address string, next *byHand) {
	if next == nil {
		delete(f.of, address)
		return
	}
	if f.of == nil {
		f.of = map[string]*byHand{}
	}
	f.of[address] = next
}

// keep forgets the faults of all instances but these.
func (f *faults) keep(instances []*spec.Instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.of, func(address string, _ *byHand) bool {
		return !slices.ContainsFunc(instances, func(i *spec.Instance) bool { return i.Address == address && i.CheckFault(&spec.InstanceFault{}) == nil })
	})
}

// stop ends what would still happen by itself.
func (f *faults) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.of {
		if h.timer != nil {
			h.timer.Stop()
		}
	}
}

// over gives the instances the faults that they have by hand.
func (f *faults) over(instances []webserver.Instance) []webserver.Instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.of) == 0 {
		return instances
	}
	instances = slices.Clone(instances)
	for n, i := range instances {
		if h := f.of[i.Address]; h != nil {
			instances[n].Fault = &h.fault
		}
	}
	return instances
}

// handOver tells the faults to a successor.
func (f *faults) handOver() map[string]heritedFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]heritedFault, len(f.of))
	for address, h := range f.of {
		all[address] = heritedFault{h.fault, h.until}
	}
	return all
}

// on is the fault that an instance has, by hand or by its configuration.
func (f *faults) on(i *spec.Instance) *spec.InstanceFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.of[i.Address]; h != nil {
		return &h.fault
	}
	return i.Fault
}

// SetFault implements control.Engine.
func (e *engine) SetFault(ctx context.Context, address string, fault *spec.InstanceFault, d time.Duration) error {
	if err := e.hold(ctx); err != nil {
		return err
	}
	defer e.release()
	i := e.current().Config.Instance(address)
	if i == nil {
		return &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("%s does not run here: `slbctl status` lists the instances", address)}
	}
	var next *byHand
	if fault != nil {
		if err := i.CheckFault(fault); err != nil {
			return err
		}
		next = &byHand{fault: *fault}
	}
	undo := e.faults.set(address, next)
	if err := e.setInstances(e.current()); err != nil {
		undo()
		return err
	}
	if next != nil && d > 0 {
		e.limitFault(address, next, time.Now().Add(d))
	}
	e.log.Info("fault set by hand", "address", address, "fault", fault.String(), "for", d.String())
	return nil
}

// limitFault has a fault end by itself.
func (e *engine) limitFault(address string, h *byHand, until time.Time) {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	h.until = until
	h.timer = time.AfterFunc(time.Until(until), func() { e.endFault(address, h) })
}

// endFault takes a fault back when its time is up, unless another one has followed it.
func (e *engine) endFault(address string, ended *byHand) {
	if e.hold(e.life) != nil {
		return // the daemon ends and its instances with it, or they are a successor's
	}
	defer e.release()
	e.faults.mu.Lock()
	mine := e.faults.of[address] == ended
	if mine {
		delete(e.faults.of, address)
	}
	e.faults.mu.Unlock()
	if !mine {
		return
	}
	if err := e.fleet.set(e.life, e.wanted(e.current())); err != nil {
		e.log.Error("a fault does not end; the next apply tries again", "address", address, "error", err)
		return
	}
	e.log.Info("fault over", "address", address)
}
