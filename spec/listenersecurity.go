package spec

import (
	"fmt"
	"slices"
	"strings"
)

var additionalCertificateBlock = &block{
	name:   "additional_certificate",
	labels: []attribute{bind("domain", ruleDomain, func(a *AdditionalCertificate) *string { return &a.Domain })},
	attributes: []attribute{
		bind("certificate", text, func(a *AdditionalCertificate) *string { return &a.Certificate }, reference("certificate"), required),
	},
	hints: map[string]string{
		"server_certificate_id": "Write certificate = certificate.NAME.",
		"domain":                "The domain is the block's label: additional_certificate \"www.example.com\" { ... }.",
	},
}

// secureAttributes are those of https listeners.
var secureAttributes = []attribute{
	bind("certificate", text, func(l *Listener) *string { return &l.Certificate }, reference("certificate"), fallback(""), only(secure)),
	bind("ca_certificate", text, func(l *Listener) *string { return &l.CACertificate }, reference("ca_certificate"), fallback(""), only(secure)),
	bind("tls_cipher_policy", policyName, func(l *Listener) *string { return &l.TLSCipherPolicy },
		reference("tls_cipher_policy"), orOne(productPolicies), fallback(defaultPolicy), only(secure)),
	bind("http2", boolean, func(l *Listener) *bool { return &l.HTTP2 }, fallback(true), only(secure)),
}

var policyName = word(productPolicies)

// checkSecurity looks at what a listener says about TLS without what it refers to.
func checkSecurity(d *decoder, s *site, l *Listener) {
	if l.Protocol != ProtocolHTTPS {
		return
	}
	if !s.has("certificate") {
		d.errorf(s.rng, "Listener without certificate",
			"Write certificate = certificate.NAME; certificate \"NAME\" { domains = [\"www.example.com\"] } is one that the local CA issues.",
			"%s is an https listener, which has nothing to show to its clients.", l.Address)
	}
	seen := map[string]bool{}
	for n, a := range l.AdditionalCertificates {
		if seen[a.Domain] {
			d.errorf(s.child("additional_certificate", n).label(0), "Duplicate domain", "Keep one of them.",
				"%s has a certificate for %s already.", l.Address, a.Domain)
		}
		seen[a.Domain] = true
	}
	sortAdditional(s, l)
}

// sortAdditional sorts the additional certificates, and with them their places: their
// order means nothing.
func sortAdditional(s *site, l *Listener) {
	places := make(map[string]*site, len(l.AdditionalCertificates))
	for n, a := range l.AdditionalCertificates {
		places[a.Domain] = s.child("additional_certificate", n)
	}
	slices.SortFunc(l.AdditionalCertificates, func(a, b AdditionalCertificate) int { return strings.Compare(a.Domain, b.Domain) })
	sorted := make([]*site, len(l.AdditionalCertificates))
	for n, a := range l.AdditionalCertificates {
		sorted[n] = places[a.Domain]
	}
	if i := s.table.childIndex("additional_certificate"); len(sorted) > 0 {
		s.children[i] = sorted
	}
}

// checkCertificates holds the certificates of an https listener against the names that
// clients ask it for, and its policy against their keys.
func (l *loader) checkCertificates(c *Config, listener *Listener, place *site) {
	if listener.Protocol != ProtocolHTTPS {
		return
	}
	for n, a := range listener.AdditionalCertificates {
		x := c.Certificate(a.Certificate)
		if !x.covers(a.Domain) {
			l.reports.error(place.child("additional_certificate", n).at("certificate"), "Certificate for other names",
				fmt.Sprintf("%s does not cover %s: it is for %s.", x.Address, a.Domain, nameList(x.Names)), "Write a certificate for this name.")
		}
		l.checkPolicy(c, listener, x, place)
	}
	l.checkPolicy(c, listener, c.Certificate(listener.Certificate), place)
	told := map[string]bool{}
	for _, r := range listener.Rules {
		if r.Domain == "" || told[r.Domain] {
			continue
		}
		told[r.Domain] = true
		if x := c.Certificate(listener.certificateFor(r.Domain)); !x.covers(r.Domain) {
			l.reports.error(l.inner[r.Address].at("domain"), "Certificate for other names",
				fmt.Sprintf("Clients that ask %s for %s get %s, which does not cover it: it is for %s.", listener.Address, r.Domain, x.Address, nameList(x.Names)),
				fmt.Sprintf("Write additional_certificate %q { certificate = certificate.NAME } into the listener, or use a certificate for this name.", r.Domain))
		}
	}
}

// checkPolicy looks whether anybody can connect at all.
func (l *loader) checkPolicy(c *Config, listener *Listener, x *Certificate, place *site) {
	p := c.CipherPolicy(listener.TLSCipherPolicy)
	keyType := x.keyType
	if keyType == "" {
		keyType = keyECDSA // of the local CA
	}
	if !p.serves(keyType) {
		l.reports.error(place.at("tls_cipher_policy"), "Policy for other keys",
			fmt.Sprintf("%s has an %s key, but %s has no cipher suite for it: nobody could connect.", x.Address, keyType, listener.TLSCipherPolicy),
			fmt.Sprintf("Add a suite such as ECDHE-%s-AES128-GCM-SHA256, or use a certificate with another kind of key.", strings.Replace(keyType, keyEd25519, keyECDSA, 1)))
	}
}

// certificateFor is the address of the certificate for a rule's domain. The live
// listener decides by name in balance.ServerNames; a test holds the two together.
func (l *Listener) certificateFor(domain string) string {
	best := AdditionalCertificate{"", l.Certificate}
	for _, a := range l.AdditionalCertificates {
		if (a.Domain == domain || moreSpecific(domain, a.Domain)) && moreSpecific(a.Domain, best.Domain) {
			best = a
		}
	}
	return best.Certificate
}

// covers reports whether a certificate vouches for a name, or for all names directly
// below one (RFC 6125 section 6.4.3: a wildcard stands for one label).
func (c *Certificate) covers(domain string) bool {
	if slices.Contains(c.Names, domain) {
		return true
	}
	_, parent, _ := strings.Cut(domain, ".")
	return domain[0] != '*' && slices.Contains(c.Names, "*."+parent)
}
