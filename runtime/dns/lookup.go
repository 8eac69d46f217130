package dns

import (
	"net/netip"

	"github.com/miekg/dns"
)

// Lookup is what the name server tells of one name and address family, for people.
type Lookup struct {
	Zone      string       // apex that the name belongs to, without trailing dot; empty = none of ours
	Code      string       // NOERROR, NXDOMAIN or REFUSED
	Aliases   []string     // the targets of the CNAMEs that were followed, in their order
	Addresses []netip.Addr // in the order of the answer
	TTL       uint32       // seconds, of the addresses
	Lined     bool         // others may be answered otherwise, by their address
	Weighted  bool         // it is one value in its turn
}

// Lookup is the answer to a question for the addresses of a name: A, or AAAA with six.
// It is the answer that the server builds for who asks from an address, read as a client
// reads it; but it takes no turn of a weighted record.
func (z *Zones) Lookup(name string, from netip.Addr, six bool) Lookup {
	kind := dns.TypeA
	if six {
		kind = dns.TypeAAAA
	}
	var query dns.Msg
	query.SetQuestion(dns.Fqdn(name), kind)
	r := resolution{zones: z, peeks: true}
	response, _ := reply(&r, &query, from)
	l := Lookup{Code: dns.RcodeToString[response.Rcode], Lined: r.lined, Weighted: r.weighted}
	if zone := z.find(dns.CanonicalName(name)); zone != nil {
		l.Zone = withoutDot(zone.apex)
	}
	for _, rr := range response.Answer {
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.CNAME:
			l.Aliases = append(l.Aliases, withoutDot(rr.Target))
			continue
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		}
		l.Addresses, l.TTL = append(l.Addresses, addr), rr.Header().Ttl
	}
	return l
}

func withoutDot(name string) string {
	if len(name) > 1 && name[len(name)-1] == '.' {
		return name[:len(name)-1]
	}
	return name
}

// Zones is what Serve was given last; nil answers REFUSED to all.
func (s *Server) Zones() *Zones { return s.zones.Load() }
