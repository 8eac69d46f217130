//go:build linux

package netloop

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How many bytes may wait in a UDP socket, bound or connected; the kernel lowers it to
// net.core.rmem_max. Its default would hold some hundred datagrams of one burst.
const (
	boundBuffer     = 4 << 20
	connectedBuffer = 1 << 20
)

// ListenUDP binds n UDP sockets to one endpoint, one for each loop; the kernel
// spreads the clients over them by address, and the same client always reaches the
// same socket. Port 0 takes a free port. As with [Listen], a port that anybody else
// has is refused instead of shared.
//
// On an unspecified address each datagram tells which of the machine's addresses it
// came for; see [Batch.Local].
func ListenUDP(ep netip.AddrPort, n int) (fds []int, bound netip.AddrPort, err error) {
	defer func() {
		if err != nil {
			closeAll(fds)
			fds = nil
		}
	}()
	for i := range n {
		fd, err := bindUDP(ep, i > 0)
		if err != nil {
			return fds, ep, err
		}
		fds = append(fds, fd)
		if i == 0 {
			if ep, err = localEndpoint(fd, ep); err != nil {
				return fds, ep, err
			}
			if n > 1 {
				setOption(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}
		}
	}
	return fds, ep, nil
}

// bindUDP never sets SO_REUSEADDR: two UDP sockets that have it share a port.
func bindUDP(ep netip.AddrPort, sibling bool) (int, error) {
	sa := NewSockaddr(ep)
	fd, err := unix.Socket(int(sa.family()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: open a socket: %w", ep, err)
	}
	setOption(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, boundBuffer)
	setOption(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, boundBuffer)
	if sibling {
		setOption(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if sa.family() == unix.AF_INET6 {
		setOption(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if ep.Addr().IsUnspecified() {
		if sa.family() == unix.AF_INET6 {
			setOption(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else {
			setOption(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	}
	if err := bind(fd, &sa); err != nil {
		unix.Close(fd)
		return -1, BindError("udp", ep, err)
	}
	return fd, nil
}

// DialUDP connects a new UDP socket to sa: it gets datagrams from there alone, and
// its error is what ICMP has to say about them. EAGAIN means that the kernel has no
// port left to give.
func DialUDP(sa *Sockaddr) (int, unix.Errno) {
	r, _, e := unix.RawSyscall(unix.SYS_SOCKET, uintptr(sa.family()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	setOption(int(r), unix.SOL_SOCKET, unix.SO_RCVBUF, connectedBuffer)
	_, _, e = unix.RawSyscall(unix.SYS_CONNECT, r, uintptr(unsafe.Pointer(&sa.raw)), uintptr(sa.len))
	if e != 0 {
		closeFD(int(r))
		return -1, e
	}
	return int(r), 0
}

// AddInput registers fd like Add, for what can be read and for errors alone. A UDP
// socket is nearly always writable, and each datagram that the kernel is done with
// would report so again.
func (l *Loop) AddInput(fd int, h Handler) error {
	if err := l.Add(fd, h); err != nil {
		return err
	}
	event := unix.EpollEvent{Events: uint32(In) | unix.EPOLLET, Fd: int32(fd), Pad: l.slots[fd].generation}
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.epoll), unix.EPOLL_CTL_MOD, uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	if e != 0 {
		return fmt.Errorf("descriptor %d: epoll_ctl: %w", fd, e)
	}
	return nil
}

// Descriptors is how many descriptors a loop's clients may take in all before
// [Loop.Scarce] says so.
func (l *Loop) Descriptors() int { return l.scarce }
