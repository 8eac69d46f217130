package runtime_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slbctl/runtime"
	"slbctl/runtime/balance"
	"slbctl/runtime/control"
	"slbctl/runtime/durable"
	"slbctl/runtime/durable/durabletest"
	"slbctl/runtime/health"
	"slbctl/spec"
)

const theListener = `load_balancer.SLB1.listener["tcp:80"]`

// at calls f at the first step of a phase.
func at(phase string, f func()) func(control.Event) {
	return func(ev control.Event) {
		if ev.Phase == phase && f != nil {
			f()
			f = nil
		}
	}
}

// quickly fails the test when f does not return.
func quickly(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Errorf("blocked: %s", what)
	}
}

// TestSlowReaderHoldsUpNobody has the reader of an apply's steps stop: verdicts come
// in, and status answers.
func TestSlowReaderHoldsUpNobody(t *testing.T) {
	e, apply := startEngine(t)
	c := tutorial(network(t))
	told := false
	if err := apply(c, at(control.PhaseVerify, func() {
		told = true
		quickly(t, "a verdict", func() { e.Observe(health.Event{Listener: theListener, Backend: "nobody"}) })
		quickly(t, "status", func() { e.Status() })
	})); err != nil || !told {
		t.Errorf("apply: %v, told %v", err, told)
	}
}

// TestRemovedListenerServesUntilItIsClosed: whoever connects between commit and the
// end of verify is served by what was there, so that nothing is lost on a rollback.
func TestRemovedListenerServesUntilItIsClosed(t *testing.T) {
	_, apply := startEngine(t)
	network := network(t)
	c := tutorial(network)
	if err := apply(c, func(control.Event) {}); err != nil {
		t.Fatal(err)
	}
	next := tutorial(network)
	next.LoadBalancers[0].Listeners = nil
	asked := false
	if err := apply(next, at(control.PhaseCommit, func() {
		asked = true
		if _, err := get(balancerURL(c)); err != nil {
			t.Errorf("after commit: %v", err)
		}
	})); err != nil || !asked {
		t.Fatalf("apply: %v, asked %v", err, asked)
	}
	if _, err := get(balancerURL(c)); err == nil {
		t.Error("the removed listener still serves after the apply")
	}
}

// TestLateReportIsIgnored reports on a server that has gone: when it comes back it has
// to prove itself again.
func TestLateReportIsIgnored(t *testing.T) {
	e, apply := startEngine(t)
	network := network(t)
	deaf := network.Addr().Next() // nobody serves there on 8080
	with := func() *spec.Config {
		c := tutorial(network)
		lb := c.LoadBalancers[0]
		lb.Backends = append(lb.Backends, spec.Backend{Address: deaf, Port: 8080, Weight: 100})
		return c
	}
	if err := errors.Join(apply(with(), func(control.Event) {}), apply(tutorial(network), func(control.Event) {})); err != nil {
		t.Fatal(err)
	}
	e.Observe(health.Event{
		Listener: theListener, Backend: deaf.String() + ":8080",
		Endpoint: netip.AddrPortFrom(deaf, 8080), Health: balance.Normal,
	})
	asked := false
	if err := apply(with(), at(control.PhaseCommit, func() {
		asked = true
		if e.Share(theListener, 2) != 0 {
			t.Error("it gets connections before it has proved well")
		}
	})); err != nil || !asked {
		t.Errorf("apply: %v, asked %v", err, asked)
	}
}

// TestTimeOutTellsWhoIsNotWell: an apply whose time is up says what it waited for, and
// one that does not wait does not.
func TestTimeOutTellsWhoIsNotWell(t *testing.T) {
	inTime(t, 300*time.Millisecond, func(timeout time.Duration) bool {
		d := start(t, t.TempDir())
		c := tutorial(network(t))
		check := &c.LoadBalancers[0].Listeners[0].HealthCheck
		check.Port, check.Interval, check.UnhealthyThreshold = 4444, 30*time.Second, 10
		req := control.Request{Generation: 1, Config: c, Wait: control.WaitVerified, Timeout: timeout}
		began, prepared := time.Now(), false
		var refused *control.Error
		err := d.client.Apply(t.Context(), req, func(ev control.Event) {
			prepared = prepared || strings.Contains(ev.Message, "the name server listens") // the last step before
		})
		if err != nil && !prepared {
			return false
		}
		if !errors.As(err, &refused) || refused.Code != control.CodeVerify {
			t.Fatalf("apply: %v", err)
		}
		if !strings.Contains(refused.Message, "instance.ECS01 is unavailable") {
			t.Errorf("the message does not say who: %s", refused.Message)
		}
		req.Wait, req.Timeout = control.WaitNone, 10*time.Second
		if err := d.client.Apply(t.Context(), req, func(control.Event) {}); err != nil {
			t.Errorf("apply without waiting: %v", err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the two took %v", took)
		}
		return true
	})
}

// TestLeastConnectionsCountsAcrossARollback: what was opened under the change that was
// withdrawn counts, and stops counting when it ends.
func TestLeastConnectionsCountsAcrossARollback(t *testing.T) {
	e, apply := startEngine(t)
	network := network(t)
	wlc := func() *spec.Config {
		c := tutorial(network)
		c.LoadBalancers[0].Listeners[0].Scheduler = spec.SchedulerWLC
		return c
	}
	c := wlc()
	if err := apply(c, func(control.Event) {}); err != nil {
		t.Fatal(err)
	}
	var visitors []*visitor
	come := func() {
		v := visit(t, c)
		if _, _, err := v.page(); err != nil {
			t.Error(err)
		}
		visitors = append(visitors, v)
	}
	come()
	next := wlc()
	next.LoadBalancers[0].Backends[0].Weight = 99
	undo := func() {}
	err := apply(next, at(control.PhaseVerify, func() {
		come()
		undo = breakPersist(t, e.dir)
	}))
	undo()
	if err == nil {
		t.Fatal("nothing was withdrawn")
	}
	come()
	come()
	if a, b := e.InFlight(theListener, 0), e.InFlight(theListener, 1); a != 2 || b != 2 {
		t.Errorf("%d and %d connections in flight, want 2 and 2", a, b)
	}
	for _, v := range visitors {
		v.Close()
	}
	eventually(t, "nothing in flight", func() bool {
		return e.InFlight(theListener, 0) == 0 && e.InFlight(theListener, 1) == 0
	})
}

// TestStoppedInstanceIsNotCalledWell right after the apply that stopped it.
func TestStoppedInstanceIsNotCalledWell(t *testing.T) {
	d := start(t, t.TempDir())
	network := network(t)
	slow := func() *spec.Config {
		c := tutorial(network)
		c.LoadBalancers[0].Listeners[0].HealthCheck.Interval = 150 * time.Millisecond
		return c
	}
	d.mustApply(slow())
	next := slow()
	next.Instances[1].Status = spec.StatusStopped
	d.mustApply(next)
	if h := d.status().LoadBalancers[0].Listeners[0].Backends[1].Health; h != "abnormal" {
		t.Errorf("the stopped instance is %s", h)
	}
}

// hiccup fails the first sync of a folder: by then the new file is in place.
type hiccup struct {
	durable.FS
	failed bool
}

func (h *hiccup) SyncDir(path string) error {
	if !h.failed {
		h.failed = true
		return fs.ErrInvalid
	}
	return h.FS.SyncDir(path)
}

// TestFailedCommitKeepsTheOldGeneration also when it fails after the file was replaced.
func TestFailedCommitKeepsTheOldGeneration(t *testing.T) {
	disk := durabletest.New()
	if err := disk.MkdirAll(filepath.Join("/w", control.Folder)); err != nil {
		t.Fatal(err)
	}
	if there, err := runtime.Persist(disk, "/w", 0, 4); err != nil || there != 4 {
		t.Fatalf("generation %d, %v", there, err)
	}
	if there, err := runtime.Persist(&hiccup{FS: disk}, "/w", 4, 5); err == nil || there != 4 {
		t.Errorf("generation %d, %v, want 4 and the failure", there, err)
	}
	if there, err := runtime.Persist(disk, "/w", 4, 5); err != nil || there != 5 {
		t.Errorf("generation %d, %v", there, err)
	}
}
