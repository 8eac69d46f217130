package sim

import (
	"bytes"
	"math"
	"runtime"
	"testing"
	"time"

	"slbctl/spec"
)

// troubled is servers that take time, one of which hangs for a while and another until the end.
func troubled() *spec.Config {
	c := queueing(spec.SchedulerWLC, 3, 2, .4, spec.ServiceExponential)
	c.LoadBalancers[0].Listeners[0].HealthCheck.Enabled = true
	s := day(c)
	s.Warmup = 10 * time.Second
	s.Faults = []spec.Fault{
		{Name: "hangs", At: time.Minute, For: 20 * time.Second, Targets: []string{"instance.s0"}, Mode: spec.FaultHang},
		{Name: "dies", At: 4 * time.Minute, Zone: "b", Mode: spec.FaultHang},
	}
	return c
}

// operated is servers that share their workers, under all that an operator does, and the configuration
// before.
func operated() (c, before *spec.Config) {
	c = shared(spec.SchedulerWRR, 4, 2, .4, spec.ServiceExponential)
	c.LoadBalancers[0].Listeners[0].HealthCheck.Enabled = true
	c.LoadBalancers[0].Listeners[0].Drain = 7 * time.Second
	rolling(c, "instance.s0", "instance.s1")
	day(c).Drains = []spec.SimulatedDrain{{Name: "aside", At: 200 * time.Second, For: 10 * time.Second, Targets: []string{"instance.s2"}}}
	before = recordedShop(c, 100, 100)
	day(c).Changes[0].At = 150 * time.Second
	return c, before
}

// TestTimelineChangesNothing holds the result with a timeline to the one without.
func TestTimelineChangesNothing(t *testing.T) {
	scenes := map[string]*spec.Config{"troubled": troubled(), "shop": shop(spec.SchedulerRR, 3, 1), "web": crowd(spec.Session{Cookies: true, Requests: 8}, true)}
	day(scenes["web"]).Traffic[0].Rate = 2000
	recorded := map[string]*spec.Config{}
	scenes["operated"], recorded["operated"] = operated()
	// The window of a change closes with the first event after the last connection to a server that leaves: the
	// end of a step is none, though there are some before that.
	leaving := shared(spec.SchedulerRR, 2, 1000, .1, spec.ServiceExponential)
	leaving.LoadBalancers[0].Listeners[0].HealthCheck = shop("").LoadBalancers[0].Listeners[0].HealthCheck
	leaving.LoadBalancers[0].Listeners[0].Drain = time.Minute
	day(leaving).Service.Time, day(leaving).Traffic[0].Rate = time.Second, 100
	recorded["leaving"] = recordedShop(leaving, 100, 100)
	leaving.LoadBalancers[0].Backends = leaving.LoadBalancers[0].Backends[:1]
	scenes["leaving"] = leaving
	for name, c := range scenes {
		written := func(timeline bool) string {
			r := run1(t, c, Options{Timeline: timeline, Before: recorded[name]})
			if (r.Timeline != nil) != timeline {
				t.Fatalf("%s: timeline %v, though it was asked for %v", name, r.Timeline, timeline)
			}
			r.WallSeconds = 0
			var b bytes.Buffer
			if err := WriteJSON(&b, []*Result{r}); err != nil {
				t.Fatal(err)
			}
			return b.String()
		}
		if with, without := written(true), written(false); with != without {
			t.Errorf("%s: with a timeline\n%s\nwithout\n%s", name, with, without)
		}
	}
}

// TestTimeline holds the steps, and what was before and after a fault, to the whole.
func TestTimeline(t *testing.T) {
	r := run1(t, troubled(), Options{Timeline: true})
	l, all, steady := r.Timeline, &r.Windows[0], &r.Windows[1]
	if len(l.Steps) != steps || l.Step != 2.5 || l.Warmup != 10 {
		t.Fatalf("%d steps of %v s, warm-up %v s", len(l.Steps), l.Step, l.Warmup)
	}
	var requests, errors, warm int64
	worked := 0.0
	for k, s := range l.Steps {
		requests += s.Requests
		errors += s.Errors
		if k < 4 {
			warm += s.Requests
			continue
		}
		for _, b := range s.Backends {
			if b.Utilisation != nil {
				worked += *b.Utilisation * l.Step
			}
		}
	}
	if requests != r.Requests || requests-warm != all.Requests || errors != all.Errors {
		t.Errorf("the steps have %d requests, %d of them in the warm-up, and %d errors; the result has %d, and %+v", requests, warm, errors, r.Requests, all)
	}
	want := 0.0
	for _, b := range all.Backends {
		want += *b.Utilisation * (r.VirtualSeconds - l.Warmup)
	}
	if math.Abs(worked-want) > 1e-6*want {
		t.Errorf("the servers have worked %v s in all steps, %v s in all", worked, want)
	}

	first, last := l.Marks[0], l.Marks[1]
	if first.What != "hang: instance.s0" || first.From != 60 || first.Over != 80 || first.Until < 80 || first.Until > 100 {
		t.Errorf("the first fault is %q from %v to %v, until %v", first.What, first.From, first.Over, first.Until)
	}
	if last.What != "hang: zone b" || last.From != 240 || last.Over != 300 || last.Until != 300 {
		t.Errorf("the last fault is %q from %v to %v, until %v", last.What, last.From, last.Over, last.Until)
	}
	if first.Before.Requests+first.After.Requests != steady.Requests || last.Before.Requests != steady.Requests || last.After.Requests != 0 {
		t.Errorf("%d requests before the first fault, %d after it, %d before and %d after the last; steady are %d",
			first.Before.Requests, first.After.Requests, last.Before.Requests, last.After.Requests, steady.Requests)
	}
	if first.Before.Latency == nil || last.After.Latency != nil {
		t.Error("a latency of nothing, or none of something")
	}
}

// A change, drains and deployments are marks, too: one that is told no length lasts as long as its window.
func TestMarksOfAnOperator(t *testing.T) {
	c, before := operated()
	r := run1(t, c, Options{Timeline: true, Before: before})
	for k, want := range []struct {
		name, what       string
		from, over, most float64
	}{
		{"this-config", "the configuration of the files takes over", 150, 0, 158},
		{"aside", "instance.s2 drained for 10s", 200, 210, 211},
		{"v2", "instance.s0, instance.s1 started anew, 1 at a time, drained for 10s, away for 9s", 60, 0, 115},
	} {
		m := r.Timeline.Marks[k]
		if want.over == 0 {
			want.over = m.Until
		}
		if m.Name != want.name || m.What != want.what || m.From != want.from || m.Over != want.over || m.Until < m.Over || m.Until > want.most {
			t.Errorf("%+v, want %+v", m, want)
		}
		if m.Name != r.Windows[firstEpisode+k].Name {
			t.Errorf("mark %d is %s, the window %s", k, m.Name, r.Windows[firstEpisode+k].Name)
		}
	}
}

// A spectrum falls in its tail, rises in its latency, agrees with the quantiles, and ends with
// the longest.
func TestSpectrum(t *testing.T) {
	r := run1(t, troubled(), Options{Timeline: true})
	for w, spectrum := range r.Timeline.Spectra {
		for k, q := range spectrum[1:] {
			if before := spectrum[k]; q.Tail >= before.Tail || q.Latency < before.Latency {
				t.Errorf("window %d: %v after %v", w, q, before)
			}
			if q.Tail == .01 && math.Abs(q.Latency/r.Windows[w].Latency.P99-1) > .02 {
				t.Errorf("window %d: %v, and p99 is %v", w, q, r.Windows[w].Latency.P99)
			}
		}
		if last := spectrum[len(spectrum)-1]; last.Latency != r.Windows[w].Latency.Max || last.Tail <= 0 {
			t.Errorf("window %d ends with %v, the maximum is %v", w, last, r.Windows[w].Latency.Max)
		}
	}
	if s := spectrum(&histogram{}); s != nil {
		t.Errorf("the spectrum of nothing is %v", s)
	}
	one := &histogram{}
	one.record(7)
	if s := spectrum(one); len(s) != 2 || s[0] != (Quantile{1, 7e-9}) || s[1] != (Quantile{1, 7e-9}) {
		t.Errorf("the spectrum of one is %v", s)
	}
}

// Connections that still wait for a silent server when all is over add nothing to the time
// that the servers have worked.
func TestUtilisationAtTheEnd(t *testing.T) {
	c := troubled()
	day(c).Faults[1].At, day(c).Faults[1].For = day(c).Duration-2*time.Second, 2*time.Second
	for _, w := range run1(t, c, Options{}).Windows {
		for _, b := range w.Backends {
			if u := *b.Utilisation; u < 0 || u > 1 {
				t.Errorf("window %s: %s is used to %v", w.Name, b.Address, u)
			}
		}
	}
}

// Ten times as many take no more memory with a timeline, either.
func TestTimelineMemoryIsBounded(t *testing.T) {
	allocated := func(duration time.Duration) uint64 {
		c := troubled()
		day(c).Duration, day(c).Faults = duration, day(c).Faults[:1]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run1(t, c, Options{Timeline: true})
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := allocated(2*time.Minute), allocated(20*time.Minute); many > few+few/4 {
		t.Errorf("%d bytes for 288,000 connections, %d for 2,880,000", few, many)
	} else {
		t.Logf("%d bytes for 288,000 connections, %d for 2,880,000", few, many)
	}
}
