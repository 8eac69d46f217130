package balance

import "time"

// Standing is how a pool stands at a moment, for what is to go on from there elsewhere: a
// simulation, or who wants to know how many took a ticket between two moments.
type Standing struct {
	Owner   string           `json:"owner"`
	Tickets uint64           `json:"tickets"` // that were taken
	Servers []ServerStanding `json:"servers"` // by index in Pool.Backends
}

// ServerStanding is what is known of a server.
type ServerStanding struct {
	Active int64         `json:"active"` // in flight
	Age    time.Duration `json:"age"`    // since its health changed last
	Health Health        `json:"health"`
	Name   string        `json:"name"`
	Probe  time.Duration `json:"probe"` // until it is probed next; 0 = just now, or never
	// Requests is how many it has got so far, on L4 connections.
	Requests int64 `json:"requests"`
}

// Stand tells how a pool stands, by what is known of its servers' health; what is in flight
// is filled in.
func (s *State) Stand(servers []ServerStanding) Standing {
	for i := range servers {
		servers[i].Name, servers[i].Active = s.pool.Backends[i].Name, s.Active(i)
	}
	return Standing{Owner: s.pool.Owner, Tickets: s.history.tickets.Load(), Servers: servers}
}

// Resume has a new state take its tickets from where a pool stands.
func (s *State) Resume(at *Standing) { s.history.tickets.Store(at.Tickets) }
