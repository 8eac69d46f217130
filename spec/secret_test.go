package spec

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
)

const secretPages = `
variable "key" {
  default   = "hunter2"
  sensitive = true
}
instance "a" {
  page "/" {
    content = "k=${var.key}"
    headers = { "X-Key" = var.key, "X-Plain" = "plain" }
  }
  page "/plain" { content = "plain" }
}
instance "b" {
  command = ["sh"]
  env     = merge({ PLAIN = "plain" }, { KEY = var.key })
}
instance "c" {
  command = ["sh"]
  env     = sensitive({ KEY = "hunter2", OTHER = "hunter3" })
}
output "all" {
  value     = { a = instance.a.page[0], b = instance.b.env.KEY }
  sensitive = true
}
`

// TestSensitiveTextsAreSealed: a Config has digests in the place of what is sensitive, and
// what they stand for beside.
func TestSensitiveTextsAreSealed(t *testing.T) {
	c, diags := load(t, secretPages)
	if c == nil {
		t.Fatal(render(diags))
	}
	if all := c.Outputs[0].Value.(map[string]any); all["b"] != "hunter2" || all["a"].(map[string]any)["content"] != "k=hunter2" {
		t.Errorf("an expression sees %v", all)
	}
	check := func(key []byte) {
		t.Helper()
		a, b, whole := c.Instance("instance.a"), c.Instance("instance.b"), c.Instance("instance.c")
		sealed := map[string]string{
			a.Pages[0].Content: "k=hunter2", a.Pages[0].Headers["X-Key"]: "hunter2", b.Env["KEY"]: "hunter2", whole.Env["KEY"]: "hunter2", whole.Env["OTHER"]: "hunter3",
		}
		if !maps.Equal(c.Secrets, sealed) {
			t.Errorf("sealed %v, and the secrets are %v", sealed, c.Secrets)
		}
		for digest, text := range sealed {
			if !IsSecret(digest) || digest != SecretDigest(key, text) {
				t.Errorf("%q stands for %q", digest, text)
			}
		}
		if a.Pages[0].Headers["X-Plain"] != "plain" || a.Pages[1].Content != "plain" || b.Env["PLAIN"] != "plain" {
			t.Errorf("what is not sensitive: %v %v", a.Pages, b.Env)
		}
		c.Outputs = nil
		if text, err := json.Marshal(c); err != nil || strings.Contains(string(text), "hunter") {
			t.Errorf("%v: %s", err, text)
		}
	}
	check(nil)
	c.Seal([]byte("key"))
	check([]byte("key"))
	back, err := FromResources(c.Resources(), c.Runtime, c.Seed)
	if err != nil || !reflect.DeepEqual(back.Instance("instance.a").Pages, c.Instance("instance.a").Pages) {
		t.Errorf("the way through resources: %v", err)
	}
	found := map[string]bool{}
	for _, r := range back.Resources() {
		EachSecret(r.Attributes, func(digest string) { found[digest] = true })
	}
	for digest := range c.Secrets {
		if !found[digest] {
			t.Errorf("%s is in no resource", c.Secrets[digest])
		}
	}
	if len(found) != len(c.Secrets) {
		t.Errorf("found %v", found)
	}
}

// TestNoDigestComesOutOfAFile: who writes what looks like the digest of another secret gets
// that text, and not the secret.
func TestNoDigestComesOutOfAFile(t *testing.T) {
	digest := SecretDigest([]byte("key"), "hunter2")
	c, diags := load(t, "instance \"a\" {\n page \"/\" {\n content = \""+digest+"\"\n headers = { A = \""+digest+"\", B = \"x"+digest+"\" }\n}\n}\n")
	if c == nil {
		t.Fatal(render(diags))
	}
	c.Seal([]byte("key"))
	p := c.Instances[0].Pages[0]
	if c.Secrets[p.Content] != digest || c.Secrets[p.Headers["A"]] != digest || p.Headers["B"] != "x"+digest {
		t.Errorf("%+v", p)
	}
}

// TestSealableAttributesAreMapped holds the table to MapSecretTexts: what is accepted as a
// secret is revealed where it is used.
func TestSealableAttributesAreMapped(t *testing.T) {
	pages := []Page{{Content: "content", Headers: map[string]string{"h": "headers"}}}
	var seen []string
	_, _, err := MapSecretTexts(pages, map[string]string{"e": "env"}, func(text string) (string, error) {
		seen = append(seen, text)
		return text, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(b *block)
	sealables := 0
	walk = func(b *block) {
		for _, a := range b.attributes {
			if !a.sealable {
				continue
			}
			sealables++
			if !strings.Contains(strings.Join(seen, " "), a.name) {
				t.Errorf("%s of %s may be secret, and MapSecretTexts does not know it", a.name, b.name)
			}
		}
		for _, c := range b.blocks {
			walk(c.block)
		}
	}
	for _, k := range resourceKinds {
		walk(k.block)
	}
	if sealables != len(seen) {
		t.Errorf("%d attributes may be secret, MapSecretTexts knows %v", sealables, seen)
	}
}

func TestIsSecret(t *testing.T) {
	digest := SecretDigest(nil, "x")
	for text, want := range map[any]bool{
		digest: true, digest[1:]: false, digest + "0": false, strings.ToUpper(digest): false, strings.Replace(digest, "hmac", "HMAC", 1): false,
		digest[:len(digest)-1] + "g": false, "": false, 1.0: false, nil: false,
	} {
		if IsSecret(text) != want {
			t.Errorf("%v", text)
		}
	}
}
