//go:build linux

package main

import (
	"net/netip"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"slbctl/runtime/netloop"
)

// serveFloor is a proxy of slbctl's build that only moves bytes: the loop, and on it a
// connection to the server for each client, or for HTTP for each request under way, and a
// receive and a send for each piece. It looks at nothing, counts nothing, sets no option,
// has no timeout, ends both sides as soon as one has ended, and breaks when a socket does
// not take all that it is given. The distance to it is what a proxy's own decisions cost. For
// the kernel's part it is a yardstick, no bound: at 512 connections it has come out above slbctl.
func serveFloor(args []string) error {
	ep, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	server, err := netip.ParseAddrPort(args[1])
	if err != nil {
		return err
	}
	set, err := netloop.Start(1)
	if err != nil {
		return err
	}
	fds, _, err := netloop.Listen(ep, 1)
	if err != nil {
		return err
	}
	f := &floor{loop: set.Loops()[0], fd: fds[0]}
	f.pools = len(args) > 2
	f.server = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: bigEndian(server.Port()), Addr: server.Addr().As4()}
	failed := make(chan error, 1)
	f.loop.Post(func() { failed <- f.loop.Add(f.fd, f) })
	if err := <-failed; err != nil {
		return err
	}
	select {} // until it is killed
}

// floor is the listening socket.
type floor struct {
	loop   *netloop.Loop
	fd     int
	server unix.RawSockaddrInet4
	pools  bool        // connections to the server are no client's own
	idle   []*floorEnd // these, the last used last
}

// Ready takes clients. A connection over loopback stands when the call that began it returns.
func (f *floor) Ready(netloop.Events) {
	for {
		fd, _, errno := netloop.Accept(f.fd)
		if errno != 0 {
			return
		}
		client, server := &floorEnd{floor: f, fd: fd}, &floorEnd{floor: f, serves: true}
		if f.pools {
			f.loop.Add(fd, client)
			continue
		}
		client.peer, server.peer = server, client
		if server.fd, errno = f.dial(); errno != 0 {
			f.loop.Close(fd)
			continue
		}
		if f.loop.Add(server.fd, server) != nil || f.loop.Add(client.fd, client) != nil {
			server.close()
		}
	}
}

// dial connects without any of the options that a proxy sets.
func (f *floor) dial() (int, unix.Errno) {
	fd, _, e := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	_, _, e = unix.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&f.server)), unsafe.Sizeof(f.server))
	if e != 0 && e != unix.EINPROGRESS {
		f.loop.Close(int(fd))
		return -1, e
	}
	return int(fd), 0
}

func bigEndian(port uint16) uint16 { return port<<8 | port>>8 }

// floorEnd is one of the two sockets of a connection.
type floorEnd struct {
	floor  *floor
	fd     int
	peer   *floorEnd
	serves bool // it is the server's
}

func (e *floorEnd) Ready(ev netloop.Events) {
	if ev&netloop.In == 0 {
		return
	}
	b := e.floor.loop.Scratch()
	for {
		n, errno := netloop.Recv(e.fd, b)
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 || n == 0 {
			e.close()
			return
		}
		if e.peer == nil && !e.borrow() {
			e.close()
			return
		}
		if e.floor.pools && !e.serves {
			n += copy(b[n-2:], "X-Forwarded-For: 127.0.0.1\r\n\r\n") - 2 // as every proxy is held to
		}
		netloop.Send(e.peer.fd, b[:n])
		if ev&(netloop.PeerFin|netloop.Hup) == 0 { // what comes now makes an edge of its own
			if e.floor.pools && e.serves {
				e.floor.idle = append(e.floor.idle, e)
				e.peer.peer, e.peer = nil, nil
			}
			return
		}
	}
}

// borrow gives a client the connection to the server that was used last, or a new one. What is read at once is taken
// for one request, or one answer.
func (e *floorEnd) borrow() bool {
	f := e.floor
	if n := len(f.idle); n > 0 {
		e.peer, f.idle = f.idle[n-1], f.idle[:n-1]
	} else {
		fd, errno := f.dial()
		if errno != 0 {
			return false
		}
		e.peer = &floorEnd{floor: f, fd: fd, serves: true}
		f.loop.AddAhead(fd, e.peer)
	}
	e.peer.peer = e
	return true
}

func (e *floorEnd) close() {
	e.floor.idle = slices.DeleteFunc(e.floor.idle, func(other *floorEnd) bool { return other == e })
	e.floor.loop.Close(e.fd)
	if e.peer != nil {
		e.floor.loop.Close(e.peer.fd)
	}
}

// startFloor runs this program once more, as the floor.
func startFloor(s setup, cores string) (*running, error) {
	args := []string{"floor", s.Endpoint.String(), s.Servers[0].String()}
	if s.HTTP {
		args = append(args, "pool")
	}
	cmd := pinned(cores, self(), args...)
	cmd.Stderr = os.Stderr
	if err := start(cmd); err != nil {
		return nil, err
	}
	return &running{pid: cmd.Process.Pid, stop: func() error { return stop(cmd) }}, nil
}
