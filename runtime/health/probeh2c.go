package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"slbctl/runtime/balance"
)

// askH2C is the HTTP check of a server that is spoken to in HTTP/2 without TLS, on a
// connection of its own (RFC 9113, 3.3).
func askH2C(ctx context.Context, endpoint netip.AddrPort, c balance.Check) result {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dial(ctx, network, endpoint, c.Timeout)
		},
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	target, _, _ := strings.Cut(c.URI, "#")
	r, err := http.NewRequestWithContext(ctx, methodOf(c), "http://"+endpoint.String()+target, nil)
	if err != nil {
		return result{failed, err.Error()}
	}
	r.Host = c.Domain
	r.Header.Set("User-Agent", "slbctl-health")
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return h2cLost(ctx, err, c)
	}
	defer resp.Body.Close()
	if !c.Codes.Has(resp.StatusCode) {
		cause := fmt.Sprintf("answered %d, wanted %s", resp.StatusCode, c.Codes)
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
			cause += `; it speaks gRPC: http_codes = ["http_2xx", "http_4xx"]`
		}
		return result{failed, cause}
	}
	if _, err := io.CopyN(io.Discard, resp.Body, maxBody); err != nil && err != io.EOF {
		return h2cLost(ctx, err, c)
	}
	return result{outcome: passed}
}

// h2cLost explains an answer in HTTP/2 that did not come, or did not come whole.
func h2cLost(ctx context.Context, err error, c balance.Check) result {
	r := answerLost(ctx, err, c)
	if r.cause == "answered something that is not HTTP" {
		r.cause = "answered something that is not HTTP/2 without TLS"
	}
	return r
}
