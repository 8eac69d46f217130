package sim

import (
	"slices"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// way is one kind of request in a mix, and where the core sends it. That depends on
// the request alone, so the core is asked once.
type way struct {
	host, path string
	outcome    Outcome // Served while a pool takes it
	route      int     // the pool or redirect, by index in run.pools; below 0 = neither
	slot       int     // of its pool's cookie among those of a client; -1 = there is none
}

// mix draws what the requests of a stream are for: which of its ways.
type mix struct {
	bounds []uint64 // of each way, exclusive, among total
	total  uint64
	what   source
}

// cookieName is what tells the cookies of a client apart: they have no Domain, and so go
// back to the host that they are from.
type cookieName struct{ host, name string }

// slots number the cookies that a client may have.
type slots map[cookieName]int

// ways asks the core about requests of some kinds, and numbers the cookies that go with them.
func (s slots) ways(g *generation, requests []spec.Request) (ways []way) {
	pools := g.listener.Pools()
	for _, q := range requests {
		ways = append(ways, s.way(g, pools, q.Host, q.Path))
	}
	return ways
}

func (s slots) way(g *generation, pools []*balance.Pool, host, path string) way {
	if host == "" {
		host = hostOf(g.listener)
	}
	w := newWay(g.listener, host, path)
	if w.outcome == Served && pools[w.route].Sticky.Mode != balance.StickyOff {
		name := cookieName{host, pools[w.route].Sticky.Cookie}
		if _, ok := s[name]; !ok {
			s[name] = len(s)
		}
		w.slot = s[name]
	}
	if w.route >= 0 {
		w.route += g.base
	}
	return w
}

// newMix prepares to draw requests.
func newMix(requests []spec.Request, name string, seed uint64) *mix {
	m := &mix{what: newSource(seed, "requests "+name)}
	for _, q := range requests {
		m.total += uint64(max(q.Weight, 1))
		m.bounds = append(m.bounds, m.total)
	}
	return m
}

func newWay(l *balance.Listener, host, path string) way {
	w := way{host: host, path: path, route: -1, slot: -1}
	route, ok := l.RouteRequest(make([]byte, 0, len(path)), []byte(host), []byte(path))
	switch {
	case !ok:
		w.outcome = Refused
		return w
	case route.NotFound:
		w.outcome = NotFound
		return w
	case route.Redirect != nil:
		w.outcome = Redirected
	}
	w.route = 1 + slices.Index(l.Rules, route.Rule) // the listener's own is 0
	return w
}

// hostOf is the host of a URL that has no name.
func hostOf(l *balance.Listener) string {
	addr := l.Endpoint.Addr()
	if addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return addr.String()
}

// draw returns what request number index of the stream is for.
func (m *mix) draw(index uint64) int {
	if len(m.bounds) == 1 {
		return 0
	}
	random := below(m.what.draw(index), m.total)
	k, _ := slices.BinarySearch(m.bounds, random+1)
	return k
}
