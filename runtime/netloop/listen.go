//go:build linux

package netloop

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// backlog is how many connections may wait for an accept; the kernel lowers it
// to net.core.somaxconn.
const backlog = 4096

// Listen binds n listening TCP sockets to one endpoint, one for each loop; the
// kernel spreads connections over them. Port 0 takes a free port. What accepted
// sockets inherit is set here: no delay of small segments, urgent bytes in line.
//
// The first socket is bound without SO_REUSEPORT, so that a port which anybody
// else has is refused instead of shared; it gets the option after that, and its
// siblings follow.
func Listen(ep netip.AddrPort, n int) (fds []int, bound netip.AddrPort, err error) {
	defer func() {
		if err != nil {
			closeAll(fds)
			fds = nil
		}
	}()
	for i := range n {
		fd, err := listenSocket(ep, i > 0)
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
	// All are bound before one listens: no connection can be queued on a socket
	// that the failure of a sibling would close.
	for _, fd := range fds {
		if err := unix.Listen(fd, backlog); err != nil {
			return fds, ep, BindError("tcp", ep, err)
		}
	}
	return fds, ep, nil
}

func listenSocket(ep netip.AddrPort, sibling bool) (int, error) {
	sa := NewSockaddr(ep)
	fd, err := unix.Socket(int(sa.family()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: open a socket: %w", ep, err)
	}
	setOption(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	setOption(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	if sibling {
		setOption(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if sa.family() == unix.AF_INET6 {
		setOption(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err := bind(fd, &sa); err != nil {
		unix.Close(fd)
		return -1, BindError("tcp", ep, err)
	}
	return fd, nil
}

// DeferAccept makes a listening socket hand connections over when their first bytes have
// come, or a second after they were made. For protocols in which the client speaks first
// that saves a turn of the loop, and often a sleep, for each: what is accepted can be read.
// Until then a client has no socket here, so closing the listening socket refuses it.
func DeferAccept(fd int, on bool) {
	var seconds int32
	if on {
		seconds = 1
	}
	setOption(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds)
}

func localEndpoint(fd int, ep netip.AddrPort) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return ep, fmt.Errorf("%s: getsockname: %w", ep, err)
	}
	port := ep.Port()
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		port = uint16(sa.Port)
	case *unix.SockaddrInet6:
		port = uint16(sa.Port)
	}
	return netip.AddrPortFrom(ep.Addr(), port), nil
}

// BindError says why a socket could not be bound and what to do about it: who
// has the port, or how to be allowed it. Network is "tcp" or "udp".
func BindError(network string, ep netip.AddrPort, err error) error {
	switch errno := unwrapErrno(err); errno {
	case unix.EADDRINUSE:
		who := "another process"
		if h := holder(network, ep); h != "" {
			who = h
		}
		return fmt.Errorf("%s port %s: already in use by %s; stop it or choose another port: %w", network, ep, who, errno)
	case unix.EACCES:
		return fmt.Errorf("%s port %s: ports below 1024 need a privilege; set SLBCTL_PORT_OFFSET=8000 to serve on %d, "+
			"or run setcap cap_net_bind_service=+ep on the slbctl binary, "+
			"or sysctl net.ipv4.ip_unprivileged_port_start=%d: %w", network, ep, int(ep.Port())+8000, ep.Port(), errno)
	case unix.EADDRNOTAVAIL:
		return fmt.Errorf("%s port %s: this machine does not have the address: %w", network, ep, errno)
	}
	return fmt.Errorf("%s port %s: %w", network, ep, err)
}
