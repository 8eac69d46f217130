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
	next   *trace.Request  // the one that comes next; at the end, the last one
	ahead  []trace.Request // that were read, from it on
	passed []trace.Request // the last that came

	read, spare []trace.Request // room for those ahead, and for those that were before them
	traffic     string          // whose log it is
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
	return &replay{Trace: x, traffic: t.Name, next: &trace.Request{}, read: make([]trace.Request, blockSize), spare: make([]trace.Request, blockSize)}, nil
}

// arrivals are those of the log.
func (p *replay) arrivals() *arrivals {
	a := &arrivals{pass: p.pass}
	p.look(a)
	return a
}

func (p *replay) pass(a *arrivals, until int64, most int) (n int) {
	ahead := p.ahead[:min(most, len(p.ahead))]
	for n < len(ahead) && int64(ahead[n].At) < until {
		n++
	}
	p.passed, p.ahead = ahead[:n], p.ahead[n:]
	a.index += uint64(n)
	p.look(a)
	return n
}

// look finds the request that comes next, and reads on if it has to. Those that were passed last stay as they are.
func (p *replay) look(a *arrivals) {
	if len(p.ahead) == 0 {
		p.read, p.spare = p.spare, p.read
		p.ahead = p.read[:p.Read(p.read)]
	}
	if len(p.ahead) == 0 {
		a.next = math.MaxInt64
		return
	}
	p.next = &p.ahead[0]
	a.next = int64(p.next.At)
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
