package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// The words of ip_version.
const (
	ipVersion4 = "ipv4"
	ipVersion6 = "ipv6"
)

var aclKind = func() *kind {
	meta := func(a *ACL) *Meta { return &a.Meta }
	return kindOf(&block{
		name: "acl",
		attributes: resourceAttributes(meta,
			bind("entries", list(prefix, 0), func(a *ACL) *[]netip.Prefix { return &a.Entries }, required),
			bind("ip_version", word([]string{ipVersion4, ipVersion6}), func(a *ACL) *string { return &a.IPVersion }, fallback(ipVersion4)),
		),
		blocks: resourceBlocks[ACL](meta),
		hints: map[string]string{
			"name":               "The name is the block's label: acl \"NAME\".",
			"entry":              "Write entries = [\"10.0.0.0/8\", ...].",
			"entry_list":         "Write entries = [\"10.0.0.0/8\", ...].",
			"acl_entries":        "Write entries = [\"10.0.0.0/8\", ...].",
			"address_ip_version": "Write ip_version.",
		},
		finish: finishACL,
	}, func(c *Config) *[]*ACL { return &c.ACLs }, meta)
}()

// prefix is a network, or an address that stands for itself alone.
var prefix = codec[netip.Prefix]{
	typ:    cty.String,
	parse:  func(v cty.Value) (netip.Prefix, error) { return parsePrefix(v.AsString()) },
	encode: func(p netip.Prefix) any { return p.String() },
	decode: func(v any) (netip.Prefix, error) {
		s, err := recorded[string](v)
		if err != nil {
			return netip.Prefix{}, err
		}
		return parsePrefix(s)
	},
	schema: map[string]any{"type": "string"},
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil && !strings.Contains(s, "/") {
		var a netip.Addr
		if a, err = netip.ParseAddr(s); err == nil && a.Zone() == "" {
			p = netip.PrefixFrom(a, a.BitLen())
		}
	}
	switch {
	case err != nil || !p.IsValid():
		return p, fmt.Errorf("must be a network or an address such as \"10.0.0.0/8\" or \"203.0.113.9\", not %q", s)
	case p.Addr().Is4In6():
		err := fmt.Errorf("%q is an IPv4 address in the clothes of IPv6", s)
		return p, hintError{err, fmt.Sprintf("Write %q.", p.Addr().Unmap())}
	case p != p.Masked():
		err := fmt.Errorf("%q has bits set behind its first %d", s, p.Bits())
		return p, hintError{err, fmt.Sprintf("Write %q for the network, or %q for the address.", p.Masked(), p.Addr())}
	}
	return p, nil
}

// finishACL brings the entries into their order. Listing one twice means no more
// than listing it once, as in the product.
func finishACL(d *decoder, s *site, target any) {
	a := target.(*ACL)
	for i, e := range a.Entries {
		if e.Addr().Is4() != (a.IPVersion == ipVersion4) {
			rng := s.at("entries")
			if attr := s.attribute("entries"); attr != nil {
				rng = elementRange(attr.Expr, i, rng)
			}
			d.errorf(rng, "Wrong IP version", "An acl has one version: write another acl, or another ip_version.",
				"The entries of %s are %s, but %s is not.", a.Address, a.IPVersion, e)
		}
	}
	slices.SortFunc(a.Entries, netip.Prefix.Compare)
	a.Entries = slices.Compact(a.Entries)
}
