package sim

import (
	"math"
	"strings"
	"testing"

	"slbctl/spec"
)

func TestWithout(t *testing.T) {
	c := shop(spec.SchedulerRR, 1, 1, 1)
	lossy, err := Without(c, "zone=a", "instance.s1")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range lossy.Instances {
		if i.Status != spec.StatusStopped {
			t.Errorf("%s is %s: s0 and s2 stand in zone a", i.Address, i.Status)
		}
	}
	if c.Instances[0].Status != spec.StatusRunning {
		t.Error("the configuration itself has changed")
	}
	for _, loss := range []string{"zone=z", "instance.s9", "zone", ""} {
		if _, err := Without(c, loss); err == nil {
			t.Errorf("%q is lost, though it is not there", loss)
		}
	}
	all := run1(t, mustLose(t, c, "instance.s0"), Options{}).Windows[0]
	if servedBy(&all, "instance.s0") != 0 || servedBy(&all, "instance.s1") == 0 {
		t.Errorf("%+v", all.Backends)
	}
}

func mustLose(t *testing.T, c *spec.Config, loss string) *spec.Config {
	t.Helper()
	lossy, err := Without(c, loss)
	if err != nil {
		t.Fatal(err)
	}
	return lossy
}

// TestCompare holds each row to a run of its own under that scheduler.
func TestCompare(t *testing.T) {
	c := shop(spec.SchedulerRR, 3, 1)
	schedulers := []string{spec.SchedulerWRR, spec.SchedulerRR, spec.SchedulerSCH}
	got, err := Compare(c, "day", schedulers, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for k, scheduler := range schedulers {
		alone := run1(t, shop(scheduler, 3, 1), Options{}).Windows[0]
		a := got.Alternatives[k]
		if a.Scheduler != scheduler || a.Requests != alone.Requests || a.Errors != alone.Errors {
			t.Errorf("%+v, alone %+v", a, alone)
		}
		if want := math.Abs(alone.Backends[0].Share - .75); math.Abs(a.Spread-want) > 1e-9 {
			t.Errorf("%s: spread %v, want %v", scheduler, a.Spread, want)
		}
	}
	if a := got.Alternatives; a[0].Spread > 1e-4 || a[1].Spread != .25 || a[0].ClientsMoved != nil || a[2].ClientsMoved == nil || math.Abs(*a[2].ClientsMoved-.75) > .01 {
		t.Errorf("%+v", a)
	}
	if c.LoadBalancers[0].Listeners[0].Scheduler != spec.SchedulerRR {
		t.Error("the configuration itself has changed")
	}
	if _, err := Compare(c, "day", []string{"rr", "qch"}, Options{}); err == nil || !strings.Contains(err.Error(), `cannot schedule by "qch"; a listener of tcp can by`) {
		t.Errorf("%v", err)
	}
}
