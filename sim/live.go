package sim

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/expect"
	"slbctl/spec"
)

// Live is what only a result of real traffic has: what was foretold, and whether it came so.
// JSON keys are in alphabetical order.
type Live struct {
	Agreement []Agreement `json:"agreement"`
	Generator Generator   `json:"generator"`
	Notes     []string    `json:"notes"` // why something cannot be said
	Predicted Predicted   `json:"predicted"`
	Verdict   Verdict     `json:"verdict"` // of the agreement
}

// Predicted is a simulation's result before its traffic was sent.
type Predicted struct {
	Expectations []Expectation `json:"expectations"`
	Windows      []Window      `json:"windows"`
}

// Agreement is a number that was foretold and observed.
type Agreement struct {
	Exact     bool    `json:"exact"`  // they must be equal
	High      int64   `json:"high"`   // the most, and the least, that may be foretold where this is observed
	Low       int64   `json:"low"`    //
	Metric    string  `json:"metric"` // requests of a server, or errors, elsewhere, denied, redirected, unrouted
	Observed  int64   `json:"observed"`
	Of        string  `json:"of"` // the server; empty = of the listener
	Predicted int64   `json:"predicted"`
	Route     string  `json:"route"` // resource address of the rule or listener whose server it is
	Verdict   Verdict `json:"verdict"`
	Window    string  `json:"window"` // WindowRun, or one of the result's

	pool  int      // -1 = none
	whole [2]int64 // what the two numbers are parts of
}

// WindowRun is the whole of a live run, warm-up included.
const WindowRun = "run"

// Generator is who has sent the traffic. Times are in seconds.
type Generator struct {
	AtOnce     int  `json:"at_once"`    // the most requests under way at one time
	Bottleneck bool `json:"bottleneck"` // it was too late, or could not send many: what was observed is not the listener's doing
	Hung       int  `json:"hung"`       // idle connections that it closed, for it had too many
	Lag        Lag  `json:"lag"`
	Unsent     int  `json:"unsent"`
	Waited     int  `json:"waited"` // requests that were late because all workers were busy
	Workers    int  `json:"workers"`
}

// Lag is how much later than meant requests were sent.
type Lag struct {
	Limit float64 `json:"limit"` // of P99: beyond, the generator is the bottleneck
	Max   float64 `json:"max"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

// Reply is what became of a Call.
type Reply struct {
	Done   time.Duration // since the start of the traffic
	Source netip.AddrPort
	Server netip.AddrPort // who names himself in the answer
	Status int            // 200 also where it is no HTTP; 0 = there was no whole answer
	Silent bool           // for want of time
	Unsent bool
	Err    error // nil if there was an answer
}

// Aftermath is how things are after a live run.
type Aftermath struct {
	Generator Generator
	Pools     []balance.Standing // of the listener, as in LiveOptions
	Moved     bool               // the configuration was changed meanwhile
	ActLag    time.Duration      // how much later than meant a strike, or what an operator does, was done, at most
}

// seen is a live run that is counted.
type seen struct {
	*Forecast
	run       *run
	stretch   map[*stretch]*stretch // of what was foretold, and the same of what was seen
	took      [2]map[place]int64    // foretold and seen, by server
	outcomes  [2]tally              // likewise
	elsewhere map[int]int64         // by pool: requests that somebody else has served than was foretold
	unnamed   int
	failure   error // the first
	after     Aftermath
	notes     []string
}

// place is a server of a pool.
type place struct{ pool, server int }

// Compare holds what became of the calls against what was foretold of each. The result is
// about what was seen; its Live has both.
func (f *Forecast) Compare(replies []Reply, after Aftermath) (*Result, error) {
	after.Generator.Bottleneck = after.Generator.limits(len(f.Calls))
	if after.Moved {
		after.Pools = f.opt.Pools // these may be other pools
	}
	s := &seen{Forecast: f, after: after, stretch: map[*stretch]*stretch{}, took: [2]map[place]int64{{}, {}}, elsewhere: map[int]int64{}, notes: []string{}}
	var err error
	quiet := *f.sim
	quiet.Traffic = nil // which has been sent
	if s.run, err = newRun(f.config, &quiet, Options{Seed: f.opt.Seed, Before: f.before, Drained: f.opt.Drained, live: true}); err != nil {
		return nil, err
	}
	s.run.sim = f.sim
	if s.run.moves != nil {
		for k := range f.sim.Traffic {
			s.run.moves.addStream(f.population(k))
		}
	}
	for k := range replies {
		s.count(k, &replies[k])
	}
	predicted, out := f.run.result(), s.run.result()
	out.Requests, out.Warnings = int64(len(replies)), predicted.Warnings
	out.Live = &Live{Generator: after.Generator, Predicted: Predicted{predicted.Expectations, predicted.Windows}}
	out.Expectations = s.judge(out, predicted)
	s.ask(out)
	out.Live.Agreement = s.agree(out, predicted)
	out.Live.Verdict = Pass
	for _, a := range out.Live.Agreement {
		out.Live.Verdict = out.Live.Verdict.Worse(a.Verdict)
	}
	if s.cannotSay() {
		out.Live.Verdict = Inconclusive
	}
	out.Live.Notes = s.notes
	return out, nil
}

// population is how many clients a stream has.
func (f *Forecast) population(stream int) uint64 {
	if f.run.visits != nil {
		return f.run.visits[stream].count
	}
	return f.run.clients[stream].count
}

// limits says whether the generator was the bottleneck of so many calls.
func (g *Generator) limits(calls int) bool {
	return g.Lag.P99 > g.Lag.Limit || g.Unsent*mostUnsent > calls
}

// cannotSay reports whether something has kept the run from showing what the listener does,
// and notes what.
func (s *seen) cannotSay() bool {
	g, before := &s.after.Generator, len(s.notes)
	note := func(format string, args ...any) { s.notes = append(s.notes, fmt.Sprintf(format, args...)) }
	if s.after.Moved {
		note("the configuration that runs was changed meanwhile")
	}
	if s.unnamed > 0 {
		note("%s by a server that did not say who it is", count(s.unnamed, "request"))
	}
	if g.Unsent*mostUnsent > len(s.Calls) {
		note("the generator was the bottleneck: it could not send %s", count(g.Unsent, "request"))
	}
	if g.Lag.P99 > g.Lag.Limit {
		note("the generator was the bottleneck: the p99 of its lag was %s, more than %s", Brief(g.Lag.P99), Brief(g.Lag.Limit))
		if g.Waited > 0 {
			note("%s found all of its %s busy", count(g.Waited, "request"), count(g.Workers, "worker"))
		}
	}
	unsaid := len(s.notes) > before
	if s.failure != nil {
		note("the first request without an answer: %v", s.failure)
	}
	return unsaid
}

// mostUnsent is of how many requests one may not be sent, for its port is taken.
const mostUnsent = 100

// count takes a reply into the counts.
func (s *seen) count(k int, reply *Reply) {
	told := &s.foretold[k]
	if s.failure == nil {
		s.failure = reply.Err
	}
	if reply.Unsent {
		return
	}
	if told.outcome == Served || told.reached && s.mutes(told) { // whom nobody asks who he is, the runtime counts
		s.took[0][place{told.pool, told.server}]++
	}
	s.outcomes[0][told.outcome]++
	at, named := s.find(told, reply.Server)
	if named {
		s.took[1][at]++
		if told.outcome == Served && at != (place{told.pool, told.server}) {
			s.elsewhere[told.pool]++
		}
	}
	o := s.outcome(k, reply, named)
	s.outcomes[1][o]++
	if o == Served && !named {
		if s.mutes(told) {
			s.somebody(told, reply)
		} else {
			s.unnamed++
		}
		return
	}
	c := &s.run.coming
	*c = connection{came: int64(told.at), done: int64(reply.Done), stretch: s.counterpart(told.stretch), pool: at.pool, stream: told.stream, visitor: told.visitor}
	if o == Denied || o == Dropped {
		c.pool = -1
	}
	s.run.finish(c, o, at.server)
}

// mutes reports whether the servers that a request is for do not all say who they are.
func (s *seen) mutes(told *foretold) bool { return told.pool >= 0 && s.mute[told.pool] }

// somebody counts a request that a server has served who does not say who it is.
func (s *seen) somebody(told *foretold, reply *Reply) {
	own, took := s.counterpart(told.stretch), int64(reply.Done-told.at)
	own.routes[told.pool][Served]++
	own.latency.record(took)
	for _, g := range own.gauges {
		if g.metric != spec.MetricShare {
			g.observe(Served, 0, took)
		}
	}
}

// ask has the runtime say how many requests the servers have got that do not say who they
// are, and leaves them out where only answers tell.
func (s *seen) ask(out *Result) {
	for k, mute := range s.mute {
		if !mute {
			continue
		}
		for i := range s.run.pools[k].Backends {
			s.took[1][place{k, i}] = s.after.Pools[k].Servers[i].Requests - s.opt.Pools[k].Servers[i].Requests
		}
		for w := range out.Windows {
			out.Windows[w].Backends = []Backend{}
			if k < len(out.Windows[w].Routes) {
				out.Windows[w].Routes[k].Backends = []Backend{}
			}
		}
	}
}

// counterpart is the stretch in which what was seen counts instead.
func (s *seen) counterpart(of *stretch) *stretch {
	own := s.stretch[of]
	if own == nil {
		own = s.run.newStretch(of.windows)
		s.stretch[of] = own
		s.run.stretches = append(s.run.stretches, own)
	}
	return own
}

// find finds who has answered, first of all in the pool that the request is for.
func (s *seen) find(told *foretold, server netip.AddrPort) (at place, named bool) {
	if told.pool < 0 {
		return place{pool: -1}, false
	}
	is := func(b balance.Backend) bool { return b.Endpoint == server }
	if i := slices.IndexFunc(s.run.pools[told.pool].Backends, is); i >= 0 {
		return place{told.pool, i}, true
	}
	for k := range s.run.pools {
		if i := slices.IndexFunc(s.run.pools[k].Backends, is); i >= 0 {
			return place{k, i}, true
		}
	}
	return place{pool: told.pool}, false
}

// outcome says in the simulator's words what became of call k. A connection that is reset
// does not say why, nor a datagram that is not answered.
func (s *seen) outcome(k int, reply *Reply, named bool) Outcome {
	told := &s.foretold[k]
	l, status, mute := s.Listener, reply.Status, s.mutes(told)
	switch {
	case status == 0 && !l.ACL.Allows(s.Calls[k].Source.Addr()):
		return Denied
	case reply.Silent:
		return TimedOut
	case status == 0 && told.outcome != Failed && (l.CPS > 0 || l.MaxConnections > 0):
		return Dropped
	case status == 0:
		return Failed
	case (named || mute) && status >= http.StatusInternalServerError:
		return Errored
	case named, mute && told.outcome == Served: // whose 404 it is, is taken as foretold
		return Served
	case status == http.StatusServiceUnavailable:
		return Dropped
	case status == http.StatusGatewayTimeout:
		return TimedOut
	case status >= http.StatusInternalServerError:
		return Failed
	case status == http.StatusNotFound:
		return NotFound
	case status >= http.StatusBadRequest:
		return Refused
	case status >= http.StatusMultipleChoices:
		return Redirected
	}
	return Served
}

// judge holds what was seen against the expectations. Where turns give each server exactly
// its part, those who were under way at the ends of a window may count on either side.
func (s *seen) judge(out, predicted *Result) (list []Expectation) {
	for k, x := range out.Expectations {
		e := s.sim.Expects[k]
		switch foretold := predicted.Expectations[k]; {
		case s.after.Generator.Bottleneck:
			x.Verdict, x.Detail = Inconclusive, x.Detail+"; the generator was the bottleneck"
		case (e.Metric == spec.MetricShare || e.Metric == spec.MetricClientsMoved) && slices.Contains(s.mute, true):
			x = expect.Nothing(&e, "servers do not say in their answers who they are: the numbers of the whole run tell")
		case e.Metric == spec.MetricUtilisation:
			x = expect.Nothing(&e, "servers that run do not tell how busy they are")
		case e.Metric == spec.MetricShare && s.run.gauges[k] == nil && x.Verdict == Fail && foretold.Verdict == Pass && x.Observed != nil:
			w := windowOf(e.During, out.Windows)
			slack := float64(s.after.Generator.AtOnce) / float64(max(w.served(), 1))
			if d := *x.Observed - *foretold.Observed; -slack <= d && d <= slack {
				x.Verdict, x.Detail = Pass, fmt.Sprintf("%s; that is %s but for those under way at its ends", x.Detail, percent(*foretold.Observed))
			}
		}
		list = append(list, x)
	}
	return list
}
