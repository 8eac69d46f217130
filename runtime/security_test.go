package runtime_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/localca"
	"slbctl/spec"
)

// TestSecretTexts: instances get what digests stand for, and an instance whose secret is
// lost is missing alone when the daemon comes back.
func TestSecretTexts(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	c := tutorial(network(t))
	secret := spec.SecretDigest([]byte("key"), "hunter2")
	c.Instances[0].Pages[0].Content = secret
	secrets := durable.SecretsIn(durable.OS, filepath.Join(dir, control.Folder))
	if err := d.apply(c); err == nil || !strings.Contains(err.Error(), "instance.ECS01: page \"/\": its value is sensitive and not in .slbctl/secrets") {
		t.Errorf("without the secret: %v", err)
	}
	if err := secrets.Put(spec.SecretName(secret), "hunter2"); err != nil {
		t.Fatal(err)
	}
	d.mustApply(c)
	at := func(n int) string { return fmt.Sprintf("http://%s:8080/", c.Instances[n].IP) }
	if text, err := get(at(0)); text != "hunter2" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	// One that is in use is known.
	if err := secrets.Remove(spec.SecretName(secret)); err != nil {
		t.Fatal(err)
	}
	c.LoadBalancers[0].Backends[1].Weight = 50
	d.mustApply(c)
	d.stop()
	d = start(t, dir)
	if _, err := get(at(0)); err == nil {
		t.Error("an instance without its secret serves")
	}
	if text, err := get(at(1)); text != "ECS02" || err != nil {
		t.Errorf("the other one: %q, %v", text, err)
	}
	problems := d.status().Runtime.Problems
	if len(problems) != 1 || !strings.Contains(problems[0], "instance.ECS01") {
		t.Errorf("problems %q", problems)
	}
	committed, err := os.ReadFile(filepath.Join(dir, control.Folder, "committed.json"))
	if err != nil || strings.Contains(string(committed), "hunter2") {
		t.Errorf("%v: what the daemon comes back with shows a secret", err)
	}
}

const theSecured = `load_balancer.SLB1.listener["https:443"]`

func pemFile(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("../testdata/certificates/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// own is a certificate of testdata; its key is put where the daemon of a folder finds it.
func own(t testing.TB, dir, name string) *spec.Certificate {
	t.Helper()
	digest := "hmac-sha256:" + fmt.Sprintf("%064x", name)
	folder := filepath.Join(dir, control.Folder)
	if err := durable.SecretsIn(durable.OS, folder).Put(spec.SecretName(digest), pemFile(t, name+".key")); err != nil {
		t.Fatal(err)
	}
	return &spec.Certificate{Meta: spec.Meta{Address: "certificate.www", Name: "www", ID: "w"}, Chain: pemFile(t, name+".crt"), PrivateKey: digest}
}

func issued(domains ...string) *spec.Certificate {
	return &spec.Certificate{Meta: spec.Meta{Address: "certificate.www", Name: "www", ID: "w"}, Domains: domains, Names: domains, Issuer: spec.LocalCA}
}

// secured is the tutorial with an https listener in the place of the tcp one.
func secured(c *spec.Config, certificate *spec.Certificate) *spec.Config {
	l := c.LoadBalancers[0].Listeners[0]
	l.Address, l.Name, l.Protocol, l.Port = theSecured, "https:443", spec.ProtocolHTTPS, 443
	l.IdleTimeout, l.RequestTimeout, l.ConnectTimeout = 15*time.Second, 10*time.Second, 5*time.Second
	l.UpstreamKeepalive, l.Retry = true, spec.Retry{Connect: true}
	l.Certificate, l.TLSCipherPolicy, l.HTTP2 = certificate.Address, "tls_cipher_policy_1_2_strict_with_1_3", true
	c.Certificates = []*spec.Certificate{certificate}
	return c
}

// client trusts a root and asks for a name.
func client(t testing.TB, root, name string) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(root)) {
		t.Fatal("no root")
	}
	return &tls.Config{RootCAs: roots, ServerName: name, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

// dialed is one connection to the secured listener, which page asks a page over.
type dialed struct {
	*tls.Conn
	in *bufio.Reader
}

func dial(c *spec.Config, config *tls.Config) (*dialed, error) {
	conn, err := tls.Dial("tcp", fmt.Sprintf("%s:8443", c.LoadBalancers[0].IP), config)
	if err != nil {
		return nil, err
	}
	return &dialed{conn, bufio.NewReader(conn)}, nil
}

func (d *dialed) page(t testing.TB) string {
	t.Helper()
	if _, err := io.WriteString(d, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(d.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// shown is the serial number of the certificate that a client gets, and whether its
// session is an earlier one's.
func shown(t testing.TB, c *spec.Config, config *tls.Config) (string, bool) {
	t.Helper()
	d, err := dial(c, config)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.page(t) // with it the ticket comes
	return d.ConnectionState().PeerCertificates[0].SerialNumber.String(), d.ConnectionState().DidResume
}

// TestReplaceCertificate: connections live on, sessions too, and new clients get the
// new certificate. What cannot be had changes nothing.
func TestReplaceCertificate(t *testing.T) {
	dir, net := t.TempDir(), network(t)
	if err := os.Mkdir(filepath.Join(dir, control.Folder), 0o700); err != nil {
		t.Fatal(err)
	}
	d := start(t, dir)
	first := secured(tutorial(net), own(t, dir, "www"))
	d.mustApply(first)
	known := client(t, pemFile(t, "ca.crt"), "www.a.test")
	open, err := dial(first, known)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	open.page(t)
	before, _ := shown(t, first, known)

	broken := secured(tutorial(net), own(t, dir, "www"))
	broken.Certificates[0].Chain = pemFile(t, "renewed.crt")
	lacking := secured(tutorial(net), own(t, dir, "www"))
	lacking.Certificates[0].PrivateKey = "hmac-sha256:" + strings.Repeat("0", 64)
	for want, c := range map[string]*spec.Config{"private key does not match": broken, "not in .slbctl/secrets": lacking} {
		var refused *control.Error
		if err := d.apply(c); !errors.As(err, &refused) || refused.Code != control.CodeRefused || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "certificate.www") {
			t.Errorf("bad material: %v, want %s", err, want)
		}
		if same, _ := shown(t, first, client(t, pemFile(t, "ca.crt"), "www.a.test")); same != before {
			t.Error("a refused apply has changed the certificate")
		}
	}

	next := secured(tutorial(net), own(t, dir, "renewed"))
	d.mustApply(next)
	if after, _ := shown(t, next, client(t, pemFile(t, "ca.crt"), "www.a.test")); after == before {
		t.Error("a new client gets the old certificate")
	}
	if _, resumed := shown(t, next, known); !resumed {
		t.Error("a session does not outlive its generation")
	}
	open.page(t)
	if s := d.status(); len(s.Certificates) != 1 || s.Certificates[0].Fingerprint == "" || s.Certificates[0].Expires == nil {
		t.Errorf("status %+v", s.Certificates)
	}

	// Back after its end with the same keys.
	d.stop()
	d = start(t, dir)
	if _, resumed := shown(t, next, known); resumed {
		t.Error("a session outlives the daemon: its keys were on disk")
	}
	if problems := d.status().Runtime.Problems; len(problems) > 0 {
		t.Error(problems)
	}

	// Without them it does not serve at all.
	d.stop()
	if err := os.RemoveAll(filepath.Join(dir, control.Folder, "secrets")); err != nil {
		t.Fatal(err)
	}
	d = start(t, dir)
	if _, err := dial(next, known); err == nil {
		t.Error("a listener serves without its key")
	}
	if problems := d.status().Runtime.Problems; len(problems) != 2 || !strings.Contains(problems[0], "certificate.www") || !strings.Contains(problems[1], theSecured) {
		t.Error(problems)
	}
}

// TestLocalCA: what it issues is the same after a restart, renewed in time without
// anybody noticing, and gone with its last use.
func TestLocalCA(t *testing.T) {
	e, apply := startEngine(t)
	c := secured(tutorial(network(t)), issued("a.test"))
	if err := apply(c, func(control.Event) {}); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(e.dir, control.Folder)
	root, _, err := localca.Root(durable.OS, folder)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := shown(t, c, client(t, string(root), "a.test"))
	kept := filepath.Join(folder, "secrets", "issued-w")
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}

	clock := time.Now
	e.SetClock(func() time.Time { return clock() })
	e.Renew()
	if same, _ := shown(t, c, client(t, string(root), "a.test")); same != first {
		t.Error("it is renewed too early")
	}
	open, err := dial(c, client(t, string(root), "a.test"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	clock = func() time.Time { return time.Now().Add(spec.IssuedFor * 3 / 4) }
	e.Renew()
	later := client(t, string(root), "a.test")
	later.Time = clock
	if renewed, _ := shown(t, c, later); renewed == first {
		t.Error("it is not renewed in time")
	}
	open.page(t)
	if again, err := os.ReadFile(kept); err != nil || string(again) == string(text) {
		t.Errorf("what is kept is not the renewed one: %v", err)
	}

	// Other names are another certificate; the same ones of another generation are not.
	clock = time.Now
	if err := apply(secured(tutorial(c.Runtime.Network), issued("a.test")), func(control.Event) {}); err != nil {
		t.Fatal(err)
	}
	more := secured(tutorial(c.Runtime.Network), issued("a.test", "b.test"))
	if err := apply(more, func(control.Event) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(more, client(t, string(root), "b.test")); err != nil {
		t.Error(err)
	}
	if err := apply(tutorial(c.Runtime.Network), func(control.Event) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what nobody uses is kept: %v", err)
	}
}

// TestSecuredNames: names choose certificates, clients have to prove who they are.
func TestSecuredNames(t *testing.T) {
	e, apply := startEngine(t)
	c := secured(tutorial(network(t)), own(t, e.dir, "www"))
	shop := issued("shop.test")
	shop.Address, shop.ID = "certificate.shop", "s"
	c.Certificates = []*spec.Certificate{shop, c.Certificates[0]}
	l := c.LoadBalancers[0].Listeners[0]
	l.AdditionalCertificates = []spec.AdditionalCertificate{{Domain: "shop.test", Certificate: shop.Address}}
	c.CACertificates = []*spec.CACertificate{{
		Meta: spec.Meta{Address: "ca_certificate.a"}, Certificates: pemFile(t, "ca.crt"),
		Names: []string{"Test CA"}, Expires: "2049-12-31T00:00:00Z", Fingerprint: "AB:CD",
	}}
	l.CACertificate = "ca_certificate.a"
	if err := apply(c, func(control.Event) {}); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, x := range e.Status().Certificates {
		told = append(told, fmt.Sprint(x.Address, x.Names, x.Expires != nil && x.Expires.Year() > 2020, len(x.Fingerprint)))
	}
	want := []string{"certificate.shop[shop.test] true 95", "certificate.www[] true 95", "ca_certificate.a[Test CA] true 5"}
	if !slices.Equal(told, want) {
		t.Errorf("status tells of %q, want %q", told, want)
	}
	root, _, err := localca.Root(durable.OS, filepath.Join(e.dir, control.Folder))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(pemFile(t, "client.crt")), []byte(pemFile(t, "client.key")))
	if err != nil {
		t.Fatal(err)
	}
	for name, root := range map[string]string{"www.a.test": pemFile(t, "ca.crt"), "shop.test": string(root)} {
		config := client(t, root, name)
		config.Certificates = []tls.Certificate{pair}
		shown(t, c, config)
		config = client(t, root, name)
		if d, err := dial(c, config); err == nil {
			if _, err := d.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("%s: who proves nothing is let in: %v", name, err)
			}
		}
	}
}
