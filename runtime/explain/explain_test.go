package explain

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

const config = `
runtime { port_offset = 8000 }
instance "a" {}
instance "b" {}
instance "c" { status = "stopped" }
server_group "web" {
  backend { instance = instance.a }
  backend { instance = instance.b }
}
server_group "gone" {
  backend { instance = instance.c }
}
acl "office" { entries = ["10.0.0.0/8", "10.1.0.0/16"] }
certificate "own" { domains = ["www.abc.com"] }
certificate "shop" { domains = ["*.shop.com"] }
load_balancer "lb" {
  address = "127.10.0.100"
  backend { instance = instance.a }
  backend { instance = instance.b }
  listener "http" "80" {
    scheduler = "rr"
    acl       = acl.office
    acl_type  = "black"
    sticky_session {
      type           = "insert"
      cookie_timeout = "1h"
    }
    rule "tom" {
      domain       = "www.abc.com"
      url          = "/tom"
      server_group = server_group.web
    }
    rule "any" {
      domain       = "*.abc.com"
      server_group = server_group.web
    }
    rule "sick" {
      url          = "/sick"
      server_group = server_group.gone
    }
    rule "safe" {
      domain = "safe.abc.com"
      redirect { port = 443 }
    }
  }
  listener "https" "443" {
    certificate = certificate.own
    additional_certificate "*.shop.com" { certificate = certificate.shop }
  }
  listener "tcp" "81" { persistence_timeout = "1m" }
  listener "tcp" "82" {
    scheduler = "wlc"
    acl       = acl.office
    acl_type  = "white"
  }
  listener "udp" "53" { server_group = server_group.gone }
  listener "tcp" "83" { status = "stopped" }
  listener "tcp" "84" { scheduler = "tch" }
  listener "tcp" "85" { scheduler = "p2c" }
}
dns_zone "abc.com" {
  record "www" "A" { value = load_balancer.lb.address }
  record "safe" "CNAME" { value = "www.abc.com" }
  record "six" "AAAA" { value = "::1" }
  record "note" "TXT" { value = "x" }
}
`

func world(t *testing.T) *World {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.slb.hcl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c, found := spec.Load(dir, spec.Options{})
	if found.HasErrors() {
		t.Fatal(found)
	}
	w, err := Assume(c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func ask(t *testing.T, w *World, url string, headers ...string) *Explanation {
	t.Helper()
	e, err := w.Explain(Question{URL: url, From: netip.MustParseAddrPort("203.0.113.9:0"), Headers: headers, Next: 2})
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return e
}

// told is an explanation in few words: what becomes of it, then each step.
func told(e *Explanation) string {
	lines := []string{strings.TrimSpace(e.Outcome + " " + e.Server + e.Location)}
	for _, s := range e.Steps {
		line := s.Name + " " + s.Result + ": " + s.Reason
		if s.Otherwise != "" {
			line += " | " + s.Otherwise
		}
		lines = append(lines, line)
	}
	return strings.Join(append(lines, e.Notes...), "\n")
}

func TestExplain(t *testing.T) {
	w := world(t)
	for _, c := range []struct {
		url     string
		headers []string
		status  int
		want    []string // each in what is told
	}{
		{"http://www.abc.com/tom", nil, 0, []string{
			"served instance.a", "dns 127.10.0.100: A record of www.abc.com in zone abc.com, for 600 s",
			`listener load_balancer.lb.listener["http:80"]: it has 127.10.0.100 port 80, bound as 8080`,
			"acl passes: no entry of the black list acl.office has 203.0.113.9 | the connection is reset",
			`rule rule["tom"]: rules have the domain www.abc.com; of its rules, /tom is the longest url that /tom begins with | rule["any"]`,
			"group server_group.web: 2 of its 2 servers get new connections",
			"stickiness new: the request has no cookie SERVERID; the answer sets SERVERID=",
			"scheduler rr: ticket 0 is turn 1 of 2, which is instance.a's | instance.b, should it refuse the connection",
		}},
		{"HTTP://www.abc.com:8080//t%6fm?x#y", nil, 0, []string{`rule rule["tom"]`, "//t%6fm?x is read as /tom?x"}},
		{"http://www.abc.com", nil, 404, []string{"not found", "rules have the domain www.abc.com; no url of its rules begins /, and none is for the domain alone"}},
		{"http://www.abc.com/../tom", nil, 400, []string{"refused", "request 400 Bad Request: the path could be understood in two ways"}},
		{"http://www.abc.com/a b", nil, 400, []string{"refused", "request 400 Bad Request"}},
		{"http://safe.abc.com/x?y", nil, 302, []string{"redirected https://safe.abc.com:8443/x?y", "safe.abc.com, an alias of www.abc.com", `rule["safe"], a redirect to https`, `| rule["any"]`}},
		{"http://127.10.0.100/", []string{"Host: Other.abc.com."}, 0, []string{"dns 127.10.0.100: the URL has an address", "*.abc.com is the narrowest domain that covers other.abc.com; no url of its rules begins /, and this one has none"}},
		{"http://127.10.0.100/sick", nil, 502, []string{"failed", "no rule's domain covers 127.10.0.100; of the rules without domain, /sick is the longest", "0 of its 1 servers", "scheduler 502 Bad Gateway: no server may get new"}},
		{"http://127.10.0.100/x", nil, 0, []string{"rule the listener's own servers: no rule's domain covers 127.10.0.100; no url of the rules without domain begins /x"}},
		{"http://six.abc.com/", nil, 0, []string{"unreachable", "dns ::1: AAAA record", "nobody listens at ::1 port 80"}},
		{"http://note.abc.com/", nil, 0, []string{"unreachable", "dns NOERROR: zone abc.com has note.abc.com, but no address"}},
		{"http://x.abc.com/", nil, 0, []string{"unreachable", "dns NXDOMAIN: zone abc.com has no name x.abc.com"}},
		{"http://www.example.org/", nil, 0, []string{"unreachable", `dns REFUSED: no zone here has www.example.org`, `http://IP/ -header "Host: www.example.org"`}},
		{"http://www.abc.com:99/", nil, 0, []string{"unreachable", "listener none: nobody listens at 127.10.0.100 port 99", `| load_balancer.lb.listener["http:80"], `}},
		{"tcp://127.10.0.100:83", nil, 0, []string{"unreachable", "it is stopped"}},
		{"https://www.abc.com/", nil, 0, []string{"served instance.a", "tls certificate.own: the listener's own: no additional certificate is for www.abc.com", "the listener has no rules"}},
		{"https://127.10.0.100/", nil, 0, []string{"tls certificate.own"}},
		{"https://www.abc.com:80/", nil, 400, []string{"refused", "a handshake is no request"}},
		{"http://www.abc.com:443/", nil, 400, []string{"refused", "a request without is refused"}},
		{"tcp://www.abc.com:81", nil, 0, []string{"served instance.a", "group load_balancer.lb", "stickiness new: 203.0.113.9 was not here within 1m0s"}},
		{"tcp://127.10.0.100:82/", nil, 0, []string{"denied", "acl denied: no entry of the white list acl.office has 203.0.113.9: the connection is reset"}},
		{"udp://127.10.0.100:53", nil, 0, []string{"failed", "scheduler the datagram is dropped"}},
		{"http://127.10.0.100:84/", nil, 0, []string{"served", "tch: the hash of 203.0.113.9:0 and 127.10.0.100:8084 is slot", "the first apply draws the key", "tch hashes the client's port too"}},
		{"tcp://127.10.0.100:85", nil, 0, []string{"served", "p2c: ticket 0 draws instance."}},
	} {
		e := ask(t, w, c.url, c.headers...)
		for _, want := range c.want {
			if !strings.Contains(told(e), want) {
				t.Errorf("%s: no %q in\n%s", c.url, want, told(e))
			}
		}
		if e.Status != c.status {
			t.Errorf("%s: status %d, want %d", c.url, e.Status, c.status)
		}
		if served := e.Outcome == Served; served != (len(e.Picks) == 2 && e.Picks[0].Server == e.Server && e.Server != "") {
			t.Errorf("%s: %s, picks %v", c.url, e.Outcome, e.Picks)
		}
	}
}

// TestEntryOfAccessList: the narrowest entry is told.
func TestEntryOfAccessList(t *testing.T) {
	w := world(t)
	e, err := w.Explain(Question{URL: "tcp://127.10.0.100:82", From: netip.MustParseAddrPort("10.1.2.3:0"), Next: 1})
	if err != nil || !strings.Contains(told(e), "acl passes: entry 10.1.0.0/16 of the white list acl.office has 10.1.2.3") {
		t.Errorf("%v\n%s", err, told(e))
	}
}

// listener finds one of a world's by its port.
func (w *World) listener(port uint16) *Listener {
	return &w.Listeners[slices.IndexFunc(w.Listeners, func(l Listener) bool { return l.Port == port })]
}

// TestStickiness: a cookie keeps its client, unless its server does not serve.
func TestStickiness(t *testing.T) {
	w := world(t)
	l := w.listener(80)
	cookie := "Cookie: x=y; SERVERID=" + l.CookieValue(1)
	e := ask(t, w, "http://127.10.0.100/", cookie)
	if e.Server != "instance.b" || !e.Picks[1].Kept || !strings.Contains(told(e), "stickiness kept: cookie SERVERID names instance.b\nscheduler rr: it is not asked | instance.a") {
		t.Error(told(e))
	}
	e = ask(t, w, "http://127.10.0.100/", "Cookie: SERVERID=0123456789abcdef")
	if e.Server != "instance.a" || !strings.Contains(told(e), "stickiness new: cookie SERVERID names no server of this group; the answer sets SERVERID="+l.CookieValue(0)+" for 3600 s") {
		t.Error(told(e))
	}
	l.Health = func(pool, i int) (balance.Health, string) {
		if i == 1 {
			return balance.Abnormal, "connection refused"
		}
		return balance.Normal, ""
	}
	l.Tables[0] = l.Pool.Table(func(i int) balance.Health { h, _ := l.Health(0, i); return h })
	e = ask(t, w, "http://127.10.0.100/", cookie)
	if e.Server != "instance.a" || !strings.Contains(told(e), "stickiness moves: cookie SERVERID names instance.b, which is abnormal (connection refused); the answer sets") ||
		!strings.Contains(told(e), "| nobody: no other server") {
		t.Error(told(e))
	}
}

// TestPersistence: whoever was here goes where it went, and asking does not count as being here.
func TestPersistence(t *testing.T) {
	w := world(t)
	w.Now = int64(time.Hour)
	l := w.listener(81)
	source := netip.MustParseAddr("203.0.113.9")
	for range 2 {
		if e := ask(t, w, "tcp://127.10.0.100:81"); e.Server != "instance.a" || e.Picks[0].Kept || !e.Picks[1].Kept {
			t.Error(told(e), e.Picks)
		}
	}
	l.States[0].Persist(source, 1, w.Now-int64(time.Second))
	if e := ask(t, w, "tcp://127.10.0.100:81"); e.Server != "instance.b" || !e.Picks[0].Kept || !strings.Contains(told(e), "stickiness kept: 203.0.113.9 was sent to instance.b within 1m0s") {
		t.Error(told(e))
	}
}

// TestFull: who has all that it takes is passed over, and that is told.
func TestFull(t *testing.T) {
	w := world(t)
	l := w.listener(80)
	p := &l.Pool
	p.Backends[0].MaxConnections, p.Backends[1].MaxConnections = 1, 1
	l.States[0] = balance.NewState(p, nil)
	l.Tables[0] = p.Table(func(int) balance.Health { return balance.Normal })
	if !l.Tables[0].PickSticky(l.States[0], 0) {
		t.Fatal("no place on an idle server")
	}
	e := ask(t, w, "http://127.10.0.100/", "Cookie: SERVERID="+l.CookieValue(0))
	if e.Server != "instance.b" || !strings.Contains(told(e), "names instance.a, which is full") || !strings.Contains(told(e), "instance.a has all that it takes, so the next one in line gets it") {
		t.Error(told(e))
	}
	l.Tables[0].PickSticky(l.States[0], 1)
	if e = ask(t, w, "http://127.10.0.100/"); e.Outcome != Failed || e.Status != 502 || !strings.Contains(told(e), "every server that may get new connections has all that it takes") {
		t.Error(told(e))
	}
}

func TestQuestions(t *testing.T) {
	w := world(t)
	for url, want := range map[string]string{
		"www.abc.com/":           "is no request: write http://",
		"ftp://www.abc.com/":     "is no request",
		"http:///x":              "names no host",
		"tcp://www.abc.com":      "write the port, tcp://www.abc.com:PORT",
		"tcp://www.abc.com:81/x": "has no path",
		"http://www.abc.com:0/":  `port "0" is not one of 1 to 65535`,
		"http://[::1]:x/":        `port "x" is not`,
		"tcp://www.abc.com:80":   `listener["http:80"] decides by requests: write http://www.abc.com/PATH`,
	} {
		if _, err := w.Explain(Question{URL: url, From: netip.MustParseAddrPort("203.0.113.9:0"), Next: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	for _, q := range []Question{
		{URL: "http://a/"}, {URL: "http://a/", Next: MaxNext + 1},
		{URL: "http://a/", Next: 1, Headers: []string{"x"}}, {URL: "http://a/", Next: 1, Headers: []string{"a: b\r\nc: d"}},
		{URL: "http://a/\r\nb: c", Next: 1}, {URL: "http://a/", Method: "GET / HTTP/1.1\n", Next: 1},
		{URL: "tcp://a:1", Next: 1, Headers: []string{"a: b"}},
	} {
		if q.Check() == nil {
			t.Errorf("%+v may be asked", q)
		}
	}
}
