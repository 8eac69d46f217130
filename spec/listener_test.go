package spec

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// listenerWith loads one listener of a protocol with a body.
func listenerWith(t *testing.T, protocol, body string) *Listener {
	t.Helper()
	c := mustLoadErrors(t, fmt.Sprintf("instance \"a\" {}\nload_balancer \"lb\" {\n  backend { instance = instance.a }\n  listener %q \"443\" {\n%s\n  }\n}\n", protocol, body))
	return c.LoadBalancers[0].Listeners[0]
}

// What a health check does not say follows from its type and from who asks.
func TestHealthCheckDefaults(t *testing.T) {
	for _, c := range []struct {
		protocol, body string
		want           string
	}{
		{"tcp", "", "tcp 2s 5s   []"},
		{"tcp", "health_check {}", "tcp 2s 5s   []"},
		{"tcp", `health_check { type = "http" }`, "http 2s 5s get / [http_2xx http_3xx]"},
		{"udp", "", "udp 5s 10s   []"},
		{"udp", "health_check { timeout = 1 }", "udp 5s 1s   []"},
		{"udp", `health_check { type = "tcp" }`, "tcp 2s 5s   []"},
		{"http", "", "http 2s 5s head / [http_2xx http_3xx]"},
		{"http", "health_check { uri = null }", "http 2s 5s head / [http_2xx http_3xx]"},
		{"http", "health_check {\n uri = \"/x?y\"\n method = \"get\"\n http_codes = [\"http_5xx\", \"http_2xx\", \"http_5xx\"]\n interval = 3\n}", "http 3s 5s get /x?y [http_2xx http_5xx]"},
	} {
		h := listenerWith(t, c.protocol, c.body).HealthCheck
		if got := fmt.Sprint(h.Type, " ", h.Interval, " ", h.Timeout, " ", h.Method, " ", h.URI, " ", h.HTTPCodes); got != c.want || !h.Enabled {
			t.Errorf("%s %s: %q, want %q", c.protocol, c.body, got, c.want)
		}
	}
}

// The product's word for the server's own address is the default.
func TestCheckOfOwnAddress(t *testing.T) {
	for domain, want := range map[string]string{"$_ip": "", "www.a.test": "www.a.test"} {
		if got := listenerWith(t, "http", fmt.Sprintf("health_check { domain = %q }", domain)).HealthCheck.Domain; got != want {
			t.Errorf("domain %q is %q, want %q", domain, got, want)
		}
	}
}

// A listener has nothing of what only others have.
func TestListenerHasItsOwn(t *testing.T) {
	tcp, http := listenerWith(t, "tcp", ""), listenerWith(t, "http", "")
	if tcp.Gzip || tcp.UpstreamKeepalive || tcp.IdleTimeout != 0 || tcp.Retry.Connect {
		t.Errorf("tcp has of http: %+v", tcp)
	}
	if http.EstablishedTimeout != 0 || http.ProxyProtocol != "" {
		t.Errorf("http has of tcp: %+v", http)
	}
	if !http.Gzip || !http.UpstreamKeepalive || http.IdleTimeout != 15*time.Second || http.RequestTimeout != time.Minute || !http.Retry.Connect {
		t.Errorf("http: %+v", http)
	}
}

func TestListenerBlocks(t *testing.T) {
	l := listenerWith(t, "http", "sticky_session {\n type = \"insert\"\n cookie_timeout = \"10ms\"\n}\naccess_log {}\nretry { on = [] }")
	if s := l.StickySession; s.Cookie != "SERVERID" || s.CookieTimeout != 10*time.Millisecond {
		t.Errorf("sticky_session %+v", s)
	}
	if a := l.AccessLog; a.Format != AccessLogJSON || a.Path != ".slbctl/access/lb-http-443.log" {
		t.Errorf("access_log %+v", a)
	}
	if l.Retry != (Retry{}) {
		t.Errorf("retry %+v", l.Retry)
	}
	if l := listenerWith(t, "udp", "scheduler = \"qch\""); l.QUICIDLength != 8 {
		t.Errorf("quic_id_length %d", l.QUICIDLength)
	}
}

// Balancers with odd names log into files with plain ones.
func TestLogName(t *testing.T) {
	c := mustLoad(t, "instance \"a\" {}\nload_balancer \"lb\" {\n  for_each = toset([\"../x\"])\n  backend { instance = instance.a }\n"+
		"  listener \"http\" \"80\" {\n    access_log {}\n  }\n}\n")
	l := c.LoadBalancers[0].Listeners[0]
	if want := ".slbctl/access/" + l.ID + ".log"; l.AccessLog.Path != want {
		t.Errorf("path %s, want %s", l.AccessLog.Path, want)
	}
}

func TestListenerURL(t *testing.T) {
	const src = `
runtime { port_offset = 8000 }
instance "web" {}
instance "echo" { protocol = "tcp_echo" }
load_balancer "lb" {
  address = %q
  backend { instance = instance.%s }
  listener %q "%d" {}
}
output "url" { value = load_balancer.lb.listener["%[3]s:%[4]d"].url }
`
	for _, c := range []struct {
		address, instance, protocol string
		port                        int
		want                        string
	}{
		{"127.0.0.1", "web", "tcp", 80, "http://127.0.0.1:8080"},
		{"127.0.0.1", "echo", "tcp", 2000, "tcp://127.0.0.1:2000"},
		{"127.0.0.1", "echo", "http", 2000, "http://127.0.0.1:2000"},
		{"127.0.0.1", "web", "udp", 53, "udp://127.0.0.1:8053"},
		{"::1", "web", "http", 80, "http://[::1]:8080"},
	} {
		config := mustLoadErrors(t, fmt.Sprintf(src, c.address, c.instance, c.protocol, c.port))
		if got := config.Outputs[0].Value; got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	zero := 0
	config := mustLoad(t, fmt.Sprintf(src, "::1", "web", "http", 80), func(o *Options) { o.PortOffset = &zero })
	if got := config.Outputs[0].Value; got != "http://[::1]" {
		t.Errorf("url %v", got)
	}
}

func TestACL(t *testing.T) {
	c := mustLoad(t, "acl \"a\" { entries = [\"10.1.0.0/16\", \"203.0.113.9\", \"10.0.0.0/8\", \"10.1.0.0/16\"] }\n"+
		"acl \"b\" {\n  ip_version = \"ipv6\"\n  entries = split(\",\", \"2001:DB8::/32,::1\")\n}\n")
	for i, want := range []string{"10.0.0.0/8 10.1.0.0/16 203.0.113.9/32", "::1/128 2001:db8::/32"} {
		var got []string
		for _, e := range c.ACLs[i].Entries {
			got = append(got, e.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
	if c.ACL("acl.a") != c.ACLs[0] || c.ACL("") != nil {
		t.Error("lookup")
	}
	for _, s := range []string{"", "10.0.0.0/33", "10.0.0/8", "10.0.0.1/31x", "fe80::1%eth0", "fe80::%eth0/10", "::ffff:1.2.3.4", "1.2.3.4/0"} {
		if p, err := parsePrefix(s); err == nil {
			t.Errorf("%q is %v", s, p)
		}
	}
	if p, err := parsePrefix("0.0.0.0/0"); err != nil || p != netip.MustParsePrefix("0.0.0.0/0") {
		t.Error(p, err)
	}
}

// A list as long as the data plane is made for is read in the time that parsing takes.
func TestLongACL(t *testing.T) {
	var src strings.Builder
	src.WriteString("acl \"long\" {\n  entries = [")
	for i := range 30_000 {
		fmt.Fprintf(&src, "\"10.%d.%d.0/24\",", i>>8, i&255)
	}
	src.WriteString("]\n}\n")
	start := cpu(t)
	c := mustLoad(t, src.String())
	if spent := cpu(t) - start; len(c.ACLs[0].Entries) != 30_000 || spent > 3*time.Second {
		t.Errorf("%d entries took %s", len(c.ACLs[0].Entries), spent)
	}
}

// The JSON syntax and dynamic blocks make the same rules as those written out.
func TestRulesOtherwise(t *testing.T) {
	const head = "instance \"a\" {}\nserver_group \"g\" {\n  for_each = toset([\"tom\", \"jerry\"])\n  backend { instance = instance.a }\n}\n"
	written := head + `
load_balancer "lb" {
  listener "http" "80" {
    redirect { port = 81 }
    rule "jerry" {
      url          = "/jerry"
      server_group = server_group.g["jerry"]
      health_check { uri = "/jerry" }
    }
    rule "tom" {
      url          = "/tom"
      server_group = server_group.g["tom"]
      health_check { uri = "/tom" }
    }
  }
  listener "http" "81" { server_group = server_group.g["tom"] }
}
`
	dynamic := head + `
load_balancer "lb" {
  listener "http" "80" {
    redirect { port = 81 }
    dynamic "rule" {
      for_each = toset(["tom", "jerry"])
      labels   = [rule.key]
      content {
        url          = "/${rule.key}"
        server_group = server_group.g[rule.key]
        dynamic "health_check" {
          for_each = ["/${rule.key}"]
          content { uri = health_check.value }
        }
      }
    }
  }
  listener "http" "81" { server_group = server_group.g["tom"] }
}
`
	const inJSON = `{
  "instance": {"a": {}},
  "server_group": {"g": {"for_each": "${toset([\"tom\", \"jerry\"])}", "backend": {"instance": "${instance.a}"}}},
  "load_balancer": {"lb": {"listener": {"http": {
    "80": {"redirect": {"port": 81}, "rule": {
      "tom": {"url": "/tom", "server_group": "${server_group.g[\"tom\"]}", "health_check": {"uri": "/tom"}},
      "jerry": {"url": "/jerry", "server_group": "${server_group.g[\"jerry\"]}", "health_check": {"uri": "/jerry"}}
    }},
    "81": {"server_group": "${server_group.g[\"tom\"]}"}
  }}}}
}`
	want := mustLoad(t, written)
	if got := mustLoad(t, dynamic); cmp.Diff(want, got, exact) != "" {
		t.Errorf("dynamic: %s", cmp.Diff(want, got, exact))
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.slb.json"), []byte(inJSON), 0o600); err != nil {
		t.Fatal(err)
	}
	got, diags := Load(dir, Options{})
	if len(diags) > 0 {
		t.Fatal(render(diags))
	}
	if diff := cmp.Diff(want, got, exact); diff != "" {
		t.Errorf("JSON: %s", diff)
	}
}
