package sim

import (
	"fmt"
	"slices"
	"strings"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// Traffic is what a change does to one listener. JSON keys are in alphabetical order.
type Traffic struct {
	// Access is who may connect that might not before, or the other way round; null where
	// nobody's access changes, and in entries of rules: who is let in is a listener's matter.
	Access   *AccessChange   `json:"access"`
	Backends []ForeseenShare `json:"backends"` // those after the change, then those that leave
	// ClientsMoved is the part of clients whose server changes, beside the least possible
	// for these shares: of hash schedulers counted over all keys, of others over the
	// sessions, of which those must move whose server serves none any more. Null where
	// clients have no server of their own.
	ClientsMoved    *float64 `json:"clients_moved"`
	ClientsMovedMin *float64 `json:"clients_moved_min"`
	// ConnectionsEnded are the servers whose open connections the balancer ends with the
	// change, as balance.Leaving has it, and DrainSeconds how long they have until then.
	ConnectionsEnded []string `json:"connections_ended"`
	// ConnectionsOpen is how many are open now of those that the change ends: all of a
	// listener that goes, else those to the servers that leave or are stopped. It is for
	// the caller to fill in, who knows what runs; null where nobody does.
	ConnectionsOpen *int64  `json:"connections_open"`
	AllEnd          bool    `json:"-"` // the listener goes, stops or listens elsewhere
	DrainSeconds    float64 `json:"drain_seconds"`
	// HealthCheck is what a change of the check does; null where it stays.
	HealthCheck *CheckChange `json:"health_check"`
	Listener    string       `json:"listener"` // resource address; of a rule for its own servers
	// Method is exact where shares are counted over one period or table of the core,
	// and simulated for wlc, whose shares depend on how long connections last: it is
	// given connections that all last equally long.
	Method string `json:"method"`
	// Requests says who answers the requests that the listener or rule is there for.
	Requests []Requests `json:"requests"`
	// SessionsLost is the part of today's sessions, by cookie or by the client's address,
	// whose server does not serve them any more; null where sessions are not kept.
	SessionsLost   *float64   `json:"sessions_lost"`
	Survives       []Survival `json:"survives"`
	SurvivesBefore []Survival `json:"survives_before"`
	// TrafficMoved is the part of today's traffic that leaves the server it has: for
	// another one, which makes it half the sum of the share differences, or for none,
	// when nobody is left to serve it: then it is all. Where nobody serves today
	// there is no traffic, so nothing moves: a listener that is new or was stopped,
	// or whose servers were all stopped or without weight.
	TrafficMoved float64 `json:"traffic_moved"`
}

// ForeseenShare is a server's part of new connections before and after a change.
type ForeseenShare struct {
	Address     string  `json:"address"`
	ShareAfter  float64 `json:"share_after"`
	ShareBefore float64 `json:"share_before"`
}

// Survival says what the loss of one server, or of one zone, does after the change.
type Survival struct {
	Detail string `json:"detail"`
	Loss   string `json:"loss"` // a resource address, IP:PORT of a foreign server, or zone=NAME
	OK     bool   `json:"ok"`   // a server remains
}

// Foresee tells what a change does to the traffic of every listener and rule that it
// changes the servers, weights, scheduler, check, clients or service of, in the order of their addresses.
// Servers count as well unless their instance is stopped. before may be nil.
//
// Servers that were drained by hand, and stay so, are left out on both sides.
func Foresee(before, after *spec.Config, drained ...string) ([]Traffic, error) {
	old, err := forecasts(before, drained)
	if err != nil {
		return nil, err
	}
	fresh, err := forecasts(after, drained)
	if err != nil {
		return nil, err
	}
	out := []Traffic{}
	access := accessChanges(old, fresh)
	add := func(address string, o, f forecast) {
		l := f.listener
		if l == nil {
			l = o.listener
		}
		t := compare(address, o, f)
		t.Requests = affected(address, l.Address, old, fresh)
		t.Access = access[address]
		delete(access, address)
		out = append(out, t)
	}
	for address, f := range fresh.pools {
		if o := old.pools[address]; !o.same(f) || checkChange(o, f) != nil {
			add(address, o, f)
		}
	}
	for address, o := range old.pools {
		if _, stays := fresh.pools[address]; !stays {
			// A rule that goes leaves its listener behind.
			add(address, o, forecast{listener: fresh.listeners[o.listener.Address]})
		}
	}
	for address := range access { // a listener may have no servers of its own
		o, f := old.pools[address], fresh.pools[address]
		o.listener, f.listener = old.listeners[address], fresh.listeners[address]
		add(address, o, f)
	}
	slices.SortFunc(out, func(a, b Traffic) int { return spec.CompareAddresses(a.Listener, b.Listener) })
	return out, nil
}

// forecast is a pool of a listener that serves, and who of its servers is well. The
// zero value stands for one that does not serve or does not exist.
type forecast struct {
	*balance.Pool
	listener *balance.Listener
	route    string // which requests it gets: a rule's domain and URL
	usable   []int
	health   func(int) balance.Health
}

// forecasts returns the listeners and the pools of those that serve.
func forecasts(c *spec.Config, drained []string) (f foresight, err error) {
	if c == nil {
		return f, nil
	}
	listeners, err := balance.Compile(c)
	if err != nil {
		return f, err
	}
	balance.Drained(listeners, drained)
	stopped := map[string]bool{}
	for _, i := range c.Instances {
		stopped[i.Address] = i.Status == spec.StatusStopped
	}
	f = foresight{pools: map[string]forecast{}, listeners: make(map[string]*balance.Listener, len(listeners))}
	for _, l := range listeners {
		f.listeners[l.Address] = l
		if !l.Serving {
			continue
		}
		for i, p := range l.Pools() {
			if len(p.Backends) == 0 {
				continue // a redirect answers
			}
			pool := forecast{Pool: p, listener: l, health: func(i int) balance.Health {
				if stopped[p.Backends[i].Instance] {
					return balance.Abnormal
				}
				return balance.Normal
			}}
			if i > 0 {
				pool.route = l.Rules[i-1].Domain + l.Rules[i-1].URL
			}
			pool.usable = p.Usable(pool.health)
			f.pools[p.Owner] = pool
		}
	}
	return f, nil
}

// same reports whether two forecasts send the same traffic to the same places, and keep
// the same clients there.
func (f forecast) same(g forecast) bool {
	if f.Pool == nil || g.Pool == nil {
		return f.Pool == g.Pool
	}
	return f.listener.Endpoint == g.listener.Endpoint && f.route == g.route && f.Scheduler == g.Scheduler &&
		f.Sticky.Mode == g.Sticky.Mode && f.Sticky.Cookie == g.Sticky.Cookie && (f.PersistenceTimeout > 0) == (g.PersistenceTimeout > 0) &&
		slices.Equal(f.usable, g.usable) &&
		slices.EqualFunc(f.Backends, g.Backends, func(a, b balance.Backend) bool {
			return a.Name == b.Name && a.Weight == b.Weight && a.Endpoint == b.Endpoint
		})
}

// compare says what becomes of a listener's traffic.
func compare(address string, before, after forecast) Traffic {
	t := Traffic{Listener: address, Method: "exact", Backends: []ForeseenShare{}, Survives: []Survival{}, SurvivesBefore: []Survival{}}
	place := map[string]int{}
	at := func(name string) *ForeseenShare {
		k, ok := place[name]
		if !ok {
			k = len(t.Backends)
			place[name] = k
			t.Backends = append(t.Backends, ForeseenShare{Address: name})
		}
		return &t.Backends[k]
	}
	var tables [2]*balance.Table
	for side, f := range []forecast{after, before} { // servers that stay keep the new order
		if f.Pool == nil {
			continue
		}
		if f.Scheduler == spec.SchedulerWLC {
			t.Method = "simulated"
		}
		tables[side] = f.Table(f.health)
		for i, share := range tables[side].Shares() {
			s := at(f.Backends[i].Name)
			if side == 0 {
				s.ShareAfter = share
			} else {
				s.ShareBefore = share
			}
		}
	}
	t.TrafficMoved = moved(t.Backends)
	t.HealthCheck = checkChange(before, after)
	t.ConnectionsEnded, t.AllEnd = ended(before, after)
	if before.Pool != nil {
		t.DrainSeconds = before.listener.Drain.Seconds()
	}
	if tables[0] != nil && tables[1] != nil {
		if part, least, ok := balance.KeysMoved(tables[1], tables[0]); ok {
			t.ClientsMoved, t.ClientsMovedMin = &part, &least
		}
	}
	var unserved *float64
	t.SessionsLost, unserved = sessionsLost(before, after, tables[1], tables[0])
	if t.ClientsMoved == nil && after.Pool != nil {
		t.ClientsMoved, t.ClientsMovedMin = t.SessionsLost, unserved
	}
	if before.Pool != nil {
		t.SurvivesBefore = before.survivals()
	}
	if after.Pool != nil {
		t.Survives = after.survivals()
	}
	return t
}

// ended names the servers of a pool whose connections a change ends, each once, and says
// whether those of the whole listener end.
func ended(before, after forecast) (names []string, all bool) {
	names = []string{}
	if before.Pool == nil {
		return names, false
	}
	all, leavers := balance.Leaving(before.listener, after.listener)
	for _, b := range before.Backends {
		leaves := slices.ContainsFunc(leavers, func(l balance.Leaver) bool { return l.Owner == before.Owner && l.Name == b.Name })
		if (all || leaves) && !slices.Contains(names, b.Name) {
			names = append(names, b.Name)
		}
	}
	return names, all
}

// sessionsLost is the part of a pool's sessions whose server, by name, does not serve them
// after a change, or that is not known then, and the part of which only the first is true.
// Sessions are spread as connections are. Both are null where a pool has none.
func sessionsLost(before, after forecast, old, fresh *balance.Table) (lost, unserved *float64) {
	if before.Pool == nil || before.Sticky.Mode == balance.StickyOff && before.PersistenceTimeout <= 0 {
		return nil, nil
	}
	all, left := 0.0, 0.0
	known := after.Pool != nil && after.Sticky.Mode == before.Sticky.Mode && after.Sticky.Cookie == before.Sticky.Cookie &&
		(after.PersistenceTimeout > 0) == (before.PersistenceTimeout > 0)
	for i, share := range old.Shares() {
		all += share
		if after.Pool == nil {
			left += share
			continue
		}
		name := before.Backends[i].Name
		j := slices.IndexFunc(after.Backends, func(a balance.Backend) bool { return a.Name == name })
		if j < 0 || !fresh.Serves(j) {
			left += share
		}
	}
	if known {
		return &left, &left
	}
	return &all, &left
}

// moved sums up what each server loses. Where all traffic is served before and
// after, that is half the sum of the differences, since others gain the same.
func moved(backends []ForeseenShare) float64 {
	sum := 0.0
	for _, b := range backends {
		sum += max(0, b.ShareBefore-b.ShareAfter)
	}
	return min(sum, 1)
}

// survivals takes each server and each zone away in turn.
func (f forecast) survivals() []Survival {
	var losses []string
	lost := map[string][]int{} // usable backends that go with a loss
	add := func(loss string, i int) {
		if _, ok := lost[loss]; !ok {
			losses = append(losses, loss)
		}
		lost[loss] = append(lost[loss], i)
	}
	for _, i := range f.usable {
		b := f.Backends[i]
		if b.Instance != "" {
			add(b.Instance, i)
		} else {
			add(b.Name, i)
		}
	}
	for _, i := range f.usable {
		if zone := f.Backends[i].Zone; zone != "" {
			add("zone="+zone, i)
		}
	}
	out := []Survival{}
	for _, loss := range losses {
		left := len(f.usable) - len(lost[loss])
		s := Survival{Loss: loss, OK: left > 0}
		switch left {
		case 0:
			s.Detail = "no server is left, connections are refused"
			if spec.L7(f.listener.Protocol) {
				s.Detail = "no server is left, requests get 502"
			}
		case 1:
			rest := slices.IndexFunc(f.usable, func(i int) bool { return !slices.Contains(lost[loss], i) })
			s.Detail = "100% on " + strings.TrimPrefix(f.Backends[f.usable[rest]].Name, "instance.")
		default:
			s.Detail = fmt.Sprintf("%d of %d servers are left", left, len(f.usable))
		}
		if s.OK && !f.Check.Enabled {
			s.Detail += ", by retries: there is no health check"
		}
		out = append(out, s)
	}
	return out
}
