package spec

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// secretPrefix begins the digests that stand for secrets. The rest of a digest is
// hexadecimal, so it names a file.
const secretPrefix = "hmac-sha256:"

// IsSecret reports whether a recorded value stands for one that is not recorded.
func IsSecret(recorded any) bool {
	s, ok := recorded.(string)
	if !ok || len(s) != len(secretPrefix)+2*sha256.Size || !strings.HasPrefix(s, secretPrefix) {
		return false
	}
	return !strings.ContainsFunc(s[len(secretPrefix):], func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}

// SecretName is the hexadecimal part of a secret's digest.
func SecretName(digest string) string { return strings.TrimPrefix(digest, secretPrefix) }

// SecretDigest is what stands for a text, keyed with the working folder's secret: without
// it nobody can try out what a digest stands for.
func SecretDigest(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return secretPrefix + hex.EncodeToString(mac.Sum(nil))
}

// EachSecret calls found with every secret in a recorded value.
func EachSecret(recorded any, found func(digest string)) {
	switch v := recorded.(type) {
	case string:
		if IsSecret(v) {
			found(v)
		}
	case []any:
		for _, e := range v {
			EachSecret(e, found)
		}
	case map[string]any:
		for _, e := range v {
			EachSecret(e, found)
		}
	}
}

// Seal keys the digests that stand for secrets anew. Load has keyed them with no key at
// all, which is good for nothing but telling secrets apart.
func (c *Config) Seal(key []byte) {
	known := c.Secrets
	c.Secrets = nil
	seal := func(text string) string {
		digest := SecretDigest(key, text)
		if c.Secrets == nil {
			c.Secrets = map[string]string{}
		}
		c.Secrets[digest] = text
		return digest
	}
	for _, x := range c.Certificates {
		if x.key != "" {
			x.PrivateKey = seal(x.key)
		}
	}
	if len(known) == 0 {
		return
	}
	again := func(text string) (string, error) {
		if secret, ok := known[text]; ok {
			return seal(secret), nil
		}
		return text, nil
	}
	for _, i := range c.Instances {
		i.Pages, i.Env, _ = MapSecretTexts(i.Pages, i.Env, again) // again never fails
	}
}

// MapSecretTexts returns pages and variables with all texts replaced that may be secret:
// the arguments of instances that are marked so in their table.
func MapSecretTexts(pages []Page, env map[string]string, replace func(string) (string, error)) ([]Page, map[string]string, error) {
	each := func(texts map[string]string) (map[string]string, error) {
		texts = maps.Clone(texts)
		for name, text := range texts {
			var err error
			if texts[name], err = replace(text); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		return texts, nil
	}
	pages = slices.Clone(pages)
	for n := range pages {
		p := &pages[n]
		var err error
		if p.Content, err = replace(p.Content); err == nil {
			p.Headers, err = each(p.Headers)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("page %q: %w", p.Path, err)
		}
	}
	env, err := each(env)
	if err != nil {
		return nil, nil, fmt.Errorf("env: %w", err)
	}
	return pages, env, nil
}

// sealing is an argument, or some of the texts in it, that is to be replaced by its digest
// once it has been checked.
type sealing struct {
	*attribute
	names map[string]bool // of the texts in a map; nil = the whole argument
}

// sealingOf finds what is sensitive in an argument's value; nil = nothing. What looks like
// a digest is taken for a secret, too, so that no digest ever comes out of a file.
func sealingOf(a *attribute, v cty.Value) *sealing {
	if plain, _ := v.Unmark(); v.IsMarked() || plain.Type() == cty.String && plain.IsKnown() && !plain.IsNull() && IsSecret(plain.AsString()) {
		return &sealing{attribute: a}
	}
	if v.IsNull() || !v.IsKnown() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		return nil
	}
	names := map[string]bool{}
	for it := v.ElementIterator(); it.Next(); {
		name, element := it.Element()
		if sealingOf(a, element) != nil {
			names[name.AsString()] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &sealing{a, names}
}

// conceal replaces a secret in its target.
func (l *loader) conceal(s *sealing, target any) {
	seal := func(text string) string {
		digest := SecretDigest(nil, text)
		l.secrets[digest] = text
		return digest
	}
	concealed := s.get(target)
	switch v := concealed.(type) {
	case string:
		concealed = seal(v)
	case map[string]any:
		for name, text := range v {
			if s.names == nil || s.names[name] {
				v[name] = seal(text.(string))
			}
		}
	}
	if err := s.put(target, concealed); err != nil {
		panic("spec: a digest in " + s.name + ": " + err.Error())
	}
}

// revealed is a value of a resource as expressions see it: with the secrets themselves,
// which are sensitive there.
func (l *loader) revealed(v cty.Value) cty.Value {
	if len(l.secrets) == 0 {
		return v
	}
	shown, err := cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
			if text, secret := l.secrets[v.AsString()]; secret {
				return cty.StringVal(text).Mark(sensitive), nil
			}
		}
		return v, nil
	})
	if err != nil {
		panic("spec: reveal: " + err.Error()) // the function above has none
	}
	return shown
}
