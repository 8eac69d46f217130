package sim

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"slbctl/runtime/balance"
	"slbctl/runtime/expect"
	"slbctl/spec"
)

// population is who the drawn traffic of a simulation comes from, where a client always goes to one server.
// Then shares are those of clients, of which there may be too few to be even.
type population struct {
	pool    *balance.Pool
	table   *balance.Table
	hashes  bool         // where each goes is known by its address
	weights []float64    // of each client, or address
	sources []netip.Addr // likewise
	alike   bool         // all weigh the same
	worth   float64      // as many clients that weigh the same (Kish's effective sample size)
	total   float64
}

// populationOf is nil where shares do not hang on clients: where rules, sessions that end, or turns see to it
// that they are even, where a log says who comes, and where who is well changes.
func (r *run) populationOf() *population {
	l := r.last.listener
	if len(l.Rules) > 0 || len(r.sim.Changes) > 0 {
		return nil
	}
	p := &population{pool: &l.Pool, alike: true}
	switch l.Scheduler {
	case spec.SchedulerSCH, spec.SchedulerQCH:
		p.hashes = true
	case spec.SchedulerTCH:
		return nil // each connection has a port of its own
	}
	cookies := l.Sticky.Mode != balance.StickyOff
	if !p.hashes && !cookies && l.PersistenceTimeout == 0 {
		return nil
	}
	for k := range r.sim.Traffic {
		t := &r.sim.Traffic[k]
		forgets := !p.hashes && spec.L7(l.Protocol) && (t.Session.Requests > 0 || !t.Session.Cookies)
		if t.Log != "" || forgets || t.Clients.Count > mostWeighed {
			return nil
		}
		p.add(t, !cookies || p.hashes)
	}
	p.weigh()
	p.table = l.Table(func(i int) balance.Health {
		if r.servers[i].stopped {
			return balance.Abnormal
		}
		return balance.Normal
	})
	return p
}

// mostWeighed is how many clients are weighed one by one; more are enough for any tolerance that matters.
const mostWeighed = 1 << 20

// add weighs the clients of a stream, or their addresses.
func (p *population) add(t *spec.Traffic, byAddress bool) {
	who := newClients(t, nil, 0)
	n := who.count
	if byAddress {
		n = min(n, who.hosts)
	}
	weights := make([]float64, n)
	sum, exponent := 0.0, uint64(math.Round(t.Clients.Popularity*(1<<32)))
	for c := range who.count {
		w := float64(zipfWeight(c+1, exponent))
		weights[c%n] += w
		sum += w
	}
	p.alike = p.alike && len(p.weights) == 0 && t.Clients.Popularity == 0 && who.count%n == 0
	for c, w := range weights {
		p.weights = append(p.weights, w/sum*t.Rate)
		p.sources = append(p.sources, who.address(uint64(c)))
	}
}

func (p *population) weigh() {
	squares := 0.0
	for _, w := range p.weights {
		p.total += w
		squares += float64(w * w)
	}
	p.worth = float64(p.total*p.total) / squares
}

// share is the part of an instance by the weights of servers, and, where addresses say who goes there, the
// one that these clients bring in the long run.
func (p *population) share(instance string) (due, brings float64) {
	for i, share := range p.table.Shares() {
		if p.pool.Backends[i].Instance == instance {
			due += share
		}
	}
	if !p.hashes {
		return due, 0
	}
	idle, sum := balance.NewState(p.pool, nil), 0.0
	for k, w := range p.weights {
		c := balance.Client{Source: netip.AddrPortFrom(p.sources[k], 1024)}
		if i, ok := p.table.Pick(idle, &c, nil); ok {
			idle.Done(i)
			if p.pool.Backends[i].Instance == instance {
				sum += w
			}
		}
	}
	return due, sum / p.total
}

// warn says of an expectation on a share what its clients can be expected to bring, if that is less even than
// it wants; empty if they are enough.
func (p *population) warn(e *spec.Expect) string {
	low, high := 0.0, 1.0
	if e.Min != nil {
		low = *e.Min
	}
	if e.Max != nil {
		high = *e.Max
	}
	due, brings := p.share(e.Of)
	room := min(due-low, high-due)
	if low == 0 {
		room = high - due
	} else if high == 1 {
		room = due - low
	}
	if room < 0 || e.Min == nil && e.Max == nil {
		return "" // the weights do not give that, whoever comes
	}
	who := fmt.Sprintf("%s that stay on their servers", count(len(p.weights), "client"))
	if n := float64(len(p.weights)); p.alike && math.Floor(high*n) < math.Ceil(low*n) {
		return fmt.Sprintf("%s make steps of %s: no share of %s is %s", who, tenth(1/n), e.Of, expect.Wanted(e))
	}
	draws := p.pool.Scheduler == spec.SchedulerP2C || p.pool.Scheduler == spec.SchedulerLeast
	if !p.hashes && !draws {
		return "" // turns make them even
	}
	z := deviate(e.Confidence)
	spread := float64(due * (1 - due))
	off := float64(z * math.Sqrt(spread/p.worth))
	if off <= room {
		return ""
	}
	if !p.alike {
		who += fmt.Sprintf(", which weigh as much as %s alike,", number(math.Round(p.worth*10)/10))
	}
	text := fmt.Sprintf("%s can be expected to bring %s %s give or take %s: %s is narrower than that", who, e.Of, tenth(due), tenth(off), expect.Wanted(e))
	if room > 0 {
		need := float64(z*z) * spread / float64(room*room)
		text += fmt.Sprintf(", and takes about %s clients alike", number(round2(need)))
	}
	if p.hashes {
		text += "; these bring it " + tenth(brings) + " in the long run"
		if brings < low || brings > high {
			text += ", so no duration helps"
		}
	}
	return text
}

// warnings says which shares are out of reach for the clients that there are.
func (r *run) warnings() []string {
	out := append([]string{}, r.warned...)
	if len(r.always) > 0 {
		out = append(out, strings.Join(r.always, ", ")+" was drained by hand and stays so: slbctl undrain ADDR ends it")
	}
	var p *population
	for k := range r.sim.Expects {
		e := &r.sim.Expects[k]
		if e.Metric != spec.MetricShare {
			continue
		}
		if p == nil {
			if p = r.populationOf(); p == nil {
				break
			}
		}
		if text := p.warn(e); text != "" {
			out = append(out, fmt.Sprintf("expect %q: %s", e.Name, text))
		}
	}
	return out
}

// tenth writes a fraction with one decimal.
func tenth(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }
