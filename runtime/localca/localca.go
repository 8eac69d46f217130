// Package localca is a certificate authority of a working folder's own, so that HTTPS
// on one machine needs no account and no ritual:
//
//	ca, err := localca.Ensure(durable.OS, ".slbctl", time.Now())
//	issued, err := ca.Issue([]string{"www.abc.com"}, time.Now())
//
// Its root lies in .slbctl/ca: root.crt, which clients may trust (curl --cacert), and
// root.key, which only its owner can read. The root is made when a certificate is
// first asked for and holds for ten years; what it issues holds as long as the
// language says (spec.IssuedFor) and is renewed when a third of that is left.
package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"time"

	"slbctl/runtime/durable"
	"slbctl/spec"
)

const (
	rootFor = 10 * 365 * 24 * time.Hour
	// skew is how far behind a client's clock may be.
	skew = time.Hour
)

// Authority is the root with its key.
type Authority struct {
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

// RootFile is the root's certificate in a .slbctl folder.
func RootFile(folder string) string { return filepath.Join(folder, "ca", "root.crt") }

func keyFile(folder string) string { return filepath.Join(folder, "ca", "root.key") }

// Root reads the root's certificate, as PEM and parsed; the error is fs.ErrNotExist
// when there is none yet.
func Root(fsys durable.FS, folder string) ([]byte, *x509.Certificate, error) {
	text, err := fsys.ReadFile(RootFile(folder))
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, fmt.Errorf("local CA: %s is no certificate", RootFile(folder))
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("local CA: %s: %w", RootFile(folder), err)
	}
	return text, root, nil
}

// Ensure returns the authority of a .slbctl folder. It makes one where there is none,
// or where the one that is there cannot vouch for anybody any more.
func Ensure(fsys durable.FS, folder string, now time.Time) (*Authority, error) {
	if err := fsys.MkdirAll(filepath.Dir(RootFile(folder))); err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	_, root, err := Root(fsys, folder)
	switch {
	case errors.Is(err, fs.ErrNotExist): // a key alone has never signed anything
		return create(fsys, folder, now)
	case err != nil:
		return nil, fmt.Errorf("%w: put it back, or remove the folder %s for a new authority", err, filepath.Dir(RootFile(folder)))
	case now.After(root.NotAfter.Add(-skew)):
		return create(fsys, folder, now)
	}
	key, err := readKey(fsys, folder)
	if err == nil && !key.PublicKey.Equal(root.PublicKey) {
		err = errors.New("it is not the key of root.crt")
	}
	if err != nil {
		return nil, fmt.Errorf("local CA: %s: %w: put it back, or remove the folder %s for a new authority, which clients have to trust anew",
			keyFile(folder), err, filepath.Dir(keyFile(folder)))
	}
	return &Authority{root, key}, nil
}

func readKey(fsys durable.FS, folder string) (*ecdsa.PrivateKey, error) {
	text, err := fsys.ReadFile(keyFile(folder))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is no private key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it does not read") // the error may show parts of it
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("it is no ECDSA key")
	}
	return own, nil
}

// create makes a root. The key is written first: a certificate without its key would
// be trusted and of no use.
func create(fsys durable.FS, folder string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("local CA: make a key: %w", err)
	}
	id := keyID(key)
	template := &x509.Certificate{
		SerialNumber: serial(),
		// Stores of trust list roots by name, and several folders may be in one.
		Subject:   pkix.Name{CommonName: "slbctl local CA " + hex.EncodeToString(id[:4]), Organization: []string{"slbctl"}},
		NotBefore: now.Add(-skew), NotAfter: now.Add(rootFor),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:     true, BasicConstraintsValid: true, MaxPathLenZero: true,
		SubjectKeyId: id,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("local CA: sign the root: %w", err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	if err := fsys.SyncDir(folder); err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	private, err := keyPEM(key)
	if err == nil {
		err = durable.RemoveTemps(fsys, keyFile(folder)) // of a writer that was killed
	}
	if err == nil {
		err = durable.WriteFile(fsys, keyFile(folder), private, 0o600)
	}
	if err == nil {
		err = durable.WriteFile(fsys, RootFile(folder), certificatePEM(der), 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	return &Authority{root, key}, nil
}

// Issued is a certificate for a server, with its key.
type Issued struct {
	Chain string // PEM
	Key   string // PEM
	Leaf  *x509.Certificate
}

// Issue makes a certificate for DNS names, wildcards and addresses.
func (a *Authority) Issue(names []string, now time.Time) (*Issued, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("local CA: make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{Organization: []string{"slbctl"}},
		NotBefore:    now.Add(-skew), NotAfter: now.Add(spec.IssuedFor - skew),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// Without it, some take a certificate for one that may sign others.
		BasicConstraintsValid: true,
		SubjectKeyId:          keyID(key),
	}
	if template.NotAfter.After(a.root.NotAfter) {
		template.NotAfter = a.root.NotAfter
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("local CA: issue for %v: %w", names, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	private, err := keyPEM(key)
	if err != nil {
		return nil, fmt.Errorf("local CA: %w", err)
	}
	return &Issued{Chain: string(certificatePEM(der)), Key: string(private), Leaf: leaf}, nil
}

// Text is how an issued certificate is kept.
func (i *Issued) Text() string { return i.Chain + i.Key }

// Read is the inverse of Text; nil for what is not of this authority, for other names,
// or due to be renewed.
func (a *Authority) Read(text string, names []string, now time.Time) *Issued {
	crt, rest := pem.Decode([]byte(text))
	key, _ := pem.Decode(rest)
	if crt == nil || key == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(crt.Bytes)
	if err != nil || leaf.CheckSignatureFrom(a.root) != nil || !slices.Equal(namesOf(leaf), sorted(names)) || Due(leaf, now) {
		return nil
	}
	return &Issued{Chain: string(pem.EncodeToMemory(crt)), Key: string(pem.EncodeToMemory(key)), Leaf: leaf}
}

// Due reports whether it is time to issue a certificate anew.
func Due(leaf *x509.Certificate, now time.Time) bool {
	return now.Before(leaf.NotBefore) || now.After(leaf.NotAfter.Add(-spec.IssuedFor/3))
}

func namesOf(leaf *x509.Certificate) []string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return sorted(names)
}

func sorted(names []string) []string {
	return slices.Sorted(slices.Values(names))
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// keyID names a public key (RFC 7093 section 2, method 1).
func keyID(key *ecdsa.PrivateKey) []byte {
	public, err := key.PublicKey.Bytes()
	if err != nil {
		panic("localca: " + err.Error()) // of a curve that has no such form: ours is P-256
	}
	sum := sha256.Sum256(public)
	return sum[:20]
}

// serial is a random number of 128 bits, positive (RFC 5280 section 4.1.2.2).
func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: it ends the process instead
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}
