package balance

import (
	"net/netip"
	"slices"

	"slbctl/spec"
)

// Everything here says why the core decides as it does, by the functions that decide,
// and changes nothing that they remember.

// Fork returns a State of its own that stands where s stands, as far as one client can
// tell: its picks are those that s would make for that client next, and s does not know
// of them. now is PickClient's.
func (s *State) Fork(client netip.Addr, now int64) *State {
	f := &State{pool: s.pool, history: &history{}, limits: s.limits, keys: s.keys, servers: s.servers}
	f.history.tickets.Store(s.history.tickets.Load())
	for _, from := range s.flights {
		to := &flight{leaf: noLeaf}
		to.active.Store(from.active.Load())
		f.flights = append(f.flights, to)
	}
	if i, ok := s.Persisted(client, now); ok {
		f.clients = &clients{}
		f.Persist(client, i, now)
	} else if s.clients != nil {
		f.clients = &clients{}
	}
	if least := &s.history.least; least.inUse.Load() {
		f.history.least.inUse.Store(true)
		least.fork(f)
	}
	return f
}

// fork gives f the tournament as it stands. One over the servers of an earlier pool is
// built anew by the next pick, as it would be here.
func (l *leastLoaded) fork(f *State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table == nil || l.table.pool != f.pool {
		return
	}
	to := &f.history.least
	to.table, to.leaves = l.table, slices.Clone(l.leaves)
	for i := range to.leaves {
		leaf := &to.leaves[i]
		leaf.flight = f.flights[leaf.backend]
		leaf.flight.leaf = int32(i)
		leaf.look()
	}
	to.play()
}

// Aim is how Pick comes to a server.
type Aim struct {
	// Ticket is the one that it takes, from 0 on; -1 = the scheduler has none.
	Ticket int64
	// Slot, of Slots, is where it looks first; without Slots there is no such place.
	Slot, Slots int
	// First are the servers that it looks at, the better before: the one of the slot,
	// or the two that were drawn. None where all are compared.
	First []int
}

// Aim tells how Pick would come to a server for a connection of c now.
func (t *Table) Aim(s *State, c *Client) Aim {
	f := s.Fork(c.Source.Addr(), 0)
	a := Aim{Ticket: -1}
	if len(t.members) == 0 {
		return a
	}
	before := f.history.tickets.Load()
	switch t.pool.Scheduler {
	case spec.SchedulerWLC:
	case spec.SchedulerP2C, spec.SchedulerLeast:
		random := newStream(t.pool.seed, f.ticket())
		if !t.drawsByLoad() {
			_, first, second := t.drawTwo(f, &random)
			if a.First = []int{int(first)}; second != first {
				a.First = append(a.First, int(second))
			}
		}
	// Pick has these three for itself: a function in between costs a hash a fifth more.
	case spec.SchedulerSCH:
		a.Slot, a.Slots = sourceSlot(t.pool.seed, c), len(t.sequence)
	case spec.SchedulerTCH:
		a.Slot, a.Slots = tupleSlot(t.pool.seed, c), len(t.sequence)
	case spec.SchedulerQCH:
		a.Slot, a.Slots = quicSlot(t.pool.seed, c), len(t.sequence)
	default:
		a.Slot, a.Slots = t.turn(f), len(t.sequence)
	}
	if a.Slots > 0 {
		a.First = []int{int(t.sequence[a.Slot])}
	}
	if f.history.tickets.Load() != before {
		a.Ticket = int64(before)
	}
	return a
}

// Picks reports whether new connections may go to backend i.
func (t *Table) Picks(i int) bool { return slices.Contains(t.members, uint16(i)) }

// Serves reports whether backend i serves its sticky sessions.
func (t *Table) Serves(i int) bool { return t.serves[i] }

// Full reports whether backend i has all the connections that it may have.
func (s *State) Full(i int) bool { return s.full(uint16(i)) }

// Entry returns the narrowest entry of the list that has an address. Each entry is asked
// as Allows asks a list of it alone.
func (a *AccessList) Entry(addr netip.Addr) (entry netip.Prefix, ok bool) {
	for _, e := range a.entries {
		if (!ok || e.Bits() > entry.Bits()) && NewAccessList([]netip.Prefix{e}, true).Allows(addr) {
			entry, ok = e, true
		}
	}
	return entry, ok
}

// White reports whether the list lets in its entries, not all others.
func (a *AccessList) White() bool { return a.white }

// Domain returns the domain whose rules Route chooses among for a host; it is empty
// where those are the rules without domain.
func (l *Listener) Domain(host []byte) string {
	if l.router == nil {
		return ""
	}
	chosen, _ := l.router.domains.covering(host)
	for _, rule := range l.Rules {
		if rule.Domain != "" && l.router.of(rule.Domain) == chosen {
			return rule.Domain
		}
	}
	return ""
}

// Otherwise is Route as if a rule were not there. Its Pool counts the rules that are left.
func (l *Listener) Otherwise(rule *Rule, host, path []byte) Route {
	without := *l
	without.Rules = slices.DeleteFunc(slices.Clone(l.Rules), func(r *Rule) bool { return r == rule })
	var err error
	if without.router, err = newRouter(&without); err != nil {
		return Route{Pool: -1} // what is left of rules that were accepted is accepted
	}
	return without.Route(host, path)
}
