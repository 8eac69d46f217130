package health

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"slbctl/runtime/balance"
)

const maxReply = 64 << 10 // of a datagram

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
	b := make([]byte, min(maxReply, len(c.Expect)+1)) // one byte more shows a longer answer
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
		return result{failed, fmt.Sprintf("answered %.40q, wanted %.40q", b[:n], c.Expect)}
	}
	return result{outcome: passed}
}
