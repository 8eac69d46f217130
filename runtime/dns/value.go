package dns

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// maxString is the most bytes that one string of a TXT record holds (RFC 1035, 3.3.14).
const maxString = 255

func compileValue(owner, kind string, ttl uint32, value string) (dns.RR, error) {
	switch kind {
	case "A":
		ip, err := netip.ParseAddr(value)
		if err != nil || !ip.Is4() {
			return nil, fmt.Errorf("%q is not an IPv4 address", value)
		}
		return &dns.A{Hdr: header(owner, dns.TypeA, ttl), A: net.IP(ip.AsSlice())}, nil
	case "AAAA":
		ip, err := netip.ParseAddr(value)
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return nil, fmt.Errorf("%q is not an IPv6 address", value)
		}
		return &dns.AAAA{Hdr: header(owner, dns.TypeAAAA, ttl), AAAA: net.IP(ip.AsSlice())}, nil
	case "CNAME":
		target, err := targetName(value)
		return &dns.CNAME{Hdr: header(owner, dns.TypeCNAME, ttl), Target: target}, err
	case "NS":
		target, err := targetName(value)
		return &dns.NS{Hdr: header(owner, dns.TypeNS, ttl), Ns: target}, err
	case "PTR":
		target, err := targetName(value)
		return &dns.PTR{Hdr: header(owner, dns.TypePTR, ttl), Ptr: target}, err
	case "MX":
		return mxValue(header(owner, dns.TypeMX, ttl), value)
	case "SRV":
		return srvValue(header(owner, dns.TypeSRV, ttl), value)
	case "CAA":
		return caaValue(header(owner, dns.TypeCAA, ttl), value)
	case "TXT":
		return &dns.TXT{Hdr: header(owner, dns.TypeTXT, ttl), Txt: split(value)}, nil
	}
	return nil, fmt.Errorf("type %s is not supported", kind)
}

// mxValue reads "10 mail.abc.com".
func mxValue(hdr dns.RR_Header, value string) (dns.RR, error) {
	rr := &dns.MX{Hdr: hdr}
	var name string
	if err := scan(value, &rr.Preference, &name); err != nil {
		return nil, err
	}
	var err error
	rr.Mx, err = targetName(name)
	return rr, err
}

// srvValue reads "10 5 5060 sip.abc.com".
func srvValue(hdr dns.RR_Header, value string) (dns.RR, error) {
	rr := &dns.SRV{Hdr: hdr}
	var name string
	if err := scan(value, &rr.Priority, &rr.Weight, &rr.Port, &name); err != nil {
		return nil, err
	}
	var err error
	rr.Target, err = targetName(name)
	return rr, err
}

// caaValue reads `0 issue "ca.example"`.
func caaValue(hdr dns.RR_Header, value string) (dns.RR, error) {
	rr := &dns.CAA{Hdr: hdr}
	fields := strings.SplitN(value, " ", 3)
	if len(fields) < 3 {
		return nil, fmt.Errorf("%q is not flags, a tag and a value", value)
	}
	if err := scan(fields[0], &rr.Flag); err != nil {
		return nil, err
	}
	rr.Tag, rr.Value = fields[1], strings.Trim(fields[2], `"`)
	return rr, nil
}

// scan reads the parts of a value, which must be all of it.
func scan(value string, parts ...any) error {
	if len(strings.Fields(value)) != len(parts) {
		return fmt.Errorf("%q does not have %d parts", value, len(parts))
	}
	if _, err := fmt.Sscan(value, parts...); err != nil {
		return fmt.Errorf("%q: %w", value, err)
	}
	return nil
}

func targetName(value string) (string, error) {
	target := dns.Fqdn(value)
	return target, checkName(target)
}

// split cuts a text into the strings of a TXT record, in the presentation format
// that the library packs from, where a backslash escapes.
func split(text string) []string {
	var parts []string
	for len(text) > maxString {
		parts = append(parts, escape(text[:maxString]))
		text = text[maxString:]
	}
	return append(parts, escape(text))
}

func escape(text string) string { return strings.ReplaceAll(text, `\`, `\\`) }
