package tlsconf_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slbctl/runtime/tlsconf"
	"slbctl/spec"
)

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../testdata/certificates/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func identity(t testing.TB, name string) *tlsconf.Identity {
	t.Helper()
	i, err := tlsconf.NewIdentity(read(t, name+".crt"), read(t, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func policy(t testing.TB, name string) *spec.TLSCipherPolicy {
	t.Helper()
	p := (&spec.Config{}).CipherPolicy(name)
	if p == nil {
		t.Fatalf("no policy %s", name)
	}
	return p
}

const strictest = "tls_cipher_policy_1_2_strict_with_1_3"

// listener shows certificate www to everybody.
func listener(t testing.TB) tlsconf.Listener {
	return tlsconf.Listener{Address: "l", Own: identity(t, "www"), Policy: policy(t, strictest), HTTP2: true}
}

func config(t testing.TB, l tlsconf.Listener, tickets *tlsconf.Tickets) *tls.Config {
	t.Helper()
	c, err := l.Config(tickets)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// meet makes both sides of a connection on loopback shake hands.
func meet(server, client *tls.Config) (tls.ConnectionState, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return tls.ConnectionState{}, err
	}
	a, err := l.Accept()
	if err != nil {
		return tls.ConnectionState{}, err
	}
	return meetOver(a, b, server, client)
}

// meetOver makes both sides shake hands and exchange a byte each way, with which TLS
// 1.3 brings its ticket, and returns what the client has seen.
func meetOver(a, b net.Conn, server, client *tls.Config) (tls.ConnectionState, error) {
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		_, err := s.Write([]byte("x"))
		if err == nil {
			_, err = s.Read(make([]byte, 1))
		}
		if err != nil {
			a.Close()
		}
		done <- err
	}()
	c := tls.Client(b, client)
	_, err := c.Read(make([]byte, 1))
	if err == nil {
		_, err = c.Write([]byte("x"))
	}
	b.Close()
	return c.ConnectionState(), errors.Join(err, <-done)
}

func browser(t testing.TB, name string) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(read(t, "ca.crt"))) {
		t.Fatal("no root")
	}
	return &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{"h2", "http/1.1"}}
}

func TestNamesAndProtocols(t *testing.T) {
	l := listener(t)
	l.Additional = []tlsconf.Additional{{"b.test", identity(t, "rsa")}, {"*.c.test", identity(t, "renewed")}}
	c := config(t, l, tlsconf.NewTickets())
	for name, want := range map[string]string{
		"www.a.test": "www", "nobody.test": "www", "": "www", "b.test": "rsa", "B.TEST": "rsa", "x.b.test": "www",
		"x.c.test": "renewed", "y.x.c.test": "renewed", "c.test": "www",
	} {
		client := browser(t, name)
		client.InsecureSkipVerify = true
		state, err := meet(c, client)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := spec.Fingerprint(state.PeerCertificates[0].Raw); got != identity(t, want).Fingerprint() {
			t.Errorf("%q gets %v, want %s", name, state.PeerCertificates[0].DNSNames, want)
		}
		if state.NegotiatedProtocol != "h2" || state.Version != tls.VersionTLS13 {
			t.Errorf("%q speaks %q, %x", name, state.NegotiatedProtocol, state.Version)
		}
	}
	if _, err := meet(c, browser(t, "www.a.test")); err != nil {
		t.Errorf("who checks: %v", err)
	}
}

func TestHTTP2NeedsItsSuites(t *testing.T) {
	for name, want := range map[string][]string{"on": {"h2", "http/1.1"}, "off": {"http/1.1"}, "old": {"http/1.1"}} {
		l := listener(t)
		l.HTTP2 = name != "off"
		if name == "old" {
			l.Policy = &spec.TLSCipherPolicy{Versions: []string{"TLSv1.2"}, Ciphers: []string{"ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"}}
		}
		if got := config(t, l, tlsconf.NewTickets()).NextProtos; !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestPolicies tries every suite and version against every policy: what the policy has
// connects, what it has not does not.
func TestPolicies(t *testing.T) {
	versions := []string{"TLSv1.0", "TLSv1.1", "TLSv1.2"}
	for _, name := range []string{"tls_cipher_policy_1_0", "tls_cipher_policy_1_1", "tls_cipher_policy_1_2", "tls_cipher_policy_1_2_strict", strictest} {
		p := policy(t, name)
		for _, key := range []string{"RSA", "ECDSA"} {
			l := listener(t)
			l.Policy = p
			if key == "RSA" {
				l.Own = identity(t, "rsa")
			}
			server := config(t, l, tlsconf.NewTickets())
			for _, version := range versions {
				for _, suite := range policy(t, "tls_cipher_policy_1_0").Ciphers {
					if strings.HasPrefix(suite, "ECDHE-ECDSA") != (key == "ECDSA") {
						continue
					}
					id := spec.TLSVersionID(version)
					client := &tls.Config{InsecureSkipVerify: true, MinVersion: id, MaxVersion: id, CipherSuites: []uint16{spec.CipherID(suite)}}
					modern := strings.HasSuffix(suite, "SHA256") || strings.HasSuffix(suite, "SHA384")
					want := slices.Contains(p.Versions, version) && slices.Contains(p.Ciphers, suite) && (version == "TLSv1.2" || !modern)
					state, err := meet(server, client)
					if (err == nil) != want || err == nil && state.CipherSuite != spec.CipherID(suite) {
						t.Errorf("%s with %s %s: %v, want it to connect: %v", name, version, suite, err, want)
					}
				}
			}
			_, err := meet(server, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
			if want := name == strictest; (err == nil) != want {
				t.Errorf("%s with TLS 1.3: %v", name, err)
			}
		}
	}
}

func TestClientCertificates(t *testing.T) {
	l := listener(t)
	l.ClientCAs = read(t, "ca.crt")
	server := config(t, l, tlsconf.NewTickets())
	pair, err := tls.X509KeyPair([]byte(read(t, "client.crt")), []byte(read(t, "client.key")))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := tls.X509KeyPair([]byte(read(t, "other.crt")), []byte(read(t, "other.key")))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		certificates []tls.Certificate
		want         bool
	}{"none": {nil, false}, "of another CA": {[]tls.Certificate{stranger}, false}, "right": {[]tls.Certificate{pair}, true}} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := browser(t, "www.a.test")
			client.MaxVersion = version
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(c.certificates) == 0 {
					return &tls.Certificate{}, nil
				}
				return &c.certificates[0], nil
			}
			if _, err := meet(server, client); (err == nil) != c.want {
				t.Errorf("%s, version %x: %v", name, version, err)
			}
		}
	}
	l.ClientCAs = "nothing"
	if _, err := l.Config(tlsconf.NewTickets()); err == nil {
		t.Error("no CA is none")
	}
}

// TestTickets: sessions outlive a configuration, and not their time, their listener or
// the rules by which a client was let in.
func TestTickets(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))) // certificates are of our days
			tickets := tlsconf.NewTickets()
			l := listener(t)
			renewed := l
			renewed.Own = identity(t, "renewed")
			other := l
			other.Address = "other"
			stricter := l
			stricter.Policy = policy(t, "tls_cipher_policy_1_2_strict")
			if version == tls.VersionTLS13 {
				stricter.Policy = &spec.TLSCipherPolicy{Versions: []string{"TLSv1.3"}, Ciphers: l.Policy.Ciphers}
			}
			resumes := func(after time.Duration, next tlsconf.Listener) bool {
				t.Helper()
				client := browser(t, "www.a.test")
				client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
				a, b := net.Pipe()
				if _, err := meetOver(a, b, config(t, l, tickets), client); err != nil {
					t.Fatal(err)
				}
				time.Sleep(after)
				a, b = net.Pipe()
				state, err := meetOver(a, b, config(t, next, tickets), client)
				if err != nil {
					t.Fatal(err)
				}
				return state.DidResume
			}
			for range 3 { // the keys are replaced meanwhile
				if !resumes(0, l) || !resumes(299*time.Second, l) || !resumes(time.Second, renewed) {
					t.Error("a session is not resumed")
				}
				if resumes(301*time.Second, l) {
					t.Error("a session is resumed after its time")
				}
				if resumes(0, other) || resumes(0, stricter) {
					t.Error("a session is resumed where it was not made")
				}
			}
			// A key is replaced while tickets of it are young.
			visit := func(client *tls.Config) bool {
				t.Helper()
				a, b := net.Pipe()
				state, err := meetOver(a, b, config(t, l, tickets), client)
				if err != nil {
					t.Fatal(err)
				}
				return state.DidResume
			}
			client := func() *tls.Config {
				c := browser(t, "www.a.test")
				c.MaxVersion, c.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
				return c
			}
			time.Sleep(2 * tlsconf.TicketLifetime)
			visit(client())
			time.Sleep(200 * time.Second)
			late := client()
			visit(late)
			time.Sleep(110 * time.Second)
			visit(client())
			time.Sleep(10 * time.Second)
			if !visit(late) {
				t.Error("a ticket is lost with the replacement of a key")
			}
			tickets.Keep([]tlsconf.Listener{renewed})
			if !resumes(0, renewed) {
				t.Error("keys in use are forgotten")
			}
		})
	}
}

// TestTicketsHandedOver: another process takes the tickets, for as long as they would have
// lived, and the first one takes its.
func TestTicketsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))) // certificates are of our days
		l := listener(t)
		visit := func(client *tls.Config, tickets *tlsconf.Tickets) bool {
			t.Helper()
			a, b := net.Pipe()
			state, err := meetOver(a, b, config(t, l, tickets), client)
			if err != nil {
				t.Fatal(err)
			}
			return state.DidResume
		}
		client := func() *tls.Config {
			c := browser(t, "www.a.test")
			c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			return c
		}
		first := tlsconf.NewTickets()
		time.Sleep(time.Hour)
		young, old := client(), client()
		visit(old, first)
		time.Sleep(200 * time.Second)
		visit(young, first)
		text, err := json.Marshal(first.HandOver())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		var h tlsconf.Handover
		if err := json.Unmarshal(text, &h); err != nil {
			t.Fatal(err)
		}
		next := tlsconf.NewTickets()
		next.TakeOver(h)
		time.Sleep(120 * time.Second) // the handover itself took no time, as far as the next one knows
		if !visit(young, next) || visit(old, next) {
			t.Error("the young ticket is to be taken, and the old one not")
		}
		stranger := tlsconf.NewTickets()
		if visit(young, stranger) {
			t.Error("a process that was told nothing resumes a session")
		}
	})
}

// TestTicketNeedsItsCA: a client that one authority vouched for is asked again when
// another one has to.
func TestTicketNeedsItsCA(t *testing.T) {
	tickets := tlsconf.NewTickets()
	l := listener(t)
	l.ClientCAs = read(t, "ca.crt")
	pair, err := tls.X509KeyPair([]byte(read(t, "client.crt")), []byte(read(t, "client.key")))
	if err != nil {
		t.Fatal(err)
	}
	client := browser(t, "www.a.test")
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	for range 2 {
		if _, err := meet(config(t, l, tickets), client); err != nil {
			t.Fatal(err)
		}
	}
	l.ClientCAs = read(t, "other.crt")
	if _, err := meet(config(t, l, tickets), client); err == nil {
		t.Error("the client is let in by a ticket")
	}
}

func TestRenew(t *testing.T) {
	l := listener(t)
	server := config(t, l, tlsconf.NewTickets())
	if err := l.Own.Renew(read(t, "renewed.crt"), read(t, "www.key")); err == nil {
		t.Error("a key of another certificate is taken")
	}
	for _, want := range []string{"www", "renewed"} {
		state, err := meet(server, browser(t, "www.a.test"))
		if err != nil {
			t.Fatal(err)
		}
		if got := spec.Fingerprint(state.PeerCertificates[0].Raw); got != identity(t, want).Fingerprint() {
			t.Errorf("want %s", want)
		}
		if err := l.Own.Renew(read(t, "renewed.crt"), read(t, "renewed.key")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadMaterial(t *testing.T) {
	for _, pair := range [][2]string{{"", ""}, {read(t, "www.crt"), ""}, {read(t, "www.crt"), read(t, "rsa.key")}, {"x", "y"}} {
		if _, err := tlsconf.NewIdentity(pair[0], pair[1]); err == nil {
			t.Errorf("%.20q and %.20q are taken", pair[0], pair[1])
		} else if strings.Contains(err.Error(), "MIG") {
			t.Error("the error shows the key")
		}
	}
	if _, err := (tlsconf.Listener{}).Config(tlsconf.NewTickets()); err == nil {
		t.Error("a listener without a certificate")
	}
}
