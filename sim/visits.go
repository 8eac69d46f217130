package sim

import (
	"slbctl/runtime/balance"
	"slbctl/spec"
)

// visits is what the clients of a stream ask of a listener of HTTP, and what they know
// from one request to the next. It holds only what can matter to the outcome.
type visits struct {
	*clients
	*mix          // nil where a log says what is asked for
	ways    []way // of each kind of request: of the mix, or by target of the log
	later   []way // those after the change
	session spec.Session

	slots   int                   // cookies of one client
	cookies []cookie              // those of client c are slots from c*slots on; nil where clients keep none
	jars    map[[2]uint64]*cookie // instead, by client and slot, where a log has many hosts
	made    []uint32              // requests that each client's session has had; nil where none ends
	lines   []line                // the connection of each client; nil where nothing hangs on connections
	idle    int64                 // how long one stays open without a request, ns

	upcoming [lookAhead]uint64 // clients of the requests from a multiple of lookAhead on
	touched  int64
}

// lookAhead is how many requests are looked up at once; a power of 2.
const lookAhead = 16

// line is a client's connection to the listener.
type line struct {
	until int64 // when the balancer closes it, unless there is another request
	open  bool
}

// newVisits prepares a stream's requests to the first generation, which the last one follows.
func newVisits(first, last *generation, t *spec.Traffic, log *replay, seed uint64) *visits {
	v := &visits{clients: newClients(t, log, seed), session: t.Session, idle: int64(first.listener.IdleTimeout)}
	requests := t.Mix
	switch {
	case log != nil:
		v.session, requests = spec.Session{Cookies: true}, log.requests()
	case len(requests) == 0:
		requests = []spec.Request{{Weight: 1, Path: "/"}}
	}
	if log == nil {
		v.mix = newMix(requests, t.Name, seed)
	}
	cookies := slots{}
	v.ways = cookies.ways(first, requests)
	if first != last {
		v.later = cookies.ways(last, requests)
	}
	v.slots = len(cookies)
	if !v.session.Cookies {
		v.slots = 0
	}
	if log != nil && v.slots > 1 {
		v.jars = map[[2]uint64]*cookie{}
	} else {
		v.cookies = make([]cookie, int(v.count)*v.slots)
	}
	if v.session.Requests > 0 {
		v.made = make([]uint32, v.count)
	}
	if limits(first.listener) || limits(last.listener) {
		v.lines = make([]line, v.count)
	}
	return v
}

// whose returns who makes request number index; indices come in their order. What a
// million clients know is too much for the processor's caches, but memory looks up many
// of them in the time of one. So the next ones are all touched before the first is used.
func (v *visits) whose(index uint64) uint64 {
	if v.replay != nil {
		return v.client(index)
	}
	if index%lookAhead == 0 {
		for k := range v.upcoming {
			v.upcoming[k] = v.client(index + uint64(k))
		}
		for _, client := range v.upcoming {
			v.touch(client)
		}
	}
	return v.upcoming[index%lookAhead]
}

// touch reads what is known of a client; that it adds it up keeps it from being left out.
func (v *visits) touch(client uint64) {
	if len(v.cookies) > 0 {
		v.touched += v.cookies[int(client)*v.slots].expires
	}
	if v.made != nil {
		v.touched += int64(v.made[client])
	}
	if v.lines != nil {
		v.touched += v.lines[client].until
	}
}

// next counts a request of a client: the how manieth of its session it is, from 0 on;
// with the first one it has forgotten the cookies of the last session.
func (v *visits) next(client uint64) (n int) {
	if v.made == nil {
		return 0
	}
	n = int(v.made[client])
	if n == 0 {
		clear(v.cookies[int(client)*v.slots:][:v.slots])
	}
	if v.made[client]++; int(v.made[client]) == v.session.Requests {
		v.made[client] = 0
	}
	return n
}

// ends reports whether the connection of a session ends with its nth request: all have
// about equally many.
func (v *visits) ends(n int) bool {
	connections := max(v.session.Connections, 1)
	return v.made != nil && (n+1)*connections/v.session.Requests != n*connections/v.session.Requests
}

// cookie returns the client's cookie for requests of a kind; nil if it has none.
func (v *visits) cookie(client uint64, w *way) *cookie {
	if w.slot < 0 || v.slots == 0 {
		return nil
	}
	if v.jars != nil {
		return v.jar(client, w)
	}
	return &v.cookies[int(client)*v.slots+w.slot]
}

// jar is a client's cookie where few of all that there might be exist.
func (v *visits) jar(client uint64, w *way) *cookie {
	key := [2]uint64{client, uint64(w.slot)}
	k := v.jars[key]
	if k == nil {
		k = &cookie{}
		v.jars[key] = k
	}
	return k
}

// asks returns what request number index is for.
func (v *visits) asks(index uint64) *way {
	if v.replay != nil {
		return &v.ways[v.replay.next.Target]
	}
	return &v.ways[v.draw(index)]
}

// hangup is when a connection is closed if it has had no request until then.
type hangup struct {
	at     int64
	visits *visits
	client uint64
}

// connect sees to it that the client has a connection for the nth request of its
// session. ends says that it is the connection's last.
func (r *run) connect(v *visits, client uint64, n int) (a balance.Admission, ends bool) {
	if v.lines == nil {
		return balance.Admitted, false
	}
	for !r.hangups.empty() && r.hangups.head().at <= r.now {
		h := r.hangups.pop()
		if l := &h.visits.lines[h.client]; l.open && l.until == h.at {
			l.open = false
			r.quota.Connections.Leave()
		}
	}
	l := &v.lines[client]
	if !l.open {
		if a := r.listener.Admit(v.address(client), r.quota, r.now); a != balance.Admitted {
			return a, false
		}
	}
	l.until, l.open = r.now+v.idle, !v.ends(n)
	if l.open && r.counts {
		r.hangups.insert(hangup{l.until, v, client}, func(h *hangup) bool { return h.at > l.until })
	}
	return balance.Admitted, !l.open
}
