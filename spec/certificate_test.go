package spec

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const ownCertificate = "certificate \"www\" {\n certificate = file(\"www.crt\")\n private_key = file(\"www.key\")\n}\n"

// secureBalancer is a balancer with an https listener that has these lines.
func secureBalancer(lines string) string {
	return "instance \"a\" {}\nload_balancer \"lb\" {\n backend { instance = instance.a }\n listener \"http\" \"80\" {\n  redirect { port = 443 }\n }\n" +
		" listener \"https\" \"443\" {\n" + lines + " }\n}\n"
}

func TestCertificateSaysWhatItIs(t *testing.T) {
	c := loadExamples(t, ownCertificate+"certificate \"local\" {\n domains = [\"B.test\", \"*.b.test\", \"b.test\", \"::FFFF:127.0.0.1\"]\n}\n")
	local, www := c.Certificate("certificate.local"), c.Certificate("certificate.www")
	if got := fmt.Sprint(www.Names, www.Issuer, www.Expires, www.Lifetime, len(www.Fingerprint)); got != "[www.a.test *.a.test]Test CA2049-12-31T00:00:00Z95" {
		t.Error(got)
	}
	if got := fmt.Sprint(local.Names, local.Issuer, local.Expires, local.Lifetime, local.Fingerprint); got != "[*.b.test 127.0.0.1 b.test]local CA90 days" {
		t.Error(got)
	}
}

// TestNoSecretLeavesAConfig looks for a key in every form that a Config has.
func TestNoSecretLeavesAConfig(t *testing.T) {
	key, err := os.ReadFile("../testdata/certificates/www.key")
	if err != nil {
		t.Fatal(err)
	}
	canary := strings.Split(string(key), "\n")[1]
	c := loadExamples(t, ownCertificate+secureBalancer("certificate = certificate.www\n")+
		"output \"x\" { value = jsonencode([certificate.www, load_balancer.lb]) }\n")
	unkeyed := c.Certificates[0].PrivateKey
	c.Seal([]byte("key"))
	sealed := c.Certificates[0].PrivateKey
	if text := c.Secrets[sealed]; !strings.Contains(text, canary) || len(c.Secrets) != 1 {
		t.Errorf("the secrets are %d, the key's is %q", len(c.Secrets), text)
	}
	if !IsSecret(sealed) || sealed == unkeyed || len(SecretName(sealed)) != 64 {
		t.Errorf("sealed %q, before %q", sealed, unkeyed)
	}
	again := loadExamples(t, ownCertificate)
	if again.Seal([]byte("key")); again.Certificates[0].PrivateKey != sealed {
		t.Error("the same key has another digest")
	}
	if again.Seal([]byte("other")); again.Certificates[0].PrivateKey == sealed {
		t.Error("the digest does not depend on the folder's secret")
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	resources, err := json.Marshal(c.Resources())
	if err != nil {
		t.Fatal(err)
	}
	back, err := FromResources(c.Resources(), c.Runtime, 0)
	if err != nil {
		t.Fatal(err)
	}
	if back.Certificates[0].PrivateKey != sealed {
		t.Errorf("recorded as %q", back.Certificates[0].PrivateKey)
	}
	for what, s := range map[string]string{"JSON": string(text), "resources": string(resources)} {
		if strings.Contains(s, canary) || !strings.Contains(s, "BEGIN CERTIFICATE") {
			t.Errorf("the %s", what)
		}
	}
	if strings.Contains(fmt.Sprint(c.Outputs), canary) || strings.Contains(fmt.Sprint(c.Outputs), "private_key") {
		t.Error("an expression sees the key")
	}
}

// TestSecretSources: a key may come from a sensitive variable, and no message shows it
// wherever it stands.
func TestSecretSources(t *testing.T) {
	key, err := os.ReadFile("../testdata/certificates/www.key")
	if err != nil {
		t.Fatal(err)
	}
	canary := strings.Split(string(key), "\n")[1]
	crt, err := os.ReadFile("../testdata/certificates/rsa.crt")
	if err != nil {
		t.Fatal(err)
	}
	variable := "variable \"key\" {\n type = string\n sensitive = true\n default = \"\"\n}\n"
	inJSON, err := json.Marshal(map[string]any{"certificate": map[string]any{"x": map[string]any{"certificate": string(crt), "private_key": string(key)}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]map[string]string{
		"variable":   {"a.slb.hcl": variable + "certificate \"x\" {\n certificate = file(\"x.crt\")\n private_key = var.key\n}\n"},
		"heredoc":    {"a.slb.hcl": "certificate \"x\" {\n certificate = file(\"x.crt\")\n private_key = <<EOT\n" + string(key) + "EOT\n}\n"},
		"broken":     {"a.slb.hcl": "certificate \"x\" {\n certificate = file(\"x.crt\")\n private_key = <<EOT\n" + string(key) + "}\n"},
		"no heredoc": {"a.slb.hcl": "certificate \"x\" {\n certificate = file(\"x.crt\")\n private_key = \n" + string(key) + "}\n"},
		"misplaced":  {"a.slb.hcl": "certificate \"x\" {\n privat_key = " + fmt.Sprintf("%q", key) + "\n}\n"},
		"json":       {"a.slb.json": string(inJSON)},
		"function":   {"a.slb.hcl": "certificate \"x\" {\n certificate = file(\"x.crt\")\n private_key = tonumber(file(\"x.key\"))\n}\n"},
	} {
		dir := t.TempDir()
		files["x.crt"], files["x.key"] = string(crt), string(key)
		for file, content := range files {
			if err := os.WriteFile(dir+"/"+file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, diags := Load(dir, Options{Environ: []string{"SLBCTL_VAR_key=" + string(key)}})
		text, err := json.Marshal(diags)
		if err != nil {
			t.Fatal(err)
		}
		if !diags.HasErrors() || strings.Contains(render(diags)+string(text), canary) {
			t.Errorf("%s: %s", name, render(diags))
		}
	}
}

func TestSensitiveKey(t *testing.T) {
	c := loadExamples(t, "variable \"key\" {\n type = string\n sensitive = true\n default = null\n}\nlocals { key = file(\"www.key\") }\n"+
		"certificate \"www\" {\n certificate = file(\"www.crt\")\n private_key = sensitive(local.key)\n}\n")
	if len(c.Secrets) != 1 {
		t.Error("a sensitive key is not taken")
	}
}

// Reordering what has no order, and PEM written otherwise, change nothing.
func TestSecurityIsCanonical(t *testing.T) {
	const certificates = ownCertificate + "certificate \"local\" {\n domains = [\"b.test\", \"c.test\"]\n}\n"
	policy := "tls_cipher_policy \"p\" {\n tls_versions = [%s]\n ciphers = [%s]\n}\n"
	b, c := "additional_certificate \"b.test\" { certificate = certificate.local }\n", "additional_certificate \"c.test\" { certificate = certificate.local }\n"
	one := describeConfig(t, certificates+fmt.Sprintf(policy, `"TLSv1.1", "TLSv1.2"`, `"AES128-SHA", "ECDHE-ECDSA-AES128-SHA"`)+secureBalancer("certificate = certificate.www\n"+b+c))
	other := describeConfig(t, strings.Replace(certificates, `file("www.crt")`, `"comment\n${file("www.crt")}\n\n"`, 1)+
		fmt.Sprintf(policy, `"TLSv1.2", "TLSv1.1"`, `"ECDHE-ECDSA-AES128-SHA", "AES128-SHA"`)+secureBalancer("certificate = certificate.www\n"+c+b))
	if one != other {
		t.Errorf("%s\n%s", one, other)
	}
}

// TestProductPolicies holds the product's policies to its table and to crypto/tls.
func TestProductPolicies(t *testing.T) {
	const strict = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-SHA256 ECDHE-ECDSA-AES128-SHA ECDHE-ECDSA-AES256-SHA " +
		"ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-SHA256 ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA"
	const all = strict + " AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA256 AES128-SHA AES256-SHA DES-CBC3-SHA"
	want := map[string]string{
		"tls_cipher_policy_1_0":                 "TLSv1.0 TLSv1.1 TLSv1.2: " + all,
		"tls_cipher_policy_1_1":                 "TLSv1.1 TLSv1.2: " + all,
		"tls_cipher_policy_1_2":                 "TLSv1.2: " + all,
		"tls_cipher_policy_1_2_strict":          "TLSv1.2: " + strict,
		"tls_cipher_policy_1_2_strict_with_1_3": "TLSv1.2 TLSv1.3: " + strict + " TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256",
	}
	c := &Config{}
	for _, name := range productPolicies {
		p := c.CipherPolicy(name)
		if got := strings.Join(p.Versions, " ") + ": " + strings.Join(p.Ciphers, " "); got != want[name] {
			t.Errorf("%s: %s", name, got)
		}
		if !p.serves(keyRSA) || !p.serves(keyECDSA) || !p.serves(keyEd25519) {
			t.Errorf("%s serves not all keys", name)
		}
	}
	if c.CipherPolicy("tls_cipher_policy_2_0") != nil {
		t.Error("a policy that is not there")
	}
	known := slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites())
	for _, s := range suites {
		if s.id != 0 && !slices.ContainsFunc(known, func(k *tls.CipherSuite) bool { return k.ID == s.id }) {
			t.Errorf("crypto/tls has no %s", s.name)
		}
	}
	if TLSVersionID("TLSv1.0") != tls.VersionTLS10 || TLSVersionID("TLSv1.3") != tls.VersionTLS13 {
		t.Error("versions")
	}
}

func TestSecureURLs(t *testing.T) {
	c := loadExamples(t, ownCertificate+secureBalancer("certificate = certificate.www\n")+
		"output \"url\" { value = load_balancer.lb.listener[\"https:443\"].url }\n")
	if got := c.Outputs[0].Value; got != "https://127.10.0.3" {
		t.Error(got)
	}
	if r := c.LoadBalancers[0].Listeners[0].Redirect; r == nil || r.Port != 443 || r.Code != 302 {
		t.Errorf("redirect %v", r)
	}
	l := c.LoadBalancers[0].Listeners[1]
	if l.TLSCipherPolicy != "tls_cipher_policy_1_2_strict_with_1_3" || !l.HTTP2 || l.IdleTimeout == 0 || !l.Gzip || l.HealthCheck.Type != CheckHTTP {
		t.Errorf("defaults: %+v", l)
	}
	if !slices.Contains(l.Refs, "certificate.www") {
		t.Errorf("refs %v", l.Refs)
	}
}
