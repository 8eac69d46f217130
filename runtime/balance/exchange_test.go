package balance

import (
	"net/netip"
	"testing"
	"time"

	"slbctl/spec"
)

func TestAdmit(t *testing.T) {
	inside, outside := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("11.1.2.3")
	list := NewAccessList([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, true)
	unlimited := &Quota{Connections: NewLimit(0)}
	oneASecond := func() *Quota { return &Quota{Connections: NewLimit(0), CPS: NewRate(1, 1)} }
	oneOpen := func() *Quota { return &Quota{Connections: NewLimit(1)} }
	cases := []struct {
		name   string
		l      Listener
		q      *Quota
		source netip.Addr
		want   [2]Admission // of two clients that come at once
	}{
		{"no list", Listener{}, nil, outside, [2]Admission{Admitted, Admitted}},
		{"listed", Listener{ACL: list}, unlimited, inside, [2]Admission{Admitted, Admitted}},
		{"not listed", Listener{ACL: list}, nil, outside, [2]Admission{Denied, Denied}},
		{"listed later", Listener{ACL: list, AcceptProxyProtocol: true}, nil, outside, [2]Admission{Admitted, Admitted}},
		{"UDP has no PROXY protocol", Listener{ACL: list, AcceptProxyProtocol: true, Protocol: spec.ProtocolUDP}, nil, outside, [2]Admission{Denied, Denied}},
		{"too fast", Listener{ACL: list}, oneASecond(), inside, [2]Admission{Admitted, Dropped}},
		{"too many", Listener{}, oneOpen(), inside, [2]Admission{Admitted, Dropped}},
		{"denied takes nothing", Listener{ACL: list}, oneOpen(), outside, [2]Admission{Denied, Denied}},
	}
	for _, c := range cases {
		if got := [2]Admission{c.l.Admit(c.source, c.q, 0), c.l.Admit(c.source, c.q, 0)}; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestMayAsk(t *testing.T) {
	var unlimited *Quota
	if !unlimited.MayAsk(nil, 0) {
		t.Error("no quota refuses")
	}
	for name, q := range map[string]*Quota{"balancer": {QPS: NewRate(1, 1)}, "listener": {}} {
		own := &ListenerQuota{}
		if name == "listener" {
			own.QPS = NewRate(1, 1)
		}
		if !q.MayAsk(own, 0) || q.MayAsk(own, 0) || !q.MayAsk(own, int64(time.Second)) {
			t.Errorf("%s: not one request a second", name)
		}
	}
}

func TestRouteRequest(t *testing.T) {
	l := routed(t, "a.com /x", "a.com /y", "b.com ")
	l.Rules[1].Redirect = &Redirect{Scheme: "https", Code: 301}
	l.Rules = append(l.Rules, &Rule{Name: "z", URL: "/z", Redirect: l.Rules[1].Redirect})
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		host, target, want string
		ok                 bool
	}{
		{"a.com", "/x", "a.com /x", true},
		{"a.com", "//%78/../", "", false},
		{"a.com", "//%78", "a.com /x", true},
		{"a.com", "/y", "a.com /y", true},
		{"a.com", "/z", "404", true},
		{"a.com", "*", "404", true},
		{"b.com", "*", "b.com ", true},
		{"a.com", "x", "", false},
		{"c.com", "/z", "z", true},
		{"", "/z", "z", false}, // nowhere to send it
		{"", "/", "own", true},
	}
	for _, c := range cases {
		route, ok := l.RouteRequest(make([]byte, 0, len(c.target)), []byte(c.host), []byte(c.target))
		if ok != c.ok || ok && outcome(route) != c.want {
			t.Errorf("%q %q: %q (%v), want %q (%v)", c.host, c.target, outcome(route), ok, c.want, c.ok)
		}
		if !ok && route.Pool >= 0 {
			t.Errorf("%q %q: refused, and sent to pool %d", c.host, c.target, route.Pool)
		}
	}
}

func TestPickRequest(t *testing.T) {
	l := group(spec.SchedulerRR, 100, 100, 100)
	health := except(l, "C")
	table, s := l.Table(health), NewState(&l.Pool, nil)
	type picked struct {
		i    int
		kept bool
	}
	pick := func(sticky int, tried Tried) picked {
		i, kept, ok := table.PickRequest(s, &Client{}, sticky, tried)
		if !ok {
			t.Fatal("nobody")
		}
		return picked{i, kept}
	}
	steps := []struct {
		name   string
		sticky int
		tried  Tried
		want   picked
	}{
		{"without a cookie", NoBackend, nil, picked{0, false}},
		{"with one", 0, nil, picked{0, true}},
		{"which took no ticket", NoBackend, nil, picked{1, false}},
		{"of a server that is ill", 2, nil, picked{0, false}},
		{"on the second try", 1, Tried{1}, picked{0, false}},
	}
	for _, c := range steps {
		if got := pick(c.sticky, c.tried); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got, want := [2]int64{s.Active(0), s.Active(1)}, [2]int64{4, 1}; got != want {
		t.Errorf("in flight %v, want %v", got, want)
	}
}

func TestCookieOfAnAnswer(t *testing.T) {
	p := &group(spec.SchedulerRR, 1, 1).Pool
	p.cookies = newCookies(p.Backends, p.seed)
	insert, server := Sticky{Mode: StickyInsert, MaxAge: 1999 * time.Millisecond}, Sticky{Mode: StickyServer}
	for mode, value := range map[*Sticky]string{&insert: p.CookieValue(1), &server: p.CookieValue(1) + "|own"} {
		p.Sticky = *mode
		if got := p.StickyBackend([]byte(value)); got != 1 {
			t.Errorf("mode %d: %q names %d", mode.Mode, value, got)
		}
		if got := p.StickyBackend([]byte("0123456789abcdef")); got != NoBackend {
			t.Errorf("mode %d: a made-up value names %d", mode.Mode, got)
		}
	}
	switch {
	case !insert.Inserts(false, 200), insert.Inserts(true, 200), insert.Inserts(false, 404), server.Inserts(false, 200):
		t.Error("a cookie is inserted where it should not be, or not where it should")
	case insert.Seconds() != 1:
		t.Errorf("a cookie of 1.999 s says %d s", insert.Seconds())
	}
}

func TestTries(t *testing.T) {
	l := group(spec.SchedulerRR, 1, 1, 1)
	for attempts, want := range map[int]int{0: 3, 1: 2, 2: 3, 9: 3} {
		l.Retry.Attempts = attempts
		if got := l.Tries(l.Table(well)); got != want {
			t.Errorf("%d retries: %d tries, want %d", attempts, got, want)
		}
	}
}

// What the live balancer asks about each request allocates nothing.
func TestExchangeAllocatesNothing(t *testing.T) {
	l := routed(t, "a.com /x", "b.com ")
	l.Pool = group(spec.SchedulerRR, 1, 1).Pool
	l.ACL = NewAccessList([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, true)
	l.Sticky = Sticky{Mode: StickyInsert}
	l.cookies = newCookies(l.Backends, l.seed)
	q := &Quota{Connections: NewLimit(0), CPS: NewRate(1e9, 1e9), QPS: NewRate(1e9, 1e9)}
	s, table := NewState(&l.Pool, nil), l.Table(well)
	source, scratch, host, target := netip.MustParseAddr("10.0.0.1"), make([]byte, 0, 16), []byte("c.com"), []byte("/%78")
	value := []byte(l.CookieValue(1))
	if n := testing.AllocsPerRun(100, func() {
		l.Admit(source, q, 0)
		q.MayAsk(&ListenerQuota{}, 0)
		if r, ok := l.RouteRequest(scratch, host, target); !ok || r.Pool != 0 {
			t.Fatal("lost")
		}
		i, kept, ok := table.PickRequest(s, &Client{}, l.StickyBackend(value), nil)
		if !ok || !kept || l.Sticky.Inserts(kept, 200) || len(Tried(nil)) >= l.Tries(table) {
			t.Fatal("not kept")
		}
		s.Done(i)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
