package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/expect"
	"slbctl/spec"
)

// Promise is an expect block of a load balancer, and what became of it at one of its
// listeners. JSON keys are in alphabetical order.
type Promise struct {
	Address  string   `json:"address"` // resource address of the load balancer
	Detail   string   `json:"detail"`
	Listener string   `json:"listener"` // resource address; of a rule for its own servers
	Live     bool     `json:"live"`     // an apply holds real requests to it, too
	Name     string   `json:"name"`
	Observed *float64 `json:"observed"` // null: there is nothing to judge by
	Verdict  Verdict  `json:"verdict"`
	Wanted   string   `json:"wanted"`
}

// Promises judges the expect blocks of all load balancers by what the configuration
// gives: shares by counting, as Foresee does, and errors and unrouted requests by
// simulating the requests that each listener is about (balance.Listener.Requests). Each
// is held at every listener, or rule, that it concerns and that serves. Servers count as
// well unless their instance is stopped, or lost as the expectation supposes.
//
// Servers that were drained by hand, and stay so, are left out.
func Promises(c *spec.Config, drained ...string) ([]Promise, error) {
	p := promises{drained: drained, worlds: map[string]*promised{}}
	for _, lb := range c.LoadBalancers {
		for k := range lb.Expects {
			if err := p.judge(c, lb, &lb.Expects[k]); err != nil {
				return nil, fmt.Errorf("%s: expect %q: %w", lb.Address, lb.Expects[k].Name, err)
			}
		}
	}
	return p.list, nil
}

type promises struct {
	drained []string
	worlds  map[string]*promised // by what is lost
	list    []Promise
}

// promised is a configuration whose promises are judged.
type promised struct {
	config  *spec.Config
	seen    foresight
	windows map[string]*Window // by listener
	lost    int                // instances
}

// without is the configuration after a loss.
func (p *promises) without(c *spec.Config, loss string) (*promised, error) {
	if w := p.worlds[loss]; w != nil {
		return w, nil
	}
	lossy, lost := lose(c, loss)
	seen, err := forecasts(lossy, p.drained)
	w := &promised{config: lossy, seen: seen, lost: lost, windows: map[string]*Window{}}
	p.worlds[loss] = w
	return w, err
}

func (p *promises) judge(c *spec.Config, lb *spec.LoadBalancer, e *spec.Expect) error {
	w, err := p.without(c, e.Loss())
	if err != nil {
		return err
	}
	if e.Loss() != "" && w.lost == 0 { // recorded before it got another name
		p.add(lb, e, "", expect.Nothing(e, e.Loss()+" is not there to be lost"))
		return nil
	}
	before := len(p.list)
	for _, sl := range lb.Listeners {
		listener := w.seen.listeners[sl.Address]
		if listener == nil || !listener.Serving || e.Metric == spec.MetricUnrouted && !spec.L7(sl.Protocol) {
			continue
		}
		if e.Metric == spec.MetricShare {
			for _, pool := range listener.Pools() {
				if f, ok := w.seen.pools[pool.Owner]; ok && hasInstance(pool, e.Of) {
					p.add(lb, e, pool.Owner, f.judgeShare(e))
				}
			}
			continue
		}
		r, err := p.count(w, lb, sl, e)
		if err != nil {
			return err
		}
		p.add(lb, e, sl.Address, r)
	}
	if len(p.list) == before {
		p.add(lb, e, "", expect.Nothing(e, "no listener that it concerns serves"))
	}
	return nil
}

func (p *promises) add(lb *spec.LoadBalancer, e *spec.Expect, listener string, r expect.Result) {
	p.list = append(p.list, Promise{
		Address: lb.Address, Listener: listener, Live: e.Live,
		Name: r.Name, Wanted: r.Wanted, Observed: r.Observed, Verdict: r.Verdict, Detail: r.Detail,
	})
}

func hasInstance(p *balance.Pool, instance string) bool {
	return slices.ContainsFunc(p.Backends, func(b balance.Backend) bool { return b.Instance == instance })
}

// judgeShare counts the share of an instance in a pool.
func (f forecast) judgeShare(e *spec.Expect) expect.Result {
	if len(f.usable) == 0 {
		return expect.Nothing(e, "no server gets traffic")
	}
	share := 0.0
	for i, part := range f.Table(f.health).Shares() {
		if f.Backends[i].Instance == e.Of {
			share += part
		}
	}
	return expect.Judge(e, share, percent(share)+" of new "+what(f.listener)+"s"+suppose(e))
}

// count simulates a listener's requests and counts what an expectation is about.
func (p *promises) count(w *promised, lb *spec.LoadBalancer, sl *spec.Listener, e *spec.Expect) (expect.Result, error) {
	l := w.seen.listeners[sl.Address]
	window := w.windows[l.Address]
	if window == nil {
		r, err := newRun(w.config, rehearsal(lb, sl, l), Options{Drained: p.drained})
		if err != nil {
			return expect.Result{}, err
		}
		r.play()
		window = &r.windows()[0]
		w.windows[l.Address] = window
	}
	if window.Denied == window.Requests {
		return expect.Nothing(e, "the access list lets nobody in"), nil
	}
	part, whole := window.counted(e)
	observed := float64(part)
	if !expect.Counts(e.Metric) {
		observed /= float64(whole)
	}
	return expect.Judge(e, observed, expect.Told(e.Metric, part, whole, "simulated "+what(l))+suppose(e)), nil
}

// perRequest is how often each of a listener's requests is simulated.
const perRequest = 100

// rehearsal is the requests that a listener is about, one a second, so that no limit is
// in their way.
func rehearsal(lb *spec.LoadBalancer, sl *spec.Listener, l *balance.Listener) *spec.Simulation {
	t := spec.Traffic{
		Name: "requests", Rate: 1, Arrivals: spec.ArrivalsConstant,
		Clients: spec.Clients{Count: 256, Network: admitted(l)},
	}
	if spec.L7(l.Protocol) {
		for _, q := range l.Requests() {
			t.Mix = append(t.Mix, spec.Request{Weight: 1, Host: q.Host, Path: q.Path})
		}
	}
	return &spec.Simulation{
		Name: "expect", Target: lb.Address, Listener: sl.Name, Traffic: []spec.Traffic{t},
		Duration: time.Duration(perRequest*max(len(t.Mix), 1)) * time.Second,
	}
}

// suppose says under which loss something was observed.
func suppose(e *spec.Expect) string {
	if e.Loss() == "" {
		return ""
	}
	return " without " + strings.Replace(e.Loss(), "=", " ", 1)
}

// admitted is a network of clients that a listener's access list lets in; where it lets
// in none, any.
func admitted(l *balance.Listener) netip.Prefix {
	documentation := []string{"203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "10.0.0.0/8", "127.128.0.0/9"} // the first three by RFC 5737
	for _, text := range documentation {
		if n := netip.MustParsePrefix(text); l.ACL.Allows(n.Addr().Next()) {
			return n
		}
	}
	if entries := l.ACL.Entries(); len(entries) > 0 && l.ACL.White() {
		return entries[0]
	}
	return netip.MustParsePrefix(documentation[0])
}
