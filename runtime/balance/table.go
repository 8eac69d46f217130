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
}

// Tried lists the backends, by index, that a connection failed to reach so far.
type Tried []int

// Add remembers one more.
func (t *Tried) Add(i int) { *t = append(*t, i) }

func (t Tried) has(backend uint16) bool { return slices.Contains(t, int(backend)) }

// Table picks among the servers that are usable right now: those of a weight
// above 0 that are Normal, or whose check is off.
type Table struct {
	pool *Pool
	// members are the usable servers, as indices into pool.Backends: in the
	// order of the file for rr and wrr, sorted by name for the others.
	members []uint16
	// sequence is what rr and wrr run through and what the hash of sch and tch
	// points into; nil for wlc.
	sequence []uint16
}

// Table builds the picking table for the given healths, by index in Backends.
// When no server is well it holds all of a weight above 0 if the listener forwards
// then, and otherwise none.
func (p *Pool) Table(health func(i int) Health) *Table {
	t := &Table{pool: p}
	for _, i := range p.Usable(health) {
		t.members = append(t.members, uint16(i))
	}
	byName := func(a, b uint16) int { return cmp.Compare(p.Backends[a].Name, p.Backends[b].Name) }
	switch p.Scheduler {
	case spec.SchedulerRR:
		t.sequence = t.members
	case spec.SchedulerWLC:
		slices.SortFunc(t.members, byName)
	case spec.SchedulerSCH, spec.SchedulerTCH:
		slices.SortFunc(t.members, byName)
		t.sequence = t.hashSequence()
	default: // wrr, the language's default
		t.sequence = smoothPeriod(t.members, t.weights())
	}
	return t
}

// Usable returns the backends that a Table for these healths picks from, in the
// order of the file.
func (p *Pool) Usable(health func(i int) Health) []int {
	var well, all []int
	for i, b := range p.Backends {
		if b.Weight <= 0 {
			continue
		}
		all = append(all, i)
		if !p.Check.Enabled || health(i) == Normal {
			well = append(well, i)
		}
	}
	if len(well) == 0 && p.ForwardWhenAllUnhealthy {
		return all
	}
	return well
}

func (t *Table) weights() []int {
	w := make([]int, len(t.members))
	for i, m := range t.members {
		w[i] = t.pool.Backends[m].Weight
	}
	return w
}

func (t *Table) hashSequence() []uint16 {
	if len(t.members) == 0 {
		return nil
	}
	prefs := make([]preference, len(t.members))
	for i, m := range t.members {
		prefs[i] = preferenceOf(t.pool.Backends[m].Name, t.pool.seed)
	}
	slots := maglev(prefs, t.weights(), hashSlots)
	for k, i := range slots {
		slots[k] = t.members[i]
	}
	return slots
}

// Pick chooses the backend for a connection of client c and counts the connection
// in flight until s.Done. tried, if any, is left out: such a retry of rr or wrr
// takes a ticket of its own. There is none (ok is false) when no usable server
// remains. Pick allocates nothing.
func (t *Table) Pick(s *State, c Client, tried Tried) (i int, ok bool) {
	if len(t.members) == 0 {
		return 0, false
	}
	var at int
	switch t.pool.Scheduler {
	case spec.SchedulerWLC:
		return s.history.least.pick(t, s, tried)
	case spec.SchedulerSCH:
		at = sourceSlot(t.pool.seed, c)
	case spec.SchedulerTCH:
		at = tupleSlot(t.pool.seed, c)
	default:
		at = int((s.history.ticket.Add(1) - 1) % uint64(len(t.sequence)))
	}
	backend := t.sequence[at]
	if len(tried) > 0 {
		if backend, ok = t.nextUntried(at, tried); !ok {
			return 0, false
		}
	}
	s.flights[backend].active.Add(1)
	return int(backend), true
}

// nextUntried walks the sequence from a position to the first server not tried.
func (t *Table) nextUntried(at int, tried Tried) (uint16, bool) {
	for range t.sequence {
		if b := t.sequence[at]; !tried.has(b) {
			return b, true
		}
		if at++; at == len(t.sequence) {
			at = 0
		}
	}
	return 0, false
}

// MaxTries bounds the tries of one connection: each server of the listener once.
// Pick ends them sooner, when it has tried all that are usable by then: while a
// connection waits for one server, verdicts may take that one away and add others.
func (t *Table) MaxTries() int { return len(t.pool.Backends) }

// Shares returns the part of new connections that each backend of the listener
// gets, by counting: rr and wrr over one period, sch and tch over the slots of their
// table, wlc over the picks after which an idle balancer repeats itself. The last
// holds while connections to all servers last equally long. They sum to 1, or to 0
// when nothing is usable.
func (t *Table) Shares() []float64 {
	counts := make([]int, len(t.pool.Backends))
	total := len(t.sequence)
	for _, b := range t.sequence {
		counts[b]++
	}
	if t.pool.Scheduler == spec.SchedulerWLC && len(t.members) > 0 {
		_, total = reduce(t.weights())
		idle := NewState(t.pool, nil)
		for range total {
			i, _ := t.Pick(idle, Client{}, nil)
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

// KeysMoved compares two hash tables of one scheduler: the part of client keys
// whose server, by name, differs between them, and the smallest part that any pair of
// tables with these shares could move. A key without a server counts as being
// nowhere. ok is false where clients have no server of their own.
func KeysMoved(before, after *Table) (moved, minimum float64, ok bool) {
	scheduler := before.pool.Scheduler
	if scheduler != after.pool.Scheduler || scheduler != spec.SchedulerSCH && scheduler != spec.SchedulerTCH {
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
