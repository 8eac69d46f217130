package sim

import (
	"fmt"
	"math"

	"slbctl/runtime/expect"
	"slbctl/spec"
)

// batches counts how many of a sequence are hits, in up to 64 batches of one size. What
// comes near to one another in a simulation is alike: the queue is long, or a client comes again. So
// how far chance reaches is told by how much whole batches differ (the method of batch means). When all are
// full, two at a time become one, of twice the size.
type batches struct {
	hits         [64]int64
	size         int64 // of a full batch
	full         int   // batches; the one after them is being filled
	inside       int64 // of it
	total, count int64 // hits, and how many there were
}

const (
	firstBatch   = 16
	leastBatches = 16 // below that, how much they differ means nothing
)

func (b *batches) record(hit bool) {
	if b.size == 0 {
		b.size = firstBatch
	}
	if hit {
		b.hits[b.full]++
		b.total++
	}
	b.count++
	if b.inside++; b.inside < b.size {
		return
	}
	b.inside = 0
	if b.full++; b.full < len(b.hits) {
		return
	}
	for k := range len(b.hits) / 2 {
		b.hits[k] = b.hits[2*k] + b.hits[2*k+1]
	}
	clear(b.hits[len(b.hits)/2:])
	b.full, b.size = len(b.hits)/2, 2*b.size
}

// interval is where the part of hits lies, with some confidence: the observed one give or take
// Student's t times the standard error of the batches, and nowhere narrower than Wilson's interval, which is for
// hits that have nothing to do with one another: batches without any hit do not differ.
func (b *batches) interval(confidence float64) (low, high float64, ok bool) {
	if b.full < leastBatches {
		return 0, 1, false
	}
	var sum, squares float64
	for _, hits := range b.hits[:b.full] {
		v := float64(hits) / float64(b.size)
		sum += v
		squares += float64(v * v)
	}
	n, k := float64(b.count), float64(b.full)
	mean := sum / k
	half := student(confidence, b.full-1) * math.Sqrt(max(0, squares/k-float64(mean*mean))/(k-1))
	p := float64(b.total) / n
	low, high = expect.Interval(p, n, deviate(confidence))
	return max(0, min(p-half, low)), min(1, max(p+half, high)), true
}

// deviate is how many standard deviations about the mean of a normal distribution hold
// the part p of it.
func deviate(p float64) float64 {
	return normal(logTable(), uint64(float64((1+p)/2)*(1<<62))<<2)
}

// student is the same of Student's t (the expansion of Cornish and Fisher, right to 1e-3
// from 15 degrees of freedom on).
func student(p float64, freedom int) float64 {
	z, v := deviate(p), float64(freedom)
	z3, z5 := z*z*z, z*z*z*z*z
	return z + (z3+z)/(4*v) + (5*z5+16*z3+3*z)/(96*v*v) + (3*z5*z*z+19*z5+17*z3-15*z)/(384*v*v*v)
}

// gauge watches what an expectation is about where that is a sample.
type gauge struct {
	window  int
	metric  string
	unit    string // of what is counted
	servers []bool // whose share it is, by index in run.servers
	limit   int64  // of latencies, ns: a longer one is a hit
	bound   float64
	upper   bool // bound is a maximum
	allowed float64
	batches
}

// observe sees what became of a connection, or request.
func (g *gauge) observe(o Outcome, server int, took int64) {
	switch {
	case g.metric == spec.MetricErrorRate:
		g.record(o.wrong())
	case o != Served:
	case g.metric == spec.MetricShare:
		g.record(g.servers[server])
	default:
		g.record(took > g.limit)
	}
}

// verdict holds the interval against the bound, and says how many it takes where that
// cannot be said yet.
func (g *gauge) verdict(confidence float64) (v Verdict, detail string) {
	low, high, ok := g.interval(confidence)
	if !ok {
		return Inconclusive, fmt.Sprintf("it takes %s at least", count(firstBatch*leastBatches, g.unit))
	}
	if g.metric != spec.MetricShare && g.metric != spec.MetricErrorRate {
		detail = percent(float64(g.total)/float64(g.count)) + " are above " + Brief(g.bound) + ", "
	}
	detail += fmt.Sprintf("%s to %s with confidence %s", percent(low), percent(high), number(confidence))
	switch {
	case g.upper && high <= g.allowed, !g.upper && low >= g.allowed:
		return Pass, detail
	case g.upper && low > g.allowed, !g.upper && high < g.allowed:
		return Fail, detail
	}
	p := float64(g.total) / float64(g.count)
	distance, half := math.Abs(p-g.allowed), (high-low)/2
	if distance == 0 {
		return Inconclusive, detail + "; no number of them tells so little apart"
	}
	need := math.Ceil(float64(g.count) * math.Pow(half/distance, 2) * 1.2)
	if need > 1e15 {
		return Inconclusive, detail + "; no number of them tells so little apart"
	}
	return Inconclusive, detail + "; it takes about " + number(round2(max(need, float64(g.count)*1.2))) + " " + g.unit + "s"
}

// round2 rounds to two digits.
func round2(v float64) float64 {
	unit := 1.0
	for v/unit >= 100 {
		unit *= 10
	}
	return math.Round(v/unit) * unit
}

// addGauges prepares to watch what the expectations are about.
func (r *run) addGauges() {
	for k := range r.sim.Expects {
		e := &r.sim.Expects[k]
		g := gauge{window: r.windowIndex(e.During), metric: e.Metric, unit: what(r.last.listener)}
		part, latency := permilles[e.Metric]
		switch {
		case latency, e.Metric == spec.MetricShare && r.random(), e.Metric == spec.MetricErrorRate && (r.service != nil || r.live):
		default:
			r.gauges = append(r.gauges, nil)
			continue
		}
		for i := range r.servers {
			g.servers = append(g.servers, e.Of != "" && r.servers[i].Instance == e.Of)
		}
		var pair []*gauge
		for n, bound := range []*float64{e.Min, e.Max} {
			if bound == nil {
				continue
			}
			one := g
			one.upper, one.bound, one.allowed = n == 1, *bound, *bound
			if latency {
				one.limit, one.allowed = int64(min(math.Round(*bound*1e9), math.MaxInt64/4)), float64(1000-part)/1000
			}
			pair = append(pair, &one)
		}
		r.gauges = append(r.gauges, pair)
	}
}

// permilles are the metrics that are quantiles, in thousandths.
var permilles = map[string]int64{spec.MetricP50: 500, spec.MetricP99: 990, spec.MetricP999: 999}

// random reports whether the servers' shares are a matter of chance: rr and wrr give each
// exactly its turns, and so does wlc while connections take no time.
func (r *run) random() bool {
	for _, g := range []*generation{r.serving, r.last} {
		if len(g.listener.Rules) > 0 || g.listener.PersistenceTimeout > 0 {
			return true
		}
	}
	for k := range r.pools {
		p := r.pools[k].Pool
		switch p.Scheduler {
		case spec.SchedulerRR, spec.SchedulerWRR, "":
		case spec.SchedulerWLC:
			if r.service != nil {
				return true
			}
		default:
			return true
		}
		if p.Sticky.Mode != 0 {
			return true
		}
	}
	return false
}
