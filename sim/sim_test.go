package sim

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"slbctl/spec"
)

const listenerAddress = `load_balancer.lb.listener["tcp:80"]`

// shop is a balancer before n instances s0, s1 … alternating between zones a and b,
// with the product's default check and a simulation "day" of 500 connections a second.
func shop(scheduler string, weights ...int) *spec.Config {
	c := &spec.Config{Seed: 7, Runtime: spec.Runtime{PortOffset: 8000}}
	lb := &spec.LoadBalancer{
		Meta: spec.Meta{Address: "load_balancer.lb", Name: "lb"}, Status: spec.StatusActive,
		IP: netip.MustParseAddr("127.10.0.1"),
		Listeners: []*spec.Listener{{
			Meta: spec.Meta{Address: listenerAddress, Name: "tcp:80"}, Protocol: "tcp", Port: 80,
			Scheduler: scheduler, Status: spec.StatusRunning, WhenAllUnhealthy: spec.WhenUnhealthyReject, EstablishedTimeout: 900 * time.Second,
			HealthCheck: spec.HealthCheck{Enabled: true, Type: "tcp", Interval: 2 * time.Second, Timeout: 5 * time.Second, HealthyThreshold: 3, UnhealthyThreshold: 3},
		}},
	}
	for i, w := range weights {
		address := fmt.Sprintf("instance.s%d", i)
		c.Instances = append(c.Instances, &spec.Instance{
			Meta: spec.Meta{Address: address}, Zone: string(rune('a' + i%2)), Ports: []uint16{80},
			IP: netip.AddrFrom4([4]byte{127, 10, 1, byte(i)}), Status: spec.StatusRunning,
		})
		lb.Backends = append(lb.Backends, spec.Backend{Instance: address, Weight: w})
	}
	c.LoadBalancers = []*spec.LoadBalancer{lb}
	c.Simulations = []*spec.Simulation{{
		Name: "day", Target: "load_balancer.lb", Duration: 5 * time.Minute, Seed: 42,
		Traffic: []spec.Traffic{{
			Name: "browse", Rate: 500, Arrivals: spec.ArrivalsConstant,
			Clients: spec.Clients{Count: 20000, Network: netip.MustParsePrefix("203.0.113.0/24")},
		}},
	}}
	return c
}

func day(c *spec.Config) *spec.Simulation { return c.Simulations[0] }

func run1(t *testing.T, c *spec.Config, opt Options) *Result {
	t.Helper()
	r, err := Run(c, "day", opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range r.Windows {
		var served int64
		for _, b := range w.Backends {
			served += b.Requests
		}
		if served+w.Errors+w.Denied+w.Redirected+w.Unrouted != w.Requests {
			t.Errorf("window %s: %d served of %+v", w.Name, served, w)
		}
	}
	return r
}

// window renders a window's counts: "requests/errors served,served,…".
func window(t *testing.T, r *Result, name string) string {
	t.Helper()
	for _, w := range r.Windows {
		if w.Name != name {
			continue
		}
		var served []string
		for _, b := range w.Backends {
			served = append(served, fmt.Sprint(b.Requests))
		}
		return fmt.Sprintf("%d/%d %s", w.Requests, w.Errors, strings.Join(served, ","))
	}
	t.Fatalf("no window %q", name)
	return ""
}

func limit(v float64) *float64 { return &v }

func TestCountsAreExact(t *testing.T) {
	cases := []struct {
		scheduler string
		weights   []int
		want      string
	}{
		{spec.SchedulerRR, []int{100, 100}, "150000/0 75000,75000"},
		{spec.SchedulerRR, []int{1, 5, 0}, "150000/0 75000,75000,0"},
		{spec.SchedulerWRR, []int{2, 1}, "150000/0 100000,50000"},
		{spec.SchedulerWRR, []int{70, 20, 10}, "150000/0 105000,30000,15000"},
		{spec.SchedulerWLC, []int{2, 1}, "150000/0 100000,50000"},
		{spec.SchedulerWRR, []int{0, 0}, "150000/150000 0,0"},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.scheduler, c.weights), func(t *testing.T) {
			r := run1(t, shop(c.scheduler, c.weights...), Options{})
			if got := window(t, r, "steady"); got != c.want {
				t.Errorf("steady %s, want %s", got, c.want)
			}
		})
	}
}

// A refused server costs nobody a connection: the core names another one.
func TestRefusedServer(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	// Probes every 2 s: the one at 60 s comes just before the fault, those at 62, 64 and
	// 66 turn the verdict; the fault ends at 89, and those at 90, 92 and 94 turn it back.
	day(c).Faults = []spec.Fault{{Name: "dead", At: 60 * time.Second, For: 29 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse}}
	r := run1(t, c, Options{})
	if got := window(t, r, "all"); !strings.HasPrefix(got, "150000/0 ") {
		t.Errorf("all %s, want no error", got)
	}
	// From 60 s to 94 s everything is on s0.
	if got, want := window(t, r, "dead"), "17000/0 17000,0"; got != want {
		t.Errorf("fault %s, want %s", got, want)
	}
	if got, want := window(t, r, "steady"), "133000/0 66500,66500"; got != want {
		t.Errorf("steady %s, want %s", got, want)
	}
}

// A check of TCP finds nothing wrong with a server that hangs, so every second connection gets no answer until it
// comes to itself.
func TestAHangThatNoCheckSees(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	day(c).Faults = []spec.Fault{{Name: "gone", At: 60 * time.Second, For: 61 * time.Second, Zone: "b", Mode: spec.FaultHang}}
	r := run1(t, c, Options{})
	if got, want := window(t, r, "gone"), "30500/15250 15250,0"; got != want {
		t.Errorf("fault %s, want %s", got, want)
	}
	if got, want := window(t, r, "steady"), "119500/0 59750,59750"; got != want {
		t.Errorf("steady %s, want %s", got, want)
	}
}

// A check over HTTP finds it out when its probes have got no answer in time, and the probe that is under way when
// the hang ends fails then.
func TestAHangThatAWebCheckSees(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	c.LoadBalancers[0].Listeners[0].HealthCheck.Type = spec.CheckHTTP
	day(c).Faults = []spec.Fault{{Name: "gone", At: 60 * time.Second, For: 61 * time.Second, Zone: "b", Mode: spec.FaultHang}}
	r := run1(t, c, Options{})
	// Probes from 62 on: 62-67, 69-74, 76-81 is abnormal at 81. Then 83-88, 90-95, 97-102, 104-109, 111-116,
	// 118-121; 123, 125 and 127 succeed.
	if got, want := window(t, r, "gone"), "33500/5250 28250,0"; got != want {
		t.Errorf("fault %s, want %s", got, want)
	}
	if got, want := window(t, r, "steady"), "116500/0 58250,58250"; got != want {
		t.Errorf("steady %s, want %s", got, want)
	}
}

// The check of UDP takes silence for health unless it expects an answer, and a datagram to a server that hangs, or
// is not there, is lost.
func TestDatagramsAreLost(t *testing.T) {
	for _, test := range []struct{ mode, expect, want string }{
		{spec.FaultHang, "", "31500/15250 15750,500"},  // a probe is under way until 123
		{spec.FaultHang, "pong", "34500/5250 29250,0"}, // 62-67, 69-74, 76-81; then … 118-123; 125, 127 and 129 succeed
		{spec.FaultRefuse, "", "33000/1500 31500,0"},   // 62, 64 and 66; 122, 124 and 126 succeed
	} {
		c := shop(spec.SchedulerRR, 100, 100)
		l := c.LoadBalancers[0].Listeners[0]
		l.Protocol, l.HealthCheck.Type, l.HealthCheck.Expect = spec.ProtocolUDP, spec.CheckUDP, test.expect
		day(c).Faults = []spec.Fault{{Name: "gone", At: 60 * time.Second, For: 61 * time.Second, Zone: "b", Mode: test.mode}}
		if got := window(t, run1(t, c, Options{}), "gone"); got != test.want {
			t.Errorf("%s, expecting %q: %s, want %s", test.mode, test.expect, got, test.want)
		}
	}
}

// A request that hangs goes to another server when the first one closes it, if that may be, or when it has had no
// answer in time, if the listener retries those.
func TestRequestsThatHang(t *testing.T) {
	second := func(n int) time.Duration { return time.Duration(n) * time.Second }
	for name, test := range map[string]struct {
		retry   spec.Retry
		timeout time.Duration
		want    string
	}{
		"closed":              {spec.Retry{Connect: true}, time.Minute, "5000/0 5000,0"},
		"closed, no retries":  {spec.Retry{}, time.Minute, "5000/2500 2500,0"},
		"too late":            {spec.Retry{Connect: true}, second(4), "5000/1500 3500,0"},
		"too late, retries":   {spec.Retry{Timeout: true}, second(4), "5000/0 5000,0"},
		"too late, one retry": {spec.Retry{Timeout: true, Attempts: 1}, second(4), "5000/0 5000,0"},
	} {
		c := web(spec.SchedulerRR, 100, 100)
		day(c).Traffic[0].Session.Cookies = false
		l := webListener(c)
		l.HealthCheck.Enabled, l.Retry, l.RequestTimeout = false, test.retry, test.timeout
		day(c).Faults = []spec.Fault{{Name: "hangs", At: second(60), For: second(10), Targets: []string{"instance.s1"}, Mode: spec.FaultHang}}
		if got := window(t, run1(t, c, Options{}), "hangs"); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// What hangs is in flight to its server, which wlc sees: it sends nothing more there. When it is over nothing is
// left of it.
func TestLeastConnectionsAvoidsAServerThatHangs(t *testing.T) {
	c := shop(spec.SchedulerWLC, 100, 100)
	day(c).Faults = []spec.Fault{{Name: "gone", At: 60 * time.Second, For: 61 * time.Second, Zone: "b", Mode: spec.FaultHang}}
	r, err := newRun(c, day(c), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.play()
	if got, want := window(t, r.result(), "gone"), "30500/1 30499,0"; got != want {
		t.Errorf("fault %s, want %s", got, want)
	}
	if n := r.pools[0].state.Active(1); n != 0 {
		t.Errorf("%d are in flight at the end", n)
	}
}

func TestDetectionTakesTheDocumentedTime(t *testing.T) {
	// With both servers lost, connections are errors from the fault on; the last
	// retries tell when the verdict fell: nothing is tried after it.
	for mode, want := range map[string]time.Duration{spec.FaultRefuse: 6 * time.Second, spec.FaultHang: 21 * time.Second} {
		c := shop(spec.SchedulerRR, 100, 100)
		c.LoadBalancers[0].Listeners[0].HealthCheck.Type = spec.CheckHTTP
		day(c).Faults = []spec.Fault{{Name: "dead", At: 60 * time.Second, Targets: []string{"instance.s0"}, Mode: mode}}
		r, err := newRun(c, day(c), Options{})
		if err != nil {
			t.Fatal(err)
		}
		r.rebuild()
		r.openStretch()
		fell := time.Duration(0)
		for fell == 0 && r.now < int64(5*time.Minute) {
			r.advance(r.events[0].at)
			if r.now > 0 && r.servers[0].verdict.Health().String() == "abnormal" {
				fell = time.Duration(r.now) - 60*time.Second
			}
		}
		if fell != want {
			t.Errorf("%s: abnormal %v after the fault, want %v", mode, fell, want)
		}
	}
}

func TestNobodyLeft(t *testing.T) {
	for _, mode := range []string{spec.FaultRefuse, spec.FaultHang} {
		c := shop(spec.SchedulerWRR, 100, 100)
		day(c).Faults = []spec.Fault{{Name: "dark", At: 100 * time.Second, Targets: []string{"instance.s0", "instance.s1"}, Mode: mode}}
		r := run1(t, c, Options{})
		if got, want := window(t, r, "dark"), "100000/100000 0,0"; got != want {
			t.Errorf("%s: %s, want %s", mode, got, want)
		}
		if r.Requests != 150000 {
			t.Errorf("%s: %d requests", mode, r.Requests)
		}
	}
}

// A fault too short for the check changes no verdict, and its window ends with it.
func TestFaultThatNoProbeSees(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	day(c).Faults = []spec.Fault{{Name: "blip", At: 60500 * time.Millisecond, For: time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse}}
	r := run1(t, c, Options{})
	if got, want := window(t, r, "blip"), "500/0 500,0"; got != want {
		t.Errorf("fault %s, want %s", got, want)
	}
}

// The window of a fault stays open for a probe that it has slowed down: its failure may still be the one that turns
// the verdict.
func TestAProbeUnderWayKeepsTheWindowOpen(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	c.LoadBalancers[0].Listeners[0].HealthCheck.Type = spec.CheckHTTP
	day(c).Service = &spec.Service{Time: 100 * time.Millisecond, Distribution: spec.ServiceConstant, Workers: 1 << 12}
	// A probe takes 5.9 s, too: 62-67, 69-74, 76-81; the third fails when the fault has been over for 3 s.
	day(c).Faults = []spec.Fault{{Name: "late", At: 60 * time.Second, For: 18 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultSlow, Factor: 60}}
	r := run1(t, c, Options{})
	// Abnormal at 81, then 83, 85 and 87 succeed: the window is 60-87.
	if got, want := window(t, r, "late"), "13500/0 10500,3000"; !strings.HasPrefix(got, "13500/0 ") {
		t.Errorf("fault %s, want %s", got, want)
	}
}

// A server that is slow fails no check that waits long enough.
func TestASlowServerPassesAPatientCheck(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	c.LoadBalancers[0].Listeners[0].HealthCheck.Type = spec.CheckHTTP
	day(c).Service = &spec.Service{Time: 100 * time.Millisecond, Distribution: spec.ServiceConstant, Workers: 1 << 12}
	day(c).Faults = []spec.Fault{{Name: "late", At: 60 * time.Second, For: 20 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultSlow, Factor: 50}}
	if got, want := window(t, run1(t, c, Options{}), "all"), "150000/0 75000,75000"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWarmup(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	day(c).Warmup = 10 * time.Second
	day(c).Faults = []spec.Fault{{Name: "early", At: time.Second, For: time.Second, Zone: "a", Mode: spec.FaultRefuse}}
	r := run1(t, c, Options{})
	if r.Requests != 150000 {
		t.Errorf("%d requests in all, want 150000 with the warm-up", r.Requests)
	}
	if got := window(t, r, "all"); got != "145000/0 72500,72500" {
		t.Errorf("all %s", got)
	}
	if got := window(t, r, "early"); got != "0/0 0,0" {
		t.Errorf("a fault of the warm-up %s, want nothing", got)
	}
}

func TestStoppedInstance(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	c.Instances[0].Status = spec.StatusStopped
	if got := window(t, run1(t, c, Options{}), "steady"); got != "150000/0 0,150000" {
		t.Errorf("with a check %s", got)
	}
	c.LoadBalancers[0].Listeners[0].HealthCheck.Enabled = false
	if got := window(t, run1(t, c, Options{}), "steady"); got != "150000/0 0,150000" {
		t.Errorf("without a check %s: retries find the other", got)
	}
	c.Instances[1].Status = spec.StatusStopped
	c.LoadBalancers[0].Listeners[0].WhenAllUnhealthy = spec.WhenUnhealthyForward
	if got := window(t, run1(t, c, Options{}), "steady"); got != "150000/150000 0,0" {
		t.Errorf("both stopped %s", got)
	}
}

func TestNotServing(t *testing.T) {
	c := shop(spec.SchedulerRR, 100)
	c.LoadBalancers[0].Status = spec.StatusInactive
	if got := window(t, run1(t, c, Options{}), "all"); got != "150000/150000 0" {
		t.Errorf("inactive balancer %s", got)
	}
}

func TestSeveralStreams(t *testing.T) {
	c := shop(spec.SchedulerRR, 100, 100)
	second := day(c).Traffic[0]
	second.Name, second.Rate, second.Arrivals = "api", 1000, spec.ArrivalsPoisson
	day(c).Traffic = append(day(c).Traffic, second)
	var last time.Duration
	n := 0
	r := run1(t, c, Options{Observe: func(p Pick) {
		if p.At < last {
			t.Fatalf("connection at %v after one at %v", p.At, last)
		}
		last = p.At
		n++
	}})
	if int64(n) != r.Requests || math.Abs(float64(n)-450000) > 5*math.Sqrt(300000) {
		t.Errorf("%d connections observed of %d, want about 450000", n, r.Requests)
	}
}

func TestObserveTellsTheSequence(t *testing.T) {
	c := shop(spec.SchedulerWRR, 5, 1, 1)
	day(c).Duration = 14 * time.Millisecond
	day(c).Traffic[0].Rate = 1000
	var names strings.Builder
	run1(t, c, Options{Observe: func(p Pick) {
		names.WriteString(strings.TrimPrefix(p.Backend, "instance."))
		if want := time.Duration(names.Len()/2-1) * time.Millisecond; p.At != want || p.Outcome != Served {
			t.Errorf("connection %d at %v (%v), want %v", names.Len()/2, p.At, p.Outcome, want)
		}
		if !p.Client.Source.IsValid() || p.Client.Destination.Port() != 8080 {
			t.Errorf("client %v", p.Client)
		}
	}})
	if want := strings.Repeat("s0s0s1s0s2s0s0", 2); names.String() != want {
		t.Errorf("sequence %s, want %s", names.String(), want)
	}
}

// A hash keeps every client on its server; a fault moves only those of the lost one.
func TestHashKeepsClients(t *testing.T) {
	c := shop(spec.SchedulerSCH, 100, 100, 100, 100)
	day(c).Faults = []spec.Fault{{Name: "dead", At: 60 * time.Second, For: 60 * time.Second, Targets: []string{"instance.s2"}, Mode: spec.FaultRefuse}}
	home := map[netip.Addr]string{}
	stray := 0
	run1(t, c, Options{Observe: func(p Pick) {
		switch was, known := home[p.Client.Source.Addr()]; {
		case !known:
			home[p.Client.Source.Addr()] = p.Backend
		case was != p.Backend && was != "instance.s2":
			stray++
		}
	}})
	if len(home) != 254 {
		t.Errorf("%d client addresses, want the 254 hosts of the network", len(home))
	}
	if stray > 1500 { // at most one of 254 clients for the minute
		t.Errorf("%d connections left a server that is well", stray)
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	c := shop(spec.SchedulerTCH, 100, 50, 25)
	day(c).Traffic[0].Arrivals = spec.ArrivalsPoisson
	day(c).Traffic[0].Clients.Popularity = 1.05
	day(c).Faults = []spec.Fault{{Name: "dead", At: 60 * time.Second, For: 60 * time.Second, Zone: "b", Mode: spec.FaultHang}}
	day(c).Expects = []spec.Expect{{Name: "quiet", Metric: spec.MetricErrors, Max: limit(0), During: "dead"}}
	bytesOf := func(seed uint64) string {
		r := run1(t, c, Options{Seed: &seed})
		r.WallSeconds = 0
		var b bytes.Buffer
		if err := WriteJSON(&b, []*Result{r}); err != nil {
			t.Fatal(err)
		}
		if err := WriteText(&b, []*Result{r}, true); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	first := bytesOf(1)
	before := runtime.GOMAXPROCS(1)
	second := bytesOf(1)
	runtime.GOMAXPROCS(before)
	if first != second {
		t.Errorf("one seed, two results:\n%s\n%s", first, second)
	}
	if first == bytesOf(2) {
		t.Error("two seeds, one result")
	}
}

// Renaming servers renames the result and changes nothing else.
func TestNamesDoNotMatter(t *testing.T) {
	c := shop(spec.SchedulerWRR, 3, 2, 1)
	a := run1(t, c, Options{})
	for i, name := range []string{"instance.x", "instance.y", "instance.z"} {
		c.Instances[i].Address = name
		c.LoadBalancers[0].Backends[i].Instance = name
	}
	if b := run1(t, c, Options{}); window(t, a, "all") != window(t, b, "all") {
		t.Errorf("%s became %s", window(t, a, "all"), window(t, b, "all"))
	}
	backends := c.LoadBalancers[0].Backends
	slices.Reverse(backends)
	if b := run1(t, c, Options{}); window(t, b, "all") != "150000/0 25000,50000,75000" {
		t.Errorf("in reverse order %s", window(t, b, "all"))
	}
}

func TestRunErrors(t *testing.T) {
	c := shop(spec.SchedulerRR, 100)
	if _, err := Run(c, "night", Options{}); err == nil || !strings.Contains(err.Error(), `"night" does not exist`) {
		t.Errorf("unknown simulation: %v", err)
	}
	day(c).Listener = "tcp:81"
	if _, err := Run(c, "day", Options{}); err == nil || !strings.Contains(err.Error(), `no listener "tcp:81"`) {
		t.Errorf("unknown listener: %v", err)
	}
	day(c).Target = "load_balancer.other"
	if _, err := Run(c, "day", Options{}); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("unknown target: %v", err)
	}
}

func TestExpectations(t *testing.T) {
	share := func(min, max *float64, during string) spec.Expect {
		return spec.Expect{Name: "e", Metric: spec.MetricShare, Of: "instance.s0", Min: min, Max: max, During: during}
	}
	cases := []struct {
		expect spec.Expect
		want   Verdict
		detail string
		wanted string
	}{
		{share(limit(.5), limit(.5), "steady"), Pass, "50%, 66500 of 133000 connections in steady", "50%"},
		{share(limit(.499), limit(.501), "steady"), Pass, "50%, 66500 of 133000 connections in steady", "49.9% to 50.1%"},
		{share(limit(.51), nil, "all"), Pass, "55.6667%, 83500 of 150000 connections in all", "at least 51%"},
		{share(nil, limit(.99), "dead"), Fail, "100%, 17000 of 17000 connections in dead", "at most 99%"},
		{spec.Expect{Name: "e", Metric: spec.MetricErrors, Max: limit(0), During: "all"}, Pass, "0 of 150000 connections in all", "at most 0"},
		{spec.Expect{Name: "e", Metric: spec.MetricErrorRate, Max: limit(0), During: "dead"}, Pass, "0%, 0 of 17000 connections in dead", "at most 0%"},
		{spec.Expect{Name: "e", Metric: spec.MetricErrors, Max: limit(0), During: "warm"}, Inconclusive, "no connection in warm to judge by", "at most 0"},
		{share(limit(0), nil, "dark"), Inconclusive, "none of the 500 connections in dark was served", "at least 0%"},
		{spec.Expect{Name: "e", Metric: spec.MetricErrors, Max: limit(499), During: "dark"}, Fail, "500 of 500 connections in dark", "at most 499"},
	}
	c := shop(spec.SchedulerRR, 100, 100)
	day(c).Faults = []spec.Fault{
		{Name: "dead", At: 60 * time.Second, For: 29 * time.Second, Targets: []string{"instance.s1"}, Mode: spec.FaultRefuse},
	}
	windows := append(run1(t, c, Options{}).Windows, Window{Name: "warm"}, Window{Name: "dark", Requests: 500, Errors: 500})
	for _, k := range cases {
		got := judge(&k.expect, nil, windows, "connection")
		if got.Verdict != k.want || got.Detail != k.detail || got.Wanted != k.wanted {
			t.Errorf("%s %s: %s, %q, wanted %q", k.expect.Metric, k.expect.During, got.Verdict, got.Detail, got.Wanted)
		}
		if (got.Observed == nil) != (k.want == Inconclusive) {
			t.Errorf("%s %s: observed %v is %s", k.expect.Metric, k.expect.During, got.Observed, got.Verdict)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		of   []Verdict
		want Verdict
	}{
		{nil, Pass}, {[]Verdict{Pass, Pass}, Pass}, {[]Verdict{Pass, Inconclusive}, Inconclusive},
		{[]Verdict{Inconclusive, Fail, Pass}, Fail},
	} {
		r := &Result{}
		for _, v := range c.of {
			r.Expectations = append(r.Expectations, Expectation{Verdict: v})
		}
		if got := r.Verdict(); got != c.want {
			t.Errorf("%v make %s, want %s", c.of, got, c.want)
		}
	}
}
