package explain

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"slbctl/runtime/balance"
	"slbctl/runtime/http1"
	"slbctl/spec"
)

// chooser is one pool that a server is to be picked from.
type chooser struct {
	*walk
	pool   *balance.Pool
	state  *balance.State
	table  *balance.Table
	client balance.Client
	sticky int // the server that the request's cookie names
	health func(i int) (balance.Health, string)
}

// choose picks from a pool; r is nil on L4.
func (k *walk) choose(n int, r *http1.Request) {
	l := k.listener
	c := chooser{
		walk: k, pool: l.Pools()[n], state: l.States[n], table: l.Tables[n], sticky: balance.NoBackend,
		client: balance.Client{Source: k.question.From, Destination: l.Endpoint},
		health: func(i int) (balance.Health, string) { return l.Health(n, i) },
	}
	k.Group = c.pool.Group
	c.servers()
	for fork := c.fork(); len(k.Picks) < k.question.Next; {
		k.Picks = append(k.Picks, c.pick(fork, r))
	}
	c.stick(r)
	k.Server = k.Picks[0].Server
	if k.Server == "" {
		c.nobody()
		return
	}
	k.ends(Served, 0)
	c.schedule()
}

func (c *chooser) fork() *balance.State { return c.state.Fork(c.client.Source.Addr(), c.world.Now) }

func (c *chooser) name(i int) string { return c.pool.Backends[i].Name }

// pick is one request, which has ended before the next one comes.
func (c *chooser) pick(s *balance.State, r *http1.Request) Pick {
	var p Pick
	var i int
	var ok bool
	if r != nil {
		c.sticky = c.cookie(r)
		i, p.Kept, ok = c.table.PickRequest(s, &c.client, c.sticky, nil)
	} else {
		known, remembered := s.Persisted(c.client.Source.Addr(), c.world.Now)
		i, ok = c.table.PickClient(s, &c.client, nil, c.world.Now)
		p.Kept = ok && remembered && known == i
	}
	if ok {
		s.Done(i)
		p.Server = c.name(i)
	}
	return p
}

// cookie is the server that a request's cookie names.
func (c *chooser) cookie(r *http1.Request) int {
	if c.pool.Sticky.Mode == balance.StickyOff {
		return balance.NoBackend
	}
	value, ok := r.Cookie(c.pool.Sticky.Cookie)
	if !ok {
		return balance.NoBackend
	}
	return c.pool.StickyBackend(value)
}

// servers lists who there is to choose from.
func (c *chooser) servers() {
	shares := c.table.Shares()
	usable := 0
	for i, b := range c.pool.Backends {
		health, reason := c.health(i)
		s := Server{
			Address: b.Name, Endpoint: b.Endpoint.String(), Weight: b.Weight, Health: health.String(), Reason: reason,
			Connections: c.state.Active(i), Share: shares[i], Usable: c.table.Picks(i),
		}
		if !c.pool.Probed(i) {
			s.Health, s.Reason = balance.Unavailable.String(), "not checked"
		}
		if s.Usable {
			usable++
		}
		c.Servers = append(c.Servers, s)
	}
	s := Step{Name: "group", Result: c.pool.Group, Reason: fmt.Sprintf("%d of its %d servers get new connections", usable, len(c.pool.Backends))}
	if usable > 0 && c.pool.ForwardWhenAllUnhealthy && !c.anyWell() {
		s.Reason = fmt.Sprintf("none of its %d servers is well, and the listener forwards then", len(c.pool.Backends))
	}
	c.step(s)
}

func (c *chooser) anyWell() bool {
	for i := range c.pool.Backends {
		if h, _ := c.health(i); h == balance.Normal || !c.pool.Probed(i) {
			return true
		}
	}
	return false
}

// nobody ends a walk that has found no server.
func (c *chooser) nobody() {
	status, answer := 0, "the connection is reset"
	switch {
	case spec.L7(c.listener.Protocol):
		status = http.StatusBadGateway
		answer = "502 Bad Gateway"
	case c.listener.Protocol == spec.ProtocolUDP:
		answer = "the datagram is dropped"
	}
	reason := "no server may get new connections: each has weight 0 or is not well"
	for _, s := range c.Servers {
		if s.Usable {
			reason = "every server that may get new connections has all that it takes"
		}
	}
	c.step(Step{Name: "scheduler", Result: answer, Reason: reason})
	c.ends(Failed, status)
}

// stick tells what keeps the client on a server, or why nothing does.
func (c *chooser) stick(r *http1.Request) {
	switch {
	case r == nil && c.pool.PersistenceTimeout > 0:
		c.step(c.byAddress())
	case r != nil && c.pool.Sticky.Mode != balance.StickyOff:
		c.step(c.byCookie(r))
	}
}

func (c *chooser) byCookie(r *http1.Request) Step {
	s, sticky := Step{Name: "stickiness"}, &c.pool.Sticky
	_, has := r.Cookie(sticky.Cookie)
	switch {
	case c.sticky == balance.NoBackend && !has:
		s.Result, s.Reason = "new", "the request has no cookie "+sticky.Cookie
	case c.sticky == balance.NoBackend:
		s.Result, s.Reason = "new", "cookie "+sticky.Cookie+" names no server of this group"
	case c.Picks[0].Kept:
		s.Result, s.Reason = "kept", "cookie "+sticky.Cookie+" names "+c.name(c.sticky)
		return s
	default:
		s.Result = "moves"
		s.Reason = fmt.Sprintf("cookie %s names %s, which is %s", sticky.Cookie, c.name(c.sticky), c.trouble(c.sticky))
	}
	if i := c.index(c.Picks[0].Server); i < 0 {
		return s
	} else if sticky.Inserts(false, http.StatusOK) {
		s.Reason += fmt.Sprintf("; the answer sets %s=%s for %d s", sticky.Cookie, c.pool.CookieValue(i), sticky.Seconds())
	} else {
		s.Reason += fmt.Sprintf("; where the server sets it, it becomes %s=%s|...", sticky.Cookie, c.pool.CookieValue(i))
	}
	return s
}

func (c *chooser) byAddress() Step {
	s, source := Step{Name: "stickiness"}, c.client.Source.Addr()
	i, ok := c.state.Persisted(source, c.world.Now)
	switch {
	case !ok:
		s.Result = "new"
		s.Reason = fmt.Sprintf("%s was not here within %v; from now on it is remembered", source, c.pool.PersistenceTimeout)
	case c.Picks[0].Kept:
		s.Result, s.Reason = "kept", fmt.Sprintf("%s was sent to %s within %v", source, c.name(i), c.pool.PersistenceTimeout)
	default:
		s.Result, s.Reason = "moves", fmt.Sprintf("%s was sent to %s, which is %s", source, c.name(i), c.trouble(i))
	}
	return s
}

// index is the place of a server in the pool, -1 if it has none.
func (c *chooser) index(name string) int {
	return slices.IndexFunc(c.pool.Backends, func(b balance.Backend) bool { return b.Name == name })
}

// trouble says why a server does not serve its sessions.
func (c *chooser) trouble(i int) string {
	if c.table.Serves(i) {
		return "full"
	}
	if h, reason := c.health(i); h != balance.Normal {
		return h.String() + " (" + reason + ")"
	}
	return "drained"
}

// schedule tells how the scheduler comes to its server, or would have.
func (c *chooser) schedule() {
	scheduler := c.pool.Scheduler
	if scheduler == "" {
		scheduler = spec.SchedulerWRR
	}
	s := Step{Name: "scheduler", Result: scheduler}
	if c.Picks[0].Kept {
		s.Reason = "it is not asked"
		if i, ok := c.table.Pick(c.fork(), &c.client, nil); ok {
			s.Otherwise = c.name(i)
		}
		c.step(s)
		return
	}
	a := c.table.Aim(c.state, &c.client)
	s.Reason = c.why(scheduler, a)
	if len(a.First) > 0 && c.name(a.First[0]) != c.Server {
		s.Reason += fmt.Sprintf("; %s has all that it takes, so the next one in line gets it", c.name(a.First[0]))
	}
	s.Otherwise = "nobody: no other server gets new connections"
	if i, ok := c.table.Pick(c.fork(), &c.client, balance.Tried{c.index(c.Server)}); ok {
		s.Otherwise = c.name(i) + ", should it refuse the connection"
	}
	c.step(s)
	c.cautions(scheduler)
}

// why puts an Aim into words.
func (c *chooser) why(scheduler string, a balance.Aim) string {
	in, source := "connections", c.client.Source.Addr()
	if spec.L7(c.listener.Protocol) {
		in = "requests"
	}
	var first []string
	for _, i := range a.First {
		first = append(first, c.name(i))
	}
	switch scheduler {
	case spec.SchedulerWLC:
		return "it has the fewest " + in + " in flight for its weight"
	case spec.SchedulerSCH:
		return fmt.Sprintf("the hash of %s is slot %d of %d, which is %s's", source, a.Slot, a.Slots, first[0])
	case spec.SchedulerTCH:
		return fmt.Sprintf("the hash of %s and %s is slot %d of %d, which is %s's", c.client.Source, c.client.Destination, a.Slot, a.Slots, first[0])
	case spec.SchedulerQCH:
		return fmt.Sprintf("no QUIC: the hash of %s is slot %d of %d, which is %s's", source, a.Slot, a.Slots, first[0])
	case spec.SchedulerP2C, spec.SchedulerLeast:
		switch len(first) {
		case 0:
			return fmt.Sprintf("ticket %d draws by weight over %s in flight", a.Ticket, in)
		case 1:
			return fmt.Sprintf("ticket %d draws %s: there is no other", a.Ticket, first[0])
		}
		return fmt.Sprintf("ticket %d draws %s; the first has no more %s in flight for its weight", a.Ticket, strings.Join(first, " and "), in)
	}
	return fmt.Sprintf("ticket %d is turn %d of %d, which is %s's", a.Ticket, a.Slot+1, a.Slots, first[0])
}

// cautions are what an answer cannot know.
func (c *chooser) cautions(scheduler string) {
	hashes := scheduler == spec.SchedulerSCH || scheduler == spec.SchedulerTCH || scheduler == spec.SchedulerQCH
	if hashes && c.world.Source == FromConfiguration && c.world.Config.Seed == 0 {
		c.note("nothing was applied yet: the first apply draws the key of the hashes, and with it other servers")
	}
	if scheduler == spec.SchedulerTCH && c.client.Source.Port() == 0 {
		c.note("tch hashes the client's port too: say it with -from IP:PORT")
	}
}
