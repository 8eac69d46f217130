package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// withRules wraps the bodies of rules into a configuration.
func withRules(rules ...string) string {
	var b strings.Builder
	b.WriteString("instance \"a\" {}\nserver_group \"g\" {\n  backend { instance = instance.a }\n}\n" +
		"load_balancer \"lb\" {\n  backend { instance = instance.a }\n  listener \"http\" \"81\" {}\n  listener \"http\" \"80\" {\n")
	for i, r := range rules {
		fmt.Fprintf(&b, "    rule \"r%d\" {\n      %s\n      server_group = server_group.g\n    }\n", i, strings.ReplaceAll(r, "; ", "\n      "))
	}
	b.WriteString("  }\n}\n")
	return b.String()
}

func TestRuleResources(t *testing.T) {
	c := mustLoad(t, withRules(`domain = "WWW.A.test"`, `domain = "www.a.test"; url = "/x"`)+
		"output \"id\" { value = load_balancer.lb.listener[\"http:80\"].rule[\"r1\"].id }\n"+
		"output \"domain\" { value = load_balancer.lb.listener[\"http:80\"].rule[\"r0\"].domain }\n"+
		"output \"group\" { value = load_balancer.lb.listener[\"http:80\"].rule[\"r0\"].server_group }\n")
	var kinds []string
	var rule Resource
	for _, r := range c.Resources() {
		kinds = append(kinds, r.Kind)
		if r.Name == "r1" {
			rule = r
		}
	}
	if want := []string{"instance", "server_group", "load_balancer", "listener", "listener", "rule", "rule"}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %v", kinds)
	}
	const address = `load_balancer.lb.listener["http:80"].rule["r1"]`
	if rule.Address != address || rule.ID != NewID(address, 0) || !strings.HasPrefix(rule.ID, "rule-") ||
		!slices.Equal(rule.Refs, []string{"server_group.g"}) {
		t.Errorf("rule %+v", rule)
	}
	listener := c.LoadBalancers[0].Listeners[0]
	if refs := append(listener.Refs, c.LoadBalancers[0].Listeners[1].Refs...); len(refs) > 0 {
		t.Errorf("the listener has its rules' references: %v", refs)
	}
	for i, want := range []string{"www.a.test", "server_group.g", rule.ID} {
		if got := c.Outputs[i].Value; got != want {
			t.Errorf("output %s is %v, want %v", c.Outputs[i].Name, got, want)
		}
	}
}

// A replaced rule has an id of its own, also where its listener stays.
func TestRuleReplacements(t *testing.T) {
	const address = `load_balancer.lb.listener["http:80"].rule["r0"]`
	c := mustLoad(t, withRules(`url = "/x"`), func(o *Options) { o.Recorded.Replacements = map[string]int{address: 2} })
	if r := c.LoadBalancers[0].Listeners[0].Rules[0]; r.Replacements != 2 || r.ID != NewID(address, 2) {
		t.Errorf("rule %+v", r.Meta)
	}
}

func TestNormalURL(t *testing.T) {
	for url, want := range map[string]string{
		"/tom":          "/tom",
		"/t%6Fm":        "/tom",
		"/a//b///c":     "/a/b/c",
		"/a%2fb":        "/a/b",
		"/%2F/%2f":      "/",
		"/a%25b":        "/a%25b",
		"/a%3fb":        "/a%3Fb",
		"/a?b%6F=//":    "/a?b%6F=//",
		"/a%20b":        "/a b",
		"/a#b":          "/a#b",
		"/a.../b":       "/a.../b",
		"/.well-known/": "/.well-known/",
	} {
		if got, err := normalURL(url); got != want || err != nil {
			t.Errorf("normalURL(%q) = %q, %v; want %q", url, got, err, want)
		}
	}
	for _, url := range []string{"/a/..", "/./a", "/%2e%2E/a", "/a%", "/a%4", "/a%4g", "/%00", "/a%5c", "/a%7f"} {
		if got, err := normalURL(url); err == nil {
			t.Errorf("normalURL(%q) = %q", url, got)
		}
	}
}

func TestEqualRules(t *testing.T) {
	for _, c := range []struct {
		one, other string
		equal      bool
	}{
		{`domain = "a.test"`, `domain = "A.test"`, true},
		{`domain = "a.test"`, `domain = "*.a.test"`, false},
		{`url = "/a"`, `url = "/%61"`, true},
		{`url = "/a"`, `url = "/a/"`, false},
		{`url = "/a//b"`, `url = "/a/b"`, true},
		{`domain = "a.test"; url = "/a"`, `domain = "a.test"; url = "/a"`, true},
		{`domain = "a.test"; url = "/a"`, `domain = "a.test"; url = "/A"`, false},
		{`domain = "a.test"; url = "/a"`, `url = "/a"`, false},
	} {
		_, diags := load(t, withRules(c.one, c.other))
		if diags.HasErrors() != c.equal {
			t.Errorf("%s and %s: %s", c.one, c.other, render(diags))
		}
	}
}

// A warning where a rule loses requests to a domain that is not written with it, and
// none where rules are written for each other.
func TestShadowedRules(t *testing.T) {
	for name, c := range map[string]struct {
		rules []string
		want  []string // places in the details
	}{
		"the tutorial": {[]string{`domain = "a.test"; url = "/tom"`, `domain = "a.test"; url = "/jerry"`, `domain = "a.test"`}, nil},
		"prefixes":     {[]string{`url = "/a"`, `url = "/a/b"`}, nil},
		"wildcards":    {[]string{`domain = "*.test"`, `domain = "*.a.test"`, `domain = "b.a.test"`}, nil},
		"strangers":    {[]string{`domain = "*.a.test"; url = "/x"`, `domain = "a.test"`, `domain = "ba.test"`}, nil},
		"URL under a domain": {[]string{`url = "/api"`, `domain = "a.test"`},
			[]string{`Rule "r0" gets no request for a.test/api:`}},
		"URL under a wildcard": {[]string{`url = "/api"`, `domain = "*.a.test"; url = "/x"`},
			[]string{`Rule "r0" gets no request for *.a.test/api:`}},
		"both have the URL": {[]string{`url = "/api"`, `domain = "a.test"; url = "/%61pi"`}, nil},
		"404 instead of the wildcard": {[]string{`domain = "*.a.test"`, `domain = "b.a.test"; url = "/x"`},
			[]string{`Rule "r0" gets no request for b.a.test:`}},
	} {
		_, diags := load(t, withRules(c.rules...))
		var got []string
		for _, d := range diags {
			if d.Severity != SeverityWarning || d.Summary != "Rule shadowed in part" {
				t.Errorf("%s: %s", name, render(diags))
			}
			got = append(got, d.Detail)
		}
		if len(got) != len(c.want) || len(got) > 0 && !strings.HasPrefix(got[0], c.want[0]) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// 10,000 rules are no more than 10,000 times one rule.
func BenchmarkLoad10000Rules(b *testing.B) {
	rules := make([]string, 10_000)
	for i := range rules {
		rules[i] = fmt.Sprintf(`domain = "w%d.a.test"; url = "/u%d"`, i%1000, i)
	}
	benchmarkLoad(b, withRules(rules...))
}
