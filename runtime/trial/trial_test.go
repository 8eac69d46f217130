package trial_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"slbctl/runtime/expect"
	"slbctl/runtime/explain"
	"slbctl/runtime/trial"
	"slbctl/spec"
)

// shop has every way that a request can go.
const shop = `
instance "a" {
  page "/" {
    content = "a"
    headers = { X-Shop = "open", Cache-Control = "no-store" }
  }
  page "/tom" { status = 201 }
  page "/away" {
    status  = 303
    headers = { Location = "/there" }
  }
}
instance "b" {
  page "/" { content = "b" }
  page "/tom" { status = 202 }
}
instance "program" { command = ["sleep", "60"] }
instance "broken" {
  fault { error_rate = 0.5 }
}
instance "stopped" { status = "stopped" }

server_group "a" {
  backend { instance = instance.a }
}
server_group "ab" {
  backend { instance = instance.a }
  backend { instance = instance.b }
}
server_group "program" {
  backend { instance = instance.program }
}
server_group "broken" {
  backend { instance = instance.broken }
}
server_group "stopped" {
  backend { instance = instance.stopped }
}
server_group "foreign" {
  backend {
    address = "127.0.0.1"
    port    = 4444
  }
}
acl "office" { entries = ["192.0.2.0/24"] }

load_balancer "lb" {
  backend { instance = instance.a }

  listener "http" "80" {
    rule "ab" {
      domain       = "ab.test"
      server_group = server_group.ab
    }
    rule "program" {
      domain       = "program.test"
      server_group = server_group.program
    }
    rule "broken" {
      domain       = "broken.test"
      server_group = server_group.broken
    }
    rule "stopped" {
      domain       = "stopped.test"
      server_group = server_group.stopped
    }
    rule "foreign" {
      domain       = "foreign.test"
      server_group = server_group.foreign
    }
    rule "away" {
      url = "/moved"
      redirect { port = 81 }
    }
    rule "part" {
      domain       = "part.test"
      url          = "/tom"
      server_group = server_group.a
    }
  }
  listener "http" "81" {
    server_group = server_group.ab
    acl          = acl.office
    acl_type     = "white"
  }
  listener "tcp" "82" { scheduler = "sch" }
}
dns_zone "test" {
  record "*" "A" { value = load_balancer.lb.address }
}
`

// load reads a configuration with one test; lines are of its request and its expect block.
func load(t *testing.T, source, request, expect string) *spec.Config {
	t.Helper()
	dir := t.TempDir()
	source += fmt.Sprintf("test \"t\" {\n request {\n%s\n }\n expect {\n%s\n }\n}\n", request, expect)
	if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	c, found := spec.Load(dir, spec.Options{})
	if found.HasErrors() {
		t.Fatalf("%v", found)
	}
	return c
}

func TestOffline(t *testing.T) {
	for _, tt := range []struct {
		url, expect string
		want        expect.Verdict
		detail      string // of the check that decides
	}{
		{"http://www.test/", `status = 200`, expect.Pass, "from instance.a"},
		{"http://www.test/", `status = 404`, expect.Fail, ""},
		{"http://www.test/nothing", `status = 404`, expect.Pass, "from instance.a"},
		{"http://www.test/", `header = { X-Shop = "open" }`, expect.Pass, ""},
		{"http://www.test/", `header = { x-shop = "closed" }`, expect.Fail, ""},
		{"http://www.test/", `header = { X-Other = "1" }`, expect.Fail, ""},
		{"http://www.test/", `header = { Vary = "Accept-Encoding" }`, expect.Inconclusive, "ask it with -live"},
		{"http://www.test/away", `location = "/there"`, expect.Pass, ""},
		{"http://www.test/", `rule = ""`, expect.Pass, ""},
		{"http://www.test/", `server_group = "load_balancer.lb"`, expect.Pass, ""},
		{"http://www.test/", `server = instance.a`, expect.Pass, ""},
		{"http://www.test/", `server = instance.b`, expect.Fail, ""},

		{"http://ab.test/", `rule = "ab"`, expect.Pass, ""},
		{"http://ab.test/", `rule = "part"`, expect.Fail, ""},
		{"http://ab.test/", `rule = ""`, expect.Fail, ""},
		{"http://ab.test/", `rule = "load_balancer.lb.listener[\"http:80\"].rule[\"ab\"]"`, expect.Pass, ""},
		{"http://ab.test/", `server_group = server_group.ab`, expect.Pass, ""},
		{"http://ab.test/", `server_group = server_group.a`, expect.Fail, ""},
		{"http://ab.test/", `server = instance.a`, expect.Inconclusive, "instance.a 500, instance.b 500"},
		{"http://ab.test/", `server = instance.broken`, expect.Fail, ""},
		{"http://ab.test/", `status = 200`, expect.Pass, "from instance.a or instance.b"},
		{"http://ab.test/tom", `status = 201`, expect.Inconclusive, "it depends on the server"},

		{"http://program.test/", `status = 200`, expect.Inconclusive, "runs a program"},
		{"http://broken.test/", `status = 200`, expect.Inconclusive, "has a fault"},
		{"http://foreign.test/", `status = 200`, expect.Inconclusive, "not an instance"},
		{"http://foreign.test/", `server = "127.0.0.1:4444"`, expect.Pass, ""},
		{"http://stopped.test/", `status = 502`, expect.Pass, "no server may get new connections"},
		{"http://stopped.test/", `server = instance.stopped`, expect.Fail, ""},

		{"http://www.test/moved/x", `location = "http://www.test:81/moved/x"`, expect.Pass, ""},
		{"http://www.test/moved/x", `location = "http://www.test/"`, expect.Fail, ""},
		{"http://www.test/moved/x", `status = 302`, expect.Pass, ""},
		{"http://www.test/moved/x", `header = { Content-Type = "text/html" }`, expect.Inconclusive, "ask it with -live"},
		{"http://part.test/", `status = 404`, expect.Pass, "none is for the domain alone"},
		{"http://www.test/../x", `status = 400`, expect.Pass, ""},
		{"http://www.test:81/", `status = 0`, expect.Pass, "the connection is reset"},
		{"http://www.test:81/", `header = { X = "1" }`, expect.Fail, ""},
		{"http://www.test:83/", `status = 0`, expect.Pass, "nobody listens"},
		{"http://www.elsewhere/", `status = 0`, expect.Pass, ""},
		{"http://www.test/", `status = 0`, expect.Fail, ""},
		{"tcp://www.test:82", `status = 0`, expect.Fail, ""},
		{"tcp://www.test:84", `status = 0`, expect.Pass, ""},
		{"tcp://www.test:82", `server = instance.a`, expect.Pass, ""},
		{"http://www.test:82/", `status = 200`, expect.Pass, "from instance.a"},

		// The worst of several decides.
		{"http://ab.test/", "rule = \"ab\"\nserver = instance.a", expect.Inconclusive, ""},
		{"http://ab.test/", "rule = \"part\"\nserver = instance.a", expect.Fail, ""},
	} {
		t.Run(tt.url+" "+tt.expect, func(t *testing.T) {
			c := load(t, shop, fmt.Sprintf("url = %q", tt.url), tt.expect)
			runner, err := trial.Offline(c)
			if err != nil {
				t.Fatal(err)
			}
			r, err := runner.Run(c.Tests[0])
			if err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(r.Checks)
			if r.Verdict != tt.want || len(r.Checks) != 1+strings.Count(tt.expect, "\n") || !strings.Contains(string(text), tt.detail) {
				t.Errorf("%s, want %s that says %q: %s", r.Verdict, tt.want, tt.detail, text)
			}
		})
	}
}

// TestWhoAsks: method, headers and address are those of the test.
func TestWhoAsks(t *testing.T) {
	for request, want := range map[string]string{
		"url = \"http://www.test:81/\"\nfrom = \"192.0.2.7:4000\"":     `server_group = server_group.ab`,
		"url = \"http://www.test/\"\nmethod = \"POST\"":                `status = 405`,
		"url = \"http://www.test/\"\nheaders = { Host = \"ab.test\" }": `rule = "ab"`,
	} {
		c := load(t, shop, request, want)
		runner, err := trial.Offline(c)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := runner.Run(c.Tests[0]); err != nil || r.Verdict != expect.Pass {
			t.Errorf("%s: %+v, %v", request, r, err)
		}
	}
	c := load(t, shop, `url = "tcp://www.test:80"`, `server = instance.a`)
	runner, err := trial.Offline(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runner.Run(c.Tests[0]); err == nil || !strings.Contains(err.Error(), `test "t": load_balancer.lb.listener["http:80"] decides by requests`) {
		t.Errorf("a connection to a web listener: %v", err)
	}
}

// TestLive asks a real server; who takes the request is told by whoever is asked for it.
func TestLive(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(t.Context())
		w.Header().Set("Date", "today")
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	endpoint := server.Listener.Addr().String()
	gone := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 1).String()
	for _, tt := range []struct {
		endpoint, request, expect string
		want                      expect.Verdict
		detail                    string
	}{
		{endpoint, `url = "http://www.test/a//%74om?x"
		method = "PUT"
		headers = { Host = "other.test", X-A = "1" }
		from = "127.0.0.9"`, `status = 418`, expect.Pass, ""},
		{endpoint, `url = "http://www.test/"`, `header = { Date = "today" }`, expect.Pass, ""},
		{endpoint, `url = "http://www.test/"`, `header = { X-None = "1" }`, expect.Fail, ""},
		{endpoint, `url = "http://www.test/"`, `status = 200`, expect.Fail, ""},
		{endpoint, `url = "http://www.test/"`, `status = 0`, expect.Fail, ""},
		{gone, `url = "http://www.test/"`, `status = 0`, expect.Pass, ""},
		{"", `url = "http://www.test/"`, `status = 0`, expect.Pass, ""},
		{endpoint, "url = \"http://www.test/\"\nfrom = \"192.0.2.1\"", `status = 418`, expect.Inconclusive, "no request can be sent from 192.0.2.1"},
		{endpoint, `url = "tcp://www.test:80"`, `status = 0`, expect.Fail, ""},
		{endpoint, `url = "udp://www.test:80"`, `status = 0`, expect.Inconclusive, "datagram"},
	} {
		c := load(t, shop, tt.request, tt.expect)
		runner := trial.Live(t.Context(), c, func(q explain.Question) (*explain.Explanation, error) {
			return &explain.Explanation{Endpoint: tt.endpoint, Outcome: explain.Served, URL: q.URL}, nil
		})
		r, err := runner.Run(c.Tests[0])
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(r.Checks)
		if r.Verdict != tt.want || !strings.Contains(string(text), tt.detail) {
			t.Errorf("%s %s: %s, want %s that says %q: %s", tt.request, tt.expect, r.Verdict, tt.want, tt.detail, text)
		}
		if strings.Contains(tt.request, "PUT") {
			from, _ := netip.ParseAddrPort(got.RemoteAddr)
			if got.Method != "PUT" || got.RequestURI != "/a//%74om?x" || got.Host != "other.test" || got.Header.Get("X-A") != "1" || from.Addr().String() != "127.0.0.9" {
				t.Errorf("the server was asked %s %s of %s from %s with %v", got.Method, got.RequestURI, got.Host, from, got.Header)
			}
		}
	}
}

func TestCover(t *testing.T) {
	c := load(t, shop, `url = "http://ab.test/"`, `status = 200`)
	runner, err := trial.Offline(c)
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.Run(c.Tests[0])
	if err != nil {
		t.Fatal(err)
	}
	cover := trial.Cover(c, []*trial.Result{r, r})
	if cover.Rules != 7 || cover.Reached != 1 || len(cover.Unreached) != 6 || cover.Percent != 100.0/7 || strings.Contains(fmt.Sprint(cover.Unreached), `["ab"]`) {
		t.Errorf("%+v", cover)
	}
	if cover := trial.Cover(&spec.Config{}, nil); cover.Percent != 100 {
		t.Errorf("without rules: %+v", cover)
	}
}

// TestURLsAgree: a URL that the language takes is one that can be asked.
func TestURLsAgree(t *testing.T) {
	dir := t.TempDir()
	piece := rapid.SampledFrom([]string{"http", "tcp", "https", "ftp", "://", "/", ":", "80", "0", "65536", "[", "]", "::1", "a.test", "?", "#", "%", "x", "@"})
	rapid.Check(t, func(rt *rapid.T) {
		url := rapid.SampledFrom([]string{"http://", "https://", "tcp://", "udp://", ""}).Draw(rt, "scheme") +
			strings.Join(rapid.SliceOfN(piece, 1, 6).Draw(rt, "pieces"), "")
		source := fmt.Sprintf("test \"t\" {\n request { url = %q }\n expect { status = 0 }\n}\n", url)
		if err := os.WriteFile(filepath.Join(dir, "main.slb.hcl"), []byte(source), 0o600); err != nil {
			rt.Fatal(err)
		}
		_, found := spec.Load(dir, spec.Options{})
		q := trial.QuestionOf(&spec.TestRequest{URL: url, Method: "GET", From: netip.MustParseAddrPort("127.0.0.1:0")})
		if err := q.Check(); found.HasErrors() != (err != nil) {
			rt.Fatalf("%q: the language says %v, explain says %v", url, found, err)
		}
	})
}
