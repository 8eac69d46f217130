package sim

import (
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
