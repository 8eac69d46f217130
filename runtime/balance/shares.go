package balance

import "slbctl/spec"

// Shares returns the part of new connections that each backend of the pool gets,
// by counting: rr and wrr over one period, sch, tch and qch over the slots of their
// table, p2c and least_request over the draws that an idle balancer makes, wlc over
// the picks after which an idle balancer repeats itself. Those of wlc, p2c and
// least_request hold while connections to all servers last equally long for their
// weight. They sum to 1, or to 0 when nothing is usable.
func (t *Table) Shares() []float64 {
	counts := make([]int, len(t.pool.Backends))
	total := len(t.sequence)
	for _, b := range t.sequence {
		counts[b]++
	}
	if t.pool.Scheduler == spec.SchedulerWLC && len(t.members) > 0 {
		_, total = reduce(t.weights)
		idle := NewState(t.pool, nil)
		for range total {
			i, _ := t.Pick(idle, &Client{}, nil)
			idle.Done(i)
			counts[i]++
		}
	}
	shares := make([]float64, len(counts))
	for i, n := range counts {
		if n > 0 {
			shares[i] = float64(n) / float64(total)
		}
	}
	return shares
}

// Period is after how many picks rr and wrr begin anew; 0 for the other schedulers,
// whose picks depend on who asks, on chance or on what is in flight.
func (t *Table) Period() int {
	switch t.pool.Scheduler {
	case spec.SchedulerRR, spec.SchedulerWRR, "":
		return len(t.sequence)
	}
	return 0
}

// KnowsClients reports whether one client always gets one server, without a cookie.
func (p *Pool) KnowsClients() bool {
	return p.PersistenceTimeout > 0 || p.Scheduler == spec.SchedulerSCH || p.Scheduler == spec.SchedulerQCH
}

// KeysMoved compares two hash tables of one scheduler: the part of client keys
// whose server, by name, differs between them, and the smallest part that any pair of
// tables with these shares could move. A key without a server counts as being
// nowhere. ok is false where clients have no server of their own.
func KeysMoved(before, after *Table) (moved, minimum float64, ok bool) {
	switch before.pool.Scheduler {
	case spec.SchedulerSCH, spec.SchedulerTCH, spec.SchedulerQCH:
	default:
		return 0, 0, false
	}
	if before.pool.Scheduler != after.pool.Scheduler {
		return 0, 0, false
	}
	n, surplus := 0, map[string]int{}
	for slot := range hashSlots {
		a, b := before.nameAt(slot), after.nameAt(slot)
		if a != b {
			n++
			surplus[a]--
			surplus[b]++
		}
	}
	arriving := 0
	for _, d := range surplus {
		arriving += max(d, 0)
	}
	return float64(n) / hashSlots, float64(arriving) / hashSlots, true
}

func (t *Table) nameAt(slot int) string {
	if len(t.sequence) == 0 {
		return ""
	}
	return t.pool.Backends[t.sequence[slot]].Name
}
