package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// MaxText is the length of the longest header of version 1 (section 2.1).
	MaxText = 107
	// MaxBinary is the length of the longest header of version 2 that Parse takes,
	// extensions included. The format itself allows 65,551 bytes, more than should
	// be kept for a client that nothing is known of.
	MaxBinary = 4096
)

// Header is what a header says. Source and Destination are the zero value where
// it tells nothing about the client (LOCAL, UNKNOWN, an unspecified or a Unix
// family): the addresses of the connection itself hold then.
type Header struct {
	Version     int
	Datagram    bool // of UDP, not TCP
	Source      netip.AddrPort
	Destination netip.AddrPort
}

// Parse reads the header that b begins with and returns its length. Length 0
// without an error means that b is only a part of one. An error is final: whatever
// may follow, b does not begin with a valid header, and section 2 tells to close the
// connection.
func Parse(b []byte) (h Header, n int, err error) {
	const text = "PROXY "
	switch {
	case begins(b, text):
		return parseText(b)
	case begins(b, signature):
		return parseBinary(b)
	}
	return Header{}, 0, errors.New("PROXY protocol: the connection does not begin with a header of version 1 or 2")
}

// begins reports whether b begins with prefix, as far as b goes.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// parseText reads version 1: one line that ends with CRLF.
func parseText(b []byte) (h Header, n int, err error) {
	line := b[:min(len(b), MaxText)]
	end := bytes.IndexAny(line, "\r\n")
	switch {
	case end < 0 && len(b) < MaxText, end == len(b)-1 && end < MaxText-1 && line[end] == '\r':
		return Header{}, 0, nil
	case end < 0:
		return Header{}, 0, fmt.Errorf("PROXY protocol: no end of line within %d bytes", MaxText)
	case line[end] != '\r' || end+1 >= len(line) || line[end+1] != '\n':
		return Header{}, 0, errors.New("PROXY protocol: the line does not end with CR LF")
	}
	h, err = parseLine(string(line[:end]))
	if err != nil {
		return Header{}, 0, err
	}
	return h, end + len("\r\n"), nil
}

func parseLine(line string) (Header, error) {
	h := Header{Version: 1}
	words := strings.Split(line, " ")
	if words[1] == "UNKNOWN" {
		return h, nil // what follows is to be ignored
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return Header{}, fmt.Errorf("PROXY protocol: %q is neither PROXY UNKNOWN nor PROXY TCP4 or TCP6 with two addresses and two ports", line)
	}
	var err error
	if h.Source, err = parseEndpoint(words[1], words[2], words[4]); err != nil {
		return Header{}, err
	}
	if h.Destination, err = parseEndpoint(words[1], words[3], words[5]); err != nil {
		return Header{}, err
	}
	return h, nil
}

// parseEndpoint takes the canonical forms alone: no zone, no leading zeros.
func parseEndpoint(protocol, address, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Zone() != "" || addr.Is4() != (protocol == "TCP4") {
		return netip.AddrPort{}, fmt.Errorf("PROXY protocol: %q is no address of %s", address, protocol)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(p, 10) != port {
		return netip.AddrPort{}, fmt.Errorf("PROXY protocol: %q is no port", port)
	}
	return netip.AddrPortFrom(addr, uint16(p)), nil
}

// parseBinary reads version 2.
func parseBinary(b []byte) (h Header, n int, err error) {
	if len(b) > len(signature) {
		if command := b[len(signature)]; command != version2|commandLocal && command != version2|commandProxy {
			return Header{}, 0, fmt.Errorf("PROXY protocol: version and command %#02x, want 0x20 or 0x21", command)
		}
	}
	if len(b) < fixedSize {
		return Header{}, 0, nil
	}
	n = fixedSize + int(binary.BigEndian.Uint16(b[fixedSize-2:]))
	if n > MaxBinary {
		return Header{}, 0, fmt.Errorf("PROXY protocol: a header of %d bytes; at most %d are taken", n, MaxBinary)
	}
	size, err := addressSize(b[len(signature)], b[len(signature)+1])
	if err != nil {
		return Header{}, 0, err
	}
	if n < fixedSize+size {
		return Header{}, 0, fmt.Errorf("PROXY protocol: %d bytes are too few for the addresses", n-fixedSize)
	}
	if len(b) < n {
		return Header{}, 0, nil
	}
	h, err = parseBlock(b[:n], size)
	if err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

// addressSize is the length of the addresses of a command, family and transport. A
// LOCAL header may say any family; it is ignored (section 2.2).
func addressSize(command, protocol byte) (int, error) {
	if command&0xf == commandLocal {
		return 0, nil
	}
	family, transport := protocol>>4, protocol&0xf
	if family > familyUnix || transport > transportDatagram {
		return 0, fmt.Errorf("PROXY protocol: unknown family and transport %#02x", protocol)
	}
	return [...]int{familyUnspec: 0, familyIPv4: ipv4Size, familyIPv6: ipv6Size, familyUnix: unixSize}[family], nil
}

// parseBlock reads a header of version 2 that is there as a whole.
func parseBlock(b []byte, size int) (Header, error) {
	h := Header{Version: 2}
	if b[len(signature)]&0xf == commandLocal {
		return h, nil
	}
	protocol, block := b[len(signature)+1], b[fixedSize:]
	if err := checkExtensions(b, fixedSize+size); err != nil {
		return Header{}, err
	}
	if protocol&0xf == transportUnspec {
		return h, nil
	}
	h.Datagram = protocol&0xf == transportDatagram
	switch protocol >> 4 {
	case familyIPv4:
		h.Source = endpoint(block[0:4], block[8:])
		h.Destination = endpoint(block[4:8], block[10:])
	case familyIPv6:
		h.Source = endpoint(block[0:16], block[32:])
		h.Destination = endpoint(block[16:32], block[34:])
	}
	return h, nil
}

func endpoint(address, port []byte) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(address)
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port))
}

// checkExtensions walks the TLVs from a place to the end of the header. All are
// skipped but the checksum, which must be right where there is one (section 2.2.3).
func checkExtensions(b []byte, from int) error {
	const (
		typeCRC32C = 0x03
		sumSize    = 4
	)
	for at := from; at < len(b); {
		if len(b)-at < 3 {
			return errors.New("PROXY protocol: an extension is cut off")
		}
		kind, value := b[at], at+3
		at = value + int(binary.BigEndian.Uint16(b[at+1:]))
		if at > len(b) {
			return errors.New("PROXY protocol: an extension is longer than the header")
		}
		if kind != typeCRC32C {
			continue
		}
		if at-value != sumSize {
			return fmt.Errorf("PROXY protocol: a checksum of %d bytes, want %d", at-value, sumSize)
		}
		if binary.BigEndian.Uint32(b[value:]) != checksum(b, value) {
			return errors.New("PROXY protocol: the checksum is wrong")
		}
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC32C of a header with zeros in place of the sum itself.
func checksum(b []byte, sumAt int) uint32 {
	var zero [4]byte
	sum := crc32.Update(0, castagnoli, b[:sumAt])
	sum = crc32.Update(sum, castagnoli, zero[:])
	return crc32.Update(sum, castagnoli, b[sumAt+len(zero):])
}
