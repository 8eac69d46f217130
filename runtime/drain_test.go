package runtime_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"slbctl/runtime/control"
	"slbctl/spec"
)

// visitor is one connection through a balancer that asks for pages on and on.
type visitor struct {
	net.Conn
	in *bufio.Reader
}

func visit(t *testing.T, c *spec.Config) *visitor {
	t.Helper()
	conn, err := net.Dial("tcp", c.LoadBalancers[0].IP.String()+":8080")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &visitor{conn, bufio.NewReader(conn)}
}

// page asks for the page; ends says whether the server wants the connection to end.
func (v *visitor) page() (text string, ends bool, err error) {
	if _, err := io.WriteString(v, "GET / HTTP/1.1\r\nHost: www\r\n\r\n"); err != nil {
		return "", false, err
	}
	resp, err := http.ReadResponse(v.in, nil)
	if err != nil {
		return "", false, err
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), resp.Close, err
}

func (v *visitor) mustGet(t *testing.T, want string) {
	t.Helper()
	if text, _, err := v.page(); err != nil || text != want {
		t.Fatalf("page %q, %v; want %q", text, err, want)
	}
}

// wantCut waits for the reset at the end of a drain.
func (v *visitor) wantCut(t *testing.T) {
	t.Helper()
	if _, err := v.in.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v, want a reset", err)
	}
}

// oneServer is the tutorial with ECS02 alone behind the balancer, and a drain that
// is over soon.
func oneServer(network netip.Prefix, drain time.Duration) *spec.Config {
	c := tutorial(network)
	c.LoadBalancers[0].Backends = c.LoadBalancers[0].Backends[1:]
	c.LoadBalancers[0].Listeners[0].Drain = drain
	return c
}

// TestWhatComesBackKeepsItsConnections takes something out and puts it back before
// the drain is over: nothing happens to the connection when it would have been.
func TestWhatComesBackKeepsItsConnections(t *testing.T) {
	cases := map[string]func(*spec.Config){
		"server": func(c *spec.Config) {
			c.Instances = c.Instances[:1]
			c.LoadBalancers[0].Backends = []spec.Backend{{Instance: "instance.ECS01", Weight: 100}}
		},
		"listener":      func(c *spec.Config) { c.LoadBalancers[0].Listeners = nil },
		"load balancer": func(c *spec.Config) { c.LoadBalancers = nil },
		"all":           func(c *spec.Config) { c.LoadBalancers, c.Instances = nil, nil },
		"inactive":      func(c *spec.Config) { c.LoadBalancers[0].Status = spec.StatusInactive },
		"stopped":       func(c *spec.Config) { c.LoadBalancers[0].Listeners[0].Status = spec.StatusStopped },
	}
	for name, takeOut := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const drain = 1500 * time.Millisecond
			d := start(t, t.TempDir())
			network := network(t)
			c := oneServer(network, drain)
			d.mustApply(c)
			v := visit(t, c)
			v.mustGet(t, "ECS02")
			before := d.status().LoadBalancers[0].Listeners[0]

			without := oneServer(network, drain)
			takeOut(without)
			over := time.Now().Add(drain)
			d.mustApply(without)
			draining := d.status().Draining
			d.mustApply(c)
			if time.Now().After(over) {
				t.Skip("too slow a machine to come back in time")
			}
			if len(draining) != 1 || draining[0].Connections != 1 {
				t.Fatalf("draining %+v, want the connection", draining)
			}
			s := d.status()
			for _, b := range s.Draining { // one without connections may be about to go
				if b.Connections != 0 {
					t.Errorf("draining %+v after it came back", b)
				}
			}
			l := s.LoadBalancers[0].Listeners[0]
			if l.Connections != 1 || l.Requests != before.Requests || l.Backends[0].Connections != 1 {
				t.Errorf("the listener counts %+v", l)
			}
			if text, ends, err := v.page(); err != nil || text != "ECS02" || ends {
				t.Errorf("page %q, it ends %v, %v", text, ends, err)
			}
			time.Sleep(time.Until(over) + 100*time.Millisecond)
			v.mustGet(t, "ECS02")
			if page, err := get(balancerURL(c)); err != nil || page != "ECS02" {
				t.Errorf("a new connection got %q, %v", page, err)
			}
			if err := d.client.WaitDrained(t.Context(), ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHalfComesBack has a listener come back with one server of two: the other's
// connection is all that drains, until its time is up.
func TestHalfComesBack(t *testing.T) {
	inTime(t, time.Second, func(drain time.Duration) bool { return halfComesBack(t, drain) })
}

// halfComesBack says whether it did before the drain was over.
func halfComesBack(t *testing.T, drain time.Duration) bool {
	d := start(t, t.TempDir())
	network := network(t)
	c := tutorial(network)
	c.LoadBalancers[0].Listeners[0].Drain = drain
	d.mustApply(c)
	stays := visit(t, c)
	stays.mustGet(t, "ECS01")
	goes := visit(t, c) // only now: two loops might take two at once in either order
	goes.mustGet(t, "ECS02")
	gone := tutorial(network)
	gone.LoadBalancers[0].Listeners = nil
	began := time.Now()
	d.mustApply(gone)
	half := tutorial(network)
	half.LoadBalancers[0].Backends = half.LoadBalancers[0].Backends[:1]
	d.mustApply(half)
	if s := d.status().Draining; time.Since(began) >= drain {
		return false
	} else if len(s) != 1 || s[0].Address != "instance.ECS02" || s[0].Connections != 1 {
		t.Errorf("draining %+v", s)
	}
	goes.wantCut(t)
	if err := d.client.WaitDrained(t.Context(), ""); err != nil {
		t.Error(err)
	}
	stays.mustGet(t, "ECS01")
	return true
}

// TestMovedListenerDrainsTheOldEndpoint gives a balancer another address: what came
// through the old one drains, though the servers stay.
func TestMovedListenerDrainsTheOldEndpoint(t *testing.T) {
	d := start(t, t.TempDir())
	network := network(t)
	c := oneServer(network, 300*time.Millisecond)
	d.mustApply(c)
	old := visit(t, c)
	old.mustGet(t, "ECS02")
	moved := oneServer(network, 300*time.Millisecond)
	moved.LoadBalancers[0].IP = moved.LoadBalancers[0].IP.Next()
	d.mustApply(moved)
	fresh := visit(t, moved)
	fresh.mustGet(t, "ECS02")
	old.wantCut(t)
	fresh.mustGet(t, "ECS02")
}

// TestWeightZeroKeepsConnections: such a server gets nothing new, and that is all.
func TestWeightZeroKeepsConnections(t *testing.T) {
	d := start(t, t.TempDir())
	network := network(t)
	c := oneServer(network, 0)
	d.mustApply(c)
	v := visit(t, c)
	v.mustGet(t, "ECS02")
	next := oneServer(network, 0)
	next.LoadBalancers[0].Backends = []spec.Backend{
		{Instance: "instance.ECS01", Weight: 100}, {Instance: "instance.ECS02", Weight: 0},
	}
	d.mustApply(next)
	if err := d.client.WaitDrained(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if page, err := get(balancerURL(c)); err != nil || page != "ECS01" {
		t.Errorf("a new connection got %q, %v", page, err)
	}
	v.mustGet(t, "ECS02")
}

// TestStoppedInstanceEndsItsConnections: they do not drain, the server closes them.
func TestStoppedInstanceEndsItsConnections(t *testing.T) {
	d := start(t, t.TempDir())
	network := network(t)
	c := tutorial(network)
	d.mustApply(c)
	visit(t, c).mustGet(t, "ECS01")
	v := visit(t, c)
	v.mustGet(t, "ECS02")
	next := tutorial(network)
	next.Instances[1].Status = spec.StatusStopped
	d.mustApply(next)
	if _, err := v.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection ended with %v, want its end", err)
	}
}

// TestInstanceListedTwice takes away the second of an instance's two entries: the
// connections to the first stay.
func TestInstanceListedTwice(t *testing.T) {
	d := start(t, t.TempDir())
	network := network(t)
	twice := func() *spec.Config {
		c := oneServer(network, 0)
		c.Instances[1].Ports = []uint16{80, 81}
		c.LoadBalancers[0].Backends = []spec.Backend{
			{Instance: "instance.ECS02", Port: 80, Weight: 100}, {Instance: "instance.ECS02", Port: 81, Weight: 100},
		}
		return c
	}
	c := twice()
	d.mustApply(c)
	first := visit(t, c)
	first.mustGet(t, "ECS02")
	second := visit(t, c)
	second.mustGet(t, "ECS02")
	once := twice()
	once.LoadBalancers[0].Backends = once.LoadBalancers[0].Backends[:1]
	d.mustApply(once)
	second.wantCut(t)
	first.mustGet(t, "ECS02")
}

// TestRollbackDrainsTheNewServers lets what reached a server of a change that was
// withdrawn finish there, also when the server is one of ours that goes again.
func TestRollbackDrainsTheNewServers(t *testing.T) {
	e, apply := startEngine(t)
	network := network(t)
	c := tutorial(network)
	c.Instances = c.Instances[:1]
	c.LoadBalancers[0].Backends = c.LoadBalancers[0].Backends[:1]
	if err := apply(c, func(control.Event) {}); err != nil {
		t.Fatal(err)
	}
	next := tutorial(network)
	next.LoadBalancers[0].Backends = next.LoadBalancers[0].Backends[1:]
	next.LoadBalancers[0].Listeners[0].Drain = time.Minute // it is over with the visitor's connection
	var v *visitor
	undo := func() {}
	err := apply(next, func(ev control.Event) {
		if ev.Phase == control.PhaseVerify {
			v = visit(t, next)
			v.mustGet(t, "ECS02")
			undo = breakPersist(t, e.dir)
		}
	})
	undo()
	if err == nil || v == nil {
		t.Fatalf("apply: %v, visited %v", err, v != nil)
	}
	if text, ends, err := v.page(); err != nil || text != "ECS02" || !ends {
		t.Errorf("page %q, it ends %v, %v", text, ends, err)
	}
	v.Close()
	if page, err := get(balancerURL(c)); err != nil || page != "ECS01" {
		t.Errorf("a new connection got %q, %v", page, err)
	}
	if err := e.WaitDrained(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", next.Instances[1].IP.String()+":8080"); err == nil {
		conn.Close()
		t.Error("the server that went again still listens after the drain")
	}
}

// TestWeightZeroKeepsSessionsForADrain: a client whose cookie names the server stays for as
// long as a drain, also across other changes, and gets another server then.
func TestWeightZeroKeepsSessionsForADrain(t *testing.T) {
	const drain = time.Second
	d := start(t, t.TempDir())
	here := network(t)
	stay, goes := site(t, "stay"), site(t, "goes")
	with := func(weight int, scheduler string) *spec.Config {
		c := shop(here, stay, stay)
		l := c.LoadBalancers[0].Listeners[0]
		c.LoadBalancers[0].Backends = []spec.Backend{member(goes, weight), member(stay, 1)}
		l.Drain, l.Scheduler = drain, scheduler
		l.StickySession = &spec.StickySession{Type: spec.StickyInsert, Cookie: "SERVERID", CookieTimeout: time.Hour}
		return c
	}
	c := with(100, spec.SchedulerWRR)
	d.mustApply(c)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Jar: jar, Timeout: 5 * time.Second}
	ask := func() string {
		resp, err := client.Get(balancerURL(c))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(page)
	}
	if page := ask(); page != "goes" {
		t.Fatalf("the first page is of %s", page)
	}
	began := time.Now()
	d.mustApply(with(0, spec.SchedulerWRR))
	d.mustApply(with(0, spec.SchedulerRR))
	if page := ask(); page != "goes" && time.Since(began) < drain {
		t.Errorf("the session went to %s at once", page)
	}
	eventually(t, "the session has gone elsewhere", func() bool { return ask() == "stay" })
	if took := time.Since(began); took < drain {
		t.Errorf("that took %v, less than the drain", took)
	}
	// Back at its weight it gets new sessions, not those that have moved.
	d.mustApply(with(100, spec.SchedulerRR))
	if page := ask(); page != "stay" {
		t.Errorf("the new session went to %s", page)
	}
}
