package sim

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"slbctl/spec"
)

var update = flag.Bool("update", false, "rewrite golden files")

// everything is a simulation with all that one can have.
func everything() (c, before *spec.Config) {
	c = web(spec.SchedulerLeast, 100, 50, 100, 50)
	l := webListener(c)
	l.StickySession, l.RequestTimeout, l.Drain, l.SlowStart = insertCookie(30*time.Second), 2*time.Second, 10*time.Second, 15*time.Second
	l.Retry.Status5x, l.HealthCheck.HTTPCodes, l.MaxQPS = true, []string{"http_2xx"}, 450
	addRule(c, "tom", "www.aaa.com/tom", 0, 1).Scheduler = spec.SchedulerP2C
	addRule(c, "old", "old.aaa.com")
	s := day(c)
	s.Warmup, s.Service = 10*time.Second, &spec.Service{Time: 20 * time.Millisecond, Distribution: spec.ServiceLognormal, Sigma: 1, Workers: 4, Queue: 64, Discipline: spec.DisciplinePS}
	s.Traffic[0].Arrivals, s.Traffic[0].Rate = spec.ArrivalsPoisson, 400
	s.Traffic[0].Clients.Popularity, s.Traffic[0].Session = 1.05, spec.Session{Cookies: true, Requests: 8, Connections: 2}
	s.Traffic[0].Mix = mixOf("4 www.aaa.com/tom/1", "1 old.aaa.com/x", "3 www.bbb.com/?q=1", "1 www.bbb.com/../x")
	second := s.Traffic[0]
	second.Name, second.Rate, second.Arrivals = "more", 20, spec.ArrivalsConstant
	s.Traffic = append(s.Traffic, second)
	one := []string{"instance.s1"}
	s.Faults = []spec.Fault{
		{Name: "slow", At: 20 * time.Second, For: 10 * time.Second, Targets: one, Mode: spec.FaultSlow, Factor: 3},
		{Name: "errors", At: 50 * time.Second, For: 10 * time.Second, Targets: one, Mode: spec.FaultErrors, ErrorRate: 0.3},
		{Name: "hang", At: 80 * time.Second, For: 5 * time.Second, Targets: one, Mode: spec.FaultHang},
		{Name: "flap", At: 120 * time.Second, For: 20 * time.Second, Zone: "a", Mode: spec.FaultFlap, Period: 3 * time.Second},
	}
	s.Drains = []spec.SimulatedDrain{{Name: "maintenance", At: 160 * time.Second, For: 20 * time.Second, Targets: one}}
	s.Deploys = []spec.Deploy{{Name: "v2", At: 220 * time.Second, Targets: []string{"instance.s0", "instance.s2"}, Batch: 1, Drain: 500 * time.Millisecond, Startup: 8 * time.Second}}
	for _, metric := range []string{spec.MetricErrors, spec.MetricErrorRate, spec.MetricUnrouted, spec.MetricP50, spec.MetricP99, spec.MetricP999, spec.MetricUtilisation, spec.MetricClientsMoved} {
		for _, during := range []string{spec.DuringAll, spec.DuringSteady, "this-config", "v2"} {
			s.Expects = append(s.Expects, spec.Expect{Name: metric + " " + during, Metric: metric, Max: limit(0.05), During: during, Confidence: 0.999})
		}
	}
	s.Expects = append(s.Expects, spec.Expect{Name: "share", Metric: spec.MetricShare, Of: "instance.s0", Min: limit(0.3), Max: limit(0.36), During: spec.DuringSteady, Confidence: 0.99})
	before = recordedShop(c, 100, 100, 100)
	before.LoadBalancers[0].Listeners[0].Scheduler = spec.SchedulerWRR
	return c, before
}

// The document of a simulation is the same, byte for byte, on however many processors.
func TestTheDocumentIsTheSameEverywhere(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	golden := filepath.Join("testdata", "everything.json")
	for _, processors := range []int{1, 4} {
		runtime.GOMAXPROCS(processors)
		c, before := everything()
		r := run1(t, c, Options{Before: before})
		r.WallSeconds = 0
		var got bytes.Buffer
		if err := WriteJSON(&got, []*Result{r}); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("with %d processors the document is another one: %s", processors, got.Bytes())
		}
	}
}

// Nothing is allocated for a connection, or request, on any way: ten times as many cost what the events, the tables
// and the room for what is there at once do.
func TestNoWayAllocates(t *testing.T) {
	ways := map[string]func(c *spec.Config){
		"plain":      func(*spec.Config) {},
		"first come": func(c *spec.Config) { day(c).Service.Discipline = spec.DisciplineFCFS },
		"nobody takes away": func(c *spec.Config) {
			day(c).Service.Discipline = spec.DisciplineFCFS
			day(c).Changes, day(c).Drains, day(c).Deploys = nil, nil, nil
			day(c).Expects = nil
		},
		"no time": func(c *spec.Config) { day(c).Service, day(c).Expects = nil, nil; day(c).Faults = day(c).Faults[1:] },
	}
	for name, change := range ways {
		allocations := func(rate float64) float64 {
			c, before := everything()
			change(c)
			day(c).Traffic[0].Rate, webListener(c).MaxQPS, day(c).Traffic[0].Clients.Count = rate, 300, 500
			if len(day(c).Changes) == 0 {
				before = nil
			}
			return testing.AllocsPerRun(1, func() {
				r, err := newRun(c, day(c), Options{Before: before})
				if err != nil {
					t.Fatal(err)
				}
				r.play()
			})
		}
		if few, many := allocations(30), allocations(330); many > few+few/4+1000 { // of 90,000 more
			t.Errorf("%s: %v allocations for 15,000 requests, %v for 105,000", name, few, many)
		} else {
			t.Logf("%s: %v allocations for 15,000 requests, %v for 105,000", name, few, many)
		}
	}
}
