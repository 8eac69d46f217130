package sim

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"slbctl/runtime/balance"
	"slbctl/runtime/expect"
	"slbctl/spec"
)

// agreeing is how sure it is, of all numbers of a live run together, that one which does not
// agree is no accident.
const agreeing = 0.999

// Metrics of an Agreement that are none of an expectation.
const (
	metricRequests   = "requests"
	metricElsewhere  = "elsewhere" // requests that went to another server than the hash says
	metricDenied     = "denied"
	metricRedirected = "redirected"
)

// agree compares. Turns and hashes give each server what was foretold, whatever the order
// and the delay of requests, so over the whole run those counts must be equal. All others
// are samples, of what was foretold as well, and agree where an interval has both.
func (s *seen) agree(out, predicted *Result) (rows []Agreement) {
	exact := make([]bool, len(s.run.pools))
	for k := range exact {
		exact[k] = s.exact(k)
		if exact[k] {
			rows = append(rows, s.equal(k)...)
		}
	}
	for _, m := range []struct {
		metric   string
		outcomes []Outcome
	}{{metricDenied, []Outcome{Denied}}, {metricRedirected, []Outcome{Redirected}}, {spec.MetricUnrouted, []Outcome{NotFound, Refused}}} {
		a := Agreement{Metric: m.metric, Window: WindowRun, Exact: s.undisturbed()}
		for _, o := range m.outcomes {
			a.Predicted += s.outcomes[0][o]
			a.Observed += s.outcomes[1][o]
		}
		if a.Exact && a.Predicted+a.Observed > 0 {
			rows = append(rows, s.must(a))
		}
	}
	first := len(rows)
	for k := range exact {
		if s.mute[k] && !exact[k] {
			rows = append(rows, s.wholeRun(k)...)
		}
	}
	for k := range out.Windows {
		rows = append(rows, s.window(&out.Windows[k], &predicted.Windows[k], exact)...)
	}
	samples, effective := rows[first:], map[int]float64{}
	for k := range samples {
		s.weigh(&samples[k], len(samples), effective)
	}
	return rows
}

// undisturbed reports whether nothing but the requests decides: there are no faults, no operator
// does anything, and nobody was beyond a limit.
func (s *seen) undisturbed() bool {
	faulty := slices.ContainsFunc(s.run.servers, func(x server) bool { return x.Instance != "" && s.instance(x.Instance).Fault != nil })
	return len(s.sim.Faults)+len(s.sim.Changes)+len(s.sim.Drains)+len(s.sim.Deploys) == 0 && !faulty && s.outcomes[0][Dropped]+s.outcomes[1][Dropped] == 0
}

// exact reports whether a pool gives each of its servers a number that can be foretold.
func (s *seen) exact(k int) bool {
	p := &s.run.pools[k]
	full := func(b balance.Backend) bool { return b.MaxConnections > 0 }
	switch p.Scheduler {
	case spec.SchedulerRR, spec.SchedulerWRR, "", spec.SchedulerSCH, spec.SchedulerTCH, spec.SchedulerQCH:
	default:
		return false
	}
	if !s.undisturbed() || p.PersistenceTimeout > 0 || s.sticky(p.Pool) || slices.ContainsFunc(p.Backends, full) {
		return false
	}
	for i := range p.Backends {
		if age := s.opt.Pools[k].Servers[i].Age; age < p.SlowStart {
			return false
		}
	}
	return true
}

// sticky reports whether cookies keep clients on a pool's servers.
func (s *seen) sticky(p *balance.Pool) bool {
	keeps := func(t spec.Traffic) bool { return t.Session.Cookies }
	return p.Sticky.Mode != balance.StickyOff && slices.ContainsFunc(s.sim.Traffic, keeps)
}

// equal has a row for each server of a pool whose number must be the one that was foretold.
// Nothing can be said if others were there, for they have taken turns.
func (s *seen) equal(k int) (rows []Agreement) {
	p, others := &s.run.pools[k], s.others(k)
	if others > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%s has got %s that are not of this run: who serves whom cannot be foretold", p.Owner, count(int(others), what(s.Listener))))
	}
	for i, b := range p.Backends {
		a := s.must(Agreement{
			Exact: true, Metric: metricRequests, Of: b.Name, Route: p.Owner, Window: WindowRun,
			Predicted: s.took[0][place{k, i}], Observed: s.took[1][place{k, i}],
		})
		if others > 0 && a.Verdict == Fail {
			a.Verdict = Inconclusive
		}
		rows = append(rows, a)
	}
	if hashes := p.Scheduler == spec.SchedulerSCH || p.Scheduler == spec.SchedulerTCH; hashes && !s.mute[k] {
		rows = append(rows, s.must(Agreement{Exact: true, Metric: metricElsewhere, Route: p.Owner, Window: WindowRun, Observed: s.elsewhere[k]}))
	}
	return rows
}

// others is how many requests to a pool were somebody else's, where that matters: they have
// taken turns, or are among those that servers have got who do not say who they are.
func (s *seen) others(k int) int64 {
	p, got := &s.run.pools[k], int64(0)
	scheduler := cmp.Or(p.Scheduler, spec.SchedulerWRR)
	switch {
	case scheduler == spec.SchedulerRR || scheduler == spec.SchedulerWRR:
		got = int64(s.after.Pools[k].Tickets - s.opt.Pools[k].Tickets)
	case s.mute[k]:
		for i := range p.Backends {
			got += s.took[1][place{k, i}]
		}
	default:
		return 0
	}
	for i := range p.Backends {
		got -= s.took[0][place{k, i}]
	}
	return max(got, 0)
}

// must judges a row whose two numbers have to be equal.
func (s *seen) must(a Agreement) Agreement {
	a.Low, a.High, a.Verdict = a.Observed, a.Observed, Pass
	if a.Observed != a.Predicted {
		a.Verdict = Fail
		if s.after.Moved || s.after.Generator.Unsent > 0 {
			a.Verdict = Inconclusive
		}
	}
	return a
}

// window has the rows of a window that are samples: its errors, and the servers of pools
// that are not exact.
func (s *seen) window(observed, predicted *Window, exact []bool) (rows []Agreement) {
	if predicted.Requests == 0 || observed.Requests == 0 {
		return nil
	}
	rows = append(rows, Agreement{
		Metric: spec.MetricErrors, Window: observed.Name, Predicted: predicted.Errors, Observed: observed.Errors,
		pool: -1, whole: [2]int64{predicted.Requests, observed.Requests},
	})
	if len(observed.Routes) == 0 {
		return append(rows, s.samples(0, observed.Name, observed.Backends, predicted.Backends, exact)...)
	}
	for k := range observed.Routes {
		pool := slices.IndexFunc(s.run.pools, func(p pool) bool { return p.Owner == observed.Routes[k].Address })
		rows = append(rows, s.samples(pool, observed.Name, observed.Routes[k].Backends, predicted.Routes[k].Backends, exact)...)
	}
	return rows
}

// wholeRun has the rows of a pool whose servers do not say who they are, and are a sample.
func (s *seen) wholeRun(k int) (rows []Agreement) {
	var whole [2]int64
	for at := range 2 {
		for i := range s.run.pools[k].Backends {
			whole[at] += s.took[at][place{k, i}]
		}
	}
	if whole[0] == 0 || whole[1] == 0 {
		return nil
	}
	for i, b := range s.run.pools[k].Backends {
		rows = append(rows, Agreement{
			Metric: metricRequests, Of: b.Name, Route: s.run.pools[k].Owner, Window: WindowRun,
			Predicted: s.took[0][place{k, i}], Observed: s.took[1][place{k, i}], pool: k, whole: whole,
		})
	}
	return rows
}

// samples has the rows of a pool's servers in a window; where nobody was served the errors
// say so.
func (s *seen) samples(pool int, window string, observed, predicted []Backend, exact []bool) (rows []Agreement) {
	var whole [2]int64
	for i := range observed {
		whole[0] += predicted[i].Requests
		whole[1] += observed[i].Requests
	}
	if exact[pool] || whole[0] == 0 || whole[1] == 0 {
		return nil
	}
	for i, b := range observed {
		rows = append(rows, Agreement{
			Metric: metricRequests, Of: b.Address, Route: s.run.pools[pool].Owner, Window: window,
			Predicted: predicted[i].Requests, Observed: b.Requests, pool: pool, whole: whole,
		})
	}
	return rows
}

// weigh judges a row that is a sample, and one of so many. What was foretold is one as well,
// which is as if the sample had half its size.
func (s *seen) weigh(a *Agreement, rows int, effective map[int]float64) {
	n := float64(a.whole[1]) / 2
	if a.pool >= 0 {
		if effective[a.pool] == 0 {
			effective[a.pool] = s.effective(a.pool)
		}
		n *= effective[a.pool]
	}
	low, high := expect.Interval(float64(a.Observed)/float64(a.whole[1]), n, deviate(1-(1-agreeing)/float64(rows)))
	a.Low, a.High = int64(math.Ceil(low*float64(a.whole[0]))), int64(math.Floor(high*float64(a.whole[0])))
	blurred := s.blurred(a.Window)
	a.Low, a.High = max(0, a.Low-blurred), min(a.High+blurred, a.whole[0])
	switch {
	case a.Predicted >= a.Low && a.Predicted <= a.High && blurred <= a.whole[0]/2:
		a.Verdict = Pass
	case s.after.Moved || s.after.Generator.Bottleneck || blurred > a.whole[0]/2:
		a.Verdict = Inconclusive
	default:
		a.Verdict = Fail
	}
}

// probeLate is how late a probe may well be on a machine that is busy.
const probeLate = 10 * time.Millisecond

// blurred is how many requests may count on either side of the moments at which, in a window or at
// its ends, faults begin or end, or an operator does something, and of those at which probes find that
// out: who comes in the time by which all that, probes and requests were late.
func (s *seen) blurred(window string) int64 {
	moments, rate := map[time.Duration]bool{}, float64(len(s.Calls))/s.sim.Duration.Seconds()
	for _, x := range s.Strikes {
		moments[x.At], moments[x.end()] = true, true
	}
	for _, at := range s.Forecast.run.acts {
		moments[time.Duration(at)] = true
	}
	if window != WindowRun {
		w := s.run.windowIndex(window)
		maps.DeleteFunc(moments, func(at time.Duration, _ bool) bool { return !s.touches(w, at) })
	}
	late := s.after.Generator.Lag.P99 + s.after.ActLag.Seconds() + probeLate.Seconds()
	return int64(math.Ceil(2 * float64(len(moments)) * late * rate))
}

// touches reports whether who comes just before a moment, or after it, is in a window.
func (s *seen) touches(window int, at time.Duration) bool {
	k, _ := slices.BinarySearchFunc(s.foretold, at, func(f foretold, at time.Duration) int { return cmp.Compare(f.at, at) })
	return slices.ContainsFunc(s.foretold[max(k-1, 0):min(k+1, len(s.foretold))], func(f foretold) bool {
		return slices.Contains(f.stretch.windows, window)
	})
}

// effective is the part of a pool's requests that choose a server on their own. Those of one
// client go together where it keeps its server: they count as the clients that they are,
// by Kish's effective sample size.
func (s *seen) effective(k int) float64 {
	p := s.run.pools[k].Pool
	sticky, known := s.sticky(p), p.KnowsClients()
	if !sticky && !known {
		return 1
	}
	type unit struct {
		address netip.Addr
		visitor uint64
		session int
	}
	sessions, requests := map[uint64]int{}, map[unit]float64{}
	for i := range s.Calls {
		c := &s.Calls[i]
		u := unit{visitor: c.Visitor}
		if c.First {
			sessions[c.Visitor]++
		}
		if u.session = sessions[c.Visitor]; !sticky {
			u = unit{address: c.Source.Addr()}
		}
		if s.foretold[i].pool == k {
			requests[u]++
		}
	}
	sum, squares := 0.0, 0.0
	for _, n := range requests {
		sum += n
		squares += n * n
	}
	if sum == 0 {
		return 1
	}
	return sum / squares // the sum's square over that of squares, of the sum
}
