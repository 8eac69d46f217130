package balance

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// routed is a listener with rules written "domain url".
func routed(t interface{ Fatal(...any) }, rules ...string) *Listener {
	l := &Listener{}
	for _, r := range rules {
		domain, url, _ := strings.Cut(r, " ")
		l.Rules = append(l.Rules, &Rule{Name: r, Domain: domain, URL: url})
	}
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	return l
}

// outcome is what a Route says, in the words of routed.
func outcome(r Route) string {
	switch {
	case r.NotFound:
		return "404"
	case r.Rule == nil:
		return "own"
	}
	return r.Rule.Name
}

func TestRoute(t *testing.T) {
	aliyun := []string{"*.aliyun.com ", "*.market.aliyun.com ", "market.aliyun.com /exact"}
	shop := []string{"www.aaa.com /tom", "www.aaa.com /tom/cat", "www.aaa.com ", "www.bbb.com /tom", " /pic", " /pict"}
	cases := []struct {
		rules            []string
		host, path, want string
	}{
		// The product's own examples.
		{aliyun[:2], "market.aliyun.com", "/", "*.aliyun.com "},
		{aliyun[:2], "info.market.aliyun.com", "/", "*.market.aliyun.com "},
		{aliyun[:2], "a.b.market.aliyun.com", "/", "*.market.aliyun.com "},
		{aliyun[:2], "aliyun.com", "/", "own"},
		{aliyun[:2], ".aliyun.com", "/", "own"},
		{aliyun[:2], "xaliyun.com", "/", "own"},
		{aliyun[:2], "a.aliyun.com.evil.org", "/", "own"},
		{[]string{" /abc", " /abcd"}, "x", "/abcde", " /abcd"},
		// The exact domain decides even where a wildcard has a rule that matches.
		{aliyun, "market.aliyun.com", "/other", "404"},
		{aliyun, "market.aliyun.com", "/exact/x", "market.aliyun.com /exact"},

		{shop, "www.aaa.com", "/tom", "www.aaa.com /tom"},
		{shop, "www.aaa.com", "/tomcat", "www.aaa.com /tom"},
		{shop, "www.aaa.com", "/tom/ca", "www.aaa.com /tom"},
		{shop, "www.aaa.com", "/tom/cat?x", "www.aaa.com /tom/cat"},
		{shop, "www.aaa.com", "/to", "www.aaa.com "},
		{shop, "www.aaa.com", "/pic", "www.aaa.com "},
		{shop, "www.bbb.com", "/tom", "www.bbb.com /tom"},
		{shop, "www.bbb.com", "/Tom", "404"},
		{shop, "www.bbb.com", "/pic", "404"},
		{shop, "www.ccc.com", "/pics", " /pic"},
		{shop, "", "/pictures", " /pict"},
		{shop, "", "/tom", "own"},
		{nil, "www.aaa.com", "/", "own"},
	}
	for _, c := range cases {
		if got := outcome(routed(t, c.rules...).Route([]byte(c.host), []byte(c.path))); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.host, c.path, got, c.want)
		}
	}
}

func TestRouteSaysWhere(t *testing.T) {
	l := routed(t, "a.com /x", "a.com /y")
	l.Rules[1].Redirect = &Redirect{Scheme: "https", Code: 301}
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]Route{
		"/x": {Pool: 1, Rule: l.Rules[0]},
		"/y": {Pool: -1, Rule: l.Rules[1], Redirect: l.Rules[1].Redirect},
		"/z": {Pool: -1, NotFound: true},
	} {
		if got := l.Route([]byte("a.com"), []byte(path)); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	if got := l.Route(nil, []byte("/x")); got != (Route{}) {
		t.Errorf("no rule: %+v, want the listener's pool", got)
	}
	l.Redirect = &Redirect{Scheme: "http", Port: 8081, Code: 302}
	for _, rules := range [][]*Rule{l.Rules, nil} {
		l.Rules = rules
		if err := l.Prepare(); err != nil {
			t.Fatal(err)
		}
		if got := l.Route(nil, []byte("/x")); got != (Route{Pool: -1, Redirect: l.Redirect}) {
			t.Errorf("%d rules, none matches: %+v, want the listener's redirect", len(rules), got)
		}
	}
}

func TestRulesThatAreOne(t *testing.T) {
	for _, rules := range [][]string{{"a.com ", "a.com "}, {"a.com /x", "a.com /x"}, {" /x", " /x"}, {"*.a.com /x", "*.a.com /x"}, {" "}} {
		l := &Listener{}
		for i, r := range rules {
			domain, url, _ := strings.Cut(r, " ")
			l.Rules = append(l.Rules, &Rule{Name: fmt.Sprint("r", i), Domain: domain, URL: url})
		}
		if err := l.Prepare(); err == nil {
			t.Errorf("%q were accepted", rules)
		}
	}
}

// linear is Route as the product's documentation tells it, over the list of rules.
func linear(rules []*Rule, host, path string) string {
	domain, found := "", false
	for _, r := range rules {
		suffix, wildcard := strings.CutPrefix(r.Domain, "*")
		covers := r.Domain != "" && host == r.Domain
		if wildcard {
			covers = strings.HasSuffix(host, suffix) && len(host) > len(suffix)
		}
		better := !found || domain[0] == '*' && (!wildcard || len(r.Domain) > len(domain))
		if covers && better {
			domain, found = r.Domain, true
		}
	}
	best := ""
	ok := false
	for _, r := range rules {
		if r.Domain == domain && strings.HasPrefix(path, r.URL) && (!ok || len(r.URL) > len(strings.SplitN(best, " ", 2)[1])) {
			best, ok = r.Name, true
		}
	}
	switch {
	case ok:
		return best
	case found:
		return "404"
	}
	return "own"
}

func TestRouteAgreesWithALinearSearch(t *testing.T) {
	labels := rapid.StringMatching(`[ab](\.[ab]){0,3}`)
	urls := rapid.StringMatching(`/[ab/]{0,5}`)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.Custom(func(t *rapid.T) string {
			domain := rapid.SampledFrom([]string{"", "*.", "="}).Draw(t, "kind")
			if domain != "" {
				domain = strings.TrimPrefix(domain, "=") + labels.Draw(t, "domain")
			}
			if url := urls.Draw(t, "url"); domain == "" || url != "/" {
				return domain + " " + url
			}
			return domain + " "
		}), rapid.ID).Draw(t, "rules")
		l := routed(t, names...)
		for range 20 {
			host, path := rapid.OneOf(labels, rapid.Just("")).Draw(t, "host"), urls.Draw(t, "path")
			if got, want := outcome(l.Route([]byte(host), []byte(path))), linear(l.Rules, host, path); got != want {
				t.Fatalf("%q %q among %q: %q, want %q", host, path, names, got, want)
			}
		}
	})
}

func TestRouteAllocatesNothing(t *testing.T) {
	l := routed(t, "*.a.com /x", "b.com /y", " /z")
	for _, host := range []string{"w.a.com", "b.com", "c.d.e.f", ""} {
		host, path := []byte(host), []byte("/x/y/z")
		if n := testing.AllocsPerRun(100, func() { l.Route(host, path) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", host, n)
		}
	}
}

// BenchmarkRoute asks for rules by turns, domains and URLs, exact and wildcard.
func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{40, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var rules []string
			var hosts, paths [][]byte
			for i := range n / 4 {
				for k, domain := range [...]string{"www.shop%d.com", "*.shop%d.org"} {
					domain = fmt.Sprintf(domain, i)
					hosts = append(hosts, []byte(strings.Replace(domain, "*", "img", 1)), []byte("www.one.com"))
					rules = append(rules, domain+" ", fmt.Sprintf("www.one.com /dir%d/%d", i, k))
					paths = append(paths, []byte("/index.html"), fmt.Appendf(nil, "/dir%d/%d/index.html", i, k))
				}
			}
			l := routed(b, rules...)
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				if k == len(hosts) {
					k = 0
				}
				if r := l.Route(hosts[k], paths[k]); r.Rule == nil {
					b.Fatalf("%s %s: no rule", hosts[k], paths[k])
				}
			}
		})
	}
}
