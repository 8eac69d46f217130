//go:build linux

package netloop

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// BatchSize is how many datagrams one system call moves at most.
	BatchSize = 32

	datagramSize = 64 << 10 // no payload of UDP is longer
)

// Batch is a loop's scratch area for datagrams in passing: it receives up to
// BatchSize of them with one call and sends them on with another. It is 2 MiB, of
// which the machine provides what the longest datagrams have touched.
type Batch struct {
	in, out     [BatchSize]header
	parts, sent [BatchSize]unix.Iovec
	sources     [BatchSize]Sockaddr
	infos       [BatchSize]packetInfo
	from        packetInfo // of what is sent
	area        []byte
}

// header is the kernel's struct mmsghdr.
type header struct {
	unix.Msghdr
	length uint32
}

// packetInfo is the one control message used here: IP_PKTINFO, or IPV6_PKTINFO.
type packetInfo struct {
	unix.Cmsghdr
	data [24]byte
}

// Lengths and places inside the data of a packetInfo: struct in_pktinfo has the
// interface, the address to answer from and the address that was written to; struct
// in6_pktinfo the address and the interface.
const (
	pktinfo4Size  = 12
	pktinfo4Local = 4
	pktinfo6Size  = 20
)

// Local is the address of this machine that a datagram was sent to. The zero value
// is an address that does not vary, since the socket is bound to it.
type Local struct {
	addr   [16]byte
	family uint16
}

// Addr returns the address, or the zero value.
func (a Local) Addr() netip.Addr {
	switch a.family {
	case unix.AF_INET:
		return netip.AddrFrom4([4]byte(a.addr[:4]))
	case unix.AF_INET6:
		return netip.AddrFrom16(a.addr)
	}
	return netip.Addr{}
}

// NewBatch makes a scratch area.
func NewBatch() *Batch {
	b := &Batch{area: make([]byte, BatchSize*datagramSize)}
	for i := range BatchSize {
		b.parts[i].Base = &b.area[i*datagramSize]
		b.parts[i].SetLen(datagramSize)
		b.in[i].Iov, b.out[i].Iov = &b.parts[i], &b.sent[i]
		b.in[i].SetIovlen(1)
		b.out[i].SetIovlen(1)
		b.sent[i].Base = b.parts[i].Base
	}
	return b
}

// Recv receives what is there, up to BatchSize datagrams, from a connected socket.
// Fewer than BatchSize mean that nothing was left.
func (b *Batch) Recv(fd int) (int, unix.Errno) {
	for i := range b.in {
		h := &b.in[i]
		if h.Name == nil && h.Control == nil {
			break // of a connected socket since the last time
		}
		h.Name, h.Namelen, h.Control = nil, 0, nil
		h.SetControllen(0)
	}
	return recvmmsg(fd, b.in[:])
}

// RecvFrom is Recv for a bound socket: it notes where each datagram came from and
// which address it was sent to.
func (b *Batch) RecvFrom(fd int) (int, unix.Errno) {
	for i := range b.in {
		h, source, info := &b.in[i], &b.sources[i], &b.infos[i]
		h.Name, h.Namelen = &source.raw[0], uint32(len(source.raw))
		h.Control = (*byte)(unsafe.Pointer(info))
		h.SetControllen(int(unsafe.Sizeof(*info)))
	}
	n, e := recvmmsg(fd, b.in[:])
	for i := range n {
		// What an address does not use is zero, so that addresses can be compared.
		source := &b.sources[i]
		source.len = min(b.in[i].Namelen, uint32(len(source.raw)))
		clear(source.raw[source.len:])
	}
	return n, e
}

// Datagram is what was received at place i. It lasts until the next Recv.
func (b *Batch) Datagram(i int) []byte {
	return b.area[i*datagramSize : i*datagramSize+int(b.in[i].length)]
}

// Source is where the datagram at place i came from; see RecvFrom.
func (b *Batch) Source(i int) *Sockaddr { return &b.sources[i] }

// Local is the address that the datagram at place i was sent to, if the socket is
// bound to an unspecified address.
func (b *Batch) Local(i int) (a Local) {
	if b.in[i].Controllen == 0 {
		return a
	}
	switch info := &b.infos[i]; {
	case info.Level == unix.IPPROTO_IP && info.Type == unix.IP_PKTINFO:
		a.family = unix.AF_INET
		copy(a.addr[:4], info.data[pktinfo4Local:])
	case info.Level == unix.IPPROTO_IPV6 && info.Type == unix.IPV6_PKTINFO:
		a.family = unix.AF_INET6
		copy(a.addr[:], info.data[:])
	}
	return a
}

// Send sends the datagrams received at the places from..to-1 to one address, from
// the given one of this machine if that is not zero. It stops at one that cannot be
// sent, and tells the error when that is the first.
func (b *Batch) Send(fd, from, to int, peer *Sockaddr, local Local) (sent int, e unix.Errno) {
	control := b.answerFrom(local)
	for i := from; i < to; i++ {
		h := &b.out[i]
		h.Name, h.Namelen = &peer.raw[0], peer.len
		h.Control = nil
		if control > 0 {
			h.Control = (*byte)(unsafe.Pointer(&b.from))
		}
		h.SetControllen(control)
		b.sent[i].SetLen(int(b.in[i].length))
	}
	return sendmmsg(fd, b.out[from:to])
}

// answerFrom prepares the control message for what is sent and returns its length.
func (b *Batch) answerFrom(local Local) int {
	clear(b.from.data[:])
	switch local.family {
	case unix.AF_INET:
		b.from.Level, b.from.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		copy(b.from.data[pktinfo4Local:], local.addr[:4])
		b.from.SetLen(unix.CmsgLen(pktinfo4Size))
		return unix.CmsgSpace(pktinfo4Size)
	case unix.AF_INET6:
		b.from.Level, b.from.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
		copy(b.from.data[:], local.addr[:])
		b.from.SetLen(unix.CmsgLen(pktinfo6Size))
		return unix.CmsgSpace(pktinfo6Size)
	}
	return 0
}

func recvmmsg(fd int, headers []header) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(headers))), uintptr(len(headers)), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// sendmmsg tells an error only when it has sent nothing.
func sendmmsg(fd int, headers []header) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(headers))), uintptr(len(headers)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}
