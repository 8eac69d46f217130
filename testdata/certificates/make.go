//go:build ignore

// Command make writes the certificates and keys of this folder anew. Nothing but tests
// trusts them.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"os"
	"time"
)

func main() {
	ca := issue("ca", nil, &x509.Certificate{Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	issue("www", ca, &x509.Certificate{Subject: pkix.Name{CommonName: "www.a.test"}, DNSNames: []string{"www.a.test", "*.a.test"}})
	issue("renewed", ca, &x509.Certificate{Subject: pkix.Name{CommonName: "www.a.test"}, DNSNames: []string{"www.a.test", "*.a.test"}})
	issue("rsa", ca, &x509.Certificate{Subject: pkix.Name{CommonName: "b.test"}, DNSNames: []string{"b.test"}})
	issue("expired", ca, &x509.Certificate{Subject: pkix.Name{CommonName: "www.a.test"}, DNSNames: []string{"www.a.test"}, NotAfter: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)})
	issue("other", nil, &x509.Certificate{Subject: pkix.Name{CommonName: "Other CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	issue("client", ca, &x509.Certificate{Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

type pair struct {
	x   *x509.Certificate
	key crypto.Signer
}

func issue(name string, by *pair, x *x509.Certificate) *pair {
	var key crypto.Signer
	var err error
	if name == "rsa" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	check(err)
	x.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	check(err)
	x.NotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	if x.NotAfter.IsZero() {
		x.NotAfter = time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	if x.KeyUsage == 0 {
		x.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	if by == nil {
		by = &pair{x, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, x, by.x, key.Public(), by.key)
	check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	check(os.WriteFile(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	check(os.WriteFile(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o644))
	x, err = x509.ParseCertificate(der)
	check(err)
	return &pair{x, key}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
