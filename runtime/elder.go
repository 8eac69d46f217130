package runtime

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/netloop"
	"slbctl/runtime/proxy"
)

// elder is a process that had this one, or one before it, as its successor and finishes
// what it has. It ends with this one at the latest.
type elder struct {
	*bond
	pid   int
	idle  chan struct{} // closed when it carries nothing any more
	ended chan struct{} // closed when it has ended

	mu     sync.Mutex
	last   uint64                   // the last order
	orders map[uint64]chan struct{} // closed when carried out
}

// join notes an elder until it has ended.
func (e *engine) join(b *bond, pid int, idle bool) {
	o := &elder{
		bond: b, pid: pid, idle: make(chan struct{}), ended: make(chan struct{}),
		// Orders that the process before this one gave have lower numbers.
		last: uint64(time.Now().UnixNano()), orders: map[uint64]chan struct{}{},
	}
	if idle {
		close(o.idle)
	}
	e.mu.Lock()
	e.elders = append(e.elders, o)
	e.mu.Unlock()
	go func() {
		for {
			rest, ok := o.reply()
			if !ok {
				break
			}
			e.credit(rest)
		}
		o.conn.Close()
		e.mu.Lock()
		e.elders = slices.DeleteFunc(e.elders, func(x *elder) bool { return x == o })
		e.mu.Unlock()
		close(o.ended)
	}()
}

// credit adds what an elder has counted to what this process has.
func (e *engine) credit(rest map[string]proxy.Record) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for address, r := range rest {
		if l := e.listeners[address]; l != nil {
			l.handler.Credit(r)
		}
	}
}

// reply takes what an elder says, and is not ok when that has ended.
func (o *elder) reply() (rest map[string]proxy.Record, ok bool) {
	var r reply
	err := o.hear(forever, &r)
	o.mu.Lock()
	defer o.mu.Unlock()
	over := err != nil || r.Idle
	if over && o.carries() {
		close(o.idle)
	}
	for id, done := range o.orders {
		if over || id == r.Drained {
			close(done)
			delete(o.orders, id)
		}
	}
	return r.Rest, err == nil
}

// give has it carry out an order. The channel is closed when that is done.
func (o *elder) give(what order) <-chan struct{} {
	done := make(chan struct{})
	o.mu.Lock()
	if !o.carries() {
		o.mu.Unlock()
		close(done)
		return done
	}
	o.last++
	what.ID = o.last
	o.orders[what.ID] = done
	o.mu.Unlock()
	_ = o.say(servingPatience, what) // fails when it has ended, which is seen by idle
	return done
}

// tellElders has all elders carry out an order.
func (e *engine) tellElders(what order) (done []<-chan struct{}) {
	e.mu.Lock()
	elders := slices.Clone(e.elders)
	e.mu.Unlock()
	for _, o := range elders {
		done = append(done, o.give(what))
	}
	return done
}

// order is what an elder is told of what drains.
func (b draining) order() order {
	what := order{Owner: b.of.spec.Address, Until: b.until}
	if b.backend == "" {
		return what
	}
	what.Owner, what.Backend = b.pool, b.backend
	for _, p := range b.of.spec.Pools() {
		for _, s := range p.Backends {
			if p.Owner == b.pool && s.Name == b.backend {
				what.Endpoint = s.Endpoint
			}
		}
	}
	return what
}

// obey carries out the orders of the successor until that ends.
func (e *engine) obey() {
	for {
		var what order
		if e.bond.hear(forever, &what) != nil {
			return
		}
		ends := e.carryOutOrder(what)
		go func() {
			for _, end := range ends {
				<-end
			}
			_ = e.bond.say(servingPatience, reply{Drained: what.ID}) // unless that one has ended
		}()
	}
}

// carryOutOrder returns when what it concerns will have ended.
func (e *engine) carryOutOrder(what order) (ends []<-chan struct{}) {
	for _, l := range e.listeners {
		switch {
		case what.Backend == "" && l.spec.Address != what.Owner:
		case what.Backend == "" && what.Until.IsZero():
			l.handler.Return(l.handler)
		case what.Backend == "":
			ends = append(ends, l.handler.DrainAll(what.Until))
		case !slices.ContainsFunc(l.spec.Pools(), func(p *balance.Pool) bool { return p.Owner == what.Owner }):
		case what.Until.IsZero():
			l.handler.Keep(what.Owner, what.Backend, what.Endpoint)
		default:
			ends = append(ends, l.handler.Drain(what.Owner, what.Backend, what.Endpoint, what.Until))
		}
	}
	return ends
}

// carries says whether it still has connections.
func (o *elder) carries() bool {
	select {
	case <-o.idle:
		return false
	default:
		return true
	}
}

// file is another descriptor of the bond, for a successor.
func (o *elder) file() (*os.File, error) {
	conn, ok := o.conn.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a socket")
	}
	return netloop.FileOf(conn, "bond")
}

// awaitElders gives them until a time to carry nothing any more.
func awaitElders(elders []*elder, until time.Time) {
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	for _, o := range elders {
		select {
		case <-o.idle:
		case <-late.C:
			return
		}
	}
}

// dismissElders ends them, so that nothing of them is there when this process has ended.
func (e *engine) dismissElders() {
	e.mu.Lock()
	elders := slices.Clone(e.elders)
	e.mu.Unlock()
	for _, o := range elders {
		_ = o.conn.(*net.UnixConn).CloseWrite() // fails when it has just ended
	}
	late := time.NewTimer(stopPatience)
	defer late.Stop()
	for _, o := range elders {
		select {
		case <-o.ended:
		case <-late.C:
			return
		}
	}
}
