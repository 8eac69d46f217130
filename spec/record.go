package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// recordTypes are the types of records that a zone may have.
var recordTypes = []string{"A", "AAAA", "CNAME", "MX", "TXT", "SRV", "NS", "CAA", "PTR"}

var recordBlock = &block{
	name: "record",
	labels: []attribute{
		bind("host", text, func(r *Record) *string { return &r.Host }),
		bind("type", word(recordTypes), func(r *Record) *string { return &r.Type }),
	},
	attributes: []attribute{
		bind("values", list(text, 1), func(r *Record) *[]string { return &r.Values }),
		bind("value", single(text), func(r *Record) *[]string { return &r.Values }, alias),
		bind("weights", list(integer[int](0, 100), 1), func(r *Record) *[]int { return &r.Weights }),
		bind("line", line, func(r *Record) *string { return &r.Line }, fallback(LineDefault)),
		bind("status", word([]string{StatusEnabled, StatusPaused}), func(r *Record) *string { return &r.Status }, fallback(StatusEnabled)),
		bind("ttl", integer[int](1, 86400), func(r *Record) *int { return &r.TTL }, fallback(600.0)),
	},
	hints: map[string]string{
		"rr":          "The host is the block's first label: record \"www\" \"A\".",
		"host_record": "The host is the block's first label: record \"www\" \"A\".",
		"name":        "The host is the block's first label: record \"www\" \"A\".",
		"host":        "The host is the block's first label: record \"www\" \"A\".",
		"type":        "The type is the block's second label: record \"www\" \"A\".",
		"priority":    "It is the first part of the value: value = \"10 mail.abc.com\".",
		"weight":      "Write weights, one of each value: weights = [2, 1].",
		"addresses":   "Write values.",
		"domain_name": "The domain is the label of the zone: dns_zone \"abc.com\".",
		"remark":      "Write a comment: # ...",
		"enabled":     "Write status = \"paused\", or nothing.",
		"routing":     "Write line.",
	},
	finish: finishRecord,
}

// line is the sources that a record answers: a network, or whoever no other record's
// line has. What a provider or a country is on the Internet, nobody can tell here.
var line = func() codec[string] {
	c := text
	c.parse = func(v cty.Value) (string, error) {
		s := v.AsString()
		if s == LineDefault {
			return s, nil
		}
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil:
			err := fmt.Errorf("must be %q or a network such as \"10.1.0.0/16\", not %q", LineDefault, s)
			return "", hintError{err, "Write the network of those who shall get this answer: it is told by the query's client subnet, else by who asks."}
		case p != p.Masked():
			return "", hintError{fmt.Errorf("must be a network, but %q has bits behind its prefix", s), fmt.Sprintf("Write %q.", p.Masked())}
		case p.Addr().Is4In6():
			return "", hintError{fmt.Errorf("must not be an IPv4 network in IPv6 form: %q", s), "Write it as an IPv4 network."}
		}
		return p.String(), nil
	}
	return c
}()

// recordName is the name of a record; the host is written in lower case from then on.
func recordName(r *Record) string {
	r.Host = strings.ToLower(r.Host)
	name := r.Host + ":" + r.Type
	if r.Line == "" || r.Line == LineDefault {
		return name
	}
	return name + ":" + r.Line
}

func finishRecord(d *decoder, s *site, target any) {
	r := target.(*Record)
	if err := validHost(r.Host, d.owner); err != nil {
		d.errorf(s.label(0), "Invalid host", "@ is the domain itself, * matches every name that has no record.", "%v.", err)
	}
	switch one, several := s.has("value"), s.has("values"); {
	case one && several:
		d.errorf(s.at("value"), "Value twice", "Keep one of them.", "A record has either value or values.")
	case !one && !several:
		d.errorf(s.rng, "Missing value", "Write value = \"...\", or values = [...].", "A record needs at least one value.")
	}
	checkPlace(d, s, r)
	checkValues(d, s, r)
	checkAnswerWeights(d, s, r)
}

// checkPlace refuses what DNS does not allow at the apex and at wildcards.
func checkPlace(d *decoder, s *site, r *Record) {
	switch {
	case r.Type == "CNAME" && r.Host == "@":
		d.errorf(s.rng, "CNAME at the apex", "Write an A record.",
			"The domain itself has SOA and NS records, and a CNAME must stand alone.")
	case r.Type == "NS" && strings.HasPrefix(r.Host, "*"):
		d.errorf(s.rng, "NS at a wildcard", "Write one NS record for each name.", "Names can be given to other name servers only one by one (RFC 4592 section 4.2).")
	}
}

func checkValues(d *decoder, s *site, r *Record) {
	for i, v := range r.Values {
		canonical, err := recordValue(r.Type, v)
		if err != nil {
			d.errorf(valuePlace(s, i), "Invalid value", recordForms[r.Type], "%v.", err)
		}
		if slices.Contains(r.Values[:i], canonical) {
			d.errorf(valuePlace(s, i), "Duplicate value", "", "%q is listed twice.", v)
		}
		r.Values[i] = canonical
	}
	switch several := len(r.Values) > 1; {
	case r.Type == "CNAME" && several && len(r.Weights) == 0:
		d.errorf(valuePlace(s, 1), "Several names", "Keep one, or write weights: then each query gets one of them.", "A CNAME has exactly one value.")
	case several && slices.ContainsFunc(r.Values, func(v string) bool { return r.Type == "MX" && v == "0 ." }):
		d.errorf(valuePlace(s, 0), "No mail and mail", "Keep that alone, or the others.", "\"0 .\" says that the domain takes no mail (RFC 7505).")
	}
}

// valuePlace is where the value of an index stands.
func valuePlace(s *site, i int) hcl.Range {
	if s.has("value") {
		return s.at("value")
	}
	a := s.attribute("values")
	if a == nil {
		return s.rng
	}
	return elementRange(a.Expr, i, a.Expr.Range())
}

// checkAnswerWeights holds the weights against the values that they are of.
func checkAnswerWeights(d *decoder, s *site, r *Record) {
	if len(r.Weights) == 0 {
		return
	}
	sum := 0
	for _, w := range r.Weights {
		sum += w
	}
	switch place := s.at("weights"); {
	case !slices.Contains([]string{"A", "AAAA", "CNAME"}, r.Type):
		d.errorf(place, "Unused argument", "Remove it.", "weights are for A, AAAA and CNAME records; this one is %s.", r.Type)
	case strings.HasPrefix(r.Host, "*"):
		d.errorf(place, "Unused argument", "Remove it, or name the host.", "weights are not for wildcards.")
	case len(r.Weights) != len(r.Values):
		d.errorf(place, "Weights that do not fit", "Write one weight for each value, in the same order.",
			"The record has %d in weights and %d in values.", len(r.Weights), len(r.Values))
	case sum == 0:
		d.l.reports.warn(place, "Nobody gets an answer", fmt.Sprintf("All weights of %s are 0.", r.Address), "Write status = \"paused\" if that is meant.")
	}
}
