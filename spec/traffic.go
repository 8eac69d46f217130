package spec

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

var trafficBlock = &block{
	name:   "traffic",
	labels: []attribute{bind("name", text, func(t *Traffic) *string { return &t.Name })},
	attributes: []attribute{
		bind("rate", number(1e-6, 1e9), func(t *Traffic) *float64 { return &t.Rate }),
		bind("log", bounded(4096), func(t *Traffic) *string { return &t.Log }, fallback("")),
		bind("arrivals", word([]string{ArrivalsPoisson, ArrivalsConstant}), func(t *Traffic) *string { return &t.Arrivals }, fallback(ArrivalsPoisson)),
		bind("clients", attributesOf[Clients](clientsBlock), func(t *Traffic) *Clients { return &t.Clients }, fallback(map[string]any{})),
		bind("session", attributesOf[Session](sessionBlock), func(t *Traffic) *Session { return &t.Session }, fallback(map[string]any{})),
		bind("request", objects(attributesOf[Request](requestBlock)), func(t *Traffic) *[]Request { return &t.Mix }, fallback([]any{})),
	},
	finish: finishTraffic,
}

// finishTraffic checks that a stream is either drawn or read from a log, which says all
// the rest.
func finishTraffic(d *decoder, s *site, target any) {
	t := target.(*Traffic)
	if s.has("log") && t.Log == "" {
		d.errorf(s.at("log"), "Empty name", "Write log = \"access.log\".", "log is the name of a file.")
	}
	switch {
	case !s.has("rate") && !s.has("log"):
		d.errorf(s.rng, "Missing argument", "Write rate = ..., or log = \"access.log\".", "A traffic needs a rate, or the log that it is in.")
	case s.has("log"):
		for _, name := range []string{"rate", "arrivals", "clients", "session", "request"} {
			if s.has(name) {
				d.errorf(s.at(name), "Unused argument", "Remove it, or log.", "The log says when requests come, from whom and for what: %s is for traffic without log.", name)
			}
		}
	}
	if x := t.Session; x.Connections > max(x.Requests, 1) {
		d.errorf(s.at("session"), "More connections than requests", "Write more requests, or fewer connections.",
			"A session of %d requests cannot spread them over %d connections.", x.Requests, x.Connections)
	}
}

// sessionBlock is written as an object: session = { requests = 8 }.
var sessionBlock = &block{
	name: "session",
	attributes: []attribute{
		bind("requests", integer[int](0, 1e6), func(s *Session) *int { return &s.Requests }, fallback(0.0)),
		bind("cookies", boolean, func(s *Session) *bool { return &s.Cookies }, fallback(true)),
		bind("connections", integer[int](1, 1e6), func(s *Session) *int { return &s.Connections }, fallback(1.0)),
	},
}

// requestBlock is written as an object in a list: request = [{ host = "www.abc.com" }].
var requestBlock = &block{
	name: "request",
	attributes: []attribute{
		bind("weight", integer[int](1, 1e6), func(r *Request) *int { return &r.Weight }, fallback(1.0)),
		bind("host", requestHost, func(r *Request) *string { return &r.Host }, fallback("")),
		bind("path", requestPath, func(r *Request) *string { return &r.Path }, fallback("/")),
	},
}

// requestHost is the name in the URL that a client asks for. Case does not matter in it.
var requestHost = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		s := strings.ToLower(v.AsString())
		if host, port, ok := strings.Cut(s, ":"); ok && validDomain(host) == nil {
			err := fmt.Errorf("has no port: not %q", s)
			return "", hintError{err, fmt.Sprintf("Write %q; the port %s is the listener's.", host, port)}
		}
		return s, validDomain(s)
	}
	c.schema = map[string]any{"type": "string", "maxLength": 253}
	return c
}()

// requestPath is the target of a request, which the balancer may well refuse.
var requestPath = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		s := v.AsString()
		invisible := func(r rune) bool { return r <= ' ' || r >= 0x7f }
		switch {
		case strings.ContainsFunc(s, invisible) || len(s) > 8192:
			return "", fmt.Errorf("must have at most 8192 visible characters of ASCII, the others percent-encoded: not %q", s)
		case !strings.HasPrefix(s, "/"):
			return "", hintError{fmt.Errorf("must begin with /, not %q", s), fmt.Sprintf("Write %q.", "/"+s)}
		}
		return s, nil
	}
	c.schema = map[string]any{"type": "string", "pattern": "^/", "maxLength": 8192}
	return c
}()

// clientsBlock is written as an object: clients = { count = 20000 }.
var clientsBlock = &block{
	name: "clients",
	attributes: []attribute{
		bind("count", integer[int](1, 1<<24), func(c *Clients) *int { return &c.Count }, fallback(1000.0)),
		bind("network", network4, func(c *Clients) *netip.Prefix { return &c.Network }, fallback("203.0.113.0/24")),
		bind("popularity", number(0, 10), func(c *Clients) *float64 { return &c.Popularity }, fallback(0.0)),
	},
}
