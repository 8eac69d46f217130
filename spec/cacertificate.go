package spec

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

var caCertificateKind = func() *kind {
	meta := func(c *CACertificate) *Meta { return &c.Meta }
	return kindOf(&block{
		name: "ca_certificate",
		attributes: resourceAttributes(meta,
			bind("certificate", authorities, func(c *CACertificate) *string { return &c.Certificates }, required),
			bind("names", list(text, 0), func(c *CACertificate) *[]string { return &c.Names }, computed, fallback([]any{})),
			bind("expires", text, func(c *CACertificate) *string { return &c.Expires }, computed, fallback("")),
			bind("fingerprint", text, func(c *CACertificate) *string { return &c.Fingerprint }, computed, fallback("")),
		),
		blocks: resourceBlocks[CACertificate](meta),
		hints: map[string]string{
			"name":                "The name is the block's label: ca_certificate \"NAME\".",
			"ca_certificate_name": "The name is the block's label: ca_certificate \"NAME\".",
			"ca_certificate":      "Write certificate = file(\"...\").",
			"private_key":         "Who checks certificates needs no key.",
		},
		finish: finishCACertificate,
	}, func(c *Config) *[]*CACertificate { return &c.CACertificates }, meta)
}()

// authorities are certificates of whoever signs others.
var authorities = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		list, canonical, err := parseChain(v.AsString())
		if err != nil {
			return "", err
		}
		for _, x := range list {
			if !x.BasicConstraintsValid || !x.IsCA || x.KeyUsage != 0 && x.KeyUsage&x509.KeyUsageCertSign == 0 {
				return "", hintError{
					fmt.Errorf("has the certificate of %q, which may not sign others: it is no CA", commonName(x.Subject)),
					"Write the certificate of the authority that signed your clients'.",
				}
			}
		}
		return canonical, nil
	}
	return c
}()

func finishCACertificate(d *decoder, s *site, target any) {
	c := target.(*CACertificate)
	list, _, err := parseChain(c.Certificates)
	if err != nil || len(list) == 0 {
		return // reported where it is written
	}
	c.Fingerprint = Fingerprint(list[0].Raw)
	first := list[0].NotAfter
	for _, x := range list {
		c.Names = append(c.Names, commonName(x.Subject))
		if x.NotAfter.Before(first) {
			first = x.NotAfter
		}
		d.checkValidity(s, c.Address, x)
	}
	c.Expires = first.UTC().Format(time.RFC3339)
}

// checkValidity warns of a certificate that nobody will take now.
func (d *decoder) checkValidity(s *site, address string, x *x509.Certificate) {
	now := d.l.opt.Now
	switch {
	case now.IsZero():
	case now.After(x.NotAfter):
		d.l.reports.warn(s.at("certificate"), "Certificate expired", fmt.Sprintf("%s expired on %s.", address, x.NotAfter.UTC().Format(time.DateOnly)),
			"Whoever checks it refuses the connection.")
	case now.Before(x.NotBefore):
		d.l.reports.warn(s.at("certificate"), "Certificate not valid yet", fmt.Sprintf("%s is valid from %s on.", address, x.NotBefore.UTC().Format(time.RFC3339)),
			"Until then whoever checks it refuses the connection.")
	}
}

// namesOf are what a certificate vouches for. Its common name is not: clients have
// not looked at it for years (RFC 9525 section 2).
func namesOf(x *x509.Certificate) []string {
	names := []string{}
	for _, n := range x.DNSNames {
		names = append(names, strings.ToLower(n))
	}
	for _, ip := range x.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// commonName is how people call who a certificate is of.
func commonName(n pkix.Name) string {
	if n.CommonName != "" {
		return n.CommonName
	}
	return n.String()
}

func sameKey(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// nameList is for sentences: a, b and 3 more.
func nameList(names []string) string {
	const few = 4
	switch {
	case len(names) == 0:
		return "no name at all"
	case len(names) > few:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}
