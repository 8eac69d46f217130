package sim

import (
	"net/http"
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
		wrong[servers[i].Instance] = &erring{InstanceFault: spec.InstanceFault{ErrorRate: f.ErrorRate, Status: spec.FaultStatus}}
	}
	return wrong
}

// suffer gives a server what its instance does wrong by its configuration. Errors are counted by instance.
func (s *server) suffer(i *spec.Instance, wrong map[string]*erring) {
	f := i.Fault
	if f == nil {
		return
	}
	s.delay, s.drag = int64(f.Delay), int64(f.SlowBody)
	if f.Hang {
		s.hang++
	}
	if f.Refuse {
		s.refuse++
	}
	if f.ErrorRate > 0 {
		if wrong[i.Address] == nil {
			wrong[i.Address] = &erring{InstanceFault: *f}
		}
		s.err(wrong[i.Address], true)
	}
}

// errs asks a server something and returns the error that it answers with; 0 = it does not. That comes at once,
// and takes none of its workers' time.
func (s *server) errs() (status int) {
	for _, e := range s.erring {
		e.asked++
		if e.Fails(e.asked) && status == 0 {
			status = e.Status
		}
	}
	return status
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

// passes reports whether a server that answers passes a probe over HTTP.
func (s *server) passes() bool {
	status := s.errs()
	return status == 0 || s.check.Codes.Has(status)
}

// errored is an error for an answer. It reports whether another server is to be asked instead, which takes
// a listener that wants it so and a server that is left. What is wrong with the request by its status is an
// answer like any other, but that it sets no cookie.
func (r *run) errored(p *pool, c *connection, i, status int) (again bool) {
	p.state.Done(i)
	switch {
	case status < http.StatusInternalServerError:
		c.baked, c.done = true, r.now
		r.finish(c, Served, i)
		c.baked = false
	case r.listener.Retry.Status5x && len(c.tried)+1 < r.listener.Tries(p.table):
		c.tried.Add(i)
		return true
	default:
		r.finish(c, Errored, i)
	}
	return false
}

// reconnects reports whether a connection that failed to reach a server may try another one.
func reconnects(l *balance.Listener) bool { return !spec.L7(l.Protocol) || l.Retry.Connect }
