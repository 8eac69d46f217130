package spec

import (
	"fmt"
	"slices"
	"strings"
)

var dnsZoneKind = func() *kind {
	meta := func(z *DNSZone) *Meta { return &z.Meta }
	k := kindOf(&block{
		name:       "dns_zone",
		attributes: resourceAttributes[DNSZone](meta),
		blocks:     resourceBlocks(meta, recordsOf),
		finish:     finishZone,
	}, func(c *Config) *[]*DNSZone { return &c.DNSZones }, meta)
	k.label = func(name string) error { return validDomain(name) }
	return k
}()

var recordKind = func() *kind {
	k := kindOf(recordBlock, func(z *DNSZone) *[]*Record { return &z.Records }, func(r *Record) *Meta { return &r.Meta })
	k.parent = dnsZoneKind
	return k
}()

// recordsOf are the records of a zone. The line stands in their names.
var recordsOf = func() child {
	c := resources(recordBlock, func(z *DNSZone) *[]*Record { return &z.Records },
		func(r *Record) *Meta { return &r.Meta }, recordName)
	c.naming = []string{"line"}
	return c
}()

func finishZone(d *decoder, s *site, target any) {
	z := target.(*DNSZone)
	for n, r := range z.Records {
		place := s.child("record", n)
		for _, earlier := range z.Records[:n] {
			if earlier.Host == r.Host {
				checkTogether(d, place, z, earlier, r)
			}
		}
		checkDelegated(d, place, z, r)
		if r.Line != LineDefault && !slices.ContainsFunc(z.Records, func(o *Record) bool {
			return o.Host == r.Host && o.Type == r.Type && o.Line == LineDefault
		}) {
			d.errorf(place.at("line"), "No default line", "Write another record block with the same labels, without line.",
				"%s answers some sources only: nobody else would get an answer.", r.Name)
		}
	}
}

// checkTogether looks at two records of one host.
func checkTogether(d *decoder, place *site, z *DNSZone, earlier, r *Record) {
	switch {
	case earlier.Type == r.Type && earlier.Line == r.Line:
		d.errorf(place.rng, "Duplicate record", "Write all of them in one block: values = [...].", "%s has a record %q already.", z.Address, r.Name)
	case earlier.Type == r.Type || earlier.Status == StatusPaused || r.Status == StatusPaused:
	case earlier.Type == "CNAME" || r.Type == "CNAME":
		d.errorf(place.rng, "CNAME beside other records", "Use another host, or only one of them.",
			"A host with a CNAME record has no other records: %q.", r.Host)
	}
}

// checkDelegated refuses what would never be answered: records of names that NS
// records give to other name servers, but for the addresses of these.
func checkDelegated(d *decoder, place *site, z *DNSZone, r *Record) {
	for _, cut := range z.Records {
		below := r.Host == cut.Host || strings.HasSuffix(r.Host, "."+cut.Host)
		if cut.Type != "NS" || cut.Host == "@" || cut.Status == StatusPaused || !below {
			continue
		}
		if r.Type != "A" && r.Type != "AAAA" && (r.Type != "NS" || r.Host != cut.Host) {
			d.errorf(place.rng, "Record of a delegated name", "Write it into the zone of those name servers, or remove the NS record.",
				"The NS record of %q leaves %q to other name servers.", cut.Host, r.Host)
			return
		}
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
