package balance

import (
	"cmp"
	"net/netip"
	"slices"

	"slbctl/spec"
)

// Client is the two ends of a client's connection.
type Client struct {
	Source, Destination netip.AddrPort
	// QUIC is the connection id of its datagram, which qch hashes instead of the
	// source; empty when there is none. QUICConnectionID finds it.
	QUIC []byte
}

// Tried lists the backends, by index, that a connection failed to reach so far.
type Tried []int

// Add remembers one more.
func (t *Tried) Add(i int) { *t = append(*t, i) }

func (t Tried) has(backend uint16) bool { return slices.Contains(t, int(backend)) }

// Table picks among the servers that are usable right now, as Usable has it.
type Table struct {
	pool *Pool
	// members are the usable servers, as indices into pool.Backends: in the
	// order of the file for rr and wrr, sorted by name for the others.
	members []uint16
	weights []int // of the members, in sixteenths of a unit; of rr: all alike
	// sequence is what rr and wrr run through, what the hashes of sch, tch and qch
	// point into, and what p2c and least_request draw from: there each server's
	// places are a run of their own. It is nil for wlc.
	sequence []uint16
	runs     []run // by index in pool.Backends; of p2c and least_request
	// serves tells, by index in pool.Backends, who serves its sticky sessions:
	// the members, and who is well though its weight is 0, for the time of a drain.
	serves []bool
}

// Table builds the picking table for the given healths, by index in Backends.
// When no server is well it holds all of a weight above 0 if the listener forwards
// then, and otherwise none.
func (p *Pool) Table(health func(i int) Health) *Table {
	return p.TableWarm(health, func(int) int { return Warm })
}

// TableWarm is Table while servers warm up: each has warmth(i) sixteenths of its
// weight, by index in Backends, as Warmth says of the time since it became Normal.
// Below a whole sixteenth of a unit no weight falls, so nobody is left out. A server of
// weight 0 keeps its sticky sessions while its warmth is above 0.
func (p *Pool) TableWarm(health func(i int) Health, warmth func(i int) int) *Table {
	t := &Table{pool: p, serves: make([]bool, len(p.Backends))}
	for i, b := range p.Backends {
		t.serves[i] = !(p.ActiveStandby && b.Standby) && p.well(i, health) && (b.Weight > 0 || warmth(i) > 0)
	}
	for _, i := range p.Usable(health) {
		t.members = append(t.members, uint16(i))
		t.serves[i] = true
	}
	if p.Scheduler != spec.SchedulerRR && p.Scheduler != spec.SchedulerWRR && p.Scheduler != "" {
		slices.SortFunc(t.members, func(a, b uint16) int { return cmp.Compare(p.Backends[a].key(), p.Backends[b].key()) })
	}
	t.weights = make([]int, len(t.members))
	for k, m := range t.members {
		t.weights[k] = min(max(warmth(int(m)), 1), Warm)
		if p.Scheduler != spec.SchedulerRR {
			t.weights[k] *= p.Backends[m].Weight
		}
	}
	if len(t.members) == 0 {
		return t
	}
	switch p.Scheduler {
	case spec.SchedulerWLC:
	case spec.SchedulerSCH, spec.SchedulerTCH, spec.SchedulerQCH:
		t.sequence = t.hashSequence()
	case spec.SchedulerP2C, spec.SchedulerLeast:
		t.sequence, t.runs = t.drawSequence()
	default: // rr, and wrr, the language's default
		t.sequence = smoothPeriod(t.members, t.weights)
	}
	return t
}

func (t *Table) hashSequence() []uint16 {
	prefs := make([]preference, len(t.members))
	for i, m := range t.members {
		prefs[i] = preferenceOf(t.pool.Backends[m].key(), t.pool.seed)
	}
	slots := maglev(prefs, t.weights, hashSlots)
	for k, i := range slots {
		slots[k] = t.members[i]
	}
	return slots
}

// Pick chooses the backend for a connection of client c and counts the connection
// in flight until s.Done. Left out are those in tried, if any, and those that are
// full; a retry of rr, wrr, p2c or least_request takes a ticket of its own. There
// is none (ok is false) when no usable server remains. Pick allocates nothing.
func (t *Table) Pick(s *State, c *Client, tried Tried) (i int, ok bool) {
	if len(t.members) == 0 {
		return 0, false
	}
	var at int
	switch t.pool.Scheduler {
	case spec.SchedulerWLC:
		return s.history.least.pick(t, s, tried)
	case spec.SchedulerP2C, spec.SchedulerLeast:
		return t.draw(s, tried)
	case spec.SchedulerSCH:
		at = sourceSlot(t.pool.seed, c)
	case spec.SchedulerTCH:
		at = tupleSlot(t.pool.seed, c)
	case spec.SchedulerQCH:
		at = quicSlot(t.pool.seed, c)
	default:
		at = t.turn(s)
	}
	if backend := t.sequence[at]; t.take(s, backend, tried) {
		return int(backend), true
	}
	return t.next(s, at, tried)
}

// turn takes a ticket of rr or wrr, and is where in the sequence that stands.
func (t *Table) turn(s *State) int { return t.position(s.ticket()) }

// position is where in the sequence of rr or wrr a ticket stands.
func (t *Table) position(ticket uint64) int { return int(ticket % uint64(len(t.sequence))) }

// take counts a connection to a backend unless it was tried or is full.
func (t *Table) take(s *State, backend uint16, tried Tried) bool {
	return (len(tried) == 0 || !tried.has(backend)) && s.begin(backend)
}

// next walks the sequence from a position, whose server is taken, to the first
// server that is neither tried nor full. It looks first whether there is one, so
// that a pool that is full as a whole costs no walk.
func (t *Table) next(s *State, at int, tried Tried) (int, bool) {
	free := func(m uint16) bool { return !tried.has(m) && !s.full(m) }
	if !slices.ContainsFunc(t.members, free) {
		return 0, false
	}
	for range t.sequence {
		if at++; at == len(t.sequence) {
			at = 0
		}
		if backend := t.sequence[at]; t.take(s, backend, tried) {
			return int(backend), true
		}
	}
	return 0, false
}

// MaxTries bounds the tries of one connection: each server of the pool once.
// Pick ends them sooner, when it has tried all that are usable by then: while a
// connection waits for one server, verdicts may take that one away and add others.
func (t *Table) MaxTries() int { return len(t.pool.Backends) }
