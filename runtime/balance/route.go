package balance

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Route says what becomes of a request: a pool of servers takes it, or it is
// answered with a redirect, or with 404.
type Route struct {
	Pool     int       // index in Pools; -1 = none
	Rule     *Rule     // that decided; nil = the listener itself
	Redirect *Redirect // the answer, if any
	NotFound bool      // the answer is 404: rules know the domain but not the URL
}

// Route decides by the rules' domains and URLs, in the product's order of
// precedence: the exact domain, else the narrowest wildcard that covers the host;
// of that domain's rules the longest URL that the path begins with, else the one
// without URL, else 404. A host that no domain covers, or none at all, is left to
// the rules without domain, and what those do not take to the listener itself.
//
// host is in lower case, without port and trailing dot; path is NormalPath's.
func (l *Listener) Route(host, path []byte) Route {
	if l.router == nil {
		return l.ownRoute()
	}
	return l.router.route(host, path)
}

// ownRoute is the way of a request that no rule takes.
func (l *Listener) ownRoute() Route {
	if l.Redirect != nil {
		return Route{Pool: -1, Redirect: l.Redirect}
	}
	return Route{}
}

// router answers Route. It never changes once made.
type router struct {
	domains domains[*urls]
	any     *urls // of the rules without domain
}

func newRouter(l *Listener) (*router, error) {
	if len(l.Rules) == 0 {
		return nil, nil
	}
	r := &router{any: &urls{bare: l.ownRoute()}}
	for i, rule := range l.Rules {
		route := Route{Pool: i + 1, Rule: rule}
		if rule.Redirect != nil {
			route.Pool, route.Redirect = -1, rule.Redirect
		}
		u := r.of(rule.Domain)
		if rule.URL == "" {
			if u == r.any {
				return nil, fmt.Errorf("rule %q has neither domain nor url; give it one of them", rule.Name)
			}
			if u.bare.Rule != nil {
				return nil, fmt.Errorf("rule %q matches what rule %q does; keep one of them", rule.Name, u.bare.Rule.Name)
			}
			u.bare = route
			continue
		}
		u.prefixes = append(u.prefixes, prefix{url: rule.URL, route: route})
	}
	for _, domains := range []map[string]*urls{r.domains.exact, r.domains.wildcards, {"": r.any}} {
		for _, u := range domains {
			if err := u.link(); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// of returns the rules of a domain, none as yet if it is new.
func (r *router) of(domain string) *urls {
	if domain == "" {
		return r.any
	}
	place, key := r.domains.at(domain)
	if place[key] == nil {
		place[key] = &urls{bare: Route{Pool: -1, NotFound: true}}
	}
	return place[key]
}

func (r *router) route(host, path []byte) Route {
	if u, ok := r.domains.covering(host); ok {
		return u.route(path)
	}
	return r.any.route(path)
}

// urls are the rules of one domain.
type urls struct {
	prefixes []prefix // sorted by url
	bare     Route    // when no prefix matches
}

// prefix is a rule's URL. All prefixes of a string that stand in the sorted list
// are ancestors of the greatest entry not above it: one search and some steps up
// find the longest.
type prefix struct {
	url    string
	parent int // index of the longest other URL that this one begins with; -1 = none
	route  Route
}

// link sorts the prefixes and finds their parents.
func (u *urls) link() error {
	slices.SortFunc(u.prefixes, func(a, b prefix) int { return cmp.Compare(a.url, b.url) })
	for i := range u.prefixes {
		p := &u.prefixes[i]
		p.parent = i - 1
		for p.parent >= 0 && !strings.HasPrefix(p.url, u.prefixes[p.parent].url) {
			p.parent = u.prefixes[p.parent].parent
		}
		if p.parent >= 0 && u.prefixes[p.parent].url == p.url {
			return fmt.Errorf("rule %q matches what rule %q does; keep one of them", p.route.Rule.Name, u.prefixes[p.parent].route.Rule.Name)
		}
	}
	return nil
}

func (u *urls) route(path []byte) Route {
	at := sort.Search(len(u.prefixes), func(i int) bool { return u.prefixes[i].url > string(path) }) - 1
	if at < 0 {
		return u.bare
	}
	common := commonPrefix(u.prefixes[at].url, path)
	for ; at >= 0; at = u.prefixes[at].parent {
		if p := &u.prefixes[at]; len(p.url) <= common {
			return p.route
		}
	}
	return u.bare
}

func commonPrefix(a string, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
