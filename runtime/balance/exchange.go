package balance

import (
	"net/netip"
	"time"

	"slbctl/spec"
)

// Admission is what becomes of a client that connects.
type Admission uint8

// The admissions. Whoever is not admitted is reset at once and sent nothing.
const (
	Admitted Admission = iota
	Denied             // by the access list
	Dropped            // more than the balancer may take on in a second, or have open
)

// Admit decides whether a client may connect: by the access list, then by what q, the
// quota of its balancer, leaves; nil is unlimited. now is Rate's. Whoever is admitted
// leaves with q.Connections.Leave.
//
// Who comes by way of another balancer is known only when that one has said so: then
// the access list is for the caller to ask.
func (l *Listener) Admit(source netip.Addr, q *Quota, now int64) Admission {
	heralded := l.AcceptProxyProtocol && l.Protocol != spec.ProtocolUDP
	if !heralded && !l.ACL.Allows(source) {
		return Denied
	}
	if q != nil && (!q.CPS.Allow(now, 1) || !q.Connections.Enter()) {
		return Dropped
	}
	return Admitted
}

// MayAsk counts a request against what the balancer, and of its listeners this one,
// may take on in a second. A request that may not be asked is answered with 503. A nil
// Quota is unlimited.
func (q *Quota) MayAsk(own *ListenerQuota, now int64) bool {
	return q == nil || q.QPS.Allow(now, 1) && own.QPS.Allow(now, 1)
}

// RouteRequest is Route for a request as it has come: target is brought into normal
// form first, for which scratch lends the room (NormalPath). ok is false for what is
// answered with 400: a path that could be understood in two ways, or a redirect
// without a host to put into its URL.
func (l *Listener) RouteRequest(scratch, host, target []byte) (r Route, ok bool) {
	path, ok := NormalPath(scratch, target)
	if !ok && string(target) != "*" { // OPTIONS for the server as a whole has no path
		return Route{Pool: -1}, false
	}
	r = l.Route(host, path)
	return r, r.Redirect == nil || len(host) > 0
}

// NoBackend is what StickyBackend says of a cookie that names no server.
const NoBackend = -1

// StickyBackend returns the backend that the value of the pool's cookie names, in
// whichever way the pool writes it, or NoBackend.
func (p *Pool) StickyBackend(value []byte) int {
	if p.Sticky.Mode == StickyServer {
		value, _ = SplitServerCookie(value)
	}
	if i, ok := p.CookieBackend(value); ok {
		return i
	}
	return NoBackend
}

// PickRequest is Pick for a request whose cookie names backend sticky, or NoBackend:
// it goes there, unless that server does not serve its sessions; a retry is everybody's.
// kept says that the request has gone where its cookie names.
func (t *Table) PickRequest(s *State, c *Client, sticky int, tried Tried) (i int, kept, ok bool) {
	if sticky != NoBackend && len(tried) == 0 && t.PickSticky(s, sticky) {
		return sticky, true, true
	}
	i, ok = t.Pick(s, c, tried)
	return i, false, ok
}

// Inserts reports whether an answer gets a cookie of the balancer's making: one to a
// request that was not kept where its cookie names. The product gives no cookie with
// an error.
func (s *Sticky) Inserts(kept bool, status int) bool {
	return s.Mode == StickyInsert && !kept && status < 400
}

// Seconds is what the cookie of StickyInsert says of its age: whole seconds (RFC 6265,
// section 5.2.2).
func (s *Sticky) Seconds() int64 { return int64(s.MaxAge / time.Second) }

// Tries bounds the servers that one connection, or request, is tried on: as many as
// the pool has, and no more than the retries allow, of which only L7 has a number.
func (l *Listener) Tries(t *Table) int {
	if l.Retry.Attempts > 0 {
		return min(l.Retry.Attempts+1, t.MaxTries())
	}
	return t.MaxTries()
}
