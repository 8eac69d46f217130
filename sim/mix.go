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
	route      int     // the pool or redirect, by index in listener.Pools; -1 = neither
	slot       int     // of its pool's cookie among those of a client; -1 = there is none
}

// mix draws what the requests of a stream are for.
type mix struct {
	ways   []way
	bounds []uint64 // of each way, exclusive, among total
	total  uint64
	what   source
}

// cookieName is what tells the cookies of a client apart: they have no Domain, and so go
// back to the host that they are from.
type cookieName struct{ host, name string }

// slots number the cookies that a client may have.
type slots struct {
	listener *balance.Listener
	pools    []*balance.Pool
	names    map[cookieName]int
}

func newSlots(l *balance.Listener) *slots {
	return &slots{listener: l, pools: l.Pools(), names: map[cookieName]int{}}
}

// way asks the core about requests of a kind.
func (s *slots) way(host, path string) way {
	if host == "" {
		host = hostOf(s.listener)
	}
	w := newWay(s.listener, host, path)
	if w.outcome == Served && s.pools[w.route].Sticky.Mode != balance.StickyOff {
		name := cookieName{host, s.pools[w.route].Sticky.Cookie}
		if _, ok := s.names[name]; !ok {
			s.names[name] = len(s.names)
		}
		w.slot = s.names[name]
	}
	return w
}

// newMix asks the core about each request of a stream's mix, and returns how many
// cookies a client may have.
func newMix(l *balance.Listener, t *spec.Traffic, seed uint64) (m *mix, slots int) {
	m = &mix{what: newSource(seed, "requests "+t.Name)}
	requests := t.Mix
	if len(requests) == 0 {
		requests = []spec.Request{{Weight: 1, Path: "/"}}
	}
	cookies := newSlots(l)
	for _, q := range requests {
		m.total += uint64(max(q.Weight, 1))
		m.ways, m.bounds = append(m.ways, cookies.way(q.Host, q.Path)), append(m.bounds, m.total)
	}
	return m, len(cookies.names)
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
func (m *mix) draw(index uint64) *way {
	if len(m.ways) == 1 {
		return &m.ways[0]
	}
	random := below(m.what.draw(index), m.total)
	k, _ := slices.BinarySearch(m.bounds, random+1)
	return &m.ways[k]
}
