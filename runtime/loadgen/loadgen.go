package loadgen

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Run sends all calls and returns when the last is answered or given up. When ctx ends,
// nothing more is sent and what is under way is given up.
func Run(ctx context.Context, t Target, calls []Call, opt Options) *Report {
	g := &generator{
		ctx: ctx, target: t, calls: calls, replies: make([]Reply, len(calls)), start: opt.Start,
		lines: newLines(cmp.Or(opt.Lines, DefaultLines)), visitors: map[uint64]*visitor{}, turns: make(chan int),
	}
	g.dispatch(max(opt.Workers, 1))
	close(g.turns)
	g.workers.Wait()
	g.lines.close()
	return g.report()
}

// generator is one run.
type generator struct {
	ctx     context.Context
	target  Target
	calls   []Call
	replies []Reply
	start   time.Time
	lines   *lines

	mu       sync.Mutex
	visitors map[uint64]*visitor

	turns   chan int // calls whose turn it is, by index
	workers sync.WaitGroup
	busy    atomic.Int64
	most    atomic.Int64 // that were busy at one time
	waited  int
}

func (g *generator) now() time.Duration { return time.Since(g.start) }

// dispatch waits for each call's time and gives it to a worker. It waits for nothing else
// until all workers there may be are busy; then it is late, and so are those that follow.
func (g *generator) dispatch(limit int) {
	running := 0
	for k := range g.calls {
		if !g.wait(g.calls[k].At) {
			return
		}
		select {
		case g.turns <- k:
		default:
			if running < limit {
				running++
				g.workers.Go(func() { g.work(k) })
				break
			}
			g.waited++
			select {
			case g.turns <- k:
			case <-g.ctx.Done():
				return
			}
		}
	}
}

// wait lets time pass until a call's turn; false if the run ends first.
func (g *generator) wait(at time.Duration) bool {
	d := at - g.now()
	if d <= 0 {
		return g.ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-g.ctx.Done():
		return false
	}
}

// work is a worker that begins with call k.
func (g *generator) work(k int) {
	for ok := true; ok; k, ok = <-g.turns {
		n := g.busy.Add(1)
		for most := g.most.Load(); n > most && !g.most.CompareAndSwap(most, n); most = g.most.Load() {
		}
		r := &g.replies[k]
		r.Sent = g.now()
		switch {
		case g.target.Web:
			g.visit(&g.calls[k], r)
		case g.target.Datagram:
			g.datagram(&g.calls[k], r)
		default:
			g.connect(&g.calls[k], r)
		}
		if r.Fate != Answered {
			r.Done = g.now()
		}
		g.busy.Add(-1)
	}
}

func (g *generator) report() *Report {
	r := &Report{Replies: g.replies, AtOnce: int(g.most.Load()), Waited: g.waited, Hung: g.lines.hung}
	lags := make([]time.Duration, 0, len(g.calls))
	for k := range g.replies {
		if g.replies[k].Fate == Unsent {
			r.Unsent++
			continue
		}
		lags = append(lags, g.replies[k].Sent-g.calls[k].At)
	}
	if len(lags) == 0 {
		return r
	}
	slices.Sort(lags)
	at := func(permille int) time.Duration { return lags[(len(lags)*permille+999)/1000-1] }
	r.Lag = Lag{P50: at(500), P99: at(990), Max: lags[len(lags)-1]}
	return r
}
