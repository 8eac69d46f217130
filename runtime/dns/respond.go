package dns

import (
	"encoding/binary"

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
// of its arguments alone and can be given any bytes.
func respond(zones *Zones, packet []byte, tcp bool) []byte {
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
	response, limit := answer(zones, &query)
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

// answer builds the response to a readable query, and how long it may be over UDP.
func answer(zones *Zones, query *dns.Msg) (response *dns.Msg, limit int) {
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
	zone := zones.find(dns.CanonicalName(question.Name))
	if zone == nil || question.Qclass != dns.ClassINET || refused(question.Qtype) {
		response.Rcode = dns.RcodeRefused
		return response, limit
	}
	response.Authoritative = true
	resolve(zones, zone, question, response)
	return response, limit
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

// resolve fills in the answer, following CNAMEs while they stay inside our zones.
func resolve(zones *Zones, z *zone, question dns.Question, response *dns.Msg) {
	name := question.Name
	seen := make(map[string]bool, 1)
	for range maxChain {
		canonical := dns.CanonicalName(name)
		if seen[canonical] {
			return // a loop: what is known is in the answer
		}
		seen[canonical] = true
		n, exists := z.lookup(canonical)
		if !exists {
			response.Rcode = dns.RcodeNameError
			response.Ns = append(response.Ns, z.denial())
			return
		}
		alias := n[dns.TypeCNAME]
		switch {
		case alias != nil:
			response.Answer = appendOwned(response.Answer, name, alias)
			if question.Qtype == dns.TypeCNAME || question.Qtype == dns.TypeANY {
				return
			}
			name = alias[0].(*dns.CNAME).Target
			if z = zones.find(dns.CanonicalName(name)); z == nil {
				return
			}
			continue
		case question.Qtype == dns.TypeANY && len(n) > 0:
			response.Answer = append(response.Answer, minimal(name))
		case n[question.Qtype] != nil:
			response.Answer = appendOwned(response.Answer, name, n[question.Qtype])
		default:
			response.Ns = append(response.Ns, z.denial())
		}
		return
	}
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
