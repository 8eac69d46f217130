package explain

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"slbctl/runtime/balance"
	"slbctl/runtime/http1"
)

// route finds the rule. It returns the pool that takes the request, by index, unless the
// balancer answers itself.
func (k *walk) route(r *http1.Request) (pool int, ok bool) {
	l := k.listener
	route, ok := l.RouteRequest(make([]byte, 0, len(r.Target)), r.Host, r.Target)
	if !ok {
		reason := "the path could be understood in two ways: it has dot segments, a backslash, a control byte or a stray %"
		if route.Redirect != nil {
			reason = "a redirect needs a host to send the client to"
		}
		k.step(Step{Name: "request", Result: "400 Bad Request", Reason: reason})
		k.ends(Refused, http.StatusBadRequest)
		return -1, false
	}
	path, normal := balance.NormalPath(make([]byte, 0, len(r.Target)), r.Target)
	if normal && string(path) != string(r.Target) {
		k.note("%s is read as %s", r.Target, path)
	}
	s := Step{Name: "rule", Result: k.result(route), Reason: k.reason(route, r.Host, path)}
	if route.Rule != nil {
		k.Rule = route.Rule.Address
		s.Otherwise = k.result(l.Otherwise(route.Rule, r.Host, path))
	}
	k.step(s)
	switch {
	case route.NotFound:
		k.ends(NotFound, http.StatusNotFound)
		return -1, false
	case route.Redirect != nil:
		k.ends(Redirected, route.Redirect.Code)
		k.Location = location(r, route.Redirect)
		return -1, false
	}
	return 1 + slices.Index(l.Rules, route.Rule), true // the listener's own is 0
}

// location is the URL of a redirect, out of the answer that is sent.
func location(r *http1.Request, to *balance.Redirect) string {
	answer := string(http1.AppendRedirect(nil, r, to.Code, to.Scheme, to.Port, false))
	_, rest, _ := strings.Cut(answer, "Location: ")
	url, _, _ := strings.Cut(rest, "\r\n")
	return url
}

// result names what takes a request.
func (k *walk) result(route balance.Route) string {
	name := "the listener's own servers"
	if route.Rule != nil {
		name = strings.TrimPrefix(route.Rule.Address, k.Listener+".")
	}
	switch {
	case route.NotFound:
		return "404 Not Found"
	case route.Redirect == nil:
		return name
	case route.Rule == nil:
		name = "the listener"
	}
	return fmt.Sprintf("%s, a redirect to %s", name, route.Redirect.Scheme)
}

// reason says why the rules have this outcome.
func (k *walk) reason(route balance.Route, host, path []byte) string {
	if len(k.listener.Rules) == 0 {
		return "the listener has no rules"
	}
	domain := k.listener.Domain(host)
	var of, known string
	switch {
	case domain == "":
		known = fmt.Sprintf("no rule's domain covers %s", host)
		of = "the rules without domain"
	case domain == string(host):
		known = fmt.Sprintf("rules have the domain %s", domain)
		of = "its rules"
	default:
		known = fmt.Sprintf("%s is the narrowest domain that covers %s", domain, host)
		of = "its rules"
	}
	switch rule := route.Rule; {
	case rule != nil && rule.URL != "":
		return fmt.Sprintf("%s; of %s, %s is the longest url that %s begins with", known, of, rule.URL, path)
	case rule != nil:
		return fmt.Sprintf("%s; no url of %s begins %s, and this one has none", known, of, path)
	case route.NotFound:
		return fmt.Sprintf("%s; no url of %s begins %s, and none is for the domain alone", known, of, path)
	}
	return fmt.Sprintf("%s; no url of %s begins %s", known, of, path)
}
