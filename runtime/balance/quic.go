package balance

import "github.com/cespare/xxhash/v2"

// QUICConnectionID returns the destination connection id of a QUIC datagram's
// first packet (RFC 8999 section 5). A packet with a long header says how long it
// is; in one with a short header (RFC 9000 section 17.3) it has the idLength bytes
// that the servers behind the listener choose for theirs. ok is false where there
// is none: the datagram is too short, or the id empty.
//
// A client's first packets carry an id of its own choice and later ones the
// server's: what keeps the two together is the session of their addresses.
func QUICConnectionID(datagram []byte, idLength int) (id []byte, ok bool) {
	const longHeader = 0x80
	if len(datagram) == 0 {
		return nil, false
	}
	rest := datagram[1:]
	if datagram[0]&longHeader != 0 {
		const version = 4
		if len(rest) <= version {
			return nil, false
		}
		idLength, rest = int(rest[version]), rest[version+1:]
	}
	if idLength <= 0 || len(rest) < idLength {
		return nil, false
	}
	return rest[:idLength], true
}

// quicSlot is the slot of a datagram under qch: its connection id, or else the
// client's address.
func quicSlot(seed uint64, c *Client) int {
	if len(c.QUIC) == 0 {
		return sourceSlot(seed, c)
	}
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write(c.QUIC) // never fails
	return int(d.Sum64() % hashSlots)
}
