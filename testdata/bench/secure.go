//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	certificateFile = "server.crt"
	keyFile         = "server.crt.key" // where HAProxy looks for it

	// All programs encrypt alike: with what slbctl takes of its own accord where the
	// processor has AES.
	suite = tls.TLS_AES_128_GCM_SHA256
	curve = tls.X25519
)

// certify makes a certificate that signs itself, ECDSA on P-256, for the rules' domains
// and loopback, and writes it and its key into the setup's folder.
func (s setup) certify() (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{s.Endpoint.Addr().AsSlice()},
	}
	for _, r := range s.Rules {
		template.DNSNames = append(template.DNSNames, r.Domain)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	for name, block := range map[string]*pem.Block{
		certificateFile: {Type: "CERTIFICATE", Bytes: certificate},
		keyFile:         {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(s.Folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, err
		}
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return roots, nil
}

// clientTLS is what the generators of this program offer: what OpenSSL in the others
// does as well, with tickets asked for and never used.
func clientTLS(name string, roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		ServerName: name,
		RootCAs:    roots,
		// Who is not told whom to trust has left that to the probe.
		InsecureSkipVerify: roots == nil,
		CurvePreferences:   []tls.CurveID{tls.X25519, tls.CurveP256},
		ClientSessionCache: forgetful{},
	}
}

// forgetful keeps no session, so that every handshake is a full one.
type forgetful struct{}

func (forgetful) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (forgetful) Put(string, *tls.ClientSessionState)        {}

// secured makes sure that a connection is what all are compared in.
func secured(c *tls.ConnectionState, protocol string) error {
	if c == nil {
		return errors.New("this is not TLS")
	}
	if c.Version != tls.VersionTLS13 || c.CipherSuite != suite || c.CurveID != curve || c.NegotiatedProtocol != protocol {
		return fmt.Errorf("%s with %s, %s and protocol %q instead of TLS 1.3 with %s, %s and %q", tls.VersionName(c.Version),
			tls.CipherSuiteName(c.CipherSuite), c.CurveID, c.NegotiatedProtocol, tls.CipherSuiteName(suite), curve, protocol)
	}
	return nil
}
