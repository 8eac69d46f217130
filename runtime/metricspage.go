package runtime

import (
	"errors"
	"fmt"
	"sync"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/metrics"
	"slbctl/runtime/proxy"
	"slbctl/spec"
)

// newPage is a server of /metrics that listens nowhere yet.
func (e *engine) newPage() *metrics.Page { return metrics.New(e.version, e.measure, e.log) }

// bindPage takes the port for /metrics that the change wants, unless it is served there.
func (e *engine) bindPage(c *change) error {
	want := c.req.Config.Runtime.MetricsEndpoint()
	if !want.IsValid() || e.page != nil && e.page.Addr() == want {
		return nil
	}
	page := e.newPage()
	if err := page.Listen(want); err != nil {
		if err = fmt.Errorf("metrics_address: %w", err); !c.lenient {
			return err
		}
		c.problems = append(c.problems, err.Error())
		return nil
	}
	c.page = page
	c.step(control.PhasePrepare, "", fmt.Sprintf("serves http://%s/metrics", want))
	return nil
}

// retirePage serves /metrics as the change wants it, from now on, when there is something
// to tell, and ends the page that it has replaced or made superfluous.
func (e *engine) retirePage(c *change) {
	e.mu.Lock()
	old := e.page
	switch {
	case c.page != nil:
		e.page = c.page
	case !c.req.Config.Runtime.MetricsEndpoint().IsValid():
		e.page = nil
	default:
		old = nil
	}
	page := e.page
	e.mu.Unlock()
	var err error
	if page != nil {
		err = page.Resume()
	}
	if old != nil {
		err = errors.Join(err, old.Close())
	}
	if err != nil {
		e.log.Error("change where metrics are served", "error", err)
	}
}

// measure is what /metrics tells.
func (e *engine) measure() *metrics.Snapshot {
	e.mu.Lock()
	listeners := e.listeners
	e.mu.Unlock()
	// The loops are asked without the lock: there may be many listeners.
	totals := ofAll(listeners, func(l *listener) total { return total{l.handler, l.handler.Totals()} })
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &metrics.Snapshot{Generation: e.live.Generation}
	for _, lb := range e.live.Config.LoadBalancers {
		if m, ok := e.measureBalancer(lb, totals); ok {
			s.LoadBalancers = append(s.LoadBalancers, m)
		}
	}
	return s
}

// total is what the loops have told of a listener's handler.
type total struct {
	of *proxy.Handler
	proxy.Totals
}

// ofAll calls f for all listeners at once, and returns what it returns by address.
func ofAll[T any](listeners map[string]*listener, f func(*listener) T) map[string]T {
	var mu sync.Mutex
	var calls sync.WaitGroup
	all := make(map[string]T, len(listeners))
	for address, l := range listeners {
		calls.Go(func() {
			one := f(l)
			mu.Lock()
			defer mu.Unlock()
			all[address] = one
		})
	}
	calls.Wait()
	return all
}

// measureBalancer is not ok for a balancer without listeners. The caller holds mu.
func (e *engine) measureBalancer(lb *spec.LoadBalancer, totals map[string]total) (m metrics.LoadBalancer, ok bool) {
	m.Address = lb.Address
	for _, l := range lb.Listeners {
		live := e.listeners[l.Address]
		if live == nil {
			continue
		}
		m.MaxConnections, m.CPS, m.QPS = live.spec.MaxConnections, live.spec.CPS, live.spec.QPS
		m.Bandwidth = live.spec.BalancerBandwidth
		t := totals[l.Address]
		if t.of != live.handler { // a change has come in between
			t.Totals = live.handler.Totals()
		}
		m.Listeners = append(m.Listeners, e.measureListener(live, &t.Totals))
	}
	if q := e.quotas[lb.Address]; q != nil {
		m.Connections, m.Peak = q.Connections.Open(), q.Connections.Peak()
	}
	return m, len(m.Listeners) > 0
}

func (e *engine) measureListener(live *listener, totals *proxy.Totals) metrics.Listener {
	l := live.spec
	m := metrics.Listener{
		LoadBalancer: l.LoadBalancer, Protocol: l.Protocol, Port: l.Port,
		Counters: live.handler.Counters(), Totals: *totals, MaxQPS: l.MaxQPS, Bandwidth: l.Bandwidth,
	}
	if k, ok := e.sockets[placeOf(l)].(*proxy.UDPSocket); ok {
		m.Dropped = k.Dropped()
	}
	rule := ""
	for n, p := range l.Pools() {
		counts := m.Counters.Backends
		if n > 0 {
			rule, counts = l.Rules[n-1].Name, m.Counters.Rules[p.Owner]
		}
		if len(p.Backends) > 0 { // else it redirects
			m.Pools = append(m.Pools, e.measurePool(live, p, rule, counts, totals))
		}
	}
	return m
}

func (e *engine) measurePool(live *listener, p *balance.Pool, rule string, counts map[string]proxy.Counts, totals *proxy.Totals) metrics.Pool {
	m := metrics.Pool{Rule: rule, Group: p.Group}
	for i, b := range p.Backends {
		m.Servers = append(m.Servers, metrics.Server{
			Name: b.Name, Health: e.verdictOn(live, p, i).Health, Counts: counts[b.Name], Traffic: totals.Server(p.Owner, b.Name),
		})
	}
	return m
}
