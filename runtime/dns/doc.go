// Package dns is an authoritative name server for the zones of a configuration.
//
//	zones, err := dns.Compile(config.DNSZones)
//	server := dns.New()
//	err = server.Listen(netip.MustParseAddrPort("127.10.0.1:8053"))
//	server.Serve(zones) // and again after each change
//	defer server.Close()
//
// It answers A, AAAA, CNAME, MX, TXT, SRV, NS, CAA and PTR over UDP and TCP with
// EDNS0, wildcards as RFC 4592 defines them, and follows CNAMEs inside its own zones.
// NS records below the apex of a zone refer to other name servers. It does not
// recurse, transfer zones, or answer for names outside its zones.
//
// A record with weights answers each query with one of its values; whose turn it is,
// balance.AnswerOrder decides. Of the lines of a record the longest network that has the
// source answers, the client subnet of RFC 7871 or else who asks, and the default line
// whom no network has.
//
// The apex of every zone has a SOA that nobody wrote, and an NS record unless somebody
// did: the name server is ns.ZONE, the mailbox hostmaster.ZONE and the serial a hash of
// the zone's content, which is enough where nobody can transfer the zone. ns.ZONE
// has an address only if the zone gives it one.
package dns
