// Package tlsconf turns what an https listener says of certificates, names, clients,
// versions and suites into the one *tls.Config that its connections are served with:
//
//	www, err := tlsconf.NewIdentity(chainPEM, keyPEM)
//	config, err := tlsconf.Listener{Address: l.Address, Own: www, Policy: policy, HTTP2: true}.Config(tickets)
//
// It opens nothing and waits for nothing. Certificates can be renewed under a live
// configuration; tickets resume sessions also when a listener's configuration has been
// replaced.
package tlsconf

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// The protocols above TLS, by their names in ALPN (RFC 7301).
const (
	protocolHTTP2 = "h2"
	protocolHTTP1 = "http/1.1"
)

// Identity is a certificate with its key, as listeners show it.
type Identity struct {
	current atomic.Pointer[tls.Certificate]
}

// NewIdentity reads a certificate chain and its key, both PEM.
func NewIdentity(chain, key string) (*Identity, error) {
	i := &Identity{}
	return i, i.Renew(chain, key)
}

// Renew replaces certificate and key, also while listeners use them: handshakes that
// begin from now on show the new ones. On an error the old ones stay.
func (i *Identity) Renew(chain, key string) error {
	c, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		return err
	}
	i.current.Store(&c)
	return nil
}

// Leaf is the certificate that is shown now.
func (i *Identity) Leaf() *x509.Certificate { return i.current.Load().Leaf }

// Fingerprint is the SHA-256 of the certificate that is shown now, as openssl writes it.
func (i *Identity) Fingerprint() string { return spec.Fingerprint(i.Leaf().Raw) }

// Listener is what one https listener says of TLS.
type Listener struct {
	Address    string    // resource address
	Own        *Identity // shown where no other is for the name that a client asks for
	Additional []Additional
	ClientCAs  string // PEM; empty = clients need no certificate
	Policy     *spec.TLSCipherPolicy
	HTTP2      bool
}

// Additional is a certificate for a domain.
type Additional struct {
	Domain   string // exact, or "*." and a suffix
	Identity *Identity
}

// Config makes the configuration. Listeners of one Tickets resume their own sessions
// and nobody else's.
func (l Listener) Config(tickets *Tickets) (*tls.Config, error) {
	if l.Own == nil || l.Policy == nil {
		return nil, errors.New("no certificate, or no policy")
	}
	c := &tls.Config{
		GetCertificate: l.choose(),
		MinVersion:     spec.TLSVersionID(l.Policy.Versions[0]),
		MaxVersion:     spec.TLSVersionID(l.Policy.Versions[len(l.Policy.Versions)-1]),
		// The two that everybody has and that cost least come first.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		NextProtos:       []string{protocolHTTP1},
		// Records are as large as what there is to send: the loops send whole answers.
		DynamicRecordSizingDisabled: true,
	}
	for _, name := range l.Policy.Ciphers {
		if id := spec.CipherID(name); id != 0 && !isTLS13(id) {
			c.CipherSuites = append(c.CipherSuites, id)
		}
	}
	if l.HTTP2 && l.fitsHTTP2() {
		c.NextProtos = []string{protocolHTTP2, protocolHTTP1}
	}
	if l.ClientCAs != "" {
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM([]byte(l.ClientCAs)) {
			return nil, errors.New("no certificate in the CA certificate")
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	tickets.serve(c, l.scope())
	return c, nil
}

// choose picks the certificate for the name that a client asks for.
func (l Listener) choose() func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	domains := make([]string, len(l.Additional))
	for i, a := range l.Additional {
		domains[i] = a.Domain
	}
	names := balance.NewServerNames(domains)
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if i := names.Pick(hello.ServerName); i >= 0 {
			return l.Additional[i].Identity.current.Load(), nil
		}
		return l.Own.current.Load(), nil
	}
}

// fitsHTTP2 reports whether the policy has what HTTP/2 asks for (RFC 9113 section
// 9.2): with other suites clients break the connection off.
func (l Listener) fitsHTTP2() bool {
	return slices.ContainsFunc(l.Policy.Ciphers, func(name string) bool {
		aead := strings.Contains(name, "GCM") || strings.Contains(name, "POLY1305")
		return isTLS13(spec.CipherID(name)) || aead && strings.HasPrefix(name, "ECDHE-")
	})
}

// scope names what a ticket is good for: this listener, as long as it lets the same
// clients in by the same rules. A session of before a change of these starts anew.
func (l Listener) scope() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q", l.Address, l.ClientCAs, l.Policy.Versions, l.Policy.Ciphers)
	return hex.EncodeToString(h.Sum(nil))
}

// isTLS13 reports whether a suite is one of TLS 1.3, which crypto/tls has always on.
func isTLS13(id uint16) bool { return id>>8 == 0x13 }
