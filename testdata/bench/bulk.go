//go:build linux

package main

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// endless is a body that no measurement reaches the end of.
const endless = 1 << 50

// measureBulk takes in one long answer for a while and drops the connection. The
// kernel throws the bytes away instead of copying them here (MSG_TRUNC, tcp(7)), so
// that the receiver is not the slowest part.
func measureBulk(ep netip.AddrPort, d time.Duration) (load, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return load{}, fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: ep.Addr().As4(), Port: int(ep.Port())}); err != nil {
		return load{}, fmt.Errorf("%s: connect: %w", ep, err)
	}
	request := fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: %s\r\n\r\n", endless, ep)
	if _, err := unix.Write(fd, []byte(request)); err != nil {
		return load{}, fmt.Errorf("%s: send: %w", ep, err)
	}
	var received int64
	buffer := make([]byte, chunk)
	start := time.Now()
	for time.Since(start) < d {
		n, _, err := unix.Recvfrom(fd, buffer, unix.MSG_TRUNC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return load{}, fmt.Errorf("%s: receive: %w", ep, err)
		}
		if n == 0 {
			return load{}, fmt.Errorf("%s: the stream ended after %d bytes", ep, received)
		}
		received += int64(n)
	}
	took := time.Since(start).Seconds()
	return load{Requests: 1, Amount: float64(received) / (1 << 30), Rate: float64(received) * 8 / 1e9 / took}, nil
}
