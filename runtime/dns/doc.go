// Package dns is an authoritative name server for the zones of a configuration.
//
//	zones, err := dns.Compile(config.DNSZones)
//	server := dns.New()
//	err = server.Listen(netip.MustParseAddrPort("127.10.0.1:8053"))
//	server.Serve(zones) // and again after each change
//	defer server.Close()
//
// It answers A, AAAA, CNAME and TXT over UDP and TCP with EDNS0, wildcards as RFC
// 4592 defines them, and follows CNAMEs inside its own zones. It does not
// recurse, transfer zones, or answer for names outside its zones.
//
// The apex of every zone has a SOA and an NS record that nobody wrote: the name
// server is ns.ZONE, the mailbox hostmaster.ZONE and the serial a hash of the
// zone's content, which is enough where nobody can transfer the zone. ns.ZONE
// has an address only if the zone gives it one.
package dns
