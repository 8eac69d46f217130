package trial

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"slbctl/runtime/explain"
	"slbctl/runtime/webclient"
	"slbctl/spec"
)

// patience is how long an answer may take.
const patience = 10 * time.Second

// Live runs tests on what runs: ask tells where a request goes there, and the request
// itself is sent to find out what comes back.
func Live(ctx context.Context, c *spec.Config, ask func(explain.Question) (*explain.Explanation, error)) *Runner {
	return &Runner{
		Explain: ask,
		Answer:  func(q *explain.Question, e *explain.Explanation) Reply { return send(ctx, c, q, e) },
	}
}

// send makes the request.
func send(ctx context.Context, c *spec.Config, q *explain.Question, e *explain.Explanation) Reply {
	endpoint, err := netip.ParseAddrPort(e.Endpoint)
	source := q.From.Addr()
	scheme, _, _ := strings.Cut(q.URL, "://")
	switch {
	case err != nil:
		return Reply{Answers: []Answer{own(e)}} // nobody is there to be asked
	case scheme == spec.ProtocolUDP:
		return Reply{Unknown: "nobody can tell a datagram that is lost from one that is not answered"}
	case !source.IsLoopback():
		return Reply{Unknown: "no request can be sent from " + source.String() + " here: it is no address of the loopback network"}
	case !endpoint.Addr().IsLoopback() || endpoint.Addr().Is4() != source.Is4():
		source = netip.Addr{} // the kernel has one that fits
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	call := webclient.Call{
		Endpoint: endpoint, Source: source, Port: q.From.Port(), Herald: heralded(c, e.Listener), Secure: scheme == spec.ProtocolHTTPS,
		Method: q.Method, Host: q.Host(), Path: q.Target(), Header: http.Header{},
	}
	for _, h := range q.Headers {
		if name, value, _ := strings.Cut(h, ":"); !strings.EqualFold(name, "host") {
			call.Header.Add(name, strings.TrimSpace(value))
		}
	}
	if scheme == spec.ProtocolTCP {
		err = webclient.Connect(ctx, call)
		if err == nil {
			return Reply{Answers: []Answer{{Status: connected, whole: true}}}
		}
	} else {
		var answer webclient.Answer
		if answer, err = webclient.Get(ctx, call); err == nil {
			return Reply{Answers: []Answer{{Status: answer.Status, Header: answer.Header, whole: true}}}
		}
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
		return Reply{Answers: []Answer{{whole: true}}}
	}
	return Reply{Unknown: err.Error()}
}

// heralded says whether a listener takes the PROXY protocol.
func heralded(c *spec.Config, address string) bool {
	for _, lb := range c.LoadBalancers {
		for _, l := range lb.Listeners {
			if l.Address == address {
				return l.AcceptProxyProtocol
			}
		}
	}
	return false
}
