package dns

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"slbctl/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zoneOf makes a zone of lines "HOST TYPE TTL VALUE|VALUE".
func zoneOf(name string, lines ...string) *spec.DNSZone {
	z := &spec.DNSZone{Meta: spec.Meta{Address: fmt.Sprintf("dns_zone[%q]", name), Name: name}}
	for _, line := range lines {
		r := &spec.Record{}
		var values string
		if _, err := fmt.Sscan(line, &r.Host, &r.Type, &r.TTL, &values); err != nil {
			panic(err)
		}
		r.Name, r.Values = r.Host+":"+r.Type, strings.Split(values, "|")
		z.Records = append(z.Records, r)
	}
	return z
}

var quickstart = []*spec.DNSZone{
	zoneOf("abc.com",
		"@ A 600 127.10.0.9",
		"www A 600 127.10.0.1",
		"all A 60 127.10.0.3|127.10.0.1|127.10.0.2",
		"six AAAA 30 ::1",
		"text TXT 60 v=spf1|back\\slash\"quote",
		"alias CNAME 120 www.abc.com",
		"chain CNAME 120 alias.abc.com.",
		"out CNAME 120 www.example.net",
		"dangling CNAME 120 nothing.abc.com",
		"loop1 CNAME 120 loop2.abc.com",
		"loop2 CNAME 120 loop1.abc.com",
		"nested CNAME 120 www.dev.abc.com",
		"*.wild A 60 127.10.0.4",
		"*.wild TXT 60 star",
		"host.sub.wild A 60 127.10.0.5",
		"*.cn CNAME 60 www.abc.com",
		"deep.empty.non A 60 127.10.0.6",
		"Mixed A 60 127.10.0.7",
	),
	zoneOf("dev.abc.com", "www A 60 127.10.0.8", "* A 60 127.10.0.10"),
}

func start(t *testing.T, zones []*spec.DNSZone) string {
	t.Helper()
	s := New()
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if zones != nil {
		compiled, err := Compile(zones)
		if err != nil {
			t.Fatal(err)
		}
		s.Serve(compiled)
	}
	return s.Addr().String()
}

func exchange(t *testing.T, network, addr string, query *dns.Msg) *dns.Msg {
	t.Helper()
	client := dns.Client{Net: network, Timeout: 5 * time.Second}
	response, _, err := client.Exchange(query, addr)
	if err != nil {
		t.Fatalf("%s: %v", network, err)
	}
	return response
}

func ask(name, kind string) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, dns.StringToType[kind])
}

// text is records one a line, fields separated by single spaces.
func text(rrs []dns.RR) string {
	var lines []string
	for _, rr := range rrs {
		if rr.Header().Rrtype == dns.TypeOPT {
			continue
		}
		lines = append(lines, strings.Join(strings.Fields(rr.String()), " "))
	}
	return strings.Join(lines, "\n")
}

func TestAnswers(t *testing.T) {
	addr := start(t, quickstart)
	const (
		noSuchName = "denied NXDOMAIN"
		noSuchType = "denied NOERROR"
	)
	tests := []struct{ why, name, kind, want string }{
		{"tutorial", "www.abc.com.", "A", "www.abc.com. 600 IN A 127.10.0.1"},
		{"apex", "abc.com.", "A", "abc.com. 600 IN A 127.10.0.9"},
		{"all values in the order of the file", "all.abc.com.", "A", "all.abc.com. 60 IN A 127.10.0.3\nall.abc.com. 60 IN A 127.10.0.1\nall.abc.com. 60 IN A 127.10.0.2"},
		{"AAAA", "six.abc.com.", "AAAA", "six.abc.com. 30 IN AAAA ::1"},
		{"TXT, any byte", "text.abc.com.", "TXT", `text.abc.com. 60 IN TXT "v=spf1"` + "\n" + `text.abc.com. 60 IN TXT "back\\slash\"quote"`},
		{"RFC 4343: case of the question is kept", "wWw.ABC.com.", "A", "wWw.ABC.com. 600 IN A 127.10.0.1"},
		{"RFC 4343: case of the file does not matter", "mixed.abc.com.", "A", "mixed.abc.com. 60 IN A 127.10.0.7"},
		{"RFC 1035: NS at the apex", "abc.com.", "NS", "abc.com. 600 IN NS ns.abc.com."},
		{"RFC 2308: no such name", "nothing.abc.com.", "A", noSuchName},
		{"RFC 2308: no such type", "www.abc.com.", "AAAA", noSuchType},
		{"RFC 2308: no such type at the apex", "abc.com.", "TXT", noSuchType},
		{"RFC 8020: below a name that has records", "x.www.abc.com.", "A", noSuchName},
		{"RFC 4592 2.2.2: empty non-terminal", "empty.non.abc.com.", "A", noSuchType},
		{"RFC 4592 2.2.2: empty non-terminal above", "non.abc.com.", "A", noSuchType},
		{"RFC 4592 2.2.1: synthesis", "x.wild.abc.com.", "A", "x.wild.abc.com. 60 IN A 127.10.0.4"},
		{"RFC 4592 2.2.1: synthesis, several labels", "a.b.c.wild.abc.com.", "A", "a.b.c.wild.abc.com. 60 IN A 127.10.0.4"},
		{"RFC 4592 2.2.1: other type of the wildcard", "x.wild.abc.com.", "TXT", `x.wild.abc.com. 60 IN TXT "star"`},
		{"RFC 4592 2.2.1: no such type at the wildcard", "x.wild.abc.com.", "AAAA", noSuchType},
		{"RFC 4592 2.2.1: the wildcard does not match its own parent", "wild.abc.com.", "A", noSuchType},
		{"RFC 4592 2.2.1: asked for by name", "*.wild.abc.com.", "A", "*.wild.abc.com. 60 IN A 127.10.0.4"},
		{"RFC 4592 3.3.1: a closer encloser hides it", "x.sub.wild.abc.com.", "A", noSuchName},
		{"RFC 4592 3.3.1: existing name below", "host.sub.wild.abc.com.", "A", "host.sub.wild.abc.com. 60 IN A 127.10.0.5"},
		{"RFC 4592 3.3.1: empty non-terminal hides it", "sub.wild.abc.com.", "A", noSuchType},
		{"RFC 4592 4.4: CNAME at a wildcard", "x.cn.abc.com.", "A", "x.cn.abc.com. 60 IN CNAME www.abc.com.\nwww.abc.com. 600 IN A 127.10.0.1"},
		{"RFC 1034 3.6.2: CNAME", "alias.abc.com.", "A", "alias.abc.com. 120 IN CNAME www.abc.com.\nwww.abc.com. 600 IN A 127.10.0.1"},
		{"RFC 1034 3.6.2: CNAME itself", "alias.abc.com.", "CNAME", "alias.abc.com. 120 IN CNAME www.abc.com."},
		{"RFC 1034 3.6.2: chain", "chain.abc.com.", "A", "chain.abc.com. 120 IN CNAME alias.abc.com.\nalias.abc.com. 120 IN CNAME www.abc.com.\nwww.abc.com. 600 IN A 127.10.0.1"},
		{"CNAME out of our zones", "out.abc.com.", "A", "out.abc.com. 120 IN CNAME www.example.net."},
		{"CNAME into another zone of ours", "nested.abc.com.", "A", "nested.abc.com. 120 IN CNAME www.dev.abc.com.\nwww.dev.abc.com. 60 IN A 127.10.0.8"},
		{"CNAME loop", "loop1.abc.com.", "A", "loop1.abc.com. 120 IN CNAME loop2.abc.com.\nloop2.abc.com. 120 IN CNAME loop1.abc.com."},
		{"RFC 2308 2.1: CNAME to nothing", "dangling.abc.com.", "A", "dangling.abc.com. 120 IN CNAME nothing.abc.com.\n" + noSuchName},
		{"RFC 2308 2.2: CNAME to no such type", "alias.abc.com.", "TXT", "alias.abc.com. 120 IN CNAME www.abc.com.\n" + noSuchType},
		{"deepest zone wins", "www.dev.abc.com.", "A", "www.dev.abc.com. 60 IN A 127.10.0.8"},
		{"wildcard below an apex", "any.thing.dev.abc.com.", "A", "any.thing.dev.abc.com. 60 IN A 127.10.0.10"},
		{"RFC 8482 4.2: ANY", "all.abc.com.", "ANY", `all.abc.com. 600 IN HINFO "RFC8482" ""`},
		{"RFC 8482 4.2: ANY at a CNAME", "alias.abc.com.", "ANY", "alias.abc.com. 120 IN CNAME www.abc.com."},
		{"ANY, no such name", "nothing.abc.com.", "ANY", noSuchName},
		{"ANY, empty non-terminal", "non.abc.com.", "ANY", noSuchType},
		{"outside", "www.example.net.", "A", "REFUSED"},
		{"above", "com.", "A", "REFUSED"},
		{"root", ".", "NS", "REFUSED"},
		{"not a suffix by labels", "xabc.com.", "A", "REFUSED"},
		{"RFC 5936: AXFR", "abc.com.", "AXFR", "REFUSED"},
		{"RFC 1995: IXFR", "abc.com.", "IXFR", "REFUSED"},
	}
	for _, test := range tests {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(test.why+" "+network, func(t *testing.T) {
				query := ask(test.name, test.kind)
				got := exchange(t, network, addr, query)
				lines := []string{text(got.Answer)}
				if got.Answer == nil {
					lines = nil
				}
				if denied := text(got.Ns); denied != "" {
					lines = append(lines, "denied "+dns.RcodeToString[got.Rcode])
					if soa, is := got.Ns[0].(*dns.SOA); !is || soa.Hdr.Ttl != 60 || soa.Minttl != 60 ||
						!strings.HasSuffix(query.Question[0].Name, soa.Hdr.Name) && !strings.HasSuffix(soa.Hdr.Name, "abc.com.") {
						t.Errorf("authority %s", denied)
					}
				} else if got.Rcode != dns.RcodeSuccess {
					lines = append(lines, dns.RcodeToString[got.Rcode])
				}
				if s := strings.Join(lines, "\n"); s != test.want {
					t.Errorf("%s %s: got\n%s\nwant\n%s", test.name, test.kind, s, test.want)
				}
				if got.Authoritative == (test.want == "REFUSED") {
					t.Errorf("AA is %v", got.Authoritative)
				}
				if got.RecursionAvailable || !got.RecursionDesired || got.Truncated || got.Question[0] != query.Question[0] {
					t.Errorf("header or question: %v", got)
				}
			})
		}
	}
}

func TestSOA(t *testing.T) {
	serial := func(zones ...*spec.DNSZone) uint32 {
		got := exchange(t, "udp", start(t, zones), ask("abc.com.", "SOA"))
		if len(got.Answer) != 1 || got.Rcode != dns.RcodeSuccess {
			t.Fatalf("got %v", got)
		}
		soa := got.Answer[0].(*dns.SOA)
		if soa.Ns != "ns.abc.com." || soa.Mbox != "hostmaster.abc.com." || soa.Serial == 0 || soa.Hdr.Ttl != 600 {
			t.Errorf("got %v", soa)
		}
		return soa.Serial
	}
	one := serial(zoneOf("abc.com", "www A 60 127.0.0.1"))
	if again := serial(zoneOf("abc.com", "www A 60 127.0.0.1")); again != one {
		t.Errorf("the same content has serials %d and %d", one, again)
	}
	if other := serial(zoneOf("abc.com", "www A 60 127.0.0.2")); other == one {
		t.Errorf("other content has the same serial %d", one)
	}
}

func TestTextLongerThanAString(t *testing.T) {
	for _, length := range []int{0, 255, 256, 1000} {
		value := strings.Repeat(`ab\`, length)[:length]
		z := zoneOf("abc.com", "t TXT 60 x")
		z.Records[0].Values = []string{value}
		got := exchange(t, "tcp", start(t, []*spec.DNSZone{z}), ask("t.abc.com.", "TXT"))
		if len(got.Answer) != 1 {
			t.Fatalf("got %v", got)
		}
		parts := got.Answer[0].(*dns.TXT).Txt
		joined := strings.ReplaceAll(strings.Join(parts, ""), `\\`, `\`)
		if joined != value || len(parts) != max(1, (length+254)/255) {
			t.Errorf("%d bytes came as %d strings, equal: %v", length, len(parts), joined == value)
		}
	}
}

// RFC 6891 and RFC 2181 section 9.
func TestEDNSAndTruncation(t *testing.T) {
	values := make([]string, 200)
	for i := range values {
		values[i] = fmt.Sprintf("127.20.0.%d", i)
	}
	addr := start(t, []*spec.DNSZone{zoneOf("abc.com", "big A 60 "+strings.Join(values, "|"), "www A 60 127.0.0.1")})
	tests := []struct {
		name, network string
		size          uint16 // 0 = no OPT
		limit         int
		truncated     bool
	}{
		{"no OPT", "udp", 0, 512, true},
		{"OPT below the least", "udp", 100, 512, true},
		{"OPT", "udp", 1000, 1000, true},
		{"OPT above ours", "udp", 65535, 1232, true},
		{"TCP", "tcp", 0, 65535, false},
		{"TCP with OPT", "tcp", 512, 65535, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			query := ask("big.abc.com.", "A")
			if test.size != 0 {
				query.SetEdns0(test.size, true)
			}
			client := dns.Client{Net: test.network, UDPSize: 65535, Timeout: 5 * time.Second}
			got, _, err := client.Exchange(query, addr)
			if err != nil {
				t.Fatal(err)
			}
			got.Compress = true
			if got.Truncated != test.truncated || got.Len() > test.limit {
				t.Errorf("%d bytes, TC %v", got.Len(), got.Truncated)
			}
			if !test.truncated && len(got.Answer) != len(values) {
				t.Errorf("%d answers of %d", len(got.Answer), len(values))
			}
			opt := got.IsEdns0()
			if (opt != nil) != (test.size != 0) || opt != nil && (opt.UDPSize() != 1232 || !opt.Do() || opt.Version() != 0) {
				t.Errorf("OPT %v", opt)
			}
		})
	}
	t.Run("version 1", func(t *testing.T) {
		query := ask("www.abc.com.", "A")
		query.SetEdns0(1232, false)
		query.IsEdns0().SetVersion(1)
		got := exchange(t, "udp", addr, query)
		if got.Rcode != dns.RcodeBadVers || len(got.Answer) != 0 || got.IsEdns0() == nil || got.IsEdns0().Version() != 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("two OPT", func(t *testing.T) {
		query := ask("www.abc.com.", "A")
		query.SetEdns0(1232, false)
		query.SetEdns0(1232, false)
		if got := exchange(t, "udp", addr, query); got.Rcode != dns.RcodeFormatError || len(got.Answer) != 0 {
			t.Errorf("got %v", got)
		}
	})
}

func TestServeSwaps(t *testing.T) {
	s := New()
	if s.Addr().IsValid() {
		t.Errorf("listens on %v before Listen", s.Addr())
	}
	if err := s.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	addr := s.Addr().String()
	compiled, err := Compile([]*spec.DNSZone{zoneOf("abc.com", "www A 60 127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		zones *Zones
		rcode int
	}{{nil, dns.RcodeRefused}, {compiled, dns.RcodeSuccess}, {nil, dns.RcodeRefused}} {
		s.Serve(step.zones)
		if got := exchange(t, "udp", addr, ask("www.abc.com.", "A")); got.Rcode != step.rcode {
			t.Errorf("got %v", got)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct{ zones, want string }{
		{"www A 60 ::1", "not an IPv4 address"},
		{"www AAAA 60 127.0.0.1", "not an IPv6 address"},
		{"www HINFO 60 x", "type HINFO is not supported"},
		{"www A -1 127.0.0.1", "ttl -1"},
		{"a..b A 60 127.0.0.1", "not a name"},
		{strings.Repeat("a", 64) + " A 60 127.0.0.1", "not a name"},
		{"www CNAME 60 a..b", "not a name"},
		{"@ CNAME 60 www.example.net", "CNAME cannot stand beside"},
		{"www CNAME 60 a.example.net|b.example.net", "CNAME cannot stand beside"},
		{"www A 60 127.0.0.1;www CNAME 60 x.example.net", "CNAME cannot stand beside"},
		{"www CNAME 60 x.example.net;www A 60 127.0.0.1", "CNAME cannot stand beside"},
	}
	for _, test := range tests {
		_, err := Compile([]*spec.DNSZone{zoneOf("abc.com", strings.Split(test.zones, ";")...)})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), `dns_zone["abc.com"]: `) {
			t.Errorf("%s: error %v, want %q", test.zones, err, test.want)
		}
	}
	if _, err := Compile([]*spec.DNSZone{zoneOf("abc.com"), zoneOf("ABC.com")}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("one zone twice: %v", err)
	}
}

func TestListenErrors(t *testing.T) {
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	first := New()
	if err := first.Listen(loopback); err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := first.Listen(loopback); err == nil {
		t.Error("listening twice is not refused")
	}
	second := New()
	err := second.Listen(first.Addr())
	if err == nil || !strings.Contains(err.Error(), first.Addr().String()) || !strings.Contains(err.Error(), "already in use by this process") {
		t.Errorf("port in use: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := second.Listen(loopback); err == nil {
		t.Error("listening after Close is not refused")
	}

	// UDP alone is taken: TCP must be given back. Nobody else uses this address, so
	// its TCP port is free.
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 53, 7, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	third := New()
	defer third.Close()
	if err := third.Listen(at); err == nil || !strings.Contains(err.Error(), "udp port") {
		t.Errorf("UDP port in use: %v", err)
	}
	udp.Close()
	if err := third.Listen(at); err != nil {
		t.Errorf("after a failed Listen: %v", err)
	}
}

func TestDig(t *testing.T) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		t.Skip("dig is not installed")
	}
	at := netip.MustParseAddrPort(start(t, quickstart))
	out, err := exec.Command(dig, "@"+at.Addr().String(), "-p", fmt.Sprint(at.Port()), "+noall", "+answer", "www.abc.com").Output()
	if err != nil || !slices.Equal(strings.Fields(string(out)), []string{"www.abc.com.", "600", "IN", "A", "127.10.0.1"}) {
		t.Errorf("dig: %q, %v", out, err)
	}
}

// TestLookup: what people are told of a name is what the server answers.
func TestLookup(t *testing.T) {
	asker := netip.MustParseAddr("203.0.113.9")
	zones, err := Compile(append([]*spec.DNSZone{{
		Meta: spec.Meta{Address: `dns_zone["weighted.org"]`, Name: "weighted.org"},
		Records: []*spec.Record{
			{Host: "www", Type: "A", TTL: 60, Values: []string{"127.10.0.1", "127.10.0.2"}, Weights: []int{1, 2}},
			{Host: "near", Type: "A", TTL: 60, Values: []string{"127.10.0.3"}, Line: "203.0.113.0/24"},
		},
	}}, quickstart...))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		six  bool
		want string
	}{
		{"www.ABC.com", false, "{abc.com NOERROR [] [127.10.0.1] 600 false false}"},
		{"all.abc.com.", false, "{abc.com NOERROR [] [127.10.0.3 127.10.0.1 127.10.0.2] 60 false false}"},
		{"six.abc.com", true, "{abc.com NOERROR [] [::1] 30 false false}"},
		{"six.abc.com", false, "{abc.com NOERROR [] [] 0 false false}"},
		{"chain.abc.com", false, "{abc.com NOERROR [alias.abc.com www.abc.com] [127.10.0.1] 600 false false}"},
		{"out.abc.com", false, "{abc.com NOERROR [www.example.net] [] 0 false false}"},
		{"x.wild.abc.com", false, "{abc.com NOERROR [] [127.10.0.4] 60 false false}"},
		{"none.abc.com", false, "{abc.com NXDOMAIN [] [] 0 false false}"},
		{"www.dev.abc.com", false, "{dev.abc.com NOERROR [] [127.10.0.8] 60 false false}"},
		{"www.weighted.org", false, "{weighted.org NOERROR [] [127.10.0.1] 60 false true}"},
		{"www.weighted.org", false, "{weighted.org NOERROR [] [127.10.0.1] 60 false true}"}, // nobody's turn is taken
		{"near.weighted.org", false, "{weighted.org NOERROR [] [127.10.0.3] 60 true false}"},
		{"www.example.net", false, "{ REFUSED [] [] 0 false false}"},
	} {
		if got := fmt.Sprint(zones.Lookup(c.name, asker, c.six)); got != c.want {
			t.Errorf("%s (AAAA %v): %s, want %s", c.name, c.six, got, c.want)
		}
	}
	if got := (*Zones)(nil).Lookup("www.abc.com", asker, false).Code; got != "REFUSED" {
		t.Errorf("without zones: %s", got)
	}
}
