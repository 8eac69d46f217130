//go:build linux

package netloop

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Sockaddr is an endpoint in the kernel's form, made once so that connecting
// converts nothing.
type Sockaddr struct {
	raw [unix.SizeofSockaddrInet6]byte
	len uint32
}

// NewSockaddr converts an IPv4 or IPv6 endpoint.
func NewSockaddr(ep netip.AddrPort) Sockaddr {
	var sa Sockaddr
	binary.BigEndian.PutUint16(sa.raw[2:], ep.Port())
	if addr := ep.Addr().Unmap(); addr.Is4() {
		binary.NativeEndian.PutUint16(sa.raw[:], unix.AF_INET)
		a := addr.As4()
		copy(sa.raw[4:], a[:])
		sa.len = unix.SizeofSockaddrInet4
	} else {
		binary.NativeEndian.PutUint16(sa.raw[:], unix.AF_INET6)
		a := addr.As16()
		copy(sa.raw[8:], a[:])
		sa.len = unix.SizeofSockaddrInet6
	}
	return sa
}

func (sa *Sockaddr) family() uint16 { return binary.NativeEndian.Uint16(sa.raw[:]) }

func (sa *Sockaddr) port() uint16 { return binary.BigEndian.Uint16(sa.raw[2:]) }

// AddrPort converts back; the zero value if the address is of another family.
func (sa *Sockaddr) AddrPort() netip.AddrPort {
	switch sa.family() {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(sa.raw[4:8])), sa.port())
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(sa.raw[8:24])).Unmap(), sa.port())
	}
	return netip.AddrPort{}
}
