package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

var testBlock = &block{
	name:   "test",
	labels: []attribute{bind("name", text, func(t *Test) *string { return &t.Name })},
	blocks: []child{
		atLeastOne(one(testRequestBlock, func(t *Test) *TestRequest { return &t.Request })),
		atLeastOne(one(testExpectBlock, func(t *Test) *TestExpect { return &t.Expect })),
	},
	finish: finishTest,
}

var testRequestBlock = &block{
	name: "request",
	attributes: []attribute{
		bind("url", testURL, func(r *TestRequest) *string { return &r.URL }, required),
		bind("method", testMethod, func(r *TestRequest) *string { return &r.Method }, fallback("GET")),
		bind("headers", testHeaders, func(r *TestRequest) *map[string]string { return &r.Headers }),
		bind("from", testSource, func(r *TestRequest) *netip.AddrPort { return &r.From }, fallback("127.0.0.1")),
	},
	hints: map[string]string{
		"header": "Write headers = { NAME = \"VALUE\" }.",
		"host":   "It is in the url, or in headers = { Host = \"NAME\" }.",
		"path":   "It is in the url.",
		"source": "Write from.",
	},
}

var testExpectBlock = &block{
	name: "expect",
	attributes: []attribute{
		bind("status", optional(testStatus), func(e *TestExpect) **int { return &e.Status }),
		bind("rule", optional(text), func(e *TestExpect) **string { return &e.Rule }),
		bind("server_group", bounded(1024), func(e *TestExpect) *string { return &e.ServerGroup }, reference("server_group"), orText, fallback("")),
		bind("server", bounded(1024), func(e *TestExpect) *string { return &e.Server }, reference("instance"), orText, fallback("")),
		bind("header", testHeaders, func(e *TestExpect) *map[string]string { return &e.Header }),
		bind("location", bounded(8192), func(e *TestExpect) *string { return &e.Location }, fallback("")),
	},
	hints: map[string]string{
		"headers": "Write header = { NAME = \"VALUE\" }.",
		"group":   "Write server_group.",
		"code":    "Write status.",
	},
}

// testURL is the URL of a request, or of a connection: tcp://HOST:PORT.
var testURL = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		err := checkTestURL(v.AsString())
		if err != nil {
			err = hintError{err, "Write http://HOST/PATH, https://HOST/PATH, tcp://HOST:PORT or udp://HOST:PORT."}
		}
		return v.AsString(), err
	}
	c.schema = map[string]any{"type": "string", "pattern": "^(http|https|tcp|udp)://.", "maxLength": 8192}
	return c
}()

func checkTestURL(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || len(s) > 8192 {
		return fmt.Errorf("must have at most 8192 visible characters of ASCII, the others percent-encoded: not %q", s)
	}
	scheme, rest, _ := strings.Cut(s, "://")
	rest, _, _ = strings.Cut(rest, "#")
	host, path := rest, ""
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		host, path = rest[:end], rest[end:]
	}
	port := ""
	if end := strings.LastIndexByte(host, ']'); strings.HasPrefix(host, "[") && end > 0 {
		host, port = host[1:end], host[end+1:]
	} else if at := strings.LastIndexByte(host, ':'); at >= 0 {
		host, port = host[:at], host[at:]
	}
	web := scheme == ProtocolHTTP || scheme == ProtocolHTTPS
	n, err := strconv.ParseUint(strings.TrimPrefix(port, ":"), 10, 16)
	switch {
	case !web && scheme != ProtocolTCP && scheme != ProtocolUDP || host == "":
		return fmt.Errorf("must be a request's, not %q", s)
	case port != "" && (err != nil || n == 0):
		return fmt.Errorf("must have a port from 1 to 65535, not %q", strings.TrimPrefix(port, ":"))
	case !web && port == "":
		return fmt.Errorf("of %s must have a port: %q has none", scheme, s)
	case !web && path != "" && path != "/":
		return fmt.Errorf("of %s must have no path: not %q", scheme, s)
	}
	return nil
}

// isToken is RFC 9110's, section 5.6.2: what methods and names of headers are made of.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
	})
}

var testMethod = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		if s := v.AsString(); !isToken(s) || len(s) > 64 {
			return "", fmt.Errorf("must be a method such as GET, not %q", s)
		}
		return v.AsString(), nil
	}
	c.schema = map[string]any{"type": "string", "pattern": "^[!-~]+$", "maxLength": 64}
	return c
}()

// testHeaders are lines of a request or of an answer, each name once.
var testHeaders = func() codec[map[string]string] {
	c := texts
	c.parse = func(v cty.Value) (map[string]string, error) {
		m, err := texts.parse(v)
		for _, name := range sortedKeys(m) {
			switch {
			case !isToken(name):
				return nil, fmt.Errorf("must have names of headers, and %q is none", name)
			case strings.ContainsFunc(m[name], func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
				return nil, fmt.Errorf("must have values of one line, not that of %s", name)
			}
		}
		return m, err
	}
	return c
}()

// testSource is who asks: an address, or one with a port.
var testSource = func() codec[netip.AddrPort] {
	parse := func(s string) (netip.AddrPort, error) {
		if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
			return netip.AddrPortFrom(ip.Unmap(), 0), nil
		}
		at, err := netip.ParseAddrPort(s)
		if err != nil {
			return at, fmt.Errorf("must be an address such as \"203.0.113.9\" or \"203.0.113.9:40000\", not %q", s)
		}
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
	}
	return codec[netip.AddrPort]{
		typ:   cty.String,
		parse: func(v cty.Value) (netip.AddrPort, error) { return parse(v.AsString()) },
		encode: func(a netip.AddrPort) any {
			if a.Port() == 0 {
				return a.Addr().String()
			}
			return a.String()
		},
		decode: func(v any) (netip.AddrPort, error) {
			s, err := recorded[string](v)
			if err != nil {
				return netip.AddrPort{}, err
			}
			return parse(s)
		},
		schema: map[string]any{"type": "string"},
	}
}()

// testStatus is that of an answer, or 0: there is none, the connection is refused or reset.
var testStatus = func() codec[int] {
	c := integer[int](0, 599)
	parse := c.parse
	c.parse = func(v cty.Value) (int, error) {
		n, err := parse(v)
		if err == nil && n > 0 && n < 100 {
			err = fmt.Errorf("must be from 100 to 599, or 0 where no answer may come, not %d", n)
		}
		return n, err
	}
	return c
}()

// finishTest refuses what no answer of such a request can have.
func finishTest(d *decoder, s *site, target any) {
	t := target.(*Test)
	request, expect := s.child("request", 0), s.child("expect", 0)
	if d.ok && t.Expect.empty() {
		d.errorf(expect.rng, "Nothing expected", "Write status, rule, server_group, server, header or location.", "Every answer would do.")
	}
	scheme, _, _ := strings.Cut(t.Request.URL, "://")
	if scheme != ProtocolTCP && scheme != ProtocolUDP {
		return
	}
	for _, name := range []string{"method", "headers"} {
		if request.has(name) {
			d.errorf(request.at(name), "Unused argument", "Remove it.", "A connection of %s has no %s.", scheme, name)
		}
	}
	for _, name := range []string{"rule", "header", "location"} {
		if expect.has(name) {
			d.errorf(expect.at(name), "Unused argument", "Remove it.", "Nobody answers a connection of %s with a %s.", scheme, name)
		}
	}
	if t.Expect.Status != nil && *t.Expect.Status != 0 {
		d.errorf(expect.at("status"), "Unused argument", "Remove it, or write status = 0 where the connection is to be refused.",
			"Nobody answers a connection of %s with a status.", scheme)
	}
}

func (e *TestExpect) empty() bool {
	return e.Status == nil && e.Rule == nil && e.ServerGroup == "" && e.Server == "" && len(e.Header) == 0 && e.Location == ""
}

// readTests evaluates the test blocks.
func (l *loader) readTests(c *Config) (sites []*site) {
	for n, block := range l.settings[testBlock.name] {
		for _, earlier := range l.settings[testBlock.name][:n] {
			if earlier.Labels[0] == block.Labels[0] {
				l.duplicate("test", block.Labels[0], block.DefRange, earlier.DefRange)
				break
			}
		}
		t := &Test{}
		if s, ok := l.setting(testBlock, block, t); ok {
			c.Tests = append(c.Tests, t)
			sites = append(sites, s)
		}
	}
	return sites
}

// checkTest looks for what a test says is to be reached.
func (l *loader) checkTest(c *Config, t *Test, s *site) {
	d, place := &decoder{l: l}, s.child("expect", 0)
	var rules, groups, servers []string
	for _, g := range c.ServerGroups {
		groups, servers = append(groups, g.Address), append(servers, foreign(g.Backends)...)
	}
	for _, lb := range c.LoadBalancers {
		if len(lb.Backends) > 0 {
			groups, servers = append(groups, lb.Address), append(servers, foreign(lb.Backends)...)
		}
		for _, listener := range lb.Listeners {
			for _, r := range listener.Rules {
				rules = append(rules, r.Name, r.Address)
			}
		}
	}
	for _, i := range c.Instances {
		servers = append(servers, i.Address)
	}
	missing := func(name, value string, known []string) {
		if value != "" && !slices.Contains(known, value) {
			d.errorf(place.at(name), "Nothing of that name", didYouMean(value, known), "There is no %s %q to reach.", name, value)
		}
	}
	if t.Expect.Rule != nil {
		missing("rule", *t.Expect.Rule, rules)
	}
	missing("server_group", t.Expect.ServerGroup, groups)
	missing("server", t.Expect.Server, servers)
}

// foreign are the servers that are not ours, by the names that they have in messages.
func foreign(backends []Backend) (names []string) {
	for _, b := range backends {
		if b.Instance == "" {
			names = append(names, b.describe())
		}
	}
	return names
}
