package runtime

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/webclient"
	"slbctl/spec"
)

// Bounds of what an apply asks a listener.
const (
	timesAsked = 100    // each request, unless an expectation needs more
	mostAsked  = 10_000 // requests altogether, and clients
	askers     = 4      // at once

	askPatience = 10 * time.Second // with one answer
	runPatience = 20 * time.Second // with all of them
)

// asker is a client of a listener with many addresses.
type asker struct {
	listener *balance.Listener
	pools    []*balance.Pool
	pages    bool // requests of HTTP are answered
	requests []question
	times    []int // each of them
	sources  []netip.Addr

	asked, errors, unrouted atomic.Int64
	mu                      sync.Mutex
	failure                 string // the first
}

// question is a request, and the pool that it is for, -1 = none.
type question struct {
	balance.Request
	pool     int
	unrouted bool // the balancer itself is to answer that it knows no such URL
}

func newAsker(l *balance.Listener, pages bool) *asker {
	a := &asker{listener: l, pools: l.Pools(), pages: pages, sources: sourcesFor(l)}
	if !spec.L7(l.Protocol) {
		a.requests = []question{{Request: balance.Request{Host: l.Endpoint.Addr().String(), Path: "/"}}}
	} else {
		for _, r := range l.Requests() {
			route, ok := l.RouteRequest(nil, []byte(r.Host), []byte(r.Path))
			a.requests = append(a.requests, question{r, route.Pool, !ok || route.NotFound})
		}
	}
	a.times = make([]int, len(a.requests))
	return a
}

// sourcesFor are addresses of this machine that a listener lets in: many on the loopback
// network, else the one that the kernel takes.
func sourcesFor(l *balance.Listener) (sources []netip.Addr) {
	own := l.Endpoint.Addr()
	add := func(first netip.Addr, n int) {
		for ip := first; n > 0 && ip.IsLoopback(); ip, n = ip.Next(), n-1 {
			if l.ACL.Allows(ip) {
				sources = append(sources, ip)
			}
		}
	}
	if !own.Is4() || !own.IsLoopback() {
		if l.ACL.Allows(own) {
			sources = append(sources, own)
		}
		return sources
	}
	if add(netip.AddrFrom4([4]byte{127, 128, 0, 1}), mostAsked); len(sources) > 0 {
		return sources
	}
	if add(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 1); len(sources) > 0 {
		return sources
	}
	for _, entry := range l.ACL.Entries() {
		if entry.Addr().Is4() && len(sources) == 0 {
			add(entry.Masked().Addr(), min(1<<(32-entry.Bits()), mostAsked))
		}
	}
	return sources
}

// what clients send to the listener.
func (a *asker) what() string {
	if spec.L7(a.listener.Protocol) {
		return "request"
	}
	return "connection"
}

// run asks everything, the requests in turn, within its patience and the listener's limits.
func (a *asker) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, runPatience)
	defer cancel()
	plan := a.plan()
	in := &turns{all: len(plan), pause: a.pause()}
	var all sync.WaitGroup
	for range askers {
		all.Go(func() {
			for {
				n, ok := in.take(ctx)
				if !ok {
					return
				}
				a.count(ctx, &a.requests[plan[n]], a.sources[n%len(a.sources)])
			}
		})
	}
	all.Wait()
}

// turns are taken one after the other, a pause apart. Who comes late, since the machine stood
// still, makes nothing up for it: the listener's clients would pay for that.
type turns struct {
	all   int
	pause time.Duration

	mu    sync.Mutex
	taken int
	next  time.Time
}

// take waits for the next turn and says which one it is; false where there is none any more.
func (t *turns) take(ctx context.Context) (n int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken == t.all || wait(ctx, time.Until(t.next)) != nil {
		return 0, false
	}
	t.next = time.Now().Add(t.pause)
	t.taken++
	return t.taken - 1, true
}

// plan is the order of the requests, by index.
func (a *asker) plan() (plan []int) {
	for round, more := 0, true; more; round++ {
		more = false
		for n, times := range a.times {
			if round < times && len(plan) < mostAsked {
				plan, more = append(plan, n), true
			}
		}
	}
	return plan
}

// pause keeps the requests to half of what the listener takes in a second, so that its
// clients have theirs.
func (a *asker) pause() (pause time.Duration) {
	for _, limit := range []int{a.listener.CPS, a.listener.QPS, a.listener.MaxQPS} {
		if limit > 0 {
			pause = max(pause, 2*time.Second/time.Duration(limit))
		}
	}
	return pause
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// count asks once. What the end of the run cuts off does not count.
func (a *asker) count(ctx context.Context, q *question, source netip.Addr) {
	one, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	call := webclient.Call{
		Endpoint: a.listener.Endpoint, Source: source, Herald: a.listener.AcceptProxyProtocol,
		Secure: a.listener.Protocol == spec.ProtocolHTTPS, Host: q.Host, Path: q.Path,
	}
	var answer webclient.Answer
	var err error
	if spec.L7(a.listener.Protocol) || a.pages {
		answer, err = webclient.Get(one, call)
	} else {
		err = webclient.Connect(one, call)
	}
	status := answer.Status
	if ctx.Err() != nil {
		return
	}
	a.asked.Add(1)
	switch {
	case err == nil && status >= http.StatusInternalServerError:
		err = fmt.Errorf("%s%s: %d %s", q.Host, q.Path, status, http.StatusText(status))
	case err == nil && q.unrouted && status >= http.StatusBadRequest:
		a.unrouted.Add(1)
	}
	if err == nil {
		return
	}
	a.errors.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure == "" {
		a.failure = err.Error()
	}
}
