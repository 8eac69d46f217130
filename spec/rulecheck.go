package spec

import (
	"fmt"
	"strings"
)

// target is what a rule is for. Requests choose the most specific domain that has
// rules, and inside it the longest prefix.
type target struct{ domain, url string }

// String writes a target as a user would: www.abc.com/tom, *.abc.com, /jerry.
func (t target) String() string { return t.domain + t.url }

// checkRules looks for rules that no request can reach, or fewer than it seems.
func checkRules(d *decoder, s *site, l *Listener) {
	names := make(map[string]bool, len(l.Rules))
	targets := make(map[target]*Rule, len(l.Rules))
	for n, r := range l.Rules {
		place := s.child("rule", n)
		if names[r.Name] {
			d.errorf(place.label(0), "Duplicate rule", "", "%s has a rule %q already.", l.Address, r.Name)
			continue
		}
		names[r.Name] = true
		normal, err := normalURL(r.URL)
		if err != nil || r.Domain == "" && r.URL == "" {
			continue // reported where it is written
		}
		at := target{r.Domain, normal}
		if earlier := targets[at]; earlier != nil {
			d.errorf(place.rng, "Rule that never matches", "Remove one of them, or give it another domain or url.",
				"Rule %q is for %s, but so is rule %q.", r.Name, at, earlier.Name)
			continue
		}
		targets[at] = r
	}
	warnShadowed(d, s, l, targets)
}

// warnShadowed looks for rules that other domains' rules take requests from: a
// request is held against the rules of one domain only. That a longer prefix of the
// same domain wins, or a rule written for the same URL, is what its author meant.
func warnShadowed(d *decoder, s *site, l *Listener, targets map[target]*Rule) {
	var domains []string
	listed := map[string]bool{}
	for _, r := range l.Rules {
		if r.Domain != "" && !listed[r.Domain] {
			listed[r.Domain] = true
			domains = append(domains, r.Domain)
		}
	}
	for n, r := range l.Rules {
		if r.Domain != "" && r.Domain[0] != '*' {
			continue // nothing is more specific than a name
		}
		normal, _ := normalURL(r.URL)
		for _, other := range domains {
			if moreSpecific(other, r.Domain) && targets[target{other, normal}] == nil {
				d.l.reports.warn(s.child("rule", n).rng, "Rule shadowed in part",
					fmt.Sprintf("Rule %q gets no request for %s: %s has rules of its own, and none of them is for %s.",
						r.Name, target{other, r.URL}, other, allOr(r.URL)),
					fmt.Sprintf("Add a rule for %s if it should.", target{other, r.URL}))
				break
			}
		}
	}
}

// moreSpecific reports whether requests for domain are among those that wide is for;
// the empty domain is for all.
func moreSpecific(domain, wide string) bool {
	if domain == wide {
		return false
	}
	suffix, wildcard := strings.CutPrefix(wide, "*")
	return wide == "" || wildcard && strings.HasSuffix(domain, suffix)
}

func allOr(url string) string {
	if url == "" {
		return "all of it"
	}
	return url
}
