package balance

import (
	"net/netip"
	"slices"

	"slbctl/spec"
)

// Canary is one step of a change that is made in steps: the listener as it will be,
// except that its servers get only a part of the traffic that the change moves to them.
// What has no servers, such as redirects, and everything else changes with the first step.
type Canary struct {
	*Listener
	Shifts []Shift
}

// Shift is a pool of a step whose traffic the change moves.
type Shift struct {
	Pool  int    // index in Pools
	Gains []bool // by index in Backends: it gets more after the change than before
}

// Origin is where a server in a step is known from, if that is another pool, or one of
// another generation: whose verdicts hold for it, so that no step waits for new ones and
// a changed health check cannot condemn the servers that leave.
type Origin struct {
	Owner, Name string // of the pool, and its own there
	Probed      bool
}

// NewCanary makes the step of a change of a listener in which percent of the traffic that
// moves has moved. was gives the address before the change of what has another one since.
// The requests of a rule that is new or goes are moved from, or to, where those for its own
// domain and URL went before, or go afterwards.
//
// A listener that did not serve before, or listened elsewhere, is at once as it will be.
// 0 and 100 percent have the parts before and after the change.
func NewCanary(before, after *Listener, was func(address string) string, percent int) (Canary, error) {
	if before == nil || !before.Serving || !after.Serving || before.Endpoint != after.Endpoint {
		return Canary{Listener: after}, nil
	}
	step := *after
	step.Rules, step.router = nil, nil
	c := Canary{Listener: &step}
	c.mix(&step.Pool, &before.Pool, &after.Pool, percent)
	stays := map[string]bool{}
	for _, r := range after.Rules {
		stays[was(r.Address)] = true
		next := *r
		step.Rules = append(step.Rules, &next)
		c.mix(&next.Pool, before.served(was(r.Address), r), &r.Pool, percent)
	}
	for _, r := range before.Rules {
		if stays[r.Address] || r.Redirect != nil || slices.ContainsFunc(after.Rules, r.alike) {
			continue
		}
		if p := after.served("", r); p != nil && len(p.Backends) > 0 {
			last := *r
			step.Rules = append(step.Rules, &last)
			c.mix(&last.Pool, &r.Pool, p, percent)
		}
	}
	return c, step.Prepare()
}

// alike reports whether two rules match the same requests.
func (r *Rule) alike(other *Rule) bool { return r.Domain == other.Domain && r.URL == other.URL }

// served is the pool that gets the requests of a rule: that of l's rule of this address, or
// the one that l sends a request for the domain and URL to; nil if that is none.
func (l *Listener) served(address string, r *Rule) *Pool {
	for _, own := range l.Rules {
		if own.Address == address {
			return &own.Pool
		}
	}
	path := r.URL
	if path == "" {
		path = "/"
	}
	// A wildcard covers its own text.
	route := l.Route([]byte(r.Domain), []byte(path))
	if route.Pool < 0 {
		return nil
	}
	return l.Pools()[route.Pool]
}

// mix makes into, a copy of one of the two with its owner, the pool of a step between
// them. It stays as it is where nothing moves.
func (c *Canary) mix(into, before, after *Pool, percent int) {
	if before == nil || len(before.Backends) == 0 || len(after.Backends) == 0 {
		return
	}
	owner := into.Owner
	servers, old, fresh := union(owner, before, after)
	gains, moves := gaining(old, fresh)
	if !moves {
		return
	}
	*into = *after
	into.Owner, into.Backends = owner, servers
	into.ActiveStandby = before.ActiveStandby || after.ActiveStandby
	if into.Scheduler == spec.SchedulerRR {
		into.Scheduler = spec.SchedulerWRR // it knows no parts
	}
	for i, w := range Blend(old, fresh, percent) {
		if old[i]+fresh[i] > 0 {
			servers[i].Weight, servers[i].Standby = w, false
		}
	}
	c.Shifts = append(c.Shifts, Shift{Pool: len(c.Rules), Gains: gains})
}

// union lists the servers of both pools, those after the change first, with their parts
// before and after it. A server is known by its endpoint. Where one has taken the name of
// another, as an instance does that gets another port, it goes by its endpoint in the step.
func union(owner string, before, after *Pool) (servers []Backend, old, fresh []int) {
	names, at := map[string]int{}, map[netip.AddrPort]int{}
	for i, b := range after.Backends {
		if after.Owner != owner {
			b.Origin = &Origin{after.Owner, b.Name, after.Probed(i)}
		}
		names[b.Name], at[b.Endpoint] = i, i
		servers, old, fresh = append(servers, b), append(old, 0), append(fresh, after.part(i))
	}
	for i, b := range before.Backends {
		if k, ok := at[b.Endpoint]; ok {
			old[k] = before.part(i)
			continue
		}
		if k, ok := names[b.Name]; ok {
			s := &servers[k]
			if s.Origin == nil {
				s.Origin = &Origin{after.Owner, s.Name, after.Probed(k)}
			}
			s.Name = s.Endpoint.String()
		}
		b.Origin = &Origin{before.Owner, b.Name, before.Probed(i)}
		servers, old, fresh = append(servers, b), append(old, before.part(i)), append(fresh, 0)
	}
	return servers, old, fresh
}

// part is what server i gets in proportion to the others while all are well.
func (p *Pool) part(i int) int {
	switch b := p.Backends[i]; {
	case b.Weight <= 0, p.ActiveStandby && b.Standby:
		return 0
	case p.ActiveStandby || p.Scheduler == spec.SchedulerRR:
		return 1
	default:
		return b.Weight
	}
}

// gaining says who gets a greater part after a change than before it, and whether anybody
// gets another one.
func gaining(old, fresh []int) (gains []bool, moves bool) {
	gains = make([]bool, len(old))
	a, b := sum(old), sum(fresh)
	for i := range old {
		was, is := old[i]*b, fresh[i]*a
		gains[i] = is > was
		moves = moves || is != was
	}
	return gains, moves
}

// canaryTurns is what the weights of a step add up to at most, where they cannot be exact
// with less: a hundredth of a percent of the traffic each. With very many servers it is more.
const canaryTurns = 10_000

// Blend returns weights that give each server its part before a change and its part after
// it in the proportion 100-percent to percent. They are exact if they add up to no more
// than canaryTurns, and else off by less than one turn in that; a server that is due
// anything gets a turn. Where either side has no traffic, the other's parts hold.
func Blend(old, fresh []int, percent int) []int {
	a, b := sum(old), sum(fresh)
	due := make([]int, len(old))
	for i := range due {
		switch {
		case a == 0:
			due[i] = fresh[i]
		case b == 0:
			due[i] = old[i]
		default:
			due[i] = (100-percent)*old[i]*b + percent*fresh[i]*a
		}
	}
	divisor := 0
	for _, d := range due {
		divisor = gcd(divisor, d)
	}
	for i := range due {
		due[i] /= max(divisor, 1)
	}
	if total := max(canaryTurns, 4*len(due)); sum(due) > total {
		return apportion(due, total)
	}
	return due
}

// apportion scales parts to whole turns, as many as total if there are no more who are due
// one: each gets the whole of its quota, and the largest remainders the rest.
func apportion(due []int, total int) []int {
	all, left := sum(due), total
	turns, byRest := make([]int, len(due)), make([]int, 0, len(due))
	rest := func(i int) int { return due[i] * total % all }
	for i, d := range due {
		if d == 0 {
			continue
		}
		if turns[i] = d * total / all; turns[i] == 0 {
			turns[i] = 1
		} else {
			byRest = append(byRest, i)
		}
		left -= turns[i]
	}
	slices.SortStableFunc(byRest, func(i, j int) int { return rest(j) - rest(i) })
	for _, i := range byRest[:min(max(left, 0), len(byRest))] {
		turns[i]++
	}
	return turns
}

func sum(parts []int) (total int) {
	for _, p := range parts {
		total += p
	}
	return total
}

// KnownAs is whose verdicts hold for server i: the owner and the name under which it is
// health-checked.
func (p *Pool) KnownAs(i int) (owner, name string) {
	if o := p.Backends[i].Origin; o != nil {
		return o.Owner, o.Name
	}
	return p.Owner, p.Backends[i].Name
}
