package balance

import (
	"bytes"
	"strings"
)

// domains finds what belongs to the domain that covers a host best, in the product's
// order: the exact domain, else the narrowest wildcard. Rules and certificates are
// found alike. It never changes once made.
type domains[T any] struct {
	exact map[string]T
	// wildcards has the suffixes of wildcard domains: example.com for
	// *.example.com. None is longer than longest.
	wildcards map[string]T
	longest   int
}

// at returns the place of a domain and its key there; place[key] is to be set or read.
func (d *domains[T]) at(domain string) (place map[string]T, key string) {
	if d.exact == nil {
		d.exact, d.wildcards = map[string]T{}, map[string]T{}
	}
	if suffix, ok := strings.CutPrefix(domain, "*."); ok {
		d.longest = max(d.longest, len(suffix))
		return d.wildcards, suffix
	}
	return d.exact, domain
}

// covering finds what covers a host, which is in lower case and without trailing dot.
func (d *domains[T]) covering(host []byte) (found T, ok bool) {
	if found, ok = d.exact[string(host)]; ok {
		return found, true
	}
	for at := 0; ; {
		dot := bytes.IndexByte(host[at:], '.')
		if dot < 0 {
			return found, false
		}
		at += dot + 1
		if at == 1 || len(host)-at > d.longest {
			continue // nothing is before the first dot, or too much behind this one
		}
		if found, ok = d.wildcards[string(host[at:])]; ok {
			return found, true
		}
	}
}

// ServerNames chooses a certificate by the name that a client asks for (SNI, RFC 6066
// section 3).
type ServerNames struct{ domains domains[int] }

// NewServerNames takes the domains of the additional certificates of a listener.
func NewServerNames(list []string) *ServerNames {
	s := &ServerNames{}
	for i, domain := range list {
		place, key := s.domains.at(domain)
		place[key] = i
	}
	return s
}

// Pick returns the index of the domain that covers a name best, or -1: then, and
// where a client asks for no name, the listener's own certificate is shown.
func (s *ServerNames) Pick(name string) int {
	i, ok := s.domains.covering([]byte(strings.ToLower(strings.TrimSuffix(name, "."))))
	if !ok {
		return -1
	}
	return i
}
