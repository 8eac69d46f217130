package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

const (
	maxHead = 16 << 10 // of an answer; one that is longer is cut there and is none
	maxBody = 8 << 10  // of it that is read; the product cuts longer pages without a verdict
)

// askHTTP is the HTTP check: the server answers a HEAD or GET in time, with a status
// of one of the classes that count as well. Redirects are answers like any other.
func askHTTP(ctx context.Context, endpoint netip.AddrPort, c balance.Check) result {
	if c.H2C {
		return askH2C(ctx, endpoint, c)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := dial(ctx, "tcp", endpoint, c.Timeout)
	if err != nil {
		return judge(err, c.Timeout)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, requestOf(endpoint, c)); err != nil {
		return answerLost(ctx, err, c)
	}
	in := &io.LimitedReader{R: conn, N: maxHead}
	resp, err := answer(bufio.NewReaderSize(in, 1<<10), c)
	switch {
	case err != nil && in.N == 0:
		return result{failed, fmt.Sprintf("answered with a head over %d KiB", maxHead>>10)}
	case err != nil && in.N == maxHead && errors.Is(err, io.ErrUnexpectedEOF):
		return result{failed, "closed without an answer"}
	case err != nil:
		return answerLost(ctx, err, c)
	}
	defer resp.Body.Close()
	if !c.Codes.Has(resp.StatusCode) {
		return result{failed, fmt.Sprintf("answered %d, wanted %s", resp.StatusCode, c.Codes)}
	}
	in.N = maxBody
	if _, err := io.Copy(io.Discard, resp.Body); err != nil && in.N > 0 {
		return answerLost(ctx, err, c)
	}
	return result{outcome: passed}
}

// answer reads the head of the final answer. Interim ones may come before it
// (RFC 9110, 15.2), except 101, which nobody asked for and after which no HTTP follows.
func answer(in *bufio.Reader, c balance.Check) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: methodOf(c)})
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

func methodOf(c balance.Check) string {
	if c.Method == "get" {
		return http.MethodGet
	}
	return http.MethodHead
}

// requestOf is what the server is asked. Its Host is the check's domain or, as the
// product's $_ip, the server's own address. A fragment, which the product lets a URI
// have, is no part of what is sent (RFC 9110, 7.1).
func requestOf(endpoint netip.AddrPort, c balance.Check) string {
	host := c.Domain
	if host == "" {
		host = endpoint.String()
	}
	target, _, _ := strings.Cut(c.URI, "#")
	return methodOf(c) + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: slbctl-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
}

// answerLost explains an answer that did not come, or did not come whole.
func answerLost(ctx context.Context, err error, c balance.Check) result {
	var timeout net.Error
	switch {
	case ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout():
		return result{failed, fmt.Sprintf("no answer within %v", c.Timeout)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return result{failed, "closed before its answer was whole"}
	}
	if r := judge(err, c.Timeout); r.outcome == unknown || isErrno(err) {
		return r
	}
	return result{failed, "answered something that is not HTTP"}
}

// probe makes one check of whatever type.
func probe(ctx context.Context, endpoint netip.AddrPort, c balance.Check) result {
	switch c.Type {
	case spec.CheckHTTP:
		return askHTTP(ctx, endpoint, c)
	case spec.CheckUDP:
		return askUDP(ctx, endpoint, c)
	}
	return connect(ctx, endpoint, c.Timeout)
}
