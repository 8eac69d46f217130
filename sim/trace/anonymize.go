package trace

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// anonymizer replaces the last byte of an IPv4 address, and all but the first 48 bits of an
// IPv6 address, so that networks stay what they were: lists of networks and the spread of
// a hash over them as well. Clients of a /24 stay apart, for its bytes are permuted; the
// permutation is a secret of the key. Who has the key, or knows one visit of a client, can
// tell that client.
type anonymizer struct {
	key    []byte
	orders map[[3]byte]*[256]byte
}

func newAnonymizer(key []byte) *anonymizer {
	return &anonymizer{key: key, orders: map[[3]byte]*[256]byte{}}
}

func (a *anonymizer) of(client netip.Addr) netip.Addr {
	switch {
	case a == nil:
		return client
	case client.Is4():
		b := client.As4()
		b[3] = a.order([3]byte(b[:3]))[b[3]]
		return netip.AddrFrom4(b)
	}
	b := client.As16()
	copy(b[6:], a.hash(b[:], 0))
	return netip.AddrFrom16(b)
}

// order is the permutation of a /24: Fisher and Yates, with numbers from the key. Draws of
// 32 bits are even to one part in 2^24.
func (a *anonymizer) order(network [3]byte) *[256]byte {
	if p := a.orders[network]; p != nil {
		return p
	}
	p := &[256]byte{}
	for i := range p {
		p[i] = byte(i)
	}
	var random []byte
	for i := 255; i > 0; i-- {
		if len(random) == 0 {
			random = a.hash(network[:], byte(i))
		}
		k := binary.BigEndian.Uint32(random) % uint32(i+1)
		random = random[4:]
		p[i], p[k] = p[k], p[i]
	}
	a.orders[network] = p
	return p
}

func (a *anonymizer) hash(b []byte, salt byte) []byte {
	mac := hmac.New(sha256.New, a.key)
	mac.Write(b)
	mac.Write([]byte{salt})
	return mac.Sum(nil)
}
