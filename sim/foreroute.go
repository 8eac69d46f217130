package sim

import (
	"fmt"
	"slices"
	"strings"

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
		kind, ok := kindOf(side.listeners[listener], address)
		if !ok || len(out) > 0 && out[0].Pattern == kind.pattern() {
			continue
		}
		host, path := kind.sample(before.listeners[listener], after.listeners[listener])
		r := Requests{Pattern: kind.pattern(), After: after.outcome(listener, host, path)}
		if before.listeners[listener] != nil {
			r.Before = before.outcome(listener, host, path)
		}
		out = append(out, r)
	}
	return out
}

// kindOf is what the address of a listener, or of one of its rules, is there for.
func kindOf(l *balance.Listener, address string) (k requestKind, ok bool) {
	if l == nil {
		return k, false
	}
	for _, r := range l.Rules {
		if r.Address == address {
			return requestKind{r.Domain, r.URL}, true
		}
	}
	return k, l.Address == address
}

// requestKind is what a rule matches; the zero value is what no rule does.
type requestKind struct{ domain, url string }

func (k requestKind) pattern() string {
	switch {
	case k.domain == "" && k.url == "":
		return "*"
	case k.domain == "":
		return "*" + k.url
	}
	return k.domain + k.url
}

// sample is a request of the kind. Below a wildcard that is a name for which neither side
// of the listener has a rule of its own.
func (k requestKind) sample(sides ...*balance.Listener) (host, path string) {
	host, path = k.domain, k.url
	if path == "" {
		path = "/"
	}
	if suffix, wild := strings.CutPrefix(k.domain, "*."); wild {
		for i := 0; ; i++ {
			if host = fmt.Sprintf("host%d.%s", i, suffix); !hasDomain(host, sides) {
				break
			}
		}
	}
	return host, path
}

func hasDomain(host string, sides []*balance.Listener) bool {
	for _, l := range sides {
		if l != nil && slices.ContainsFunc(l.Rules, func(r *balance.Rule) bool { return r.Domain == host }) {
			return true
		}
	}
	return false
}

// outcome says who answers a request at a listener, by the core's own routes.
func (f foresight) outcome(listener, host, path string) string {
	l := f.listeners[listener]
	if l == nil || !l.Serving {
		return AnsweredRefused
	}
	refused, pool := AnsweredRefused, &l.Pool
	if spec.L7(l.Protocol) {
		refused = AnsweredNoServer
		r, ok := l.RouteRequest(nil, []byte(host), []byte(path))
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
