package spec

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// insertCookie is what only cookies of the balancer's own making have.
var insertCookie = &variant{
	words: []string{StickyInsert}, noun: "sticky_session",
	of: func(target any) string { return target.(*StickySession).Type },
}

var stickySessionBlock = &block{
	name: "sticky_session",
	attributes: []attribute{
		bind("type", word([]string{StickyInsert, StickyServer}), func(s *StickySession) *string { return &s.Type }, required),
		bind("cookie", cookieName, func(s *StickySession) *string { return &s.Cookie }),
		bind("cookie_timeout", duration(shortest, 86400*time.Second),
			func(s *StickySession) *time.Duration { return &s.CookieTimeout }, only(insertCookie)),
	},
	hints: map[string]string{
		"sticky_session_type": "Write type.",
		"name":                "Write cookie.",
		"timeout":             "Write cookie_timeout.",
	},
	complete: func(_, target any) {
		if s := target.(*StickySession); s.Type == StickyInsert && s.Cookie == "" {
			s.Cookie = "SERVERID"
		}
	},
	finish: func(d *decoder, s *site, target any) {
		switch sticky := target.(*StickySession); {
		case sticky.Type == StickyServer && !s.has("cookie"):
			d.errorf(s.rng, "Missing argument", "Write cookie = \"NAME\".", "sticky_session of type server needs the name of the servers' cookie.")
		case sticky.Type == StickyInsert && !s.has("cookie_timeout"):
			d.errorf(s.rng, "Missing argument", "Write cookie_timeout = \"1h\".", "sticky_session of type insert needs cookie_timeout.")
		}
	},
}

// cookieName is the product's rule, without the equals sign that ends a name in
// the header.
var cookieName = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		s := v.AsString()
		strange := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(",;=", r) }
		if s == "" || len(s) > 200 || s[0] == '$' || strings.ContainsFunc(s, strange) {
			return "", fmt.Errorf("must have 1 to 200 printable characters without , ; = and space, the first no $: not %q", s)
		}
		return s, nil
	}
	c.schema = map[string]any{"type": "string", "minLength": 1, "maxLength": 200}
	return c
}()

var xForwardedForBlock = &block{
	name: "x_forwarded_for",
	attributes: []attribute{
		bind("proto", boolean, func(x *XForwardedFor) *bool { return &x.Proto }, fallback(false)),
		bind("slb_id", boolean, func(x *XForwardedFor) *bool { return &x.SLBID }, fallback(false)),
		bind("slb_ip", boolean, func(x *XForwardedFor) *bool { return &x.SLBIP }, fallback(false)),
		bind("slb_port", boolean, func(x *XForwardedFor) *bool { return &x.SLBPort }, fallback(false)),
		bind("client_src_port", boolean, func(x *XForwardedFor) *bool { return &x.ClientSrcPort }, fallback(false)),
	},
	hints: map[string]string{
		"retrive_slb_ip":    "Write slb_ip.",
		"retrive_slb_id":    "Write slb_id.",
		"retrive_slb_proto": "Write proto.",
		"retrive_client_ip": "X-Forwarded-For itself is always sent.",
		"enabled":           "X-Forwarded-For itself is always sent.",
	},
}

var retryBlock = &block{
	name: "retry",
	attributes: []attribute{
		bind("attempts", integer[int](1, 100), func(r *Retry) *int { return &r.Attempts }, fallback(0.0)),
		retryOn(),
	},
	hints: map[string]string{"count": "Write attempts.", "times": "Write attempts.", "conditions": "Write on = [\"connect\", \"timeout\", \"5xx\"]."},
}

// retryOn is a list of words that stands for the fields of a Retry, so its order and
// what is listed twice mean nothing.
func retryOn() attribute {
	words := list(word([]string{"connect", "timeout", "5xx"}), 0)
	set := func(target any, on []string) {
		r := target.(*Retry)
		r.Connect, r.Timeout, r.Status5x = slices.Contains(on, "connect"), slices.Contains(on, "timeout"), slices.Contains(on, "5xx")
	}
	return attribute{
		name: "on", typ: words.typ, schema: words.schema, fallback: []any{"connect"},
		parse: func(target any, v cty.Value) error {
			on, err := words.parse(v)
			set(target, on)
			return err
		},
		get: func(target any) any {
			on := []any{}
			r := target.(*Retry)
			for _, c := range []struct {
				word string
				on   bool
			}{{"connect", r.Connect}, {"timeout", r.Timeout}, {"5xx", r.Status5x}} {
				if c.on {
					on = append(on, c.word)
				}
			}
			return on
		},
		put: func(target any, v any) error {
			on, err := words.decode(v)
			set(target, on)
			return err
		},
	}
}

var accessLogBlock = &block{
	name: "access_log",
	attributes: []attribute{
		bind("format", word([]string{AccessLogJSON, AccessLogCombined}), func(a *AccessLog) *string { return &a.Format }, fallback(AccessLogJSON)),
		bind("path", logPath, func(a *AccessLog) *string { return &a.Path }),
	},
	hints: map[string]string{"file": "Write path.", "enabled": "A listener with an access_log block has one."},
	complete: func(owner, target any) {
		if a := target.(*AccessLog); a.Path == "" {
			a.Path = accessLogs + logName(owner.(*Listener))
		}
	},
}

// accessLogs is the folder of those logs whose block names no file.
const accessLogs = ".slbctl/access/"

// logName is the file of a listener whose access_log names none: SLB1-http-80.log,
// or the id where the balancer's name is not fit for a file.
func logName(l *Listener) string {
	_, balancer, _ := strings.Cut(Parent(l.Address), ".")
	if !validIdentifier(balancer) {
		return l.ID + ".log"
	}
	return fmt.Sprintf("%s-%s-%d.log", balancer, l.Protocol, l.Port)
}

// logPath is the name of a file. Of .slbctl only the folder of access logs is for
// writing into.
var logPath = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		s := v.AsString()
		control := func(r rune) bool { return r < ' ' || r == 0x7f }
		clean := path.Clean(s)
		switch {
		case s == "" || len(s) > 1024 || strings.HasSuffix(s, "/") || strings.HasPrefix(path.Base(clean), "..") ||
			clean == "." || strings.ContainsFunc(s, control):
			return "", fmt.Errorf("must be the path of a file, not %q", s)
		case slices.Contains(strings.Split(clean, "/"), ".slbctl") && path.Dir(clean) != ".slbctl/access":
			return "", fmt.Errorf("must be a file outside of .slbctl, not %q", s)
		case strings.HasPrefix(path.Base(clean), "slbctl.state."):
			return "", fmt.Errorf("must not be the file that holds the state: %q", s)
		}
		return s, nil
	}
	return c
}()

var redirectBlock = &block{
	name: "redirect",
	attributes: []attribute{
		bind("port", port, func(r *Redirect) *uint16 { return &r.Port }, required),
		bind("code", integerOf(301, 302, 303, 307, 308), func(r *Redirect) *int { return &r.Code }, fallback(302.0)),
	},
	hints: map[string]string{"forward_port": "Write port.", "status": "Write code.", "status_code": "Write code."},
}
