package spec

import (
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

var ruleKind = func() *kind {
	k := kindOf(ruleBlock, func(l *Listener) *[]*Rule { return &l.Rules }, metaOfRule)
	k.parent = listenerKind
	return k
}()

func metaOfRule(r *Rule) *Meta { return &r.Meta }

func ruleName(r *Rule) string { return r.Name }

var ruleBlock = &block{
	name: "rule",
	// The name is the resource's, so it is not recorded among the attributes.
	labels: []attribute{bind("name", pattern(1, 80, "letters, digits and the characters - / . _", "-/._"), func(r *Rule) *string { return &r.Name }, alias)},
	attributes: []attribute{
		bind("domain", ruleDomain, func(r *Rule) *string { return &r.Domain }, replaces, fallback("")),
		bind("url", ruleURL, func(r *Rule) *string { return &r.URL }, replaces, fallback("")),
		bind("server_group", text, func(r *Rule) *string { return &r.ServerGroup }, reference("server_group"), fallback("")),
		bind("scheduler", word([]string{SchedulerWRR, SchedulerRR, SchedulerWLC, SchedulerP2C, SchedulerLeast}),
			func(r *Rule) *string { return &r.Scheduler }, fallback("")),
	},
	blocks: []child{
		perhaps(redirectBlock, func(r *Rule) **Redirect { return &r.Redirect }),
		perhaps(stickySessionBlock, func(r *Rule) **StickySession { return &r.StickySession }),
		perhaps(healthCheckBlock, func(r *Rule) **HealthCheck { return &r.HealthCheck }),
	},
	hints: map[string]string{
		"rule_name":              "The name is the block's label: rule \"NAME\" { ... }.",
		"name":                   "The name is the block's label: rule \"NAME\" { ... }.",
		"server_group_id":        "Write server_group = server_group.NAME.",
		"load_balancer_id":       "A rule stands inside its listener block.",
		"frontend_port":          "A rule stands inside its listener block.",
		"listener_sync":          "What a rule does not say is as in its listener.",
		"host":                   "Write domain.",
		"path":                   "Write url; it is a prefix.",
		"priority":               "The more specific rule wins; there is no order.",
		"backend":                "Write the backends into a server_group.",
		"sticky_session_type":    "Write type inside a sticky_session block.",
		"cookie":                 "Write cookie inside a sticky_session block.",
		"cookie_timeout":         "Write cookie_timeout inside a sticky_session block.",
		"health_check_uri":       "Write uri inside a health_check block.",
		"health_check_domain":    "Write domain inside a health_check block.",
		"health_check_http_code": "Write http_codes inside a health_check block.",
		"health_check_interval":  "Write interval inside a health_check block.",
		"health_check_timeout":   "Write timeout inside a health_check block.",
		"healthy_threshold":      "Write healthy_threshold inside a health_check block.",
		"unhealthy_threshold":    "Write unhealthy_threshold inside a health_check block.",
	},
	finish: finishRule,
}

// ruleDomain is a name, or a wildcard for all names under one. Case does not
// matter in it.
var ruleDomain = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		s := strings.ToLower(v.AsString())
		if host, port, ok := strings.Cut(s, ":"); ok && validDomain(host) == nil {
			err := fmt.Errorf("has no port: not %q", s)
			return "", hintError{err, fmt.Sprintf("Write %q; the port %s is the listener's.", host, port)}
		}
		if err := validDomain(strings.TrimPrefix(s, "*.")); err != nil {
			return "", fmt.Errorf("must be a name, or a wildcard such as \"*.example.com\": %w", err)
		}
		return s, nil
	}
	c.schema = map[string]any{"type": "string", "maxLength": 255}
	return c
}()

// ruleURL is a prefix of paths, as the product has it; normalURL tells what it matches.
var ruleURL = func() codec[string] {
	c := pattern(1, 80, "letters, digits and the characters - / . % ? # &", urlMarks)
	characters := c.parse
	c.parse = func(v cty.Value) (string, error) {
		s, err := characters(v)
		switch {
		case err != nil:
			return "", err
		case s[0] != '/':
			return "", hintError{fmt.Errorf("must begin with /, not %q", s), fmt.Sprintf("Write %q.", "/"+s)}
		}
		normal, err := normalURL(s)
		switch {
		case err != nil:
			return "", err
		case normal == "/":
			return "", hintError{fmt.Errorf("must be more than %q, which every request has", s), "Leave url out; then the rule is for all of its domain."}
		}
		return s, nil
	}
	return c
}()

// normalURL gives the form in which requests are compared with a rule's prefix:
// escapes are decoded except of % and ?, slashes are single, the query stays as it
// is. A prefix that no request can have in this form is an error.
func normalURL(url string) (string, error) {
	path, query, hasQuery := strings.Cut(url, "?")
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) || unhex(path[i+1]) < 0 || unhex(path[i+2]) < 0 {
				return "", fmt.Errorf("has a %% that two hexadecimal digits do not follow: %q", url)
			}
			c = byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			i += 2
			if c < ' ' || c == 0x7f || c == '\\' {
				return "", fmt.Errorf("has a character that is refused in requests: %q", url)
			}
			if c == '%' || c == '?' {
				fmt.Fprintf(&b, "%%%02X", c)
				continue
			}
		}
		if c == '/' && strings.HasSuffix(b.String(), "/") {
			continue
		}
		b.WriteByte(c)
	}
	for segment := range strings.SplitSeq(b.String(), "/") {
		if segment == "." || segment == ".." {
			return "", fmt.Errorf("has a segment %q, which is refused in requests: %q", segment, url)
		}
	}
	if hasQuery {
		b.WriteString("?" + query)
	}
	return b.String(), nil
}

// unhex is the value of a hexadecimal digit, or negative.
func unhex(c byte) int {
	if 'A' <= c && c <= 'F' {
		c += 'a' - 'A'
	}
	return strings.IndexByte("0123456789abcdef", c)
}

func finishRule(d *decoder, s *site, target any) {
	r := target.(*Rule)
	if !s.has("domain") && !s.has("url") {
		d.errorf(s.rng, "Rule for nothing", "Write domain, url or both. For all requests write server_group or redirect in the listener.",
			"A rule needs a domain or a url.")
	}
	switch group, redirect := s.has("server_group"), r.Redirect != nil; {
	case group && redirect:
		d.errorf(s.at("server_group"), "Two targets", "Keep one of them.", "A rule has a server_group or a redirect.")
	case !group && !redirect:
		d.errorf(s.rng, "Rule without target", "Write server_group = server_group.NAME, or redirect { port = ... }.",
			"A rule needs a server_group or a redirect.")
	case redirect:
		for _, name := range []string{"scheduler", "sticky_session", "health_check"} {
			if s.has(name) || s.child(name, 0).table != nil {
				d.errorf(s.rng, "Unused argument", "Remove it, or write a server_group.", "%s is of no use to a rule with a redirect.", name)
			}
		}
	}
}
