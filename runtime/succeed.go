package runtime

import (
	"cmp"
	"crypto/tls"

	"slbctl/runtime/balance"
	"slbctl/runtime/proxy"
)

// was is the address that a resource had before a change.
func was(renamed map[string]string, address string) string {
	for from, to := range renamed {
		if to == address {
			return from
		}
	}
	return address
}

// succeed makes a listener live. It goes on where prev stands, the one of the same
// resource address before, or of the one that was renamed to it; when that is gone and drains, where it stood. On another endpoint it
// is another one to its clients: the old one's connections drain by themselves. The
// caller holds mu.
func (e *engine) succeed(s *balance.Listener, prev *listener, secured *tls.Config, renamed map[string]string) *listener {
	if prev == nil {
		prev = e.leaving(s)
	}
	known := map[string]*balance.State{}
	var handler *proxy.Handler
	if prev != nil {
		for n, p := range prev.spec.Pools() {
			known[cmp.Or(renamed[p.Owner], p.Owner)] = prev.states[n]
		}
		if prev.spec.Endpoint == s.Endpoint {
			handler = prev.handler
		} else if again := e.leaving(s); again != nil {
			handler = again.handler
		}
	}
	l := &listener{spec: s}
	l.keepSessions(prev)
	for _, p := range s.Pools() {
		l.states = append(l.states, balance.NewState(p, known[p.Owner]))
	}
	l.handler = proxy.NewHandler(s, l.states, e.quotas[s.LoadBalancer], handler)
	e.recall(l)
	if secured != nil {
		l.handler.Secure(secured)
	}
	if s.AccessLog != nil {
		l.handler.LogTo(e.logs[s.AccessLog.Path])
	}
	return l
}

// serve makes a generation's listeners the live ones. A socket that it does not use
// keeps its handler until it is closed. The caller holds mu.
func (e *engine) serve(listeners map[string]*listener) {
	handlers := map[place]*proxy.Handler{}
	for _, l := range listeners {
		if l.spec.Serving {
			handlers[placeOf(l.spec)] = l.handler
		}
	}
	for at, h := range handlers {
		if socket := e.sockets[at]; socket != nil { // one is missing after a lenient start
			socket.Serve(h)
		}
	}
	e.listeners = listeners
}
