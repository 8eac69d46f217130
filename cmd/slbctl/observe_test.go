package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"pgregory.net/rapid"

	"slbctl/planner"
	"slbctl/runtime/balance"
	"slbctl/runtime/dns"
	"slbctl/runtime/durable"
	"slbctl/runtime/localca"
	"slbctl/runtime/tlsconf"
	"slbctl/runtime/trial"
	"slbctl/sim"
	"slbctl/spec"
)

// views are what a user can observe of a configuration, each computed by the code
// that shows it. testdata/attributes/examples.json names for each attribute the view
// in which it is seen.
var views = map[string]func(t *testing.T, before, after *spec.Config) string{
	"balancer":  viewBalancer,
	"instances": viewInstances,
	"names":     viewNames,
	"sim":       viewSim,
	"tests":     viewTests,
	"plan":      viewPlan,
	"traffic":   viewTraffic,
	"security":  viewSecurity,
	"destroy":   viewDestroy,
}

// TestEveryAttributeIsSeen proves of every attribute that it changes something a
// user can observe. That the examples are complete is a test of package spec.
func TestEveryAttributeIsSeen(t *testing.T) {
	var examples map[string]struct {
		Replace [][2]string
		Seen    string
	}
	data, err := os.ReadFile("../../testdata/attributes/examples.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &examples); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../../testdata/attributes/base.slb.hcl")
	if err != nil {
		t.Fatal(err)
	}
	before := loaded(t, string(source))
	for name, view := range views {
		if view(t, before, before) != view(t, loaded(t, string(source)), before) {
			t.Fatalf("the view %s tells of a difference where there is none", name)
		}
	}
	for id, example := range examples {
		if example.Seen == "" {
			continue // has one possible value so far
		}
		t.Run(id, func(t *testing.T) {
			changed := string(source)
			for _, r := range example.Replace {
				changed = strings.Replace(changed, r[0], r[1], 1)
			}
			view := views[example.Seen]
			if view == nil {
				t.Fatalf("there is no view %q", example.Seen)
			}
			after := loaded(t, changed)
			if view(t, before, before) == view(t, before, after) {
				t.Errorf("%s does not show in %s", id, example.Seen)
			}
		})
	}
}

func loaded(t *testing.T, source string) *spec.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../testdata/certificates")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"main.slb.hcl": source, "page.txt": "from a file"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, found := spec.Load(dir, spec.Options{})
	if found.HasErrors() {
		t.Fatalf("%v\nin:\n%s", found, source)
	}
	return config
}

// viewBalancer is what the live balancer decides with: where listeners listen, who
// is let in, which rule takes a request, who is behind them with which share, how they
// are probed, when connections end.
func viewBalancer(t *testing.T, _, c *spec.Config) string {
	listeners, err := balance.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range listeners {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		own := l.Route([]byte("a.test"), []byte("/a"))
		fmt.Fprintln(&b, string(text), own.Pool, own.Redirect, l.Route([]byte("www.a.test"), []byte("/b")).Pool)
		for _, client := range []string{"10.1.2.3", "127.0.0.1", "2001:db8::1"} {
			fmt.Fprintln(&b, client, l.ACL == nil || l.ACL.Allows(netip.MustParseAddr(client)))
		}
		for _, p := range l.Pools() {
			well := p.Table(func(int) balance.Health { return balance.Normal }).Shares()
			ill := p.Table(func(int) balance.Health { return balance.Abnormal }).Shares()
			fmt.Fprintln(&b, p.Owner, p.Group, well, ill)
		}
	}
	return b.String()
}

// viewSecurity is what clients of https listeners get to see: certificates by the names
// that they ask for, which clients are let in, versions, suites and protocols.
func viewSecurity(t *testing.T, _, c *spec.Config) string {
	var b strings.Builder
	for _, lb := range c.LoadBalancers {
		for _, l := range lb.Listeners {
			if l.Protocol == spec.ProtocolHTTPS {
				showSecurity(t, &b, c, l)
			}
		}
	}
	return b.String()
}

func showSecurity(t *testing.T, b *strings.Builder, c *spec.Config, l *spec.Listener) {
	identify := func(address string) *tlsconf.Identity {
		x := c.Certificate(address)
		chain, key := x.Chain, c.Secrets[x.PrivateKey]
		if len(x.Domains) > 0 {
			ca, err := localca.Ensure(durable.OS, t.TempDir(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			issued, err := ca.Issue(x.Domains, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			chain, key = issued.Chain, issued.Key
		}
		identity, err := tlsconf.NewIdentity(chain, key)
		if err != nil {
			t.Fatal(err)
		}
		return identity
	}
	settings := tlsconf.Listener{Address: l.Address, Own: identify(l.Certificate), Policy: c.CipherPolicy(l.TLSCipherPolicy), HTTP2: l.HTTP2}
	if ca := c.CACertificate(l.CACertificate); ca != nil {
		settings.ClientCAs = ca.Certificates
	}
	for _, a := range l.AdditionalCertificates {
		settings.Additional = append(settings.Additional, tlsconf.Additional{Domain: a.Domain, Identity: identify(a.Certificate)})
	}
	config, err := settings.Config(tlsconf.NewTickets())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(b, l.Address, config.MinVersion, config.MaxVersion, config.CipherSuites, config.NextProtos, config.ClientAuth, settings.ClientCAs)
	for _, name := range []string{"www.a.test", "b.test", "c.test", "d.test"} {
		shown, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		leaf := shown.Leaf
		fmt.Fprintln(b, name, leaf.DNSNames, leaf.Subject)
		if leaf.Issuer.CommonName == "Test CA" {
			fmt.Fprintln(b, leaf.SerialNumber)
		}
	}
}

// viewInstances is what the web servers are told to serve.
func viewInstances(_ *testing.T, _, c *spec.Config) string {
	var b strings.Builder
	for _, i := range c.Instances {
		fmt.Fprintln(&b, i.Address, i.IP, i.Ports, i.Protocol, i.Status, i.Pages, i.Site, i.Command, i.Env, i.WorkingDir, i.Fault)
	}
	return b.String()
}

// viewNames is what the name server answers.
func viewNames(t *testing.T, _, c *spec.Config) string {
	zones, err := dns.Compile(c.DNSZones)
	if err != nil {
		t.Fatal(err)
	}
	server := dns.New()
	defer server.Close()
	// An address that nothing else uses: the port must be free for TCP and UDP.
	if err := server.Listen(netip.MustParseAddrPort("127.53.7.2:0")); err != nil {
		t.Fatal(err)
	}
	server.Serve(zones)
	var b strings.Builder
	for _, name := range []string{"a.a.test.", "b.a.test.", "c.a.test."} {
		for _, qtype := range []uint16{mdns.TypeA, mdns.TypeTXT} {
			answer, err := mdns.Exchange(new(mdns.Msg).SetQuestion(name, qtype), server.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&b, name, mdns.RcodeToString[answer.Rcode], answer.Answer)
		}
	}
	return b.String()
}

// viewSim is the report of all simulations; a change is one from what was before.
func viewSim(t *testing.T, before, c *spec.Config) string {
	var b strings.Builder
	for _, s := range c.Simulations {
		r, err := sim.Run(c, s.Name, sim.Options{Before: before})
		if err != nil {
			t.Fatal(err)
		}
		if err := sim.WriteText(&b, []*sim.Result{r}, false); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// viewTests is what becomes of all tests.
func viewTests(t *testing.T, _, c *spec.Config) string {
	runner, err := trial.Offline(c)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, test := range c.Tests {
		r, err := runner.Run(test)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

// viewPlan is the text of the plan from one configuration, applied, to the next.
func viewPlan(t *testing.T, before, after *spec.Config) string {
	var b strings.Builder
	if err := planned(t, before, after).WriteText(&b, planner.Style{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// viewTraffic is what the loss of a server or a zone does.
func viewTraffic(t *testing.T, _, after *spec.Config) string {
	text, err := json.Marshal(planned(t, &spec.Config{Runtime: after.Runtime}, after).Traffic)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// viewDestroy is whether what is applied may be destroyed.
func viewDestroy(t *testing.T, _, after *spec.Config) string {
	applied := planned(t, &spec.Config{Runtime: after.Runtime}, after).Next
	_, err := planner.Make(planner.Input{State: applied, Destroy: true, SkipTraffic: true})
	return fmt.Sprint(err)
}

func planned(t *testing.T, before, after *spec.Config) *planner.Plan {
	t.Helper()
	first, err := planner.Make(planner.Input{Config: before, SkipTraffic: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := planner.Make(planner.Input{
		Config: after, State: first.Next,
		Observed: planner.Observed{Running: true, Generation: first.Next.Generation, Hash: first.Next.ConfigHash},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRulesAgreeWithPaths holds the URLs that the language takes for a rule against
// what the balancer makes of a request's path: each can be requested, none is every
// path, and two are refused together where they are one.
func TestRulesAgreeWithPaths(t *testing.T) {
	dir := t.TempDir()
	load := func(urls ...string) spec.Diagnostics {
		source := "load_balancer \"lb\" {\n listener \"http\" \"81\" {\n redirect { port = 80 }\n }\n listener \"http\" \"80\" {\n redirect { port = 81 }\n"
		for i, url := range urls {
			source += fmt.Sprintf("rule \"r%d\" {\n url = %q\n redirect { port = 81 }\n}\n", i, url)
		}
		if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(source+"}\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, found := spec.Load(dir, spec.Options{})
		return found
	}
	pieces := rapid.SliceOfN(rapid.SampledFrom([]string{"/", "a", "%61", ".", "%2e", "%2F", "%25", "%3f", "%20", "%5c", "%1f", "%4", "?", "#", "&"}), 0, 6)
	rapid.Check(t, func(rt *rapid.T) {
		var normal [2]string
		var urls [2]string
		sound := true
		for i := range urls {
			urls[i] = "/" + strings.Join(pieces.Draw(rt, "url"), "")
			path, ok := balance.NormalPath(nil, []byte(urls[i]))
			normal[i] = string(path)
			ok = ok && normal[i] != "/"
			if found := load(urls[i]); found.HasErrors() == ok {
				rt.Fatalf("%q is %q, %v for the balancer, but the language says %v", urls[i], path, ok, found)
			}
			sound = sound && ok
		}
		if found := load(urls[:]...); sound && found.HasErrors() != (normal[0] == normal[1]) {
			rt.Fatalf("%q are %q for the balancer, but the language says %v", urls, normal, found)
		}
	})
}

// TestNamesAgreeWithCertificates holds the certificates that the language checks rules'
// domains against to those that the live listener shows for them.
func TestNamesAgreeWithCertificates(t *testing.T) {
	label := rapid.SampledFrom([]string{"a", "b"})
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 1, 3).Draw(t, "labels"), ".") + ".test"
	})
	domain := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "*."}).Draw(t, "star") + name.Draw(t, "domain")
	})
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		domains := rapid.SliceOfNDistinct(domain, 0, 4, rapid.ID[string]).Draw(rt, "domains")
		asked := name.Draw(rt, "asked")
		pick := balance.NewServerNames(domains).Pick(asked)
		source := "certificate \"own\" {\n domains = [\"own.test\"]\n}\nload_balancer \"lb\" {\n listener \"http\" \"80\" {\n redirect { port = 443 }\n }\n" +
			" listener \"https\" \"443\" {\n certificate = certificate.own\n redirect { port = 80 }\n" +
			" rule \"r\" {\n  domain = \"" + asked + "\"\n  redirect { port = 80 }\n }\n"
		certificates := ""
		for i, d := range domains {
			source += fmt.Sprintf(" additional_certificate %q { certificate = certificate.c%d }\n", d, i)
			certificates += fmt.Sprintf("certificate \"c%d\" {\n domains = [%q, \"n%d.test\"]\n}\n", i, d, i)
		}
		if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(source+" }\n}\n"+certificates), 0o600); err != nil {
			rt.Fatal(err)
		}
		_, found := spec.Load(dir, spec.Options{})
		var told string
		for _, d := range found {
			told += d.Detail
		}
		// A wildcard of a certificate is for one label, that of a domain for all below.
		covered := pick >= 0 && (domains[pick] == asked || strings.Count(domains[pick], ".") == strings.Count(asked, "."))
		want := ""
		switch {
		case pick < 0:
			want = "get certificate.own"
		case !covered:
			want = fmt.Sprintf("get certificate.c%d", pick)
		}
		if want == "" && found.HasErrors() || !strings.Contains(told, want) {
			rt.Fatalf("%q of %q: the listener picks %d, but the language says %q", asked, domains, pick, told)
		}
	})
}
