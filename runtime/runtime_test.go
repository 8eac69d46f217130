package runtime_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"slbctl/runtime"
	"slbctl/runtime/control"
	"slbctl/spec"
)

func TestTutorialServes(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	var first string
	for i := range 20 {
		page, err := get(balancerURL(c))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = page
		}
		if (page == first) != (i%2 == 0) {
			t.Fatalf("request %d got %s: rr alternates strictly", i, page)
		}
	}
	s := d.status()
	for _, b := range s.LoadBalancers[0].Listeners[0].Backends {
		if b.Health != "normal" || b.Requests != 10 || b.Share != 0.5 || b.Port != 80 || b.Bound != 8080 {
			t.Errorf("backend = %+v", b)
		}
	}
	if l := s.LoadBalancers[0].Listeners[0]; l.Port != 80 || l.Bound != 8080 || l.Requests != 20 || l.Errors != 0 {
		t.Errorf("listener = %+v", l)
	}
	if want := c.Runtime.DNSEndpoint().String(); s.DNS.Address != want || len(s.DNS.Zones) != 1 {
		t.Errorf("dns = %+v, want %s", s.DNS, want)
	}
}

func TestStoppedInstanceIsTakenOutWithoutALostRequest(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	if err := d.client.StopInstance(t.Context(), "instance.ECS02"); err != nil {
		t.Fatal(err)
	}
	health := func() string { return d.status().LoadBalancers[0].Listeners[0].Backends[1].Health }
	for range 20 { // before the verdict a refused connect goes to the other server
		if page, err := get(balancerURL(c)); err != nil || page != "ECS01" {
			t.Fatalf("page %q, %v", page, err)
		}
	}
	eventually(t, "ECS02 is abnormal", func() bool { return health() == "abnormal" })
	if s := d.status().Instances[1]; s.Status != spec.StatusStopped {
		t.Errorf("status of ECS02 is %s", s.Status)
	}
	if err := d.client.StartInstance(t.Context(), "instance.ECS02"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ECS02 is normal again", func() bool { return health() == "normal" })
	var missing *control.Error
	if err := d.client.StopInstance(t.Context(), "instance.ECS9"); !errors.As(err, &missing) || missing.Code != control.CodeNotFound {
		t.Errorf("stop what is not there: %v", err)
	}
}

// TestChangesLoseNoRequest sends requests without pause, on connections of their
// own and on ones that stay, while weights change and a server comes and goes.
func TestChangesLoseNoRequest(t *testing.T) {
	const perClient, clients = 2500, 8
	d := start(t, t.TempDir())
	net := network(t)
	c := tutorial(net)
	d.mustApply(c)
	var failed, done atomic.Int64
	var clientsDone sync.WaitGroup
	for k := range clients {
		transport := &http.Transport{DisableKeepAlives: k%2 == 0}
		defer transport.CloseIdleConnections()
		client := http.Client{Transport: transport, Timeout: 10 * time.Second}
		clientsDone.Go(func() {
			for range perClient {
				resp, err := client.Get(balancerURL(c))
				if err != nil {
					t.Log(err)
					failed.Add(1)
					continue
				}
				_, err = io.Copy(io.Discard, resp.Body) // else keep-alive is in vain
				resp.Body.Close()
				if err != nil {
					t.Log(err)
					failed.Add(1)
					continue
				}
				done.Add(1)
			}
		})
	}
	finished := make(chan struct{})
	go func() { clientsDone.Wait(); close(finished) }()
	changes := 0
	for under := true; under; changes++ {
		next := tutorial(net)
		lb := next.LoadBalancers[0]
		lb.Backends[0].Weight = 1 + changes%100
		lb.Listeners[0].Scheduler = spec.SchedulerWRR
		if changes%2 == 0 {
			third := *next.Instances[1]
			third.Meta = spec.Meta{Address: "instance.ECS03", Name: "ECS03"}
			third.IP = third.IP.Next().Next()
			next.Instances = append(next.Instances, &third)
			lb.Backends = append(lb.Backends, spec.Backend{Instance: "instance.ECS03", Weight: 50})
		}
		d.mustApply(next)
		select {
		case <-finished:
			under = false
		default:
		}
	}
	t.Logf("%d requests, %d changes", done.Load(), changes)
	if failed.Load() != 0 || done.Load() != perClient*clients {
		t.Errorf("%d of %d requests failed", failed.Load(), perClient*clients)
	}
	if changes < 3 {
		t.Errorf("only %d changes fell into the traffic", changes)
	}
}

func TestRefusedChangeChangesNothing(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	taken, err := net.Listen("tcp", c.LoadBalancers[0].IP.String()+":8081")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	next := tutorial(c.Runtime.Network)
	more := *next.LoadBalancers[0].Listeners[0]
	more.Address, more.Name, more.Port = `load_balancer.SLB1.listener["tcp:81"]`, "tcp:81", 81
	next.LoadBalancers[0].Listeners = append(next.LoadBalancers[0].Listeners, &more)
	next.Instances[0].Pages[0].Content = "changed"

	var refused *control.Error
	if err := d.apply(next); !errors.As(err, &refused) || refused.Code != control.CodeRefused {
		t.Fatalf("apply: %v", err)
	}
	for _, want := range []string{`listener["tcp:81"]`, ":8081", "in use"} {
		if !strings.Contains(refused.Message, want) {
			t.Errorf("the message does not say %q: %s", want, refused.Message)
		}
	}
	seen := map[string]bool{}
	for range 4 {
		page, err := get(balancerURL(c))
		if err != nil {
			t.Fatal(err)
		}
		seen[page] = true
	}
	if !seen["ECS01"] || !seen["ECS02"] || seen["changed"] {
		t.Errorf("pages after the refusal: %v", seen)
	}
	if g, err := d.client.Generation(t.Context()); err != nil || g.Generation != 1 {
		t.Errorf("generation %+v, %v", g, err)
	}
}

func TestSickChangeIsRolledBack(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	next := tutorial(c.Runtime.Network)
	next.LoadBalancers[0].Listeners[0].HealthCheck.Port = 4444 // nobody answers there
	var refused *control.Error
	if err := d.apply(next); !errors.As(err, &refused) || refused.Code != control.CodeVerify {
		t.Fatalf("apply: %v", err)
	}
	for _, want := range []string{"instance.ECS01", "abnormal", "refused"} {
		if !strings.Contains(refused.Message, want) {
			t.Errorf("the message does not say %q: %s", want, refused.Message)
		}
	}
	for range 10 {
		if _, err := get(balancerURL(c)); err != nil {
			t.Fatalf("after the rollback: %v", err)
		}
	}
	if g, _ := d.client.Generation(t.Context()); g.Generation != 1 {
		t.Errorf("generation %d is live", g.Generation)
	}
	d.mustApply(c)
}

func TestStaleBaseIsRefused(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	d.gen = 7
	var stale *control.Error
	if err := d.apply(c); !errors.As(err, &stale) || stale.Code != control.CodeStale {
		t.Errorf("apply on another base: %v", err)
	}
}

// TestComesBackWithItsGeneration restarts the daemon on what it has committed.
func TestComesBackWithItsGeneration(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	c := tutorial(network(t))
	d.mustApply(c)
	if err := d.client.StopInstance(t.Context(), "instance.ECS02"); err != nil {
		t.Fatal(err)
	}
	d.stop()
	g, ok, err := runtime.Committed(dir)
	if err != nil || !ok || g.Generation != 1 || g.Hash != "hash-1" {
		t.Fatalf("committed %+v, %v, %v", g, ok, err)
	}
	d = start(t, dir)
	if d.gen != 1 {
		t.Errorf("generation %d is live", d.gen)
	}
	if page, err := get(balancerURL(c)); err != nil || page != "ECS01" {
		t.Errorf("page %q, %v: ECS02 stays stopped over a restart", page, err)
	}
}

func TestDeadInstancesComeBack(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	c := tutorial(network(t))
	d.mustApply(c)
	if err := syscall.Kill(pidOf(t, dir, "instances.pid"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the page is served again", func() bool {
		_, err := get(balancerURL(c))
		return err == nil
	})
}

func TestRemovedServerFinishesItsConnections(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	c.Instances[1].Protocol = spec.ProtocolTCPEcho
	c.LoadBalancers[0].Backends = c.LoadBalancers[0].Backends[1:]
	c.LoadBalancers[0].Listeners[0].Drain = time.Minute // it is over with the connection
	d.mustApply(c)
	conn, err := net.Dial("tcp", c.LoadBalancers[0].IP.String()+":8080")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	echo := func() error {
		if _, err := conn.Write([]byte("x")); err != nil {
			return err
		}
		_, err := conn.Read(make([]byte, 1))
		return err
	}
	if err := echo(); err != nil {
		t.Fatal(err)
	}
	next := tutorial(c.Runtime.Network)
	next.Instances = next.Instances[:1]
	next.LoadBalancers[0].Backends = next.LoadBalancers[0].Backends[:1]
	d.mustApply(next)
	if err := echo(); err != nil {
		t.Fatalf("a connection of the removed server: %v", err)
	}
	if n := len(d.status().Draining); n != 1 {
		t.Errorf("status shows %d drains", n)
	}
	if page, err := get(balancerURL(c)); err != nil || page != "ECS01" {
		t.Errorf("a new connection got %q, %v", page, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.client.WaitDrained(ctx, ""); err == nil {
		t.Error("drained while a connection is open")
	}
	conn.Close()
	if err := d.client.WaitDrained(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", c.Instances[1].IP.String()+":8080"); err == nil {
		t.Error("the removed instance still listens after the drain")
	}
}

func TestDestroyReleasesEverything(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	c := tutorial(network(t))
	d.mustApply(c)
	if err := d.request(&spec.Config{Runtime: c.Runtime}, control.WaitDrained); err != nil {
		t.Fatal(err)
	}
	for _, ep := range []string{
		c.LoadBalancers[0].IP.String() + ":8080", c.Instances[0].IP.String() + ":8080", c.Runtime.DNSEndpoint().String(),
	} {
		if conn, err := net.Dial("tcp", ep); err == nil {
			conn.Close()
			t.Errorf("%s still answers", ep)
		}
	}
	d.stop()
	if err := runtime.Stop(t.Context(), dir); err != nil {
		t.Errorf("stop what is stopped: %v", err)
	}
}

func TestOnlyOneDaemonPerFolder(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	err := runtime.Run(t.Context(), dir, runtime.Options{Log: nil, Executable: os.Args[0]})
	if !errors.Is(err, runtime.ErrAlreadyRunning) {
		t.Errorf("second daemon: %v", err)
	}
}

func TestFirstApplySetsTheLoops(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	c.Runtime.Loops = 3
	d.mustApply(c)
	if n := d.status().Runtime.Loops; n != 3 {
		t.Errorf("%d loops run, 3 were asked for", n)
	}
}

// TestComesBackWithoutATakenPort has strangers take a listener's port and an
// instance's while the daemon is away. The rest serves, status tells, and the next
// apply makes it whole.
func TestComesBackWithoutATakenPort(t *testing.T) {
	dir := t.TempDir()
	d := start(t, dir)
	c := tutorial(network(t))
	second := *c.LoadBalancers[0].Listeners[0]
	second.Address, second.Name, second.Port = `load_balancer.SLB1.listener["tcp:81"]`, "tcp:81", 81
	c.LoadBalancers[0].Listeners = append(c.LoadBalancers[0].Listeners, &second)
	d.mustApply(c)
	d.stop()

	var strangers []net.Listener
	for _, ep := range []string{c.LoadBalancers[0].IP.String() + ":8081", c.Instances[1].IP.String() + ":8080"} {
		l, err := net.Listen("tcp", ep)
		if err != nil {
			t.Fatal(err)
		}
		strangers = append(strangers, l)
	}
	d = start(t, dir)
	if problems := d.status().Runtime.Problems; len(problems) != 2 ||
		!strings.Contains(strings.Join(problems, " "), ":8081") || !strings.Contains(strings.Join(problems, " "), "instance.ECS02") {
		t.Errorf("problems: %q", problems)
	}
	if page, err := get(balancerURL(c)); err != nil || page != "ECS01" {
		t.Errorf("page %q, %v", page, err)
	}
	for _, l := range strangers {
		l.Close()
	}
	d.mustApply(c)
	if problems := d.status().Runtime.Problems; len(problems) != 0 {
		t.Errorf("problems after an apply: %q", problems)
	}
	if _, err := get("http://" + c.LoadBalancers[0].IP.String() + ":8081/"); err != nil {
		t.Error(err)
	}
}

// TestSickReplacementCostsNoRequest replaces a server that is well by one that
// answers nothing: the apply fails, and nobody notices.
func TestSickReplacementCostsNoRequest(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	foreign := c.Instances[0].IP
	lb := c.LoadBalancers[0]
	lb.Backends = []spec.Backend{{Address: foreign, Port: 8080, Weight: 100}}
	d.mustApply(c)
	next := tutorial(c.Runtime.Network)
	next.LoadBalancers[0].Backends = []spec.Backend{{Address: foreign, Port: 4444, Weight: 100}}
	failed := make(chan error, 1)
	go func() { failed <- d.apply(next) }()
	for asked := 0; ; asked++ {
		if _, err := get(balancerURL(c)); err != nil {
			t.Fatalf("request %d: %v", asked, err)
		}
		select {
		case err := <-failed:
			var refused *control.Error
			if !errors.As(err, &refused) || refused.Code != control.CodeVerify {
				t.Errorf("after %d requests: %v", asked, err)
			}
			return
		default:
		}
	}
}

// TestServerIsAClientOfItsOwnListener: what the product's L4 listeners cannot, unless they
// translate all addresses. A server is answered by itself, and by the others.
func TestServerIsAClientOfItsOwnListener(t *testing.T) {
	d := start(t, t.TempDir())
	c := tutorial(network(t))
	d.mustApply(c)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{
		LocalAddr: &net.TCPAddr{IP: c.Instances[0].IP.AsSlice()},
	}).DialContext}
	client := http.Client{Transport: transport, Timeout: 5 * time.Second}
	for _, want := range []string{"ECS01", "ECS02"} {
		resp, err := client.Get(balancerURL(c))
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(page) != want {
			t.Errorf("page %q, %v; want %q", page, err, want)
		}
	}
}
