package spec

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// exact compares configurations field by field; the types of net/netip compare by ==.
var exact = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})}

// randomSource draws a correct configuration.
func randomSource(t *rapid.T) string {
	var b strings.Builder
	instances := rapid.IntRange(1, 4).Draw(t, "instances")
	for i := range instances {
		fmt.Fprintf(&b, "instance \"i%d\" {\n", i)
		maybe(t, &b, "zone = \"z%d\"", 0, 2)
		maybe(t, &b, "status = \"stopped\"\n# %d", 0, 1)
		maybe(t, &b, "ports = [80, %d]", 81, 90)
		maybe(t, &b, "tags = { n = \"%d\" }", 0, 9)
		maybe(t, &b, "lifecycle { prevent_destroy = true } # %d", 0, 1)
		maybe(t, &b, "page \"/p%[1]d\" {\n content = \"<p>%[1]d\"\n headers = { X = \"%[1]d\" }\n}", 0, 9)
		if rapid.Bool().Draw(t, "pinned") {
			fmt.Fprintf(&b, "  address = \"127.10.9.%d\"\n", i+1)
		} else {
			maybe(t, &b, "count = %d", 1, 12)
		}
		b.WriteString("}\n")
	}
	for g := range rapid.IntRange(0, 2).Draw(t, "groups") {
		fmt.Fprintf(&b, "server_group \"g%d\" {\n  backend {\n    instance = instance.i%d\n", g, rapid.IntRange(0, instances-1).Draw(t, "member"))
		maybe(t, &b, "weight = %d", 0, 100)
		maybe(t, &b, "port = %d", 80, 80)
		b.WriteString("  }\n  backend {\n    address = \"127.0.0.1\"\n    port = 9\n  }\n}\n")
	}
	b.WriteString("server_group \"shared\" {\n  backend {\n    address = \"::1\"\n    port = 9\n    max_connections = 7\n  }\n}\n")
	b.WriteString("server_group \"pair\" {\n  type = \"active_standby\"\n  backend {\n    address = \"127.0.0.1\"\n    port = 9\n    role = \"active\"\n  }\n" +
		"  backend {\n    address = \"127.0.0.1\"\n    port = 10\n    role = \"standby\"\n  }\n}\n")
	fmt.Fprintf(&b, "acl \"v4\" { entries = [%s] }\n", strings.Join(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("\"10.%d.0.0/16\"", rapid.IntRange(0, 255).Draw(t, "net"))
	}), 0, 5).Draw(t, "entries"), ", "))
	b.WriteString("acl \"v6\" {\n  ip_version = \"ipv6\"\n  entries = [\"::1\", \"2001:db8::/32\"]\n}\n")
	for lb := range rapid.IntRange(0, 2).Draw(t, "balancers") {
		fmt.Fprintf(&b, "load_balancer \"lb%d\" {\n  backend { instance = instance.i0 }\n", lb)
		if lb > 0 {
			b.WriteString("  address = \"::1\"\n")
		}
		maybe(t, &b, "spec = \"slb.s%d.small\"", 1, 3)
		maybe(t, &b, "bandwidth = %d", 1000, 5120)
		maybe(t, &b, "primary_zone = \"p%d\"", 0, 3)
		b.WriteString("  listener \"http\" \"79\" {}\n")
		for n := range rapid.IntRange(0, 12).Draw(t, "listeners") {
			randomListener(t, &b, 80+n, lb > 0)
		}
		b.WriteString("}\n")
		fmt.Fprintf(&b, "dns_zone \"z%[1]d.test\" {\n  record \"www\" \"%[2]s\" { value = load_balancer.lb%[1]d.address }\n  record \"*\" \"TXT\" { values = [\"a\", \"\"] }\n}\n",
			lb, []string{"A", "AAAA"}[lb])
	}
	return b.String()
}

// randomListener draws a listener of any protocol, with what it can have.
func randomListener(t *rapid.T, b *strings.Builder, port int, v6 bool) {
	protocol := rapid.SampledFrom([]string{"tcp", "udp", "http"}).Draw(t, "protocol")
	fmt.Fprintf(b, "  listener %q \"%d\" {\n", protocol, port)
	defer b.WriteString("  }\n")
	maybe(t, b, "drain = %d", 0, 900)
	maybe(t, b, "slow_start = %d", 0, 900)
	maybe(t, b, "description = \"%d\"", 0, 9)
	maybe(t, b, "bandwidth = %d", 1, 80)
	version := "v4"
	if v6 {
		version = "v6"
	}
	maybe(t, b, "acl = acl."+version+"\n  acl_type = \"black\" # %d", 0, 1)
	if protocol != "http" {
		maybe(t, b, "health_check { port = %d }", 1, 65535)
		maybe(t, b, "persistence_timeout = %d", 0, 3600)
		maybe(t, b, "established_timeout = \"%dms\"", 10, 900000)
		maybe(t, b, "proxy_protocol = \"v2\" # %d", 0, 1)
		maybe(t, b, fmt.Sprintf("accept_proxy_protocol = %v", protocol == "tcp")+" # %d", 0, 1)
		maybe(t, b, "server_group = server_group.pair # %d", 0, 1)
		if protocol == "udp" {
			maybe(t, b, "scheduler = \"qch\"\n  quic_id_length = %d", 1, 20)
		}
		return
	}
	maybe(t, b, "health_check {\n    uri = \"/%d\"\n    http_codes = [\"http_4xx\", \"http_2xx\"]\n  }", 0, 9)
	maybe(t, b, "idle_timeout = %d", 1, 60)
	maybe(t, b, "max_qps = %d", 0, 10)
	maybe(t, b, "gzip = false # %d", 0, 1)
	maybe(t, b, "sticky_session {\n    type = \"insert\"\n    cookie_timeout = %d\n  }", 1, 86400)
	maybe(t, b, "x_forwarded_for {\n    slb_ip = true # %d\n  }", 0, 1)
	maybe(t, b, "retry {\n    attempts = %d\n    on = [\"5xx\", \"timeout\", \"5xx\"]\n  }", 1, 5)
	maybe(t, b, "access_log {\n    format = \"combined\" # %d\n  }", 0, 1)
	for n := range rapid.IntRange(0, 11).Draw(t, "rules") {
		fmt.Fprintf(b, "  rule \"r%[1]d\" {\n    url = \"/u%[1]d\"\n    server_group = server_group.shared\n", n)
		maybe(t, b, "domain = \"*.Z%d.test\"", 0, 9)
		maybe(t, b, "scheduler = \"p2c\" # %d", 0, 1)
		maybe(t, b, "health_check { interval = %d }", 1, 50)
		maybe(t, b, "sticky_session {\n    type = \"server\"\n    cookie = \"C%d\"\n  }", 0, 9)
		b.WriteString("  }\n")
	}
	if rapid.Bool().Draw(t, "redirect") && port > 80 {
		b.WriteString("  rule \"redirect\" {\n    domain = \"r.test\"\n    redirect { port = 79 }\n  }\n")
	}
}

func maybe(t *rapid.T, b *strings.Builder, line string, low, high int) {
	if rapid.Bool().Draw(t, line) {
		fmt.Fprintf(b, "  "+line+"\n", rapid.IntRange(low, high).Draw(t, line))
	}
}

// What a state records is enough to have the configuration back, exactly.
func TestFromResourcesInvertsResources(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		src := randomSource(rt)
		seed := rapid.Uint64().Draw(rt, "seed")
		c := loadIn(t, dir, src, Options{Recorded: Recorded{Seed: seed, Replacements: map[string]int{"instance.i0": 3}}})
		text, err := json.Marshal(c.Resources())
		if err != nil {
			rt.Fatal(err)
		}
		var back []Resource
		if err := json.Unmarshal(text, &back); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(c.Resources(), back); diff != "" {
			rt.Fatalf("JSON changes the resources:\n%s", diff)
		}
		got, err := FromResources(back, c.Runtime, seed)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(c, got, exact); diff != "" {
			rt.Fatalf("%s\n-loaded +restored:\n%s", src, diff)
		}
	})
}

// Loading is a function of its input, and encoding/json carries a Config unchanged.
func TestLoadTwice(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		src := randomSource(rt)
		a, b := loadIn(t, dir, src, Options{}), loadIn(t, dir, src, Options{})
		if diff := cmp.Diff(a, b, exact); diff != "" {
			rt.Fatal(diff)
		}
		text, err := json.Marshal(a)
		if err != nil {
			rt.Fatal(err)
		}
		c := &Config{}
		if err := json.Unmarshal(text, c); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(a, c, exact); diff != "" {
			rt.Fatalf("JSON changes the config:\n%s", diff)
		}
	})
}

// A recorded address never changes and is never given to another resource, and
// what is added next to recorded resources moves none of them.
func TestAllocationIsStable(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		recorded := Recorded{Addresses: map[string]netip.Addr{}}
		owner := map[netip.Addr]string{}
		for range 3 {
			c := loadIn(t, dir, randomSource(rt), Options{Recorded: recorded})
			now := map[netip.Addr]string{}
			note := func(address string, ip netip.Addr, pinned bool) {
				if other := now[ip]; other != "" {
					rt.Fatalf("%s and %s both have %s", other, address, ip)
				}
				now[ip] = address
				if pinned {
					delete(recorded.Addresses, address)
					return
				}
				if other := owner[ip]; other != "" && other != address && recorded.Addresses[other] == ip {
					rt.Fatalf("%s has the recorded address of %s", address, other)
				}
				if old, ok := recorded.Addresses[address]; ok && old != ip && now[old] == "" && !pinnedTo(c, old) {
					rt.Fatalf("%s moved from %s to %s", address, old, ip)
				}
				if ip == netip.MustParseAddr("127.10.0.1") || !c.Runtime.Network.Contains(ip) {
					rt.Fatalf("%s has %s", address, ip)
				}
				recorded.Addresses[address], owner[ip] = ip, address
			}
			for _, i := range c.Instances {
				note(i.Address, i.IP, i.PinnedIP)
			}
			for _, lb := range c.LoadBalancers {
				note(lb.Address, lb.IP, lb.PinnedIP)
			}
		}
	})
}

func pinnedTo(c *Config, ip netip.Addr) bool {
	return slices.ContainsFunc(c.Instances, func(i *Instance) bool { return i.PinnedIP && i.IP == ip })
}

func TestAllocation(t *testing.T) {
	const src = `
variable "extra" { default = 0 }
instance "b" { count = 3 }
instance "a" { count = var.extra }
instance "pinned" { address = "127.10.0.3" }
`
	ip := netip.MustParseAddr
	addresses := func(c *Config) map[string]string {
		out := map[string]string{}
		for _, i := range c.Instances {
			out[i.Address] = i.IP.String()
		}
		return out
	}
	for name, c := range map[string]struct {
		opt  Options
		want map[string]string
	}{
		"in order, around the pinned one": {Options{}, map[string]string{
			"instance.b[0]": "127.10.0.2", "instance.b[1]": "127.10.0.4", "instance.b[2]": "127.10.0.5"}},
		"a new one takes a new address": {Options{Vars: []string{"extra=1"}, Recorded: Recorded{Addresses: map[string]netip.Addr{
			"instance.b[0]": ip("127.10.0.2"), "instance.b[1]": ip("127.10.0.4"), "instance.b[2]": ip("127.10.0.5")}}}, map[string]string{
			"instance.a[0]": "127.10.0.6", "instance.b[0]": "127.10.0.2", "instance.b[1]": "127.10.0.4", "instance.b[2]": "127.10.0.5"}},
		"what is gone keeps its address": {Options{Recorded: Recorded{Addresses: map[string]netip.Addr{
			"instance.gone": ip("127.10.0.2"), "instance.b[2]": ip("127.10.7.7")}}}, map[string]string{
			"instance.b[0]": "127.10.0.4", "instance.b[1]": "127.10.0.5", "instance.b[2]": "127.10.7.7"}},
		"what cannot stay moves": {Options{Recorded: Recorded{Addresses: map[string]netip.Addr{
			"instance.b[0]": ip("127.99.0.1"), "instance.b[1]": ip("127.10.0.1"), "instance.b[2]": ip("127.10.0.3")}}}, map[string]string{
			"instance.b[0]": "127.10.0.2", "instance.b[1]": "127.10.0.4", "instance.b[2]": "127.10.0.5"}},
	} {
		c.want["instance.pinned"] = "127.10.0.3"
		if diff := cmp.Diff(c.want, addresses(mustLoad(t, src, func(o *Options) { *o = c.opt }))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestFromResourcesRefusesNonsense(t *testing.T) {
	c := mustLoad(t, "instance \"a\" {}\ndns_zone \"a.test\" {\n record \"www\" \"A\" { value = instance.a.address }\n}\n")
	for name, spoil := range map[string]func([]Resource) []Resource{
		"unknown kind":  func(rs []Resource) []Resource { rs[0].Kind = "thing"; return rs },
		"no parent":     func(rs []Resource) []Resource { return slices.Delete(rs, 1, 2) },
		"wrong type":    func(rs []Resource) []Resource { rs[0].Attributes["zone"] = 5.0; return rs },
		"wrong address": func(rs []Resource) []Resource { rs[0].Attributes["address"] = "here"; return rs },
		"wrong page":    func(rs []Resource) []Resource { rs[0].Attributes["page"] = []any{"x"}; return rs },
		"wrong list":    func(rs []Resource) []Resource { rs[0].Attributes["ports"] = []any{"x"}; return rs },
		"wrong map":     func(rs []Resource) []Resource { rs[0].Attributes["tags"] = map[string]any{"x": 1.0}; return rs },
	} {
		if _, err := FromResources(spoil(c.Resources()), c.Runtime, 0); err == nil || !strings.HasPrefix(err.Error(), "resource ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a state of an older version does not hold has its default.
func TestFromResourcesOfAnOlderVersion(t *testing.T) {
	c := mustLoadErrors(t, withRules(`url = "/x"`)+"load_balancer \"older\" {\n  backend { instance = instance.a }\n  listener \"udp\" \"53\" {}\n}\n")
	rs := c.Resources()
	for _, r := range rs {
		for _, name := range []string{"health_check", "slow_start", "retry", "gzip", "bandwidth", "spec", "sticky_session", "x_forwarded_for"} {
			delete(r.Attributes, name)
		}
	}
	got, err := FromResources(rs, c.Runtime, c.Seed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, got, exact); diff != "" {
		t.Error(diff)
	}
}

func TestLookups(t *testing.T) {
	c := mustLoad(t, "instance \"web\" { count = 12 }\nserver_group \"g\" {\n backend { instance = instance.web }\n}\nload_balancer \"lb\" {}\n")
	for _, i := range c.Instances {
		if c.Instance(i.Address) != i {
			t.Errorf("%s is not found", i.Address)
		}
	}
	if c.ServerGroup("server_group.g") == nil || c.LoadBalancer("load_balancer.lb") == nil {
		t.Error("not found")
	}
	if c.Instance("instance.web[12]") != nil || c.Instance("") != nil || c.ServerGroup("x") != nil || c.LoadBalancer("x") != nil {
		t.Error("found what is not there")
	}
}

// Each of many resources may name one of as many others: that is looked up, not looked for.
func TestKeyedReferencesOfMany(t *testing.T) {
	began := time.Now()
	mustLoadErrors(t, `
runtime { network = "127.0.0.0/8" }
locals { all = { for i in setproduct(range(100), range(100)) : "${i[0]}-${i[1]}" => "z" } }
instance "web" {
  for_each = local.all
  zone     = each.value
}
server_group "one" {
  for_each = local.all
  backend { instance = instance.web[each.key] }
}
`)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("10,000 references take %v", took)
	}
}
