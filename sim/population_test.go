package sim

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

// evenly is a simulation that wants half of the traffic on the first of two servers, give or take d.
func evenly(c *spec.Config, clients int, d float64) *spec.Config {
	s := day(c)
	s.Traffic[0].Clients = spec.Clients{Count: clients, Network: netip.MustParsePrefix("10.0.0.0/8")}
	s.Duration = 10 * time.Second
	s.Expects = []spec.Expect{{Name: "even", Metric: spec.MetricShare, Of: "instance.s0", Min: limit(0.5 - d), Max: limit(0.5 + d), During: spec.DuringAll, Confidence: 0.999}}
	return c
}

func TestTooFewClientsAreToldOf(t *testing.T) {
	sticky := func(scheduler string) *spec.Config {
		c := web(scheduler, 100, 100)
		webListener(c).StickySession = insertCookie(time.Hour)
		return c
	}
	zipf := evenly(shop(spec.SchedulerSCH, 100, 100), 100_000, 0.02)
	day(zipf).Traffic[0].Clients.Popularity = 1
	sessions := evenly(sticky(spec.SchedulerP2C), 50, 0.01)
	day(sessions).Traffic[0].Session.Requests = 5
	for name, k := range map[string]struct {
		c    *spec.Config
		want string // part of the warning; empty = none
	}{
		// 3.29 standard deviations of half of n clients: 0.5*3.29/sqrt(n).
		"few":        {evenly(shop(spec.SchedulerSCH, 100, 100), 100, 0.01), "100 clients that stay on their servers can be expected to bring instance.s0 50.0%"},
		"off":        {evenly(shop(spec.SchedulerSCH, 100, 100), 100, 0.01), "give or take 16.5%: "},
		"need":       {evenly(shop(spec.SchedulerSCH, 100, 100), 100, 0.01), "takes about 27000 clients alike"},
		"enough":     {evenly(shop(spec.SchedulerSCH, 100, 100), 100, 0.2), ""},
		"many":       {evenly(shop(spec.SchedulerSCH, 100, 100), 30_000, 0.01), ""},
		"Zipf":       {zipf, "which weigh as much as 88.9 alike"}, // of which the reference table says 89
		"turns":      {evenly(shop(spec.SchedulerRR, 100, 100), 2, 0.001), ""},
		"tch":        {evenly(shop(spec.SchedulerTCH, 100, 100), 2, 0.001), ""},
		"cookies":    {evenly(sticky(spec.SchedulerP2C), 100, 0.01), "give or take 16.5%: "},
		"even turns": {evenly(sticky(spec.SchedulerRR), 100, 0.01), ""},
		"odd":        {evenly(sticky(spec.SchedulerRR), 3, 0.1), "3 clients that stay on their servers make steps of 33.3%: no share of instance.s0 is 40% to 60%"},
		"sessions":   {sessions, ""},
	} {
		r := run1(t, k.c, Options{})
		text := strings.Join(r.Warnings, "\n")
		if k.want == "" && text != "" || !strings.Contains(text, k.want) {
			t.Errorf("%s: %q, want %q", name, text, k.want)
		}
	}
}

// What the warning says that these clients bring is what a long simulation has them bring.
func TestWhatFewClientsBring(t *testing.T) {
	for _, popularity := range []float64{0, 1} {
		c := evenly(shop(spec.SchedulerSCH, 100, 100), 20, 0.001)
		day(c).Traffic[0].Clients.Popularity, day(c).Duration = popularity, 1000*time.Second
		r, err := newRun(c, day(c), Options{})
		if err != nil {
			t.Fatal(err)
		}
		r.play()
		_, brings := r.populationOf().share("instance.s0")
		if got := r.result().Windows[0].Backends[0].Share; math.Abs(got-brings) > 0.003 {
			t.Errorf("popularity %v: %.4f, foretold %.4f", popularity, got, brings)
		}
		if r.result().Expectations[0].Verdict != Fail || !strings.Contains(r.warnings()[0], "so no duration helps") {
			t.Errorf("%v: %v", r.result().Expectations[0], r.warnings())
		}
	}
}

// The spread that is told is that of populations: of many, about one in a thousand is beyond it, and
// a standard deviation holds two thirds.
func TestTheSpreadOfPopulations(t *testing.T) {
	c := evenly(shop(spec.SchedulerSCH, 100, 100), 50, 0.01)
	inside, runs := 0, 400
	for seed := range runs {
		c.Seed = uint64(seed)
		r, err := newRun(c, day(c), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, brings := r.populationOf().share("instance.s0"); math.Abs(brings-0.5) < 0.5/math.Sqrt(50)+1e-9 {
			inside++
		}
	}
	if part := float64(inside) / float64(runs); part < 0.6 || part > 0.82 { // of 50, in steps of 1/50: 74 %
		t.Errorf("%.3f of the populations within a standard deviation", part)
	}
}
