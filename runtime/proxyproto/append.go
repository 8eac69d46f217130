package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// signature opens every header of version 2 (section 2.2).
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// The parts of a version 2 header after its signature (section 2.2).
const (
	version2     = 0x20
	commandLocal = 0x0
	commandProxy = 0x1

	familyUnspec = 0x0
	familyIPv4   = 0x1
	familyIPv6   = 0x2
	familyUnix   = 0x3

	transportUnspec   = 0x0
	transportStream   = 0x1
	transportDatagram = 0x2

	fixedSize = len(signature) + 4 // before the addresses
	ipv4Size  = 2*4 + 2*2
	ipv6Size  = 2*16 + 2*2
	unixSize  = 2 * 108
)

// Append appends the header for a TCP connection from source to destination, in version 1 or
// 2. Addresses of unlike families are both written as IPv6. If one is not valid the
// header says that nothing is known.
func Append(dst []byte, version int, source, destination netip.AddrPort) []byte {
	if version == 1 {
		return appendText(dst, source, destination)
	}
	return appendBinary(dst, transportStream, source, destination)
}

// AppendDatagram appends the header for a UDP datagram from source to destination. Only
// version 2 knows UDP.
func AppendDatagram(dst []byte, source, destination netip.AddrPort) []byte {
	return appendBinary(dst, transportDatagram, source, destination)
}

// appendText writes version 1 (section 2.1).
func appendText(b []byte, src, dst netip.AddrPort) []byte {
	src, dst, family := pair(src, dst)
	switch family {
	case familyIPv4:
		b = append(b, "PROXY TCP4 "...)
	case familyIPv6:
		b = append(b, "PROXY TCP6 "...)
	default:
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	b = src.Addr().AppendTo(b)
	b = append(b, ' ')
	b = dst.Addr().AppendTo(b)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(src.Port()), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(dst.Port()), 10)
	return append(b, "\r\n"...)
}

// appendBinary writes version 2 (section 2.2).
func appendBinary(b []byte, transport byte, src, dst netip.AddrPort) []byte {
	src, dst, family := pair(src, dst)
	b = append(b, signature...)
	b = append(b, version2|commandProxy)
	switch family {
	case familyIPv4:
		s, d := src.Addr().As4(), dst.Addr().As4()
		b = append(b, familyIPv4<<4|transport, 0, byte(ipv4Size))
		b = append(append(b, s[:]...), d[:]...)
	case familyIPv6:
		s, d := src.Addr().As16(), dst.Addr().As16()
		b = append(b, familyIPv6<<4|transport, 0, byte(ipv6Size))
		b = append(append(b, s[:]...), d[:]...)
	default:
		return append(b, familyUnspec<<4|transportUnspec, 0, 0)
	}
	b = binary.BigEndian.AppendUint16(b, src.Port())
	return binary.BigEndian.AppendUint16(b, dst.Port())
}

// pair brings two endpoints into one family, without zones.
func pair(src, dst netip.AddrPort) (netip.AddrPort, netip.AddrPort, byte) {
	s, d := src.Addr().Unmap().WithZone(""), dst.Addr().Unmap().WithZone("")
	family := byte(familyIPv6)
	switch {
	case !s.IsValid() || !d.IsValid():
		return src, dst, familyUnspec
	case s.Is4() && d.Is4():
		family = familyIPv4
	default:
		s, d = netip.AddrFrom16(s.As16()), netip.AddrFrom16(d.As16())
	}
	return netip.AddrPortFrom(s, src.Port()), netip.AddrPortFrom(d, dst.Port()), family
}
