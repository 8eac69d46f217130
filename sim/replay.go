package sim

import (
	"context"
	"fmt"
	"math"
	"net/netip"

	"slbctl/sim/trace"
	"slbctl/spec"
)

// replay gives a stream the requests of a log instead of drawn ones: to a listener of L4
// each is a connection. The first one comes at 0, the others as much later as they did.
type replay struct {
	*trace.Trace
	next trace.Request // the one that comes next

	traffic string // whose log it is
}

// openReplay reads the log of a stream; nil if it has none.
func openReplay(ctx context.Context, t *spec.Traffic) (*replay, error) {
	if t.Log == "" {
		return nil, nil
	}
	x, err := trace.Open(ctx, t.Log, trace.Options{})
	if err != nil {
		return nil, fmt.Errorf("traffic %q: %w", t.Name, err)
	}
	return &replay{Trace: x, traffic: t.Name}, nil
}

// arrivals are those of the log.
func (p *replay) arrivals() *arrivals {
	a := &arrivals{step: func(a *arrivals) {
		if a.index++; !p.Next(&p.next) {
			a.next = math.MaxInt64
			return
		}
		a.next = int64(p.next.At)
	}}
	a.step(a)
	a.index = 0
	return a
}

// requests are the kinds of them that the log has.
func (p *replay) requests() (kinds []spec.Request) {
	for _, t := range p.Targets {
		kinds = append(kinds, spec.Request{Host: t.Host, Path: t.Path})
	}
	return kinds
}

func (p *replay) client() uint64 { return uint64(p.next.Client) }

func (p *replay) address(client uint64) netip.Addr { return p.Clients[client] }
