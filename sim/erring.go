package sim

import (
	"slices"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// erring is an instance that answers some of what it is asked with an error. Probes over HTTP ask it, too.
type erring struct {
	spec.InstanceFault
	asked int64
}

// newErring is what the instances of a fault do wrong, by address; nil where it is nothing of that kind.
func newErring(f *spec.Fault, servers []server, hit []int) map[string]*erring {
	if f.Mode != spec.FaultErrors {
		return nil
	}
	wrong := map[string]*erring{}
	for _, i := range hit {
		wrong[servers[i].Instance] = &erring{InstanceFault: spec.InstanceFault{ErrorRate: f.ErrorRate}}
	}
	return wrong
}

// errs asks a server something and reports whether the answer is an error. It comes at once, and takes
// none of its workers' time.
func (s *server) errs() (wrong bool) {
	for _, e := range s.erring {
		e.asked++
		wrong = wrong || e.Fails(e.asked)
	}
	return wrong
}

// err begins or ends the errors of a server.
func (s *server) err(e *erring, begins bool) {
	if begins {
		s.erring = append(s.erring, e)
		return
	}
	s.erring = slices.DeleteFunc(s.erring, func(other *erring) bool { return other == e })
	if len(s.erring) == 0 {
		s.erring = nil // as most servers have it, which is quick to see
	}
}

// passes reports whether a server that answers passes a probe. One of TCP or UDP sees no error.
func (s *server) passes() bool {
	return s.check.Type != spec.CheckHTTP || !s.errs() || s.check.Codes.Has(spec.FaultStatus)
}

// errored is an error for an answer. It reports whether another server is to be asked instead, which takes
// a listener that wants it so and a server that is left.
func (r *run) errored(p *pool, c *connection, i int) (again bool) {
	p.state.Done(i)
	if r.listener.Retry.Status5x && len(c.tried)+1 < r.listener.Tries(p.table) {
		c.tried.Add(i)
		return true
	}
	r.finish(c, Errored, i)
	return false
}

// reconnects reports whether a connection that failed to reach a server may try another one.
func reconnects(l *balance.Listener) bool { return !spec.L7(l.Protocol) || l.Retry.Connect }
