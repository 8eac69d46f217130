package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// IssuedFor is how long the certificates of the local CA hold. Browsers take no more
// than 398 days; less is no loss where the runtime renews them by itself.
const IssuedFor = 90 * 24 * time.Hour

// LocalCA is the issuer of certificates with domains.
const LocalCA = "local CA"

var certificateKind = func() *kind {
	meta := func(c *Certificate) *Meta { return &c.Meta }
	return kindOf(&block{
		name: "certificate",
		attributes: resourceAttributes(meta,
			bind("certificate", chain, func(c *Certificate) *string { return &c.Chain }, fallback("")),
			privateKey(),
			bind("domains", list(certificateName, 1), func(c *Certificate) *[]string { return &c.Domains }, fallback([]any{})),
			bind("names", list(text, 0), func(c *Certificate) *[]string { return &c.Names }, computed, fallback([]any{})),
			bind("issuer", text, func(c *Certificate) *string { return &c.Issuer }, computed, fallback("")),
			bind("expires", text, func(c *Certificate) *string { return &c.Expires }, computed, fallback("")),
			bind("lifetime", text, func(c *Certificate) *string { return &c.Lifetime }, computed, fallback("")),
			bind("fingerprint", text, func(c *Certificate) *string { return &c.Fingerprint }, computed, fallback("")),
		),
		blocks: resourceBlocks[Certificate](meta),
		hints: map[string]string{
			"name":                           "The name is the block's label: certificate \"NAME\".",
			"slb_server_certificate_name":    "The name is the block's label: certificate \"NAME\".",
			"server_certificate":             "Write certificate = file(\"...\").",
			"key":                            "Write private_key = file(\"...\").",
			"domain":                         "Write domains = [\"www.example.com\"].",
			"alicloud_certificate_id":        "There is no account here: write certificate and private_key, or domains.",
			"alicloud_certificate_region_id": "There is no account here: write certificate and private_key, or domains.",
		},
		finish: finishCertificate,
	}, func(c *Config) *[]*Certificate { return &c.Certificates }, meta)
}()

// privateKey is recorded as its digest alone.
func privateKey() attribute {
	key := text
	key.parse = func(v cty.Value) (string, error) {
		_, canonical, err := parseKey(v.AsString())
		return canonical, err
	}
	a := bind("private_key", key, func(c *Certificate) *string { return &c.key }, secret, fallback(""))
	recorded := bind("private_key", text, func(c *Certificate) *string { return &c.PrivateKey })
	a.get, a.put = recorded.get, recorded.put
	return a
}

var chain = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		list, canonical, err := parseChain(v.AsString())
		if err != nil {
			return "", err
		}
		for i := 1; i < len(list); i++ {
			if string(list[i-1].RawIssuer) != string(list[i].RawSubject) {
				return "", hintError{
					fmt.Errorf("is out of order: certificate %d is of %q, but the one before is by %q", i+1, list[i].Subject, list[i-1].Issuer),
					"First the server's own, then each the issuer of the one before.",
				}
			}
		}
		if typeOfKey(list[0].PublicKey) == "" {
			return "", fmt.Errorf("has a public key of a kind that TLS cannot use")
		}
		return canonical, nil
	}
	return c
}()

// certificateName is what a certificate can vouch for: a name, a wildcard for the
// names directly below one, an address.
var certificateName = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		s := strings.ToLower(v.AsString())
		if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
			return ip.Unmap().String(), nil
		}
		if err := validDomain(strings.TrimPrefix(s, "*.")); err != nil {
			return "", fmt.Errorf("must be a name, a wildcard such as \"*.example.com\" or an address: %w", err)
		}
		return s, nil
	}
	return c
}()

func finishCertificate(d *decoder, s *site, target any) {
	c := target.(*Certificate)
	own, key, domains := s.has("certificate"), s.has("private_key"), s.has("domains")
	switch {
	case domains && (own || key):
		d.errorf(s.at("domains"), "Two kinds of certificate", "Keep certificate and private_key, or domains.",
			"%s brings a certificate with it, and asks the local CA for one.", c.Address)
	case domains:
		slices.Sort(c.Domains)
		c.Domains = slices.Compact(c.Domains)
		c.Names, c.Issuer = c.Domains, LocalCA
		c.Lifetime = fmt.Sprintf("%d days", IssuedFor/(24*time.Hour))
	case !own && !key:
		d.errorf(s.rng, "Missing argument", "Write certificate = file(\"...\") and private_key = file(\"...\"), or domains = [\"www.example.com\"] for one of the local CA.",
			"A certificate needs certificate and private_key, or domains.")
	case !key:
		d.errorf(s.at("certificate"), "Missing argument", "Write private_key = file(\"...\").", "A certificate is of no use without its private key.")
	case !own:
		d.errorf(s.rng, "Missing argument", "Write certificate = file(\"...\").", "A private key is of no use without its certificate.")
	case c.Chain != "" && c.key != "":
		d.readCertificate(s, c)
	}
}

// readCertificate tells what a certificate says, and holds its key against it.
func (d *decoder) readCertificate(s *site, c *Certificate) {
	list, _, err := parseChain(c.Chain)
	signer, _, keyErr := parseKey(c.key)
	if err != nil || keyErr != nil {
		return // reported where they are written
	}
	leaf := list[0]
	if !sameKey(leaf.PublicKey, signer.Public()) {
		d.errorf(s.at("private_key"), "Key of another certificate", "Write the key that the certificate was made with.",
			"The private key of %s does not belong to its certificate, which is for %s.", c.Address, nameList(namesOf(leaf)))
	}
	c.Names, c.Issuer, c.Fingerprint, c.keyType = namesOf(leaf), commonName(leaf.Issuer), Fingerprint(leaf.Raw), typeOfKey(leaf.PublicKey)
	c.Expires = leaf.NotAfter.UTC().Format(time.RFC3339)
	d.checkValidity(s, c.Address, leaf)
	if len(c.Names) == 0 {
		d.l.reports.warn(s.at("certificate"), "Certificate without names", fmt.Sprintf("%s names neither a domain nor an address, so clients will not take it.", c.Address),
			"Have it issued with a subjectAltName. A common name does not count (RFC 9525).")
	}
}
