package balance

// Quota is what the listeners of one load balancer may use together. Over the
// product's limits new connections are refused (its specifications are a "cask":
// the first limit reached counts); that is the caller's to do and to count.
type Quota struct {
	Connections *Limit // open to all listeners; counts even without a limit
	CPS         *Rate  // new connections
	QPS         *Rate  // requests
	// Listeners has each listener's own part, by address.
	Listeners map[string]*ListenerQuota

	restIn, restOut *Rate // bytes of the listeners that reserve nothing
}

// ListenerQuota is what one listener may use. In is from clients, Out to them, both
// in bytes. A stream is held up:
//
//	if wait := q.In.Take(now, int64(n)); wait > 0 {
//		// read on at now+wait
//	}
//
// A datagram for which In.Allow(now, n) is false is dropped.
type ListenerQuota struct {
	QPS     *Rate // requests
	In, Out *Rate // listeners that reserve nothing share theirs
}

// bytesPerMegabit turns Mbit/s into bytes a second.
const bytesPerMegabit = 1e6 / 8

// NewQuotas returns the quotas of the load balancers of these listeners, by
// address. After a change, prev are those before: what they count goes on, under
// the new limits for new Quotas and the old ones for old.
//
// A rate of events lets a second's worth come at once: nobody is refused who keeps
// to the limit in every second. A bandwidth lets a tenth of that.
func NewQuotas(listeners []*Listener, prev map[string]*Quota) map[string]*Quota {
	reserved := map[string]int{} // Mbit/s, by load balancer
	for _, l := range listeners {
		if l.Serving {
			reserved[l.LoadBalancer] += l.Bandwidth
		}
	}
	quotas := map[string]*Quota{}
	for _, l := range listeners {
		before := prev[l.LoadBalancer]
		if before == nil {
			before = &Quota{Connections: NewLimit(0)}
		}
		q := quotas[l.LoadBalancer]
		if q == nil {
			q = newQuota(l, before, l.BalancerBandwidth-reserved[l.LoadBalancer])
			quotas[l.LoadBalancer] = q
		}
		q.Listeners[l.Address] = q.listener(l, before.Listeners[l.Address])
	}
	return quotas
}

// newQuota takes from a listener what its load balancer's limits are.
func newQuota(l *Listener, before *Quota, rest int) *Quota {
	q := &Quota{
		Connections: &Limit{maximum: int64(l.MaxConnections), occupancy: before.Connections.occupancy},
		CPS:         nextRate(l.CPS, l.CPS, before.CPS),
		QPS:         nextRate(l.QPS, l.QPS, before.QPS),
		Listeners:   map[string]*ListenerQuota{},
	}
	if l.BalancerBandwidth > 0 {
		q.restIn = bandwidth(rest, before.restIn)
		q.restOut = bandwidth(rest, before.restOut)
	}
	return q
}

func (q *Quota) listener(l *Listener, before *ListenerQuota) *ListenerQuota {
	if before == nil {
		before = &ListenerQuota{}
	}
	own := &ListenerQuota{QPS: nextRate(l.MaxQPS, l.MaxQPS, before.QPS), In: q.restIn, Out: q.restOut}
	if l.Bandwidth > 0 {
		own.In, own.Out = bandwidth(l.Bandwidth, before.In), bandwidth(l.Bandwidth, before.Out)
	}
	return own
}

// bandwidth is a rate of so many Mbit/s. Its burst holds the largest datagram. When
// reservations leave nothing it is a byte a second: next to nothing, not unlimited.
func bandwidth(megabits int, prev *Rate) *Rate {
	const largest = 1 << 16
	perSecond := max(megabits*bytesPerMegabit, 1)
	return nextRate(perSecond, max(perSecond/10, largest), prev)
}
