package dns

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"
)

const (
	headerSize = 12 // bytes of a message before its first question

	// edns is the UDP payload that we take and send at most: what passes any
	// network unfragmented, and a bound on amplification.
	edns = 1232

	// maxChain bounds the CNAMEs followed for one question.
	maxChain = 16
)

// respond is the answer to one message off the wire, or nil where none may be
// given: a message too short to have an id, and an answer (QR), because
// answering those lets two servers talk to each other for ever. It is a function
// of its arguments alone, but for the turns of weighted records, and can be given any bytes.
func respond(zones *Zones, packet []byte, from netip.Addr, tcp bool) []byte {
	if len(packet) < headerSize {
		return nil
	}
	flags := binary.BigEndian.Uint16(packet[2:])
	if flags&(1<<15) != 0 {
		return nil
	}
	if opcode := int(flags >> 11 & 0xf); opcode != dns.OpcodeQuery {
		return bare(packet, dns.RcodeNotImplemented)
	}
	var query dns.Msg
	if query.Unpack(packet) != nil || len(query.Question) != 1 {
		return bare(packet, dns.RcodeFormatError)
	}
	response, limit := reply(&resolution{zones: zones}, &query, from)
	if tcp {
		limit = dns.MaxMsgSize
	}
	response.Truncate(limit)
	out, err := response.Pack()
	if err != nil {
		return bare(packet, dns.RcodeServerFailure)
	}
	return out
}

// bare is an answer of a header only, to what cannot be read further.
func bare(packet []byte, rcode int) []byte {
	out := make([]byte, headerSize)
	copy(out, packet[:2])
	const opcodeAndRD = 0x7900
	flags := binary.BigEndian.Uint16(packet[2:])&opcodeAndRD | 1<<15 | uint16(rcode)
	binary.BigEndian.PutUint16(out[2:], flags)
	return out
}

// reply builds the response to a readable query, and how long it may be over UDP.
func reply(r *resolution, query *dns.Msg, from netip.Addr) (response *dns.Msg, limit int) {
	response = new(dns.Msg)
	response.SetReply(query)
	response.Compress = true
	limit = dns.MinMsgSize

	opt, duplicate := options(query)
	if duplicate {
		response.Rcode = dns.RcodeFormatError
		return response, limit
	}
	if opt != nil {
		limit = min(max(int(opt.UDPSize()), dns.MinMsgSize), edns)
		response.SetEdns0(edns, opt.Do())
		if opt.Version() != 0 {
			response.Rcode = dns.RcodeBadVers
			return response, limit
		}
	}
	question := query.Question[0]
	zone := r.zones.find(dns.CanonicalName(question.Name))
	if zone == nil || question.Qclass != dns.ClassINET || refused(question.Qtype) {
		response.Rcode = dns.RcodeRefused
		return response, limit
	}
	response.Authoritative = true
	var subnet *dns.EDNS0_SUBNET
	r.source, subnet = sourceOf(opt, from)
	r.response = response
	r.resolve(zone, question)
	if subnet != nil {
		scoped := *subnet
		scoped.SourceScope = 0
		if r.lined {
			scoped.SourceScope = scoped.SourceNetmask
		}
		out := response.IsEdns0()
		out.Option = append(out.Option, &scoped)
	}
	return response, limit
}

// sourceOf is who asks: the client subnet where the resolver tells it (RFC 7871), else
// the resolver.
func sourceOf(opt *dns.OPT, from netip.Addr) (netip.Prefix, *dns.EDNS0_SUBNET) {
	from = from.Unmap().WithZone("")
	own := netip.PrefixFrom(from, from.BitLen())
	if opt == nil {
		return own, nil
	}
	for _, option := range opt.Option {
		subnet, is := option.(*dns.EDNS0_SUBNET)
		if !is {
			continue
		}
		a, ok := netip.AddrFromSlice(subnet.Address)
		if !ok {
			return own, subnet // family 0: whoever asks wants no tailored answer
		}
		if subnet.Family == 1 {
			a = a.Unmap()
		}
		if p, err := a.Prefix(int(subnet.SourceNetmask)); err == nil {
			return p, subnet
		}
	}
	return own, nil
}

// options is the query's OPT record, of which there may be one (RFC 6891 section 6.1.1).
func options(query *dns.Msg) (opt *dns.OPT, duplicate bool) {
	for _, rr := range query.Extra {
		if found, is := rr.(*dns.OPT); is {
			if opt != nil {
				return nil, true
			}
			opt = found
		}
	}
	return opt, false
}

// refused says whether a question type asks for something else than records of
// its type: zone transfers above all. ANY has an answer of its own.
func refused(kind uint16) bool {
	const firstMeta = 128 // RFC 6895 section 3.1
	return kind >= firstMeta && kind < dns.TypeANY
}

// resolution is one question under way.
type resolution struct {
	zones    *Zones
	source   netip.Prefix
	response *dns.Msg
	lined    bool // the answer depends on the source
	weighted bool // the answer is one value in its turn
	// peeks leaves the turns of weighted records to those who really ask.
	peeks bool
}

// resolve fills in the answer, following CNAMEs while they stay inside our zones.
func (r *resolution) resolve(z *zone, question dns.Question) {
	name := question.Name
	seen := make(map[string]bool, 1)
	for range maxChain {
		canonical := dns.CanonicalName(name)
		if seen[canonical] {
			return // a loop: what is known is in the answer
		}
		seen[canonical] = true
		if cut := z.cut(canonical); cut != "" {
			r.refer(z, cut, len(seen) > 1)
			return
		}
		n, exists := z.lookup(canonical)
		if !exists {
			r.response.Rcode = dns.RcodeNameError
			r.response.Ns = append(r.response.Ns, z.denial())
			return
		}
		alias := r.pick(n[dns.TypeCNAME])
		if alias == nil {
			r.direct(z, n, name, question.Qtype)
			return
		}
		r.response.Answer = appendOwned(r.response.Answer, name, alias)
		if question.Qtype == dns.TypeCNAME || question.Qtype == dns.TypeANY {
			return
		}
		name = alias[0].(*dns.CNAME).Target
		if z = r.zones.find(dns.CanonicalName(name)); z == nil {
			return
		}
	}
}

// direct answers with the records of a node that has no alias for who asks.
func (r *resolution) direct(z *zone, n node, name string, kind uint16) {
	if kind == dns.TypeANY && len(n) > 0 {
		r.response.Answer = append(r.response.Answer, minimal(name))
		return
	}
	rrs := r.pick(n[kind])
	if rrs == nil {
		r.response.Ns = append(r.response.Ns, z.denial())
		return
	}
	r.response.Answer = appendOwned(r.response.Answer, name, rrs)
}

// refer names the name servers that a name is given to, with the addresses of those
// that lie inside this zone.
func (r *resolution) refer(z *zone, cut string, chained bool) {
	r.response.Authoritative = chained // of the CNAME that led here
	servers := r.pick(z.nodes[cut][dns.TypeNS])
	r.response.Ns = append(r.response.Ns, servers...)
	for _, rr := range servers {
		glue := z.nodes[dns.CanonicalName(rr.(*dns.NS).Ns)]
		r.response.Extra = append(r.response.Extra, r.pick(glue[dns.TypeA])...)
		r.response.Extra = append(r.response.Extra, r.pick(glue[dns.TypeAAAA])...)
	}
}

func (r *resolution) pick(a *answers) []dns.RR {
	r.lined = r.lined || a != nil && len(a.lines) > 0
	rrs, weighted := a.pick(r.source, r.peeks)
	r.weighted = r.weighted || weighted
	return rrs
}

// appendOwned adds records under the name that was asked for: its own letter case,
// and its own labels in place of a wildcard.
func appendOwned(to []dns.RR, name string, rrs []dns.RR) []dns.RR {
	for _, rr := range rrs {
		// Records are shared by all answers; only those that must differ are copied.
		if rr.Header().Name != name {
			rr = dns.Copy(rr)
			rr.Header().Name = name
		}
		to = append(to, rr)
	}
	return to
}

// denial is the SOA beside a negative answer, whose TTL is how long that may be
// remembered (RFC 2308 section 3).
func (z *zone) denial() dns.RR {
	soa := *z.soa
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	return &soa
}

// minimal is the answer to ANY for a name that exists (RFC 8482 section 4.2).
func minimal(name string) dns.RR {
	return &dns.HINFO{Hdr: header(name, dns.TypeHINFO, apexTTL), Cpu: "RFC8482"}
}
