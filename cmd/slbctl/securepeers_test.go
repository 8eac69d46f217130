package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The product's policies (TLS cipher policies): versions and suites, oldest first. Suites
// that crypto/tls does not have are not here.
const (
	ecdheSuites = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-AES128-SHA256 ECDHE-ECDSA-AES128-SHA ECDHE-ECDSA-AES256-SHA " +
		"ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-AES128-SHA256 ECDHE-RSA-AES128-SHA ECDHE-RSA-AES256-SHA"
	rsaSuites = " AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA256 AES128-SHA AES256-SHA DES-CBC3-SHA"
	newSuites = " TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256"
	// What no policy of the product takes.
	noSuites = " DHE-RSA-AES128-GCM-SHA256 DHE-RSA-AES256-SHA AECDH-AES128-SHA ADH-AES128-SHA NULL-SHA ECDHE-RSA-CAMELLIA128-SHA256 PSK-AES128-CBC-SHA"
)

var productPolicies = []struct{ name, versions, suites string }{
	{"tls_cipher_policy_1_0", "-tls1 -tls1_1 -tls1_2", ecdheSuites + rsaSuites},
	{"tls_cipher_policy_1_1", "-tls1_1 -tls1_2", ecdheSuites + rsaSuites},
	{"tls_cipher_policy_1_2", "-tls1_2", ecdheSuites + rsaSuites},
	{"tls_cipher_policy_1_2_strict", "-tls1_2", ecdheSuites},
	{"tls_cipher_policy_1_2_strict_with_1_3", "-tls1_2 -tls1_3", ecdheSuites + newSuites},
}

// Listeners of the policies have ports from these on, by the certificate's kind.
const ecdsaPorts, rsaPorts, namesPort, mutualPort, aeadPort, offset = 500, 600, 443, 444, 445, 20000

// peers is a folder with a listener for each of the product's policies and kinds of
// certificates, one that has names, one that wants its clients certified, and one with a policy of its own.
type peers struct {
	*folder
	ip string
}

func startPeers(t *testing.T) *peers {
	t.Helper()
	certificates, err := filepath.Abs("../../testdata/certificates")
	if err != nil {
		t.Fatal(err)
	}
	net := network(t)
	f := newFolder(t, builtPlain, "")
	if err := os.CopyFS(f.dir, os.DirFS(certificates)); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "runtime {\n  network = %q\n  port_offset = %d\n}\n", net, offset)
	b.WriteString("instance \"web\" {\n  page \"/\" { content = \"hello\" }\n}\n")
	for name, file := range map[string]string{"ecdsa": "www", "rsa": "rsa"} {
		fmt.Fprintf(&b, "certificate %q {\n  certificate = file(%q)\n  private_key = file(%q)\n}\n", name, file+".crt", file+".key")
	}
	for name, domain := range map[string]string{"default": "default.test", "exact": "www.c.test", "narrow": "*.shop.c.test", "wide": "*.c.test"} {
		fmt.Fprintf(&b, "certificate %q { domains = [%q] }\n", name, domain)
	}
	b.WriteString("ca_certificate \"clients\" { certificate = file(\"ca.crt\") }\n")
	b.WriteString("load_balancer \"lb\" {\n  backend { instance = instance.web }\n")
	for i, p := range productPolicies {
		for kind, port := range map[string]int{"ecdsa": ecdsaPorts, "rsa": rsaPorts} {
			fmt.Fprintf(&b, "  listener \"https\" \"%d\" {\n    certificate = certificate.%s\n    tls_cipher_policy = %q\n  }\n", port+i, kind, p.name)
		}
	}
	fmt.Fprintf(&b, `  listener "https" "%d" {
    certificate = certificate.default
    additional_certificate "www.c.test" { certificate = certificate.exact }
    additional_certificate "*.shop.c.test" { certificate = certificate.narrow }
    additional_certificate "*.c.test" { certificate = certificate.wide }
  }
  listener "https" "%d" {
    certificate    = certificate.ecdsa
    ca_certificate = ca_certificate.clients
  }
  listener "https" "%d" {
    certificate       = certificate.rsa
    tls_cipher_policy = tls_cipher_policy.aead
  }
}
tls_cipher_policy "aead" {
  tls_versions = ["TLSv1.2", "TLSv1.3"]
  ciphers      = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305", "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
}
output "ip" { value = load_balancer.lb.address }
`, namesPort, mutualPort, aeadPort)
	f.write(b.String())
	p := &peers{folder: f}
	p.must("apply", "-auto-approve")
	p.ip = strings.TrimSpace(p.must("output", "-raw", "ip"))
	return p
}

func (p *peers) at(port int) string { return fmt.Sprintf("%s:%d", p.ip, port+offset) }

// peer runs a program with an input, and returns what it says and whether it succeeds.
func (p *peers) peer(input, name string, args ...string) (string, bool) {
	p.t.Helper()
	c := exec.Command(name, args...)
	c.Dir, c.Stdin = p.dir, strings.NewReader(input)
	c.WaitDelay = patience
	out, err := c.CombinedOutput()
	return string(out), err == nil
}

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip(program + " is not installed")
	}
}

var cipherIs = regexp.MustCompile(`(?m)^(?:New|Reused), [^,]+, Cipher is (\S+)$`)

// TestOpenSSL has OpenSSL try what each policy takes and refuses, what names get, who is
// let in, which protocol is spoken, and which sessions go on.
func TestOpenSSL(t *testing.T) {
	needs(t, "openssl")
	p := startPeers(t)
	known, _ := p.peer("", "openssl", "ciphers", "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
	knows := strings.Split(strings.TrimSpace(known), ":")
	speaks := func(port int, args ...string) string {
		out, _ := p.peer("", "openssl", append([]string{"s_client", "-connect", p.at(port)}, args...)...)
		if m := cipherIs.FindStringSubmatch(out); m != nil && m[1] != "(NONE)" {
			return m[1]
		}
		return ""
	}
	tried := 0
	for i, policy := range productPolicies {
		for kind, port := range map[string]int{"ECDSA": ecdsaPorts, "RSA": rsaPorts} {
			for _, version := range []string{"-tls1", "-tls1_1", "-tls1_2", "-tls1_3"} {
				want := slices.Contains(strings.Fields(policy.versions), version)
				if got := speaks(port+i, version, "-cipher", "ALL@SECLEVEL=0"); (got != "") != want {
					t.Errorf("%s, %s: %s spoken with %q, want %v", policy.name, kind, version, got, want)
				}
				tried++
			}
			for _, suite := range strings.Fields(ecdheSuites + rsaSuites + newSuites + noSuites) {
				new := strings.HasPrefix(suite, "TLS_")
				if !slices.Contains(knows, suite) || !new && strings.Contains(suite, "ECDSA") != (kind == "ECDSA") {
					continue
				}
				args := []string{"-tls1_2", "-cipher", suite + "@SECLEVEL=0"}
				if new {
					args = []string{"-tls1_3", "-ciphersuites", suite}
				}
				want := ""
				if slices.Contains(strings.Fields(policy.suites), suite) {
					want = suite
				}
				if got := speaks(port+i, args...); got != want {
					t.Errorf("%s, %s: %s gets %q, want %q", policy.name, kind, suite, got, want)
				}
				tried++
			}
		}
	}
	t.Logf("%d handshakes", tried)

	for name, want := range map[string]string{
		"www.c.test": "www.c.test", "WWW.C.TEST": "www.c.test", "a.shop.c.test": "*.shop.c.test", "shop.c.test": "*.c.test",
		"other.c.test": "*.c.test", "a.b.c.test": "*.c.test", "c.test": "default.test", "nobody.test": "default.test",
	} {
		out, _ := p.peer("", "openssl", "s_client", "-connect", p.at(namesPort), "-servername", name)
		shown, _ := p.peer(out, "openssl", "x509", "-noout", "-ext", "subjectAltName")
		if !strings.Contains(shown, "DNS:"+want+"\n") {
			t.Errorf("%s is shown %q, want %s", name, shown, want)
		}
	}

	const get = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	for who, want := range map[string]bool{"": false, "client": true, "other": false, "expired": false} {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			args := []string{"s_client", "-quiet", "-connect", p.at(mutualPort), version}
			if who != "" {
				args = append(args, "-cert", who+".crt", "-key", who+".key")
			}
			if out, _ := p.peer(get, "openssl", args...); strings.Contains(out, "hello") != want {
				t.Errorf("a client with %q over %s, let in is to be %v: %s", who, version, want, out)
			}
		}
	}

	for offered, want := range map[string]string{
		"h2,http/1.1": "ALPN protocol: h2\n", "http/1.1": "ALPN protocol: http/1.1\n", "http/1.1,h2": "ALPN protocol: h2\n",
		"other": "no application protocol",
	} {
		if out, _ := p.peer("", "openssl", "s_client", "-connect", p.at(namesPort), "-alpn", offered); !strings.Contains(out, want) {
			t.Errorf("to %s it says not %q but\n%s", offered, want, out)
		}
	}

	// A client cannot make a session begin anew (CVE-2009-3555, CVE-2011-1473).
	out, agreed := p.peer("R\n", "openssl", "s_client", "-connect", p.at(ecdsaPorts+3), "-tls1_2", "-legacy_renegotiation")
	if !strings.Contains(out, "RENEGOTIATING") || agreed {
		t.Errorf("a client makes its session begin anew: %s", out)
	}

	resumes := func() string {
		out, _ := p.peer("", "openssl", "s_client", "-connect", p.at(ecdsaPorts+4), "-tls1_2", "-sess_in", "session")
		return cipherIs.FindString(out)
	}
	if out, ok := p.peer("", "openssl", "s_client", "-connect", p.at(ecdsaPorts+4), "-tls1_2", "-sess_out", "session"); !ok {
		t.Fatal(out)
	}
	if got := resumes(); !strings.HasPrefix(got, "Reused") {
		t.Errorf("a session does not go on: %q", got)
	}
	config, _ := os.ReadFile(filepath.Join(p.dir, "main.slb.hcl"))
	p.write(strings.ReplaceAll(string(config), "{ instance = instance.web }", "{\n    instance = instance.web\n    weight   = 50\n  }"))
	p.must("apply", "-auto-approve")
	if got := resumes(); !strings.HasPrefix(got, "Reused") {
		t.Errorf("a session does not go on after an apply: %q", got)
	}
	p.must("runtime", "stop")
	p.must("runtime", "start")
	if got := resumes(); !strings.HasPrefix(got, "New") {
		t.Errorf("a session goes on in another daemon, whose keys nobody was to keep: %q", got)
	}
}

// TestCurlSecured has curl ask over both versions of HTTP, for names and as a client that
// says who it is.
func TestCurlSecured(t *testing.T) {
	needs(t, "curl")
	p := startPeers(t)
	curl := func(want string, args ...string) {
		t.Helper()
		out, _ := p.peer("", "curl", append([]string{"-sS", "-m", "20", "-w", " %{http_version} %{http_code}"}, args...)...)
		if !strings.Contains(out, want) {
			t.Errorf("curl %s: %q, want %q", strings.Join(args, " "), out, want)
		}
	}
	resolve := func(name string, port int) []string {
		return []string{"--resolve", fmt.Sprintf("%s:%d:%s", name, port+offset, p.ip), fmt.Sprintf("https://%s:%d/", name, port+offset)}
	}
	local := []string{"--cacert", ".slbctl/ca/root.crt"}
	for _, name := range []string{"www.c.test", "a.shop.c.test", "b.c.test", "default.test"} {
		curl("hello 2 200", append(local, resolve(name, namesPort)...)...)
		curl("hello 1.1 200", append(append(local, "--http1.1"), resolve(name, namesPort)...)...)
	}
	// An answer that comes before the request has been sent is not lost.
	if err := os.WriteFile(filepath.Join(p.dir, "upload"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		curl(" 2 405", append(append(local, "--data-binary", "@upload"), resolve("www.c.test", namesPort)...)...)
	}
	curl("no alternative certificate subject name matches", append(local, resolve("nobody.test", namesPort)...)...)
	clients := append([]string{"--cacert", "ca.crt"}, resolve("www.a.test", mutualPort)...)
	known := []string{"--cert", "client.crt", "--key", "client.key"}
	curl("hello 2 200", append(known, clients...)...)
	curl("hello 1.1 200", append(append(known, "--http1.1"), clients...)...)
	curl("curl: (", clients...)
	other := []string{"--cert", "other.crt", "--key", "other.key"}
	curl("curl: (", append(other, clients...)...)
}

// TestH2specSecured runs the conformance suite against a listener, where it is installed:
//
//	go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
func TestH2specSecured(t *testing.T) {
	needs(t, "h2spec")
	p := startPeers(t)
	out, _ := p.peer("", "h2spec", "-t", "-k", "-h", p.ip, "-p", fmt.Sprint(ecdsaPorts+4+offset), "-o", "3")
	t.Log(regexp.MustCompile(`(?m)^\d+ tests.*`).FindString(out))
	if !regexp.MustCompile(`(?m)^\d+ tests, \d+ passed, 0 skipped, 0 failed$`).MatchString(out) {
		t.Error(out)
	}
}

// testsslToo runs testssl, which takes minutes: make testssl.
var testsslToo = flag.Bool("testssl", false, "have testssl look at listeners")

// remark is a line of testssl's report.
type remark struct{ ID, Severity, Finding string }

// TestTestssl has testssl look for protocols, ciphers and vulnerabilities. It has nothing to
// say about a policy of one's own that has AEAD suites alone. The product's strict policies
// list suites with AES-CBC, and about those it has two remarks of the lowest kind, no more:
// that they are there, and that LUCKY13 (CVE-2013-0169) was an attack on such suites.
func TestTestssl(t *testing.T) {
	if !*testsslToo {
		t.Skip("see make testssl")
	}
	needs(t, "testssl")
	p := startPeers(t)
	cbc := []string{"cipherlist_AVERAGE LOW", "LUCKY13 LOW"}
	for port, want := range map[int][]string{
		ecdsaPorts + 3: cbc, rsaPorts + 3: cbc, ecdsaPorts + 4: cbc, rsaPorts + 4: cbc, aeadPort: nil,
	} {
		t.Run(fmt.Sprint(port), func(t *testing.T) {
			report := filepath.Join(p.dir, fmt.Sprint(port, ".json"))
			out, _ := p.peer("", "testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "min",
				"--severity", "LOW", "--jsonfile", report, "-p", "-s", "-f", "-U", p.at(port))
			text, err := os.ReadFile(report)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var remarks []remark
			if err := json.Unmarshal(text, &remarks); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			var got []string
			for _, r := range remarks {
				if r.ID != "engine_problem" { // which is testssl's machine's
					got = append(got, r.ID+" "+r.Severity)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("remarks %v, want %v", remarks, want)
			}
			if !strings.Contains(out, "TLS 1.3") {
				t.Errorf("it did not look: %s", out)
			}
		})
	}
}
