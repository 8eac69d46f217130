package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

var dnsZoneKind = func() *kind {
	meta := func(z *DNSZone) *Meta { return &z.Meta }
	k := kindOf(&block{
		name:       "dns_zone",
		attributes: resourceAttributes[DNSZone](meta),
		blocks: resourceBlocks(meta, resources(recordBlock, func(z *DNSZone) *[]*Record { return &z.Records },
			func(r *Record) *Meta { return &r.Meta }, recordName)),
		finish: finishZone,
	}, func(c *Config) *[]*DNSZone { return &c.DNSZones }, meta)
	k.label = func(name string) error { return validDomain(name) }
	return k
}()

var recordKind = func() *kind {
	k := kindOf(recordBlock, func(z *DNSZone) *[]*Record { return &z.Records }, func(r *Record) *Meta { return &r.Meta })
	k.parent = dnsZoneKind
	return k
}()

var recordBlock = &block{
	name: "record",
	labels: []attribute{
		bind("host", text, func(r *Record) *string { return &r.Host }),
		bind("type", word([]string{"A", "AAAA", "CNAME", "TXT"}, "MX", "SRV", "NS", "CAA", "PTR"), func(r *Record) *string { return &r.Type }),
	},
	attributes: []attribute{
		bind("values", list(text, 1), func(r *Record) *[]string { return &r.Values }),
		bind("value", single(text), func(r *Record) *[]string { return &r.Values }, alias),
		bind("ttl", integer[int](1, 86400), func(r *Record) *int { return &r.TTL }, fallback(600.0)),
	},
	later: []string{"weights", "line", "status"},
	hints: map[string]string{
		"rr":        "The host is the block's first label: record \"www\" \"A\".",
		"name":      "The host is the block's first label: record \"www\" \"A\".",
		"priority":  "MX records are not supported yet.",
		"addresses": "Write values.",
	},
	finish: finishRecord,
}

// recordName is the name of a record; the host is written in lower case from then on.
func recordName(r *Record) string {
	r.Host = strings.ToLower(r.Host)
	return r.Host + ":" + r.Type
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
	place := s.at("values")
	if s.has("value") {
		place = s.at("value")
	}
	for i, v := range r.Values {
		canonical, err := recordValue(r.Type, v)
		if err != nil {
			d.errorf(place, "Invalid value", "", "%v.", err)
		}
		if slices.Contains(r.Values[:i], canonical) {
			d.errorf(place, "Duplicate value", "", "%q is listed twice.", v)
		}
		r.Values[i] = canonical
	}
	if r.Type == "CNAME" && len(r.Values) > 1 {
		d.errorf(place, "Several names", "", "A CNAME has exactly one value.")
	}
}

// recordValue checks one value of a record and gives its canonical form.
func recordValue(kind, value string) (string, error) {
	switch kind {
	case "A", "AAAA":
		a, err := netip.ParseAddr(value)
		if err != nil || a.Is4() != (kind == "A") || a.Zone() != "" {
			return value, fmt.Errorf("an %s record holds an %s address, not %q", kind, map[string]string{"A": "IPv4", "AAAA": "IPv6"}[kind], value)
		}
		return a.String(), nil
	case "CNAME":
		name := strings.ToLower(strings.TrimSuffix(value, "."))
		if err := validDomain(name); err != nil {
			return value, fmt.Errorf("a CNAME record holds a name: %w", err)
		}
		return name, nil
	case "TXT":
		if len(value) > 4096 {
			return value, fmt.Errorf("a TXT record holds at most 4096 bytes, not %d", len(value))
		}
	}
	return value, nil
}

func finishZone(d *decoder, s *site, target any) {
	z := target.(*DNSZone)
	types := map[string][]string{}
	for n, r := range z.Records {
		place := s.child("record", n)
		others := types[r.Host]
		alone := r.Type == "CNAME" && len(others) > 0 || slices.Contains(others, "CNAME")
		switch {
		case slices.Contains(others, r.Type):
			d.errorf(place.rng, "Duplicate record", "Write all of them in one block: values = [...].",
				"%s has a record %q already.", z.Address, r.Name)
		case r.Type == "CNAME" && r.Host == "@":
			d.errorf(place.rng, "CNAME at the apex", "Write an A record.",
				"The domain itself has SOA and NS records, and a CNAME must stand alone.")
		case alone:
			d.errorf(place.rng, "CNAME beside other records", "Use another host, or only one of them.",
				"A host with a CNAME record has no other records: %q.", r.Host)
		}
		types[r.Host] = append(others, r.Type)
	}
}

// validHost checks the host of a record, as written in its label.
func validHost(host, domain string) error {
	if host == "@" || host == "*" {
		return nil
	}
	name := strings.TrimPrefix(host, "*.")
	if err := validDomain(name); err != nil {
		return err
	}
	if length := len(host) + 1 + len(domain); length > 253 {
		return fmt.Errorf("%s.%s is %d characters long, DNS allows 253", host, domain, length)
	}
	return nil
}

// validDomain checks a name of letters, digits, hyphens and underscores.
func validDomain(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a DNS name is not empty")
	case len(name) > 253:
		return fmt.Errorf("a DNS name has at most 253 characters, not %d", len(name))
	case strings.HasSuffix(name, "."):
		return fmt.Errorf("%q is written without the dot at its end", name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := validLabel(label); err != nil {
			return fmt.Errorf("%q is not a DNS name: %w", name, err)
		}
	}
	return nil
}

func validLabel(label string) error {
	switch {
	case label == "":
		return fmt.Errorf("it has an empty label")
	case len(label) > 63:
		return fmt.Errorf("a label has at most 63 characters")
	case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
		return fmt.Errorf("a label neither begins nor ends with a hyphen")
	case strings.Contains(label, "*"):
		return fmt.Errorf("a wildcard stands only at the beginning")
	case strings.ContainsFunc(label, func(r rune) bool { return r >= 0x80 || !isIdent(byte(r)) }):
		return fmt.Errorf("it has other characters than letters, digits, hyphens and underscores")
	}
	return nil
}
