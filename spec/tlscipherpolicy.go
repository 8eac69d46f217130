package spec

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// tlsVersions are the language's words for versions, oldest first.
var tlsVersions = []string{"TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"}

// TLSVersionID is what crypto/tls calls a version of a policy.
func TLSVersionID(version string) uint16 {
	return tls.VersionTLS10 + uint16(slices.Index(tlsVersions, version))
}

// suite is a cipher suite of TLS: its name by OpenSSL, which the product uses, and the
// versions that have it.
type suite struct {
	name         string
	id           uint16 // 0 = crypto/tls does not have it
	since, until int    // minor versions
	key          string // of the certificate; empty = any
}

// suites are those of the product, and ChaCha20 for TLS 1.2. Their order is the
// product's; crypto/tls chooses by its own.
var suites = []suite{
	{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 2, 2, keyECDSA},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, 2, 2, keyECDSA},
	{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, 2, 2, keyECDSA},
	{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, 2, 2, keyECDSA},
	{"ECDHE-ECDSA-AES256-SHA384", 0, 2, 2, keyECDSA},
	{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, 0, 2, keyECDSA},
	{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, 0, 2, keyECDSA},
	{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 2, 2, keyRSA},
	{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, 2, 2, keyRSA},
	{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, 2, 2, keyRSA},
	{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, 2, 2, keyRSA},
	{"ECDHE-RSA-AES256-SHA384", 0, 2, 2, keyRSA},
	{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, 0, 2, keyRSA},
	{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, 0, 2, keyRSA},
	{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, 2, 2, keyRSA},
	{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384, 2, 2, keyRSA},
	{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256, 2, 2, keyRSA},
	{"AES256-SHA256", 0, 2, 2, keyRSA},
	{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA, 0, 2, keyRSA},
	{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA, 0, 2, keyRSA},
	{"DES-CBC3-SHA", tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, 0, 2, keyRSA},
	{"TLS_AES_128_GCM_SHA256", tls.TLS_AES_128_GCM_SHA256, 3, 3, ""},
	{"TLS_AES_256_GCM_SHA384", tls.TLS_AES_256_GCM_SHA384, 3, 3, ""},
	{"TLS_CHACHA20_POLY1305_SHA256", tls.TLS_CHACHA20_POLY1305_SHA256, 3, 3, ""},
	{"TLS_AES_128_CCM_SHA256", 0, 3, 3, ""},
	{"TLS_AES_128_CCM_8_SHA256", 0, 3, 3, ""},
}

func suiteNamed(name string) *suite {
	i := slices.IndexFunc(suites, func(s suite) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return &suites[i]
}

// CipherID is what crypto/tls calls a suite of a policy; 0 = it does not have it.
func CipherID(name string) uint16 {
	if s := suiteNamed(name); s != nil {
		return s.id
	}
	return 0
}

// CipherName is OpenSSL's name of a suite that a connection speaks; empty for one that
// is none of the product's.
func CipherName(id uint16) string {
	for i := range suites {
		if suites[i].id == id {
			return suites[i].name
		}
	}
	return ""
}

// TLSVersionName is the language's word for a version that a connection speaks.
func TLSVersionName(id uint16) string { return tlsVersions[id-tls.VersionTLS10] }

// in reports whether a version has the suite.
func (s *suite) in(version string) bool {
	minor := slices.Index(tlsVersions, version)
	return s.since <= minor && minor <= s.until
}

// The product's policies; the first one is the product's own default, which takes
// versions that nobody should speak any more.
var productPolicies = []string{
	"tls_cipher_policy_1_0", "tls_cipher_policy_1_1", "tls_cipher_policy_1_2", "tls_cipher_policy_1_2_strict", defaultPolicy,
}

const defaultPolicy = "tls_cipher_policy_1_2_strict_with_1_3"

// CipherPolicy returns one of the product's policies or an own one, by what a
// listener's TLSCipherPolicy says; nil when there is none. Of the product's suites it
// has those that crypto/tls has.
func (c *Config) CipherPolicy(name string) *TLSCipherPolicy {
	switch i := slices.Index(productPolicies, name); {
	case i < 0:
		return find(c.TLSCipherPolicies, name, func(p *TLSCipherPolicy) string { return p.Address })
	case i < 3:
		return productPolicy(name, tlsVersions[i:3], false)
	case i == 3:
		return productPolicy(name, tlsVersions[2:3], true)
	}
	return productPolicy(name, tlsVersions[2:], true)
}

// productPolicy has the suites of its versions; strict ones all keep what was said
// yesterday from who gets the key today.
func productPolicy(name string, versions []string, strict bool) *TLSCipherPolicy {
	p := &TLSCipherPolicy{Versions: versions}
	p.Name = name
	for i := range suites {
		s := &suites[i]
		forward := strings.HasPrefix(s.name, "ECDHE-") || s.since == 3
		own := strings.HasSuffix(s.name, "-CHACHA20-POLY1305")
		if s.id != 0 && !own && (forward || !strict) && slices.ContainsFunc(versions, s.in) {
			p.Ciphers = append(p.Ciphers, s.name)
		}
	}
	return p
}

// serves reports whether clients can connect by this policy to a server with a key of
// a type.
func (p *TLSCipherPolicy) serves(keyType string) bool {
	return slices.ContainsFunc(p.Ciphers, func(name string) bool {
		s := suiteNamed(name)
		// RFC 8422 section 5.4: suites for ECDSA serve Ed25519 as well.
		return s.key == "" || s.key == keyType || s.key == keyECDSA && keyType == keyEd25519
	})
}

var tlsCipherPolicyKind = func() *kind {
	meta := func(p *TLSCipherPolicy) *Meta { return &p.Meta }
	return kindOf(&block{
		name: "tls_cipher_policy",
		attributes: resourceAttributes(meta,
			bind("tls_versions", list(word(tlsVersions), 1), func(p *TLSCipherPolicy) *[]string { return &p.Versions }, required),
			bind("ciphers", list(cipherName, 1), func(p *TLSCipherPolicy) *[]string { return &p.Ciphers }, required),
		),
		blocks: resourceBlocks[TLSCipherPolicy](meta),
		hints: map[string]string{
			"name":                   "The name is the block's label: tls_cipher_policy \"NAME\".",
			"tls_cipher_policy_name": "The name is the block's label: tls_cipher_policy \"NAME\".",
			"versions":               "Write tls_versions = [\"TLSv1.2\", \"TLSv1.3\"].",
			"min_version":            "Write tls_versions = [\"TLSv1.2\", \"TLSv1.3\"].",
			"cipher_suites":          "Write ciphers = [...].",
		},
		finish: finishPolicy,
	}, func(c *Config) *[]*TLSCipherPolicy { return &c.TLSCipherPolicies }, meta)
}()

// cipherName is a suite that can be had.
var cipherName = func() codec[string] {
	var there []string
	for _, s := range suites {
		if s.id != 0 {
			there = append(there, s.name)
		}
	}
	c := word(there)
	c.parse = func(v cty.Value) (string, error) {
		name := v.AsString()
		switch s := suiteNamed(name); {
		case s != nil && s.id != 0:
			return name, nil
		case s != nil:
			return "", hintError{fmt.Errorf("%q is a suite of the product that Go's crypto/tls does not have", name), "Leave it out."}
		}
		hint := didYouMean(strings.ToUpper(name), there)
		if hint == "" {
			hint = "There is " + strings.Join(there, ", ") + "."
		}
		return "", hintError{fmt.Errorf("has no suite %q; suites have OpenSSL's names", name), hint}
	}
	return c
}()

// finishPolicy refuses what would be another policy than it says.
func finishPolicy(d *decoder, s *site, target any) {
	p := target.(*TLSCipherPolicy)
	order := func(list []string, index func(string) int) []string {
		slices.SortFunc(list, func(a, b string) int { return index(a) - index(b) })
		return slices.Compact(list)
	}
	p.Versions = order(p.Versions, func(v string) int { return slices.Index(tlsVersions, v) })
	p.Ciphers = order(p.Ciphers, func(name string) int {
		return slices.IndexFunc(suites, func(x suite) bool { return x.name == name })
	})
	if len(p.Versions) == 0 || len(p.Ciphers) == 0 {
		return // reported where they are written
	}
	first := slices.Index(tlsVersions, p.Versions[0])
	if whole := tlsVersions[first:min(first+len(p.Versions), len(tlsVersions))]; !slices.Equal(whole, p.Versions) {
		d.errorf(s.at("tls_versions"), "Gap between versions", "Versions are negotiated between the oldest and the newest: write those between too.",
			"%s leaves out versions between %s and %s.", p.Address, p.Versions[0], p.Versions[len(p.Versions)-1])
		return
	}
	p.checkSuites(d, s)
}

// checkSuites holds suites and versions against each other.
func (p *TLSCipherPolicy) checkSuites(d *decoder, s *site) {
	for _, name := range p.Ciphers {
		if x := suiteNamed(name); !slices.ContainsFunc(p.Versions, x.in) {
			d.errorf(s.at("ciphers"), "Cipher of another version", fmt.Sprintf("Leave it out, or add %q to tls_versions.", tlsVersions[x.since]),
				"No version of %s has the suite %s.", p.Address, name)
		}
	}
	for _, version := range p.Versions {
		var missing []string
		some := false
		for i := range suites {
			if x := &suites[i]; x.in(version) && x.id != 0 {
				has := slices.Contains(p.Ciphers, x.name)
				some = some || has
				if !has && x.since == 3 {
					missing = append(missing, x.name)
				}
			}
		}
		switch {
		case !some && version != tlsVersions[3]:
			d.errorf(s.at("ciphers"), "Version without cipher", "Add one, or leave the version out.", "No suite of %s is for %s.", p.Address, version)
		case len(missing) > 0:
			d.errorf(s.at("ciphers"), "Suites of TLS 1.3 are one set", "Add "+strings.Join(missing, ", ")+", or leave TLSv1.3 out.",
				"Go's crypto/tls takes all of its three suites of TLS 1.3 or not the version.")
		}
	}
}
