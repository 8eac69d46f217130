package dns

import (
	"fmt"
	"hash/fnv"

	"github.com/miekg/dns"

	"slbctl/spec"
)

// Times of the SOA record in seconds. The last one is how long a resolver
// remembers that a name is not there: short, because names come and go with
// every apply.
const (
	soaRefresh  = 3600
	soaRetry    = 600
	soaExpire   = 86400
	negativeTTL = 60

	apexTTL = 600 // of the synthesised SOA and NS
)

// Zones is all zones of a configuration, ready to answer. It is immutable.
type Zones struct {
	byApex map[string]*zone // canonical: lower case, with trailing dot
}

type zone struct {
	apex string
	// nodes has every name that exists, also those that exist only because a name
	// below them does (empty non-terminals, RFC 4592 section 2.2.2).
	nodes map[string]node
	soa   *dns.SOA
	// delegates says that names below the apex are given to other name servers.
	delegates bool
}

// node is the records of one name by type.
type node map[uint16]*answers

// Compile prepares zones for serving.
func Compile(zones []*spec.DNSZone) (*Zones, error) {
	compiled := &Zones{byApex: make(map[string]*zone, len(zones))}
	for _, z := range zones {
		next, err := compileZone(z)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", z.Address, err)
		}
		if compiled.byApex[next.apex] != nil {
			return nil, fmt.Errorf("%s: zone %s is given twice", z.Address, z.Name)
		}
		compiled.byApex[next.apex] = next
	}
	return compiled, nil
}

func compileZone(z *spec.DNSZone) (*zone, error) {
	apex := dns.CanonicalName(z.Name)
	if err := checkName(apex); err != nil {
		return nil, err
	}
	next := &zone{apex: apex, nodes: map[string]node{apex: {}}}
	digest := fnv.New32a()
	for _, record := range z.Records {
		if record.Status == spec.StatusPaused {
			continue
		}
		rrs, err := compileRecord(apex, record)
		if err == nil {
			err = next.add(record, rrs)
		}
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", record.Name, err)
		}
		fmt.Fprintln(digest, rrs, record.Line, record.Weights)
	}
	next.soa = &dns.SOA{
		Hdr:  header(apex, dns.TypeSOA, apexTTL),
		Ns:   "ns." + apex,
		Mbox: "hostmaster." + apex,
		// 0 is legal but means "unset" to some tools.
		Serial:  max(digest.Sum32(), 1),
		Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: negativeTTL,
	}
	top := next.nodes[apex]
	if own := top[dns.TypeNS]; own != nil && own.otherwise != nil {
		next.soa.Ns = own.otherwise.rrs[0].(*dns.NS).Ns
	} else {
		top[dns.TypeNS] = always(&dns.NS{Hdr: header(apex, dns.TypeNS, apexTTL), Ns: next.soa.Ns})
	}
	top[dns.TypeSOA] = always(next.soa)
	return next, nil
}

// add files the records of one name, type and line, and makes the names between it
// and the apex exist.
func (z *zone) add(record *spec.Record, rrs []dns.RR) error {
	if len(rrs) == 0 {
		return nil
	}
	owner, kind := rrs[0].Header().Name, rrs[0].Header().Rrtype
	n := z.nodes[owner]
	if n == nil {
		n = node{}
		z.nodes[owner] = n
	}
	several := len(rrs) > 1 && len(record.Weights) == 0
	others := len(n) > 0 && n[dns.TypeCNAME] == nil
	if kind == dns.TypeCNAME && (owner == z.apex || others || several) || kind != dns.TypeCNAME && n[dns.TypeCNAME] != nil {
		return fmt.Errorf("a CNAME cannot stand beside other records of %s", owner)
	}
	if n[kind] == nil {
		n[kind] = &answers{}
	}
	if err := n[kind].add(record, rrs); err != nil {
		return err
	}
	z.delegates = z.delegates || kind == dns.TypeNS && owner != z.apex
	for at := parent(owner); len(at) > len(z.apex); at = parent(at) {
		if z.nodes[at] == nil {
			z.nodes[at] = node{}
		}
	}
	return nil
}

// parent is the name without its first label. The root has none.
func parent(name string) string {
	if at, end := dns.NextLabel(name, 0); !end {
		return name[at:]
	}
	return "."
}

func compileRecord(apex string, record *spec.Record) ([]dns.RR, error) {
	owner := apex
	if record.Host != "@" {
		owner = dns.CanonicalName(record.Host + "." + apex)
	}
	if err := checkName(owner); err != nil {
		return nil, err
	}
	if record.TTL < 0 || record.TTL > 1<<31-1 {
		return nil, fmt.Errorf("ttl %d is out of range", record.TTL)
	}
	rrs := make([]dns.RR, 0, len(record.Values))
	for _, value := range record.Values {
		rr, err := compileValue(owner, record.Type, uint32(record.TTL), value)
		if err != nil {
			return nil, err
		}
		rrs = append(rrs, rr)
	}
	return rrs, nil
}

func header(owner string, kind uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

func checkName(name string) error {
	if _, ok := dns.IsDomainName(name); !ok {
		return fmt.Errorf("%q is not a name that DNS allows", name)
	}
	return nil
}

// find is the deepest zone that a canonical name belongs to, or nil.
func (z *Zones) find(name string) *zone {
	if z == nil {
		return nil
	}
	for at, end := 0, false; !end; at, end = dns.NextLabel(name, at) {
		if found := z.byApex[name[at:]]; found != nil {
			return found
		}
	}
	return nil
}

// lookup is the records of a canonical name in the zone: its own, or those of the
// wildcard right below its closest encloser, the deepest name above it that
// exists (RFC 4592 section 3.3.1). It says whether the name exists at all.
func (z *zone) lookup(name string) (n node, exists bool) {
	if n, exists = z.nodes[name]; exists {
		return n, true
	}
	for at := parent(name); ; at = parent(at) {
		if _, encloses := z.nodes[at]; encloses {
			n, exists = z.nodes["*."+at]
			return n, exists
		}
	}
}

// cut is the name at or above a canonical name of the zone that NS records give to other
// name servers (RFC 1034 section 4.3.2, step 3b), the one nearest to the apex, or "".
func (z *zone) cut(name string) (found string) {
	if !z.delegates {
		return ""
	}
	for at := name; len(at) > len(z.apex); at = parent(at) {
		if z.nodes[at][dns.TypeNS] != nil {
			found = at
		}
	}
	return found
}
