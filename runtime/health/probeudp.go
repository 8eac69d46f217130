package health

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"slbctl/runtime/balance"
)

const shownReply = 64 // bytes of an answer, and of what was wanted, that a reason quotes

// askUDP is the UDP check. It sends the check's request, or an empty datagram. ICMP's
// "port unreachable" is sickness. Silence is health, unless an answer is expected: then
// nothing but that answer is.
func askUDP(ctx context.Context, endpoint netip.AddrPort, c balance.Check) result {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := dial(ctx, "udp", endpoint, c.Timeout)
	if err != nil {
		return judge(err, c.Timeout)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write([]byte(c.Request)); err != nil {
		return judge(err, c.Timeout)
	}
	b := make([]byte, max(len(c.Expect), shownReply)+1) // one byte more betrays a longer answer
	n, err := conn.Read(b)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if c.Expect != "" {
			return result{failed, fmt.Sprintf("no answer within %v", c.Timeout)}
		}
		return result{outcome: passed}
	case err != nil:
		return judge(err, c.Timeout)
	case c.Expect != "" && string(b[:n]) != c.Expect:
		return result{failed, "answered " + quote(string(b[:n])) + ", wanted " + quote(c.Expect)}
	}
	return result{outcome: passed}
}

// quote shows text of a server's, which may be anything, cut where it is long.
func quote(text string) string {
	if len(text) > shownReply {
		return strconv.Quote(text[:shownReply]) + "..."
	}
	return strconv.Quote(text)
}
