package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/expect"
	"slbctl/runtime/proxy"
	"slbctl/spec"
)

// meet holds the live expectations of the generation that has just taken over against its
// listeners: it sends them requests of its own and judges what comes back. The error says
// what was wanted and what was observed.
func (e *engine) meet(ctx context.Context, c *change) error {
	if c.lenient || c.req.IgnoreExpectations || c.req.Wait == control.WaitNone {
		return nil
	}
	var broken []error
	for _, lb := range c.after.Config.LoadBalancers {
		for _, l := range lb.Listeners {
			live := c.next[l.Address]
			if !live.spec.Serving {
				continue
			}
			held := c.askedOf(lb, l, live.spec)
			if len(held) == 0 {
				continue
			}
			for _, m := range e.ask(ctx, live, servesPages(c.after.Config, live.spec), held) {
				text := fmt.Sprintf("expect %q: wanted %s, observed %s", m.Name, m.Wanted, m.Detail)
				if m.Verdict != expect.Pass {
					broken = append(broken, fmt.Errorf("%s: %s", m.owner, text))
					continue
				}
				c.step(control.PhaseVerify, m.owner, text)
			}
		}
	}
	return errors.Join(broken...)
}

// askedOf lists the expectations that real requests to a listener can be held to.
func (c *change) askedOf(lb *spec.LoadBalancer, l *spec.Listener, compiled *balance.Listener) (held []*spec.Expect) {
	for k := range lb.Expects {
		x := &lb.Expects[k]
		concerned := x.Metric != spec.MetricUnrouted || spec.L7(l.Protocol)
		if x.Metric == spec.MetricShare {
			concerned = slices.ContainsFunc(compiled.Pools(), func(p *balance.Pool) bool { return hasInstance(p, x.Of) })
		}
		if !x.Live || !concerned {
			continue
		}
		if why := l.Unasked(x); why != "" {
			c.step(control.PhaseVerify, l.Address, fmt.Sprintf("expect %q: not asked, for the listener %s", x.Name, why))
			continue
		}
		held = append(held, x)
	}
	return held
}

func hasInstance(p *balance.Pool, instance string) bool {
	return slices.ContainsFunc(p.Backends, func(b balance.Backend) bool { return b.Instance == instance })
}

// servesPages reports whether everybody behind a listener is an instance that speaks HTTP,
// so that a connection can ask something that is answered.
func servesPages(c *spec.Config, l *balance.Listener) bool {
	return !slices.ContainsFunc(l.Backends, func(b balance.Backend) bool {
		i := c.Instance(b.Instance)
		return i == nil || i.Protocol != spec.ProtocolHTTP || len(i.Command) > 0
	})
}

// met is what became of an expectation, at a listener or a rule.
type met struct {
	owner string
	expect.Result
}

// ask sends a listener what its expectations need and judges them.
func (e *engine) ask(ctx context.Context, live *listener, pages bool, held []*spec.Expect) (out []met) {
	a := newAsker(live.spec, pages)
	if len(a.sources) == 0 {
		for _, x := range held {
			out = append(out, met{live.spec.Address, expect.Nothing(x, "nothing: the access list lets no client of this machine in")})
		}
		return out
	}
	e.mu.Lock()
	tables := live.tables
	e.mu.Unlock()
	for n := range a.requests {
		a.times[n] = max(1, min(timesAsked, mostAsked/len(a.requests)))
		for _, x := range held {
			a.times[n] = max(a.times[n], a.needs(x, n, tables))
		}
	}
	before := e.taken(live)
	a.run(ctx)
	after := e.taken(live)
	for _, x := range held {
		if x.Metric != spec.MetricShare {
			out = append(out, met{live.spec.Address, a.judge(x)})
			continue
		}
		for n, p := range live.spec.Pools() {
			if hasInstance(p, x.Of) {
				out = append(out, met{p.Owner, a.judgeShare(x, n, tables[n], delta(before[n], after[n]))})
			}
		}
	}
	return out
}

// taken is how many connections, or requests, each server has got so far: by pool, and
// by place there.
func (e *engine) taken(live *listener) [][]int64 {
	count := live.handler.Counters()
	var out [][]int64
	for n, p := range live.spec.Pools() {
		of := count.Backends
		if n > 0 {
			of = count.Rules[p.Owner]
		}
		out = append(out, takenOf(p, of))
	}
	return out
}

func takenOf(p *balance.Pool, counts map[string]proxy.Counts) []int64 {
	out := make([]int64, len(p.Backends))
	for i, b := range p.Backends {
		out[i] = counts[b.Name].Requests
	}
	return out
}

func delta(before, after []int64) []int64 {
	out := make([]int64, len(after))
	for i := range out {
		out[i] = after[i] - before[i]
	}
	return out
}

// needs is how many of request n an expectation takes to be judged.
func (a *asker) needs(x *spec.Expect, n int, tables []*balance.Table) int {
	pool := a.requests[n].pool
	switch {
	case x.Metric == spec.MetricErrorRate:
		return min(expect.Needed(x, 0)/len(a.requests)+1, mostAsked)
	case x.Metric != spec.MetricShare || pool < 0 || !hasInstance(a.pools[pool], x.Of):
		return 0
	}
	if period := tables[pool].Period(); period > 0 && period <= mostAsked {
		return (timesAsked + period - 1) / period * period
	}
	share := 0.0
	for i, part := range tables[pool].Shares() {
		if a.pools[pool].Backends[i].Instance == x.Of {
			share += part
		}
	}
	// Four times as many leave room for a sample that is as far off as the interval is wide.
	return min(4*expect.Needed(x, share), mostAsked)
}

// judge holds what came back to an expectation on errors or unrouted requests.
func (a *asker) judge(x *spec.Expect) expect.Result {
	part, first := a.errors.Load(), a.firstError()
	if x.Metric == spec.MetricUnrouted {
		part, first = a.unrouted.Load(), ""
	}
	whole := a.asked.Load()
	if whole == 0 {
		return expect.Nothing(x, "nothing: the time of the apply was up")
	}
	detail := expect.Told(x.Metric, part, whole, a.what()) + first
	if expect.Counts(x.Metric) {
		return expect.Judge(x, float64(part), detail)
	}
	return expect.Sample(x, part, whole, detail)
}

// judgeShare holds a share of what a pool's servers have got meanwhile: from this run, and
// from clients who were there. Turns are exact to the period that was not over.
func (a *asker) judgeShare(x *spec.Expect, n int, table *balance.Table, got []int64) expect.Result {
	var part, whole int64
	p := a.pools[n]
	for i, b := range p.Backends {
		whole += got[i]
		if b.Instance == x.Of {
			part += got[i]
		}
	}
	switch {
	case whole == 0:
		return expect.Nothing(x, fmt.Sprintf("nothing: none of %d %ss was served%s", a.asked.Load(), a.what(), a.firstError()))
	case len(a.sources) == 1 && p.KnowsClients():
		return expect.Nothing(x, "nothing: all requests of this machine come from one address, whose server they get")
	}
	detail := expect.Told(x.Metric, part, whole, a.what())
	period := table.Period()
	if period == 0 || int64(period) > whole {
		return expect.Sample(x, part, whole, detail)
	}
	wide := *x
	slack := float64(whole%int64(period)) / float64(whole)
	if x.Min != nil {
		low := *x.Min - slack
		wide.Min = &low
	}
	if x.Max != nil {
		high := *x.Max + slack
		wide.Max = &high
	}
	r := expect.Judge(&wide, float64(part)/float64(whole), detail)
	r.Wanted = expect.Wanted(x)
	return r
}

// firstError tells of the first request that failed.
func (a *asker) firstError() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure == "" {
		return ""
	}
	return ", the first one: " + strings.TrimSpace(a.failure)
}
