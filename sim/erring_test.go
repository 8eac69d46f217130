package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"slbctl/runtime/balance"
	"slbctl/spec"
)

// errorsAt is a shop of HTTP whose second server fails a part of its requests for a minute.
func errorsAt(rate float64, check string) *spec.Config {
	c := web(spec.SchedulerRR, 100, 100)
	l := webListener(c)
	l.HealthCheck.Type, l.HealthCheck.HTTPCodes = check, []string{"http_2xx", "http_3xx"}
	day(c).Faults = []spec.Fault{{Name: "sick", At: 61 * time.Second, For: time.Minute, Targets: []string{"instance.s1"}, Mode: spec.FaultErrors, ErrorRate: rate}}
	return c
}

// A check over HTTP sees the errors, one over TCP does not.
func TestChecksOverHTTPSeeErrors(t *testing.T) {
	// Probes at 62, 64 and 66 s fail; those at 122, 124 and 126 succeed. Of the 5 seconds in between each
	// second request is an error.
	r := run1(t, errorsAt(1, spec.CheckHTTP), Options{})
	if got, want := window(t, r, "sick"), "32500/1250 31250,0"; got != want {
		t.Errorf("over HTTP: %s, want %s", got, want)
	}
	r = run1(t, errorsAt(1, spec.CheckTCP), Options{})
	if got, want := window(t, r, "sick"), "30000/15000 15000,0"; got != want {
		t.Errorf("over TCP: %s, want %s", got, want)
	}
	c := errorsAt(1, spec.CheckHTTP)
	webListener(c).HealthCheck.HTTPCodes = []string{"http_2xx", "http_5xx"}
	if got, want := window(t, run1(t, c, Options{}), "sick"), "30000/15000 15000,0"; got != want {
		t.Errorf("where 5xx is well: %s, want %s", got, want)
	}
}

// Errors are spread evenly over what the server is asked, as the live instance spreads them.
func TestAPartOfTheAnswersAreErrors(t *testing.T) {
	r := run1(t, errorsAt(0.25, spec.CheckTCP), Options{})
	if got, want := window(t, r, "sick"), "30000/3750 15000,11250"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Who retries on 5xx has another server answer; only where all fail there is an error.
func TestErrorsAreRetried(t *testing.T) {
	c := errorsAt(1, spec.CheckTCP)
	webListener(c).Retry.Status5x = true
	if got, want := window(t, run1(t, c, Options{}), "sick"), "30000/0 30000,0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	day(c).Faults[0].Targets = []string{"instance.s0", "instance.s1"}
	if got, want := window(t, run1(t, c, Options{}), "sick"), "30000/30000 0,0"; got != want {
		t.Errorf("both: %s, want %s", got, want)
	}
}

// A server that fails at once looks idle: wlc sends it most of what comes.
func TestErrorsAttractLeastConnections(t *testing.T) {
	c := errorsAt(1, spec.CheckTCP)
	webListener(c).Scheduler, webListener(c).RequestTimeout = spec.SchedulerWLC, time.Minute
	day(c).Service = &spec.Service{Time: 20 * time.Millisecond, Distribution: spec.ServiceExponential, Workers: 64}
	r := run1(t, c, Options{})
	w := windowOf("sick", r.Windows)
	if part := float64(w.Errors) / float64(w.Requests); part < 0.8 {
		t.Errorf("%.3f of the requests are errors", part)
	}
}

// A cookie keeps its client on a server that answers with errors, but none is given with one.
func TestErrorsGiveNoCookie(t *testing.T) {
	c := errorsAt(1, spec.CheckTCP)
	webListener(c).StickySession = insertCookie(time.Hour)
	day(c).Traffic[0].Clients.Count = 50
	day(c).Faults[0].At, day(c).Faults[0].For = 0, 0
	picks, _ := picksOf(t, c)
	late := 0
	for _, p := range picks {
		if p.At > 10*time.Second && p.Outcome == Errored {
			late++
		}
	}
	if late > 0 { // once s0 has served a client it has a cookie for it
		t.Errorf("%d errors after everybody has found the server that is well", late)
	}
}

// Listeners that do not retry connections lose what goes to a server that refuses, until its verdict.
func TestRetriesOfConnectionsCanBeOff(t *testing.T) {
	c := errorsAt(1, spec.CheckTCP)
	day(c).Faults[0].Mode = spec.FaultRefuse
	webListener(c).Retry.Connect = false
	r, err := newRun(c, day(c), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.play()
	if got, want := window(t, r.result(), "sick"), "32500/1250 31250,0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if r.servers[1].verdict.Health() != balance.Normal {
		t.Error("s1 has not come back")
	}
}

// What an instance does wrong by its configuration it does from the start, until a change ends it.
func TestTheFaultOfAnInstance(t *testing.T) {
	second := time.Second
	for name, test := range map[string]struct {
		fault spec.InstanceFault
		check string
		want  string
	}{
		"hang, tcp":   {spec.InstanceFault{Hang: true}, spec.CheckTCP, "5000/2500 2500,0"},
		"hang, http":  {spec.InstanceFault{Hang: true}, spec.CheckHTTP, "5000/0 5000,0"}, // it is never known to be well
		"refuse":      {spec.InstanceFault{Refuse: true}, spec.CheckTCP, "5000/0 5000,0"},
		"errors, tcp": {spec.InstanceFault{ErrorRate: .5, Status: 503}, spec.CheckTCP, "5000/1250 2500,1250"},
		"errors, 404": {spec.InstanceFault{ErrorRate: .5, Status: 404}, spec.CheckTCP, "5000/0 2500,2500"},
		"delay":       {spec.InstanceFault{Delay: second}, spec.CheckHTTP, "5000/0 2750,2250"}, // nor for a second
		"both":        {spec.InstanceFault{Refuse: true, Hang: true}, spec.CheckTCP, "5000/0 5000,0"},
	} {
		c := shop(spec.SchedulerRR, 100, 100)
		day(c).Duration = 10 * second
		c.LoadBalancers[0].Listeners[0].HealthCheck.Type = test.check
		c.Instances[1].Fault = &test.fault
		r := run1(t, c, Options{})
		if got := window(t, r, "all"); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if l := r.Windows[0].Latency; (l != nil) != (test.fault.Delay > 0) || l != nil && (l.P50 != 0 || l.Max != 1) {
			t.Errorf("%s: latencies %+v", name, l)
		}
	}
	c := shop(spec.SchedulerRR, 100, 100)
	before := recordedShop(c, 100, 100)
	c.Instances = slices.Clone(c.Instances)
	was := *c.Instances[1]
	was.Fault = &spec.InstanceFault{ErrorRate: 1, Status: 500}
	before.Instances = []*spec.Instance{c.Instances[0], &was}
	picks, _ := picksFrom(t, c, before)
	if got := fmt.Sprint(servedIn(picks, 0, 100*second), servedIn(picks, 100*second, 200*second)); got != "map[:25000 s0:25000] map[s0:25000 s1:25000]" {
		t.Error(got)
	}
}

// Who is slow to answer has more in flight, which least_request sees though nothing else takes time.
func TestADelayIsInFlight(t *testing.T) {
	c := shop(spec.SchedulerWLC, 100, 100)
	c.Instances[1].Fault = &spec.InstanceFault{Delay: 100 * time.Millisecond, SlowBody: 100 * time.Millisecond}
	w := run1(t, c, Options{}).Windows[0]
	if n := w.Backends[1].Requests; n < 1490 || n > 1510 || w.Latency.Max != .2 { // one at a time, of 300 s
		t.Errorf("the slow one serves %d, in up to %v s", n, w.Latency.Max)
	}
}
