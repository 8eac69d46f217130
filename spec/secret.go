package spec

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// secretPrefix begins the digests that stand for secrets. The rest of a digest is
// hexadecimal, so it names a file.
const secretPrefix = "hmac-sha256:"

// IsSecret reports whether a recorded value stands for one that is not recorded.
func IsSecret(recorded any) bool {
	s, ok := recorded.(string)
	return ok && strings.HasPrefix(s, secretPrefix)
}

// SecretName is the hexadecimal part of a secret's digest.
func SecretName(digest string) string { return strings.TrimPrefix(digest, secretPrefix) }

// Seal puts into resources, in place of their secrets, digests keyed with the working
// folder's secret: without it nobody can try out what a digest stands for. Load has
// sealed with no key at all, which is good for nothing but telling secrets apart.
func (c *Config) Seal(key []byte) {
	c.Secrets = nil
	for _, x := range c.Certificates {
		if x.key == "" {
			continue
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(x.key))
		x.PrivateKey = secretPrefix + hex.EncodeToString(mac.Sum(nil))
		if c.Secrets == nil {
			c.Secrets = map[string]string{}
		}
		c.Secrets[x.PrivateKey] = x.key
	}
}
