package sim

import (
	"slbctl/runtime/balance"
	"slbctl/spec"
)

// Requests is one kind of requests, or on L4 connections, and who answers it before and
// after a change: the resource address of the listener or rule whose servers do,
// "redirect", or why nobody does: "404" where rules know the domain but not the URL,
// "502" where no server is left, "refused" where nothing listens. Empty is where there
// was no such listener. JSON keys are in alphabetical order.
type Requests struct {
	After   string `json:"after"`
	Before  string `json:"before"`
	Pattern string `json:"pattern"` // a domain and a URL prefix; "*" stands for all that no other pattern takes
}

// The outcomes of a request that no server answers.
const (
	AnsweredRedirect = "redirect"
	AnsweredNotFound = "404"
	AnsweredNoServer = "502"
	AnsweredRefused  = "refused"
)

// foresight is one side of a change.
type foresight struct {
	pools     map[string]forecast          // that serve, by owner
	listeners map[string]*balance.Listener // all, by resource address
}

// affected follows what an entry's address stands for through both sides: the requests
// that it is named for before the change and those that it is named for after it.
func affected(address, listener string, before, after foresight) []Requests {
	out := []Requests{}
	for _, side := range []foresight{before, after} {
		l := side.listeners[listener]
		rule, ok := named(l, address)
		if !ok || len(out) > 0 && out[0].Pattern == pattern(rule) {
			continue
		}
		q := l.RequestOf(rule)
		r := Requests{Pattern: pattern(rule), After: after.outcome(listener, q)}
		if before.listeners[listener] != nil {
			r.Before = before.outcome(listener, q)
		}
		out = append(out, r)
	}
	return out
}

// named finds what an address stands for at a listener: a rule, or for nil the listener itself.
func named(l *balance.Listener, address string) (r *balance.Rule, ok bool) {
	if l == nil {
		return nil, false
	}
	for _, r := range l.Rules {
		if r.Address == address {
			return r, true
		}
	}
	return nil, l.Address == address
}

func pattern(r *balance.Rule) string {
	switch {
	case r == nil:
		return "*"
	case r.Domain == "":
		return "*" + r.URL
	}
	return r.Domain + r.URL
}

// outcome says who answers a request at a listener, by the core's own routes.
func (f foresight) outcome(listener string, q balance.Request) string {
	l := f.listeners[listener]
	if l == nil || !l.Serving {
		return AnsweredRefused
	}
	refused, pool := AnsweredRefused, &l.Pool
	if spec.L7(l.Protocol) {
		refused = AnsweredNoServer
		r, ok := l.RouteRequest(nil, []byte(q.Host), []byte(q.Path))
		switch {
		case r.Redirect != nil:
			return AnsweredRedirect
		case r.NotFound || !ok:
			return AnsweredNotFound
		}
		pool = l.Pools()[r.Pool]
	}
	if served, ok := f.pools[pool.Owner]; !ok || len(served.usable) == 0 {
		return refused
	}
	return pool.Owner
}
