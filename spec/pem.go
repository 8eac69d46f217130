package spec

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
)

// The kinds of keys that crypto/tls signs with.
const (
	keyRSA     = "RSA"
	keyECDSA   = "ECDSA"
	keyEd25519 = "Ed25519"
)

// pemMark begins every block of PEM.
const pemMark = "-----BEGIN "

// keyMark ends the first and the last line of a private key.
const keyMark = "PRIVATE KEY-----"

// parseChain reads certificates and gives them back in one form of writing, so that
// comments and blank lines are no difference.
func parseChain(text string) (list []*x509.Certificate, canonical string, err error) {
	var out strings.Builder
	err = eachBlock(text, "certificates/www.crt", func(b *pem.Block) error {
		switch {
		case strings.HasSuffix(b.Type, "PRIVATE KEY"):
			return hintError{fmt.Errorf("has a private key, but what stands here is shown and recorded"), "Write the key into private_key, and take it out of here."}
		case b.Type != "CERTIFICATE":
			return fmt.Errorf("has a block %q where only certificates belong", b.Type)
		}
		x, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return fmt.Errorf("has a certificate that does not read: %w", err)
		}
		list = append(list, x)
		out.Write(pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes}))
		return nil
	})
	return list, out.String(), err
}

// parseKey reads a private key. What it says of a text that is none must not show it.
func parseKey(text string) (key crypto.Signer, canonical string, err error) {
	err = eachBlock(text, "certificates/www.key", func(b *pem.Block) error {
		switch {
		case b.Type == "EC PARAMETERS":
			return nil // the key itself says so too
		case b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED"):
			return hintError{fmt.Errorf("is encrypted, and there is nobody to ask for its password"), "Write it without one: openssl pkey -in KEY -out PLAIN."}
		case !strings.HasSuffix(b.Type, "PRIVATE KEY"):
			return fmt.Errorf("has a block %q where only a private key belongs", b.Type)
		case key != nil:
			return fmt.Errorf("has more than one private key")
		}
		var err error
		key, err = keyOf(b)
		canonical = string(pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes}))
		return err
	})
	if err == nil && key == nil {
		err = fmt.Errorf("has no private key")
	}
	return key, canonical, err
}

// keyOf reads a key in the forms that the product and openssl write.
func keyOf(b *pem.Block) (crypto.Signer, error) {
	var any any
	var err error
	switch b.Type {
	case "RSA PRIVATE KEY":
		any, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		any, err = x509.ParseECPrivateKey(b.Bytes)
	default:
		any, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("is damaged: it does not read as %q", b.Type) // the error may show parts of it
	}
	key, ok := any.(crypto.Signer)
	if !ok || typeOfKey(key.Public()) == "" {
		return nil, fmt.Errorf("is of a kind that TLS cannot use: RSA, ECDSA with P-256, P-384 or P-521, and Ed25519 will do")
	}
	return key, nil
}

// typeOfKey names a public key's kind; empty for those that crypto/tls cannot use.
func typeOfKey(public crypto.PublicKey) string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() >= 1024 {
			return keyRSA
		}
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P224() {
			return keyECDSA
		}
	case ed25519.PublicKey:
		return keyEd25519
	}
	return ""
}

// eachBlock visits the blocks of a PEM text. Its errors do not show the text: it may
// hold a key.
func eachBlock(text, example string, visit func(*pem.Block) error) error {
	advice := fmt.Sprintf("Write file(%q).", example)
	if !strings.Contains(text, pemMark) {
		if plainPath(text) {
			advice = fmt.Sprintf("Write file(%q) for what is in that file.", text)
		}
		return hintError{fmt.Errorf("must be PEM, which begins with %q", pemMark+"..."), advice}
	}
	rest := []byte(text)
	for {
		b, after := pem.Decode(rest)
		if b == nil {
			break
		}
		if err := visit(b); err != nil {
			return err
		}
		rest = after
	}
	if bytes.Contains(rest, []byte(pemMark)) {
		return hintError{fmt.Errorf("has a block of PEM that does not read: it is cut off or damaged"), "Each block ends with an END line of its own."}
	}
	return nil
}

// plainPath reports whether a text looks like the name of a file, and not like a key
// that lacks its first line.
func plainPath(s string) bool {
	return len(s) < 200 && !strings.ContainsAny(s, "\n\" ") &&
		(strings.HasSuffix(s, ".pem") || strings.HasSuffix(s, ".crt") || strings.HasSuffix(s, ".cer") || strings.HasSuffix(s, ".key"))
}

// Fingerprint is a certificate's SHA-256 as openssl writes it.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	pairs := make([]string, len(sum))
	for i := range pairs {
		pairs[i] = text[2*i : 2*i+2]
	}
	return strings.Join(pairs, ":")
}

// secretLine reports whether a line of a source lies in the PEM of a private key.
func secretLine(src []byte, begin, end int) bool {
	at := bytes.LastIndex(src[:end], []byte(keyMark))
	if at < 0 {
		return false
	}
	line := src[:at]
	open := bytes.LastIndex(line, []byte("-----"))
	return at >= begin || open >= 0 && bytes.HasPrefix(src[open:], []byte(pemMark)) // else it is behind the END of one
}
