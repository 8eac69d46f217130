package balance

import (
	"fmt"
	"strings"
)

// Request is what Route decides by.
type Request struct {
	Host, Path string
}

// Requests are those that a listener of HTTP is about: the home page of its address, that of
// every domain of its rules, and one for each rule. The address stands for hosts of which
// no rule knows, a name of its own for those under a wildcard.
func (l *Listener) Requests() []Request {
	requests := []Request{l.RequestOf(nil)}
	seen := map[Request]bool{requests[0]: true}
	for _, r := range l.Rules {
		of := l.RequestOf(r)
		for _, q := range []Request{{of.Host, "/"}, of} {
			if !seen[q] {
				seen[q] = true
				requests = append(requests, q)
			}
		}
	}
	return requests
}

// RequestOf is a request that a rule of the listener is there for; for nil, one that no
// rule knows the host of.
func (l *Listener) RequestOf(r *Rule) Request {
	q := Request{l.Endpoint.Addr().String(), "/"}
	if l.Endpoint.Addr().Is6() {
		q.Host = "[" + q.Host + "]"
	}
	if r != nil && r.Domain != "" {
		q.Host = l.hostUnder(r.Domain)
	}
	if r != nil && r.URL != "" {
		q.Path = spelled(r.URL)
	}
	return q
}

// hostUnder is a host whose rules are those of a domain.
func (l *Listener) hostUnder(domain string) string {
	suffix, wild := strings.CutPrefix(domain, "*")
	if !wild {
		return domain
	}
	host := "any" + suffix
	for n := 2; ; n++ { // narrower domains are finitely many
		if rules, _ := l.router.domains.covering([]byte(host)); rules == l.router.of(domain) {
			return host
		}
		host = fmt.Sprintf("any%d%s", n, suffix)
	}
}

// spelled is a request's spelling of a path in normal form.
func spelled(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '#' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
