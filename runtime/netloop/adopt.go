//go:build linux

package netloop

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Adopt makes the sockets of an endpoint that another process has bound this one's, for
// use with a Loop. They must be all of them: each has a queue of its own. Network is "tcp"
// or "udp". On an error they are still the caller's.
func Adopt(network string, ep netip.AddrPort, fds []int) error {
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		bound, err := localEndpoint(fd, ep)
		if err == nil && bound.Port() != ep.Port() {
			err = fmt.Errorf("the socket that was handed over is bound to port %d", bound.Port())
		}
		if err == nil {
			err = unix.SetNonblock(fd, true)
		}
		if err != nil {
			return fmt.Errorf("%s port %s: %w", network, ep, err)
		}
	}
	return nil
}

// Siblings binds n more listening TCP sockets to the endpoint of one that [Listen] made.
func Siblings(ep netip.AddrPort, first, n int) (fds []int, err error) {
	fds, err = siblings(first, n, func() (int, error) { return listenSocket(ep, true) })
	for k := 0; k < len(fds) && err == nil; k++ {
		if err = unix.Listen(fds[k], backlog); err != nil {
			err = BindError("tcp", ep, err)
		}
	}
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	return fds, nil
}

// SiblingsUDP is [Siblings] for UDP: some of the clients come to the new sockets from then on.
func SiblingsUDP(ep netip.AddrPort, first, n int) (fds []int, err error) {
	fds, err = siblings(first, n, func() (int, error) { return bindUDP(ep, true) })
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	return fds, nil
}

func siblings(first, n int, bind func() (int, error)) (fds []int, err error) {
	setOption(first, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) // it may have been alone
	for range n {
		fd, err := bind()
		if err != nil {
			return fds, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// Duplicate returns another descriptor of the same socket. A process that is started does
// not inherit it unless it is told to.
func Duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

// FileOf is another descriptor of a socket of package net. Unlike its File method it
// leaves the socket as it is when a started process inherits it: that one would make it
// block, for everybody who has it.
func FileOf(socket syscall.Conn, name string) (*os.File, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	if err := raw.Control(func(own uintptr) { fd, dupErr = Duplicate(int(own)) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, fmt.Errorf("%s: %w", name, dupErr)
	}
	return os.NewFile(uintptr(fd), name), nil
}
