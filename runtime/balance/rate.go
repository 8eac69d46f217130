package balance

import "sync/atomic"

// Rate holds events to so many a second: requests, new connections, bytes. It is
// the generic cell rate algorithm (ITU-T I.371) on one atomic, the time at
// which what was taken so far is paid for. Times are nanoseconds of any clock that
// never goes back. A nil Rate holds nothing up.
type Rate struct {
	perSecond int64
	tolerance int64 // ns that may be owed: what the burst takes
	paid      *atomic.Int64
}

// NewRate returns a rate of which burst events may come at once; nil, no limit, for
// a rate that is not above 0.
func NewRate(perSecond, burst int) *Rate { return nextRate(perSecond, burst, nil) }

// nextRate is NewRate that goes on where prev, if any, is.
func nextRate(perSecond, burst int, prev *Rate) *Rate {
	if perSecond <= 0 {
		return nil
	}
	r := &Rate{perSecond: int64(perSecond)}
	r.tolerance = r.cost(int64(burst))
	if prev != nil {
		r.paid = prev.paid
	} else {
		r.paid = new(atomic.Int64)
	}
	return r
}

// cost is how long n events take, rounded up: the rate is never exceeded.
func (r *Rate) cost(n int64) int64 { return (n*1e9 + r.perSecond - 1) / r.perSecond }

// Allow takes n events if they keep to the rate, and else none. It is for what can
// be refused; n beyond the burst always is.
func (r *Rate) Allow(now, n int64) bool {
	if r == nil {
		return true
	}
	cost := r.cost(n)
	for {
		paid := r.paid.Load()
		next := max(paid, now) + cost
		if next-now > r.tolerance {
			return false
		}
		if r.paid.CompareAndSwap(paid, next) {
			return true
		}
	}
}

// Take takes n events in any case and returns how many nanoseconds the caller is
// to wait before it takes more; 0 = none. It is for what can be held up: bytes of
// a stream, which are read already when they are counted.
func (r *Rate) Take(now, n int64) (wait int64) {
	if r == nil {
		return 0
	}
	cost := r.cost(n)
	for {
		paid := r.paid.Load()
		next := max(paid, now) + cost
		if r.paid.CompareAndSwap(paid, next) {
			return max(next-now-r.tolerance, 0)
		}
	}
}

// Limit counts what is open at once and refuses more than its maximum. A nil Limit
// neither counts nor refuses.
type Limit struct {
	maximum int64 // 0 = none
	*occupancy
}

// occupancy is what a Limit hands on to the one that follows it.
type occupancy struct{ open, peak atomic.Int64 }

// raise notes that so many are open.
func (o *occupancy) raise(n int64) {
	for p := o.peak.Load(); n > p && !o.peak.CompareAndSwap(p, n); p = o.peak.Load() {
		continue
	}
}

// NewLimit returns a limit of so many; 0 counts only.
func NewLimit(maximum int) *Limit {
	return &Limit{maximum: int64(maximum), occupancy: new(occupancy)}
}

// Enter counts one more, unless that is too many; Leave ends it.
func (l *Limit) Enter() bool {
	if l == nil {
		return true
	}
	if l.maximum == 0 {
		l.raise(l.open.Add(1))
		return true
	}
	for {
		n := l.open.Load()
		if n >= l.maximum {
			return false
		}
		if l.open.CompareAndSwap(n, n+1) {
			l.raise(n + 1)
			return true
		}
	}
}

// Leave ends what an Enter that returned true began.
func (l *Limit) Leave() {
	if l != nil {
		l.open.Add(-1)
	}
}

// Open returns how many have entered and not left.
func (l *Limit) Open() int64 {
	if l == nil {
		return 0
	}
	return l.open.Load()
}

// Peak returns the most that were ever open at once.
func (l *Limit) Peak() int64 {
	if l == nil {
		return 0
	}
	return l.peak.Load()
}
