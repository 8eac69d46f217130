package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"slbctl/runtime/balance"
)

type outcome int

const (
	unknown outcome = iota // says nothing about the backend
	passed
	failed
)

// result is the outcome of one probe and, if it failed, the cause.
type result struct {
	outcome outcome
	cause   string
}

// probeFunc probes an endpoint. It returns within the check's timeout, and at once when
// ctx ends.
type probeFunc func(ctx context.Context, endpoint netip.AddrPort, c balance.Check) result

// dial connects a socket to an endpoint.
func dial(ctx context.Context, network string, endpoint netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout, KeepAlive: -1}
	dialer.SetMultipathTCP(false)
	return dialer.DialContext(ctx, network, endpoint.String())
}

// connect is the TCP check: the handshake completes in time. No data is sent, and
// the connection ends with RST as the product's does, so that it leaves nothing
// behind in TIME_WAIT.
func connect(ctx context.Context, endpoint netip.AddrPort, timeout time.Duration) result {
	conn, err := dial(ctx, "tcp", endpoint, timeout)
	if err != nil {
		return judge(err, timeout)
	}
	// Neither can fail on a connection that was just opened, and the answer is in.
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
	return result{outcome: passed}
}

func isErrno(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// judge turns a failed connect into a result. What this machine lacks is no
// fault of the backend's and does not count against it.
func judge(err error, timeout time.Duration) result {
	var errno syscall.Errno
	errors.As(err, &errno)
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EAGAIN:
		return result{outcome: unknown, cause: errno.Error()}
	}
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return result{failed, fmt.Sprintf("no answer within %v", timeout)}
	case errno != 0:
		return result{failed, errno.Error()}
	default:
		return result{failed, err.Error()}
	}
}
