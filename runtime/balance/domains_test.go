package balance

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestServerNames(t *testing.T) {
	s := NewServerNames([]string{"a.test", "*.a.test", "*.b.a.test", "c.b.a.test"})
	for name, want := range map[string]int{
		"a.test": 0, "A.Test": 0, "a.test.": 0, "x.a.test": 1, "b.a.test": 1, "x.y.a.test": 1, "x.b.a.test": 2, "x.y.b.a.test": 2,
		"c.b.a.test": 3, "": -1, ".": -1, "test": -1, "xa.test": -1, ".a.test": -1, "b.test": -1, "127.0.0.1": -1,
	} {
		if got := s.Pick(name); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
	if NewServerNames(nil).Pick("a.test") != -1 {
		t.Error("a certificate out of nothing")
	}
}

// TestServerNamesByDefinition tries every domain, and takes the longest that covers.
func TestServerNamesByDefinition(t *testing.T) {
	label := rapid.SampledFrom([]string{"a", "b", "cc"})
	name := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".") })
	domain := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "*."}).Draw(t, "star") + name.Draw(t, "domain")
	})
	rapid.Check(t, func(t *rapid.T) {
		domains := rapid.SliceOfNDistinct(domain, 0, 6, rapid.ID[string]).Draw(t, "domains")
		asked := name.Draw(t, "asked")
		best := -1
		for i, d := range domains {
			suffix, wild := strings.CutPrefix(d, "*")
			covers := d == asked || wild && strings.HasSuffix(asked, suffix)
			if covers && (d == asked || best < 0 || domains[best] != asked && len(d) > len(domains[best])) {
				best = i
			}
		}
		if got := NewServerNames(domains).Pick(asked); got != best {
			t.Fatalf("%q of %q: %d, want %d", asked, domains, got, best)
		}
		l := &Listener{}
		for _, d := range domains {
			l.Rules = append(l.Rules, &Rule{Name: d, Domain: d})
		}
		if err := l.Prepare(); err != nil {
			t.Fatal(err)
		}
		route := l.Route([]byte(asked), []byte("/"))
		if route.Rule == nil != (best < 0) || best >= 0 && route.Rule.Domain != domains[best] {
			t.Fatalf("%q of %q: rules and certificates are chosen differently: %v", asked, domains, slices.Index(domains, domains[max(best, 0)]))
		}
	})
}
