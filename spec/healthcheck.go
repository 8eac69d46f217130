package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// httpCheck and udpCheck are what health checks of one type have.
var (
	httpCheck = &variant{words: []string{CheckHTTP}, of: typeOfCheck, noun: "check"}
	udpCheck  = &variant{words: []string{CheckUDP}, of: typeOfCheck, noun: "check"}
)

func typeOfCheck(target any) string { return target.(*HealthCheck).Type }

// classes are the groups of HTTP statuses that http_codes chooses from.
var classes = []string{"http_2xx", "http_3xx", "http_4xx", "http_5xx"}

var healthCheckBlock = &block{
	name: "health_check",
	attributes: []attribute{
		bind("enabled", boolean, func(h *HealthCheck) *bool { return &h.Enabled }, fallback(true)),
		bind("type", word([]string{CheckTCP, CheckHTTP, CheckUDP}), func(h *HealthCheck) *string { return &h.Type }),
		bind("port", port, func(h *HealthCheck) *uint16 { return &h.Port }, fallback(0.0)),
		bind("interval", duration(shortest, 50*time.Second), func(h *HealthCheck) *time.Duration { return &h.Interval }),
		bind("timeout", duration(shortest, 300*time.Second), func(h *HealthCheck) *time.Duration { return &h.Timeout }),
		bind("healthy_threshold", integer[int](1, 10), func(h *HealthCheck) *int { return &h.HealthyThreshold }, fallback(3.0)),
		bind("unhealthy_threshold", integer[int](1, 10), func(h *HealthCheck) *int { return &h.UnhealthyThreshold }, fallback(3.0)),
		bind("domain", checkDomain, func(h *HealthCheck) *string { return &h.Domain }, only(httpCheck)),
		bind("uri", checkURI, func(h *HealthCheck) *string { return &h.URI }, only(httpCheck)),
		bind("method", word([]string{"head", "get"}), func(h *HealthCheck) *string { return &h.Method }, only(httpCheck)),
		bind("http_codes", statusClasses, func(h *HealthCheck) *[]string { return &h.HTTPCodes }, only(httpCheck)),
		bind("request", checkText, func(h *HealthCheck) *string { return &h.Request }, only(udpCheck)),
		bind("expect", checkText, func(h *HealthCheck) *string { return &h.Expect }, only(udpCheck)),
	},
	hints: map[string]string{
		"http_code":              "Write http_codes = [\"http_2xx\", ...].",
		"health_check_type":      "Write type.",
		"health_check_uri":       "Write uri.",
		"health_check_domain":    "Write domain.",
		"health_check_method":    "Write method.",
		"health_check_http_code": "Write http_codes = [\"http_2xx\", ...].",
		"health_check_interval":  "Write interval.",
		"health_check_timeout":   "Write timeout.",
		"connect_port":           "Write port.",
		"path":                   "Write uri.",
		"host":                   "Write domain.",
	},
	complete: func(owner, target any) {
		protocol := ProtocolHTTP // of every listener that has rules
		if l, ok := owner.(*Listener); ok && !L7(l.Protocol) {
			protocol = l.Protocol
		}
		target.(*HealthCheck).complete(protocol)
	},
	finish: finishHealthCheck,
}

// checkDomain is a Host header: a name or an address, as the product has it. $_ip, the
// product's word for the server's own address, is the same as none.
var checkDomain = func() codec[string] {
	c := pattern(1, 80, "letters, digits, dots and hyphens", ".-")
	parse := c.parse
	c.parse = func(v cty.Value) (string, error) {
		if v.AsString() == "$_ip" {
			return "", nil
		}
		return parse(v)
	}
	return c
}()

// checkText is what a UDP check sends or waits for. The product takes letters and
// digits, by its older pages up to 500 of them.
var checkText = pattern(1, 500, "letters and digits", "")

// urlMarks are what URLs may have besides letters and digits, as in the product.
const urlMarks = "-/.%?#&"

var checkURI = func() codec[string] {
	c := pattern(1, 80, "letters, digits and the characters - / . % ? # &", urlMarks)
	parse := c.parse
	c.parse = func(v cty.Value) (string, error) {
		s, err := parse(v)
		if err == nil && s[0] != '/' {
			err = hintError{fmt.Errorf("must begin with /, not %q", s), fmt.Sprintf("Write %q.", "/"+s)}
		}
		return s, err
	}
	return c
}()

// statusClasses are sorted and without duplicates: their order means nothing.
var statusClasses = func() codec[[]string] {
	c := list(word(classes), 1)
	parse := c.parse
	c.parse = func(v cty.Value) ([]string, error) {
		codes, err := parse(v)
		slices.Sort(codes)
		return slices.Compact(codes), err
	}
	return c
}()

// complete fills in the defaults, which depend on what is probed for whom.
func (h *HealthCheck) complete(protocol string) {
	if h.Type == "" {
		h.Type = protocol
	}
	interval, timeout := 2*time.Second, 5*time.Second
	if h.Type == CheckUDP {
		interval, timeout = 5*time.Second, 10*time.Second
	}
	if h.Interval == 0 {
		h.Interval = interval
	}
	if h.Timeout == 0 {
		h.Timeout = timeout
	}
	if h.Type != CheckHTTP {
		return
	}
	if h.URI == "" {
		h.URI = "/"
	}
	if h.Method == "" {
		h.Method = "head"
		if protocol == ProtocolTCP {
			h.Method = "get"
		}
	}
	if h.HTTPCodes == nil {
		h.HTTPCodes = []string{"http_2xx", "http_3xx"}
	}
}

func finishHealthCheck(d *decoder, s *site, target any) {
	h := target.(*HealthCheck)
	if one, other := s.has("request"), s.has("expect"); one != other && h.Type == CheckUDP {
		name, missing := "request", "expect"
		if other {
			name, missing = missing, name
		}
		d.errorf(s.at(name), "Half a dialogue", "Write "+missing+" too, or neither for ICMP's answer.",
			"A UDP check with %s needs %s.", name, missing)
	}
}

// pattern is a text of low to high letters, digits and marks.
func pattern(low, high int, what, marks string) codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		s := v.AsString()
		strange := func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune(marks, r) }
		switch {
		case len(s) < low || len(s) > high:
			return "", fmt.Errorf("must have %d to %d characters, not %d", low, high, len(s))
		case strings.ContainsFunc(s, strange):
			return "", fmt.Errorf("has %s only, unlike %q", what, s)
		}
		return s, nil
	}
	c.schema = map[string]any{"type": "string", "minLength": low, "maxLength": high}
	return c
}

func isLetterOrDigit(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
