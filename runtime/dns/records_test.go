package dns

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"slbctl/spec"
)

// record makes a record that zoneOf cannot write: with spaces in its values.
func record(host, kind string, values ...string) *spec.Record {
	return &spec.Record{Meta: spec.Meta{Name: host + ":" + kind}, Host: host, Type: kind, TTL: 60, Values: values}
}

func zoneWith(name string, records ...*spec.Record) *spec.DNSZone {
	return &spec.DNSZone{Meta: spec.Meta{Address: fmt.Sprintf("dns_zone[%q]", name), Name: name}, Records: records}
}

func everyType() *spec.DNSZone {
	paused := record("paused", "A", "127.0.0.9")
	paused.Status = spec.StatusPaused
	return zoneWith("abc.com",
		record("@", "MX", "10 mail.abc.com", "20 mail.example.net"),
		record("none", "MX", "0 ."),
		record("_sip._tcp", "SRV", "10 5 5060 sip.abc.com"),
		record("@", "NS", "ns1.abc.com", "ns2.example.net"),
		record("ns1", "A", "127.0.0.2"),
		record("@", "CAA", `0 issue "letsencrypt.org"`, `128 issuewild ";"`),
		record("5", "PTR", "www.abc.com"),
		record("sub", "NS", "ns.sub.abc.com", "ns2.example.net"),
		record("ns.sub", "A", "127.0.0.3"),
		record("ns.sub", "AAAA", "::1"),
		record("into", "CNAME", "x.sub.abc.com"),
		record("*", "TXT", "any"),
		paused,
	)
}

func TestEveryType(t *testing.T) {
	addr := start(t, []*spec.DNSZone{everyType()})
	referral := "authority sub.abc.com. 60 IN NS ns.sub.abc.com.\nauthority sub.abc.com. 60 IN NS ns2.example.net.\n" +
		"additional ns.sub.abc.com. 60 IN A 127.0.0.3\nadditional ns.sub.abc.com. 60 IN AAAA ::1"
	tests := []struct{ why, name, kind, want string }{
		{"MX", "abc.com.", "MX", "AA\nabc.com. 60 IN MX 10 mail.abc.com.\nabc.com. 60 IN MX 20 mail.example.net."},
		{"RFC 7505", "none.abc.com.", "MX", "AA\nnone.abc.com. 60 IN MX 0 ."},
		{"SRV", "_sip._tcp.abc.com.", "SRV", "AA\n_sip._tcp.abc.com. 60 IN SRV 10 5 5060 sip.abc.com."},
		{"own NS at the apex", "abc.com.", "NS", "AA\nabc.com. 60 IN NS ns1.abc.com.\nabc.com. 60 IN NS ns2.example.net."},
		{"CAA", "abc.com.", "CAA", "AA\nabc.com. 60 IN CAA 0 issue \"letsencrypt.org\"\nabc.com. 60 IN CAA 128 issuewild \";\""},
		{"PTR", "5.abc.com.", "PTR", "AA\n5.abc.com. 60 IN PTR www.abc.com."},
		{"RFC 1034 4.3.2: referral", "sub.abc.com.", "A", referral},
		{"RFC 1034 4.3.2: referral from below", "a.b.sub.abc.com.", "TXT", referral},
		{"RFC 1034 4.3.2: not even glue is answered", "ns.sub.abc.com.", "A", referral},
		{"a CNAME into a delegated name", "into.abc.com.", "A", "AA\ninto.abc.com. 60 IN CNAME x.sub.abc.com.\n" + referral},
		{"paused: the wildcard has it", "paused.abc.com.", "TXT", "AA\npaused.abc.com. 60 IN TXT \"any\""},
	}
	for _, test := range tests {
		t.Run(test.why, func(t *testing.T) {
			got := exchange(t, "udp", addr, ask(test.name, test.kind))
			var lines []string
			if got.Authoritative {
				lines = append(lines, "AA")
			}
			if len(got.Answer) > 0 {
				lines = append(lines, text(got.Answer))
			}
			for _, rr := range got.Ns {
				lines = append(lines, "authority "+text([]dns.RR{rr}))
			}
			for _, rr := range got.Extra {
				lines = append(lines, "additional "+text([]dns.RR{rr}))
			}
			if s := strings.Join(lines, "\n"); s != test.want || got.Rcode != dns.RcodeSuccess {
				t.Errorf("%s %s:\n%s\nwant\n%s", test.name, test.kind, s, test.want)
			}
		})
	}
	if soa := exchange(t, "udp", addr, ask("abc.com.", "SOA")).Answer[0].(*dns.SOA); soa.Ns != "ns1.abc.com." {
		t.Errorf("the zone's own name server is not in its SOA: %v", soa)
	}
	if got := exchange(t, "udp", addr, ask("paused.abc.com.", "A")); len(got.Answer) != 0 {
		t.Errorf("a paused record is answered: %v", got)
	}
}

// TestWeights asks over a socket and holds the answers to the product's sequence.
func TestWeights(t *testing.T) {
	weighted := record("www", "A", "127.0.0.1", "127.0.0.2", "127.0.0.3")
	weighted.Weights = []int{2, 1, 1}
	alias := record("alias", "CNAME", "www.abc.com", "www.example.net")
	alias.Weights = []int{0, 7}
	nobody := record("nobody", "A", "127.0.0.1")
	nobody.Weights = []int{0}
	addr := start(t, []*spec.DNSZone{zoneWith("abc.com", weighted, alias, nobody)})
	var sequence string
	for range 8 {
		got := exchange(t, "udp", addr, ask("www.abc.com.", "A"))
		if len(got.Answer) != 1 {
			t.Fatalf("not one answer: %v", got)
		}
		sequence += strings.TrimPrefix(got.Answer[0].(*dns.A).A.String(), "127.0.0.")
	}
	if sequence != "12311231" {
		t.Errorf("weights 2:1:1 give %s, want 12311231", sequence)
	}
	for range 3 {
		got := exchange(t, "tcp", addr, ask("alias.abc.com.", "A"))
		if text(got.Answer) != "alias.abc.com. 60 IN CNAME www.example.net." {
			t.Errorf("got %v", got.Answer)
		}
	}
	got := exchange(t, "udp", addr, ask("nobody.abc.com.", "A"))
	if len(got.Answer) != 0 || got.Rcode != dns.RcodeSuccess || len(got.Ns) != 1 {
		t.Errorf("weight 0 alone: %v", got)
	}
}

func lined() *spec.DNSZone {
	on := func(line, value string) *spec.Record {
		r := record("www", "A", value)
		r.Line = line
		return r
	}
	return zoneWith("abc.com", on("default", "127.0.0.1"), on("10.0.0.0/8", "127.0.0.2"), on("10.1.0.0/16", "127.0.0.3"),
		on("127.9.0.0/16", "127.0.0.4"), on("2001:db8::/32", "127.0.0.5"), record("plain", "A", "127.0.0.6"))
}

func TestLines(t *testing.T) {
	addr := start(t, []*spec.DNSZone{lined()})
	for _, test := range []struct{ why, name, subnet, want string }{
		{"nobody's network", "www", "192.0.2.0/24", "127.0.0.1 /24"},
		{"a network", "www", "10.2.3.0/24", "127.0.0.2 /24"},
		{"the longest network", "www", "10.1.2.0/24", "127.0.0.3 /24"},
		{"the network itself", "www", "10.1.0.0/16", "127.0.0.3 /16"},
		{"less of the address than the longest network", "www", "10.1.0.0/12", "127.0.0.2 /12"},
		{"RFC 7871 7.1.2: nothing of the address", "www", "0.0.0.0/0", "127.0.0.1 /0"},
		{"IPv6", "www", "2001:db8:1::/48", "127.0.0.5 /48"},
		{"RFC 7871 7.2.1: an answer for all", "plain", "10.1.2.0/24", "127.0.0.6 /0"},
		{"who asks", "www", "", "127.0.0.1"},
	} {
		t.Run(test.why, func(t *testing.T) {
			query := ask(test.name+".abc.com.", "A")
			if test.subnet != "" {
				query.SetEdns0(1232, false)
				query.IsEdns0().Option = []dns.EDNS0{subnetOption(netip.MustParsePrefix(test.subnet))}
			}
			response := exchange(t, "udp", addr, query)
			got := response.Answer[0].(*dns.A).A.String()
			if opt := response.IsEdns0(); opt != nil {
				got += fmt.Sprintf(" /%d", opt.Option[0].(*dns.EDNS0_SUBNET).SourceScope)
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	// From another address, without any option.
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 9, 1, 1)}}
	response, _, err := (&dns.Client{Dialer: &dialer}).Exchange(ask("www.abc.com.", "A"), addr)
	if err != nil || response.Answer[0].(*dns.A).A.String() != "127.0.0.4" {
		t.Errorf("from 127.9.1.1: %v, %v", response, err)
	}
}

func subnetOption(p netip.Prefix) *dns.EDNS0_SUBNET {
	family := uint16(1)
	if p.Addr().Is6() {
		family = 2
	}
	return &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice()}
}

// TestDigEveryType has the records read by somebody else's program.
func TestDigEveryType(t *testing.T) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		t.Skip("dig is not installed")
	}
	at := netip.MustParseAddrPort(start(t, []*spec.DNSZone{everyType(), zoneWith("line.test", withLine(record("@", "A", "127.0.0.7"), "10.0.0.0/8"), record("@", "A", "127.0.0.8"))}))
	for _, test := range []struct{ ask, want string }{
		{"abc.com MX", "10 mail.abc.com.\n20 mail.example.net."},
		{"_sip._tcp.abc.com SRV", "10 5 5060 sip.abc.com."},
		{"abc.com CAA", "0 issue \"letsencrypt.org\"\n128 issuewild \";\""},
		{"5.abc.com PTR", "www.abc.com."},
		{"abc.com NS", "ns1.abc.com.\nns2.example.net."},
		{"line.test A +subnet=10.1.0.0/16", "127.0.0.7"},
		{"line.test A", "127.0.0.8"},
	} {
		args := append([]string{"@" + at.Addr().String(), "-p", fmt.Sprint(at.Port()), "+short", "+norecurse"}, strings.Fields(test.ask)...)
		out, err := exec.Command(dig, args...).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != test.want {
			t.Errorf("dig %s: %q, %v; want %q", test.ask, got, err, test.want)
		}
	}
}

func withLine(r *spec.Record, line string) *spec.Record {
	r.Line = line
	return r
}
