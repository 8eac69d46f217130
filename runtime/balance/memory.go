package balance

import "encoding/binary"

// Memory is what a State remembers of the past, for the State of another process that
// goes on with it. Connections in flight are not in it: they end where they are.
type Memory struct {
	Tickets uint64 `json:"tickets"`
	// Clients are those of source persistence, clientRecord bytes each: the two words of
	// the address, the server's key, and how long it is still remembered, in nanoseconds.
	Clients []byte `json:"clients,omitempty"`
}

const clientRecord = 32

// Memory tells what is remembered. now is as for [State.Persisted].
func (s *State) Memory(now int64) Memory {
	m := Memory{Tickets: s.history.tickets.Load()}
	if s.clients == nil {
		return m
	}
	for i := range s.clients.shards {
		m.Clients = s.clients.shards[i].appendTo(m.Clients, now)
	}
	return m
}

func (s *clientShard) appendTo(b []byte, now int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.buckets {
		for _, r := range s.buckets[i] {
			if r.expires <= now {
				continue
			}
			for _, word := range [...]uint64{r.hi, r.lo, r.server, uint64(r.expires - now)} {
				b = binary.LittleEndian.AppendUint64(b, word)
			}
		}
	}
	return b
}

// Recall goes on from a Memory, on a clock of its own.
func (s *State) Recall(m Memory, now int64) {
	s.history.tickets.Store(m.Tickets)
	if s.clients == nil {
		return
	}
	for b := m.Clients; len(b) >= clientRecord; b = b[clientRecord:] {
		word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
		s.clients.remember(s.pool.seed, remembered{hi: word(0), lo: word(1), server: word(2), expires: now + int64(word(3))}, now)
	}
}
