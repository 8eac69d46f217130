//go:build linux

package netloop

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below cannot block (MSG_DONTWAIT, O_NONBLOCK), so they bypass the
// scheduler's bookkeeping around system calls. Each returns the kernel's error
// number, 0 for none, since the loop compares it far more often than it prints it.

// Recv reads from a socket; 0 without an error is the end of the stream.
func Recv(fd int, b []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

// Quiet reports whether a socket has nothing to read, not even the end of its stream.
func Quiet(fd int) bool {
	var b [1]byte
	_, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1, unix.MSG_DONTWAIT|unix.MSG_PEEK, 0, 0)
	return e == unix.EAGAIN
}

// Send writes to a socket, perhaps less than all.
func Send(fd int, b []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

// SendLast is Send for bytes behind which our side of the stream ends at once, with
// ShutdownWrite or Close: the kernel keeps the last segment back until then, so that
// bytes and end are one packet, not two.
func SendLast(fd int, b []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|unix.MSG_MORE, 0, 0)
	return int(n), e
}

// splice moves up to n bytes between a socket and a pipe without copying them.
func splice(from, to, n int) (int, unix.Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
	return int(r), e
}

// Accept takes a connection from a listening socket and says where it comes from.
func Accept(fd int) (int, netip.AddrPort, unix.Errno) {
	var sa Sockaddr
	sa.len = uint32(len(sa.raw))
	n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)), uintptr(unsafe.Pointer(&sa.len)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, netip.AddrPort{}, e
	}
	return int(n), sa.AddrPort(), 0
}

// Dial begins to connect a new socket to sa from the default source address,
// without delay of small segments. The connection stands, or has failed, when
// the loop reports Out or Err. It leaves the last descriptors to others: EMFILE then.
func (l *Loop) Dial(sa *Sockaddr) (int, unix.Errno) {
	r, _, e := unix.RawSyscall(unix.SYS_SOCKET, uintptr(sa.family()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	fd := int(r)
	if fd >= l.last {
		closeFD(fd)
		return -1, unix.EMFILE
	}
	setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	setOption(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	_, _, e = unix.RawSyscall(unix.SYS_CONNECT, r, uintptr(unsafe.Pointer(&sa.raw)), uintptr(sa.len))
	if e != 0 && e != unix.EINPROGRESS {
		closeFD(fd)
		return -1, e
	}
	return fd, 0
}

// SelfConnected reports whether a socket that was to connect to sa has met
// itself: on a port that nobody listens on, of those the kernel gives to
// connecting sockets, it can be both ends of its connection.
func SelfConnected(fd int, sa *Sockaddr) bool {
	if sa.port() < ephemeralFrom() {
		return false
	}
	local := Sockaddr{len: uint32(len(sa.raw))}
	_, _, e := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&local.raw)), uintptr(unsafe.Pointer(&local.len)))
	return e == 0 && local.AddrPort() == sa.AddrPort()
}

// ephemeralFrom is the lowest port that the kernel gives to connecting sockets.
var ephemeralFrom = sync.OnceValue(func() uint16 {
	var low uint16
	b, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	_, _ = fmt.Sscan(string(b), &low) // unreadable: 0, so that every port is looked at
	return low
})

// SocketError fetches and clears the error that a socket has met.
func SocketError(fd int) unix.Errno {
	var value, size int32 = 0, 4
	_, _, e := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR, uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return e
	}
	return unix.Errno(value)
}

// RTT is the kernel's estimate of the round trip to a TCP socket's peer, 0 if it has none.
func RTT(fd int) time.Duration {
	var info unix.TCPInfo
	size := uint32(unsafe.Sizeof(info))
	_, _, e := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return 0
	}
	return time.Duration(info.Rtt) * time.Microsecond
}

// ShutdownWrite ends the stream towards the peer; reading goes on.
func ShutdownWrite(fd int) {
	unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
}

// Abort makes the close that follows send RST and drop what was not sent yet.
func Abort(fd int) {
	linger := unix.Linger{Onoff: 1}
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&linger)), unsafe.Sizeof(linger), 0)
}

// setOption sets an option that every Linux since 3.9 has, so it cannot fail.
func setOption(fd, level, option int, value int32) {
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&value)), unsafe.Sizeof(value), 0)
}

// bind gives a socket its local endpoint.
func bind(fd int, sa *Sockaddr) error {
	_, _, e := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)), uintptr(sa.len))
	if e != 0 {
		return e
	}
	return nil
}

func closeFD(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

func epollAdd(epoll, fd int, event *unix.EpollEvent) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(event)), 0, 0)
	return e
}

// epollRemove cannot fail for a descriptor that was added.
func epollRemove(epoll, fd int) {
	unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), unix.EPOLL_CTL_DEL, uintptr(fd), 0, 0, 0)
}

// epollPoll blocks for milliseconds at most, so the scheduler need not know. It returns
// -1 when a signal ended it early: the runtime then wants the thread to come by.
func epollPoll(epoll int, events []unix.EpollEvent, milliseconds int) int {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(milliseconds), 0, 0)
	if e != 0 {
		return -1
	}
	return int(n)
}

// epollWait may block, so it tells the scheduler. A signal ends it early with no events.
func epollWait(epoll int, events []unix.EpollEvent, milliseconds int) int {
	n, _, e := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(milliseconds), 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}
