package balance

import (
	"net/netip"

	"slbctl/spec"
)

// PickInTurn chooses for connections to one destination each of which ends before the next begins, and stops at one
// for which there is no server. It is
//
//	for n = range picked {
//		i, ok := t.Pick(s, &Client{Source: sources[n], Destination: destination}, nil)
//		if !ok {
//			return n
//		}
//		s.Done(i)
//		picked[n] = uint16(i)
//	}
//
// What such a connection counts is taken back before anybody asks, so it is not counted, unless servers have a
// limit; and the hashes of many clients overlap, since none waits for another. Who does not hash needs no sources.
func (t *Table) PickInTurn(s *State, destination netip.AddrPort, sources []netip.AddrPort, picked []uint16) (n int) {
	if len(t.members) == 0 {
		return 0
	}
	scheduler, seed := t.pool.Scheduler, t.pool.seed
	switch {
	case s.limits != nil || scheduler == spec.SchedulerQCH || t.drawsByLoad():
		return t.oneByOne(s, destination, sources, picked)
	case scheduler == spec.SchedulerWLC:
		s.history.least.pickInTurn(t, s, picked)
	case scheduler == spec.SchedulerP2C || scheduler == spec.SchedulerLeast:
		ticket := s.takeTickets(len(picked))
		for k := range picked {
			random := newStream(seed, ticket+uint64(k))
			_, picked[k], _ = t.drawTwo(s, &random)
		}
	case scheduler == spec.SchedulerSCH:
		h := newSourceHash(seed)
		for k := range picked {
			picked[k] = t.sequence[h.slot(sources[k].Addr())]
		}
	case scheduler == spec.SchedulerTCH:
		h := newTupleHash(seed, destination)
		for k := range picked {
			picked[k] = t.sequence[h.slot(sources[k])]
		}
	default:
		at := t.position(s.takeTickets(len(picked)))
		for left := picked; len(left) > 0; at = 0 {
			left = left[copy(left, t.sequence[at:]):]
		}
	}
	return len(picked)
}

// ByClient reports whether what is picked depends on nothing but the client: neither on the turns and draws of others
// nor on what they have in flight.
func (t *Table) ByClient(s *State) bool {
	return s.limits == nil && (t.pool.Scheduler == spec.SchedulerSCH || t.pool.Scheduler == spec.SchedulerTCH)
}

// oneByOne is PickInTurn as it is defined.
func (t *Table) oneByOne(s *State, destination netip.AddrPort, sources []netip.AddrPort, picked []uint16) (n int) {
	c := Client{Destination: destination}
	for n = range picked {
		c.Source = sources[n]
		i, ok := t.Pick(s, &c, nil)
		if !ok {
			return n
		}
		s.Done(i)
		picked[n] = uint16(i)
	}
	return len(picked)
}

// pickInTurn is pick and settle for each in turn. A connection that begins and ends leaves nothing but a turn
// behind, and the tournament is a function of what the leaves have, so the matches are played once.
func (l *leastLoaded) pickInTurn(t *Table, s *State, picked []uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table != t {
		l.build(t, s)
	}
	for k := range picked {
		best := l.winners[1]
		f := &l.leaves[best]
		f.turns++
		l.replay(best)
		picked[k] = f.backend
	}
}
